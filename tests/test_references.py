"""book/references.bib: complete, well-formed entries, each cited, and no citation without its entry."""

import json
import re
from collections import Counter
from pathlib import Path

import pybtex.errors
import pytest
from bibliography import CitationStyle
from pybtex.database import BibliographyData, Entry, parse_file

BOOK = Path(__file__).resolve().parents[1] / "book"
DOI = re.compile(r"10\.\d{4,9}/[!-~]*[^\s.,;{}]")
ARXIV = re.compile(r"(?P<year>\d\d)(0[1-9]|1[0-2])\.\d{4,5}|[a-z-]+(\.[A-Z]{2})?/\d{7}")
# The proceedings of NeurIPS 2024 appeared in December, the paper on arXiv in January.
ARXIV_AFTER_ITS_YEAR = {"huang2024gan"}


def read_references(path: Path = BOOK / "references.bib") -> BibliographyData:
    """Strictly: a repeated key or broken syntax is an error."""
    pybtex.errors.set_strict_mode(True)
    return parse_file(path, bib_format="bibtex")


REFERENCES = read_references()
each_entry = pytest.mark.parametrize("key", REFERENCES.entries)


def read_sources() -> dict[str, str]:
    """The book's text by page: Markdown files, and the Markdown cells of notebooks."""
    texts = {path.name: path.read_text("utf-8") for path in BOOK.glob("*.md")}
    for path in BOOK.glob("*.ipynb"):
        cells = json.loads(path.read_text("utf-8"))["cells"]
        texts[path.name] = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")
    return texts


def cited(text: str) -> list[str]:
    roles = re.findall(r"\{cite(?::\w+)?\}`([^`]+)`", text)
    return [re.sub(r"^\{.*?\}|\{.*?\}$", "", key.strip()) for keys in roles for key in keys.split(",")]


SOURCES = read_sources()
CITED = {key for text in SOURCES.values() for key in cited(text)}
CITED |= {key for path in BOOK.glob("*.yml") for key in cited(path.read_text("utf-8"))}


def plain(text: str) -> str:
    """What two spellings of a title share."""
    return re.sub(r"\W", "", text).lower()


def problems(entry: Entry) -> list[str]:
    """What an entry lacks, or has in a wrong form."""
    fields = entry.fields
    found = [name for name in ("title", "year", "keywords") if not fields.get(name)]
    found += [] if entry.persons.get("author") else ["author"]
    found += ["doi"] if "doi" in fields and not DOI.fullmatch(fields["doi"]) else []
    found += ["eprint"] if "eprint" in fields and not ARXIV.fullmatch(fields["eprint"]) else []
    found += ["archivePrefix"] if "eprint" in fields and fields.get("archivePrefix") != "arXiv" else []
    if not {"doi", "eprint"} & {name.lower() for name in fields} and "DOI" not in fields.get("note", ""):
        found.append("neither a DOI nor an arXiv number nor a note that says why")
    return found


@each_entry
def test_an_entry_is_complete_and_can_be_found(key):
    assert not problems(REFERENCES.entries[key])


@each_entry
def test_the_key_is_surname_year_and_a_word_of_the_title(key):
    entry = REFERENCES.entries[key]
    surname, year, word = re.fullmatch(r"([a-z]+)(\d{4})([a-z][a-z0-9]*)", key).groups()
    last = "".join(entry.persons["author"][0].last_names).lower()
    ascii_only = last.translate(str.maketrans("äéöüńı", "aeouni"))
    assert plain(ascii_only) == surname
    assert re.fullmatch(f"{year}[a-z]?", entry.fields["year"])
    assert word in plain(entry.fields["title"])


@each_entry
def test_arxiv_numbers_are_not_from_the_future(key):
    fields = REFERENCES.entries[key].fields
    number = ARXIV.fullmatch(fields.get("eprint", ""))
    if number and number["year"]:
        late = 2000 + int(number["year"]) - int(fields["year"][:4])
        assert (late > 0) == (key in ARXIV_AFTER_ITS_YEAR)
        assert -2 <= late <= 1  # a work appears within two years after its preprint


def test_nothing_is_there_twice():
    entries = REFERENCES.entries.values()
    for name in ("doi", "eprint", "url"):
        values = Counter(entry.fields[name].lower() for entry in entries if name in entry.fields)
        assert not [value for value, n in values.items() if n > 1], name
    titles = Counter(plain(entry.fields["title"]) for entry in entries)
    assert not [title for title, n in titles.items() if n > 1]


@pytest.mark.slow
def test_a_year_tells_apart_what_else_would_be_cited_alike():
    style = CitationStyle().person
    names = {
        key: str(style.names("author", full=False).format_data({"entry": entry, "style": CitationStyle()}))
        for key, entry in REFERENCES.entries.items()
    }
    shown = Counter((names[key], entry.fields["year"]) for key, entry in REFERENCES.entries.items())
    assert not [label for label, n in shown.items() if n > 1]


def test_each_citation_has_its_entry():
    missing = {name: set(cited(text)) - set(REFERENCES.entries) for name, text in SOURCES.items()}
    assert not {name: keys for name, keys in missing.items() if keys}
    assert not CITED - set(REFERENCES.entries)


def test_each_entry_is_cited():
    assert not set(REFERENCES.entries) - CITED


def test_the_page_of_references_shows_each_entry_once():
    page = SOURCES["references.md"]
    shown = re.findall(r':filter: keywords % "(\w+)"', page)
    assert len(shown) == page.count("{bibliography}") == len(set(shown))
    assert {entry.fields["keywords"] for entry in REFERENCES.entries.values()} == set(shown)


def test_no_page_cites_by_a_bare_address():
    """An address in the text would have no entry; the cover alone leads straight to the paper."""
    address = re.compile(r"\]\(https?://(?:arxiv\.org|(?:dx\.)?doi\.org)/")
    assert {name for name, text in SOURCES.items() if address.search(text)} <= {"index.md"}
    assert len(address.findall(SOURCES["index.md"])) == 1


@pytest.mark.parametrize(
    "change, expected",
    [
        ({"doi": "doi:10.1145/3422622"}, ["doi"]),
        ({"doi": "10.1145/3422622."}, ["doi"]),
        ({"eprint": "1406.266"}, ["eprint"]),
        ({"eprint": "1413.2661"}, ["eprint"]),
        ({"eprint": "math.PR/0601001"}, []),
        ({"archivePrefix": ""}, ["archivePrefix"]),
        ({"eprint": None}, ["neither a DOI nor an arXiv number nor a note that says why"]),
        ({"eprint": None, "note": "技术报告，没有 DOI"}, []),
        ({"title": ""}, ["title"]),
        ({}, []),
    ],
)
def test_a_bad_entry_would_be_seen(change, expected):
    fields = {
        "title": "T",
        "year": "2014",
        "keywords": "paper",
        "eprint": "1406.2661",
        "archivePrefix": "arXiv",
    }
    fields = {name: value for name, value in {**fields, **change}.items() if value is not None}
    author = REFERENCES.entries["goodfellow2014generative"].persons
    assert problems(Entry("misc", fields, author)) == expected
