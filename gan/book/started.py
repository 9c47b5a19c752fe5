"""Every training that was started for the book, failures too: book/results/started.csv, a line for each.

``changed`` are the fields in which the recipe is not the one of its name; ``end`` says in words how it ended.
``nats``, ``split`` and ``published`` are three lists of one length, for one training may be published at
several moments: the Parzen figure of the last weights or of their average, the images that it was taken on,
and the name under book/results/. In a list - stands for what is not known, or not published; a cell that is
not known is empty.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..durable import whole
from ..recipes import changes, parse
from ..runs import RECORD, Run

FILE = "started.csv"
KEY = ("started", "recipe", "changed", "seed")
LISTS = ("nats", "split", "published")
FIELDS = (*KEY, "machine", "epochs", "end", *LISTS)
FINISHED, STOPPED = "走完", "停下"

Line = dict[str, str]


def read(path: str | os.PathLike[str]) -> list[Line]:
    """The lines of a started.csv, none where there is no file; ValueError, one line, where it has others."""
    if not Path(path).exists():
        return []
    with open(path, encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        if tuple(rows.fieldnames or ()) != FIELDS:
            raise ValueError(f"{path} has the columns {rows.fieldnames}: it must have {', '.join(FIELDS)}")
        return list(rows)


def write(path: str | os.PathLike[str], lines: Iterable[Line]) -> None:
    """Write ``lines``, in the order in which the trainings began, whole or not at all."""
    with whole(Path(path)) as part, part.open("w", encoding="utf-8", newline="") as file:
        rows = csv.DictWriter(file, FIELDS, lineterminator="\n")
        rows.writeheader()
        rows.writerows(sorted(lines, key=lambda line: (line["started"] or "9", line["recipe"], line["seed"])))


def line(record: Mapping[str, Any], end: str, epochs: int | None = None) -> Line:
    """What run.json or a sweep's record tells of its training; an average of weights changes no training."""
    own = parse(record["recipe"])
    apart = ("seed", "epochs", "ema")
    changed = [f"{f}={_told(value)}" for f, value in changes(own).items() if f not in apart]
    cells = (record["started"], own.name, " ".join(changed), own.seed, record["device"])
    done = own.epochs if epochs is None else epochs
    return dict(zip(FIELDS, (*map(str, cells), str(done), end, "", "", ""), strict=True))


def of_sweep(record: Mapping[str, Any]) -> Line:
    """One line for all trainings of a published sweep, `gan.book.swept`; ``changed`` names what is varied."""
    first, *_, last = record["seeds"]
    end = f"{record['runs']} 次训练，每次改一两处，都走完或发散，逐次列在 sweeps/ 里"
    told = {"changed": " ".join(record["fields"]), "seed": f"{first}–{last}"}
    return line(record, end) | told


def figures(line: Line) -> list[tuple[str, str, str]]:
    """A line's figures: nats, split, the published name."""
    return list(zip(*(line[name].split() for name in LISTS), strict=True))


def add(
    lines: Sequence[Line], new: Line, record: Mapping[str, Any] | None = None, name: str = ""
) -> list[Line]:
    """``lines`` with ``new``, which takes the place of what was said of the same training.

    A published ``record`` adds its figure under its ``name``; where the name stood, only the figure stays.
    """
    found = [one for one in lines if [one[key] for key in KEY] == [new[key] for key in KEY]]
    kept = [dict(one) for one in lines if one not in found]
    told = [figure for one in found for figure in figures(one) if figure[2] != name]
    if record:
        for one in kept:
            _set(one, [(n, s, "-" if p == name else p) for n, s, p in figures(one)])
        estimate = record["metrics"]["parzen"]
        told = [(f"{estimate['mean']:.1f}", estimate.get("split", "-"), name), *told]
    if found and int(found[0]["epochs"] or 0) > int(new["epochs"]):
        new = new | {key: found[0][key] for key in ("epochs", "end")}
    merged = dict(new)
    _set(merged, told)
    return [*kept, merged]


def note(run: Run, end: str, root: str | os.PathLike[str] = "book/results", name: str = "") -> None:
    """Add ``run``'s line to started.csv in ``root``; that of the published run ``name``, if it is one."""
    if not (end := " ".join(end.split())):
        raise ValueError("end is empty: say how the training ended")
    path = Path(root) / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    record = run.record if name else None
    write(path, add(read(path), line(run.record, end, len(run.history)), record, name))


def problems(root: str | os.PathLike[str]) -> list[str]:
    """In words, where started.csv in ``root`` and what is published there do not agree."""
    lines = read(Path(root) / FILE)
    told = [(one, *figure) for one in lines for figure in figures(one)]
    found = []
    for path in sorted(Path(root).glob(f"*/{RECORD}")):
        record, name = json.loads(path.read_text(encoding="utf-8")), path.parent.name
        estimate = record["metrics"]["parzen"]
        mine = [(one, nats, split) for one, nats, split, published in told if published == name]
        if len(mine) != 1:
            found.append(f"{name} has {len(mine)} lines")
        elif mine[0][1:] != (f"{estimate['mean']:.1f}", estimate["split"]):
            found.append(f"{name} has {' '.join(mine[0][1:])}, its record {estimate['mean']:.1f}")
        elif [mine[0][0][key] for key in KEY] != [line(record, "")[key] for key in KEY]:
            found.append(f"{name} stands in the line of another training")
    keys = [[one[key] for key in KEY] for one in lines]
    for folder in ("course", "sweep", "sweeps"):
        for path in sorted(Path(root, folder).glob("*.json")):
            record = json.loads(path.read_text(encoding="utf-8"))
            own = of_sweep(record) if folder == "sweeps" else line(record, "")
            if keys.count([own[key] for key in KEY]) != 1:
                found.append(f"{folder}/{path.stem} has no line")
    gone = {published for *_, published in told if published != "-"}
    found += [f"{n} is not published" for n in sorted(gone) if not (Path(root) / n / RECORD).exists()]
    return found


def _set(line: Line, told: Sequence[tuple[str, str, str]]) -> None:
    line |= dict(zip(LISTS, map(" ".join, zip(*told, strict=True)), strict=True)) if told else {}


def _told(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
