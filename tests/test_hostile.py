"""Files made to do harm: nothing in them is run, nothing is written outside, and memory is bounded."""

import gzip
import io
import json
import os
import pickle
import shutil
import struct
import sys
import time
import warnings
import zipfile
import zlib
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from reliability import limited, peak_memory, record
from safetensors.torch import save_file
from scipy.io import savemat

import gan
from gan import durable
from gan.book import tables
from gan.keeping import film_of

sys.path.insert(0, str(Path(__file__).parents[1] / "book/_ext"))
try:
    import results
finally:
    sys.path.pop(0)

FIXTURES = Path(__file__).parent / "fixtures/eef538b"
GB = 2**30
KEYS = ("x_train", "y_train", "x_test", "y_test")
SHAPES = {"x_train": (20, 28, 28), "y_train": (20,), "x_test": (10, 28, 28), "y_test": (10,)}
HERE = ("MALICE", "malice")  # what a payload would make


class Payload:
    """What a pickle of it does when it is loaded: a folder is made."""

    def __init__(self, place):
        self.place = str(place)

    def __reduce__(self):
        return os.mkdir, (self.place,)


# The watch: what a reader may not do


class Watch:
    """Told of everything that Python does: programs started, files made or changed."""

    active, seen = False, []
    WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
    RUNS = (
        "os.system",
        "os.exec",
        "os.posix_spawn",
        "os.spawn",
        "subprocess.Popen",
        "os.fork",
        "ctypes.dlopen",
    )
    CHANGES = (
        "os.mkdir",
        "os.rename",
        "os.remove",
        "os.rmdir",
        "os.symlink",
        "os.link",
        "os.truncate",
        "os.chmod",
    )

    @classmethod
    def hear(cls, event, values):
        writes = event == "open" and isinstance(values[2], int) and values[2] & cls.WRITES
        if cls.active and (writes or event in (*cls.RUNS, *cls.CHANGES)):
            cls.seen.append(f"{event} {values[0]}")


sys.addaudithook(Watch.hear)


@contextmanager
def watched(within=None, memory=GB):
    """Nothing may be run, nor changed but ``within`` a folder; at most ``memory`` bytes more."""
    Watch.seen.clear()
    with limited(memory):
        Watch.active = True
        try:
            yield
        finally:
            Watch.active = False
    outside = [one for one in Watch.seen if within is None or str(within) not in one.split(" ", 1)[1]]
    assert not [one for one in outside if "/dev/null" not in one], outside


def test_the_watch_sees_what_a_payload_does(tmp_path):
    with pytest.raises(AssertionError, match=r"os\.mkdir"), watched():
        pickle.loads(pickle.dumps(Payload(tmp_path / "made")))
    with pytest.raises(AssertionError, match="open"), watched():
        (tmp_path / "file").write_text("x")
    with pytest.raises(MemoryError), watched(memory=2**26):
        bytearray(2**29)


# Data files


def write_npz(path, packed=zipfile.ZIP_STORED, close=lambda archive: None, **members):
    """An .npz file of ``members``, bytes or arrays; what is not given is as it should be."""
    with zipfile.ZipFile(path, "w", packed) as archive:
        for key in KEYS:
            value = members.pop(key, np.arange(np.prod(SHAPES[key])).reshape(SHAPES[key]).astype("u1") % 10)
            archive.writestr(f"{key}.npy", value if isinstance(value, bytes) else npy(value))
        for name, value in members.items():
            archive.writestr(name, value)
        close(archive)


def npy(array):
    with io.BytesIO() as file:
        np.save(file, array)
        return file.getvalue()


def header(shape, descr="|u1"):
    with io.BytesIO() as file:
        np.lib.format.write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": shape})
        return file.getvalue()


