"""How a training takes its folder, goes on from what is there, saves, and is stopped.

The folder must be free or hold a beginning of the same run. A checkpoint rules; run.json and history.csv are
written of it, for readers.
"""

from __future__ import annotations

import os
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from filelock import Timeout

from . import data, durable, files, runs
from .engine import at, choose, processes, tell, works
from .files import Damaged
from .keeping import Part, differing, known_state
from .recipes import Recipe, parse
from .runs import BEFORE, BEST, CHECKPOINT, CHECKPOINTS, HISTORY, RECORD, WITHIN, Run

SAVE_EVERY = 5.0  # seconds between checkpoints at the ends of epochs, half as often from within; longer …
SAVED_IN = 0.05  # … where one takes more than so many seconds: a hundredth of the time may go into them
LOOK_EVERY, LOOKED_IN = 1.0, 0.005  # and so for looks whether all is finite


class Pace:
    """When something is due again: after ``every`` seconds, or later, if it took longer than ``within``."""

    def __init__(self) -> None:
        self.last, self.took = time.monotonic(), 0.0

    def due(self, every: float, within: float) -> bool:
        return time.monotonic() - self.last > every * max(1, self.took / within)

    @contextmanager
    def measured(self) -> Iterator[None]:
        start = time.monotonic()
        yield
        self.last = time.monotonic()
        self.took = self.last - start


class Checkpoints:
    """Writes a run's files into ``folder``; where one stands there that is to ``keep``, it stays beside."""

    def __init__(self, folder: Path, record: dict[str, Any], keep: bool, still: Callable[[], None]) -> None:
        self.folder, self.record, self.keep, self.still = folder, record, keep, still
        self.ends, self.any, self.first = Pace(), Pace(), not keep

    def last(self, recipe: Recipe, first: dict[str, Any] | None) -> dict[str, Any] | None:
        """The state that was saved last; ``first``, with which it all began, where none was."""
        return tell(lambda: newest(self.folder, recipe)[0]) if self.keep else first

    def due(self, end: bool) -> bool:
        """Whether to save now, at the ``end`` of an epoch or within a long one."""
        if end:
            return self.first or self.ends.due(SAVE_EVERY, SAVED_IN)
        return self.any.due(2 * SAVE_EVERY, SAVED_IN)

    def save(self, parts: Mapping[str, Part], *, end: bool, must: bool = False) -> None:
        """Save; where that can't be done now, say so, and go on, unless it ``must``."""
        state = {name: part.state_dict() for name, part in parts.items()}

        def write() -> OSError | None:
            self.still()
            try:
                save(self.folder, self.record, state, self.keep)
            except OSError as error:
                return error
            return None

        with self.any.measured():
            failed = tell(write)
        if failed and must:
            raise failed
        if failed:
            warnings.warn(f"{failed}; the training goes on, and tries again", stacklevel=4)
        self.keep = self.keep or not failed
        if end:
            self.ends.last, self.ends.took = self.any.last, self.any.took
            self.first = bool(failed)


def save(folder: Path, record: dict[str, Any], state: dict[str, Any], keep: bool = False) -> None:
    """Write a checkpoint, which rules, and of it what people read; each whole or not at all.

    Where the one that is there is to ``keep``, it stays as the one before; else nothing there counts.
    """
    record["seconds"] = round(sum(row["seconds"] for row in state["history"]), 1)
    within = bool(state["epoch"] and state["history"])
    path, before = (folder / WITHIN, None) if within else (folder / CHECKPOINT, folder / BEFORE)
    with durable.sealed(path, before if keep else None) as file:
        torch.save({"format": runs.FORMAT, "record": record, **state}, file)
    gone = {*CHECKPOINTS, BEST} - {path.name} if not keep else set() if within else {WITHIN}
    for name in gone:
        (folder / name).unlink(missing_ok=True)
    tell_readers(folder, record, state["history"])


