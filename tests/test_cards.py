"""Cards beside links, the button that folds code, and what the site has to download."""

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urldefrag

import pytest
from bs4 import BeautifulSoup, Tag
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait
from test_site import open_page, seen_as

ROOT = Path(__file__).resolve().parents[1]
# What an id begins with says what it names, where the book numbers or lists it.
IDS = {
    "term": "term-",
    "equation": "equation-eq-",
    "statement": ("theorem-", "proposition-", "algorithm-"),
    "figure": "figure-",
    "table": "table-",
    "claim": "claim-",
    "citation": "ref-",
}
# One page's links of each kind.
SHOWN = {
    "term": ("mnist", "glossary.html#term-47"),
    "equation": ("global-optimality", "adversarial-nets.html#equation-eq-1"),
    "statement": ("global-optimality", "#theorem-1"),
    "figure": ("mnist", "#figure-2"),
    "table": ("mnist", "parzen.html#table-1"),
    "claim": ("mnist", "ledger.html#claim-73"),
    "citation": ("mnist", "references.html#ref-1-lecun1998gradient"),
}


def named(link: str) -> str | None:
    """The kind of what a link names, if it has a card."""
    name = urldefrag(link)[1]
    if re.match(r"(figure|table)-(?!\d+$)", name):  # a section
        return None
    return next((kind for kind, begins in IDS.items() if name.startswith(begins)), None)


def cards(soup: BeautifulSoup) -> dict[str, Tag]:
    return {str(tag["data-link"]): tag for tag in soup.select("body > template.card-of")}


def words(tag: Tag) -> str:
    """Its text, without the links to itself."""
    return re.sub(r"[\s#]", "", tag.get_text())


def test_every_reference_of_a_page_has_its_card(pages: dict[str, BeautifulSoup]) -> None:
    kinds = set()
    for page, soup in pages.items():
        links = {str(tag["href"]) for tag in soup.select("article a.reference.internal[href]")}
        wanted = {link for link in links if named(link)}
        assert set(cards(soup)) >= wanted, page
        kinds |= {named(link) for link in wanted}
    assert kinds == set(IDS)


def test_a_card_says_what_stands_where_its_link_leads(pages: dict[str, BeautifulSoup]) -> None:
    ids = {page: {tag["id"]: tag for tag in soup.select("[id]")} for page, soup in pages.items()}
    for page, soup in pages.items():
        for link, found in cards(soup).items():
            address, name = urldefrag(link)
            there = ids[str(Path(page).parent / address) if address else page][name]
            told = there.find_next_sibling("dd").find("p") if there.name == "dt" else there
            assert words(told) in words(found), (page, link)
            assert not found.select("a, [id], [href]"), (page, link)


def test_pages_whose_cards_have_formulas_can_set_them(pages: dict[str, BeautifulSoup]) -> None:
    found = {page for page, soup in pages.items() for card in cards(soup).values() if card.select(".math")}
    assert found
    assert not [page for page in found if not pages[page].select('script[src*="mathjax/"]')]


def test_pictures_of_cards_are_there(site: Path, pages: dict[str, BeautifulSoup]) -> None:
    found = {
        (page, i["src"]) for page in pages for card in cards(pages[page]).values() for i in card.select("img")
    }
    assert found
    assert not [
        (page, source) for page, source in found if not (site / page).parent.joinpath(source).is_file()
    ]


def test_cards_of_a_page_mended_before_are_made_anew(tmp_path: Path) -> None:
    extension = load("cards")
    (tmp_path / "book").mkdir()
    page = tmp_path / "book/a.html"
    link = '<a class="reference internal" href="b.html#claim-1">1</a>'
    page.write_text(f'<body><article class="bd-article">{link}</article></body>')
    app = SimpleNamespace(builder=SimpleNamespace(format="html"), outdir=tmp_path)
    for claim in ("One.", "Another.", "Another."):
        entry = f'<dl class="ledger"><dt id="claim-1">1</dt><dd><p>{claim}</p></dd></dl>'
        (tmp_path / "book/b.html").write_text(f'<body><article class="bd-article">{entry}</article></body>')
        extension.add_cards(app, None)
        (found,) = BeautifulSoup(page.read_text(), "html.parser").select("template")
        assert words(found) == f"1{claim}"


