"""The ledger of the paper's claims, book/claims.yml, on the pages.

`{ledger}` is the whole of it, by section; `{ledger} counts` says how many claims have which verdict;
`{claims} KEY` is the box that closes a chapter; the role `{claim}`12`` marks the sentence that makes claim
12, with its verdict, and leads to the evidence. Evidence is linked by ordinary references, so that a strict
build names what does not resolve; nor does it take a mark of no claim, or the same mark twice.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from docutils import nodes
from docutils.parsers.rst import directives
from results import comparable, figure, schedule
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective, SphinxRole
from sphinx.util.nodes import make_refnode
from sphinx.util.typing import ExtensionMetadata

logger = logging.getLogger(__name__)

VERDICTS = {
    "已证明": ("proved", "书中有证明。"),
    "数值成立": (
        "numerical",
        "没有一般的证明，或者不是数学命题；旁边的代码算出的结果与它一致，每次测试都重新核对。",
    ),
    "已复现": ("reproduced", "重做了论文的实验，得到同样的结果。"),
    "部分复现": ("partly", "重做了，只得到一部分；做到哪里，写在说明里。"),
    "未能复现": ("failed", "重做了，没有得到论文的结果；得到了什么，写在说明里。"),
    "被后来工作否定或限定": (
        "qualified",
        "2014 年以后的研究，或者本书的更正，表明它不成立，或者只在某些条件下成立；句子旁边简写作“限定”。",
    ),
    "此处无法检验": ("untested", "本书没有检验；为什么，写在说明里；句子旁边简写作“未检验”。"),
}
SHORT = {"被后来工作否定或限定": "限定", "此处无法检验": "未检验"}
NEEDS_NOTE = ("部分复现", "未能复现", "被后来工作否定或限定", "此处无法检验")
SOURCES = {"paper": "", "configuration": "作者公开的配置", "book": "本书另问"}
KINDS = {
    "text": "原文",
    "proof": "证明",
    "formal": "Coq",
    "live": "检验",
    "run": "运行",
    "test": "测试",
    "cite": "文献",
}
METRICS = {"parzen": "", "parzen_best": "验证最好的一轮", "parzen_last": "最后的权重"}

Claim = Mapping[str, Any]


@cache
def parsed(text: str) -> dict[str, Any]:
    ledger: dict[str, Any] = yaml.safe_load(text)
    return ledger


def read(path: Path) -> dict[str, Any]:
    """The ledger, parsed once, as each of a hundred marks asks for it: nobody may change it."""
    return parsed(path.read_text(encoding="utf-8"))


def links(claim: Claim, kind: str) -> list[str]:
    return [item[kind] for item in claim["evidence"] if kind in item]


def measured(record: Mapping[str, Any], path: str) -> float:
    """What a check looks at: `parzen.mean` among a run's metrics, `recipe.epochs` beside them."""
    found: Any = {**record["metrics"], "recipe": record["recipe"]}
    for name in path.split("."):
        found = found[name]
    return float(found)


def holds(bound: Mapping[str, Any], record: Mapping[str, Any]) -> bool:
    value = measured(record, bound["value"])
    return bool(bound.get("at_least", -float("inf")) <= value <= bound.get("at_most", float("inf")))


def verdict_of(check: Mapping[str, Any], records: Mapping[str, Mapping[str, Any]]) -> str:
    """The verdict that the published numbers allow: `holds` where all bounds hold, else `fails`."""
    everywhere = all(holds(bound, records[bound["run"]]) for bound in check["where"])
    verdict: str = check["holds" if everywhere else "fails"]
    return verdict


def reference(label: str) -> str:
    """A label as the role that knows it."""
    if re.fullmatch(r"eq-\d+", label):
        role = "eq"
    elif re.fullmatch(r"(figure|table)-\d+", label):
        role = "numref"
    elif re.fullmatch(r"(proposition|theorem|algorithm)-\d+", label):
        role = "prf:ref"
    else:
        role = "ref"
    return f"{{{role}}}`{label}`"


def badge(verdict: str) -> str:
    return f"[{verdict}]{{.verdict .verdict-{VERDICTS[verdict][0]}}}"


def mark(claim: Claim) -> nodes.inline:
    """A claim's number and verdict, in a few words; a screen reader says first that it is a claim."""
    verdict = claim["verdict"]
    told = nodes.Text(f"{claim['id']} {SHORT.get(verdict, verdict)}")
    spoken = nodes.inline("", "主张 ", classes=["visually-hidden"])
    return nodes.inline("", "", spoken, told, classes=["verdict", f"verdict-{VERDICTS[verdict][0]}"])


