"""How the book cites: author and year in full-width brackets; entries that begin with the surnames.

Two styles for sphinxcontrib-bibtex, each named `book` in _config.yml: one for citations in the text,
one for the entries on the page of references.
"""

from dataclasses import dataclass, field
from typing import Any

import pybtex.plugin
import sphinxcontrib.bibtex.plugin
from docutils import nodes
from pybtex.database import Entry, Person
from pybtex.richtext import BaseText, HRef, Tag, Text
from pybtex.style import FormattedEntry
from pybtex.style.formatting import BaseStyle
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.typing import ExtensionMetadata
from sphinxcontrib.bibtex.style.referencing import BracketStyle, PersonStyle
from sphinxcontrib.bibtex.style.referencing.author_year import AuthorYearReferenceStyle


def full_width() -> BracketStyle:
    return BracketStyle(left="（", right="）", sep="；")


def chinese() -> PersonStyle:
    return PersonStyle(sep="、", sep2=" 与 ", last_sep=" 与 ", other=" 等")


@dataclass
class CitationStyle(AuthorYearReferenceStyle):
    """`cite:yearpar`: （2016）; `cite:p`: （Younes，1999；Tieleman，2008）; `cite:t`: Theis 等（2016）."""

    bracket_textual: BracketStyle = field(default_factory=full_width)
    bracket_parenthetical: BracketStyle = field(default_factory=full_width)
    bracket_author: BracketStyle = field(default_factory=full_width)
    bracket_label: BracketStyle = field(default_factory=full_width)
    bracket_year: BracketStyle = field(default_factory=full_width)
    person: PersonStyle = field(default_factory=chinese)
    author_year_sep: str = "，"
    text_reference_sep: str = ""


def surname_first(person: Person) -> BaseText:
    surname = " ".join([*person.prelast_names, *person.last_names])
    given = " ".join([*person.first_names, *person.middle_names])
    return Text.from_latex(f"{surname}, {given}")


def appeared_in(entry: Entry) -> list[BaseText]:
    """Venue, series volume(number), publisher, pages: those that the entry has."""
    fields = entry.fields
    venue = fields.get("journal") or fields.get("booktitle") or fields.get("institution")
    volume, number = fields.get("volume"), fields.get("number")
    issue = f"{volume}({number})" if volume and number else volume or number
    place = " ".join(part for part in (fields.get("series"), issue) if part)
    parts = [Tag("em", Text.from_latex(venue))] if venue else []
    return parts + [Text.from_latex(f) for f in (place, fields.get("publisher"), fields.get("pages")) if f]


def addresses(entry: Entry) -> list[BaseText]:
    fields = entry.fields
    links = {
        "doi": lambda number: HRef(f"https://doi.org/{number}", f"doi:{number}"),
        "eprint": lambda number: HRef(f"https://arxiv.org/abs/{number}", f"arXiv:{number}"),
        "url": lambda address: HRef(address, address.partition("://")[2]),
    }
    return [link(fields[name]) for name, link in links.items() if name in fields]


class EntryStyle(BaseStyle):
    """Surname, given name; …（year）Title. *Venue*, volume(number), pages. doi:…, arXiv:…（note）"""

    default_sorting_style = "author_year_title"

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.format_labels = lambda entries: [entry.key for entry in entries]  # nobody sees them

    def format_entry(self, label: str, entry: Entry, bib_data: object = None) -> FormattedEntry:
        authors = Text("; ").join(surname_first(person) for person in entry.persons["author"])
        head = Text(
            authors, f"（{entry.fields['year']}）", Text.from_latex(entry.fields["title"]).add_period()
        )
        sentences = [
            head,
            *(Text(", ").join(part) for part in (appeared_in(entry), addresses(entry)) if part),
        ]
        sentences[1:-1] = [sentence.add_period() for sentence in sentences[1:-1]]
        note = f"（{entry.fields['note']}）" if "note" in entry.fields else ""
        return FormattedEntry(entry.key, Text(Text(" ").join(sentences), note), label)


class ListEntries(SphinxPostTransform):
    """Make a bibliography a plain list: its own labels serve no one, and a list cannot be cited by the roles.

    After sphinxcontrib-bibtex has put in the entries (5), before Sphinx resolves references (10).
    """

    default_priority = 6

    def run(self, **options: Any) -> None:
        for box in [node.parent for node in self.document.findall(nodes.citation)]:
            entries = [node for node in box if isinstance(node, nodes.citation)]
            if entries:  # else done with the first of its entries
                items = [nodes.list_item("", *entry[1:], ids=entry["ids"]) for entry in entries]
                box.replace_self(nodes.bullet_list("", *items, ids=box["ids"]))
                box.clear()


def setup(app: Sphinx) -> ExtensionMetadata:
    group = "sphinxcontrib.bibtex.style.referencing"
    sphinxcontrib.bibtex.plugin.register_plugin(group, "book", CitationStyle)
    pybtex.plugin.register_plugin("pybtex.style.formatting", "book", EntryStyle)
    app.add_post_transform(ListEntries)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
