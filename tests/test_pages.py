"""Every page in a browser, each opened once: a file of its own, as it takes the longest."""

import json
from collections.abc import Iterator
from importlib import resources

import pytest
from bs4 import BeautifulSoup
from selenium import webdriver
from test_site import open_page, seen_as

# A formula of its own scrolls inside itself; one in a line of text has to fit. Each icon that the theme asks
# for by its class is one of the style sheet's.
WRONG = """
    const cut = (math) =>
        math.querySelector("mjx-math")?.getBoundingClientRect().width > math.clientWidth + 1
    const undrawn = (icon) => getComputedStyle(icon).maskImage == "none"
    const width = document.documentElement.scrollWidth
    return [
        ...[...document.querySelectorAll(".math:not(:has(mjx-container)), mjx-merror")],
        ...[...document.querySelectorAll("span.math")].filter(cut),
        ...[...document.querySelectorAll("[class*='fa-']")].filter(undrawn),
    ].map((tag) => tag.outerHTML).concat(width > innerWidth ? [`${width} px wide`] : [])"""

UNFOLD = """
    const still = "<style>* { animation: none !important; transition: none !important }</style>"
    document.head.insertAdjacentHTML("beforeend", still)
    document.querySelectorAll("details").forEach((tag) => tag.open = true)
    document.querySelectorAll(".toggle-button-hidden").forEach((tag) => tag.click())
    const formulas = [...document.querySelectorAll("mjx-container")]  // left out: boxes of their size do
    const widths = formulas.map((tag) => tag.getBoundingClientRect().width)
    formulas.forEach((tag, i) => {
        tag.replaceChildren()
        tag.style.cssText = `display: inline-block; width: ${widths[i]}px`
    })"""

# A contrast is that of a text with the grounds behind it, and most texts of a page look the same: five of a
# kind stay to be seen, the others only keep their places.
FIVE_OF_A_KIND = """
    window.hiddenBefore?.forEach((tag) => tag.style.visibility = "")
    const grounds = new Map([[null, ""]]), seen = {}
    const ground = (tag) => {
        if (!grounds.has(tag)) {
            const style = getComputedStyle(tag)
            const own = [style.backgroundColor, style.backgroundImage, style.opacity, style.filter].join()
            const clear = own == "rgba(0, 0, 0, 0),none,1,none"
            grounds.set(tag, ground(tag.parentElement) + (clear ? "" : own + "/"))
        }
        return grounds.get(tag)
    }
    const repeated = (tag) => {
        const texts = [...tag.childNodes].filter((node) => node.nodeType == Node.TEXT_NODE)
        if (!texts.some((text) => text.data.trim())) return false
        const style = getComputedStyle(tag)
        const look = [style.color, style.fontSize, style.fontWeight, style.textShadow, ground(tag)].join()
        return (seen[look] = (seen[look] ?? 0) + 1) > 5
    }
    const tags = [...document.querySelectorAll("body *")]
        .filter((tag) => tag.checkVisibility({ visibilityProperty: true }))
    const hidden = window.hiddenBefore = tags.filter(repeated)
    tags.forEach((tag) => tag.style.visibility = "visible")
    hidden.forEach((tag) => tag.style.visibility = "hidden")"""

AXE = resources.files("selenium_axe_python") / "axe-core/axe.min.js"

# What depends on colours is seen on every fourth page, as pages share a style, and in `make soak` on all.
COLOURS = ["color-contrast", "link-in-text-block"]


def axe(browser: webdriver.Chrome, options: dict[str, object]) -> list[object]:
    """What axe-core finds serious on the open page; of formulas a reader's own software speaks."""
    options = {"resultTypes": ["violations"]} | options
    run = f"""axe.run({{ exclude: ["mjx-container"] }}, {json.dumps(options)}).then(
        (result) => arguments[0](result.violations))"""
    found = [v for v in browser.execute_async_script(run) if v["impact"] in ("serious", "critical")]
    return [(v["id"], [node["html"] for node in v["nodes"]]) for v in found]


def faults(browser: webdriver.Chrome, address: str, page: str, coloured: bool) -> Iterator[object]:
    """On a phone first, then wide, with what is folded unfolded, and the words found by a search marked."""
    with seen_as(browser, "light", 360):
        seen = open_page(browser, f"{address}{page}?q=MNIST")
        yield from () if seen.requests else ["no requests are seen"]
        yield from (url for url in seen.requests if not url.startswith((address, "data:")))
        yield from seen.complaints
        yield from browser.execute_script(WRONG)
        browser.execute_script(UNFOLD)
        browser.execute_script(AXE.read_text("utf-8"))
        yield from axe(browser, {"runOnly": ["scrollable-region-focusable"]})
    for theme in ("light", "dark") if coloured else ("light",):
        with seen_as(browser, theme):
            if browser.execute_script("return document.documentElement.dataset.theme") != theme:
                yield f"does not become {theme}"
            if theme == "light":
                yield from axe(browser, {"rules": {rule: {"enabled": False} for rule in COLOURS}})
            if coloured:
                browser.execute_script(FIVE_OF_A_KIND)
                yield from axe(browser, {"runOnly": COLOURS})


@pytest.mark.parametrize("step", [4, pytest.param(1, marks=pytest.mark.soak)])
def test_every_page(
    browser: webdriver.Chrome, address: str, pages: dict[str, BeautifulSoup], step: int
) -> None:
    browser.set_script_timeout(120)
    found = {page: [*faults(browser, address, page, i % step == 0)] for i, page in enumerate(pages)}
    assert any(soup.select(".math") for soup in pages.values())
    assert not {page: what for page, what in found.items() if what}
