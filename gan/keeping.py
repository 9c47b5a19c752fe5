"""What a training keeps beside the game: averages, history, film, random numbers; a checkpoint is their sum.

Each part has ``state_dict`` and ``load_state_dict``. And how checkpoints are saved, and signals wait for it.
"""

from __future__ import annotations

import copy
import os
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence, Sized
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from filelock import Timeout
from torch import Tensor

from . import data, durable, files, runs
from .algorithm1 import STATISTICS
from .engine import at, choose, gather, own_row, processes, tell, works
from .layers import pack
from .nets import Generator
from .recipes import Recipe
from .runs import BEFORE, BEST, CHECKPOINT, CHECKPOINTS, HISTORY, RECORD, WITHIN, Run, differing

FILMED = (0, 1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200, 250, 500, 1000, 1500, 2000)
"""Epochs after which a run keeps a picture of the same FILM samples."""
FILM = 10
SAVE_EVERY = 5.0  # seconds between checkpoints at the ends of epochs, half as often from within; longer …
SAVED_IN = 0.05  # … where one takes more than so many seconds: a hundredth of the time may go into them


class Averages(dict[float, Generator]):
    """Exponential averages of a network's weights, by their decays; what is no weight is copied.

    Debiased: after n updates those of update i have the share (1 − decay)·decay^(n − i) / (1 − decay^n).
    """

    def __init__(self, network: Generator, decays: Sequence[float]) -> None:
        super().__init__({decay: copy.deepcopy(network) for decay in decays if decay})
        self.network, self.updates = network, dict.fromkeys(self, 0)
        self.weights: dict[float, Any] = {decay: [*average.parameters()] for decay, average in self.items()}

    @torch.no_grad()
    def follow(self) -> None:
        for decay, average in self.items():
            self.updates[decay] += 1
            share = (1 - decay) / (1 - decay ** self.updates[decay])
            torch._foreach_lerp_(self.weights[decay], [*self.network.parameters()], share)
            for kept, buffer in zip(average.buffers(), self.network.buffers(), strict=True):
                kept.copy_(buffer)

    def state_dict(self) -> dict[float, dict[str, Any]]:
        return {d: {"weights": g.state_dict(), "updates": self.updates[d]} for d, g in self.items()}

    def load_state_dict(self, state: Mapping[float, Mapping[str, Any]]) -> None:
        """An average that ``state`` lacks starts from the network as it is now."""
        now = {"weights": self.network.state_dict(), "updates": 1}
        for decay, average in self.items():
            there = state.get(decay, now)
            average.load_state_dict(there["weights"])
            self.updates[decay] = there["updates"]


class History(list[dict[str, float]]):
    """A row for each epoch: its number, the means of STATISTICS over its updates, and its seconds."""

    state_dict, load_state_dict = list.copy, list.extend


def seconds(history: Sequence[Mapping[str, float]]) -> float:
    return round(sum(row["seconds"] for row in history), 1)


class Film(dict[int, Tensor]):
    """The first FILM samples of seed 0 after each epoch of FILMED, uint8 (FILM, *shape) on the CPU."""

    state_dict, load_state_dict = dict.copy, dict.update

    def take(self, epoch: int, generator: Generator) -> None:
        if epoch in FILMED and len(generator.shape) == 3:
            z = generator.draw_noise(FILM, torch.Generator().manual_seed(0))
            self[epoch] = (generator.depict(z) * 255).round().to("cpu", torch.uint8)


def film_of(run: Run) -> dict[int, Tensor]:
    """A run's film, epoch by epoch, uint8 (FILM, *shape) each; a published run's from its picture."""
    epochs = [] if run.state else run.record.get("film", [])
    if not epochs:
        return run.state.get("film", {})
    *_, h, w = run.shape  # of frames, with a pixel between them; the last channel is alpha
    picture = files.read_picture(run.folder / "film.png", FILM * (h + 1) - 1, len(epochs) * (w + 1) - 1)
    cells = torch.from_numpy(np.pad(picture, ((0, 1), (0, 1), (0, 0))))
    frames = cells.unflatten(1, (-1, w + 1)).unflatten(0, (-1, h + 1))[:, :-1, :, :-1, :-1]
    return dict(zip(epochs, frames.permute(2, 0, 4, 1, 3), strict=True))


class Best(dict[str, Any]):
    """G's ``weights`` when some figure of them was best, in 16 bits, and that ``epoch``; else empty."""

    state_dict, load_state_dict = dict.copy, dict.update

    def keep(self, epoch: int, generator: Generator) -> None:
        self.update(epoch=epoch, weights=pack(copy.deepcopy(generator.state_dict()), 16))


