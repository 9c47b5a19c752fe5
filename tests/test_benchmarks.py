"""benchmarks/: what it runs beside ours is the same thing, what it counts is right, what it refuses."""

import importlib
import json
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import bench
import numpy as np
import peers
import pytest
import torch
from sklearn.neighbors import KernelDensity

import gan
from gan import data, engine, parzen
from gan.__main__ import main

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def quick(tmp_path, monkeypatch):
    """No compiler, no network, no file; a folder for data and one for the table."""

    def no_network(scratch):
        raise RuntimeError("no network")

    monkeypatch.setitem(data.DOWNLOADS, "mnist", no_network)
    monkeypatch.setattr(engine, "_compiler_works", lambda device: False)
    monkeypatch.setattr(bench, "CHUNK", 0.01)
    return ["--rounds", "1", "--device", "cpu", "--data-dir", str(tmp_path)]


@pytest.mark.slow
def test_a_row_is_measured_and_written(quick, tmp_path, capsys):
    out = tmp_path / "new" / "table.json"
    assert main(["bench", "nearest", *quick, "--out", str(out)]) == 0
    record = json.loads(out.read_text())
    assert record["machine"].startswith("CPU") and record["rounds"] == 1
    assert record["images"] == "random images in MNIST's place"
    assert all(record["rates"][key] > 0 for key in ("fp32", "copy"))
    theirs, ours = record["rows"]
    assert (theirs["contestant"], theirs["ratio"]) == ("scikit-learn", 1)
    assert ours["ratio"] == pytest.approx(theirs["seconds"] / ours["seconds"])
    assert ours["fraction"] == pytest.approx(ours["floor"] / ours["seconds"])
    assert str(out) in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nothing"], "there is no row nothing; there are: pytorch_gan, mnist, parzen, nearest"),
        (["--peer", "nowhere/gan.py"], "--peer nowhere/gan.py is no file"),
        (["--device", "gpu"], "device = 'gpu'"),
    ],
)
def test_what_the_benchmark_cannot_do_is_one_line(tmp_path, monkeypatch, capsys, arguments, words):
    out = tmp_path / "table.json"
    assert main(["bench", *arguments, "--out", str(out)]) == 2
    printed, err = capsys.readouterr()
    assert not printed and err.startswith("gan: ") and words in err and err.count("\n") == 1
    assert not out.exists()


