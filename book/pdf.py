"""Print the rendered book: one PDF of all its pages in reading order.

    python book/pdf.py [HTML] [-o PDF]

HTML is the folder of a rendered site, _build/html by default; the chapters and their order are
those of its sidebar. Their articles are joined into one document beside the PDF, with a title page
and a table of contents: ids are told apart by their page, links between pages become links within
the document, translator's notes stand open, and the code that only draws is left out. Chromium sets
the formulas with the site's own MathJax and prints; nothing is fetched from a network. It prints
twice: only the first PDF tells the page numbers that the table of contents shows. Where nothing has
changed since the last time, what was printed then is kept.

Exit status: 0; 1 if there is no site or no Chromium, or if a formula or Chromium itself failed.
"""

import argparse
import base64
import hashlib
import io
import json
import logging
import os
import re
import shutil
import sys
import tempfile
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import cast
from urllib.parse import unquote, urldefrag, urlsplit

from bs4 import BeautifulSoup, Tag
from pypdf import PdfReader, PdfWriter
from pypdf.generic import DictionaryObject, EncodedStreamObject, NameObject, TextStringObject
from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.remote.remote_connection import RemoteConnection
from urllib3.exceptions import HTTPError

ROOT = Path(__file__).resolve().parents[1]
AUTHORS = [
    *("Ian J. Goodfellow", "Jean Pouget-Abadie", "Mehdi Mirza", "Bing Xu"),
    *("David Warde-Farley", "Sherjil Ozair", "Aaron Courville", "Yoshua Bengio"),
]
FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-quic --disable-dev-shm-usage --hide-scrollbars"
)
OUTLINE = {"generateDocumentOutline": True, "generateTaggedPDF": True}
# The pages of the site are set in 17 px; on paper these become 10.5 points, 42 characters a line.
SCALE = 0.825
MARGIN = 26  # mm
WIDTH = round((210 - 2 * MARGIN) / 25.4 * 96 / SCALE)  # of the text, in px
# Seconds for one step of Chromium's: half a minute where nothing else runs, minutes on a busy machine.
PATIENCE = 1200
PRINT = {"preferCSSPageSize": True, "printBackground": True, "scale": SCALE, **OUTLINE}
PAGES = f"""
@page {{ size: A4; margin: 24mm {MARGIN}mm;
  @top-left {{ color: #444; font: 8.5pt var(--book-font); vertical-align: bottom; padding-bottom: 5mm }}
  @bottom-center {{ content: counter(page); color: #444; font: 9pt var(--book-font) }} }}
@page front {{ @top-left {{ content: none }} }}
@page :first {{ @bottom-center {{ content: none }} }}
.pdf-title, .pdf-contents {{ page: front }}
"""
# Unicode's normal form leaves these radicals as they are, but for the last: that one becomes 戶.
RADICALS = dict(
    zip(
        "⺂⺃⺅⺉⺋⺎⺏⺐⺒⺓⺔⺕⺖⺘⺙⺛⺞⺠⺡⺣⺤⺦⺨⺫⺭⺯⺰⺱⺲⺳⺹⺺⺾⺿⻁⻂⻃⻄⻅"
        "⻆⻈⻉⻋⻌⻍⻎⻐⻑⻒⻓⻔⻖⻘⻙⻚⻛⻜⻝⻟⻠⻢⻣⻤⻥⻦⻧⻨⻩⻪⻫⻬⻭⻮⻯⻰⻱⻲⼾",
        "乛乚亻刂㔾兀尣尢巳幺彑彐忄扌攵旡歺民氵灬爫丬犭罒礻糹纟罓罒㓁耂肀艹艹虎衤覀西见"
        "角讠贝车辶辶辶钅長镸长门阝青韦页风飞食飠饣马骨鬼鱼鸟卤麦黄黾斉齐歯齿竜龙龜亀户",
        strict=True,
    )
)
# Code of up to so many lines is not cut at the end of a page.
WHOLE = 24
PRINTED = {".html", ".css", ".png", ".svg"}
# What needs a reader's hand or a screen, and so is nothing on paper.
LEFT_OUT = (
    "details.hide .cell_input, details.hide summary, .headerlink, .toctree-wrapper, "
    "script, style, iframe, canvas, button, input, .offered-pdf"
)

