"""`train`: play a recipe's game to its end, keeping the run in a folder."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from . import data, files, keeping, runs
from .algorithm1 import STATISTICS, Players, cap_norms
from .engine import average, choose, enough_memory, iteration, join, pick_device, processes, tell
from .keeping import Averages, Best, Checkpoints, Epoch, Film, History, RandomNumbers, iterations
from .layers import Deconv, MaxoutConv
from .nets import Generator, marginal_bias, networks
from .objective import GENERATOR_LOSSES
from .recipes import Recipe
from .runs import Run, standing

LOOK_EVERY = 1.0  # seconds, at least, between looks whether all is finite; one is at an epoch's end too
TOGETHER = 32  # after so many updates, and at an epoch's end, many processes agree on what to do
PLAYERS = ("generator", "discriminator", "g_optimizer", "d_optimizer")
BESIDE = ("averages", "history", "film", "best", "epoch", "random")
"""With the players all that decides what comes next, after any update, and what is to be shown."""


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
    good checkpoint, bit for bit; ``overwrite`` starts again, and the old run goes when the new one has a
    checkpoint. A new run may ``start`` from the weights of a shorter one of its recipe, at its epoch and
    rate, with fresh momenta and random numbers. ``device`` is "auto" (CUDA, MPS, CPU) or torch's, ``engine``
    "auto" or one of `gan.engine.ENGINES`. ``after_epoch`` gets each epoch's number, from 1, and the game, to
    look at. ``averages`` are decays of more averages of G's weights to keep; they change nothing else.
    Of the processes of ``torchrun`` each takes an equal part of every minibatch; the first one writes.

    ValueError: ``out`` holds another run, or one of other data, ``start`` no beginning of this one, the batch
    exceeds the data, or a finished run lacks one of ``averages``. MemoryError: the networks are too large.
    FloatingPointError: a loss, gradient or weight is no longer finite. OSError: the folder can't be written.
    KeyboardInterrupt, SystemExit: it was stopped, and saved.
    """
    folder = Path(out)
    where, writes = join(pick_device(device), recipe.batch_size)
    choose(engine, where, updates=0)
    look = partial(tell, partial(standing, folder, recipe, overwrite))
    there = look()
    dataset = tell(partial(data.load, recipe.dataset, data_dir))
    if tell(partial(keeping.finished, there, recipe, dataset, averages)) and there:
        return there
    begun = None if start is None else keeping.beginning(start, recipe, dataset)
    with enough_memory(where), keeping.own(folder, where) as still:
        there = look()  # again: another process may have been here
        record = tell(partial(keeping.begin, recipe, dataset, where, engine, there or begun))
        checkpoints = Checkpoints(folder, record, there is not None, still)
        make = partial(Game, recipe, dataset.split(recipe.valid)[0], where, averages)
        play(make, there or begun, checkpoints, after_epoch, progress and writes)
    return tell(partial(Run.load, folder))


