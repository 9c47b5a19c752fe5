"""Opening files that others may have made, or that a fault has changed: whatever is wrong is one line.

Nothing in them is run, and no name leads out of their folder. What would take memory is told by headers, and
checked first. ValueError: it is damaged, with what would be right; OSError: it can't be read here and now.
"""

from __future__ import annotations

import errno
import json
import re
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

PACKED, SMALL = 50, 2**26  # a file may unpack to so many times its size, and any to so many bytes


def plain_word(name: Any) -> str:
    """``name``, which becomes a file's; ValueError unless it is one plain word."""
    if isinstance(name, str) and re.fullmatch(r"\w[\w.=-]*", name) and len(name.encode()) <= 200:
        return name
    raise ValueError(f"{name!r:.90} can't be a name: it must be one plain word: letters, digits, - _ . =")


def check_folder(folder: Path) -> None:
    """ValueError where ``folder`` has a link that leads out of it, or what is neither file nor folder."""
    for path in folder.glob("*"):
        if not (path.is_file() or path.is_dir()) or not path.resolve().is_relative_to(folder.resolve()):
            raise ValueError(f"{path} is a link out of its folder, or no file: put the file itself there")


class Damaged(ValueError):
    """A file is not as it was written, or none of gan's."""


@contextmanager
def reading(path: Path, advice: str = "put back a copy") -> Iterator[None]:
    """Tell in one line what is corrupt, which is `Damaged`, from what can't be read here, an OSError."""
    try:
        yield
    except Exception as error:  # zipfile, zlib, numpy, torch, … and the file system each have their own
        said = " ".join(str(error).split())[:400] or type(error).__name__
        if isinstance(error, FileNotFoundError | NotADirectoryError) or said.startswith(f"{path}"):
            raise
        here = isinstance(error, MemoryError) or said.startswith("unable to")  # torch's word for the system's
        if here or getattr(error, "errno", None) not in (None, errno.EINVAL):
            raise OSError(f"{path} can't be read ({said})") from None
        reason = f"it has no {said}" if isinstance(error, KeyError) else said
        raise Damaged(f"{path} is damaged ({reason})" + f": {advice}" * bool(advice)) from None


def check_size(path: Path, size: int) -> None:
    """ValueError where ``path`` is to unpack to ``size`` bytes, and so many can't be meant."""
    if size > max(SMALL, PACKED * path.stat().st_size):
        raise ValueError(f"it would unpack to {size} bytes, over {PACKED} times its own size")


def open_zip(path: Path) -> zipfile.ZipFile:
    """The zip file ``path``, all of which may be unpacked."""
    archive = zipfile.ZipFile(path)
    check_size(path, sum(member.file_size for member in archive.infolist()))
    return archive


def read_json(path: Path, advice: str = "put back a copy") -> dict[str, Any]:
    """The record in ``path``, as `check_record` allows it."""
    with reading(path, advice=advice), path.open(encoding="utf-8") as file:
        check_record(record := json.loads(file.read(2**24)))
    return record


def check_record(record: Any) -> None:
    """ValueError unless ``record`` is a dict of what JSON has, its numbers finite and its texts printable."""
    text = json.dumps(record, allow_nan=False, ensure_ascii=False)
    escaped = "\\" in text.replace("\\\\", "").replace('\\"', "")  # as \n is, and \u001b
    if not isinstance(record, dict) or escaped or not text.isprintable():
        raise ValueError("it is no record, or a text in it has control characters")


def read_table(path: Path, columns: Sequence[str]) -> NDArray[np.float64]:
    """The numbers in the .csv file ``path``, as `check_table` has them."""
    with reading(path), path.open(encoding="utf-8") as file:
        if file.readline().rstrip() != ",".join(columns):
            raise ValueError(f"its first line is not {','.join(columns)}")
        return check_table(np.loadtxt(file, delimiter=",", comments=None, ndmin=2), columns)


def check_table(table: NDArray[np.float64], columns: Sequence[str]) -> NDArray[np.float64]:
    """``table`` (n, columns), where all in it is finite, and the first column 1, 2, …, n; else ValueError."""
    right = table.shape[1:] == (len(columns),) and np.isfinite(table).all()
    if not right or (table[:, 0] != np.arange(1, len(table) + 1)).any():
        raise ValueError(f"its lines must be {len(columns)} finite numbers, {columns[0]} 1, 2, 3, …")
    return table


def read_picture(path: Path, height: int, width: int) -> NDArray[np.uint8]:
    """The pixels of the .png file ``path``, uint8 (height, width, channels), the last one alpha."""
    with reading(path), Image.open(path, formats=["PNG"]) as picture:
        if picture.size != (width, height) or picture.mode not in ("LA", "RGBA"):
            raise ValueError(f"it is {picture.mode}, {picture.size}, and not LA or RGBA, {(width, height)}")
        check_size(path, 4 * height * width)
        return np.asarray(picture)
