"""`train`: play a recipe's game to its end, keeping the run in a folder."""

from __future__ import annotations

import math
import os
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from . import data, keeping, runs
from .algorithm1 import STATISTICS, Players, cap_norms
from .engine import average, choose, enough_memory, iteration, join, pick_device, processes, tell, works
from .keeping import Averages, Checkpoints, Film, History, Part, RandomNumbers
from .nets import Discriminator, Generator, marginal_bias, networks
from .objective import GENERATOR_LOSSES
from .recipes import Recipe
from .runs import Run


def train(
    recipe: Recipe,
    out: str | os.PathLike[str],
    *,
    device: str = "auto",
    overwrite: bool = False,
    data_dir: str | os.PathLike[str] | None = None,
    progress: bool = True,
    after_epoch: Callable[[int, Game], None] | None = None,
    engine: str = "auto",
    averages: Sequence[float] = (),
    start: str | os.PathLike[str] | None = None,
) -> Run:
    """Train ``recipe`` in the folder ``out`` and return the run. Source: Algorithm 1, §5.

    A finished run is loaded; one that was stopped (Ctrl-C) goes on from its last checkpoint, with the same
    result, bit for bit; ``overwrite`` starts again, and the old run goes when the new one has a checkpoint. A
    new run may ``start`` from the weights of a shorter one of the same recipe, at its epoch and rate, with
    fresh momenta and random numbers (run.json says so).
    ``device`` is "auto" (CUDA, then MPS, then CPU) or a torch device, ``engine`` "auto" or one of
    `gan.engine.ENGINES`. ``after_epoch`` gets each epoch's number, from 1, and the game, which must stay as
    it is. ``averages`` are decays of more averages of G's weights to keep; they change nothing else.
    In the processes of ``torchrun`` each takes an equal part of every minibatch; the first one writes.

    ValueError: ``out`` holds another run, or one of other data, ``start`` no beginning of this one, the batch
    exceeds the data, or a finished run lacks one of ``averages``. MemoryError: the networks are too large.
    FloatingPointError: a loss is no longer finite; what checkpoint there is, is the last good one.
    """
    if wrong := [decay for decay in averages if not 0 <= decay < 1]:
        raise ValueError(f"averages = {wrong[0]}: a decay is at least 0 and less than 1")
    folder = Path(out)
    where, writes = join(pick_device(device), recipe.batch_size)
    choose(engine, where, updates=0)
    there = tell(lambda: keeping.check(folder, recipe, overwrite))
    dataset = _load(recipe, data_dir)
    if there and tell(lambda: _finished(folder, recipe, dataset, averages)):
        return Run.load(folder)
    begun = None if start is None else keeping.beginning(start, recipe, dataset)
    with enough_memory(where), keeping.own(folder, where):
        record, state = tell(lambda: _begin(recipe, folder, dataset, where, engine, begun, overwrite))
        game = Game(recipe, dataset.split(recipe.valid)[0], where, averages, state)
        tell(lambda: keeping.begin(folder, record, overwrite))
        play(game, folder, record, after_epoch, progress and writes)
    return tell(lambda: Run.load(folder))


class Game:
    """Two players and what is kept beside them: from a fresh start, or as ``state`` has it.

    ``images`` are uint8; ``decays`` are those of further averages of G's weights.
    """

    def __init__(
        self,
        recipe: Recipe,
        images: Any,
        device: torch.device,
        decays: Sequence[float] = (),
        state: dict[str, Any] | None = None,
    ) -> None:
        self.recipe, self.images, self.device = recipe, images, device
        self.decays = (recipe.ema, *decays)
        self.history, self.film, self.random = History(), Film(), RandomNumbers(device)
        done = len(state["history"]) if state else 0
        torch.manual_seed(recipe.seed)
        self._enter(make_players(recipe.stage(done)[0], images, device))
        if not state:
            self.film.take(0, self.generator)
            return
        for name, part in self.parts().items():
            if name in state:
                part.load_state_dict(state[name])
        if "random" not in state:  # of weights alone: not the numbers of the first epochs once more
            fresh = np.random.SeedSequence([recipe.seed, done]).generate_state(1, np.uint64)
            torch.manual_seed(int(fresh[0]))

    def _enter(self, players: Players) -> None:
        self.players = players
        self.averages = Averages(players.generator, self.decays)

    def enter_second_stage(self, stage: Recipe) -> None:
        self._enter(second_stage(self.players, stage, self.images, self.device))

    @property
    def generator(self) -> Generator:
        return self.players.generator

    @property
    def discriminator(self) -> Discriminator:
        return self.players.discriminator

    def sampler(self, decay: float) -> Generator:
        """The G that is sampled from: the average of its weights with ``decay``, or with 0 as it is."""
        return self.averages[decay].module if decay else self.generator

    def parts(self) -> dict[str, Part]:
        """All that decides what comes next, at the end of an epoch, and what is to be shown."""
        return {
            "generator": self.generator,
            "discriminator": self.discriminator,
            "g_optimizer": self.players.g_optimizer,
            "d_optimizer": self.players.d_optimizer,
            "averages": self.averages,
            "history": self.history,
            "film": self.film,
            "random": self.random,
        }