class RandomNumbers:
    """The state of torch's generators on the CPU and on ``device``."""

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def state_dict(self) -> dict[str, Any]:
        cuda = torch.cuda.get_rng_state(self.device) if self.device.type == "cuda" else None
        return {"cpu": torch.get_rng_state(), "cuda": cuda}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        torch.set_rng_state(state["cpu"])
        if self.device.type == "cuda" and state["cuda"] is not None:
            torch.cuda.set_rng_state(state["cuda"], self.device)


class Epoch:
    """The epoch under way: the order of its images, how many updates are done, the sums of STATISTICS."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.done = device, 0

    def begin(self, order: Tensor) -> None:
        self.order, self.done, self.since = order, 0, time.perf_counter()
        self.sums = torch.zeros(len(STATISTICS), device=self.device)

    def add(self, statistics: Tensor) -> None:
        self.sums += statistics
        self.done += 1

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.since

    def state_dict(self) -> dict[str, Any]:
        if not self.done:
            return {}
        told = {"order": self.order, "done": self.done, "seconds": self.seconds}
        return told | {"sums": gather(self.sums).cpu()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        if state:
            self.begin(state["order"])
            self.done, self.since = state["done"], self.since - state["seconds"]
            self.sums += own_row(state["sums"]).to(self.device)


def iterations(recipe: Recipe, images: Sized) -> int:
    """The iterations of an epoch, of k minibatches; the last may be smaller. ValueError: it has none."""
    n = len(images)
    if (needed := recipe.batch_size * recipe.k) > n:
        asked = f"batch_size = {recipe.batch_size} with k = {recipe.k} needs {needed} training images"
        raise ValueError(f"{asked}; {recipe.dataset} has {n}")
    return -(-(n - n % processes()) // recipe.batch_size) // recipe.k


def finished(run: Run | None, recipe: Recipe, dataset: data.Dataset, averages: Sequence[float]) -> bool:
    """Whether nothing is left to train; then what people read is put right. ValueError: it can't be done."""
    if wrong := [decay for decay in averages if not 0 <= decay < 1]:
        raise ValueError(f"averages = {wrong[0]}: a decay is at least 0 and less than 1")
    iterations(recipe, dataset.split(recipe.valid)[0])
    if run:
        run.compare(dataset)
    if not run or len(run.history) < recipe.epochs:
        return False
    for decay in averages:
        run.averaged(decay)  # ValueError where it was not kept
    if run.state:
        tell_readers(run.folder, run.record, run.history)
    return True


def beginning(folder: Any, recipe: Recipe, dataset: data.Dataset) -> Run:
    """The run in ``folder``, from which one of ``recipe`` may go on, with the state that its weights tell."""
    run = Run.load(folder)
    done = len(run.history)
    if fields := differing(run.recipe.model_copy(update={"epochs": done + 1}), recipe):
        raise ValueError(f"{folder} can't be gone on from: that takes {fields}")
    run.compare(dataset)
    updates = recipe.stage(done)[1] * iterations(recipe, dataset.split(recipe.valid)[0])
    known = {
        "generator": run.averaged(0).state_dict(),
        "discriminator": run.discriminator.state_dict(),
        "averages": {recipe.ema: {"weights": run.generator.state_dict(), "updates": updates}},
        "history": run.history.to_dict("records"),
        "film": film_of(run),
    }
    return replace(run, state=known)


def begin(
    recipe: Recipe, dataset: data.Dataset, device: torch.device, engine: str, before: Run | None
) -> dict[str, Any]:
    """run.json of a training, new or gone on with from ``before``; then it says what is not as it was."""
    now, keys = runs.new_record(recipe, device, dataset), ("device", "versions", "commit", "engine")
    last = {"engine": "eager"} | (runs.latest(before.record) if before else {})
    whole = before is not None and "random" in before.state
    if before and whole and before.file == BEFORE:  # a checkpoint that is damaged is none to keep
        os.replace(before.folder / BEFORE, before.folder / CHECKPOINT)
    if whole and engine == "auto" and works(last["engine"], device):
        engine = last["engine"]
    now["engine"] = choose(engine, device, recipe.epochs * iterations(recipe, dataset.split(recipe.valid)[0]))
    if not before:
        return now
    left = ("metrics", "film", "weights", "updates_beyond")  # of those weights alone
    kept = {key: value for key, value in before.record.items() if key not in left}
    record = {"engine": "eager"} | kept | {"recipe": now["recipe"]}
    here = {"after_epoch": len(before.history)} | {key: now[key] for key in ("started", *keys)}
    if not whole:
        here["from_weights"] = "rounded" if before.file == RECORD else "float32"
        here |= {key: value for key, value in before.record.items() if key == "updates_beyond"}
    if not whole or any(now[key] != last.get(key) for key in keys):
        record["resumed"] = [*record.get("resumed", []), here]
    return record