def figures(record: Mapping[str, Any]) -> Iterator[str]:
    """A run's Parzen figures and how far it went, as its record has them."""
    if comparable(record):
        for name, words in METRICS.items():
            if estimate := record["metrics"].get(name):
                yield f"{words} {figure(estimate)} 纳特".strip()
    yield schedule(record)


class LedgerDirective(SphinxDirective):
    """What both directives do: read the ledger, and say in MyST what is then parsed."""

    def load(self) -> dict[str, Any]:
        path = Path(self.env.srcdir, "book/claims.yml")
        self.env.note_dependency(str(path))
        self.ledger = read(path)
        return self.ledger

    def parse(self, *lines: str) -> list[nodes.Node]:
        box = nodes.container()
        text = "\n".join(lines).split("\n")
        self.state.nested_parse(text, self.content_offset, box)  # type: ignore[arg-type]
        return list(box.children)

    def record(self, name: str) -> dict[str, Any]:
        path = Path(self.env.srcdir, "book/results", name, "run.json")
        self.env.note_dependency(str(path))
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return record

    def run_link(self, name: str) -> str:
        return f"{{ref}}`{name} <run-{name}>`"  # in the list of provenance.md

    def test_link(self, test: str) -> str:
        """The test's name; a link only where the settings name a repository."""
        theme = self.config.html_theme_options
        if not (repository := theme.get("repository_url")):
            return f"`{test}`"
        branch = theme.get("repository_branch", "main")
        return f"[`{test}`]({repository.rstrip('/')}/blob/{branch}/{test.partition('::')[0]})"


class Claims(LedgerDirective):
    """`{claims} KEY`, the box 本节主张 of the section KEY."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        sections = self.load()["sections"]
        key = directives.choice(self.arguments[0], tuple(sections))
        box = nodes.admonition("", nodes.title("", "本节主张"), classes=["claim"])
        claims = nodes.bullet_list(classes=["claims"])
        for claim in self.ledger["claims"]:
            if claim["section"] == key:
                claims += nodes.list_item("", *self.entry(claim))
        box += claims
        return [box]

    def entry(self, claim: Claim) -> list[nodes.Node]:
        source = SOURCES[claim.get("source", "paper")]
        told = f"{{ref}}`{claim['id']} <claim-{claim['id']}>` " + (f"（{source}）" if source else "")
        shown = [reference(label) for kind in ("text", "proof", "live") for label in links(claim, kind)]
        shown += [f"{{ref}}`Coq <{label}>`" for label in links(claim, "formal")[:1]]
        shown += [f"运行{self.run_link(name)}" for name in links(claim, "run")]
        if keys := links(claim, "cite"):
            shown.append(f"{{cite:t}}`{','.join(keys)}`")
        evidence = f"{badge(claim['verdict'])} → {'、'.join(shown)}"
        return self.parse(told + claim["claim"].strip(), "", evidence)


class Mark(SphinxRole):
    """`{claim}`12``: the sentence before it makes claim 12."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        path = Path(self.env.srcdir, "book/claims.yml")
        self.env.note_dependency(str(path))
        claims = {str(claim["id"]): claim for claim in read(path)["claims"]}
        if self.text not in claims:
            told = f"there is no claim {self.text}; there are 1 to {len(claims)}"
            return [], [self.inliner.reporter.error(told, line=self.lineno)]
        self.env.metadata[self.env.docname].setdefault("claims", []).append(self.text)
        target = {"reftype": "claim", "reftarget": self.text, "refdoc": self.env.docname}
        return [addnodes.pending_xref("", mark(claims[self.text]), **target)], []


def lead(
    app: Sphinx, env: BuildEnvironment, node: nodes.Element, shown: nodes.Element
) -> nodes.Element | None:
    """The link from a mark to the claim's card in the ledger."""
    if node["reftype"] != "claim":
        return None
    return make_refnode(app.builder, node["refdoc"], "book/ledger", f"claim-{node['reftarget']}", shown)


def once(app: Sphinx, env: BuildEnvironment) -> None:
    """Warn of marks that are there twice, which a strict build does not take."""
    marks = [(number, page) for page, told in env.metadata.items() for number in told.get("claims", [])]
    for number, times in Counter(number for number, _ in marks).items():
        if times > 1:
            pages = ", ".join(sorted({page for marked, page in marks if marked == number}))
            logger.warning("claim %s is marked %d times, in %s", number, times, pages)


