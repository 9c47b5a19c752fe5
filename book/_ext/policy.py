"""A content-security policy in every page: what the site is made of runs, what got into its content does not.

Scripts, styles, fonts, pictures and workers come from the site itself. The theme's own inline scripts are
allowed by their hashes; what stands in the article, where a notebook's outputs and records end up, has none.
`file:` is for a site opened from the disk, where not every browser counts files as 'self'; a page that came
over http can load none. Styles may stand inline, as MathJax and pandas write them.
"""

import base64
import hashlib
import re
from collections.abc import Collection
from html import unescape
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata

SOURCES = {
    "default-src": "'none'",
    "script-src": "'self' file:",
    "style-src": "'self' file: 'unsafe-inline'",
    "img-src": "'self' file: data:",
    "font-src": "'self' file: data:",
    "connect-src": "'self'",
    "worker-src": "'self'",
    "form-action": "'self' file:",
    "base-uri": "'none'",
}
META = '<meta http-equiv="Content-Security-Policy" content="{}">'
THERE = re.compile(META.format('[^"]*'))
CHARSET = '<meta charset="utf-8" />'  # which must come first
ARTICLE = '<article class="bd-article">'
INLINE = re.compile(r"<script(?![^>]*\ssrc=)[^>]*>(.*?)</script>", re.S)
HANDLER = re.compile(r'<[a-z][^<>]*\son[a-z]+="([^"]*)"')


# Sphinx makes a function of a catalogue's text, which takes 'unsafe-eval'; Chinese has one plural form.
PLURAL = re.compile(r"new Function\([^)]*\$\{catalog\.plural_expr\}[^;]*;", re.S)


def digest(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def around(html: str) -> str:
    """A page without its article."""
    start, end = html.find(ARTICLE), html.rfind("</article>")
    return html[:start] + html[end:] if start >= 0 else html


def handlers(html: str) -> list[str]:
    return [digest(unescape(code)) for code in HANDLER.findall(around(html))]


def policy(html: str, allowed_handlers: Collection[str]) -> str:
    """What the page ``html`` may load and run."""
    scripts = [*dict.fromkeys(map(digest, INLINE.findall(around(html))))]
    hashes = ["'unsafe-hashes'", *allowed_handlers] if allowed_handlers else []
    allowed = " ".join([*scripts, *hashes])
    return "; ".join(
        f"{what} {sources} {allowed if what == 'script-src' else ''}".rstrip()
        for what, sources in SOURCES.items()
    )


def guard_pages(app: Sphinx, exception: Exception | None) -> None:
    if exception or app.builder.format != "html":
        return
    found = [page for page in sorted(Path(app.outdir).rglob("*.html")) if "_static" not in page.parts]
    pages = {page: page.read_text("utf-8") for page in found}
    # The search reads all the other pages under its own page's policy, and the browser complains of handlers.
    everywhere = sorted({one for html in pages.values() for one in handlers(html)})
    for page, written in pages.items():
        html = THERE.sub("", written)
        meta = META.format(policy(html, everywhere))  # without < & and double quotes
        guarded = html.replace(CHARSET, CHARSET + meta, 1) if CHARSET in html else meta + html
        page.write_text(guarded, "utf-8")
    for script in Path(app.outdir, "_static").glob("doctools.js"):
        script.write_text(PLURAL.sub("() => 0;", script.read_text("utf-8")), "utf-8")


def setup(app: Sphinx) -> ExtensionMetadata:
    app.connect("build-finished", guard_pages, priority=900)  # after all that mend the pages
    return {"parallel_read_safe": True, "parallel_write_safe": True}
