"""Writing that lasts: a kill, a full disk or a power cut leaves the old or the new, never half of either."""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import numpy as np
from filelock import FileLock

LOCK, SUMS, SEAL = ".lock", "SHA256SUMS", b"\nsha256 "  # and the SHA-256 of all before it, in hexadecimal


def sync(path: Path) -> None:
    """Bring a file, or the entries of a folder, to the disk."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def make(folder: Path) -> None:
    """Make ``folder`` and what is missing above it, and bring their names to the disk."""
    if not folder.is_dir():
        make(folder.parent)
        folder.mkdir(exist_ok=True)
        sync(folder.parent)


@contextmanager
def whole(path: Path, kept: Path | None = None) -> Iterator[Path]:
    """A name to write to; it becomes ``path`` if all goes well, and what was there ``kept``; else OSError."""
    part = path.with_name(f".{path.name}.part")
    try:
        yield part
        sync(part)
        if kept and path.exists():
            os.replace(path, kept)
        os.replace(part, path)
        sync(path.parent)
    except (OSError, RuntimeError) as found:
        error = found if isinstance(found, OSError) else found.__context__  # torch's is another's
        if not isinstance(error, OSError):
            raise
        raise OSError(f"{path} can't be written ({error.strerror or error}): what was saved stays") from None
    finally:
        with suppress(OSError):
            part.unlink()


@contextmanager
def sealed(path: Path, kept: Path | None = None) -> Iterator[IO[bytes]]:
    """`whole`, as an open file that gets its seal in the end."""
    with whole(path, kept) as part, part.open("w+b") as file:
        yield file
        file.seek(0)
        file.write(SEAL + hashlib.file_digest(file, "sha256").hexdigest().encode())


def is_sealed(path: Path) -> bool:
    """Whether ``path`` ends with a seal; ValueError where that is not its own."""
    size, content = len(SEAL) + 64, np.memmap(path, np.uint8, "r")
    seal = content[-size:].tobytes()
    if seal.startswith(SEAL) and seal[-64:] != hashlib.sha256(content[:-size].data).hexdigest().encode():
        raise ValueError("its checksum is not that of its content")
    return seal.startswith(SEAL)


def write_sums(folder: Path) -> None:
    """Write SHA256SUMS of all files in ``folder``, and bring them to the disk."""
    paths = sorted(folder.iterdir())
    with whole(folder / SUMS) as part, part.open("w", encoding="utf-8") as file:
        for path in paths:
            file.write(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n")
            sync(path)


def check_sums(folder: Path) -> None:
    """ValueError, one line, where a file of ``folder`` is not as its SHA256SUMS, if it has one, says."""
    sums = folder / SUMS
    for line in sums.read_text("utf-8", "replace").splitlines() if sums.exists() else ():
        path = folder / Path(line[66:]).name
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != line[:64]:
            raise ValueError(f"{path} is damaged or missing (its checksum is not that in {SUMS})")


@contextmanager
def locked(folder: Path, timeout: float = -1) -> Iterator[Callable[[], None]]:
    """Make ``folder``, have it alone, and clear what a kill left in it; Timeout where another process has it.

    Gives what raises OSError where the folder is no longer the one that was taken. An empty folder goes.
    """
    lock = folder / LOCK
    make(folder)
    with FileLock(lock, timeout):
        taken = lock.stat()

        def still() -> None:
            if not lock.exists() or not os.path.samestat(lock.stat(), taken):
                raise OSError(f"{folder} can't be written (it is no longer the folder that was taken)")

        try:
            for path in folder.glob(".*.part"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            yield still
        finally:
            with suppress(OSError):
                still()
                lock.unlink()
                folder.rmdir()


def exchange(new: Path, place: Path) -> None:
    """Put the folder ``new`` in ``place``, and what is there, if anything, in its stead, in one step."""
    if not place.exists():
        os.replace(new, place)
    else:
        libc = ctypes.CDLL(None)
        swap = getattr(libc, "renameatx_np", None) or libc.renameat2  # macOS's call, and Linux's
        if swap(-1, os.fsencode(new.absolute()), -1, os.fsencode(place.absolute()), 2):
            raise OSError(f"{place} can't be replaced in one step on this disk: move it away first")
    sync(place.parent)


def in_json(record: dict[str, Any]) -> str:
    return json.dumps(record, indent=1, ensure_ascii=False) + "\n"


def write_json(path: Path, record: dict[str, Any]) -> None:
    """Write ``record`` to ``path``, whole or not at all; its folder is made."""
    make(path.parent)
    with whole(path) as part:
        part.write_text(in_json(record), "utf-8")