class Checkpoints:
    """Saves a game in ``folder``; where one of it is there, to ``keep``, that stays as the one before."""

    def __init__(self, folder: Path, record: dict[str, Any], keep: bool, still: Callable[[], None]) -> None:
        self.folder, self.record, self.keep, self.still = folder, record, keep, still
        self.ended, self.last, self.took = keep, time.monotonic(), 0.0

    def due(self, end: bool) -> bool:
        """Whether to save now: after a time, or at the ``end`` of an epoch where the last was not at one."""
        wait = SAVE_EVERY * (1 if end else 2) * max(1, self.took / SAVED_IN)
        return (end and not self.ended) or time.monotonic() - self.last > wait

    def save(self, parts: Mapping[str, Any], *, end: bool, must: bool = False) -> None:
        """Save; where that can't be done now, say so, and go on, unless it ``must``."""
        state, start = {name: part.state_dict() for name, part in parts.items()}, time.monotonic()
        try:
            tell(partial(self._write, state))
            self.keep, self.ended = True, end
        except OSError as error:
            if must:
                raise
            warnings.warn(f"{error}; the training goes on, and tries again", stacklevel=4)
        self.last = time.monotonic()
        self.took = self.last - start

    def _write(self, state: dict[str, Any]) -> None:
        """Write the checkpoint, which rules, and of it what people read; each whole or not at all."""
        self.still()
        self.record["seconds"] = seconds(state["history"])
        within = state["epoch"] and state["history"]
        path = self.folder / (WITHIN if within else CHECKPOINT)
        with durable.sealed(path, self.folder / BEFORE if self.keep and not within else None) as file:
            torch.save({"format": runs.FORMAT, "record": self.record, **state}, file)
        for name in ({WITHIN} if self.keep else {*CHECKPOINTS, BEST, HISTORY}) - {path.name}:
            (self.folder / name).unlink(missing_ok=True)
        tell_readers(self.folder, self.record, pd.DataFrame(state["history"]))


def tell_readers(folder: Path, record: dict[str, Any], history: pd.DataFrame) -> None:
    """Write run.json and history.csv, where they do not say already what a checkpoint does."""
    texts = {RECORD: durable.in_json(record)}
    if len(history):
        texts[HISTORY] = history.to_csv(index=False, float_format="%.6g")
    for name, text in texts.items():
        path = folder / name
        if not path.exists() or path.read_bytes() != text.encode():
            with durable.whole(path) as part:
                part.write_bytes(text.encode())


@contextmanager
def own(folder: Path, device: torch.device) -> Iterator[Callable[[], None]]:
    """Have ``folder`` alone, and random numbers apart; gives what raises OSError where it was replaced."""
    cuda = [torch.cuda.current_device()] if device.type == "cuda" else []
    with at(device), torch.random.fork_rng(cuda), ExitStack() as stack:
        taken: list[Callable[[], None]] = []
        try:
            tell(lambda: taken.append(stack.enter_context(durable.locked(folder, timeout=0))))
        except Timeout:
            raise ValueError(f"{folder} is being trained by another process: choose another folder") from None
        yield taken[0] if taken else lambda: None


class Stopped(SystemExit):
    """A training was ended by SIGTERM or SIGHUP; its code is what a shell has for that."""


@contextmanager
def signals() -> Iterator[list[int]]:
    """Ctrl-C, SIGTERM and SIGHUP, noted in a list, and obeyed at the end; a second Ctrl-C is at once.

    In the main thread alone. What a process ignores, as under nohup, it goes on to ignore.
    """
    received: list[int] = []

    def note(number: int, frame: Any) -> None:
        if number == signal.SIGINT and number in received:
            raise KeyboardInterrupt
        received.append(number)

    main = threading.current_thread() is threading.main_thread()
    with ExitStack() as stack:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) if main else ():
            if signal.getsignal(number) not in (signal.SIG_IGN, None):
                stack.callback(signal.signal, number, signal.signal(number, note))
        yield received
    if received:
        raise KeyboardInterrupt if received[0] == signal.SIGINT else Stopped(128 + received[0])