def play(
    game: Game,
    folder: Path,
    record: dict[str, Any],
    after_epoch: Callable[[int, Game], None] | None,
    progress: bool,
) -> None:
    """The loop: epoch by epoch, to the recipe's last one; its files stand in ``folder``."""
    recipe, engine, done = game.recipe, runs.latest(record)["engine"], len(game.history)
    x = data.resident(game.images, game.device)
    n = iterations(recipe, len(x))
    iterate = iteration(game.players, recipe.updates, engine, game.device)
    checkpoints = Checkpoints(folder, record)
    length = {"total": recipe.epochs * n, "initial": done * n}
    with tqdm(**length, unit="it", disable=not progress, leave=False) as bar:
        for epoch in range(done + 1, recipe.epochs + 1):
            start = time.perf_counter()
            stage, number = recipe.stage(epoch)
            if number == 1 < epoch:
                game.enter_second_stage(stage)
                iterate = iteration(game.players, recipe.updates, engine, game.device)
            totals = torch.zeros(len(STATISTICS), device=game.device)
            for statistics in updates(iterate, game.players, recipe, x, number):
                totals += statistics
                game.averages.follow()
                bar.update()
            row = game.history.add(epoch, average([totals / n])[0], time.perf_counter() - start)
            if not all(map(math.isfinite, row.values())):
                raise FloatingPointError(_diverged(folder, recipe, row))
            game.film.take(epoch, game.sampler(recipe.ema))
            if after_epoch:
                after_epoch(epoch, game)
            bar.set_postfix_str(f"epoch {epoch}, V {row['value']:.3f}, −log 4 {-math.log(4):.3f}")
            checkpoints.save(game.parts(), now=epoch == recipe.epochs)