def load(name: str) -> SimpleNamespace:
    import importlib.util

    spec = importlib.util.spec_from_file_location(name, ROOT / f"book/_ext/{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# In the browser

STATE = """
    const card = document.getElementById("card"), box = card.getBoundingClientRect()
    const shown = !card.hidden && getComputedStyle(card).visibility == "visible"
    const inside = box.left >= 0 && box.right <= document.documentElement.clientWidth && box.top >= 0
        && box.bottom <= innerHeight
    const set = [...card.querySelectorAll(".math")].every((math) => math.querySelector("mjx-container"))
    const pictures = [...card.querySelectorAll("img")].every((image) => image.naturalWidth > 0)
    const described = document.querySelector("[aria-describedby='card']")?.getAttribute("href") ?? null
    return { shown, inside, set, pictures, described, text: card.textContent, path: location.pathname,
        hash: location.hash, role: card.getAttribute("role") }"""
BRING = """
    const link = [...document.querySelectorAll("article a.reference")].find((link) =>
        link.getAttribute("href") == arguments[0] && link.checkVisibility())
    link.scrollIntoView({ block: "center", behavior: "instant" })
    return link"""


def state(browser: webdriver.Chrome) -> SimpleNamespace:
    return SimpleNamespace(**browser.execute_script(STATE))


def wait(browser: webdriver.Chrome, shown: bool) -> SimpleNamespace:
    WebDriverWait(browser, 10, 0.03).until(lambda b: state(b).shown == shown)
    return state(browser)


def leave(browser: webdriver.Chrome) -> None:
    """Move the pointer to the window's corner."""
    actions = ActionChains(browser, duration=0)
    actions.w3c_actions.pointer_action.move_to_location(2, 2)
    actions.perform()


def tap(browser: webdriver.Chrome, link: object) -> None:
    x, y = browser.execute_script(
        "const [box] = arguments[0].getClientRects(); return [box.x + box.width / 2, box.y + box.height / 2]",
        link,
    )
    for kind, points in (("touchStart", [{"x": x, "y": y}]), ("touchEnd", [])):
        browser.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})


@pytest.fixture(params=[("light", 1280), ("dark", 390)], ids=["wide", "phone"])
def reader(browser: webdriver.Chrome, request: pytest.FixtureRequest) -> Iterator[webdriver.Chrome]:
    browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": True})
    with seen_as(browser, *request.param):
        yield browser
    browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": False})


def test_a_card_opens_by_mouse_by_keyboard_and_by_touch(reader: webdriver.Chrome, address: str) -> None:
    """One of each kind, in the window, its formulas set; it closes again; a second tap follows the link."""
    last = None
    for kind, (page, href) in sorted(SHOWN.items(), key=lambda shown: shown[1]):
        if page != last:
            open_page(reader, f"{address}book/{page}.html")
        last = page
        link = reader.execute_script(BRING, href)
        assert named(href) == kind

        ActionChains(reader, duration=0).move_to_element_with_offset(link, 0, 0).perform()
        seen = wait(reader, True)
        assert (seen.inside, seen.set, seen.pictures, seen.described) == (True, True, True, href), kind
        assert seen.role == "tooltip" and seen.text.strip()
        card = reader.find_element("id", "card")
        ActionChains(reader, duration=0).move_to_element(card).pause(0.4).perform()
        assert state(reader).shown, "a pointer on the card keeps it"
        leave(reader)
        assert wait(reader, False).described is None

        reader.execute_script("arguments[0].focus({ focusVisible: true })", link)
        assert wait(reader, True).inside
        ActionChains(reader).send_keys(Keys.ESCAPE).perform()
        assert not wait(reader, False).described
        reader.execute_script("arguments[0].blur()", link)

        before = state(reader)
        tap(reader, link)
        seen = wait(reader, True)
        assert (seen.path, seen.hash, seen.inside) == (before.path, before.hash, True), kind
        tap(reader, reader.find_element("css selector", "article h1")) if kind == "term" else None
        if kind == "term":
            wait(reader, False)
            continue
        if kind in ("statement", "citation"):
            tap(reader, link)
            name = f"#{href.partition('#')[2]}"
            WebDriverWait(reader, 10, 0.03).until(
                lambda b, name=name: b.execute_script("return location.hash") == name
            )
            last = None
        else:
            ActionChains(reader).send_keys(Keys.ESCAPE).perform()
            wait(reader, False)


