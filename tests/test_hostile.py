"""Files made to do harm: nothing in them is run, nothing is written outside, and memory is bounded."""

import gzip
import io
import os
import pickle
import struct
import sys
import time
import warnings
import zipfile
import zlib
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from reliability import limited, peak_memory
from scipy.io import savemat

import gan

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
    """Half a million members, of no bytes each."""
    with zipfile.ZipFile(folder / "mnist.npz", "w") as archive:
        archive.writestr("0", "")
        one = archive.filelist[0]
        archive.filelist = [one] * 500_000


def npz_twice(folder):
    with warnings.catch_warnings(action="ignore"):
        write_npz(folder / "mnist.npz", **{"x_test.npy": npy(np.zeros((10, 28, 28), np.uint8))})


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


def pipe(folder):
    os.mkfifo(folder / "mnist.npz")


DATA = {
    npz_bomb: "can't be read as .npz (it would unpack to ",
    npz_overlap: "can't be read as .npz (",
    npz_pickle: "can't be read as .npz (an array in it, x_train.npy, holds Python objects: are all ",
    npz_code: "can't be read as .npz (malformed node or string on line 1: ",
    npz_directory: "can't be read as .npz (its directory is too large): ",
    npz_twice: "can't be read as .npz (x_test.npy is in it twice): ",
    npz_renamed: "can't be read as .npz (File name in directory 'y_test.npy' and header b'z_test.npy' d",
    npz_more: "can't be read as .npz (the header of x_train.npy tells of 15680 bytes, and there are 15679): ",
    npz_nothing: ": y_test is |V0 (1000000000000,); it must be 10 integers, one for each image of x_test",
    npz_huge: f"can't be read as .npz (the header of x_train.npy tells of {784 * 2**40} bytes, and there ",
    pickled: "can't be read as .npz (it looks like pickled data): ",
    idx_bomb: "can't be read as one of MNIST's files (it would unpack to ",
    idx_lie: "can't be read as one of MNIST's files (it would unpack to 79228162458924105385300197375 ",
    idx_more: "can't be read as one of MNIST's files ([10] makes 10 values, and there are more): ",
    mat_bomb: "can't be read as .mat (it would unpack to ",
    mat_lie: "can't be read as .mat (",
    mat_cells: ": x_train is object; it must be uint8, from 0 to 255",
    mat_pickle: "can't be read as .mat (it looks like pickled data): ",
    pipe: "can't be read as .npz (it is no file): ",
}


@pytest.mark.parametrize("craft", DATA, ids=lambda craft: craft.__name__)
def test_a_data_file_made_to_do_harm_is_refused(tmp_path, craft):
    craft(tmp_path)
    name = "tfd" if craft.__name__.startswith("mat") else "mnist"
    before, start = peak_memory(), time.process_time()
    with watched(), pytest.raises((ValueError, OSError)) as error:
        gan.data.load(name, tmp_path)
    said = str(error.value)
    assert "\n" not in said and said.startswith(str(tmp_path)) and DATA[craft] in said, said
    assert len(said) < 1000 and not (tmp_path / HERE[0]).exists()
    assert peak_memory() - before < GB and time.process_time() - start < 10
    tally["refused"] += 1


def test_names_in_a_data_file_lead_nowhere(tmp_path):
    """They are not unpacked: what is called otherwise than the arrays does not matter."""
    write_npz(
        tmp_path / "mnist.npz", **{"../../evil.npy": b"x", "/etc/evil": b"x", "x_valid.npy": b"no array"}
    )
    with watched(), warnings.catch_warnings(action="ignore"):  # of dark images
        assert len(gan.data.load("mnist", tmp_path).x_test) == 10


tally = {"refused": 0}
