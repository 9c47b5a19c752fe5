"""What a training keeps beside the game: averages, history, film, random numbers; a checkpoint is their sum.

Each part has ``state_dict`` and ``load_state_dict``, as networks and optimizers have. And how a training
takes a folder: it must be free, or hold a beginning of the same run, and nothing there is lost too early.
"""

from __future__ import annotations

import copy
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from filelock import FileLock, Timeout
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from . import data, runs
from .algorithm1 import STATISTICS
from .engine import at, tell
from .nets import Generator
from .recipes import Recipe, parse
from .runs import BEST, CHECKPOINT, HISTORY, RECORD, Run

SAVE_EVERY = 5.0  # seconds between checkpoints, which stand at the ends of epochs; longer where …
SAVED_IN = 0.25  # … one takes more than so many seconds: a twentieth of the time may go into them
FILMED = (0, 1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200, 250, 500, 1000, 1500, 2000)
"""Epochs after which a run keeps a picture of the same FILM samples."""
FILM = 10
FILES = (CHECKPOINT, HISTORY, BEST, RECORD)
ASIDE, LOCK = ".before", ".lock"


class Part(Protocol):
    """What a checkpoint is made of."""

    def state_dict(self) -> Any: ...
    def load_state_dict(self, state_dict: Any, /) -> Any: ...


class Average:
    """An exponential average of a network's weights; what is no weight (batch norm's statistics) is copied.

    Debiased: after n updates those of update i have the share (1 − decay)·decay^(n − i) / (1 − decay^n).
    """

    def __init__(self, network: Generator, decay: float) -> None:
        self.module = copy.deepcopy(network)
        self.weights: list[Tensor] = list(self.module.parameters())
        self.decay = decay
        self.updates = 0

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        self.updates += 1
        share = (1 - self.decay) / (1 - self.decay**self.updates)
        torch._foreach_lerp_(self.weights, list(network.parameters()), share)
        for kept, buffer in zip(self.module.buffers(), network.buffers(), strict=True):
            kept.copy_(buffer)


class Averages(dict[float, Average]):
    """Averages of a network's weights by their decays."""

    def __init__(self, network: Generator, decays: Iterable[float]) -> None:
        super().__init__({decay: Average(network, decay) for decay in decays if decay})
        self.network = network

    def follow(self) -> None:
        for average in self.values():
            average.update(self.network)

    def state_dict(self) -> dict[float, dict[str, Any]]:
        return {decay: {"weights": a.module.state_dict(), "updates": a.updates} for decay, a in self.items()}

    def load_state_dict(self, state: Mapping[float, Mapping[str, Any]]) -> None:
        """An average that ``state`` lacks starts from the network as it is now."""
        now = {"weights": self.network.state_dict(), "updates": 1}
        for decay, average in self.items():
            there = state.get(decay, now)
            average.module.load_state_dict(there["weights"])
            average.updates = there["updates"]


class History(list[dict[str, float]]):
    """A row for each epoch: its number, the means of STATISTICS over its updates, and its seconds."""

    def add(self, epoch: int, means: Tensor, seconds: float) -> dict[str, float]:
        found = dict(zip(STATISTICS, means.tolist(), strict=True))
        self.append({"epoch": epoch, **found, "seconds": seconds})
        return self[-1]

    def state_dict(self) -> list[dict[str, float]]:
        return list(self)

    def load_state_dict(self, state: Iterable[dict[str, float]]) -> None:
        self[:] = state


class Film(dict[int, Tensor]):
    """The first FILM samples of seed 0 after each epoch of FILMED, uint8 (FILM, *shape) on the CPU."""

    def take(self, epoch: int, generator: Generator) -> None:
        if epoch in FILMED and len(generator.shape) == 3:
            z = generator.draw_noise(FILM, torch.Generator().manual_seed(0))
            self[epoch] = (generator.depict(z) * 255).round().to("cpu", torch.uint8)

    def state_dict(self) -> dict[int, Tensor]:
        return dict(self)

    def load_state_dict(self, state: Mapping[int, Tensor]) -> None:
        self.clear()
        self.update(state)


class RandomNumbers:
    """The state of torch's generators on the CPU and on ``device``."""

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def state_dict(self) -> dict[str, Tensor | None]:
        cuda = torch.cuda.get_rng_state(self.device) if self.device.type == "cuda" else None
        return {"cpu": torch.get_rng_state(), "cuda": cuda}

    def load_state_dict(self, state: Mapping[str, Tensor | None]) -> None:
        if state["cpu"] is not None:
            torch.set_rng_state(state["cpu"])
        if self.device.type == "cuda" and state["cuda"] is not None:
            torch.cuda.set_rng_state(state["cuda"], self.device)


class Checkpoints:
    """Writes a run's files into ``folder`` at the ends of epochs, when SAVE_EVERY seconds have gone by."""

    def __init__(self, folder: Path, record: dict[str, Any]) -> None:
        self.folder, self.record = folder, record
        self.saved, self.took = time.monotonic(), 0.0

    def save(self, parts: Mapping[str, Part], *, now: bool) -> None:
        start = time.monotonic()
        if not now and start - self.saved <= SAVE_EVERY * max(1, self.took / SAVED_IN):
            return
        tell(partial(self._write, {name: part.state_dict() for name, part in parts.items()}))
        self.saved = time.monotonic()
        self.took = self.saved - start

    def _write(self, state: dict[str, Any]) -> None:
        runs.save(self.folder, self.record, state)
        shutil.rmtree(self.folder / ASIDE, ignore_errors=True)  # what it has come in place of