DOCUMENT = """<!DOCTYPE html>
<html lang="zh-CN" data-theme="light" data-mode="light">
<head><meta charset="utf-8"><title>{title}</title>
{styles}
<style>{pages}</style>
{formulas}
<script defer src="{mathjax}"></script>
</head>
<body class="pdf"><main class="bd-main"><div class="bd-content"><div class="bd-article-container">
{body}
</div></div></main></body></html>
"""

FRONT = """<section class="pdf-title">
<h1>{title}</h1>
<p class="pdf-original" lang="en">Generative Adversarial Nets</p>
<p class="pdf-kind">译述 · 逐条核对</p>
<p class="pdf-authors"><i>论文作者</i>{authors}</p>
<p class="pdf-imprint">本书是论文 <em lang="en">Generative Adversarial Nets</em>\
（NIPS 2014，arXiv:1406.2661）的中文译述，不是官方译本，也没有经过原作者审阅；\
引用时请以原文为准。论文的权利属于原作者和出版者。<br>\
这是第 {version} 版，由网页印成：译注和解答全部展开；网页上折叠起来的代码大多只负责作图，这里从略。</p>
</section>
<nav class="pdf-contents"><h1>目录</h1>
{contents}
</nav>
"""


class PrintError(Exception):
    """Why there is no PDF, in one line."""


def read(file: Path) -> BeautifulSoup:
    return BeautifulSoup(file.read_text("utf-8"), "html.parser")


def read_sidebar(html: Path) -> list[tuple[str, str, Path]]:
    """(caption of the part, title as HTML, file) of every page in reading order, the cover first."""
    front = html / "index.html"
    if not front.is_file():
        raise PrintError(f"no site in {html}: run make book")
    if moved := re.search(r'http-equiv="?refresh"?[^>]*url=([^">]+)', front.read_text("utf-8"), re.I):
        front = html / moved[1]
    found: dict[Path, tuple[str, str, Path]] = {}
    caption = ""
    for tag in read(front).select("nav.bd-links .caption, nav.bd-links a.reference.internal"):
        if tag.name == "a":
            address = urldefrag(str(tag["href"]))[0]
            file = (front.parent / unquote(address)).resolve() if address else front.resolve()
            found.setdefault(file, (caption, tag.decode_contents().strip(), file))
        else:
            caption = tag.get_text(strip=True)
    return list(found.values())


def name_page(html: Path, file: Path) -> str:
    """What tells the ids of a page from those of the others."""
    return ".".join(file.relative_to(html.resolve()).with_suffix("").parts)


def point_inside(link: Tag, file: Path, names: dict[Path, str], ids: dict[str, set[str]]) -> None:
    """Let a link to one of the pages lead to its place in the document; drop one to another local file."""
    address, fragment = urldefrag(str(link["href"]))
    if urlsplit(address).scheme or address.startswith("//"):
        return
    target = (file.parent / unquote(address)).resolve() if address else file
    if target not in names:
        link.unwrap()
        return
    name, fragment = names[target], unquote(fragment)
    link["href"] = f"#{name}--{fragment}" if fragment in ids[name] else f"#{name}"


