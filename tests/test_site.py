"""The site as a reader gets it: built strictly, then read as files and in a browser."""

import gzip
import json
import os
import re
import subprocess
import sysconfig
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import quote, unquote, urldefrag, urlsplit

import pytest
from bs4 import BeautifulSoup, Tag
from selenium import webdriver
from selenium.webdriver.support.wait import WebDriverWait

ROOT = Path(__file__).resolve().parents[1]


def local_target(page: str, link: str) -> str | None:
    """The path in the site, with the fragment, that a link leads to; None if it leads elsewhere."""
    if urlsplit(link).scheme or link.startswith("//"):
        return None
    address, fragment = urldefrag(link)
    path = os.path.normpath(Path(page).parent / unquote(urlsplit(address).path)) if address else page
    return f"{path}#{unquote(fragment)}"


def text_without(tag: Tag, unread: str) -> str:
    """The text of a tag but for what a selector finds in it."""
    left_out = {id(found) for found in tag.select(unread)}
    return "".join(text for text in tag.strings if left_out.isdisjoint(map(id, text.parents)))


def test_internal_links_and_images_resolve(site: Path, pages: dict[str, BeautifulSoup]) -> None:
    front = BeautifulSoup((site / "index.html").read_text("utf-8"), "html.parser")
    refresh = front.find("meta", {"http-equiv": re.compile("refresh", re.I)})
    links = [("index.html", refresh["content"].partition("url=")[2])]
    for page, soup in pages.items():
        links += [(page, tag["href"]) for tag in soup.select("[href]")]
        links += [(page, tag["src"]) for tag in soup.select("[src]")]
    ids = {page: {tag["id"] for tag in soup.select("[id]")} for page, soup in pages.items()}
    broken = []
    for page, link in links:
        if target := local_target(page, link):
            path, _, fragment = target.partition("#")
            anchored = not fragment or path not in pages or fragment in ids[path]
            if not (site / path).is_file() or not anchored:
                broken.append((page, link))
    assert not broken


def test_nothing_is_loaded_from_another_host(site: Path, pages: dict[str, BeautifulSoup]) -> None:
    remote = re.compile(r"\s*(https?:)?//")
    loading = ("script[src]", "img[src]", "iframe[src]", "source[src]", "video[src]", "embed[src]")
    found = [
        (page, tag)
        for page, soup in pages.items()
        for tag in soup.select(", ".join((*loading, "link[href]", "object[data]")))
        if remote.match(tag.get("src") or tag.get("href") or tag.get("data") or "")
    ]
    assert not found
    elsewhere = re.compile(r"""(url\(|@import)\s*["']?\s*(https?:)?//""")
    assert not [css for css in site.rglob("*.css") if elsewhere.search(css.read_text("utf-8"))]


def test_language_and_alternative_texts(pages: dict[str, BeautifulSoup]) -> None:
    assert {page: soup.html["lang"] for page, soup in pages.items()} == dict.fromkeys(pages, "zh-CN")
    images = [(page, image) for page, soup in pages.items() for image in soup.select("img")]
    assert len(images) >= 1
    # Where a notebook gives none (cell metadata mystnb.image.alt), myst-nb puts the file's name.
    named = re.compile(r"(^|/)_images/|\.(png|svg)$")
    assert not [i for i in images if not i[1].get("alt", "").strip() or named.search(i[1]["alt"])]


def prose(soup: BeautifulSoup) -> str:
    """The visible text of a page without code and formulas."""
    body = soup.select_one("article") or soup.select_one("main")
    return text_without(body, "pre, code, script, style, .math, .sig")


def test_prose_is_set_as_meant(pages: dict[str, BeautifulSoup]) -> None:
    for page, soup in pages.items():
        assert not re.search(r"\*\*|\ufffd", prose(soup)), page
        gaps = [p for p in soup.select("main p") if re.search(r"[。，；：？！”）]\n", p.get_text())]
        assert not gaps, page


