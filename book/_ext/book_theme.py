"""What the theme would leave as it is: heavy scripts, English names, a repository that is not the book's.

The address of a repository is set in one place, `repository: {url: …}` in _config.yml. With it come the
buttons to it, to Binder and to Colab and the link for errata and contact; without it none of them is there.
"""

import re
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.util.typing import ExtensionMetadata

# The theme draws its icons with a script of 1.5 MB; book.css draws the few that are in use.
ICONS = re.compile(r'\s*<script[^>]*\bsrc="[^"]*/fontawesome\.js[^"]*"></script>')
# It also has every page fetch the index of the search, which only the search page reads.
SEARCH = re.compile(r'\s*<script src="[^"]*(searchtools|language_data|searchindex)\.js[^"]*"></script>')

# What those who listen are told: the sidebar is a landmark, a list of footnotes is none.
ROLES = {
    '<div id="pst-primary-sidebar"': '<div id="pst-primary-sidebar" role="region" aria-label="侧栏"',
    '<aside class="footnote-list': '<aside role="none" class="footnote-list',
}
# What the theme itself would write: in the footer, and with the button for issues.
WORDS = {
    "© Copyright ": "© ",
    "=Issue%20on%20page%20%2F": f"={quote('勘误：')}",
    "&amp;body=Your%20issue%20content%20here.": "",
    "&body=Your%20issue%20content%20here.": "",
    "&issue[description]=Your%20issue%20content%20here.": "",  # GitLab's
}

# Formulas are set by MathJax: without scripts the page says so.
FORMULA = re.compile(r'class="(?:[\w-]+ )*math[ "]')
ARTICLE = '<article class="bd-article">'
NO_SCRIPT = "<noscript><p>本页的公式要靠 JavaScript 排版，没有它，看到的是 TeX 代码。</p></noscript>"

NAMES = {
    "Color mode": "颜色",
    "Light": "亮色",
    "Dark": "暗色",
    "System Settings": "随系统",
    "Link to this code": "这段代码的链接",
    "Link to this definition": "这一项的链接",
    "Link to this equation": "这个公式的链接",
    "Link to this heading": "这一节的链接",
    "Link to this image": "这幅图的链接",
    "Link to this table": "这张表的链接",
    "Link to this term": "这个术语的链接",
    "Main": "主要",
    "On this page": "本页目录",
    "Open an issue": "提出问题",
    "Launch interactive content": "在线运行",
    "Launch on Binder": "在 Binder 上运行",
    "Launch on Colab": "在 Colab 上运行",
    "Page": "本页",
    "列印成 PDF": "打印成 PDF",
    "Show source": "源代码",
    "Site navigation": "全书目录",
    "Source repository": "源代码仓库",
    "Source repositories": "源代码仓库",
    "Toggle hidden content": "展开或收起",
    "Toggle primary sidebar": "全书目录",
    "Toggle secondary sidebar": "本页目录",
}


def set_repository(app: Sphinx, config: Config) -> None:
    options: dict[str, Any] = config.html_theme_options
    if url := options.get("repository_url", "").rstrip("/"):
        options |= {"use_repository_button": True, "use_issues_button": True}
        options["launch_buttons"] = {"binderhub_url": "https://mybinder.org"}
        if urlsplit(url).hostname == "github.com":  # Colab opens no other's notebooks
            options["launch_buttons"]["colab_url"] = "https://colab.research.google.com"
        link = f'<a href="{escape(url, quote=True)}/issues">勘误与联系</a>'
        options["extra_footer"] = f'<p class="errata">{link}</p>'


def mend_pages(app: Sphinx, exception: Exception | None) -> None:
    """Leave out the scripts that a page has no use for, and name the theme's parts in Chinese."""
    if exception or app.builder.format != "html":
        return
    english = re.compile(rf'\b(title|aria-label|data-bs-title)="({"|".join(map(re.escape, NAMES))})"')
    for page in Path(app.outdir).rglob("*.html"):
        html = page.read_text("utf-8")
        mended = english.sub(lambda name: f'{name[1]}="{NAMES[name[2]]}"', ICONS.sub("", html))
        if page.name != "search.html":
            mended = SEARCH.sub("", mended)
        told = {ARTICLE: ARTICLE + NO_SCRIPT} if FORMULA.search(html) else {}
        for tag, named in (ROLES | told).items():  # once, though a page may be one that was mended before
            mended = mended.replace(named, tag).replace(tag, named)
        for words, ours in WORDS.items():
            mended = mended.replace(words, ours)
        if mended != html:
            page.write_text(mended, "utf-8")
    for script in Path(app.outdir, "_static/scripts").glob("fontawesome.js*"):
        script.unlink()
    for script in Path(app.outdir, "_static").glob("togglebutton.js"):  # it names the buttons that it makes
        named = script.read_text("utf-8")
        script.write_text(named.replace("Toggle hidden content", NAMES["Toggle hidden content"]), "utf-8")


def setup(app: Sphinx) -> ExtensionMetadata:
    app.connect("config-inited", set_repository)
    app.connect("build-finished", mend_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
