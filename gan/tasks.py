"""What a sweep is made of: the tasks of a grid of parameters, what is known of each, and their table."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from . import durable

RECORD = "sweep.json"
REST = ("epoch", "attempts", "seconds", "worker", "machine", "device", "error")


class Task(NamedTuple):
    """A combination of ``what``: ``play`` makes the file or folder ``made``, and tells what to record.

    It is given that path, and what to call with each epoch's number. ``fields`` are all that decide. What
    ``stacks`` is a training that goes together with those of other seeds.
    """

    what: str
    made: str
    parameters: dict[str, Any]
    fields: dict[str, Any]
    play: Callable[[Path, Callable[..., None]], dict[str, Any]]
    stacks: bool = False


def plan(make: Callable[[dict[str, Any]], Task], grid: Mapping[str, Sequence[Any]]) -> list[Task]:
    """What ``make`` makes of each combination, the last field running fastest; errors as `run` has them."""
    if not grid or not all(map(len, grid.values())):
        raise ValueError(f"there is nothing to sweep in {dict(grid)}: it takes fields, and values of each")
    tasks: dict[str, Task] = {}
    refused: dict[str, list[str]] = {}
    for values in product(*grid.values()):
        told = ", ".join(f"{field} {value}" for field, value in zip(grid, values, strict=True))
        try:
            task = make(dict(zip(grid, values, strict=True)))
        except ValueError as error:
            refused.setdefault(str(error), []).append(told)
        else:
            if tasks.setdefault(task.made, task) is not task:
                raise ValueError(f"the combination {told} is there twice: give each value once")
    if not tasks:
        raise ValueError(next(iter(refused)))
    for reason, those in refused.items():
        some = "; ".join(those[:5]) + f"; and {len(those) - 5} more" * (len(those) > 5)
        warnings.warn(f"left out, as {reason}: {some}", stacklevel=3)
    return list(tasks.values())


def load(out: str | os.PathLike[str]) -> pd.DataFrame:
    """A sweep's table, a row for each combination: its parameters, status, metrics, wall time, worker.

    ``status`` is finished, failed (``error`` says why), unfinished (so far to ``epoch``), or waiting;
    ``seconds`` are those of all its attempts. FileNotFoundError, ValueError: no sweep is there.
    """
    if not Path(out, RECORD).exists():
        raise FileNotFoundError(f"{out} is no sweep: it has no {RECORD}")
    there = known(Path(out))
    fields = dict.fromkeys(field for record in there for field in record["parameters"])
    rows = []
    for record in there:
        own = {field: record["fields"].get(field) for field in fields}
        own = {field: tuple(value) if isinstance(value, list) else value for field, value in own.items()}
        rest = {key: record.get(key) for key in REST}
        rows.append(own | {"status": record["status"]} | record.get("metrics", {}) | rest)
    return pd.DataFrame(rows, index=[record["made"] for record in there])


def known(folder: Path) -> list[dict[str, Any]]:
    there = [read(path) for path in folder.glob("*.json") if path.name != RECORD]
    return sorted(there, key=lambda record: record["number"])


def path_of(folder: Path, task: Task) -> Path:
    return folder / f"{task.made.removesuffix('.ipynb')}.json"


def update(folder: Path, task: Task, **more: Any) -> dict[str, Any]:
    record = read(path_of(folder, task)) | more
    durable.write_json(path_of(folder, task), record)
    return record


def read(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is damaged ({error}): remove it, and the sweep writes it anew") from None


def one_line(error: Any) -> str:
    kind, said = getattr(error, "ename", type(error).__name__), getattr(error, "evalue", error)
    return " ".join(f"{kind}: {said}".split())
