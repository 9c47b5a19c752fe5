"""Where what the book quotes stands: book/results/ of a checkout, and the names of what is in it."""

from __future__ import annotations

from pathlib import Path

from ..files import plain_word

RESERVED = ("bench", "yardsticks", "sweep", "sweeps", "course", "beginnings")
"""What stands in book/results/ beside published runs."""


def results(otherwise: str = "") -> Path:
    """book/results/, seen from here or from a folder above; FileNotFoundError where there is none."""
    for base in (Path.cwd(), *Path.cwd().parents):
        if (base / "book/results").is_dir():
            return base / "book/results"
    what = "there is no book/results/ here or above: call this in a checkout of the repository"
    raise FileNotFoundError(what + f", or with {otherwise}" * bool(otherwise))


def name_of_run(name: str) -> str:
    """``name``, under which a run may be published; else ValueError."""
    if plain_word(name).lower() in RESERVED:
        raise ValueError(f"{name!r} is the book's own: a run may not be called {', '.join(RESERVED)}")
    return name
