"""The docstrings of `gan` on the API page: plain prose, in which only backticks mean something."""

import re

from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata


def plain(app: Sphinx, what: str, name: str, thing: object, options: object, lines: list[str]) -> None:
    """Keep |x| and D* from being read as markup, and let a plural s follow a backtick."""
    text = "\n".join(lines)
    parts = re.split(r"(`+[^`]+`+)", text)
    parts[::2] = [re.sub(r"([*|_])", r"\\\1", part) for part in parts[::2]]
    parts[2::2] = [re.sub(r"^(?=[^\s.,;:!?)\]'\"-])", r"\\ ", part) for part in parts[2::2]]
    parts[:-1:2] = [re.sub(r"(?<=[^\s(\['\"-])\Z", r"\\ ", part) for part in parts[:-1:2]]
    lines[:] = "".join(parts).split("\n")


def name_defaults(
    app: Sphinx,
    what: str,
    name: str,
    thing: object,
    options: object,
    signature: str | None,
    returns: str | None,
) -> tuple[str | None, str | None]:
    """Show a default that is a function or a class by its name: as `<function f>` Sphinx can't read it."""
    if signature:
        signature = re.sub(r"<(?:function|class) '?(?:\w+\.)*(\w+)[^>]*>", r"\1", signature)
        signature = signature.replace("<factory>", "...")
    return signature, returns


def setup(app: Sphinx) -> ExtensionMetadata:
    app.connect("autodoc-process-docstring", plain)
    app.connect("autodoc-process-signature", name_defaults)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
