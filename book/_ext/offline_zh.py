"""What the book asks of Sphinx beyond its settings: a site that stays offline, and good Chinese.

MathJax is served from the site itself; the search finds any Chinese phrase of the text; sentences
written one per source line are joined without a space; figures that are not the paper's have no
number; drawings follow the theme; proofs and statements without a number are in Chinese too.
"""

import re
import shutil
from importlib.resources import files
from itertools import chain, pairwise
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.locale import get_translation
from sphinx.search import SearchLanguage
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata
from sphinx_proof.nodes import unenumerable_node

HAN = r"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
PUNCTUATION = tuple("。，、；：？！…—」』”’）》】")

# What tex-chtml.js, the one way in that the pages use, may load at run time.
MATHJAX = ("tex-chtml.js", "a11y", "input/tex/extensions", "output/chtml/fonts/woff-v2", "sre")

# Black is either spelt out by Matplotlib or SVG's default. The colours with a meaning suit both
# grounds and stay as they are, which a filter over the image could not do.
DARK = """<style>@media (prefers-color-scheme: dark) {
  svg { fill: #fff }
  [style*="fill: #000000"] { fill: #fff !important }
  [style*="stroke: #000000"] { stroke: #fff !important }
}</style>"""


# A word, or a number with its points. Full-width letters are letters, and thousands may be set off:
# ＧＡＮ is GAN, and 10 000, 10,000 and the formula 10\,000 are 10000.
WORD = rf"[^\W{HAN}]+(?:\.\d+)*"
WIDE = r"[０-９Ａ-Ｚａ-ｚ．]"
THOUSANDS = r"(?<!\d)\d{1,3}(?:(?:[ ,\u00a0\u2009\u202f]|\\,)\d{3})+(?!\d)"


class HanSearch(SearchLanguage):
    """Han characters are indexed singly and in pairs of neighbours, words and numbers as they are.

    A page is found where it holds all pairs of the query: no dictionary that could cut the text in
    one way and the query in another. `split` reads the text and `js_splitter_code` the query, in place
    of Sphinx's own parser, which leaves out numbers, and finds titles for a query without words.
    """

    lang = "zh"
    language_name = "Chinese"
    js_splitter_code = rf"""
const narrow = (query) => query.trim()
  .replace(/{WIDE}/gu, (c) => String.fromCharCode(c.charCodeAt(0) - 0xfee0))
  .replace(/{THOUSANDS}/gu, (number) => number.replace(/\D/g, ""));
var splitQuery = (query) =>
  (query.match(/[{HAN}]+|(?:(?![{HAN}])[\p{{L}}\p{{N}}_])+(?:\.\d+)*/gu) || []).flatMap((word) =>
    /^[{HAN}]{{2}}/.test(word) ? [...word].slice(1).map((c, i) => word[i] + c) : [word]);
Search._parseQuery = (query) => {{
  const terms = new Set(splitQuery(narrow(query).toLowerCase()));
  localStorage.setItem("sphinx_highlight_terms", [...terms].join(" "));
  return [narrow(query), terms, new Set(), terms, terms];
}};
const find = Search._performSearch;
Search._performSearch = (query, terms, ...rest) => terms.size ? find(query, terms, ...rest) : [];
_ready(() => new URLSearchParams(location.search).get("q") === "" && Search.performSearch(""));
"""

    def split(self, input: str) -> list[str]:
        text = re.sub(WIDE, lambda c: chr(ord(c[0]) - 0xFEE0), input)
        joined = re.sub(THOUSANDS, lambda number: re.sub(r"\D", "", number[0]), text)
        runs = re.findall(f"[{HAN}]+", text)
        pairs = ("".join(pair) for run in runs for pair in pairwise(run))
        return [*re.findall(WORD, f"{text}\n{joined}"), *chain.from_iterable(runs), *pairs]

    def stem(self, word: str) -> str:
        return word.lower()

    def word_filter(self, word: str) -> bool:
        return True