def beginning(folder: str | os.PathLike[str], recipe: Recipe, dataset: data.Dataset) -> Run:
    """The run in ``folder``, from whose weights one of ``recipe`` may go on; else ValueError in one line."""
    run = Run.load(folder)
    done = len(run.history)
    if not done:
        raise ValueError(f"{folder} has no finished epoch to go on from")
    if done >= recipe.epochs:
        raise ValueError(
            f"{folder} has {done} epochs already: to go on from it takes epochs={done + 1} or more, "
            f"not {recipe.epochs}"
        )
    if fields := differing(run.recipe.model_copy(update={"epochs": done}), recipe):
        raise ValueError(f"{folder} holds a run of another recipe ({fields}): it can't be gone on from")
    run.compare(dataset)
    run.averaged(0), run.discriminator  # FileNotFoundError where they were not kept
    return run


def known_state(run: Run, iterations: int) -> dict[str, Any]:
    """What ``run``'s weights, history and film tell of its state; an epoch has ``iterations``."""
    ema, updates = run.recipe.ema, run.recipe.stage(len(run.history))[1] * iterations
    return {
        "generator": run.averaged(0).state_dict(),
        "discriminator": run.discriminator.state_dict(),
        "averages": {ema: {"weights": run.generator.state_dict(), "updates": updates}} if ema else {},
        "history": run.history.to_dict("records"),
        "film": film_of(run),
    }


def film_of(run: Run) -> dict[int, Tensor]:
    """A run's film, epoch by epoch, uint8 (FILM, *shape) each; a published run's from its picture."""
    if checkpoint := runs.read_checkpoint(run.folder):
        return checkpoint.get("film", {})
    epochs = run.record.get("film", [])
    if not epochs:
        return {}
    with Image.open(run.folder / "film.png") as picture:
        frames = torch.from_numpy(_untile(np.asarray(picture), FILM, columns=len(epochs), gap=1))
    return dict(zip(epochs, frames.unflatten(0, (-1, len(epochs))).unbind(1), strict=True))


def _untile(picture: NDArray[np.uint8], rows: int, columns: int, gap: int) -> NDArray[np.uint8]:
    """The images of a picture made of ones ``gap`` pixels apart, uint8 (n, c, h, w)."""
    cells = np.pad(picture, ((0, gap), (0, gap), (0, 0)))  # the last channel is alpha
    apart = cells.reshape(rows, len(cells) // rows, columns, -1, cells.shape[2]).transpose(0, 2, 4, 1, 3)
    return apart[:, :, :-1, :-gap, :-gap].reshape(rows * columns, -1, *(n - gap for n in apart.shape[3:]))


def check(folder: Path, recipe: Recipe, overwrite: bool = False) -> bool:
    """Whether ``folder`` holds a run of ``recipe``, or of its beginning; False where it is free.

    ValueError where it holds anything else; with ``overwrite`` any run in training will do, and counts as
    free, as one without a finished epoch does.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file; a run needs a folder of its own")
    if not (folder / RECORD).exists():
        if folder.is_dir() and any(f.name != LOCK for f in folder.iterdir()):
            raise ValueError(f"{folder} holds files that are no run's: choose a new folder")
        return False
    if overwrite and (folder / "samples.png").exists():
        raise ValueError(f"{folder} holds a published run: choose another folder")
    if overwrite or not any((folder / name).exists() for name in (CHECKPOINT, HISTORY)):
        return False
    if fields := differing(parse(runs.read_record(folder)["recipe"]), recipe):
        raise ValueError(
            f"{folder} holds another run ({fields}): choose another folder, or overwrite=True; "
            f"only more epochs go on from where it was"
        )
    return True


def differing(there: Recipe, asked: Recipe) -> str:
    """In words, where a run of ``there`` is no beginning of one of ``asked``."""
    return "; ".join(
        f"{field} = {old!r}, not {new!r}"
        for (field, old), new in zip(there.model_dump().items(), asked.model_dump().values(), strict=True)
        if old != new and not (field == "epochs" and new > old)
    )


@contextmanager
def own(folder: Path, device: torch.device) -> Iterator[None]:
    """Make ``folder`` this process's own; the caller's random numbers are as they were afterwards.

    Where nothing came of the run, what was there before it is there again.
    """

    def occupy() -> None:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()

    lock = FileLock(folder / LOCK, timeout=0)
    cuda = device.type == "cuda"
    with at(device), torch.random.fork_rng([torch.cuda.current_device()] if cuda else []):
        try:
            tell(occupy)
        except Timeout:
            raise ValueError(f"{folder} is being trained by another process: choose another folder") from None
        try:
            yield
        finally:
            if lock.is_locked:
                _put_back(folder)
            lock.release()


def begin(folder: Path, record: dict[str, Any], overwrite: bool) -> None:
    """Write a run's first file; with ``overwrite`` the run there goes aside until the next checkpoint."""
    aside = folder / ASIDE
    if overwrite and any((folder / name).exists() for name in FILES[:-1]):
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir()
        shutil.copy2(folder / RECORD, aside)  # and not moved: a folder without it holds no run
        for name in FILES[:-1]:
            with suppress(FileNotFoundError):
                os.replace(folder / name, aside / name)
    runs.write_record(folder, record)


def _put_back(folder: Path) -> None:
    """The run that went aside, if it still is there; and a folder in which nothing was begun goes."""
    if (aside := folder / ASIDE).exists():
        for name in FILES:
            (folder / name).unlink(missing_ok=True)
            with suppress(FileNotFoundError):
                os.replace(aside / name, folder / name)
        aside.rmdir()
    if os.listdir(folder) == [LOCK]:
        (folder / LOCK).unlink()
        with suppress(OSError):
            folder.rmdir()