def take_article(soup: BeautifulSoup, file: Path, names: dict[Path, str], ids: dict[str, set[str]]) -> Tag:
    """The article of a page, fit to stand among the others."""
    article = soup.select_one("article.bd-article")
    if article is None:
        raise PrintError(f"{file}: no article")
    for tag in article.select(LEFT_OUT):
        tag.decompose()
    for tag in article.select("noscript"):
        tag.unwrap()
    for tag in article.select("details"):
        tag["open"] = ""
    for tag in article.select("details.hide"):  # now what is left of it is an output, or nothing
        tag.unwrap()
    for link in article.select("a[href]"):
        point_inside(link, file, names, ids)
    for tag in article.select("[id]"):
        tag["id"] = f"{names[file]}--{tag['id']}"
    for tag in article.select("div.highlight"):
        if tag.get_text().strip().count("\n") < WHOLE:
            (tag.find_parent("div", class_="cell_input") or tag)["data-whole"] = ""
    for label in article.select("span[id]:empty:has(+ :is(h1, h2, h3, h4, h5, h6))"):
        if heading := label.find_next_sibling():  # else it may stay behind on the page before
            heading.insert(0, label.extract())
    for tag in article.select("h1, h2, h3, h4, h5, h6"):
        tag["data-title"] = plain(tag.get_text())
    for tag in article.select("[src]"):
        if not urlsplit(str(tag["src"])).scheme:
            tag["src"] = (file.parent / unquote(urlsplit(str(tag["src"])).path)).resolve().as_uri()
        tag.attrs.pop("loading", None)  # a picture far below has to be there when the printing begins
    return article


def plain(text: str) -> str:
    """A title as a margin or an outline can show it: what TeX there is, without its signs."""
    text = re.sub(r"\\[()]|\\math[a-z]+|\\operatorname|[{}]", "", text)
    return re.sub(r"\s+", " ", text.replace("\\", "")).strip()


def head(page: int, title: str) -> str:
    """A chapter's own pages: its title stands in their upper margin."""
    quoted = json.dumps(plain(BeautifulSoup(title, "html.parser").get_text()), ensure_ascii=False)
    return f"@page chapter-{page} {{ @top-left {{ content: {quoted} }} }}"


def join(html: Path) -> str:
    """All pages as one HTML document."""
    sidebar = read_sidebar(html)
    soups = [read(file) for *_, file in sidebar]
    names = {file: name_page(html, file) for *_, file in sidebar}
    ids = {
        name: {str(tag["id"]) for tag in soup.select("article.bd-article [id]")}
        for name, soup in zip(names.values(), soups, strict=True)
    }
    heads, contents, chapters = [], [], []
    book, part = sidebar[0][1], ""
    for number, ((caption, title, file), soup) in enumerate(zip(sidebar, soups, strict=True)):
        article = take_article(soup, file, names, ids)
        if number == 0:  # the cover's own title is on the title page
            title = "关于本书"
            if heading := article.select_one("h1"):
                heading.string = heading["data-title"] = title
        if caption != part:
            contents.append(f'<p class="pdf-part">{caption}</p>')
            part = caption
        name = names[file]
        contents.append(
            f'<p class="pdf-entry"><a href="#{name}"><span class="pdf-name">{title}</span>'
            f'<span class="pdf-page" data-to="{name}"></span></a></p>'
        )
        chapters.append(
            f'<div class="pdf-chapter" id="{name}" style="page: chapter-{number}">{article}</div>'
        )
        heads.append(head(number, title))
    front, start = soups[0], sidebar[0][2].parent
    settings = {
        str(tag): None
        for soup in soups
        for tag in soup.select("script:not([src])")
        if "MathJax" in tag.get_text()
    }
    styles = [
        f'<link rel="stylesheet" href="{(start / urlsplit(str(link["href"])).path).resolve().as_uri()}">'
        for link in front.select('link[rel="stylesheet"]')
    ]
    scripts = [tag for soup in soups for tag in soup.select('script[src*="mathjax/"]')]
    if not scripts:
        raise PrintError(f"{sidebar[0][2].parent}: no page loads MathJax")
    authors = "、</span><span>".join(AUTHORS)
    title_page = FRONT.format(
        title=book,
        authors=f"<br><span>{authors}</span>",
        version=version("gan-book"),
        contents="\n".join(contents),
    )
    return DOCUMENT.format(
        title=BeautifulSoup(book, "html.parser").get_text(strip=True),
        styles="\n".join(styles),
        pages="\n".join([PAGES, *heads]),
        formulas="\n".join(settings),
        mathjax=(start / urlsplit(str(scripts[0]["src"])).path).resolve().as_uri(),
        body="\n".join([title_page, *chapters]),
    )


