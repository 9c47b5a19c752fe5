"""The book on paper, in `make soak`: all of it, in order, every character, every link."""

import os
import re
import unicodedata
from collections import Counter
from pathlib import Path

import pdf
import pytest
import yaml
from bs4 import BeautifulSoup
from pypdf import PdfReader
from pypdfium2 import PdfDocument

ROOT = Path(__file__).resolve().parents[1]

PAGE = """<html><head><link rel="stylesheet" href="a.css"><script src="_static/mathjax/x.js"></script></head>
<nav class="bd-links"><a class="reference internal" href="{own}">One</a><p class="caption">Part</p>
<a class="reference internal" href="two.html">Two</a></nav>
<article class="bd-article"><section id="s"><h1>T</h1>{text}</section></article></html>"""


def files_in_order(toc):
    """What _toc.yml names, depth first."""
    yield from (toc[key] for key in ("root", "file") if key in toc)
    for key in ("parts", "chapters", "sections"):
        for below in toc.get(key, ()):
            yield from files_in_order(below)


def squeeze(text):
    return "".join(text.split())


@pytest.fixture(scope="module")
def chapters(site):
    """The articles of the site, in the order of _toc.yml, the cover first.

    Without what the PDF leaves out, and without what only the ear gets.
    """
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text("utf-8"))
    files = [(site / name).with_suffix(".html") for name in files_in_order(toc)]
    pages = [BeautifulSoup(file.read_text("utf-8"), "html.parser") for file in files]
    for page in pages:
        hidden = "details.hide .cell_input, summary, .headerlink, .visually-hidden, script, style"
        for tag in page.select(hidden):
            tag.decompose()
    return [page.select_one("article.bd-article") for page in pages]


@pytest.fixture(scope="module")
def printed(site, tmp_path_factory):
    if pdf.find_browser() is None:
        if os.environ.get("CI") == "true":
            pytest.fail("Chromium and chromedriver are needed, and not found")
        pytest.skip("Chromium or chromedriver not found")
    output = tmp_path_factory.mktemp("pdf") / "book.pdf"
    assert pdf.main([str(site), "-o", str(output)]) == 0
    return PdfReader(output)


@pytest.fixture(scope="module")
def texts(printed):
    """The text of each page, as PDFium reads it: a hyphen at a line's end is U+0002 there."""
    pages = PdfDocument(printed.stream)
    return [re.sub("\r\n|\x02", "\n", page.get_textpage().get_text_bounded()) for page in pages]


@pytest.fixture(scope="module")
def starts(printed):
    """(title, page) of the first level of the outline."""
    entries = [entry for entry in printed.outline if not isinstance(entry, list)]
    return [(entry.title, printed.get_destination_page_number(entry) + 1) for entry in entries]


@pytest.mark.soak
def test_every_chapter_is_there_in_order_on_a_page_of_its_own(chapters, starts):
    titles = [pdf.plain(chapter.h1.get_text()) for chapter in chapters]
    assert [title for title, _ in starts] == [titles[0], "目录", "关于本书", *titles[1:]]
    pages = [page for _, page in starts]
    assert pages == sorted(set(pages))


@pytest.mark.soak
def test_sections_are_in_the_outline_once(chapters, printed):
    def flatten(entries):
        return [t for e in entries for t in (flatten(e) if isinstance(e, list) else [e.title])]

    headings = [pdf.plain(h.get_text()) for c in chapters for h in c.select("h1, h2, h3, h4")]
    assert flatten(printed.outline) == [headings[0], "目录", "关于本书", *headings[1:]]


@pytest.mark.soak
def test_contents_show_the_page_numbers(starts, texts):
    contents = squeeze("".join(texts[starts[1][1] - 1 : starts[2][1] - 1]))
    for title, page in starts[2:]:
        assert f"{squeeze(title)}{page}" in contents
        assert str(page) in texts[page - 1].split()  # its own footer


@pytest.mark.soak
def test_no_character_is_missing(chapters, texts):
    text = "".join(texts)
    written = Counter(squeeze("".join(chapter.get_text() for chapter in chapters)))
    got = Counter(text)
    han = {c: n for c, n in written.items() if "CJK" in unicodedata.name(c, "")}
    assert len(han) > 500
    title = Counter(chapters[0].h1.get_text())  # the cover's own stands on the title page
    assert {c: (n, got[c]) for c, n in han.items() if got[c] < n - title[c]} == {}
    prose = "".join(s for chapter in chapters for s in chapter.strings if not s.find_parent(class_="math"))
    assert set(squeeze(prose)) <= set(text)


