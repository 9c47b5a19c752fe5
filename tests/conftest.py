"""What several modules' tests need."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy and torch: a worker's threads spin

import functools
import http.server
import shutil
import subprocess
import sysconfig
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from filelock import FileLock
from scipy.io import savemat

if TYPE_CHECKING:  # a GPU's machine has no browser
    from bs4 import BeautifulSoup
    from selenium import webdriver

ROOT = Path(__file__).resolve().parents[1]


def pytest_collection_modifyitems(items):
    """What needs the site is slow. The longest file, which builds it, comes first; then what needs it not."""

    def place(item):
        if item.path.name == "test_pages.py":
            return 0
        if item.path.suffix == ".ipynb":
            return 1
        return 2 if "site" in getattr(item, "fixturenames", ()) else 3

    items.sort(key=place)
    for item in items:
        if "site" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True)
def _unsynced(request, monkeypatch):
    """What tests write need not outlast a power cut, and waiting for the disk takes most of their time."""
    if "synced" not in request.keywords:
        monkeypatch.setattr("gan.durable.os.fsync", lambda number: None)


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A folder to stand in, with a book/results/ of its own."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "book/results").mkdir(parents=True)
    return tmp_path


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
def alone(tmp_path, monkeypatch):
    """A folder in which nothing was published, and a gan that stands in no checkout."""
    import gan

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(gan.runs, "__file__", str(tmp_path / "site-packages/gan/runs.py"))
    return tmp_path


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


QUIET = (
    "--headless=new --no-sandbox --disable-gpu --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-quic --disable-dev-shm-usage"
)


@pytest.fixture(scope="session")
def pages(site: Path) -> dict[str, BeautifulSoup]:
    """Every page by its path in the site; `index.html` in the root only leads to the cover."""
    from bs4 import BeautifulSoup

    files = [site / "search.html", *sorted(site.glob("book/**/*.html"))]
    return {
        file.relative_to(site).as_posix(): BeautifulSoup(file.read_text("utf-8"), "html.parser")
        for file in files
    }


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="session")
def address(site: Path) -> Iterator[str]:
    handler = functools.partial(QuietHandler, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    chromedriver = shutil.which("chromedriver")
    if not (chromium and chromedriver):
        if os.environ.get("CI") == "true":
            pytest.fail("Chromium and chromedriver are needed, and not found")
        pytest.skip("Chromium or chromedriver not found")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*QUIET.split(), f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(executable_path=chromedriver))
    driver.get("about:blank")  # not the page for new tabs, which is busy for a while
    yield driver
    driver.quit()
