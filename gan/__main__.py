"""The command line, thin over the library: ``gan train`` and the others of ``gan --help``."""

from __future__ import annotations

import argparse
import ast
import os
import re
import sys
import warnings
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, NoReturn, get_args, get_origin

import gan


def train(recipe: str, parameters: dict[str, Any], out: Path | None, **how: Any) -> None:
    made = gan.recipe(recipe, **parameters)
    run = gan.train(made, out or gan.runs.default_folder(made), **how)
    if not int(os.environ.get("RANK", 0)):  # of torchrun's processes only the first one speaks
        print(run.history.tail(1).to_string(index=False))
        print(f"{run.folder}: {run.provenance()}")


def evaluate(folder: Path, **how: Any) -> None:
    for name, value in gan.Run.load(folder).estimate(**how).items():
        print(f"{name:15} {value}")


TRAINING: dict[str, dict[str, Any]] = {
    "recipe": {"help": f"one of: {', '.join(gan.recipes.PRESETS)}"},
    "-p": {"nargs": 2, "action": "append", "default": [], "metavar": ("FIELD", "VALUE"),
           "dest": "parameters", "help": "a field of the recipe, as papermill's -p, or a list (repeat it)"},
    "--out": {"type": Path, "help": "the run's folder (default: runs/RECIPE…)"},
    "--from": {"dest": "start", "type": Path, "metavar": "FOLDER", "help": "go on from a run's weights"},
    "--device": {"default": "auto", "help": "auto, cpu, cuda, cuda:0, … or mps"},
    "--engine": {"default": "auto", "help": "auto, eager, compiled or graph"},
    "--average": {"type": float, "action": "append", "default": [], "metavar": "DECAY", "dest": "averages",
                  "help": "keep an average of G's weights beside (repeat it)"},
    "--overwrite": {"action": "store_true", "help": "start again where a run is there"},
}  # fmt: skip
EVALUATION: dict[str, dict[str, Any]] = {
    "folder": {"type": Path, "help": "a run's folder"},
    "--z-seed": {"type": int, "default": 0, "help": "seed of the 10 000 samples' noise"},
    "--split": {"default": "test", "help": "test, or valid: what choices are made on"},
    "--average": {"type": float, "dest": "decay", "metavar": "DECAY", "help": "G's average; 0: last weights"},
}  # fmt: skip
DATA = {"--data-dir": {"type": Path, "help": "of the .npz files (default: $GAN_DATA_DIR, ~/.cache/gan)"}}


class Parser(argparse.ArgumentParser):
    """Whose errors are one line, as all of ours."""

    def error(self, message: str) -> NoReturn:
        raise ValueError(f"{message} ({self.prog} --help)")


def parser() -> Parser:
    from .book import commands

    top = Parser(prog="gan", description="Train, evaluate and publish runs.")
    parsers = top.add_subparsers(required=True, metavar="command")
    there: commands.Commands = {
        train: ("train a recipe; the same command goes on after Ctrl-C", TRAINING),
        evaluate: ("the Parzen estimate of a run's generator, as in Table 1", EVALUATION),
    }
    for function, (told, options) in (there | commands.commands(TRAINING)).items():
        command = parsers.add_parser(function.__name__, help=told, epilog=fields() if "-p" in options else "")
        command.formatter_class = argparse.RawDescriptionHelpFormatter
        command.set_defaults(run=function)
        for flag, settings in (options | DATA).items():
            command.add_argument(flag, **settings)
    return top


def fields() -> str:
    """What the fields of a recipe mean, a line each."""
    lines = ["fields, for -p FIELD VALUE:"]
    for name, field in [*gan.Recipe.model_fields.items()][1:]:
        words = ", ".join(get_args(field.annotation) if get_origin(field.annotation) is Literal else ())
        lines.append(f"  {name:21} {field.description}" + f" ({words})" * bool(words))
    return "\n".join(lines)


def typed(text: str) -> Any:
    """The value that ``text`` is, as papermill's -p reads it; or a list, whose words need no quotes."""
    if text[:1] in ("[", "("):
        text = re.sub(r"(?<![\w.'\"])[a-z]\w*", lambda word: repr(word[0]), text)
    try:
        with warnings.catch_warnings(action="ignore"):  # of what is nearly a number, as 1is
            return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text


def say(text: str) -> None:
    if not int(os.environ.get("LOCAL_RANK", 0)):  # once on each machine
        print(f"gan: {' '.join(text.split())}", file=sys.stderr)


def main(argv: Sequence[str] | None = None) -> int:
    argv = ["", *(sys.argv[1:] if argv is None else argv)]
    argv = [w for one, word in pairwise(argv) for w in (word.split("=", 1) if one == "-p" else [word])]
    options: dict[str, Any] = {}
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: say(f"warning: {message}")
        try:
            options = vars(parser().parse_args(argv))
            if "parameters" in options:
                options["parameters"] = {name: typed(text) for name, text in options["parameters"]}
            options.pop("run")(**options)
        except (ValueError, OSError, FloatingPointError, MemoryError) as error:
            say(re.sub(r"(\w+)=True", r"--\1", str(error)))  # a flag of the library is one here
            return 2
        except (KeyboardInterrupt, gan.keeping.Stopped) as stopped:
            again = "; the same command (without --overwrite) goes on from the last checkpoint"
            say("stopped" + again * ("overwrite" in options))
            return getattr(stopped, "code", 130)
    return 0


if __name__ == "__main__":
    sys.exit(main())
