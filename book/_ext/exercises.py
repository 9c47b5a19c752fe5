"""Exercises: a cell tagged `solution` stands in the folded box of the solution before it."""

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.typing import ExtensionMetadata

logger = logging.getLogger(__name__)


def fold_cells(app: Sphinx, doctree: nodes.document) -> None:
    cells = [cell for cell in doctree.findall(nodes.container) if "tag_solution" in cell["classes"]]
    for cell in cells:
        place = cell.parent.index(cell)
        box = cell.parent[place - 1] if place else None
        if not (isinstance(box, nodes.admonition) and "solution" in box["classes"]):
            logger.warning("a cell tagged solution follows no solution", location=cell)
            continue
        cell.parent.remove(cell)
        box += cell


def setup(app: Sphinx) -> ExtensionMetadata:
    app.connect("doctree-read", fold_cells)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
