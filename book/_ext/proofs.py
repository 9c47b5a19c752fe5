"""The Coq statements of proofs/*.v on the pages: `{coq} FILE NAME …` shows each as it stands there.

A statement is shown with the comment above it and without its proof, so that no page holds a copy.
"""

import re
import textwrap
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata

BEGINS = r"(?:Theorem|Lemma|Definition|Fixpoint|Class)"
COMMENT = r"(?:\(\*(?:(?!\*\)).)*\*\)\n)?"
WIDTH = 82  # what the page holds
JOINTS = ("->", "/\\", ":=", "+", "=", ",")


def statements(text: str) -> dict[str, str]:
    """What a .v file states or defines, by its name: up to the proof or the next empty line."""
    found = re.finditer(rf"^{COMMENT}{BEGINS} (\w+)\b.*?(?=\nProof\.|\n\n)", text, re.M | re.S)
    return {match[1]: match[0] for match in found}


def folded(line: str) -> str:
    """The line in lines that fit the page, broken where it is nested least: to Coq an end is a space."""

    def merit(place: int) -> tuple[int, bool, int]:
        before = line[:place]
        nested = len(re.findall(r"[(\[{]", before)) - len(re.findall(r"[)\]}]", before))
        return -nested, before.endswith(JOINTS), place

    indent = " " * (len(line) - len(line.lstrip()) + 4)
    lines = []
    while len(line) > WIDTH:
        place = max((i for i in range(WIDTH // 2, WIDTH + 1) if line[i] == " "), key=merit)
        lines.append(line[:place])
        line = indent + line[place:].lstrip()
    return "\n".join([*lines, line])


def shown(statement: str) -> str:
    """A statement and the comment above it in lines that fit the page."""
    comment = re.match(COMMENT, statement, re.S)[0]
    words = textwrap.fill(" ".join(comment.split()), WIDTH, subsequent_indent="   ", break_on_hyphens=False)
    rest = statement[len(comment) :].split("\n")
    return "\n".join([*filter(None, [words]), *map(folded, rest)])


class Coq(SphinxDirective):
    """`{coq} FILE NAME …`: statements of proofs/FILE.v."""

    required_arguments = 2
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        file, names = self.arguments[0], self.arguments[1].split()
        path = Path(self.env.srcdir, "proofs", f"{file}.v")
        self.env.note_dependency(str(path))
        if not path.is_file():
            raise self.error(f"no file proofs/{file}.v")
        known = statements(path.read_text(encoding="utf-8"))
        if unknown := [name for name in names if name not in known]:
            raise self.error(f"proofs/{file}.v has no {', '.join(unknown)}")
        text = "\n\n".join(shown(known[name]) for name in names)
        return [nodes.literal_block(text, text, language="coq")]


def setup(app: Sphinx) -> ExtensionMetadata:
    app.add_directive("coq", Coq)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