def mark(html: Path, document: Path) -> str:
    """A last line for the document: it differs where a page, a style or a picture of the site does."""
    files = [path for path in sorted(html.rglob("*")) if path.suffix in PRINTED and path != document]
    digests = hashlib.sha256(Path(__file__).read_bytes())
    for file in files:
        content = re.sub(rb'<span class="offered-pdf">.*?</span>', b"", file.read_bytes())
        digests.update(f"{file.relative_to(html)} {hashlib.sha256(content).hexdigest()}".encode())
    return f"\n<!-- {digests.hexdigest()} -->\n"


def find_browser() -> tuple[str, str] | None:
    """Chromium (or Chrome) and its driver."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    chromedriver = shutil.which("chromedriver")
    return (chromium, chromedriver) if chromium and chromedriver else None


@contextmanager
def open_browser() -> Iterator[webdriver.Chrome]:
    found = find_browser()
    if found is None:
        raise PrintError("a PDF needs Chromium (or Chrome) and chromedriver on PATH")
    options = webdriver.ChromeOptions()
    options.binary_location = found[0]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        for flag in (*FLAGS.split(), f"--user-data-dir={profile}"):
            options.add_argument(flag)
        driver = webdriver.Chrome(options=options, service=Service(executable_path=found[1]))
        try:
            driver.set_script_timeout(PATIENCE)
            cast(RemoteConnection, driver.command_executor).client_config.timeout = PATIENCE
            yield driver
        finally:
            driver.quit()


def print_page(browser: webdriver.Chrome) -> PdfReader:
    data = browser.execute_cdp_cmd("Page.printToPDF", PRINT)["data"]
    return PdfReader(io.BytesIO(base64.b64decode(data)))


def page_numbers(pdf: PdfReader) -> dict[str, int]:
    """The page that each place of the document, by its id, has come to stand on."""
    found = ((name, pdf.get_destination_page_number(to)) for name, to in pdf.named_destinations.items())
    return {str(name).removeprefix("/"): page + 1 for name, page in found if page is not None}


def render(document: Path) -> tuple[PdfReader, list[str]]:
    """The document as Chromium prints it, with page numbers in the table of contents; its headings."""
    wait = """const done = arguments[0]
        Promise.all([MathJax.startup.promise, document.fonts.ready]).then(() => done(
            [...document.querySelectorAll("mjx-merror")].map((error) => error.textContent)))"""
    fill = """for (const place of document.querySelectorAll("[data-to]"))
        place.textContent = arguments[0][place.dataset.to] ?? "" """
    headings = """return [...document.querySelectorAll("h1, h2, h3, h4, h5, h6")]
        .filter((heading) => heading.checkVisibility())
        .map((heading) => heading.dataset.title ?? heading.textContent)"""
    # What is wider than the text: tables first, formulas and what else there may be.
    shrink = """for (const tag of document.querySelectorAll("table, div.math mjx-container, pre")) {
            const room = tag.parentElement.clientWidth
            if (tag.scrollWidth > room + 1) tag.style.zoom = room / tag.scrollWidth
        }"""
    with open_browser() as browser:
        light = [{"name": "prefers-color-scheme", "value": "light"}]
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print", "features": light})
        screen = {"width": WIDTH, "height": 1000, "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        browser.get(document.as_uri())
        if wrong := browser.execute_async_script(wait):
            raise PrintError(f"MathJax cannot set: {wrong[0]}")
        browser.execute_script(shrink)
        browser.execute_script(fill, page_numbers(print_page(browser)))
        return print_page(browser), browser.execute_script(headings)


def outline_items(parent: DictionaryObject) -> Iterator[DictionaryObject]:
    """The entries of a PDF's outline in order, whatever their level."""
    last, step = parent, "/First"
    while step in last:
        last, step = cast(DictionaryObject, last[step]), "/Next"
        yield last
        yield from outline_items(last)