@pytest.mark.soak
def test_no_character_is_a_stand_in(texts):
    text = set("".join(texts))
    assert "\ufffd" not in text
    assert not [c for c in text if "\u2e80" <= c < "\u2fe0"]  # radicals, where words are meant
    pieces = {"\ue000", "\ue001"}  # MathJax has them for tall braces
    assert {c for c in text if unicodedata.category(c) in ("Co", "Cn", "Cc")} <= {*pieces, "\n"}


@pytest.mark.soak
def test_first_and_last_chapter_read_as_on_the_site(chapters, starts, texts):
    bounds = [page for _, page in starts[2:]] + [len(texts) + 1]
    for chapter, first, end in ((chapters[1], *bounds[1:3]), (chapters[-1], *bounds[-2:])):
        text = squeeze("".join(texts[first - 1 : end - 1]))
        paragraphs = [p for p in chapter.select("p") if not p.select_one(".math")]
        found = [squeeze(p.get_text()) in text for p in paragraphs]
        assert sum(found) > 0.7 * len(found) > 0  # but for those that go over a page's end


@pytest.mark.soak
def test_formulas_are_set(chapters, texts):
    text = "".join(texts)
    assert sum(len(chapter.select(".math")) for chapter in chapters) > 100
    code = "".join(tag.get_text() for chapter in chapters for tag in chapter.select("pre, code"))
    for sign in (r"\(", r"\[", r"\frac", r"\mathrm"):
        assert text.count(sign) <= code.count(sign)
    assert {"∑", "∫", "∼"} <= set(text)


@pytest.mark.soak
def test_all_fonts_are_embedded(printed):
    fonts = {}
    for page in printed.pages:
        for name, reference in page["/Resources"].get("/Font", {}).items():
            fonts[name, reference.get_object().get("/BaseFont")] = reference.get_object()
    assert fonts
    for name, font in fonts.items():
        if font["/Subtype"] != "/Type3":  # those bring their glyphs along
            below = font["/DescendantFonts"][0].get_object() if "/DescendantFonts" in font else font
            descriptor = below["/FontDescriptor"].get_object()
            assert {"/FontFile", "/FontFile2", "/FontFile3"} & set(descriptor), name


@pytest.mark.soak
def test_links_lead_somewhere(printed):
    places, inside, outside = set(printed.named_destinations), 0, 0
    for page in printed.pages:
        for annotation in (entry.get_object() for entry in page.get("/Annots", [])):
            action = annotation.get("/A", {})
            if address := action.get("/URI"):
                assert re.match("https?:|mailto:", address)
                outside += 1
            else:
                target = annotation.get("/Dest", action.get("/D"))
                assert isinstance(target, list) or target in places, annotation
                inside += 1
    assert inside > 50 and outside > 10
    for name, destination in printed.named_destinations.items():
        assert printed.get_destination_page_number(destination) is not None, name


@pytest.mark.soak
def test_the_paper_has_a_name_and_no_date(printed):
    assert printed.metadata.title == "生成对抗网络"
    assert printed.metadata.author.startswith("Ian J. Goodfellow, ")
    assert not {"/CreationDate", "/ModDate"} & set(printed.metadata)
    assert {(round(page.mediabox.width), round(page.mediabox.height)) for page in printed.pages} == {
        (595, 842)
    }


# Without a browser


@pytest.fixture
def toy(tmp_path):
    """Two pages with the same id, and a cover that the root's index.html leads to."""
    links = '<a href="two.html#s">a</a> <a href="#s">b</a> <a href="two.html#gone">c</a>'
    others = '<a href="two.txt">d</a> <a href="https://e.example/">e</a> <img src="i.png" loading="lazy">'
    hidden = '<details class="hide"><summary>+</summary><div class="cell_input">code</div>result</details>'
    (tmp_path / "book").mkdir()
    moved = '<meta http-equiv="refresh" content="0; url=book/one.html">'
    (tmp_path / "index.html").write_text(moved)
    (tmp_path / "book/one.html").write_text(PAGE.format(own="#", text=links + others + hidden))
    (tmp_path / "book/two.html").write_text(PAGE.format(own="one.html", text='<a href="one.html">f</a>'))
    return tmp_path


