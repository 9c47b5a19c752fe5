"""The package as its users have it: built, installed alone, and called in a folder of theirs.

That is inside another git repository, has spaces and Chinese characters in its name, and the environment has
none of the extras' packages. The dependencies are those of the environment that runs the tests; `make soak`
installs them anew, by pip alone.
"""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
MADE = (
    ".git",
    ".venv",
    "_build",
    "build",
    "dist",
    "runs",
    ".*cache",
    "__pycache__",
    "*.egg-info",
    ".hypothesis",
)
EXTRAS = (  # and not what others look for among the modules that are there, as SciPy does for sphinx
    *("IPython", "matplotlib_inline", "ipykernel", "papermill", "nbformat", "nbclient", "jupyter_book"),
    *("selenium", "bs4", "pypdf", "pypdfium2", "nbval"),
)
BUILD = "import sys; from setuptools import build_meta; getattr(build_meta, sys.argv[1])(sys.argv[2])"
CALLS = """
import contextlib, importlib.metadata, io, json, sys
import gan
from gan.__main__ import main

print(json.dumps([gan.__file__, importlib.metadata.version("gan-book")]))
for arguments in json.loads(sys.argv[1]):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(arguments)
        except SystemExit as stop:  # --help
            code = stop.code
    print(json.dumps([code, out.getvalue(), err.getvalue()]))
try:
    gan.published("mnist")
except FileNotFoundError as error:
    print(json.dumps([2, "", f"gan: {error}\\n"]))
"""
TINY = ("-p", "epochs", "2", "-p", "batch_size", "20", "-p", "valid", "20")
RUN = "runs/digits-valid=20-epochs=2-batch_size=20"
CHECKOUT = "in a checkout"
WORKS = {
    "--help": ("train", "evaluate", "publish"),
    "train --help": ("digits", "learning_rate", "--data-dir"),
    " ".join(["train digits", *TINY]): (RUN, "commit unknown"),
    f"evaluate {RUN}": ("mean", "standard_error"),
    " ".join(["train digits -p dataset mine", *TINY]): ("runs/digits-dataset=mine-", "commit unknown"),
}
REFUSED = {
    "bench": CHECKOUT,
    f"publish {RUN} digits": CHECKOUT,
    "sweep digits --follow": CHECKOUT,
    "yardsticks digits": CHECKOUT,
    "train mnits": "did you mean mnist?",
    "train digits -p dataset mein": "there is no data set 'mein'; there are: mnist, tfd, ",
    "train digits --data-dir nowhere -p dataset mine": "there is no data folder nowhere",
    "evaluate nowhere": "nowhere is no run",
}


def run(*command, **how):
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, encoding="utf-8", **how)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The sdist, unpacked, with the wheels from it and from a copy of these files."""
    folder = tmp_path_factory.mktemp("built")
    source = folder / "source"
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(*MADE))
    run(sys.executable, "-c", BUILD, "build_sdist", folder, cwd=source)
    (sdist,) = folder.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    unpacked = folder / sdist.name.removesuffix(".tar.gz")
    for name, tree in (("wheel", source), ("sdist", unpacked)):
        run(sys.executable, "-c", BUILD, "build_wheel", folder / name, cwd=tree)
    return folder, sdist, unpacked


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder inside somebody's git repository, with an environment and a picture data set in it."""
    repository = tmp_path_factory.mktemp("others") / "我的 项目 (1)"
    folder = repository / "图 像"
    folder.mkdir(parents=True)
    (repository / "own.py").write_text("print(1)\n")
    if shutil.which("git"):
        who = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
        for command in (["init", "-q"], ["add", "own.py"], [*who, "commit", "-qm", "Ours"]):
            run("git", *command, cwd=repository)
    x = np.random.default_rng(0).integers(0, 256, (90, 5, 7, 3), dtype=np.uint8)
    np.savez(folder / "mine.npz", x_train=x[:60], x_test=x[60:])
    run(sys.executable, "-m", "venv", "--without-pip", repository / ".venv")
    return folder, repository / ".venv"


def environment(folder, venv):
    kept = {name: os.environ[name] for name in ("SYSTEMROOT", "TMPDIR") if name in os.environ}
    path = os.pathsep.join([str(venv / "bin"), os.environ["PATH"]])
    return kept | {"PATH": path, "HOME": str(venv), "GAN_DATA_DIR": str(folder), "OMP_NUM_THREADS": "1"}