def unify(code: int) -> int:
    """The Han character of a radical's code point, the en dash of a figure dash: they have the same glyph."""
    character = chr(code).replace("\u2012", "\u2013")
    if "\u2e80" <= character < "\u2fe0":
        character = RADICALS.get(character, unicodedata.normalize("NFKC", character))
    return ord(character)


def mend_characters(cmap: str) -> str:
    """Where a font uses one glyph for two characters, Chromium may name the rarer one."""

    def one(entry: re.Match[str]) -> str:
        return f"<{entry[1]}> <{unify(int(entry[2], 16)):04X}>"

    def several(entry: re.Match[str]) -> str:
        first, last, code = (int(number, 16) for number in entry.groups())
        each = " ".join(f"<{unify(code + i):04X}>" for i in range(last - first + 1))
        return f"<{entry[1]}> <{entry[2]}> [{each}]"

    cmap = re.sub(r"^<(\w+)> <(\w+)> <(2[EF]\w\w|2012)>", several, cmap, flags=re.M)
    return re.sub(r"^<(\w+)> <(2[EF]\w\w|2012)>$", one, cmap, flags=re.M)


def finish(pdf: PdfReader, headings: list[str]) -> PdfWriter:
    """The same PDF with what Chromium leaves to be mended, and without the time at which it was printed."""
    logging.getLogger("pypdf").setLevel(logging.ERROR)  # it remarks on Chromium's count of objects
    for number in range(1, cast(int, pdf.trailer["/Size"])):
        font = pdf.get_object(number)
        if isinstance(font, DictionaryObject) and "/ToUnicode" in font:
            stream = cast(EncodedStreamObject, font["/ToUnicode"])
            stream.set_data(mend_characters(stream.get_data().decode("ascii")).encode("ascii"))
    writer = PdfWriter(clone_from=pdf)
    writer.pdf_header = pdf.pdf_header
    writer.metadata = {
        "/Title": headings[0],
        "/Author": ", ".join(AUTHORS),
        "/Subject": "Generative Adversarial Nets，译述",
        "/Producer": pdf.metadata.producer if pdf.metadata else "",
    }
    writer.root_object[NameObject("/PageMode")] = NameObject("/UseOutlines")
    # Chromium writes the text of some headings twice.
    outline = cast(DictionaryObject, writer.root_object["/Outlines"])
    for item, title in zip(outline_items(outline), headings, strict=True):
        item[NameObject("/Title")] = TextStringObject(title)
    return writer


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Print the rendered book as one PDF.")
    parser.add_argument("html", nargs="?", type=Path, default=ROOT / "_build/html")
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "_build/pdf/gan-book.pdf")
    args = parser.parse_args(arguments)
    output = args.output.resolve()
    output.parent.mkdir(parents=True, exist_ok=True)
    document, partial = output.with_suffix(".html"), output.with_suffix(".part")
    try:
        last = mark(args.html.resolve(), document)
        if output.is_file() and document.is_file() and document.read_text("utf-8").endswith(last):
            print(f"book: {os.path.relpath(output)}: unchanged, kept")
            return 0
        text = join(args.html.resolve())
        document.write_text(text, "utf-8")
        pdf = finish(*render(document))
    except PrintError as error:
        print(error, file=sys.stderr)
        return 1
    except (WebDriverException, HTTPError) as error:
        reason = str(getattr(error, "msg", error)).strip().split("\n")[0]
        print(f"Chromium did not print the book: {reason}", file=sys.stderr)
        return 1
    pdf.write(partial)
    partial.replace(output)
    document.write_text(text + last, "utf-8")
    print(f"book: {os.path.relpath(output)} ({len(pdf.pages)} pages)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
