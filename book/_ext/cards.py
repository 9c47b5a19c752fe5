"""Cards: a link's term, equation, statement, figure, table, claim or citation, to be shown beside it.

When the site is built, each page gets one `<template>` at its end for each of its links to such a thing,
made of the book's own text; `_static/cards.js` shows it on hover, focus and tap. Without scripts, and on
paper, a template is nothing.
"""

import os
import re
from copy import copy
from functools import cache
from html import unescape
from pathlib import Path
from urllib.parse import unquote, urldefrag

from bs4 import BeautifulSoup, Tag
from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata

ARTICLE = re.compile(r'<article class="bd-article">.*?</article>', re.S)
LINK = re.compile(r'<a class="reference internal" href="([^":]*#[^"]+)"')
CARD = re.compile(r'<template class="card-of".*?</template>\n', re.S)
# What has a card: the element to which a link leads.
NAMED = {
    "term": "dl.glossary > dt[id]",
    "equation": "div.math[id]",
    "statement": ".proof.admonition[id]",
    "figure": "figure[id]:has(.caption-number)",
    "table": "table[id]:has(.caption-number)",
    "claim": "dl.ledger > dt[id]",
    "citation": ".references li[id]",
}


def group(name: Tag) -> list[Tag]:
    """All names of what a list defines, and the definition, by one of the names."""
    names = [name]
    for before in name.find_previous_siblings(["dt", "dd"]):
        if before.name == "dd":
            break
        names.insert(0, before)
    for after in name.find_next_siblings(["dt", "dd"]):
        names.append(after)
        if after.name == "dd":
            break
    return names


def card(target: Tag, moved: str) -> str:
    """A card's HTML: a copy without ids and links, with the note alone of a claim's record.

    The page of ``target`` is in the folder ``moved``, seen from the card's.
    """
    box = Tag(name="div")
    for part in group(target) if target.name == "dt" else [target]:
        box.append(copy(part))
    for record in box.select("dl.record"):
        notes = [term.find_next_sibling("dd") for term in record.select("dt") if term.get_text() == "说明"]
        for note in notes:
            note.name, note["class"] = "div", "card-note"
        record.replace_with(*notes)
    for tag in box.select(".headerlink, script, style, iframe, object"):  # a card shows, and runs nothing
        tag.decompose()
    for name in box.find_all("dt", recursive=False):
        name.name, name["class"] = "p", "card-name"
    for tag in [*box.find_all(["dd", "li"], recursive=False), *box.select("a, a > span.std")]:
        tag.unwrap()
    for tag in box.find_all(True):
        tag.attrs = {name: value for name, value in tag.attrs.items() if name in ("class", "src", "alt")}
        classes = tag.get("class", [])
        if "caption-number" in classes or "eqno" in classes:  # these are on the page where the thing is
            tag.name, tag["class"] = "b", "card-number"
        if tag.name == "img":
            tag["src"] = os.path.normpath(os.path.join(moved, tag["src"]))
    return re.sub(r"\s*\n\s*", "\n", box.decode_contents()).strip()


def add_cards(app: Sphinx, exception: Exception | None) -> None:
    if exception or app.builder.format != "html":
        return

    @cache
    def named(page: Path) -> dict[str, Tag]:
        found = ARTICLE.search(page.read_text("utf-8")) if page.is_file() else None
        soup = BeautifulSoup(found[0] if found else "", "html.parser")
        return {str(tag["id"]): tag for tag in soup.select(", ".join(NAMED.values()))}

    for page in sorted(Path(app.outdir).rglob("*.html")):
        html = page.read_text("utf-8")
        article = ARTICLE.search(html)
        cards = []
        for link in dict.fromkeys(LINK.findall(article[0] if article else "")):
            address, name = urldefrag(unescape(link))
            there = Path(os.path.normpath(page.parent / unquote(address))) if address else page
            if target := named(there).get(unquote(name)):
                moved = os.path.relpath(there.parent, page.parent)
                told = card(target, moved)
                cards.append(f'<template class="card-of" data-link="{link}">{told}</template>\n')
        before, body, after = CARD.sub("", html).rpartition("</body>")
        if (mended := before + "".join(cards) + body + after) != html:
            page.write_text(mended, "utf-8")


def setup(app: Sphinx) -> ExtensionMetadata:
    app.add_js_file("cards.js", loading_method="defer")
    app.connect("build-finished", add_cards)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