def test_pages_are_joined_and_links_stay_inside(toy):
    joined = BeautifulSoup(pdf.join(toy), "html.parser")
    ids = [tag["id"] for tag in joined.select("[id]")]
    assert ids == ["book.one", "book.one--s", "book.two", "book.two--s"]
    links = {tag.get_text(): tag["href"] for tag in joined.select("article a")}
    inside = {"a": "#book.two--s", "b": "#book.one--s", "c": "#book.two", "f": "#book.one"}
    assert links == {**inside, "e": "https://e.example/"}
    assert [tag["href"] for tag in joined.select("nav a")] == ["#book.one", "#book.two"]
    assert joined.img["src"] == (toy / "book/i.png").as_uri() and "loading" not in joined.img.attrs
    text = joined.select_one("article").get_text()
    assert "result" in text and "code" not in text and "+" not in text


def test_titles_are_plain():
    assert pdf.plain(r"从样本估计 \(C(G)\)") == "从样本估计 C(G)"
    assert pdf.plain(r"\(p_g=p_\mathrm{data}\)，" + "\n而且") == "p_g=p_data， 而且"


def test_characters_are_named_and_not_radicals():
    cmap = "2 beginbfchar\n<05> <2F42>\n<06> <7F51>\nendbfchar\n1 beginbfrange\n<08> <09> <2ED3>\nendbfrange"
    mended = "2 beginbfchar\n<05> <6587>\n<06> <7F51>\nendbfchar\n"
    mended += "1 beginbfrange\n<08> <09> [<957F> <95E8>]\nendbfrange"  # 长, 门
    assert pdf.mend_characters(cmap) == mended
    assert pdf.unify(ord("⼾")) == ord("户") and chr(pdf.unify(0x2012)) == "–"


def test_what_is_missing_is_said_in_one_line(toy, tmp_path, monkeypatch, capsys):
    output = ["-o", str(tmp_path / "out/book.pdf")]
    assert pdf.main([str(tmp_path / "book"), *output]) == 1
    assert capsys.readouterr().err == f"no site in {tmp_path / 'book'}: run make book\n"
    monkeypatch.setattr(pdf, "find_browser", lambda: None)
    assert pdf.main([str(toy), *output]) == 1
    assert capsys.readouterr().err == "a PDF needs Chromium (or Chrome) and chromedriver on PATH\n"
    for error in (pdf.WebDriverException("renderer gone\nStacktrace"), pdf.HTTPError("renderer gone")):
        monkeypatch.setattr(pdf, "render", lambda _, error=error: (_ for _ in ()).throw(error))
        assert pdf.main([str(toy), *output]) == 1
        assert capsys.readouterr().err == "Chromium did not print the book: renderer gone\n"
    assert not (tmp_path / "out/book.pdf").exists()


def test_it_prints_again_only_where_something_changed(toy, tmp_path, monkeypatch, capsys):
    class Written:
        pages = ()

        def write(self, path):
            path.write_text("PDF")

    printed = []
    monkeypatch.setattr(pdf, "render", lambda document: (printed.append(document), []))
    monkeypatch.setattr(pdf, "finish", lambda *_: Written())
    output = tmp_path / "out/book.pdf"

    def times():
        printed.clear()
        assert pdf.main([str(toy), "-o", str(output)]) == 0
        assert ("unchanged, kept" in capsys.readouterr().out) == (not printed)
        return len(printed)

    assert (times(), times()) == (1, 0)
    for file in ("book/i.png", "book/a.css"):  # what the pages refer to
        (toy / file).write_text("new")
        assert (times(), times()) == (1, 0), file
    page = toy / "book/two.html"
    page.write_text(page.read_text().replace("f</a>", "g</a>"))
    assert (times(), times()) == (1, 0)
    output.unlink()
    assert (times(), times()) == (1, 0)
    page.write_text(page.read_text().replace("</section>", '<span class="offered-pdf">PDF</span></section>'))
    assert times() == 0, "what a page says of the PDF is not printed"
