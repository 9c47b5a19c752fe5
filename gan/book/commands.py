"""The commands that serve the book alone, sweep, publish, record, …; each imports what it needs."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import gan

from .. import durable
from . import places

Commands = dict[Callable[..., None], tuple[str, dict[str, Any]]]
"""Each command's function, with its help and its options, which it takes by their names."""


def sweep(recipe: str, parameters: dict[str, Any], **how: Any) -> None:
    from . import ablation

    print(f"written to {ablation.sweep(gan.recipe(recipe, **parameters), **how)}")


def publish(folder: Path, **how: Any) -> None:
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
            "train a variant, and follow it on the validation split",
            training
            | {
                "--every": {"type": int, "default": 10, "help": "epochs between two looks"},
                "--results": {"type": Path, "help": "folder of its scores (default: book/results/sweep)"},
            },
        ),
        publish: (
            "measure a run and write it to book/results/",
            {
                "folder": {"type": Path, "help": "a run's folder"},
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
