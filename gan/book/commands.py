"""The commands that serve the book alone, sweep, publish, record, …; each imports what it needs."""

from __future__ import annotations

import re
import sys
from argparse import Namespace
from collections.abc import Callable
from importlib import import_module
from itertools import accumulate
from pathlib import Path
from typing import Any

import gan

from .. import durable
from . import places

FOLLOWED = ("every", "results", "start", "overwrite")
SWEPT = ("scheduler", "workers", "memory", "retries", "split")
"""Options of `gan sweep` with --follow, and without."""
MOST = 1_000_000  # values in a range: combinations are held in memory
Commands = dict[Callable[..., None], tuple[str, dict[str, Any]]]
"""Each command's function, with its help and its options, which it takes by their names."""


def sweep(recipe: str, grid: list[tuple[str, str]], follow: bool, **how: Any) -> None:
    from ..__main__ import typed

    for name in SWEPT if follow else FOLLOWED:
        if (value := how.pop(name)) is not None:
            raise ValueError(f"{name} = {value}: this goes {'without' if follow else 'with'} --follow")
    how = {name: value for name, value in how.items() if value is not None}
    if follow:
        from . import ablation

        made = gan.recipe(recipe, **{field: typed(text) for field, text in grid})
        print(f"written to {ablation.follow(made, **how)}")
        return
    if doubled := [field for field, _ in grid if sum(other == field for other, _ in grid) > 1]:
        raise ValueError(f"-p {doubled[0]} is there twice: give all its values at once, as in 1,2,5")
    what: Any = recipe
    if recipe.endswith(".ipynb"):
        from . import notebooks

        what = notebooks.execution(Path(recipe))
    table = gan.sweep.run(what, {field: values(field, text) for field, text in grid}, **how)
    fields = [*table][: [*table].index("status")]
    metrics = [name for name in ("mean", "standard_error") if name in table]
    print(table[[*fields, "status", *metrics, "seconds"]].to_string(index=False, max_rows=60))
    if failed := int((table["status"] == "failed").sum()):
        raise ValueError(f"{failed} of {len(table)} failed; the same command tries them again")


def values(field: str, text: str) -> list[Any]:
    """The values that ``text`` gives to ``field``, between commas; 0..9 are ten, a bracketed list is one."""
    from ..__main__ import typed

    found: list[Any] = []
    depths = accumulate((sign in "[(") - (sign in "])") for sign in text)
    apart = ("\n" if sign == "," and not depth else sign for sign, depth in zip(text, depths, strict=True))
    for part in "".join(apart).split("\n"):
        ends = re.fullmatch(r"(-?\d+)\.\.(-?\d+)", part)
        malformed = not ends and re.fullmatch(r"[-\d.]*\.\.[-\d.]*|", part)
        more = range(int(ends[1]), int(ends[2]) + 1) if ends else [] if malformed else [typed(part)]
        if not 0 < len(more) <= MOST:
            wrong = f"{part} is no range of 1 to {MOST} numbers, as 0..9 is" if part else "a value is missing"
            raise ValueError(f"-p {field} {text}: {wrong}")
        found += more
    return found


def publish(folder: Path, **how: Any) -> None:
    if (folder / gan.sweep.RECORD).exists():
        from . import swept

        print(f"written to {swept.publish(folder, how['name'], data_dir=how['data_dir'])}")
        return

    from . import publishing

    run = publishing.publish(gan.Run.load(folder), **how)
    for name, figure in run.record["metrics"].items():
        print(f"{name}: {figure['mean']:.1f} ± {figure['standard_error']:.1f} nats")
    print(f"{run.folder}: {run.provenance()}")


def record(folder: Path, end: str, data_dir: Path | None) -> None:
    from . import started

    root = places.results()
    started.note(gan.Run.load(folder), end, root)
    print(f"written to {root / started.FILE}")


def yardsticks(recipe: str, parameters: dict[str, Any], out: Path | None, **how: Any) -> None:
    from . import yardsticks

    made = gan.recipe(recipe, **parameters)
    out = out or places.results("out=FILE") / "yardsticks" / f"{gan.runs.default_folder(made).name}.json"
    record = yardsticks.measure(made, **how)
    for row in record["rows"]:
        figure = row["estimate"]
        print(f"{row['name']:8} {figure['mean']:.1f} ± {figure['standard_error']:.1f} nats")
    durable.write_json(out, record)
    print(f"{out}: {record['seconds']:.0f} s")


