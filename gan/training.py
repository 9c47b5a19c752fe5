"""`train`: play a recipe's game to its end, keeping the run in a folder."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from . import data, files, keeping, runs, saving
from .algorithm1 import Players, cap_norms
from .engine import average, choose, enough_memory, iteration, join, pick_device, processes, tell
from .keeping import Averages, Best, Epoch, Film, History, Part, RandomNumbers, trouble
from .nets import Generator, marginal_bias, networks
from .objective import GENERATOR_LOSSES
from .recipes import Recipe
from .runs import Run
from .saving import Checkpoints, Pace, Signals, iterations

TOGETHER = 32  # after so many updates, and at an epoch's end, many processes agree on what to do


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

    A finished run is loaded; one that was stopped (Ctrl-C, SIGTERM, SIGHUP, a kill) goes on from its last
    good checkpoint, with the same result, bit for bit; ``overwrite`` starts again, and the old run goes when
    the new one has a checkpoint. A new run may ``start`` from the weights of a shorter one of its recipe, at
    its epoch and rate, with fresh momenta and random numbers (run.json says so).
    ``device`` is "auto" (CUDA, then MPS, then CPU) or a torch device, ``engine`` "auto" or one of
    `gan.engine.ENGINES`. ``after_epoch`` gets each epoch's number, from 1, and the game, which must stay as
    it is. ``averages`` are decays of more averages of G's weights to keep; they change nothing else.
    In the processes of ``torchrun`` each takes an equal part of every minibatch; the first one writes.

    ValueError: ``out`` holds another run, or one of other data, ``start`` no beginning of this one, the batch
    exceeds the data, or a finished run lacks one of ``averages``. MemoryError: the networks are too large.
    FloatingPointError: a loss, gradient or weight is no longer finite; what checkpoint there is, is good.
    OSError: the folder can't be written any more. KeyboardInterrupt, SystemExit: it was stopped.
    """
    folder = Path(out)
    where, writes = join(pick_device(device), recipe.batch_size)
    choose(engine, where, updates=0)
    there = tell(lambda: saving.check(folder, recipe, averages, overwrite))
    dataset = saving.load(recipe, data_dir)
    if there and tell(lambda: saving.finished(folder, recipe, dataset, averages)):
        return Run.load(folder)
    begun = None if start is None else keeping.beginning(start, recipe, dataset)
    with enough_memory(where), saving.own(folder, where) as still:
        begin = partial(saving.begin, recipe, folder, dataset, where, engine, begun, overwrite)
        record, state, good = tell(begin)
        saved = Checkpoints(folder, record, good, still)
        make = partial(Game, recipe, dataset.split(recipe.valid)[0], where, averages)
        play(make, state, saved, after_epoch, progress and writes)
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
        self.best, self.epoch, self.record = Best(), Epoch(device), dict[str, Any]()
        done = len(state["history"]) + bool(state.get("epoch")) if state else 0
        torch.manual_seed(recipe.seed)
        self._enter(make_players(recipe.stage(done)[0], images, device))
        if not state:
            self.film.take(0, self.generator)
            return
        for name, part in self.parts().items():
            with files.reading(Path(f"{runs.CHECKPOINT}'s {name}"), advice=""):
                part.load_state_dict(state[name]) if name in state else None
        if "random" not in state:  # of weights alone: not the numbers of the first epochs once more
            fresh = np.random.SeedSequence([recipe.seed, done]).generate_state(1, np.uint64)
            torch.manual_seed(int(fresh[0]))

    def _enter(self, players: Players) -> None:
        self.players, self.generator, self.discriminator = players, players.generator, players.discriminator
        self.averages = Averages(players.generator, self.decays)

    def enter_second_stage(self, stage: Recipe) -> None:
        self._enter(second_stage(self.players, stage, self.images, self.device))

    def sampler(self, decay: float) -> Generator:
        """The G that is sampled from: the average of its weights with ``decay``, or with 0 as it is."""
        return self.averages[decay].module if decay else self.generator

    def parts(self) -> dict[str, Part]:
        """All that decides what comes next, after any update, and what is to be shown."""
        return {
            "generator": self.generator,
            "discriminator": self.discriminator,
            "g_optimizer": self.players.g_optimizer,
            "d_optimizer": self.players.d_optimizer,
            "averages": self.averages,
            "history": self.history,
            "film": self.film,
            "best": self.best,
            "epoch": self.epoch,
            "random": self.random,
        }

    def end_epoch(self) -> dict[str, float]:
        """Add the row of the epoch under way, whose updates are done, to the history, and film it."""
        row = self.history.add(average([self.epoch.sums / self.epoch.done])[0], self.epoch.seconds)
        self.epoch.done = 0
        self.film.take(len(self.history), self.sampler(self.recipe.ema))
        return row

    def trouble(self) -> str:
        """What is not finite, in words; "" where all is."""
        return trouble(self.players, self.epoch)