def test_only_labelled_figures_are_numbered(pages: dict[str, BeautifulSoup]) -> None:
    for page, soup in pages.items():
        for figure in soup.select("figure:has(.caption-number)"):
            assert not re.fullmatch(r"id\d+", figure["id"]), f"{page}: {figure.get_text()}"


def test_ids_are_unique(pages: dict[str, BeautifulSoup]) -> None:
    for page, soup in pages.items():
        ids = Counter(tag["id"] for tag in soup.select("[id]"))
        assert set(ids.values()) <= {1}, f"{page}: {[name for name, n in ids.items() if n > 1]}"


def test_headings_are_in_order(pages: dict[str, BeautifulSoup]) -> None:
    for page, soup in pages.items():
        levels = [int(tag.name[1]) for tag in soup.select("article :is(h1, h2, h3, h4, h5, h6)")]
        assert page == "search.html" or (levels[0], levels.count(1)) == (1, 1), page
        assert all(after <= before + 1 for before, after in pairwise(levels)), page


def test_statements_are_named_in_chinese(pages: dict[str, BeautifulSoup]) -> None:
    for page, soup in pages.items():
        names = [tag.get_text() for tag in soup.select(".caption-number, .proof-text strong:first-child")]
        assert not [name for name in names if re.search("[A-Za-z]", name)], page
        assert not soup.find("p", string=re.compile(r"^Proof\b")), page


def test_numbers_are_those_of_the_paper(pages: dict[str, BeautifulSoup]) -> None:
    """A label says which of the paper's it is: `theorem-1`, `figure-1`, `eq-1`."""
    kinds = {"proposition": "命题", "theorem": "定理", "algorithm": "算法", "figure": "图", "table": "表"}
    for page, soup in pages.items():
        for name in soup.find_all(class_="caption-number", string=re.compile(r"\d")):
            kind, _, number = name.find_parent(id=True)["id"].rpartition("-")
            assert name.get_text().strip() == f"{kinds.get(kind)} {number}", page
        for number in soup.select(".eqno"):
            label = number.find_parent(id=True)["id"]
            assert label == f"equation-eq-{number.contents[0].strip('()')}", page


def test_what_is_numbered_is_linked(pages: dict[str, BeautifulSoup]) -> None:
    """Where the text names one of the paper's figures, tables and statements, it leads there."""
    numbered = {"图": 3, "表": 2, "算法": 1, "命题": 2, "定理": 1}
    for page, soup in pages.items():
        unread = "a, h1, h2, h3, pre, code, script, summary, .caption-number, .admonition-title"
        text = text_without(soup.select_one("article") or soup, unread)
        named = re.findall(r"(图|表|算法|命题|定理)\s?([1-9])(?![\d.])", text)
        assert not [f"{kind} {n}" for kind, n in named if int(n) <= numbered[kind]], page


def test_all_that_the_paper_numbers_is_there(pages: dict[str, BeautifulSoup]) -> None:
    ids = {tag["id"] for soup in pages.values() for tag in soup.select("[id]")}
    equations = {f"equation-eq-{n}" for n in range(1, 7)}
    figures = {f"figure-{n}" for n in (1, 2, 3)} | {"table-1", "table-2"}
    assert equations | figures | {"algorithm-1", "proposition-1", "proposition-2", "theorem-1"} <= ids
    sections = {"abstract", "introduction", "related-work", "advantages", "conclusions", "acknowledgements"}
    assert sections <= ids


def test_pages_with_formulas_say_that_they_need_scripts(pages: dict[str, BeautifulSoup]) -> None:
    told = {page for page, soup in pages.items() if "公式要靠 JavaScript" in str(soup.select("noscript p"))}
    assert told == {page for page, soup in pages.items() if soup.select(".math")} and told < set(pages)
    assert {len(pages[page].select("article > noscript")) for page in told} == {1}


