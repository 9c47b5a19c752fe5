"""The live pages: `{live} NAME` puts a widget of book/_static/live where its content, a fallback, stands.

The script comes only to pages that have a widget. Where the site is opened as files, modules do not load:
for them all modules are joined into one classic script, `joined.js`, when the site is built.
"""

import json
import os
import re
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata

IMPORT = re.compile(r'^import \{([^}]*)\} from "\./(\w+)\.js"$', re.M)
EXPORT = re.compile(r"^export (?=(?:async )?(?:function|class|const) (\w+))", re.M)


class live(nodes.General, nodes.Element):
    """A widget's place: its name, and the fallback in it."""


class Live(SphinxDirective):
    """`{live} NAME`, with `:cell: notebook.ipynb#id`, an SVG of that cell's outputs shown before the content.

    `:small:` asks for the widget's small form.
    """

    required_arguments = 1
    has_content = True
    option_spec = {  # noqa: RUF012
        "cell": directives.unchanged_required,
        "alt": directives.unchanged_required,
        "small": directives.flag,
    }

    def run(self) -> list[nodes.Node]:
        name = self.arguments[0]
        if not Path(self.env.srcdir, f"book/_static/live/{name}.js").is_file():
            raise self.error(f"there is no widget {name!r} in book/_static/live")
        static = nodes.container(classes=["live-static"])
        if cell := self.options.get("cell"):
            uri = self.drawing(*cell.split("#"))
            static += nodes.image(uri=uri, alt=self.options.get("alt", ""))
        self.state.nested_parse(self.content, self.content_offset, static)
        place = live("", static, widget=name)
        place["small"] = "small" in self.options
        return [place]

    def drawing(self, file: str, cell: str) -> str:
        """The address of a copy of a notebook's figure."""
        notebook = Path(self.env.srcdir, self.env.docname).parent / file
        self.env.note_dependency(str(notebook))
        cells = {found["id"]: found for found in json.loads(notebook.read_text("utf-8"))["cells"]}
        outputs: list[dict[str, Any]] = cells[cell].get("outputs", []) if cell in cells else []
        for output in outputs:
            if svg := output.get("data", {}).get("image/svg+xml"):
                copy = Path(self.env.doctreedir).parent / "live" / f"{notebook.stem}-{cell}.svg"
                copy.parent.mkdir(exist_ok=True)
                copy.write_text("".join(svg), "utf-8")
                return "/" + Path(os.path.relpath(copy, self.env.srcdir)).as_posix()
        raise self.error(f"{file} has no cell {cell!r} with an SVG among its outputs")


def visit_live(self: Any, node: live) -> None:
    data = {"data-live": node["widget"]}
    if node["small"]:
        data["data-small"] = ""
    self.body.append(self.starttag(node, "div", CLASS="live", **data))


def depart_live(self: Any, node: live) -> None:
    self.body.append("</div>\n")


def add_script(app: Sphinx, page: str, template: str, context: dict, doctree: nodes.document | None) -> None:
    if doctree is not None and next(doctree.findall(live), None):
        app.add_js_file("live/load.js", loading_method="defer")
        app.add_css_file("live/live.css")


def join(modules: dict[str, str]) -> str:
    """One classic script of modules: each a function that is called once and returns what it exports.

    Only two forms are understood, and others refused: `import { a, b } from "./name.js"` on one line, and
    `export` before a function, class or const.
    """
    parts: list[str] = []
    joined: set[str] = set()

    def add(name: str) -> None:
        if name in joined:
            return
        joined.add(name)
        source = modules[name]
        for _, needed in IMPORT.findall(source):
            add(needed)
        exported = EXPORT.findall(source)
        source = IMPORT.sub(r'const {\1} = liveModules["\2"]', EXPORT.sub("", source))
        if wrong := re.search(r"^(import|export)\b.*", source, re.M):
            raise ExtensionError(f"book/_static/live/{name}.js: can't be joined: {wrong[0]}")
        parts.append(
            f'liveModules["{name}"] = (() => {{\n{source}\nreturn {{ {", ".join(exported)} }}\n}})()'
        )

    for name in modules:
        add(name)
    return "\n".join(['"use strict"', "globalThis.liveModules = {}", *parts, ""])


def write_joined(app: Sphinx, exception: Exception | None) -> None:
    folder = Path(app.outdir, "_static/live")
    if exception or app.builder.format != "html" or not folder.is_dir():
        return
    apart = {"load", "worker", "joined"}
    files = sorted(file for file in folder.glob("*.js") if file.stem not in apart)
    (folder / "joined.js").write_text(join({f.stem: f.read_text("utf-8") for f in files}), "utf-8")


def setup(app: Sphinx) -> ExtensionMetadata:
    app.add_directive("live", Live)
    app.add_node(live, html=(visit_live, depart_live))
    app.connect("html-page-context", add_script)
    app.connect("build-finished", write_joined)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
