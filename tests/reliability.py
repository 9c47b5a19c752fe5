"""Where soak tests leave what they counted: the file that $RELIABILITY names, else nowhere.

The book shows book/results/reliability.json: each check's counts, and when, where and on which code it ran.
"""

import json
import os
import resource
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import torch
from filelock import FileLock

from gan.durable import write_json
from gan.engine import describe
from gan.runs import commit


def record(name: str, **numbers: float) -> None:
    """Put the check ``name`` into the file, in place of what it said before: counts, seconds, peak memory."""
    if not (file := os.environ.get("RELIABILITY")):
        return
    path = Path(file)
    with FileLock(Path(tempfile.gettempdir(), f"{path.stem}.lock")):  # tests run side by side
        _add(path, name, numbers)


def _add(path: Path, name: str, numbers: dict[str, float]) -> None:
    checks = json.loads(path.read_text("utf-8")) if path.exists() else {}
    where = {"date": datetime.now(UTC).date().isoformat(), "machine": describe(torch.device("cpu"))}
    checks[name] = numbers | where | {"commit": commit()}
    write_json(path, dict(sorted(checks.items())))


@contextmanager
def limited(more: int = 2**30) -> Iterator[None]:
    """Let this process's address space grow by ``more`` bytes at most."""
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (now + more, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def peak_memory() -> int:
    """Bytes that this process has had in memory at most, so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