@pytest.mark.slow
@pytest.mark.parametrize(
    "address", ["", "https://github.com/example/gan-book", "https://gitlab.com/example/gan-book"]
)
def test_one_setting_brings_what_leads_to_the_repository(tmp_path: Path, address: str) -> None:
    config = (ROOT / "_config.yml").read_text("utf-8")
    assert config.count('url: ""') == 1
    (tmp_path / "_config.yml").write_text(config.replace('url: ""', f'url: "{address}"'), "utf-8")
    (tmp_path / "_toc.yml").write_text("format: jb-book\nroot: book/speed\n")
    (tmp_path / "book").mkdir()
    for name in ("_ext", "_static", "references.bib"):
        (tmp_path / "book" / name).symlink_to(ROOT / "book" / name)
    notebook = {"cells": [{"cell_type": "markdown", "metadata": {}, "source": "# 题"}], "metadata": {}}
    (tmp_path / "book/speed.ipynb").write_text(json.dumps(notebook | {"nbformat": 4, "nbformat_minor": 4}))
    program = Path(sysconfig.get_path("scripts"), "jupyter-book")
    subprocess.run([program, "build", "-q", tmp_path], cwd=tmp_path, check=True, capture_output=True)
    page = (tmp_path / "_build/html/book/speed.html").read_text("utf-8")
    links = [tag["href"] for tag in BeautifulSoup(page, "html.parser").select("a[href]")]
    for there in (f"{address}/issues", "mybinder.org", f"{address}/"):
        assert any(there in link for link in links if link.startswith("https:")) == bool(address)
    opened = [link for link in links if "colab.research.google.com" in link]
    assert bool(opened) == ("github" in address)  # it opens no other's notebooks
    assert not opened or opened[0].endswith("/github/example/gan-book/blob/main/book/speed.ipynb")
    assert ("勘误与联系" in page) == bool(address)
    assert "executablebooks" not in page
    assert "Issue%20on" not in page


# In the browser


def complaints(browser: webdriver.Chrome) -> list[str]:
    """What the console says, but for what `untypeset` keeps away."""
    told = [entry["message"] for entry in browser.get_log("browser") if entry["level"] != "INFO"]
    return [message for message in told if "net::ERR_BLOCKED_BY_CLIENT" not in message]


@contextmanager
def untypeset(browser: webdriver.Chrome) -> Iterator[None]:
    """Formulas stay as TeX: to set them is most of what a page's loading takes."""
    browser.execute_cdp_cmd("Network.setBlockedURLs", {"urls": ["*/mathjax/*"]})
    try:
        yield
    finally:
        browser.execute_cdp_cmd("Network.setBlockedURLs", {"urls": []})


def open_page(browser: webdriver.Chrome, url: str) -> SimpleNamespace:
    """Open a page, wait for its formulas; what it requested and what it had to complain about."""
    browser.get_log("performance"), browser.get_log("browser")
    browser.get(url)
    formulas = "(window.MathJax?.startup?.promise ?? Promise.resolve())"
    browser.execute_async_script(f"{formulas}.then(arguments[0])")
    events = [json.loads(e["message"])["message"] for e in browser.get_log("performance")]
    sent = [e["params"] for e in events if e["method"] == "Network.requestWillBeSent"]
    requests = [event["request"]["url"] for event in sent]
    return SimpleNamespace(requests=requests, complaints=complaints(browser))


def test_the_first_page_is_light(browser: webdriver.Chrome, address: str, site: Path) -> None:
    """Below 1 MB in all, as a server sends it: text compressed, pictures and fonts as they are."""
    seen = open_page(browser, f"{address}book/index.html")
    files = [site / urlsplit(url).path.lstrip("/") for url in set(seen.requests) if url.startswith(address)]
    packed = {".png", ".woff", ".woff2"}
    sizes = {f: len(f.read_bytes() if f.suffix in packed else gzip.compress(f.read_bytes())) for f in files}
    assert site / "book/index.html" in sizes
    assert sum(sizes.values()) < 1e6, sizes


