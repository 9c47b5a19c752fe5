"""What a training keeps beside the game: averages, history, film, random numbers; a checkpoint is their sum.

Each part has ``state_dict`` and ``load_state_dict``, as networks and optimizers have.
"""

from __future__ import annotations

import copy
import math
import os
import time
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from . import data, files, runs
from .algorithm1 import STATISTICS, Players
from .engine import gather, own_row
from .layers import pack
from .nets import Generator
from .recipes import Recipe
from .runs import Run

FILMED = (0, 1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200, 250, 500, 1000, 1500, 2000)
"""Epochs after which a run keeps a picture of the same FILM samples."""
FILM = 10


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

    def add(self, means: Tensor, seconds: float) -> dict[str, float]:
        found = dict(zip(STATISTICS, means.tolist(), strict=True))
        self.append({"epoch": len(self) + 1, **found, "seconds": seconds})
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


class Best:
    """G's weights when some figure of them was best, in 16 bits, and that epoch; 0 where nobody looks."""

    def __init__(self) -> None:
        self.epoch, self.weights = 0, dict[str, Tensor]()

    def keep(self, epoch: int, generator: Generator) -> None:
        self.epoch, self.weights = epoch, pack(copy.deepcopy(generator.state_dict()), 16)

    def state_dict(self) -> dict[str, Any]:
        return {"epoch": self.epoch, "weights": self.weights} if self.epoch else {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.epoch, self.weights = state.get("epoch", 0), state.get("weights", {})


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
    if not (epochs := run.record.get("film", [])):
        return {}
    *_, height, width = run.shape
    path, size = run.folder / "film.png", (FILM * (height + 1) - 1, len(epochs) * (width + 1) - 1)
    frames = torch.from_numpy(_untile(files.read_picture(path, *size), FILM, columns=len(epochs), gap=1))
    return dict(zip(epochs, frames.unflatten(0, (-1, len(epochs))).unbind(1), strict=True))


def _untile(picture: NDArray[np.uint8], rows: int, columns: int, gap: int) -> NDArray[np.uint8]:
    """The images of a picture made of ones ``gap`` pixels apart, uint8 (n, c, h, w)."""
    cells = np.pad(picture, ((0, gap), (0, gap), (0, 0)))  # the last channel is alpha
    apart = cells.reshape(rows, len(cells) // rows, columns, -1, cells.shape[2]).transpose(0, 2, 4, 1, 3)
    return apart[:, :, :-1, :-gap, :-gap].reshape(rows * columns, -1, *(n - gap for n in apart.shape[3:]))


def differing(there: Recipe, asked: Recipe) -> str:
    """In words, where a run of ``there`` is no beginning of one of ``asked``."""
    return "; ".join(
        f"{field} = {old!r}, not {new!r}"
        for (field, old), new in zip(there.model_dump().items(), asked.model_dump().values(), strict=True)
        if old != new and not (field == "epochs" and new > old)
    )


def trouble(players: Players, epoch: Epoch) -> str:
    """The first loss, gradient, weight or momentum with a NaN or an infinity, in words; "" for none."""
    tensors = dict(zip(STATISTICS, epoch.sums, strict=True)) if epoch.done else {}
    networks = {"discriminator": players.discriminator, "generator": players.generator}
    weights = {f"{p}.{name}": w for p, network in networks.items() for name, w in network.named_parameters()}
    tensors |= {f"{name}'s gradient": w.grad for name, w in weights.items() if w.grad is not None}
    tensors |= weights
    kept = players.d_optimizer.state | players.g_optimizer.state
    for name, w in weights.items():
        momenta = {key: x for key, x in kept.get(w, {}).items() if isinstance(x, Tensor) and x.ndim}
        tensors |= {f"{name}'s {key}": x for key, x in momenta.items()}
    norms = torch._foreach_norm([x.detach() for x in tensors.values()])
    for (name, x), norm in zip(tensors.items(), torch.stack(norms).tolist(), strict=True):
        if not math.isfinite(norm) and not x.isfinite().all():  # the norm alone may have overflowed
            return f"{name} is {'NaN' if x.isnan().any() else 'infinite'}"
    return ""
