"""The content-security policy: the site works under it, and what gets into a page does not run."""

import functools
import http.server
import re
import runpy
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
from bs4 import BeautifulSoup
from selenium import webdriver
from test_site import open_page

from conftest import QuietHandler

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.slow  # a browser
POLICY = 'meta[http-equiv="Content-Security-Policy"]'
SAMPLE = ("search", "book/index", "book/convergence", "book/mnist")  # forms, all widgets, tables, formulas

# What a record or a notebook's output might bring, could it reach a page as HTML. Each tells of itself, by
# a mark on the page or a request to another host.
INJECTED = """
<script>document.documentElement.dataset.mark += " script"</script>
<script src="{there}script.js"></script>
<script type="module" src="{there}module.js"></script>
<script src="data:text/javascript,document.documentElement.dataset.mark += ' data'"></script>
<img src="{there}beacon.png" alt="">
<img src="data:," onerror="document.documentElement.dataset.mark += ' handler'" alt="">
<svg onload="document.documentElement.dataset.mark += ' svg'"></svg>
<style>@import url({there}style.css); article {{ background: url({there}background.png) }}</style>
<link rel="stylesheet" href="{there}sheet.css">
<iframe src="{there}frame.html" title="f"></iframe>
<object data="{there}object.svg"></object>
<video src="{there}video.mp4"></video>
<a id="link" href="javascript:void (document.documentElement.dataset.mark += ' link')">f</a>
"""


def refused(complaints: list[str]) -> list[str]:
    """What a browser's console says of policies."""
    return [one for one in complaints if "Content Security Policy" in one]


def test_each_page_states_the_policy_first(site: Path) -> None:
    found = [file for file in site.rglob("*.html") if "_static" not in file.relative_to(site).parts]
    assert site / "index.html" in found and site / "search.html" in found
    for file in found:
        html = file.read_text("utf-8")
        (policy,) = re.finditer(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">', html)
        assert not re.search(r"<(script|link|style|img|body)\b", html[: policy.start()]), file
        rules = dict(rule.split(maxsplit=1) for rule in policy[1].split("; "))
        assert rules["default-src"] == rules["base-uri"] == "'none'"
        assert not {"'unsafe-inline'", "'unsafe-eval'", "data:", "blob:"} & {*rules["script-src"].split()}
        assert not any("http" in sources or "*" in sources for sources in rules.values())


def test_no_page_breaks_it_when_opened_as_a_file(browser: webdriver.Chrome, site: Path) -> None:
    """Over http every page's console is read in test_site."""
    for page in SAMPLE:
        assert not refused(open_page(browser, f"{site.as_uri()}/{page}.html").complaints), page


@pytest.mark.soak
def test_no_page_at_all_breaks_it(
    browser: webdriver.Chrome, site: Path, pages: dict[str, BeautifulSoup]
) -> None:
    for page in pages:
        assert not refused(open_page(browser, f"{site.as_uri()}/{page}").complaints), page
        assert not browser.find_elements("css selector", ".math:not(:has(mjx-container))"), page


@pytest.fixture
def elsewhere() -> Iterator[tuple[str, list[str]]]:
    """Another host's address, and the paths that it was asked for."""
    asked: list[str] = []

    class Handler(QuietHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}/", asked
        server.shutdown()


@contextmanager
def served(folder: Path) -> Iterator[str]:
    handler = functools.partial(QuietHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.mark.parametrize("scheme", ["http", "file"])
def test_what_is_put_into_an_article_does_not_run(
    browser: webdriver.Chrome, site: Path, tmp_path: Path, elsewhere: tuple[str, list[str]], scheme: str
) -> None:
    """Nor is another host asked for anything; without the policy all of it would be."""
    there, asked = elsewhere
    (tmp_path / "book").mkdir()
    for name in ("_static", "_images"):
        (tmp_path / name).symlink_to(site / name)
    html = (site / "book/introduction.html").read_text("utf-8")
    page = tmp_path / "book/introduction.html"
    before, article, after = html.partition('<article class="bd-article">')
    page.write_text(before + article + INJECTED.format(there=there) + after, "utf-8")
    extension = runpy.run_path(str(ROOT / "book/_ext/policy.py"))
    extension["guard_pages"](SimpleNamespace(builder=SimpleNamespace(format="html"), outdir=tmp_path), None)
    guarded = page.read_text("utf-8")
    (policy,) = BeautifulSoup(guarded, "html.parser").select(POLICY)
    assert policy["content"] in html, "what the article brings has changed what is allowed"
    (tmp_path / "book/bare.html").write_text(re.sub(r"<meta http-equiv[^>]*>", "", guarded), "utf-8")

    def opened(root: str, name: str) -> tuple[set[str], set[str]]:
        asked.clear()
        seen = open_page(browser, f"{root}book/{name}.html")
        browser.execute_script("document.getElementById('link').click()")
        time.sleep(0.3)  # for what would come late
        mark = browser.execute_script("return document.documentElement.dataset.mark ?? ''")
        assert bool(refused(seen.complaints)) == (name != "bare")
        return set(mark.split()), set(asked)

    with served(tmp_path) if scheme == "http" else nullcontext(f"{tmp_path.as_uri()}/") as root:
        assert opened(root, "introduction") == (set(), set())
        ran, requested = opened(root, "bare")
    assert ran >= {"script", "data", "handler", "svg", "link"}
    kinds = ("script", "module", "beacon", "style", "background", "sheet", "frame", "object", "video")
    assert {Path(path).stem for path in requested} >= {*kinds}


def test_copying_and_printing_work_under_it(browser: webdriver.Chrome, address: str) -> None:
    open_page(browser, f"{address}book/rerun.html")
    browser.execute_script("""
        window.print = () => { window.printed = true }
        document.querySelector("button.copybtn").click()
        document.querySelector("button[onclick*=print]").click()""")
    assert browser.execute_script("return window.printed")
    assert not refused([log["message"] for log in browser.get_log("browser")])
    assert "success" in browser.find_element("css selector", "button.copybtn").get_attribute("class")