def test_names_of_buttons_are_chinese(pages: dict[str, BeautifulSoup]) -> None:
    """All but the titles of links in the text: a module's name, a paper's."""
    for page, soup in pages.items():
        tags = soup.select("body :is([title], [aria-label]):not(article a.reference)")
        names = [tag[key] for tag in tags for key in ("title", "aria-label") if tag.has_attr(key)]
        assert names
        assert not [name for name in names if not re.search(r"[\u4e00-\u9fff]", name)], page


def test_scripts_name_buttons_in_chinese(browser: webdriver.Chrome, address: str) -> None:
    """Also those that a script makes: to unfold and to copy."""
    named = """return [...document.querySelectorAll("button, input, [data-tooltip]")].flatMap((tag) =>
        ["title", "aria-label", "data-tooltip", "data-bs-original-title", "placeholder"].map((name) =>
            tag.getAttribute(name))).filter(Boolean)"""
    for page in ("search", "book/index", "book/mnist"):
        open_page(browser, f"{address}{page}.html")
        names = browser.execute_script(named)
        assert names
        assert not [name for name in names if not re.search(r"[\u4e00-\u9fff]", name)]


@contextmanager
def seen_as(browser: webdriver.Chrome, theme: str = "light", width: int = 1280) -> Iterator[None]:
    """With a screen so wide, of a reader who has asked for this theme."""
    media = {"features": [{"name": "prefers-color-scheme", "value": theme}]}
    screen = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    try:
        yield
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_lines_have_about_forty_characters(browser: webdriver.Chrome, address: str) -> None:
    """Chinese characters are as wide as they are high; the browser sets Latin words off from them."""
    measure = """return [...document.querySelectorAll("article section > p")].map((text) => {
        const style = getComputedStyle(text)
        return [parseFloat(style.width) / parseFloat(style.fontSize), style.textAutospace] })"""
    for width in (1280, 1920):
        with seen_as(browser, width=width):
            open_page(browser, f"{address}book/introduction.html")
            lines = browser.execute_script(measure)
            assert lines
            assert {(38 <= characters <= 42, spaced) for characters, spaced in lines} == {(True, "normal")}


def test_a_reader_without_scripts_is_told_what_the_formulas_need(
    browser: webdriver.Chrome, address: str
) -> None:
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.get(f"{address}book/global-optimality.html")
        text = browser.find_element("css selector", "article").text
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    assert text.startswith("本页的公式要靠 JavaScript 排版") and r"\(" in text


def test_a_page_is_printed_black_on_white_without_buttons(browser: webdriver.Chrome, address: str) -> None:
    shown = """
        const shown = (tags) => [...document.querySelectorAll(tags)].filter((tag) => tag.checkVisibility())
        return [shown("button, input, summary, .headerlink").map((tag) => tag.outerHTML),
            [...new Set(shown("article p").map((tag) => getComputedStyle(tag).color))]]"""
    with seen_as(browser, "dark"):
        open_page(browser, f"{address}book/mnist.html")
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
        try:
            buttons, colours = browser.execute_script(shown)
        finally:
            browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    assert not buttons
    assert set(colours) <= {"rgb(0, 0, 0)", "rgb(68, 68, 68)"}


def search(browser: webdriver.Chrome, address: str, query: str) -> set[str]:
    """The pages that the site's search finds, without what it would quote of them: that takes the longest."""
    browser.execute_cdp_cmd("Network.setBlockedURLs", {"urls": [f"{address}book/*"]})
    try:
        browser.get(f"{address}search.html?q={quote(query)}")
        summary = "return document.querySelector('.search-summary')?.innerText"
        WebDriverWait(browser, 10, 0.05).until(lambda b: b.execute_script(summary))
    finally:
        browser.execute_cdp_cmd("Network.setBlockedURLs", {"urls": []})
    hits = "return [...document.querySelectorAll('#search-results li a')].map((link) => link.href)"
    return {urlsplit(hit).path.lstrip("/") for hit in browser.execute_script(hits)}