FOLDED = (
    """return [...document.querySelectorAll("article .cell_input")].map((code) => code.checkVisibility())"""
)


def test_a_button_folds_the_code_and_the_next_page_remembers(browser: webdriver.Chrome, address: str) -> None:
    try:
        open_page(browser, f"{address}book/mnist.html")
        before = browser.execute_script(FOLDED)
        assert {*before} == {True, False}
        button = browser.find_element("css selector", ".code-button")
        assert button.accessible_name == "收起全部代码"
        button.click()
        assert {*browser.execute_script(FOLDED)} == {False}
        assert len(browser.find_elements("css selector", "details.hide > .cell_input")) == len(before)
        browser.execute_script("document.querySelectorAll('details.hide > summary')[1].click()")
        assert browser.execute_script(FOLDED).count(True) == 1
        button.click()
        assert browser.execute_script(FOLDED) == before
        assert len(browser.find_elements("css selector", "details.hide > .cell_input")) == before.count(False)
        button.click()

        open_page(browser, f"{address}book/speed.html")
        assert {*browser.execute_script(FOLDED)} == {False}
        button = browser.find_element("css selector", ".code-button")
        assert button.accessible_name == "显示代码"
        browser.execute_script("arguments[0].focus()", button)
        ActionChains(browser).send_keys(Keys.ENTER).perform()
        assert button.accessible_name == "收起全部代码"

        open_page(browser, f"{address}book/mnist.html")
        assert browser.execute_script(FOLDED) == before
        open_page(browser, f"{address}book/rerun.html")
        assert not browser.find_elements("css selector", ".code-button"), "a page without cells"
    finally:
        browser.execute_script("localStorage.removeItem('code')")


def test_what_cannot_be_remembered_is_folded_all_the_same(browser: webdriver.Chrome, address: str) -> None:
    forbidden = "Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('no') } })"
    script = browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": forbidden})
    try:
        browser.get(f"{address}book/mnist.html")
        browser.find_element("css selector", ".code-button").click()
        assert {*browser.execute_script(FOLDED)} == {False}
    finally:
        browser.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", script)


def test_the_zip_has_the_notebooks_of_the_book(site: Path, tmp_path: Path) -> None:
    packed = site / "_downloads/gan-book-notebooks.zip"
    committed = sorted((ROOT / "book").glob("*.ipynb"))
    with zipfile.ZipFile(packed) as archive:
        assert archive.testzip() is None
        found = {Path(name).name: archive.read(name) for name in archive.namelist()}
        assert {Path(name).parent.as_posix() for name in archive.namelist()} == {"gan-book-notebooks"}
    readme = found.pop("README.md").decode()
    assert found == {path.name: path.read_bytes() for path in committed}
    assert all(word in readme for word in ("3.11", "`gan`", "`book/results/`", "`requirements.txt`"))
    again = tmp_path / "again.zip"
    load("downloads").pack(committed[::-1], "", again)
    assert again.read_bytes() == packed.read_bytes()


def test_the_cover_and_the_page_on_rerunning_offer_it(pages: dict[str, BeautifulSoup]) -> None:
    for page in ("book/index.html", "book/rerun.html"):
        links = [tag["href"] for tag in pages[page].select("article a.reference")]
        assert "../_downloads/gan-book-notebooks.zip" in links
        assert len(pages[page].select("article span.offered-pdf:empty")) == 1  # book/build.py fills it


def test_the_scripts_stay_small_and_make_what_needs_them(pages: dict[str, BeautifulSoup]) -> None:
    for name in ("cards", "code"):
        assert len((ROOT / f"book/_static/{name}.js").read_text("utf-8").splitlines()) < 150
    for page, soup in pages.items():  # without scripts nothing is there that would do nothing
        assert not soup.select(".code-button, #card, [aria-describedby=card]"), page