class Proof(SphinxDirective):
    """`prf:proof`; sphinx-proof's own begins with "Proof." and gives every proof the same id."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        proof = nodes.container(classes=["proof-text"])
        self.state.nested_parse(self.content, self.content_offset, proof)
        if not (proof.children and isinstance(proof[0], nodes.paragraph)):
            proof.insert(0, nodes.paragraph())
        proof[0].insert(0, [nodes.strong("", "证明"), nodes.Text("：")])
        return [proof]


class UnnumberedFigure(nodes.figure):
    """Sphinx numbers nodes by their class, and this one is not on its list."""


def unnumber_figures(app: Sphinx, doctree: nodes.document) -> None:
    """Leave the numbers to figures with a label: those of the paper."""
    for figure in doctree.findall(nodes.figure):
        if not figure["names"]:
            figure.__class__ = UnnumberedFigure


def mend_statements(app: Sphinx, doctree: nodes.document) -> None:
    """Drop the ids that sphinx-proof repeats: of a statement's body, and of a title without number."""
    translate = get_translation("proof")  # sphinx-proof's own catalogue
    for statement in list(doctree.findall(nodes.Admonition)):
        if "realtype" not in statement:
            continue
        title, body = statement.children
        statement[1:] = body.children
        if isinstance(statement, unenumerable_node):
            statement.__class__ = nodes.admonition  # the title is ours: nothing to look up by its id
            title["ids"] = []
            name = str(translate(statement["realtype"].title()))
            title.insert(0, nodes.inline("", name, classes=["caption-number"]))


def join_sentences(app: Sphinx, doctree: nodes.document) -> None:
    """Drop the line break after full-width punctuation: a browser would show it as a space."""
    for text in doctree.findall(nodes.TextElement):
        text.children = text.children[:1] + [
            after
            for before, after in pairwise(text.children)
            if not (after == "\n" and before.astext().endswith(PUNCTUATION))
        ]


def keep_punctuation(app: Sphinx, doctree: nodes.document) -> None:
    """Let no line begin with the punctuation after a formula: browsers break a line there."""
    for math in list(doctree.findall(nodes.math)):
        text, place = math.parent, math.parent.index(math)
        after = next(iter(text[place + 1 :]), None)
        if isinstance(after, nodes.Text) and after.startswith(PUNCTUATION):
            kept = nodes.inline("", "", math, nodes.Text(after[0]), classes=["nowrap"])
            text[place : place + 2] = [kept, nodes.Text(after[1:])]


def copy_mathjax(app: Sphinx, exception: Exception | None) -> None:
    """Copy MathJax from the package sphinx-mathjax-offline into the built site."""
    if exception or app.builder.format != "html":
        return
    package = Path(str(files("sphinx-mathjax-offline"))) / "static/mathjax"
    for part in MATHJAX:
        target = Path(app.outdir, "_static/mathjax", part)
        target.parent.mkdir(parents=True, exist_ok=True)
        if (package / part).is_dir():
            shutil.copytree(package / part, target, dirs_exist_ok=True)
        else:
            shutil.copyfile(package / part, target)


def follow_theme(app: Sphinx, exception: Exception | None) -> None:
    """Turn the black of drawings white on a dark page: an SVG's own CSS knows what is around it."""
    for drawing in Path(app.outdir, "_images").glob("*.svg"):
        svg = drawing.read_text(encoding="utf-8")
        if DARK not in svg:
            drawing.write_text(svg.replace("</svg>", f"{DARK}</svg>"), encoding="utf-8")


def setup(app: Sphinx) -> ExtensionMetadata:
    app.add_search_language(HanSearch)
    app.add_directive_to_domain("prf", "proof", Proof, override=True)
    app.connect("doctree-read", unnumber_figures)
    app.connect("doctree-read", mend_statements)
    app.connect("doctree-read", join_sentences)
    app.connect("doctree-read", keep_punctuation)
    app.connect("build-finished", copy_mathjax)
    app.connect("build-finished", follow_theme)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
