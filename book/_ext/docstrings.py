"""The docstrings of `gan` on the API page: plain prose, in which only backticks mean something."""

import re

from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata


def plain(app: Sphinx, what: str, name: str, thing: object, options: object, lines: list[str]) -> None:
    """Keep |x| and D* from being read as markup, and let a plural s follow a backtick."""
    text = "\n".join(lines)
    parts = re.split(r"(`+[^`]+`+)", text)
    parts[::2] = [re.sub(r"([*|_])", r"\\\1", part) for part in parts[::2]]
    parts[2::2] = [rf"\ {part}" if part[:1].isalpha() else part for part in parts[2::2]]
    lines[:] = "".join(parts).split("\n")


def setup(app: Sphinx) -> ExtensionMetadata:
    app.connect("autodoc-process-docstring", plain)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
