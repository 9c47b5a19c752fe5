"""What several modules' tests need."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy and torch: a worker's threads spin

import subprocess
import sysconfig
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from scipy.io import savemat

ROOT = Path(__file__).resolve().parents[1]


def pytest_collection_modifyitems(items):
    """What needs the site is slow, and comes first: its files are the longest."""
    items.sort(key=lambda item: "site" not in getattr(item, "fixturenames", ()))
    for item in items:
        if "site" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.slow)


@pytest.fixture
def tfd():
    """Arrays as TFD_48x48.mat has them: 120 images, each marked by its number in its first pixel.

    Half are unlabeled; of the others each fold has 30 for training, 12 for validation and 18 for testing.
    """
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (120, 48, 48), dtype=np.uint8)
    images[:, 0, 0] = np.arange(120)
    parts = np.repeat(np.array([1, 2, 3], np.uint8), [30, 12, 18])
    folds = np.zeros((120, 5), np.uint8)
    labeled = rng.permutation(120)[:60]
    for fold in range(5):
        folds[labeled, fold] = rng.permutation(parts)
    labels = np.where(folds[:, 0] > 0, rng.integers(1, 8, 120), -1).astype(np.int16)
    return {"images": images, "labs_ex": labels[:, None], "folds": folds}


@pytest.fixture
def tfd_folder(tfd, tmp_path):
    savemat(tmp_path / "TFD_48x48.mat", tfd)
    return tmp_path


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The site, built strictly, by the first worker that needs it for all of them: the folder of its HTML."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # all workers'
    html = folder / "site"
    with FileLock(folder / "site.lock"):
        if not html.exists():
            output = tmp_path_factory.mktemp("jupyter-book")
            program = Path(sysconfig.get_path("scripts"), "jupyter-book")
            command = [program, "build", ROOT, "--path-output", output, "-W", "-n", "--keep-going"]
            build = subprocess.run(command, cwd=output, capture_output=True, text=True)
            assert build.returncode == 0, build.stdout + build.stderr
            (output / "_build/html").rename(html)
    return html