class Ledger(LedgerDirective):
    """`{ledger}`: every claim, its verdict and its evidence; `{ledger} counts`: the verdicts."""

    optional_arguments = 1

    def run(self) -> list[nodes.Node]:
        self.load()
        if self.arguments:
            directives.choice(self.arguments[0], ("counts",))
            return [self.counts()]
        return [self.section(key, **section) for key, section in self.ledger["sections"].items()]

    def counts(self) -> nodes.Node:
        claims = self.ledger["claims"]
        counted = Counter(claim["verdict"] for claim in claims)
        told = nodes.definition_list(classes=["verdicts"])
        for verdict, (_, meaning) in VERDICTS.items():
            term = self.parse(f"{badge(verdict)} {counted[verdict]} 条")[0].children
            if verdict == "已证明":
                formal = [c["id"] for c in claims if c["verdict"] == verdict and links(c, "formal")]
                checked = "、".join(f"{{ref}}`{number} <claim-{number}>`" for number in formal)
                meaning += f"其中 {checked} 的证明{{ref}}`由 Coq 检查过 <proofs>`。"
            told += nodes.definition_list_item(
                "", nodes.term("", "", *term), nodes.definition("", *self.parse(meaning))
            )
        of = Counter(claim.get("source", "paper") for claim in claims)
        others = "，".join(f"{SOURCES[source]} {of[source]} 条" for source in SOURCES if source != "paper")
        total = f"共 {len(claims)} 条：论文 {of['paper']} 条，{others}。结论只有七种："
        return nodes.container("", nodes.paragraph("", total), told)

    def section(self, key: str, title: str, chapter: str) -> nodes.Node:
        section = nodes.section("", nodes.title("", title), ids=[f"ledger-{key.replace('.', '-')}"])
        section += self.parse(f"见{{doc}}`{chapter}`。")
        cards = nodes.definition_list(classes=["ledger"])
        for claim in self.ledger["claims"]:
            if claim["section"] == key:
                cards += self.card(claim)
        section += cards
        return section

    def card(self, claim: Claim) -> nodes.Node:
        number = claim["id"]
        name = f"claim-{number}"
        self.env.get_domain("std").note_hyperlink_target(  # type: ignore[attr-defined]
            name, self.env.docname, name, f"主张 {number}"
        )
        source = SOURCES[claim.get("source", "paper")]
        told = f"主张 {number} {badge(claim['verdict'])} {source}".strip()
        term = nodes.term("", "", *self.parse(told)[0].children, ids=[name])
        body = nodes.definition("", *self.parse(claim["claim"]))
        facts = nodes.definition_list(classes=["record"])
        for words, lines in self.evidence(claim):
            facts += nodes.definition_list_item(
                "", nodes.term("", words), nodes.definition("", *self.parse("\n\n".join(lines)))
            )
        body += facts
        return nodes.definition_list_item("", term, body)

    def evidence(self, claim: Claim) -> Iterator[tuple[str, Sequence[str]]]:
        told = {
            "text": lambda labels: ["、".join(map(reference, labels))],
            "proof": lambda labels: ["、".join(map(reference, labels))],
            "formal": lambda labels: ["、".join(map(reference, labels))],
            "live": lambda labels: ["、".join(map(reference, labels))],
            "run": lambda names: [
                f"{self.run_link(name)}：{'；'.join(figures(self.record(name)))}" for name in names
            ],
            "test": lambda tests: [self.test_link(test) for test in tests],
            "cite": lambda keys: [f"{{cite:t}}`{','.join(keys)}`"],
        }
        for kind, words in KINDS.items():
            if found := links(claim, kind):
                yield words, told[kind](found)
        if note := claim.get("note"):
            yield "说明", [note]


def tell_language(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: object) -> None:
    """The ledger in English (book/english.py) stands among Chinese pages: its language is for the ear."""
    if page == "book/ledger-en":
        context["body"] = context["body"].replace("<section", '<section lang="en"', 1)


def setup(app: Sphinx) -> ExtensionMetadata:
    app.add_directive("ledger", Ledger)
    app.add_directive("claims", Claims)
    app.add_role("claim", Mark())
    app.connect("missing-reference", lead)
    app.connect("env-check-consistency", once)
    app.connect("html-page-context", tell_language)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