def tell_readers(folder: Path, record: dict[str, Any], history: list[dict[str, float]]) -> None:
    """Write history.csv and run.json, where they do not say already what a checkpoint does."""
    rows = pd.DataFrame(history).to_csv(index=False, float_format="%.6g") if history else ""
    for name, text in {HISTORY: rows, RECORD: durable.in_json(record)}.items():
        path, there = folder / name, (folder / name).exists()
        if not text:
            path.unlink(missing_ok=True)
        elif not there or path.read_bytes() != text.encode():
            with durable.whole(path) as part:
                part.write_bytes(text.encode())


def newest(folder: Path, recipe: Recipe) -> tuple[dict[str, Any] | None, set[str]]:
    """The furthest state of ``recipe``'s run in ``folder``, if there is one, and which files are good.

    Says what is damaged and passed over. ValueError: all is, or the run is another.
    """
    states: dict[str, dict[str, Any]] = {}
    damaged: list[Damaged] = []
    for name in (CHECKPOINT, WITHIN, BEFORE):
        if name == BEFORE and CHECKPOINT in states:
            break
        try:
            state = runs.read_state(folder / name)
        except FileNotFoundError:
            continue
        except Damaged as error:
            damaged.append(error)
            continue
        if fields := differing(parse(state["record"]["recipe"]), recipe):
            if name == WITHIN:  # left by a kill, when another run came in its place
                continue
            raise _another(folder, fields)
        states[name] = state
    if damaged and not states:
        raise ValueError(f"{damaged[0]}: {runs.AGAIN}")
    if not states:
        return None, set()
    name = max(states, key=lambda name: (len(states[name]["history"]), states[name]["epoch"].get("done", 0)))
    for one in damaged:
        warnings.warn(f"{one}: going on from {name}, {len(states[name]['history'])} epochs", stacklevel=5)
    return states[name], {*states}


def load(recipe: Recipe, data_dir: str | os.PathLike[str] | None) -> data.Dataset:
    """The recipe's data set, which must fill an iteration."""
    if processes() > 1:
        tell(lambda: bool(data.load(recipe.dataset, data_dir)))  # one downloads, and then each reads
    dataset = data.load(recipe.dataset, data_dir)
    there, needed = len(dataset.split(recipe.valid)[0]), recipe.batch_size * recipe.k
    if needed > there:
        raise ValueError(
            f"batch_size = {recipe.batch_size} with k = {recipe.k} needs {needed} training images; "
            f"{dataset.name} has {there}"
        )
    return dataset


def check(folder: Path, recipe: Recipe, averages: Sequence[float] = (), overwrite: bool = False) -> bool:
    """Whether ``folder`` holds a run of ``recipe``, or of its beginning; False where it is free.

    ValueError where it holds anything else; with ``overwrite`` any run in training will do, and counts as
    free, as one of which nothing was saved does.
    """
    if wrong := [decay for decay in averages if not 0 <= decay < 1]:
        raise ValueError(f"averages = {wrong[0]}: a decay is at least 0 and less than 1")
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file; a run needs a folder of its own")
    files.check_folder(folder)
    there = {path.name for path in folder.iterdir()} if folder.exists() else set()
    saved = there & {*CHECKPOINTS}
    if not saved and RECORD not in there:
        if any(name != durable.LOCK and not (name[0] == "." and name.endswith(".part")) for name in there):
            raise ValueError(f"{folder} holds files that are no run's: choose a new folder")
        return False
    if overwrite and "samples.png" in there:
        raise ValueError(f"{folder} holds a published run: choose another folder")
    if overwrite or not (saved or HISTORY in there):
        return False
    if saved:
        newest(folder, recipe)
    elif fields := differing(parse(runs.read_record(folder)["recipe"]), recipe):
        raise _another(folder, fields)
    return True


def _another(folder: Path, fields: str) -> ValueError:
    return ValueError(
        f"{folder} holds another run ({fields}): choose another folder, or overwrite=True; "
        f"only more epochs go on from where it was"
    )


@contextmanager
def own(folder: Path, device: torch.device) -> Iterator[Callable[[], None]]:
    """Make ``folder`` this process's own; the caller's random numbers are as they were afterwards.

    Gives what raises OSError where it no longer is.
    """
    cuda = device.type == "cuda"
    random = torch.random.fork_rng([torch.cuda.current_device()] if cuda else [])
    with at(device), random, ExitStack() as stack:
        taken: list[Callable[[], None]] = []
        try:
            tell(lambda: taken.append(stack.enter_context(durable.locked(folder, timeout=0))))
        except Timeout:
            raise ValueError(f"{folder} is being trained by another process: choose another folder") from None
        yield taken[0] if taken else lambda: None