def iterations(recipe: Recipe, images: int) -> int:
    """How many iterations an epoch has: each has k minibatches, the last of which may be smaller.

    Many processes leave out what they can't share equally.
    """
    return -(-(images - images % processes()) // recipe.batch_size) // recipe.k


def updates(
    iterate: Callable[[Sequence[Tensor]], Tensor], players: Players, recipe: Recipe, x: Tensor, epoch: int
) -> Iterator[Tensor]:
    """Epoch ``epoch`` of its stage: every row of ``x`` once, in random order, but for an iteration not full.

    Yields each iteration's statistics as they are, on the device; nothing here waits for it.
    """
    size, n = recipe.batch_size * recipe.k, iterations(recipe, len(x))
    order = torch.randperm(len(x))[: len(x) - len(x) % processes()].to(x.device)
    for i in range(n):  # line 1 of Algorithm 1
        _schedule(players, recipe, epoch, update=(epoch - 1) * n + i)
        rows = x[order[i * size : (i + 1) * size]]
        if rows.dtype == torch.uint8:
            rows = data.prepare(rows.float() / 255, recipe.scaling)
        yield iterate(rows.split(recipe.batch_size))


def _schedule(players: Players, recipe: Recipe, epoch: int, update: int) -> None:
    """Give both optimizers the rate of this update and the momentum of this epoch."""
    momentum, rate = recipe.momentum_at(epoch), recipe.learning_rate_at(update)
    for optimizer in (players.g_optimizer, players.d_optimizer):
        for group in optimizer.param_groups:
            if isinstance(group["lr"], Tensor):  # which a CUDA graph reads
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate
            if recipe.optimizer == "adam":
                group["betas"] = (momentum, recipe.beta2)
            else:
                group["momentum"] = momentum


def make_players(recipe: Recipe, images: Any, device: torch.device) -> Players:
    """Both networks of one stage's ``recipe``, fresh for uint8 ``images``, and how they move."""
    bias = marginal_bias(torch.from_numpy(data.scale(images))) if recipe.g_output == "sigmoid" else None
    generator, discriminator = networks(recipe, data.scale(images[:1]).shape[1:], bias)
    both = generator.to(device), discriminator.to(device)
    if recipe.max_norm:  # holds before the first move too
        for network in both:
            cap_norms(network.parameters(), recipe.max_norm)
    g_optimizer, d_optimizer = (make_optimizer(recipe, network) for network in both)
    bf16 = partial(torch.autocast, device.type, torch.bfloat16, cache_enabled=False)
    precision = bf16 if recipe.precision == "bf16" else nullcontext
    loss = GENERATOR_LOSSES[recipe.loss]
    return Players(*both, g_optimizer, d_optimizer, loss, precision, recipe.max_norm)


def second_stage(first: Players, recipe: Recipe, images: Any, device: torch.device) -> Players:
    """New players by the second stage's ``recipe``; G's last layers are those of the ``first`` stage's G."""
    players = make_players(recipe, images, device)
    learned = first.generator.layers
    for layer, kept in zip(players.generator.layers[-len(learned) :], learned, strict=True):
        layer.load_state_dict(kept.state_dict())
    return players


def make_optimizer(recipe: Recipe, network: nn.Module) -> torch.optim.Optimizer:
    """SGD with momentum, or Adam, at the recipe's first rate; all weights in one pass (``fused``)."""
    if recipe.optimizer == "adam":
        betas = (recipe.momentum, recipe.beta2)
        return torch.optim.Adam(network.parameters(), recipe.learning_rate, betas, fused=True)
    return torch.optim.SGD(network.parameters(), recipe.learning_rate, recipe.momentum, fused=True)


def _load(recipe: Recipe, data_dir: str | os.PathLike[str] | None) -> data.Dataset:
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


def _finished(folder: Path, recipe: Recipe, dataset: data.Dataset, averages: Sequence[float]) -> bool:
    """Whether nothing is left to train in ``folder``; ValueError where its run can't be gone on with."""
    run = Run.load(folder)
    run.compare(dataset)
    finished = run.finished and run.recipe == recipe
    published = "metrics" in run.record
    if not (folder / runs.CHECKPOINT).exists() and not (finished and published):
        weights = (folder / "discriminator.safetensors").exists()
        place = ("in another folder" + f", start={folder}" * weights) if published else "with overwrite=True"
        raise ValueError(
            f"{folder} has {len(run.history)} epochs and no {runs.CHECKPOINT} to go on from: train {place}"
        )
    for decay in averages if finished else ():
        run.averaged(decay)
    return finished


def _diverged(folder: Path, recipe: Recipe, row: dict[str, float]) -> str:
    """What losses that are no longer finite mean for the run in ``folder``, and what may help."""
    kept = (folder / runs.CHECKPOINT).exists()
    return (
        f"epoch {row['epoch']}: the losses are no longer finite ({row}); "
        f"{f'{folder} keeps the last good checkpoint; ' if kept else ''}a smaller rate may help"
        f"{' in another folder' if kept else ''}, learning_rate={recipe.learning_rate / 2:g}"
    )


def _begin(
    recipe: Recipe,
    folder: Path,
    dataset: data.Dataset,
    device: torch.device,
    engine: str,
    begun: Run | None,
    overwrite: bool,
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """run.json to go on with, and the state: a checkpoint's, or what is known of ``begun``'s, or none."""
    n = iterations(recipe, len(dataset.split(recipe.valid)[0]))
    record = runs.new_record(recipe, device, dataset)
    if processes() > 1:
        record["device"] = f"{processes()} × {record['device']}"
    state = None if overwrite else runs.read_checkpoint(folder)
    before = runs.read_record(folder) if state else {}
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
        state = keeping.known_state(begun, n)
    return record, state
