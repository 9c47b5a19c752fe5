"""The command line, thin over the library: ``python -m gan train`` and the others of ``--help``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import gan


def train(arguments: argparse.Namespace) -> None:
    recipe = gan.recipe(arguments.recipe, **dict(arguments.parameters))
    out = arguments.out or gan.runs.default_folder(recipe)
    run = gan.train(
        recipe,
        out,
        device=arguments.device,
        engine=arguments.engine,
        overwrite=arguments.overwrite,
        averages=arguments.average,
        data_dir=arguments.data_dir,
        start=arguments.start,
    )
    if int(os.environ.get("RANK", 0)):  # of torchrun's processes only the first one speaks
        return
    print(run.history.tail(1).to_string(index=False))
    print(f"{run.folder}: {run.provenance()}")


def evaluate(arguments: argparse.Namespace) -> None:
    run = gan.Run.load(arguments.folder)
    generator = run.generator if arguments.average is None else run.averaged(arguments.average)
    estimate = gan.parzen.estimate(
        run.recipe, generator, split=arguments.split, z_seed=arguments.z_seed, data_dir=arguments.data_dir
    )
    for name, value in estimate.items():
        print(f"{name:15} {value}")


def sweep(arguments: argparse.Namespace) -> None:
    from .book import ablation

    recipe = gan.recipe(arguments.recipe, **dict(arguments.parameters))
    path = ablation.sweep(
        recipe,
        arguments.out,
        every=arguments.every,
        averages=arguments.average,
        data_dir=arguments.data_dir,
        device=arguments.device,
        engine=arguments.engine,
        start=arguments.start,
    )
    print(f"written to {path}")


def publish(arguments: argparse.Namespace) -> None:
    from .book import publishing

    run = publishing.publish(
        gan.Run.load(arguments.folder),
        arguments.name,
        ema=arguments.average,
        data_dir=arguments.data_dir,
        unfinished=arguments.unfinished,
        weights=arguments.weights,
    )
    for name, figure in run.record["metrics"].items():
        print(f"{name}: {figure['mean']:.1f} ± {figure['standard_error']:.1f} nats")
    print(f"{run.folder}: {run.provenance()}")


def record(arguments: argparse.Namespace) -> None:
    from .book import started

    started.note(gan.Run.load(arguments.folder), arguments.end)
    print(f"written to book/results/{started.FILE}")


def yardsticks(arguments: argparse.Namespace) -> None:
    from .book import yardsticks

    recipe = gan.recipe(arguments.recipe)
    record = yardsticks.measure(recipe, arguments.n, arguments.seed, data_dir=arguments.data_dir)
    for row in record["rows"]:
        figure = row["estimate"]
        print(f"{row['name']:8} {figure['mean']:.1f} ± {figure['standard_error']:.1f} nats")
    out = arguments.out or Path("book/results/yardsticks") / f"{recipe.name}.json"
    gan.runs.write_json(out, record)
    print(f"{out}: {record['seconds']:.0f} s")


def bench(arguments: argparse.Namespace) -> None:
    folder = Path(gan.__file__).parents[1] / "benchmarks"
    if not folder.is_dir():
        raise ValueError("the benchmark stands in the repository's folder benchmarks/: run it in a checkout")
    sys.path.insert(0, str(folder))
    print(f"written to {import_module('bench').main(arguments) or 'no file; --out FILE keeps a part'}")


COMMANDS: dict[Callable[[argparse.Namespace], None], str] = {
    train: "train a recipe; the same command goes on after Ctrl-C",
    sweep: "train a variant, and follow it on the validation split",
    evaluate: "the Parzen estimate of a run's generator, as in Table 1",
    publish: "measure a run and write it to book/results/",
    record: "note in book/results/ how a run ended that is not published",
    yardsticks: "Table 1's figure of samples that no model made",
    bench: "time everything beside what one would run instead",
}
PARAMETER: dict[str, Any] = {"nargs": 2, "action": "append", "default": [], "metavar": ("FIELD", "VALUE")}
TRAINING: dict[str, dict[str, Any]] = {
    "recipe": {"help": f"one of: {', '.join(gan.recipes.PRESETS)}"},
    "-p": PARAMETER | {"dest": "parameters", "help": "a field of the recipe, as papermill's -p (repeat it)"},
    "--out": {"type": Path, "help": "the run's folder (default: runs/RECIPE…)"},
    "--from": {"dest": "start", "type": Path, "metavar": "FOLDER", "help": "go on from a run's weights"},
    "--device": {"default": "auto", "help": "auto, cpu, cuda, cuda:0, … or mps"},
    "--engine": {"default": "auto", "help": "auto, eager, compiled or graph"},
    "--average": {"type": float, "action": "append", "default": [], "metavar": "DECAY",
                  "help": "keep an average of G's weights beside (repeat it)"},
}  # fmt: skip
OPTIONS: dict[Callable[[argparse.Namespace], None], dict[str, dict[str, Any]]] = {
    train: TRAINING | {"--overwrite": {"action": "store_true", "help": "start again where a run is there"}},
    sweep: TRAINING | {"--every": {"type": int, "default": 10, "help": "epochs between two looks"}},
    evaluate: {
        "folder": {"type": Path, "help": "a run's folder"},
        "--z-seed": {"type": int, "default": 0, "help": "seed of the 10 000 samples' noise"},
        "--split": {"default": "test", "help": "test, or valid: what choices are made on"},
        "--average": {
            "type": float,
            "help": "decay of G's average, 0: last weights (default: the recipe's)",
        },
    },
    publish: {
        "folder": {"type": Path, "help": "a run's folder"},
        "name": {"help": "its name under book/results/"},
        "--average": {"type": float, "help": "decay of the average of G's weights (default: the recipe's)"},
        "--unfinished": {"action": "store_true", "help": "publish it as it stands"},
        "--weights": {"default": "all", "help": "those to keep: all, generators, generator or none"},
    },
    record: {
        "folder": {"type": Path, "help": "a run's folder"},
        "--end": {"required": True, "metavar": "WHY", "help": "in words, how the training ended"},
    },
    yardsticks: {
        "recipe": {"help": "the recipe whose data and protocol are used"},
        "-n": {"type": int, "default": 10_000, "help": "how many samples of each kind"},
        "--seed": {"type": int, "default": 0, "help": "of the draws and of k-means"},
        "--out": {"type": Path, "help": "default: book/results/yardsticks/RECIPE.json"},
    },
    bench: {
        "rows": {"nargs": "*", "metavar": "ROW", "help": "only these rows (default: all)"},
        "--peer": {"type": Path, "help": "the path of PyTorch-GAN's gan.py, to be timed too"},
        "--rounds": {"type": int, "default": 7, "help": "how often each contestant runs"},
        "--device": {"default": "auto", "help": "auto, cpu or cuda"},
        "--out": {"type": Path, "help": "the table (default: book/results/bench/DEVICE.json)"},
    },
}


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="python -m gan", description="Train, evaluate and publish runs.")
    commands = top.add_subparsers(required=True, metavar="command")
    for function, told in COMMANDS.items():
        command = commands.add_parser(function.__name__, help=told)
        command.set_defaults(run=function)
        for flags, settings in OPTIONS[function].items():
            command.add_argument(*flags.split(", "), **settings)
        command.add_argument(
            "--data-dir", type=Path, help="where the .npz files are (default: $GAN_DATA_DIR)"
        )
    return top


def main(argv: Sequence[str] | None = None) -> int:
    arguments = parser().parse_args(argv)
    try:
        arguments.run(arguments)
    except (ValueError, OSError, FloatingPointError) as error:
        if not int(os.environ.get("LOCAL_RANK", 0)):  # once on each machine
            print(f"gan: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("gan: stopped; the same command goes on from the last checkpoint", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