class Game:
    """Two players and what is kept beside them: from a fresh start, or as the run ``before`` has it.

    ``images`` are uint8; ``decays`` are those of further averages of G's weights.
    """

    def __init__(
        self, recipe: Recipe, images: Any, device: torch.device, decays: Any = (), before: Run | None = None
    ) -> None:
        state = before.state if before else {}
        self.recipe, self.images, self.device = recipe, images, device
        self.decays, self.record = (recipe.ema, *decays), dict[str, Any]()
        self.history, self.film, self.best = History(), Film(), Best()
        self.epoch, self.random = Epoch(device), RandomNumbers(device)
        done = len(state.get("history", ())) + bool(state.get("epoch"))
        torch.manual_seed(recipe.seed)
        self.enter(make_players(recipe.stage(done)[0], images, device))
        for name, part in self.parts().items():
            with files.reading(Path(f"{runs.CHECKPOINT}'s {name}"), advice=""):
                part.load_state_dict(state[name]) if name in state else None
        if not state:
            self.film.take(0, self.generator)
        elif "random" not in state:  # of weights alone: not the numbers of the first epochs once more
            fresh = np.random.SeedSequence([recipe.seed, done]).generate_state(1, np.uint64)
            torch.manual_seed(int(fresh[0]))

    def enter(self, players: Players) -> None:
        self.players, self.generator, self.discriminator = players, players.generator, players.discriminator
        self.averages = Averages(players.generator, self.decays)

    def sampler(self, decay: float) -> Generator:
        """The G that is sampled from: the average of its weights with ``decay``, or with 0 as it is."""
        return self.averages[decay] if decay else self.generator

    def parts(self) -> dict[str, Any]:
        """What a checkpoint is made of, by its names."""
        played = {name: getattr(self.players, name) for name in PLAYERS}
        return played | {name: getattr(self, name) for name in BESIDE}

    def end_epoch(self) -> None:
        """Add the row of the epoch under way, whose updates are done, to the history, and film it."""
        means = average([self.epoch.sums / self.epoch.done])[0].tolist()
        found = dict(zip(STATISTICS, means, strict=True))
        self.history.append({"epoch": len(self.history) + 1, **found, "seconds": self.epoch.seconds})
        self.epoch.done = 0
        self.film.take(len(self.history), self.sampler(self.recipe.ema))

    def trouble(self) -> str:
        """The first loss, gradient, weight or momentum with a NaN or an infinity, in words; "" for none."""
        tensors = dict(zip(STATISTICS, self.epoch.sums, strict=True)) if self.epoch.done else {}
        for player in ("discriminator", "generator"):
            momenta = getattr(self.players, f"{player[0]}_optimizer").state
            for name, w in getattr(self, player).named_parameters():
                kept = {"gradient": w.grad} | momenta.get(w, {})
                tensors |= {f"{player}.{name}'s {what}": x for what, x in kept.items() if x is not None}
                tensors[f"{player}.{name}"] = w
        norms = torch._foreach_norm([x.detach() for x in tensors.values()])
        for (name, x), norm in zip(tensors.items(), torch.stack(norms).tolist(), strict=True):
            if not math.isfinite(norm) and not x.isfinite().all():  # the norm alone may have overflowed
                return f"{name} is {'NaN' if x.isnan().any() else 'infinite'}"
        return ""


def play(
    make: Callable[..., Game], before: Run | None, saver: Checkpoints, after_epoch: Any, progress: bool
) -> None:
    """The loop: update by update, to the recipe's last one, of the game that ``make`` makes of a run."""
    game, look = make(before), time.monotonic() + LOOK_EVERY
    recipe, game.record = game.recipe, saver.record
    engine, n = runs.latest(game.record)["engine"], iterations(recipe, game.images)
    length = {"total": recipe.epochs * n, "initial": len(game.history) * n + game.epoch.done}
    with tqdm(**length, unit="it", disable=not progress, leave=False) as bar, keeping.signals() as received:
        for epoch in steps(game, engine):
            bar.update()
            end = game.epoch.done == n
            if processes() > 1 and not end and game.epoch.done % TOGETHER:
                continue
            signal, saves, looks = tell(lambda: (received[:1], saver.due(end), time.monotonic() > look))  # noqa: B023
            must = bool(signal) or (end and epoch == recipe.epochs)
            if looks or saves or must or end:
                start = time.monotonic()
                if trouble := tell(game.trouble):
                    last = tell(partial(standing, saver.folder, recipe)) if saver.keep else before
                    raise FloatingPointError(origin(trouble, game, make(last)))
                look = time.monotonic() + LOOK_EVERY * max(1, 200 * (time.monotonic() - start))
            if end:
                game.end_epoch()
                if after_epoch:
                    after_epoch(epoch, game)
                value = game.history[-1]["value"]
                bar.set_postfix_str(f"epoch {epoch}, V {value:.3f}, −log 4 {-math.log(4):.3f}")
            if saves or must or (end and recipe.stage(epoch + 1)[1] == 1):  # a stage's last
                saver.save(game.parts(), end=end, must=must)
            if signal:
                received[:] = signal  # of the process that writes, in each of many
                break


