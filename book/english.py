"""The ledger in English: book/ledger-en.md, made of book/claims.yml and never edited by hand.

    python book/english.py

`make refresh` does it too. The page is plain Markdown, so that it reads as well where the repository is
browsed as on the site.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]
from pybtex.database import Entry, parse_file  # type: ignore[import-untyped]

ROOT = Path(__file__).resolve().parents[1]
VERDICTS = {
    "已证明": ("Proved", "The book has a proof."),
    "数值成立": (
        "Holds numerically",
        "No general proof, or no mathematical statement; what the code beside it computes agrees, and every "
        "run of the tests checks that again.",
    ),
    "已复现": ("Reproduced", "The paper's experiment was done again, with the same result."),
    "部分复现": ("Partly reproduced", "Done again, with a part of the result only."),
    "未能复现": ("Not reproduced", "Done again, without the paper's result."),
    "被后来工作否定或限定": (
        "Refuted or qualified",
        "Research after 2014, or a correction of this book's, shows that it does not hold, or only under "
        "conditions.",
    ),
    "此处无法检验": ("Not tested here", "This book did not test it."),
}
SOURCES = {"configuration": "from the authors' released configuration", "book": "a question of this book's"}
SECTIONS = {
    "abstract": "Abstract",
    "1": "1 Introduction",
    "2": "2 Related work",
    "3": "3 Adversarial nets",
    "4.1": "4.1 Global optimality",
    "4.2": "4.2 Convergence of Algorithm 1",
    "5-mnist": "5 Experiments: MNIST",
    "5-faces": "5 Experiments: faces",
    "5-cifar10": "5 Experiments: CIFAR-10",
    "5-parzen": "5 Experiments: Parzen windows and Table 1",
    "6": "6 Advantages and disadvantages",
    "7": "7 Conclusions and future work",
}
HEAD = """\
# The ledger in English

Every claim that the paper makes, in its order, with this book's verdict and what speaks for or against it.
A few come from the authors' released configuration or are this book's own questions, and say so.
The page is made from `book/claims.yml`, and its numbers are those of the [Chinese ledger](ledger.md).
There the evidence is linked, and notes, in Chinese, say how far a reproduction went, what qualifies a claim,
and why something was not tested: a verdict says little without its note.
"""


def label(name: str) -> str:
    """What the paper numbers, by its label; a part of the book by the label's own words."""
    kind, _, number = name.rpartition("-")
    if not number.isdigit():
        return name.replace("-", " ")
    return f"Equation ({number})" if kind == "eq" else f"{kind.capitalize()} {number}"


def cited(entry: Entry) -> str:
    """Authors and year, as short as the text has them: Theis et al. (2016)."""
    names = [" ".join([*person.prelast_names, *person.last_names]) for person in entry.persons["author"]]
    shown = " and ".join(names) if len(names) < 3 else f"{names[0]} et al."
    return re.sub("[{}]", "", f"{shown} ({entry.fields['year']})")


def evidence(claim: Mapping[str, Any], entries: Mapping[str, Entry]) -> str:
    shown = {
        "text": ("the paper's {}", label),
        "proof": (
            "proof: {}",
            lambda name: label(name) if name[-1].isdigit() else "a section of this book's",
        ),
        "formal": ("checked with Coq: {}", lambda name: label(name.removeprefix("coq-"))),
        "live": ("code beside the text", label),
        "run": ("run {}", "`{}`".format),
        "test": ("test {}", "`{}`".format),
        "cite": ("{}", lambda key: cited(entries[key])),
    }
    told = []
    for kind, (words, name) in shown.items():
        if found := [name(item[kind]) for item in claim["evidence"] if kind in item]:
            told.append(words.format(", ".join(found)))
    return "; ".join(told)


def lines(ledger: Mapping[str, Any], entries: Mapping[str, Entry]) -> Iterator[str]:
    """The page, paragraph by paragraph."""
    claims = ledger["claims"]
    counted = Counter(claim["verdict"] for claim in claims)
    yield HEAD + "\n| verdict | claims | meaning |\n|---|---|---|"
    for verdict, (name, meaning) in VERDICTS.items():
        yield f"\n| {name} | {counted[verdict]} | {meaning} |"
    yield f"\n| *all* | {len(claims)} | |\n"
    for key, section in ledger["sections"].items():
        chapter = f"{section['chapter']}.md"
        if not (ROOT / "book" / chapter).is_file():
            chapter = f"{section['chapter']}.ipynb"
        yield f"\n## {SECTIONS[key]}\n\nIn the [Chinese chapter]({chapter}).\n"
        for claim in claims:
            if claim["section"] == key:
                source = f" ({SOURCES[claim['source']]})" if "source" in claim else ""
                verdict = VERDICTS[claim["verdict"]][0]
                yield f"\n**{claim['id']}. {verdict}**{source}. {claim['claim_en'].strip()}\\\n"
                yield f"Evidence: {evidence(claim, entries)}.\n"


def page(root: Path = ROOT) -> str:
    ledger = yaml.safe_load((root / "book/claims.yml").read_text("utf-8"))
    return "".join(lines(ledger, parse_file(root / "book/references.bib", "bibtex").entries))


def write(root: Path = ROOT) -> None:
    (root / "book/ledger-en.md").write_text(page(root), "utf-8")


if __name__ == "__main__":
    write()