def borrow(venv):
    """Let ``venv`` import what this environment has, but for this package and what only extras need."""
    (packages,) = venv.glob("lib/python3*/site-packages")
    folders = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    hidden = f"import sys; sys.modules.update(dict.fromkeys({EXTRAS}))"
    (packages / "borrowed.pth").write_text("\n".join([*folders, hidden, ""]), "utf-8")


def check(folder, venv):
    """All that works, and all that is refused in one line, in ``folder`` with what ``venv`` has."""
    of_theirs = {"cwd": folder, "env": environment(folder, venv)}
    shutil.rmtree(folder / "runs", ignore_errors=True)
    assert "usage: gan " in run(venv / "bin/gan", "--help", **of_theirs)
    calls = json.dumps([line.split() for line in (*WORKS, *REFUSED)])
    said = run(venv / "bin/python", "-c", CALLS, calls, **of_theirs)
    (where, version), *told = map(json.loads, said.splitlines())
    assert str(venv) in where and [*venv.glob(f"lib/python3*/site-packages/gan_book-{version}.dist-info")]
    for (line, words), (code, out, err) in zip(WORKS.items(), told[: len(WORKS)], strict=True):
        assert code == 0 and all(word in out for word in words), (line, out, err)
    refused = REFUSED | {"gan.published": CHECKOUT}
    for (line, words), (code, out, err) in zip(refused.items(), told[len(WORKS) :], strict=True):
        assert (code, out, err.count("\n")) == (2, "", 1) and err.startswith("gan: "), (line, out, err)
        assert words in err, (line, err)
    assert sorted(os.listdir(folder)) == ["mine.npz", "runs"]
    records = [json.loads(path.read_text("utf-8")) for path in folder.glob("runs/*/run.json")]
    assert [record["commit"] for record in records] == [None, None]  # and not that of their repository


@pytest.mark.slow
def test_the_sdist_holds_all_files_that_the_tests_may_need(built):
    _, sdist, _ = built
    with tarfile.open(sdist) as archive:
        there = {entry.name.partition("/")[2] for entry in archive if entry.isfile()}
    if (ROOT / ".git").exists():
        needed = set(run("git", "ls-files", "-z", cwd=ROOT).split("\0")) - {""}
        needed = {name for name in needed if (ROOT / name).exists()}
    else:
        needed = {"tests/conftest.py", "book/claims.yml", "benchmarks/bench.py", "examples/algorithm1.py"}
    assert not needed - there
    made = ("PKG-INFO", "setup.cfg", "MANIFEST.in", "gan_book.egg-info/")
    assert not {name for name in there - needed if not name.startswith(made)} or not (ROOT / ".git").exists()


def test_from_the_sdist_comes_what_comes_from_a_checkout(built):
    folder, _, _ = built
    contents = []
    for name in ("wheel", "sdist"):
        (wheel,) = (folder / name).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            contents.append({entry.filename: entry.CRC for entry in archive.infolist()})
    assert contents[0] == contents[1]
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "gan").rglob("*.py")}
    assert modules | {"gan/py.typed"} == {name for name in contents[0] if "dist-info" not in name}


@pytest.mark.slow
def test_installed_alone_it_trains_evaluates_and_says_what_needs_a_checkout(built, place):
    (wheel,) = (built[0] / "sdist").glob("*.whl")
    folder, venv = place
    options = ("--no-deps", "--no-index", "--quiet", "--disable-pip-version-check")
    run(sys.executable, "-m", "pip", "--python", venv / "bin/python", "install", *options, wheel)
    borrow(venv)
    check(folder, venv)


@pytest.mark.soak
def test_pip_installs_all_that_it_needs(built, place, tmp_path):
    (folder, sdist, _), (theirs, _) = built, place
    venv = tmp_path / "新 环境"
    run(sys.executable, "-m", "venv", venv)
    pip = (venv / "bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    run(*pip, *(folder / "wheel").glob("*.whl"), cwd=theirs)
    check(theirs, venv)
    run(*pip, "--force-reinstall", "--no-deps", sdist, cwd=theirs)
    check(theirs, venv)


@pytest.mark.soak
def test_the_tests_run_in_the_sdist(built):
    _, _, unpacked = built
    quick = ("-q", "-m", "not slow and not soak", "-p", "no:cacheprovider", "tests")
    there = os.environ | {"PYTHONPATH": str(unpacked)}
    assert " passed" in run(sys.executable, "-m", "pytest", *quick, cwd=unpacked, env=there)