def origin(trouble: str, game: Game, twin: Game) -> str:
    """What is no longer finite since which update: a ``twin``, as it was saved last, plays on to there."""
    recipe, there = game.recipe, (len(game.history) + 1, game.epoch.done)
    engine, n = runs.latest(game.record)["engine"], iterations(recipe, game.images)
    for epoch in steps(twin, engine):
        update, found = twin.epoch.done, tell(twin.trouble)
        if found or (epoch, update) == there:  # where it did not come again
            break
        if update == n:
            twin.end_epoch()
    where = f"update {(epoch - 1) * n + update:,} (epoch {epoch})"
    tip = f"what was saved before stays; learning_rate={recipe.learning_rate / 2:g} may help"
    return f"{found or trouble} at {where}: {tip}"


def steps(game: Game, engine: str) -> Iterator[int]:
    """Play on; after each update, with the game whole, yields its epoch, which the caller is to end."""
    recipe, under_way = game.recipe, game.epoch
    x = data.resident(game.images, game.device)
    iterate = None
    for epoch in range(len(game.history) + 1, recipe.epochs + 1):
        stage, number = recipe.stage(epoch)
        if not under_way.done:
            if number == 1 < epoch:
                game.enter(second_stage(game.players, stage, game.images, game.device))
                iterate = None
            under_way.begin(shuffled(len(x)))
        iterate = iterate or iteration(game.players, recipe.updates, engine, game.device)
        for statistics in updates(iterate, game.players, recipe, x, number, under_way.order, under_way.done):
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
    size, n = recipe.batch_size * recipe.k, iterations(recipe, x)
    order = (shuffled(len(x)) if order is None else order).to(x.device)
    for i in range(done, n):  # line 1 of Algorithm 1
        _schedule(players, recipe, epoch, update=(epoch - 1) * n + i)
        rows = x[order[i * size : (i + 1) * size]]
        if rows.dtype == torch.uint8:
            rows = data.prepare(rows / 255, recipe.scaling)
        yield iterate(rows.split(recipe.batch_size))


def _schedule(players: Players, recipe: Recipe, epoch: int, update: int) -> None:
    """Give both optimizers the rate of this update and the momentum of this epoch."""
    momentum, rate = recipe.momentum_at(epoch), recipe.learning_rate_at(update)
    adam = recipe.optimizer == "adam"
    for optimizer in (players.g_optimizer, players.d_optimizer):
        for group in optimizer.param_groups:
            held, own = group["lr"], rate * group.get("share", 1.0)
            group["lr"] = held.fill_(own) if isinstance(held, Tensor) else own  # which a graph reads
            group |= {"betas": (momentum, recipe.beta2)} if adam else {"momentum": momentum}


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
    return Players(*both, g_optimizer, d_optimizer, GENERATOR_LOSSES[recipe.loss], precision, recipe.max_norm)


def second_stage(first: Players, recipe: Recipe, images: Any, device: torch.device) -> Players:
    """New players by the second stage's ``recipe``; G's last layers are those of the ``first`` stage's G."""
    players = make_players(recipe, images, device)
    learned = first.generator.layers
    for layer, kept in zip(players.generator.layers[-len(learned) :], learned, strict=True):
        layer.load_state_dict(kept.state_dict())
    return players


def make_optimizer(recipe: Recipe, network: nn.Module) -> torch.optim.Optimizer:
    """SGD with momentum, or Adam, at the recipe's first rate; all weights in one pass (``fused``).

    Each group has its ``share`` of the schedule's rate: convolutional layers have the recipe's ``conv_rate``.
    """
    slow = {w for x in network.modules() if isinstance(x, MaxoutConv | Deconv) for w in x.parameters()}
    by_share = groupby(network.parameters(), lambda w: recipe.conv_rate if w in slow else 1.0)
    groups = [{"params": [*ws], "share": share} for share, ws in by_share]  # in order, as gradients are
    if recipe.optimizer == "adam":
        betas = (recipe.momentum, recipe.beta2)
        return torch.optim.Adam(groups, recipe.learning_rate, betas, fused=True)
    return torch.optim.SGD(groups, recipe.learning_rate, recipe.momentum, fused=True)