def beginning(recipe: str, parameters: dict[str, Any], out: Path | None, **how: Any) -> None:
    from . import beginning

    made = gan.recipe(recipe, **parameters)
    out = out or places.results("out=FILE") / "beginnings" / f"{gan.runs.default_folder(made).name}.json"
    record = beginning.follow(made, out, **how)
    print(f"{out}: {len(record['rows'])} rows, {record['seconds']:.0f} s")


def bench(**how: Any) -> None:
    folder = Path(gan.__file__).parents[1] / "benchmarks"
    if not folder.is_dir():
        raise ValueError("the benchmark stands in the repository's folder benchmarks/: run it in a checkout")
    sys.path.insert(0, str(folder))
    written = import_module("bench").main(Namespace(**how))
    print(f"written to {written or 'no file; --out FILE keeps a part'}")


def commands(training: dict[str, Any]) -> Commands:
    """These commands; ``training`` are the options of `gan train`."""
    return {
        sweep: (
            "train every combination of some values, on many processes or machines",
            training
            | {
                "recipe": {"help": training["recipe"]["help"] + "; or a notebook, NAME.ipynb"},
                "-p": training["-p"]
                | {"dest": "grid", "metavar": ("FIELD", "VALUES"), "help": "1,2,5 or 0..9 (repeat it)"},
                "--out": {"type": Path, "help": "the sweep's folder (default: runs/sweep)"},
                "--overwrite": training["--overwrite"] | {"default": None},
                "--scheduler": {"metavar": "ADDRESS", "help": "of dask, tcp://… (default: a local cluster)"},
                "--workers": {"type": int, "help": "processes here (default: one for each GPU, or core)"},
                "--memory": {"help": "of each of them at most, as 4GB"},
                "--retries": {"type": int, "help": "how often a failed run is tried again (default: 0)"},
                "--split": {"help": "of the Parzen estimate: valid, test or none (default: valid)"},
                "--follow": {"action": "store_true", "help": "one variant, followed on the validation split"},
                "--every": {"type": int, "help": "with --follow: epochs between two looks (default: 10)"},
                "--results": {
                    "type": Path,
                    "help": "with --follow: folder of its scores (default: book/results/sweep)",
                },
            },
        ),
        publish: (
            "measure a run, or gather a sweep, and write it to book/results/",
            {
                "folder": {"type": Path, "help": "a run's folder, or a sweep's"},
                "name": {"help": "its name under book/results/, one plain word"},
                "--average": {
                    "type": float,
                    "dest": "ema",
                    "metavar": "DECAY",
                    "help": "of G's average (default: the recipe's)",
                },
                "--unfinished": {"action": "store_true", "help": "publish it as it stands"},
                "--replace": {"action": "store_true", "help": "put it in place of a run of the same recipe"},
                "--weights": {"default": "all", "help": "all, generators, generator or none (default: all)"},
            },
        ),
        record: (
            "note in book/results/ how a run ended that is not published",
            {
                "folder": {"type": Path, "help": "a run's folder"},
                "--end": {"required": True, "metavar": "WHY", "help": "in words, how the training ended"},
            },
        ),
        yardsticks: (
            "Table 1's figure of samples that no model made",
            {
                "recipe": {"help": f"whose data and protocol are used: {', '.join(gan.recipes.PRESETS)}"},
                "-p": training["-p"],
                "-n": {"type": int, "default": 10_000, "help": "how many samples of each kind"},
                "--seed": {"type": int, "default": 0, "help": "of the draws and of k-means"},
                "--out": {"type": Path, "help": "default: book/results/yardsticks/RECIPE.json"},
            },
        ),
        beginning: (
            "look at a recipe's first updates as they go",
            {name: training[name] for name in ("recipe", "-p", "--device", "--engine")}
            | {
                "--updates": {"type": int, "default": 1000, "help": "how many (default: 1000)"},
                "--every": {"type": int, "default": 10, "help": "updates between two looks (default: 10)"},
                "--out": {"type": Path, "help": "default: book/results/beginnings/RECIPE.json"},
            },
        ),
        bench: (
            "time everything beside what one would run instead",
            {
                "rows": {"nargs": "*", "metavar": "ROW", "help": "only these rows (default: all)"},
                "--peer": {"type": Path, "help": "the path of PyTorch-GAN's gan.py, to be timed too"},
                "--rounds": {"type": int, "default": 7, "help": "how often each contestant runs"},
                "--device": {"default": "auto", "help": "auto, cpu or cuda"},
                "--out": {"type": Path, "help": "the table (default: book/results/bench/DEVICE.json)"},
            },
        ),
    }