def play(
    make: Callable[[dict[str, Any] | None], Game],
    state: dict[str, Any] | None,
    checkpoints: Checkpoints,
    after_epoch: Callable[[int, Game], None] | None,
    progress: bool,
) -> None:
    """The loop: update by update, to the recipe's last one, of the game that ``make`` makes of a state."""
    game, look = make(state), Pace()
    recipe, game.record = game.recipe, checkpoints.record
    engine, n = runs.latest(checkpoints.record)["engine"], iterations(recipe, len(game.images))
    length = {"total": recipe.epochs * n, "initial": len(game.history) * n + game.epoch.done}
    with tqdm(**length, unit="it", disable=not progress, leave=False) as bar, Signals() as signals:
        for epoch in steps(game, engine):
            bar.update()
            end = game.epoch.done == n
            if processes() > 1 and not end and game.epoch.done % TOGETHER:
                continue
            due = partial(checkpoints.due, end), partial(look.due, saving.LOOK_EVERY, saving.LOOKED_IN)
            signal, saves, looks = tell(lambda: (signals.received, *(ask() for ask in due)))  # noqa: B023
            must = bool(signal) or (end and epoch == recipe.epochs)
            if looks or saves or must or end:
                with look.measured():
                    trouble = tell(game.trouble)
                if trouble:
                    twin = make(checkpoints.last(recipe, state))
                    raise FloatingPointError(_diverged(game, trouble, twin, engine, checkpoints))
            if end:
                row = game.end_epoch()
                if after_epoch:
                    after_epoch(epoch, game)
                bar.set_postfix_str(f"epoch {epoch}, V {row['value']:.3f}, −log 4 {-math.log(4):.3f}")
            if saves or must:
                checkpoints.save(game.parts(), end=end, must=must)
            signals.obey(signal)
        signals.obey(signals.received)


def steps(game: Game, engine: str) -> Iterator[int]:
    """Play on; after each update, with the game whole, yields its epoch, which the caller is to end."""
    recipe, under_way = game.recipe, game.epoch
    x = data.resident(game.images, game.device)
    iterate = None
    for epoch in range(len(game.history) + 1, recipe.epochs + 1):
        stage, number = recipe.stage(epoch)
        if not under_way.done:
            if number == 1 < epoch:
                game.enter_second_stage(stage)
                iterate = None
            under_way.begin(shuffled(len(x)))
        iterate = iterate or iteration(game.players, recipe.updates, engine, game.device)
        order, done = under_way.order, under_way.done
        for statistics in updates(iterate, game.players, recipe, x, number, order, done):
            under_way.add(statistics)
            game.averages.follow()
            yield epoch


def shuffled(n: int) -> Tensor:
    """The indices of ``n`` images in random order, but for what many processes can't share equally."""
    return torch.randperm(n)[: n - n % processes()]


def updates(
    iterate: Callable[[Sequence[Tensor]], Tensor],
    players: Players,
    recipe: Recipe,
    x: Tensor,
    epoch: int,
    order: Tensor | None = None,
    done: int = 0,
) -> Iterator[Tensor]:
    """Epoch ``epoch`` of its stage: every row of ``x`` once, in random order, but for an iteration not full.

    That is the ``order`` of one of which so many iterations are ``done``, or a new one. Yields each
    iteration's statistics as they are, on the device; nothing here waits for it.
    """
    size, n = recipe.batch_size * recipe.k, iterations(recipe, len(x))
    order = (shuffled(len(x)) if order is None else order).to(x.device)
    for i in range(done, n):  # line 1 of Algorithm 1
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


def _diverged(game: Game, trouble: str, twin: Game, engine: str, checkpoints: Checkpoints) -> str:
    """What is no longer finite since which update: a ``twin``, as it was saved last, plays on to there."""
    recipe, n = game.recipe, iterations(game.recipe, len(game.images))
    epoch, update = len(game.history) + 1, game.epoch.done
    for there in steps(twin, engine):
        found, done = tell(twin.trouble), twin.epoch.done
        if found:
            trouble, epoch, update = found, there, done
        if found or (there, done) == (epoch, update):  # or it did not come again
            break
        if done == n:
            twin.end_epoch()
    tips = f"learning_rate={recipe.learning_rate / 2:g}"
    tips += ", or precision=fp32" * (recipe.precision == "bf16")
    tips += ", or max_norm=2" * (not recipe.max_norm and not recipe.g_deconv)
    where = f"update {(epoch - 1) * n + update:,} (epoch {epoch})"
    if not checkpoints.keep:
        return f"{trouble} at {where}: what may help: {tips}"
    kept = f"{checkpoints.folder} keeps the last good checkpoint"
    return f"{trouble} at {where}: {kept}; what may help in another folder: {tips}"