def deflated(count, start=b""):
    """``start`` and ``count`` zeros, a multiple of 16 MiB, as a packed stream: one piece of it many times."""
    squeeze = zlib.compressobj(9, wbits=-15)
    begin = squeeze.compress(start) + squeeze.flush(zlib.Z_FULL_FLUSH)
    piece = squeeze.compress(bytes(2**24)) + squeeze.flush(zlib.Z_FULL_FLUSH)
    return begin + piece * (count // 2**24) + squeeze.flush()


def npz_bomb(folder):
    """2 GB of black images in 2 MB."""
    start, n = header((2**24 // 784 * 128, 28, 28)), 2**31
    write_npz(folder / "mnist.npz", x_train=deflated(n, start), close=lambda archive: declare(archive, n))


def declare(archive, size):
    info = archive.getinfo("x_train.npy")
    info.compress_type, info.file_size = zipfile.ZIP_DEFLATED, size


def npz_overlap(folder):
    """A bomb whose members are one and the same packed piece, each by itself small enough."""
    piece = npy(np.zeros((60_000, 28, 28), np.uint8))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x_train.npy", piece)
        archive.writestr("x_test_.npy", piece)
        info = archive.getinfo("x_test_.npy")
        info.header_offset, info.filename = archive.getinfo("x_train.npy").header_offset, "x_test.npy"
        for key in ("y_train", "y_test"):
            archive.writestr(f"{key}.npy", npy(np.zeros(60_000, np.uint8)))
    (folder / "mnist.npz").write_bytes(buffer.getvalue())


def npz_pickle(folder):
    payload = np.empty((20, 28, 28), object)
    payload[:] = Payload(folder / HERE[0])
    with io.BytesIO() as file:
        np.lib.format.write_array(file, payload, allow_pickle=True)
        write_npz(folder / "mnist.npz", x_train=file.getvalue())


def npz_code(folder):
    text = f"__import__('os').mkdir({str(folder / HERE[0])!r})"
    write_npz(folder / "mnist.npz", x_train=b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text.encode())


def npz_directory(folder):
    """A hundred thousand members, of no bytes each."""
    with zipfile.ZipFile(folder / "mnist.npz", "w") as archive:
        archive.writestr("0", "")
        one = archive.filelist[0]
        archive.filelist = [one] * 100_000


def npz_renamed(folder):
    write_npz(folder / "mnist.npz")
    content = (folder / "mnist.npz").read_bytes()
    (folder / "mnist.npz").write_bytes(content.replace(b"y_test", b"z_test", 1))


def npz_more(folder):
    """A member that is declared shorter than what it unpacks to."""
    write_npz(folder / "mnist.npz", zipfile.ZIP_DEFLATED)
    content = bytearray((folder / "mnist.npz").read_bytes())
    place = content.index(b"PK\1\2") + 24
    size = struct.unpack_from("<I", content, place)[0]
    struct.pack_into("<I", content, place, size - 1)
    (folder / "mnist.npz").write_bytes(content)


def npz_nothing(folder):
    """Values of no bytes, a million million of them."""
    write_npz(folder / "mnist.npz", y_test=header((10**12,), "|V0"))


def npz_huge(folder):
    write_npz(folder / "mnist.npz", x_train=header((2**40, 28, 28)))


def pickled(folder):
    (folder / "mnist.npz").write_bytes(pickle.dumps(Payload(folder / HERE[0])))


def idx(folder, name, content):
    for key, axes in (("train-images", 3), ("train-labels", 1), ("t10k-images", 3), ("t10k-labels", 1)):
        shape = (10, 28, 28)[:axes]
        good = struct.pack(f">{1 + axes}i", 0x800 + axes, *shape) + bytes(int(np.prod(shape)))
        (folder / f"{key}-idx{axes}-ubyte").write_bytes(good)
    (folder / name).write_bytes(content)


def idx_bomb(folder):
    """2 GB of black images in 2 MB."""
    start = struct.pack(">4i", 0x803, 2**31 // 784, 28, 28)
    idx(folder, "train-images-idx3-ubyte.gz", GZIP + deflated(2**31, start) + bytes(8))
    (folder / "train-images-idx3-ubyte").unlink()


def idx_lie(folder):
    idx(folder, "train-images-idx3-ubyte", struct.pack(">4I", 0x803, 2**32 - 1, 2**32 - 1, 2**32 - 1))


def idx_more(folder):
    """Values beyond those that are told of, a gigabyte of them in a packed file."""
    start = struct.pack(">2i", 0x801, 10)
    idx(folder, "t10k-labels-idx1-ubyte.gz", GZIP + deflated(2**30, start) + bytes(8))
    (folder / "t10k-labels-idx1-ubyte").unlink()


GZIP = gzip.compress(b"")[:10]
MAT = b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\1IM"


def mat_bomb(folder):
    body = b"x\x9c" + deflated(2**31, struct.pack("<2I", 14, 2**31 - 8))
    (folder / "TFD_48x48.mat").write_bytes(MAT + struct.pack("<2I", 15, len(body)) + body)


def mat_lie(folder):
    """A variable of 4 GB in a file of some bytes."""
    (folder / "TFD_48x48.mat").write_bytes(MAT + struct.pack("<2I", 14, 2**32 - 8) + bytes(200))


def mat_cells(folder):
    cells = np.empty((30, 1), object)
    cells[:] = "a"
    savemat(folder / "TFD_48x48.mat", {"images": cells, "labs_ex": np.ones(30), "folds": np.full((30, 5), 2)})


def mat_pickle(folder):
    (folder / "TFD_48x48.mat").write_bytes(pickle.dumps(Payload(folder / HERE[0])))


DATA = {
    npz_bomb: "mnist.npz is damaged (it would unpack to ",
    npz_overlap: "mnist.npz is damaged (",
    npz_pickle: "mnist.npz is damaged (x_train.npy is object (20, 28, 28) by its header, and has ",
    npz_code: "mnist.npz is damaged (malformed node or string on line 1: ",
    npz_directory: "mnist.npz has no x_train, y_train, x_test, y_test: it must hold ",
    npz_renamed: "mnist.npz is damaged (File name in directory 'y_test.npy' and header b'z_test.npy' d",
    npz_more: "mnist.npz is damaged (x_train.npy is uint8 (20, 28, 28) by its header, and has 15679 bytes): ",
    npz_nothing: "mnist.npz: y_test is |V0 (1000000000000,); it must be 10 integers",
    npz_huge: f"mnist.npz is damaged (x_train.npy is uint8 ({2**40}, 28, 28) by its header, and has 0 bytes",
    pickled: "mnist.npz is damaged (File is not a zip file): ",
    idx_bomb: "train-images-idx3-ubyte.gz is damaged (it would unpack to ",
    idx_lie: "train-images-idx3-ubyte is damaged (it would unpack to 79228162458924105385300197375 ",
    idx_more: "t10k-labels-idx1-ubyte.gz is damaged (cannot reshape array of size 11 into shape (10,)): ",
    mat_bomb: "TFD_48x48.mat is damaged (it would unpack to ",
    mat_lie: "TFD_48x48.mat is damaged (",
    mat_cells: "TFD_48x48.mat: x_train is object ",
    mat_pickle: "TFD_48x48.mat is damaged (it is no MATLAB 5 file): ",
}


def refused(read, place, said, line):
    """``read`` is refused in one line that holds ``line``; within bounds, and nothing else comes of it."""
    before, start = peak_memory(), time.process_time()
    with watched(), pytest.raises((ValueError, OSError)) as error:
        read()
    told = str(error.value)
    assert "\n" not in told and told.startswith(said) and line in told, told
    assert len(told) < 1500 and not (place / HERE[0]).exists()
    assert peak_memory() - before < GB and time.process_time() - start < 10


def refuse_data(folder, craft):
    craft(folder)
    name = "tfd" if craft.__name__.startswith("mat") else "mnist"
    refused(lambda: gan.data.load(name, folder), folder, str(folder), DATA[craft])


@pytest.mark.parametrize("craft", DATA, ids=lambda craft: craft.__name__)
def test_a_data_file_made_to_do_harm_is_refused(tmp_path, craft):
    refuse_data(tmp_path, craft)


def test_a_pipe_is_no_data_file(tmp_path):
    os.mkfifo(tmp_path / "mine.npz")
    refused(lambda: gan.data.load("mine", tmp_path), tmp_path, "there is no data set 'mine'", "mine.npz")


def test_names_in_a_data_file_lead_nowhere(tmp_path):
    """They are not unpacked: what is called otherwise than the arrays does not matter."""
    write_npz(
        tmp_path / "mnist.npz", **{"../../evil.npy": b"x", "/etc/evil": b"x", "x_valid.npy": b"no array"}
    )
    with watched(), warnings.catch_warnings(action="ignore"):  # of dark images
        assert len(gan.data.load("mnist", tmp_path).x_test) == 10


# Runs


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run in training, small, and a published one (of the first edition)."""
    root = tmp_path_factory.mktemp("hostile")
    small = {
        "epochs": 1,
        "noise_size": 4,
        "g_hidden": (8, 8),
        "d_hidden": (8,),
        "d_pieces": 2,
        "batch_size": 300,
    }
    gan.train(gan.recipe("digits", **small), root / "run", progress=False)
    shutil.copytree(FIXTURES / "published", root / "published")
    return root


def read_all(folder):
    """Everything that reads a run."""
    run = gan.Run.load(folder)
    run.generator.sample(2, seed=0), run.averaged(0), run.discriminator, run.best(), film_of(run)
    return run.provenance()


def change(path, **fields):
    content = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps(content | fields), "utf-8")


def change_recipe(run, **fields):
    change(run / "run.json", recipe=json.loads((run / "run.json").read_text("utf-8"))["recipe"] | fields)


def weights(path):
    with gan.layers.safe_open(path, "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def change_weights(run, **tensors):
    path = run / "generator.safetensors"
    save_file({name: w for name, w in (weights(path) | tensors).items() if w is not None}, path)


def raw_weights(run, tensors, body=b"", length=None):
    head = json.dumps(tensors).encode()
    (run / "generator.safetensors").write_bytes(struct.pack("<Q", length or len(head)) + head + body)


def change_state(run, change):
    """A checkpoint that its seal proves, whatever is in it."""
    state = torch.load(run / "checkpoint.pt", weights_only=True)
    change(state)
    with durable.sealed(run / "checkpoint.pt") as file:
        torch.save(state, file)


def code_in_checkpoint(run):
    with durable.sealed(run / "checkpoint.pt") as file:
        torch.save({"format": 3, "payload": Payload(run / HERE[0])}, file)


def pickled_checkpoint(run):
    (run / "checkpoint.pt").write_bytes(pickle.dumps(Payload(run / HERE[0])))


def pickle_in_zip(run):
    """What torch opens, with a pickle of our own in it."""
    with zipfile.ZipFile(run / "checkpoint.pt", "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Payload(run / HERE[0]), protocol=2))
        archive.writestr("archive/version", "3\n")


def bomb_in_checkpoint(run):
    """A pickle of 2 GB, of nothing but marks, in 2 MB."""
    bomb = deflated(2**31, b"\x80\2")
    with zipfile.ZipFile(run / "checkpoint.pt", "w") as archive:
        archive.writestr("archive/data.pkl", bomb)
        info = archive.getinfo("archive/data.pkl")
        info.compress_type, info.file_size = zipfile.ZIP_DEFLATED, 2**31
        archive.writestr("archive/version", "3\n")


def stretched(run):
    """A tensor of one value that says it were a tebibyte's."""

    def stretch(state):
        state["generator"] = {name: torch.zeros(1).expand(2**18, 2**20) for name in state["generator"]}

    change_state(run, stretch)


def stretched_fittingly(run):
    def stretch(state):
        state["generator"] = {n: torch.zeros(1).expand(w.shape) for n, w in state["generator"].items()}

    change_state(run, stretch)


def bent_history(run):
    change_state(run, lambda state: state["history"][0].update(d_loss="<script>"))


def foreign_checkpoint(run):
    with durable.sealed(run / "checkpoint.pt") as file:
        torch.save({"format": 3, "model": torch.zeros(3)}, file)


def control_characters(run):
    change_state(run, lambda state: state["record"].update(device="\x1b]0;owned\x07"))


def png(width, height, *chunks, mode=4):
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = chunk(b"IHDR", struct.pack(">2I5B", width, height, 8, mode, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(chunk(*one) for one in chunks) + chunk(b"IEND", b"")


def png_bomb(run):
    """4 GB of pixels."""
    body = b"x\x9c" + deflated(2**26)
    (run / "film.png").write_bytes(png(50_000, 40_000, (b"IDAT", body)))


def png_text(run):
    """A text of a gigabyte in a picture."""
    with gan.files.Image.open(run / "film.png") as picture:
        width, height = picture.size
    body = b"Comment\0\0" + b"x\x9c" + deflated(2**30)
    (run / "film.png").write_bytes(png(width, height, (b"zTXt", body), (b"IDAT", zlib.compress(bytes(9)))))


def link(name, target):
    def make(run):
        (run / name).unlink(missing_ok=True)
        (run / name).symlink_to(target(run))

    make.__name__ = f"link_{name}"
    return make


def secret(run):
    (run.parent / "secret").mkdir(exist_ok=True)
    (run.parent / "secret/file").write_text("secret")
    return run.parent / "secret/file"


def text(name, content):
    return lambda run: (run / name).write_text(content)


def fields(**values):
    return lambda run: change(run / "run.json", **values)


def recipe(**values):
    return lambda run: change_recipe(run, **values)


def raw(tensors, body=b"", length=None):
    return lambda run: raw_weights(run, tensors, body, length)


def tensors(**values):
    return lambda run: change_weights(run, **values)


F32 = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
HUGE = F32 | {"shape": [2**40], "data_offsets": [0, 2**42]}
COMPLEX = F32 | {"dtype": "C64", "data_offsets": [0, 8]}
LAYER, SCALE = "layers.0.weight", "layers.0.weight.scale"
STATE = "Error(s) in loading state_dict for Generator:"
DEEP = '{"recipe": ' + "[" * 100_000 + "]" * 100_000 + "}"
THIRDS = {LAYER: torch.zeros(3, 3), SCALE: None}
CHECKPOINTS = {
    pickled_checkpoint: "File is not a zip file)",
    code_in_checkpoint: "Weights only load failed",
    pickle_in_zip: "Weights only load failed",
    bomb_in_checkpoint: "it would unpack to 2147483650 bytes, over 50 times its own size)",
    stretched: f"{STATE} size mismatch for {LAYER}: ",
    stretched_fittingly: f"not all values of {LAYER} are there, and finite)",
    bent_history: "could not convert string to float: '<script>')",
    foreign_checkpoint: "it has no 'record')",
    control_characters: "it is no record, or a text in it has control characters)",
}
WEIGHTS = {
    raw({}, length=2**60): f"its header is to have {2**60} bytes)",
    raw({}, length=2**19): "Error while deserializing header",
    raw({"a": F32}): "Error while deserializing header",
    raw({"a": F32, "b": F32}, bytes(4)): "Error while deserializing header",
    raw({"a": HUGE}, bytes(4)): "Error while deserializing header",
    raw({"a": COMPLEX}, bytes(8)): f"{STATE} Missing key(s) in state_dict: ",
    tensors(**{LAYER: None, SCALE: None}): f'{STATE} Missing key(s) in state_dict: "{LAYER}".',
    tensors(extra=torch.zeros(3)): f'{STATE} Unexpected key(s) in state_dict: "extra".',
    tensors(**THIRDS): f"{STATE} size mismatch for {LAYER}: ",
    tensors(**{SCALE: torch.zeros(1).half()}): "shape '[",
    tensors(**{"layers.0.bias": torch.zeros(16).cfloat()}): "not all values of layers.0.bias are there, and ",
    tensors(
        **{"layers.0.bias": torch.full((16,), torch.nan)}
    ): "not all values of layers.0.bias are there, and ",
    recipe(g_hidden=[2**30, 2**30]): f"{STATE} size mismatch for layers.0.weight: ",
}
RECORDS = {
    text("run.json", DEEP): "",
    text("run.json", "[]"): "it is no record, or a text in it has control characters)",
    text("run.json", "x" * 2**25): "Expecting value",
    text("run.json", "[" + "{}," * 2**24): "Expecting ",
    fields(seconds=float("nan")): "Out of range float values are not JSON compliant",
    fields(seconds="1"): "",
    fields(versions=None): "",
    fields(device="a\nb"): "it is no record, or a text in it has control characters)",
    fields(device="\x85"): "it is no record, or a text in it has control characters)",
    fields(shape=[2**40, 2**40]): "",
    recipe(g_hidden=[1] * 10**5): "recipe 'digits': g_hidden = [1, 1, 1",
    recipe(dataset="../../etc"): "recipe 'digits': dataset = '../../etc': '../../etc' can't be a name",
    recipe(name="<script>alert(1)</script>"): "recipe '<script>alert(1)</script>': name = ",
}
HISTORIES = {
    text("history.csv", ""): "its first line is not epoch,d_loss",
    text("history.csv", "," * 10**8): "its first line is not epoch,d_loss",
    text("history.csv", "epoch\nx"): "its first line is not epoch,d_loss",
}
PICTURES = {
    png_bomb: "Image size (2000000000 pixels) exceeds limit",
    png_text: "",
    fields(film=[[]]): "",
}
LINK = " is a link out of its folder, or no file: put the file itself there"
PLACES = {
    link("generator.safetensors", secret): "generator.safetensors" + LINK,
    link("history.csv", lambda run: "/etc/passwd"): "history.csv" + LINK,
    link("run.json", secret): "run.json" + LINK,
    link(".lock", secret): ".lock" + LINK,
    lambda run: os.mkfifo(run / "pipe"): "pipe" + LINK,
}
RUNS = [
    *(("run", craft, f"checkpoint.pt is damaged ({line}") for craft, line in CHECKPOINTS.items()),
    *(("published", craft, f"generator.safetensors is damaged ({line}") for craft, line in WEIGHTS.items()),
    *(("published", craft, f"run.json is damaged ({line}") for craft, line in RECORDS.items()),
    *(("published", craft, f"history.csv is damaged ({line}") for craft, line in HISTORIES.items()),
    *(("published", craft, f"film.png is damaged ({line}") for craft, line in PICTURES.items()),
    *(("published", craft, line) for craft, line in PLACES.items()),
]


def refuse_run(made, run, kind, craft, line):
    shutil.copytree(made / kind, run)
    craft(run)
    refused(lambda: read_all(run), run, f"{run}/", f"{run}/{line}")


@pytest.mark.filterwarnings("ignore:.*of an earlier version")
@pytest.mark.parametrize(("kind", "craft", "line"), RUNS, ids=range(len(RUNS)))
def test_a_run_made_to_do_harm_is_refused(made, tmp_path, kind, craft, line):
    refuse_run(made, tmp_path / "run", kind, craft, line)


@pytest.mark.parametrize("name", [".lock", ".before", "checkpoint.pt", ".checkpoint.pt.part", "history.csv"])
def test_a_link_in_a_runs_folder_is_not_written_through(made, tmp_path, name):
    run = shutil.copytree(made / "run", tmp_path / "run")
    link(name, secret)(run)
    recipe = gan.recipes.parse(json.loads((run / "run.json").read_text())["recipe"] | {"epochs": 2})
    for overwrite in (False, True):
        with watched(within=run), pytest.raises(ValueError, match="is a link out of its folder"):
            gan.train(recipe, run, progress=False, overwrite=overwrite)
    assert secret(run).read_text() == "secret"


@pytest.mark.soak
@pytest.mark.filterwarnings("ignore:.*of an earlier version")
def test_all_that_is_made_to_do_harm_is_refused_in_one_process(made, tmp_path):
    start = time.monotonic()
    for number, craft in enumerate(DATA):
        (tmp_path / f"data{number}").mkdir()
        refuse_data(tmp_path / f"data{number}", craft)
    for number, case in enumerate(RUNS):
        (tmp_path / f"{number}").mkdir()
        refuse_run(made, tmp_path / f"{number}/run", *case)
    cases, seconds = len(DATA) + len(RUNS), round(time.monotonic() - start)
    record("hostile files", cases=cases, detected=cases, peak=peak_memory(), seconds=seconds)


# Pages


class Tags(HTMLParser):
    """The tags of a page, and its text."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.text = set(), ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags |= {tag, *(name for name, _ in attrs)}

    def handle_data(self, data):
        self.text += data


SCRIPT = "<script>alert(1)</script><img src=x onerror=alert(2)>"


def shown(run):
    """All that the book makes of a run's record and names, as HTML."""
    from docutils.core import publish_from_doctree
    from docutils.utils import new_document

    yield tables.provenance(run).data
    seen = run.record | {"recipe": SCRIPT, "seeds": {"stand_ins": SCRIPT}, "iterations": SCRIPT}
    yield tables.yardsticks_provenance(seen | {"versions": {"python": SCRIPT, "scikit-learn": SCRIPT}}).data
    frame = pd.DataFrame({SCRIPT: [SCRIPT]})
    yield tables.table(frame).data
    yield frame._repr_html_()
    yield tables.table(
        tables.recipe_table(run.recipe.model_copy(update={"name": SCRIPT, "dataset": SCRIPT}))
    ).data
    told = run.record | {
        "engine": SCRIPT,
        "resumed": [run.record | {"after_epoch": SCRIPT, "from_weights": SCRIPT}],
    }
    document = new_document("page")
    document += results.listing([(SCRIPT, results.run_facts(run.folder / "run.json", told))])
    yield publish_from_doctree(document, writer_name="html5").decode()


def test_html_in_a_record_is_text_on_the_page(made, tmp_path):
    run = shutil.copytree(made / "published", tmp_path / "run")
    versions = dict.fromkeys(json.loads((run / "run.json").read_text("utf-8"))["versions"], SCRIPT)
    change(
        run / "run.json", device=SCRIPT, started=SCRIPT, commit=SCRIPT, data_sha256=SCRIPT, versions=versions
    )
    for page in shown(gan.Run.load(run)):
        found = Tags(page)
        assert not found.tags & {"script", "img", "onerror", "src"}, page
        assert "<script>" in found.text or "<script" in found.text, page