def test_search_finds_chinese_and_latin_words(
    browser: webdriver.Chrome, address: str, pages: dict[str, BeautifulSoup]
) -> None:
    texts = {page: prose(soup).lower() for page, soup in pages.items() if page != "search.html"}
    chinese = ["判别器", "别器", "生成对抗网络", "极小极大博弈", "随机梯度"]
    searched = 0
    for word in [*chinese, "maxout", "Parzen", "MNIST", "Generative"]:
        if expected := {page for page, text in texts.items() if word.lower() in text}:
            assert search(browser, address, word) >= expected, word
            searched += 1
    assert searched >= 4
    assert not search(browser, address, "量子色动力学")


def test_search_finds_numbers_however_they_are_set_off(
    browser: webdriver.Chrome, address: str, pages: dict[str, BeautifulSoup]
) -> None:
    texts = {page: prose(soup) for page, soup in pages.items() if page != "search.html"}
    thousands = r"10[ ,\u00a0\u202f]?000(?!\d)"
    for query, pattern in (
        *((n, rf"(?<![\d.]){re.escape(n)}(?![\d.])") for n in ("225", "2014", "784", "0.5", "0.99998")),
        *((n, rf"(?<!\d){thousands}") for n in ("10000", "10 000", "10,000", "１００００")),
    ):
        expected = {page for page, text in texts.items() if re.search(pattern, text)}
        assert expected and search(browser, address, query) >= expected, query
    assert search(browser, address, "0.5") != search(browser, address, "5")
    assert not search(browser, address, "31415926")


def test_search_reads_full_width_letters(browser: webdriver.Chrome, address: str) -> None:
    for wide, narrow in (("ＧＡＮ", "GAN"), ("Ｐａｒｚｅｎ 窗", "Parzen 窗"), ("２２５", "225")):
        found = search(browser, address, wide)
        assert found and found == search(browser, address, narrow)


def test_search_for_nothing_says_that_nothing_was_found(browser: webdriver.Chrome, address: str) -> None:
    for query in ("", " ", "\u3000", "。", "-"):
        assert not search(browser, address, query)
        assert re.search("[\u4e00-\u9fff]", browser.find_element("css selector", ".search-summary").text)


def test_the_lines_of_an_algorithm_are_counted(
    browser: webdriver.Chrome, address: str, pages: dict[str, BeautifulSoup]
) -> None:
    """The style sheet writes the numbers; those who listen get them as well."""
    for page, soup in pages.items():
        if lines := soup.select(".algorithm li"):
            open_page(browser, address + page)
            nodes = browser.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
            spoken = {node["nodeId"]: node for node in nodes}
            boxes = [spoken[i] for n in nodes if n["role"]["value"] == "listitem" for i in n["childIds"]]
            inside = [spoken[i] for box in boxes for i in box["childIds"]]
            own = [node for node in inside if "name" in node and node["role"]["value"] != "link"]
            texts = [node["name"]["value"] for node in own]
            numbers = [text for text in texts if text.isdecimal()]
            assert sorted(map(int, numbers)) == list(range(1, len(lines) + 1)), page


def test_the_theme_switch_turns_the_ground_black(browser: webdriver.Chrome, address: str) -> None:
    open_page(browser, f"{address}book/index.html")
    theme = "return document.documentElement.dataset.theme"
    ground = "return getComputedStyle(document.body).backgroundColor"
    seen = set()
    for _ in range(3):  # auto, light, dark
        browser.execute_script("document.querySelector('.theme-switch-button').click()")
        seen.add((browser.execute_script(theme), browser.execute_script(ground)))
    assert seen == {("light", "rgb(255, 255, 255)"), ("dark", "rgb(0, 0, 0)")}