class Stopped(SystemExit):
    """A training was ended by SIGTERM or SIGHUP; its code is what a shell has for that."""


class Signals:
    """Ctrl-C, SIGTERM and SIGHUP, noted instead of obeyed at once; a second Ctrl-C is.

    In the main thread alone. What a process ignores, as under nohup, it goes on to ignore.
    """

    def __enter__(self) -> Signals:
        self.received, self.before = 0, dict[int, Any]()
        numbers = [getattr(signal, name, None) for name in ("SIGINT", "SIGTERM", "SIGHUP")]
        for number in numbers if threading.current_thread() is threading.main_thread() else ():
            if number and signal.getsignal(number) not in (signal.SIG_IGN, None):
                self.before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: Any) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def obey(self, number: int) -> None:
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        if number:
            raise Stopped(128 + number)

    def _note(self, number: int, frame: Any) -> None:
        if self.received == number == signal.SIGINT:
            raise KeyboardInterrupt
        self.received = self.received or number


def finished(folder: Path, recipe: Recipe, dataset: data.Dataset, averages: Sequence[float]) -> bool:
    """Whether nothing is left to train in ``folder``; ValueError where its run can't be gone on with."""
    state, good = newest(folder, recipe)
    run = Run.of(folder, state) if state else Run.load(folder)
    run.compare(dataset)
    finished = run.finished and run.recipe == recipe
    published = "metrics" in run.record
    if not state and not (finished and published):
        weights = (folder / "discriminator.safetensors").exists()
        place = ("in another folder" + f", start={folder}" * weights) if published else "with overwrite=True"
        raise ValueError(
            f"{folder} has {len(run.history)} epochs and no {runs.CHECKPOINT} to go on from: train {place}"
        )
    if state and finished and CHECKPOINT in good:
        tell_readers(folder, state["record"], state["history"])
    for decay in averages if finished else ():
        run.averaged(decay)
    return finished


def iterations(recipe: Recipe, images: int) -> int:
    """How many iterations an epoch has: each has k minibatches, the last of which may be smaller.

    Many processes leave out what they can't share equally.
    """
    return -(-(images - images % processes()) // recipe.batch_size) // recipe.k


def begin(
    recipe: Recipe,
    folder: Path,
    dataset: data.Dataset,
    device: torch.device,
    engine: str,
    begun: Run | None,
    overwrite: bool,
) -> tuple[dict[str, Any], dict[str, Any] | None, bool]:
    """run.json to go on with; the state: a checkpoint's, or what is known of ``begun``'s, or none.

    And whether checkpoint.pt in ``folder`` is good; where the one before it alone is, that becomes it.
    """
    n = iterations(recipe, len(dataset.split(recipe.valid)[0]))
    record = runs.new_record(recipe, device, dataset)
    if processes() > 1:
        record["device"] = f"{processes()} × {record['device']}"
    state, good = (None, set[str]()) if overwrite else newest(folder, recipe)
    if BEFORE in good:
        os.replace(folder / BEFORE, folder / CHECKPOINT)
    before = state["record"] if state else {}
    kept = runs.latest(before).get("engine", "eager")
    if engine == "auto" and state and works(kept, device):
        engine = kept
    record["engine"] = choose(engine, device, recipe.epochs * n)
    if state:
        if engine == "auto":
            was = f"{folder} was run as {kept!r}, which does not work here"
            warnings.warn(f"{was}: it goes on as {record['engine']!r}", stacklevel=4)
        record = runs.resumed_record(before, record, len(state["history"]))
    elif begun:
        weights = "float32" if (begun.folder / runs.CHECKPOINT).exists() else "rounded"
        record = runs.resumed_record(begun.record, record, len(begun.history), weights)
        state = known_state(begun, n)
    return record, state, bool(good & {CHECKPOINT, BEFORE})