def test_without_a_checkout_there_is_no_benchmark(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(gan, "__file__", str(tmp_path / "gan" / "__init__.py"))
    assert main(["bench"]) == 2
    err = capsys.readouterr().err
    assert "run it in a checkout" in err and err.count("\n") == 1


ALONE = """
import sys

class Refuse:
    "Only what the library itself asks for."

    def find_spec(self, name, *_):
        first = name.partition(".")[0]
        frame = sys._getframe(1)
        while "importlib" in frame.f_code.co_filename:
            frame = frame.f_back
        asking = frame.f_globals["__name__"].partition(".")[0]
        books = {"flint", "IPython", "ipykernel", "papermill", "nbformat"} - {asking}
        if first in books or first.startswith(("jupyter", "sphinx")):
            raise ModuleNotFoundError(f"{asking} asks for {name}")

sys.meta_path.insert(0, Refuse())
sys.path.insert(0, sys.argv[1])
import gan, gan.__main__, bench
gan.__main__.main(["bench", "--help"])
"""


@pytest.mark.slow
def test_neither_the_library_nor_the_benchmark_needs_the_books_packages():
    command = [sys.executable, "-c", ALONE, str(ROOT / "benchmarks")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "--peer" in done.stdout and "--rounds" in done.stdout


# The contestants


def test_all_likelihoods_are_the_same():
    rng = np.random.default_rng(0)
    x, samples = rng.random((130, 50), np.float32), rng.random((300, 50), np.float32)
    for sigma in (0.1, 0.3):
        ours = parzen.log_likelihood(x, samples, sigma).numpy()
        authors = peers.authors_parzen(torch.from_numpy(x), torch.from_numpy(samples), sigma)
        np.testing.assert_allclose(authors.numpy(), ours, rtol=0, atol=1e-3)
        np.testing.assert_allclose(peers.sklearn_parzen(x, samples, sigma), ours, rtol=0, atol=1e-3)


def test_all_neighbours_are_the_same():
    rng = np.random.default_rng(0)
    queries, pool = rng.random((30, 40), np.float32), rng.random((500, 40), np.float32)
    assert np.array_equal(peers.sklearn_nearest(queries, pool), data.nearest(queries, pool))


def images(n):
    return np.random.default_rng(0).integers(0, 256, (n, 28, 28), np.uint8)


@pytest.mark.slow
@pytest.mark.parametrize("loop", [peers.plain_mnist, peers.plain_pytorch_gan])
def test_the_plain_loops_go_on_without_end(loop):
    updates = loop(images(200), torch.device("cpu"))
    for _ in range(5):  # more than an epoch
        next(updates)


LINKED = """
import sys
from pathlib import Path
from torchvision import datasets
images = datasets.MNIST("../../data/mnist", train=True, download=True).data
Path(sys.argv[0] + ".saw").write_text(f"{list(images.shape)} {images.sum()} {sys.argv[1:]}")
print("a line before the first update")
for i in range(10**9):
    print(f"[Epoch 0/100000] [Batch {i}/938]")
"""


@pytest.mark.slow
def test_the_linked_script_finds_its_data_and_stands_still_between_calls(tmp_path):
    (tmp_path / "gan.py").write_text(LINKED)
    x = images(30)
    script = peers.LinkedScript(tmp_path / "gan.py", x)
    try:
        saw = f"[30, 28, 28] {x.sum()} ['--n_epochs', '100000']"
        assert (tmp_path / "gan.py.saw").read_text() == saw
        assert script.seconds(5) > 0 and script.seconds(5) > 0
        status = Path(f"/proc/{script.process.pid}/status")
        patience = time.monotonic() + 10
        while status.exists() and "T (stopped)" not in status.read_text():
            assert time.monotonic() < patience
    finally:
        script.close()
    assert script.process.poll() is not None and not Path(script.home.name).exists()


def test_a_linked_script_that_ends_early_says_so(tmp_path):
    (tmp_path / "gan.py").write_text("1 / 0")
    with pytest.raises(ChildProcessError, match="ended early"):
        peers.LinkedScript(tmp_path / "gan.py", np.zeros((2, 28, 28), np.uint8))


# What it counts


def test_an_updates_operations_are_those_counted_by_hand():
    """Two for each multiply-add of mnist's layers; minibatches of 100."""
    g = [100 * 1200, 1200 * 1200, 1200 * 784]
    d = [784 * 240 * 5, 240 * 240 * 5, 240 * 1]
    forward = 100 * sum(g) + 200 * sum(d)
    d_gradient = 200 * sum(d) + 200 * sum(d[1:])  # of the weights, and of all inputs but x
    g_gradient = 100 * sum(d) + 100 * sum(g) + 100 * sum(g[1:])  # through D to G's weights
    bench_ = object.__new__(bench.Bench)
    bench_.train = images(100)
    operations, moved = bench_.work(gan.recipe("mnist"))
    assert operations == 2 * (forward + d_gradient + g_gradient)
    weights = sum(g) + 1200 + 1200 + 784 + sum(d) + 1200 + 1200 + 1
    assert moved == weights * 4 * 6  # weight, gradient and momentum, read and written


def test_the_products_alone_are_those_of_an_update():
    bench_ = object.__new__(bench.Bench)
    bench_.train = images(100)
    with bench.Products() as seen:
        bench_.least(gan.recipe("mnist"))
    operations, _ = bench_.work(gan.recipe("mnist"))
    assert sum(2 * len(a) * a.shape[1] * b.shape[1] for a, b in seen.pairs) == operations


# How much memory a recipe takes; two of three recipes in `make soak`

MOST = 380  # MiB beyond the imports: with torch 2.14 on Linux 210 to 255, and half as much again


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["digits", *(pytest.param(name, marks=pytest.mark.soak) for name in ("mnist", "pytorch-gan"))]
)
def test_the_memory_of_a_recipe_is_bounded_and_none_of_it_is_its_parents(tmp_path, monkeypatch, name):
    """With a few minibatches of training images, and the images that the recipe holds out."""
    pytest.importorskip("resource")
    x, y = images(gan.recipe(name).valid + 300), np.zeros(20_000, np.int64)
    arrays = {"x_train": x, "y_train": y[: len(x)], "x_test": x[:100], "y_test": y[:100]}
    np.savez(tmp_path / "mnist.npz", **arrays)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(gan.recipes, "PRESETS", {name: {}})
    bench_ = object.__new__(bench.Bench)
    bench_.device, bench_.data_dir = torch.device("cpu"), tmp_path
    large = np.ones(2**27)  # 1 GiB; Linux's ru_maxrss begins with what the process that started it has taken
    (found,) = bench_.memory()
    assert len(large) and 0 < found["imports"] < 1000
    assert 0 < found["peak"] - found["imports"] < MOST and found["device"] == 0


# A GPU for a short time


@pytest.fixture
def gpu():
    return importlib.import_module("gpu")


@pytest.mark.soak
def test_a_rehearsal_leaves_what_its_parts_found(gpu, tmp_path, capsys):
    """On a CPU; called again it has nothing left to do."""
    before = sorted((ROOT / "book/results").rglob("*"))
    gpu.main(["--minutes", "4", "--out", str(tmp_path / "out"), "--small", "--only", "tests", "seeds"])
    found = json.loads((tmp_path / "out/gpu.json").read_text())
    assert {name: one["ended"] for name, one in found.items()} == dict.fromkeys(
        ("tests", "mnist-s1", "mnist-s2"), "done"
    )
    for name in ("mnist-s1", "mnist-s2"):
        with tarfile.open(tmp_path / f"out/{name}.tar") as tar:
            tar.extractall(tmp_path / "got", filter="data")
        assert len(gan.Run.load(tmp_path / "got" / name).history) == 2
    with tarfile.open(tmp_path / "out/courses.tar") as tar:
        assert tar.getnames() == ["mnist-s1.json", "mnist-s2.json"]
    assert sorted((ROOT / "book/results").rglob("*")) == before
    capsys.readouterr()
    gpu.main(["--minutes", "4", "--out", str(tmp_path / "out"), "--small", "--only", "tests", "seeds"])
    assert not capsys.readouterr().out


@pytest.mark.soak
def test_what_the_clock_stops_is_kept_as_far_as_it_came(gpu, tmp_path):
    command = gpu.sweep("digits", epochs=100_000, every=100_000)
    session = gpu.Session(tmp_path / "out", minutes=2)
    session.play(gpu.Part(40, {"digits": command}))
    assert session.done()["digits"]["ended"] == "stopped by the clock"
    with tarfile.open(tmp_path / "out/digits.tar") as tar:
        tar.extractall(tmp_path / "got", filter="data")
    run = gan.Run.load(tmp_path / "got/digits")
    assert run.finished and len(run.history) >= 1


@pytest.mark.slow
def test_what_fails_is_called_so_and_not_stopped(gpu, tmp_path):
    """`gan` ends with 2 where it is given something wrong."""
    session = gpu.Session(tmp_path / "out", minutes=2)
    session.play(gpu.Part(60, {"nothing": [*gpu.GAN, "train", "nothing"]}, publishes=False))
    found = session.done()["nothing"]
    assert found["ended"] == "failed (2)" and "there is no recipe 'nothing'" in found["printed"][-1]


def test_the_gpus_parts_are_commands_that_gan_knows(gpu, capsys):
    for part in gpu.parts(small=False).values():
        for command in part.commands.values():
            if command[1:3] == ["-m", "gan"]:
                arguments = gan.__main__.parser().parse_args([*command[3:]])
                if part.trains:
                    gan.recipe(arguments.recipe, **dict(arguments.grid))
    with pytest.raises(SystemExit):
        gpu.main(["--minutes", "1", "--out", "nowhere", "--only", "sleep"])
    assert "there is no part sleep; there are: tests, engines" in capsys.readouterr().err


def test_scikit_learns_default_is_wrong_in_784_dimensions_and_the_rivals_setting_is_not():
    """Why `peers` gives KernelDensity one leaf, as the page on speed says."""
    random = np.random.default_rng(0)
    x, samples = random.random((20, 784)), random.random((200, 784))
    ours = parzen.log_likelihood(x, samples, sigma=0.2).numpy()
    apart = abs(KernelDensity(bandwidth=0.2).fit(samples).score_samples(x) - ours)
    assert apart.max() > 1000
    one_leaf = KernelDensity(bandwidth=0.2, leaf_size=len(samples)).fit(samples)
    np.testing.assert_allclose(one_leaf.score_samples(x), ours, atol=1e-3)
