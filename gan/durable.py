"""Writing that lasts: a kill, a full disk or a power cut leaves the old or the new, never half of either.

A file is written under another name, brought to the disk (fsync) and renamed, and so is its folder's entry. A
sealed file ends with the SHA-256 of all before it; a folder's files have theirs in SHA256SUMS (sha256sum -c).
"""

from __future__ import annotations

import ctypes
import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from filelock import FileLock, Timeout

LOCK, SUMS = ".lock", "SHA256SUMS"
SEAL = b"\nsha256 "  # and 64 hexadecimal digits


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Say in one line why ``path`` can't be written: an OSError, with its errno."""
    try:
        yield
    except Timeout:
        raise
    except (OSError, RuntimeError) as found:
        error = found if isinstance(found, OSError) else found.__context__  # torch's is another's
        if not isinstance(error, OSError):
            raise
        reason = error.strerror or " ".join(str(error).split())
        told = OSError(f"{path} can't be written ({reason}): what was saved before stays")
        told.errno = error.errno
        raise told from None


def sync(path: Path) -> None:
    """Bring a file, or the entries of a folder, to the disk."""
    if path.is_dir() and os.name == "nt":
        return
    number = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
    try:
        os.fsync(number)
    except OSError as error:
        if error.errno != errno.EINVAL:  # of folders, where a file system knows no such thing
            raise
    finally:
        os.close(number)


def make(folder: Path) -> None:
    """Make ``folder`` and what is missing above it, and bring their names to the disk."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for path in missing:
        sync(path.parent)


@contextmanager
def whole(path: Path, kept: Path | None = None) -> Iterator[Path]:
    """A name to write to; it becomes ``path`` if all goes well, and what was there ``kept``."""
    part = path.with_name(f".{path.name}.part")
    try:
        with writing(path):
            yield part
            sync(part)
            if kept and path.exists():
                os.replace(path, kept)
            os.replace(part, path)
            sync(path.parent)
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise


@contextmanager
def sealed(path: Path, kept: Path | None = None) -> Iterator[IO[bytes]]:
    """`whole`, as an open file that gets its seal in the end."""
    with whole(path, kept) as part, part.open("w+b") as file:
        yield file
        file.seek(0)
        file.write(SEAL + hashlib.file_digest(file, "sha256").hexdigest().encode())


def is_sealed(path: Path) -> bool:
    """Whether ``path`` ends with a seal; ValueError where that is not its own."""
    length = len(SEAL) + 64
    with path.open("rb") as file:
        left = file.seek(0, os.SEEK_END) - length
        if left < 0:
            return False
        file.seek(left)
        mark, digest = file.read(len(SEAL)), hashlib.sha256()
        if mark != SEAL:
            return False
        told = file.read()
        file.seek(0)
        while left:
            block = file.read(min(left, 2**20))
            digest.update(block)
            left -= len(block)
    if told != digest.hexdigest().encode():
        raise ValueError("its checksum is not that of its content")
    return True


def write_sums(folder: Path) -> None:
    """Write SHA256SUMS of all files in ``folder``, and bring them to the disk."""
    paths = sorted(path for path in folder.iterdir() if path.name != SUMS)
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in paths]
    with whole(folder / SUMS) as part:
        part.write_text("".join(lines), "utf-8")
        for path in paths:
            sync(path)


def check_sums(folder: Path) -> None:
    """ValueError, one line, where a file of ``folder`` is not as its SHA256SUMS, if it has one, says."""
    if not (sums := folder / SUMS).exists():
        return
    told = dict(
        line.split("  ", 1)[::-1] for line in sums.read_text("utf-8", "replace").splitlines() if "  " in line
    )
    for name in told or [SUMS]:
        path = folder / Path(name).name
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != told.get(name):
            raise ValueError(f"{path} is damaged or missing (its checksum is not that in {SUMS})")


@contextmanager
def locked(folder: Path, timeout: float = -1) -> Iterator[Callable[[], None]]:
    """Make ``folder``, have it alone, and clear what a kill left in it; Timeout where another process has it.

    Gives what raises OSError where the folder is no longer the one that was taken. An empty folder goes.
    """
    with writing(folder):
        make(folder)
        (lock := FileLock(folder / LOCK, timeout=timeout)).acquire()
        taken = (folder / LOCK).stat()

    def still() -> None:
        try:
            same = os.path.samestat((folder / LOCK).stat(), taken)
        except FileNotFoundError:
            same = False
        if not same:
            raise OSError(f"{folder} can't be written (it is no longer the folder that was taken)")

    try:
        clear(folder)
        yield still
    finally:
        with suppress(OSError):
            still()
            (folder / LOCK).unlink()
            folder.rmdir()
        lock.release()


def clear(folder: Path) -> None:
    """Remove what was being written in ``folder`` when it was left."""
    for path in folder.glob(".*.part"):
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def exchange(new: Path, place: Path) -> None:
    """Put the folder ``new`` in ``place``, and what is there, if anything is, away, in one step.

    Where the system has no such step, ``place`` is for a moment called .NAME.before: see `put_back`.
    """
    before = place.with_name(f".{place.name}.before")
    if not place.exists():
        os.replace(new, place)
    elif not _swap(new, place):
        os.replace(place, before)
        try:
            os.replace(new, place)
        except BaseException:
            os.replace(before, place)
            raise
        shutil.rmtree(before, ignore_errors=True)
    sync(place.parent)


def put_back(place: Path) -> None:
    """Put back what a kill left aside in `exchange`."""
    before = place.with_name(f".{place.name}.before")
    if before.exists() and place.exists():
        shutil.rmtree(before)
    elif before.exists():
        os.replace(before, place)


def _swap(one: Path, other: Path) -> bool:
    """Exchange two names by Linux's or macOS's own call, and whether it could."""
    names, flag = (os.fsencode(one), os.fsencode(other)), 2  # RENAME_EXCHANGE, RENAME_SWAP
    with suppress(AttributeError, TypeError, OSError):
        libc = ctypes.CDLL(None)
        if hasattr(libc, "renamex_np"):
            return libc.renamex_np(*names, flag) == 0
        return libc.renameat2(-100, names[0], -100, names[1], flag) == 0
    return False


def in_json(record: dict[str, Any]) -> str:
    return json.dumps(record, indent=1, ensure_ascii=False) + "\n"


def write_json(path: Path, record: dict[str, Any]) -> None:
    """Write ``record`` to ``path``, whole or not at all; its folder is made."""
    make(path.parent)
    with whole(path) as part:
        part.write_text(in_json(record), "utf-8")
