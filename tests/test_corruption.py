"""Every file of a run and of a data folder with bits flipped, cut short, emptied or swapped with another's.

Each time it is told in one line, or what is loaded is what it was; never anything else in silence.
"""

import gzip
import json
import shutil
import signal
import time
import warnings
from contextlib import contextmanager

import numpy as np
import pandas as pd
import pytest
from reliability import limited, peak_memory, record
from scipy.io import savemat

import gan
from gan import keeping
from gan.book.publishing import publish
from gan.keeping import film_of
from gan.runs import Run

SMALL = {
    "epochs": 2,
    "noise_size": 4,
    "g_hidden": (8, 8),
    "d_hidden": (8, 8),
    "d_pieces": 2,
    "batch_size": 200,
}
IDX = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
TOLD = (ValueError, OSError, FloatingPointError, MemoryError)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Twice, of two seeds: a run in training, a published one, and folders with data in all their forms."""
    root = tmp_path_factory.mktemp("corruption")
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings(action="ignore"):
        patch.setattr(keeping, "SAVE_EVERY", 0.0)  # so that there is a checkpoint before the last
        for seed in (0, 1):
            recipe = gan.recipe("digits", **SMALL, ema=0.9, seed=seed)
            run = gan.train(recipe, root / f"run{seed}", progress=False)
            publish(run, f"published{seed}", root=root)
            write_data(root, seed)
    return root


def write_data(root, seed):
    rng = np.random.default_rng(seed)
    x, y = rng.integers(0, 256, (30, 28, 28), dtype=np.uint8), rng.integers(0, 10, 30).astype(np.uint8)
    arrays = {"x_train": x[:20], "y_train": y[:20], "x_test": x[20:], "y_test": y[20:]}
    for kind in ("npz", "packed", "idx", "mat"):
        (root / f"{kind}{seed}").mkdir()
    np.savez(root / f"npz{seed}/mnist.npz", **arrays)
    np.savez_compressed(root / f"packed{seed}/mine.npz", **arrays)
    for name, array in zip(IDX, arrays.values(), strict=True):
        head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
        (root / f"idx{seed}/{name}-ubyte.gz").write_bytes(gzip.compress(head + array.tobytes(), mtime=0))
    faces = rng.integers(0, 256, (30, 48, 48), dtype=np.uint8)
    parts = {"labs_ex": np.arange(30) % 7 + 1, "folds": np.tile((np.arange(30) % 4)[:, None], 5)}
    savemat(root / f"mat{seed}/TFD_48x48.mat", {"images": faces} | parts, do_compression=True)


KINDS = ("run", "published", "npz", "packed", "idx", "mat")
NAMES = {"npz": "mnist", "packed": "mine", "idx": "mnist", "mat": "tfd"}


READERS = ("checkpoint.before.pt", "history.csv", "run.json")  # all in them is checkpoint.pt's too
NOT_PROVEN = {"run": READERS, "published": ("SHA256SUMS",), "npz": ("mnist.npz",), "packed": ("mine.npz",)}
NOT_PROVEN |= {"idx": [f"{part}-ubyte.gz" for part in IDX], "mat": ("TFD_48x48.mat",)}
"""Files in which a fault may be harmless, and then is not told."""


def loaded(folder, digest=None):
    """All that is read of ``folder``, flat: a run's, or a data set's, which must have ``digest``."""
    kind = folder.name.rstrip("01")
    if kind in NAMES:
        dataset = gan.data.load(NAMES[kind], folder)
        found = {"digest": dataset.digest, "images": dataset.x_train}
        if digest:
            Run(folder, gan.recipe("digits"), {"data_sha256": digest}, pd.DataFrame()).compare(dataset)
        return found
    run = Run.load(folder)
    found = {"record": repr(run.record), "recipe": repr(run.recipe), "history": run.history.to_numpy()}
    networks = {"G": run.generator, "last": run.averaged(0), "D": run.discriminator}
    if best := run.best():
        networks["best"] = best[0]
    for name, network in networks.items():
        found |= {f"{name}.{key}": w.numpy() for key, w in network.state_dict().items()}
    return found | {f"film {epoch}": frames.numpy() for epoch, frames in film_of(run).items()}


def same(one, other):
    return one.keys() == other.keys() and all(np.array_equal(one[key], other[key]) for key in one)


@contextmanager
def in_time(seconds=30):
    def ring(*_):
        raise TimeoutError(f"not done in {seconds} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def faults(content, other, rng, flips, cuts):
    """What may become of a file's ``content``: names of faults, and what it is then."""
    size = len(content)
    for place in np.unique(np.linspace(0, 8 * size - 1, flips).astype(int) + rng.integers(0, 8, flips)):
        changed = bytearray(content)
        changed[min(place // 8, size - 1)] ^= 1 << int(rng.integers(8))
        yield f"bit of byte {place // 8}", bytes(changed)
    lengths = [2**n for n in range(size.bit_length()) if 2**n < size]
    for length in lengths if cuts is None else rng.permutation(lengths)[:cuts].tolist():
        yield f"cut to {length}", content[:length]
    yield "emptied", b""
    if other is not None and other != content:
        yield "swapped", other


def strike(root, kind, flips, cuts, seed=0):
    """Try the faults of every file of a folder: how many there were, and how they were found out."""
    folder, other = root / f"{kind}0", root / f"{kind}1"
    rng = np.random.default_rng(seed)
    counts = dict.fromkeys(("cases", "detected", "harmless"), 0)
    right = loaded(folder)
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        content = path.read_bytes()
        others = (other / path.name).read_bytes() if (other / path.name).exists() else None
        for fault, changed in faults(content, others, rng, flips, cuts):
            path.write_bytes(changed)
            counts["cases"] += 1
            try:
                with in_time():
                    found = loaded(folder, right.get("digest"))
            except TOLD as error:
                said = str(error)
                assert "\n" not in said and len(said) < 1500, (path.name, fault, said)
                assert path.name in said or "was trained on other" in said, (path.name, fault, said)
                assert not isinstance(error, TimeoutError), (path.name, fault)
                counts["detected"] += 1
            else:
                assert same(found, right), f"{kind}/{path.name}, {fault}: loads as something else"
                assert path.name in NOT_PROVEN[kind], f"{kind}/{path.name}, {fault}: is not noticed"
                counts["harmless"] += 1
        path.write_bytes(content)
    assert same(loaded(folder), right)
    return counts


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_file_is_told_in_one_line_or_harmless(folders, kind):
    with limited():
        counts = strike(folders, kind, flips=3, cuts=2)
    assert counts["cases"] >= 7 and counts["detected"] >= counts["cases"] // 3


@pytest.mark.soak
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_more_than_a_thousand_damaged_files_are_told_in_one_line_or_harmless(folders):
    start, total = time.monotonic(), dict.fromkeys(("cases", "detected", "harmless"), 0)
    for kind in KINDS:
        with limited():
            for name, count in strike(folders, kind, flips=80, cuts=None, seed=1).items():
                total[name] += count
    assert total["cases"] >= 1000 and total["cases"] == total["detected"] + total["harmless"]
    record("corruption", **total, peak=peak_memory(), seconds=round(time.monotonic() - start))


def test_a_checkpoint_with_another_runs_record_is_not_its_own(folders, tmp_path):
    """Whole files, but of two runs."""
    shutil.copytree(folders / "run0", tmp_path / "run")
    shutil.copy(folders / "run1/checkpoint.pt", tmp_path / "run")
    with pytest.raises(ValueError, match=r"run\.json and checkpoint\.pt are of two runs"):
        Run.load(tmp_path / "run")
    told = json.loads((tmp_path / "run/run.json").read_text())
    told["started"] = Run.load(folders / "run1").record["started"]  # in the same second
    (tmp_path / "run/run.json").write_text(json.dumps(told))
    with pytest.raises(ValueError, match=r"run\.json and checkpoint\.pt are of two runs"):
        Run.load(tmp_path / "run")
