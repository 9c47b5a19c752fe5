"""What axe-core says of every page, in a browser: a file of its own, as it takes the longest."""

import json
from importlib import resources

import pytest
from bs4 import BeautifulSoup
from selenium import webdriver
from test_site import open_page, seen_as

# All rules of axe-core as most readers see the pages; those that depend on colours or room once more, on
# every fourth page, as pages share their styles, and in `make soak` on all.
CONTRAST = {"runOnly": ["color-contrast"]}
ONCE_MORE = [
    ("light", 1280, CONTRAST),
    ("dark", 1280, CONTRAST),
    ("light", 360, {"runOnly": ["scrollable-region-focusable"]}),
]
AXE = [
    ("light", 1280, {"rules": {"color-contrast": {"enabled": False}}}, 1),
    *((*seen, 4) for seen in ONCE_MORE),
    *(pytest.param(*seen, 1, marks=pytest.mark.soak) for seen in ONCE_MORE),
]

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
    const visibility = tags.map((tag) => repeated(tag) ? "hidden" : "visible")
    tags.forEach((tag, i) => tag.style.visibility = visibility[i])"""


@pytest.mark.parametrize(("theme", "width", "rules", "step"), AXE)
def test_axe_finds_nothing_serious(
    browser: webdriver.Chrome,
    address: str,
    pages: dict[str, BeautifulSoup],
    theme: str,
    width: int,
    rules: dict[str, object],
    step: int,
) -> None:
    """With what is folded unfolded, and the words found by a search marked: the search page comes first."""
    axe = (resources.files("selenium_axe_python") / "axe-core/axe.min.js").read_text("utf-8")
    options = {"resultTypes": ["violations"]} | rules
    run = f"""axe.run({{ exclude: ["mjx-container"] }}, {json.dumps(options)}).then(
        (result) => arguments[0](result.violations))"""
    browser.set_script_timeout(120)
    with seen_as(browser, theme, width):
        for page in [*pages][::step]:
            open_page(browser, f"{address}{page}?q=MNIST")
            assert browser.execute_script("return document.documentElement.dataset.theme") == theme
            browser.execute_script(UNFOLD)
            if rules is CONTRAST:
                browser.execute_script(FIVE_OF_A_KIND)
            browser.execute_script(axe)
            found = [v for v in browser.execute_async_script(run) if v["impact"] in ("serious", "critical")]
            assert not [(v["id"], [node["html"] for node in v["nodes"]]) for v in found], page
