"""Opening files that others may have made, or that a fault has changed: whatever is wrong is one line.

Nothing in them is run, and no name leads out of their folder. What would take memory is told by headers, and
checked first; what is packed may unpack to PACKED times its own size. ValueError: it is damaged, or no such
file, with what would be right; OSError: it can't be read here and now.
"""

from __future__ import annotations

import errno
import io
import json
import math
import os
import re
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

PACKED, SMALL = 50, 2**26  # the second: bytes that any file may unpack to
LONGEST, DEEPEST = 2**24, 20  # bytes of a text, and records within a record
COPY = "put back a copy"
LOOKS = {
    b"\x93NUMPY": "it looks like a single array, as numpy.save writes it",
    b"\x80": "it looks like pickled data",
    b"<": "it looks like a web page",
    b"version https://git-lfs": "it is a pointer of Git LFS",
}


def plain_word(name: Any) -> str:
    """``name``, which becomes a file's; ValueError unless it is one plain word."""
    if isinstance(name, str) and re.fullmatch(r"\w[\w.=-]*", name) and len(name.encode()) <= 200:
        return name
    told = f"{name!r:.90}"
    raise ValueError(f"{told} can't be a name: it must be one plain word: letters, digits, - _ . =")


def check_folder(folder: Path) -> None:
    """ValueError where ``folder`` has a link that leads out of it, or what is neither file nor folder."""
    for entry in [*os.scandir(folder)] if folder.is_dir() else []:
        if entry.is_symlink():
            if not Path(entry).resolve().is_relative_to(folder.resolve()):
                raise ValueError(f"{entry.path} is a link out of its folder: put the file itself there")
        elif not (entry.is_file() or entry.is_dir()):
            raise ValueError(f"{entry.path} is neither a file nor a folder: remove it")


class Damaged(ValueError):
    """A file is not as it was written, or none of gan's."""


@contextmanager
def reading(path: Path, what: str = "is damaged", advice: str = COPY) -> Iterator[None]:
    """Tell in one line what is corrupt, a ValueError, from what can't be read here, an OSError."""
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise ValueError("it is no file")
        yield
    except (FileNotFoundError, NotADirectoryError):
        raise
    except Exception as error:  # zipfile, zlib, numpy, torch, … and the file system each have their own
        if isinstance(error, ValueError | OSError) and str(error).startswith(f"{path}"):
            raise
        here = isinstance(error, RuntimeError) and "unable to" in str(error)  # torch's, of the system's calls
        if (
            here
            or isinstance(error, MemoryError)
            or getattr(error, "errno", None) not in (None, errno.EINVAL)
        ):
            reason = getattr(error, "strerror", None) or str(error) or "out of memory"
            raise OSError(f"{path} can't be read ({reason})") from None
        with open(path if path.is_file() else os.devnull, "rb") as file:
            head = file.read(64).lstrip()
        looks = [words for start, words in LOOKS.items() if head.startswith(start)]
        empty = path.is_file() and not head
        reason = looks[0] if looks else "it is empty" if empty else reasons(error)
        raise Damaged(f"{path} {what} ({reason})" + f": {advice}" * bool(advice)) from None


def reasons(error: BaseException | None) -> str:
    """All that an error says, and those that led to it, in one line."""
    said: list[str] = []
    while error:
        text = " ".join(str(error).split())[:400] or type(error).__name__
        if isinstance(error, KeyError):
            text = f"it has no {text}"
        if not any(text in longer for longer in said):
            said.append(text)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return ", from: ".join(said)


def check_size(path: Path, size: int) -> None:
    """ValueError where ``path`` is to unpack to ``size`` bytes, and so many can't be meant."""
    if size > max(SMALL, PACKED * path.stat().st_size):
        raise ValueError(f"it would unpack to {size} bytes, over {PACKED} times its own size")


class _Sparing(io.BufferedReader):
    """A file that is read in pieces of at most a MiB: no true zip file's directory is larger."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size and size > 2**20:  # the end of the file, which tells of the directory, is read without a size
            raise ValueError("its directory is too large")
        return super().read(size)


@contextmanager
def open_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    """The zip file ``path``, which may be unpacked, and in which each name is there once."""
    with _Sparing(path.open("rb", buffering=0)) as file:
        if file.read(2) == b"\x1f\x8b":
            raise ValueError("it looks like a .gz file, which must be unpacked")
        archive = zipfile.ZipFile(file)
        for name, times in Counter(archive.namelist()).items():
            archive.open(name).close()  # BadZipFile where the member itself is not called so
            if times > 1:
                raise ValueError(f"{name} is in it twice")
        check_size(path, sum(member.file_size for member in archive.infolist()))
        yield archive


def read_text(path: Path) -> str:
    if (size := path.stat().st_size) > LONGEST:
        raise ValueError(f"it has {size} bytes, more than {LONGEST}")
    return path.read_text("utf-8")


def read_json(path: Path, advice: str = COPY) -> dict[str, Any]:
    """The record in ``path``, as `check_record` allows it, with no name in it twice."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(record := dict(pairs)) < len(pairs):
            raise ValueError(f"a name is there twice, of {', '.join(record)}")
        return record

    with reading(path, advice=advice):
        record = json.loads(read_text(path), object_pairs_hook=once)
        if not isinstance(record, dict):
            raise ValueError("it is no record")
        check_record(record)
    return record


def check_record(value: Any, depth: int = DEEPEST) -> None:
    """ValueError where ``value`` is deep, or a number is not finite, or a text has control characters."""
    if not depth:
        raise ValueError(f"it is nested more than {DEEPEST} deep")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} is no finite number")
    if isinstance(value, str) and not value.isprintable():
        raise ValueError(f"{value!r:.40} holds control characters")
    inner = [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else []
    for one in inner:
        check_record(one, depth - 1)


def read_table(path: Path, columns: Sequence[str]) -> NDArray[np.float64]:
    """The numbers in the .csv file ``path``, as `check_table` has them."""
    with reading(path):
        head, *lines = read_text(path).splitlines()
        if head != ",".join(columns):
            raise ValueError(f"its first line is {head!r:.90}, not {','.join(columns)}")
        return check_table(np.loadtxt(lines or ["nan"], delimiter=",", comments=None, ndmin=2), columns)


def check_table(table: NDArray[np.float64], columns: Sequence[str]) -> NDArray[np.float64]:
    """``table`` (n, columns), where all in it is finite, and the first column 1, 2, …, n; else ValueError."""
    if table.shape[1:] != (len(columns),) or not np.isfinite(table).all():
        raise ValueError(f"not every line has {len(columns)} finite numbers")
    if (table[:, 0] != np.arange(1, len(table) + 1)).any():
        raise ValueError(f"its column {columns[0]} is not 1, 2, 3, …")
    return table


def read_picture(path: Path, height: int, width: int) -> NDArray[np.uint8]:
    """The pixels of the .png file ``path``, uint8 (height, width, channels), the last one alpha."""
    with reading(path), Image.open(path, formats=["PNG"]) as picture:
        if picture.size != (width, height) or picture.mode not in ("LA", "RGBA"):
            raise ValueError(f"it is {picture.mode}, {picture.size}, and not LA or RGBA, {(width, height)}")
        check_size(path, 4 * height * width)
        return np.asarray(picture)
