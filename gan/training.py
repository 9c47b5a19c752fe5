"""`train`: play a recipe's game to its end, keeping the run in a folder."""

from __future__ import annotations

import copy
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock, Timeout
from torch import Tensor, nn
from tqdm import tqdm

from . import data, runs
from .algorithm1 import STATISTICS, Players, cap_norms
from .engine import choose, iteration, join, mean, processes, tell
from .nets import Generator, marginal_bias, networks
from .objective import GENERATOR_LOSSES
from .recipes import Recipe
from .runs import Run

SAVE_EVERY = 5.0  # seconds between checkpoints, which stand at the ends of epochs; longer where …
SAVED_IN = 0.25  # … one takes more than so many seconds: a twentieth of the time may go into them
FILMED = (0, 1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200, 250, 500, 1000, 1500, 2000)
"""Epochs after which a run keeps a picture of the same FILM samples."""
FILM = 10


def train(
    recipe: Recipe,
    out: str | os.PathLike[str],
    *,
    device: str = "auto",
    overwrite: bool = False,
    data_dir: str | os.PathLike[str] | None = None,
    progress: bool = True,
    after_epoch: Callable[[int, Players], None] | None = None,
    engine: str = "auto",
    averages: Sequence[float] = (),
    start: str | os.PathLike[str] | None = None,
) -> Run:
    """Train ``recipe`` in the folder ``out`` and return the run. Source: Algorithm 1, §5.

    A finished run is loaded; one that was stopped (Ctrl-C) goes on from its last checkpoint, with
    the same result, bit for bit, as if it had not been; ``overwrite`` starts again. ``device`` is
    "auto" (CUDA, then MPS, then CPU) or a torch device; ``engine`` is "auto" or one of
    `gan.engine.ENGINES`, and a run that goes on keeps its own. An epoch is one pass of D over the data;
    ``after_epoch`` is called with its number, from 1, and the players, who must stay as they are.
    ``averages`` are decays of further averages of G's weights to keep, in ``players.averages`` and in the
    checkpoint; they change nothing else.

    A new run may ``start`` from the weights of a shorter one of the same recipe, published ones too: at its
    epoch and its rate, with fresh momenta and random numbers, as run.json then says.

    In the processes of ``torchrun`` each takes an equal part of every minibatch; the first one writes.

    ValueError: ``out`` holds another recipe's run or no run, ``start`` is no beginning of this recipe's,
    or the batch does not fit the data.
    FloatingPointError: a loss is no longer finite; the folder keeps the last good checkpoint.
    """
    folder = Path(out)
    where, writes = join(pick_device(device), recipe.batch_size)
    if tell(lambda: runs.check(folder, recipe, overwrite) and _finished(folder, recipe)):
        return Run.load(folder)
    if processes() > 1:
        tell(lambda: bool(data.load(recipe.dataset, data_dir)))  # one downloads, and then each reads
    dataset = data.load(recipe.dataset, data_dir)
    images, _ = dataset.split(recipe.valid)
    if recipe.batch_size * recipe.k > len(images):
        raise ValueError(
            f"batch_size = {recipe.batch_size} with k = {recipe.k} needs {recipe.batch_size * recipe.k} "
            f"training images; {dataset.name} has {len(images)}"
        )
    choose(engine, where, updates=0)
    begun = None if start is None else runs.beginning(start, recipe, dataset)
    try:
        with ExitStack() as stack:
            stack.enter_context(torch.random.fork_rng([where.index or 0] if where.type == "cuda" else []))
            tell(partial(_occupy, folder, stack, overwrite))
            _play(
                recipe,
                folder,
                dataset,
                images,
                where,
                engine,
                progress and writes,
                after_epoch,
                averages,
                begun,
            )
    except Timeout:
        raise ValueError(f"{folder} is being trained by another process: choose another folder") from None
    return tell(lambda: Run.load(folder))


def _occupy(folder: Path, stack: ExitStack, overwrite: bool) -> None:
    """Make ``folder`` this run's own until ``stack`` is left."""
    folder.mkdir(parents=True, exist_ok=True)
    stack.enter_context(FileLock(folder / ".lock", timeout=0))
    if overwrite:
        runs.clear(folder)


def _finished(folder: Path, recipe: Recipe) -> bool:
    run = Run.load(folder)
    return run.finished and run.recipe == recipe


def pick_device(device: str = "auto") -> torch.device:
    """The torch device called ``device``; "auto" is CUDA, then MPS, then CPU, whichever is there."""
    has_cuda, has_mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if device == "auto":
        device = "cuda" if has_cuda else "mps" if has_mps else "cpu"
    try:
        where = torch.device(device)
    except RuntimeError:
        raise ValueError(f"device = {device!r}: it must be auto, cpu, cuda, cuda:0, … or mps") from None
    if (where.type == "cuda" and not has_cuda) or (where.type == "mps" and not has_mps):
        raise ValueError(f"device = {device!r} is not available here; auto or cpu is")
    return where


def make_players(recipe: Recipe, images: Any, device: torch.device) -> Players:
    """Both networks on ``device``, freshly initialised for uint8 ``images``, and how they move.

    ``recipe`` is that of one stage.
    """
    bias = marginal_bias(torch.from_numpy(data.scale(images))) if recipe.g_output == "sigmoid" else None
    generator, discriminator = networks(recipe, data.scale(images[:1]).shape[1:], bias)
    generator, discriminator = generator.to(device), discriminator.to(device)
    if recipe.max_norm:  # holds before the first move too
        for network in (generator, discriminator):
            cap_norms(network.parameters(), recipe.max_norm)
    bf16 = partial(torch.autocast, device.type, torch.bfloat16, cache_enabled=False)
    return Players(
        generator,
        discriminator,
        make_optimizer(recipe, generator),
        make_optimizer(recipe, discriminator),
        GENERATOR_LOSSES[recipe.loss],
        bf16 if recipe.precision == "bf16" else nullcontext,
        recipe.max_norm,
    )


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


def _play(
    recipe: Recipe,
    folder: Path,
    dataset: data.Dataset,
    images: Any,
    device: torch.device,
    engine: str,
    progress: bool,
    after_epoch: Callable[[int, Players], None] | None,
    decays: Sequence[float],
    begun: Run | None,
) -> None:
    """The loop: from a fresh start, or from the checkpoint in ``folder``, to the recipe's last epoch."""
    iterations = len(images) // (recipe.batch_size * recipe.k)
    record, state = tell(lambda: _begin(recipe, folder, dataset, device, engine, iterations, begun))
    done = len(state["history"]) if state else 0
    shown = len(data.SHAPES[recipe.dataset]) == 3
    torch.manual_seed(recipe.seed)
    players = make_players(recipe.stage(done)[0], images, device)
    players.averages = _averages(players, recipe, decays)
    if state:
        history, film = _restore(state, players, recipe, device)
    else:
        history, film = [], {}
        if shown:
            film[0] = filmed(players.generator)
    iterate = iteration(players, recipe.updates, runs.latest(record)["engine"], device)

    x = resident(images, device)
    saved, took = time.monotonic(), 0.0
    total = recipe.epochs * iterations
    with tqdm(total=total, initial=done * iterations, unit="it", disable=not progress, leave=False) as bar:
        for epoch in range(done + 1, recipe.epochs + 1):
            began = time.perf_counter()
            stage, number = recipe.stage(epoch)
            if number == 1 < epoch:
                players = second_stage(players, stage, images, device)
                players.averages = _averages(players, recipe, decays)
                iterate = iteration(players, recipe.updates, runs.latest(record)["engine"], device)
            totals = torch.zeros(len(STATISTICS), device=device)
            for row in updates(iterate, players, recipe, x, number):
                totals += row
                for average in players.averages.values():
                    average.update(players.generator)
                bar.update()
            means = dict(zip(STATISTICS, mean(totals / iterations).tolist(), strict=True))
            if not all(map(math.isfinite, means.values())):
                raise FloatingPointError(
                    f"epoch {epoch}: the losses are no longer finite ({means}); {folder} keeps the last good "
                    f"checkpoint; try a smaller learning_rate than {recipe.learning_rate}"
                )
            history.append({"epoch": epoch, **means, "seconds": time.perf_counter() - began})
            if shown and epoch in FILMED:
                film[epoch] = filmed(sampler(players, recipe.ema))
            if after_epoch:
                after_epoch(epoch, players)
            bar.set_postfix_str(f"epoch {epoch}, V {means['value']:.3f}, −log 4 {-math.log(4):.3f}")
            if epoch == recipe.epochs or time.monotonic() - saved > SAVE_EVERY * max(1, took / SAVED_IN):
                before = time.monotonic()
                state = _state(players, history, film, device)
                tell(partial(runs.save, folder, record, state))
                saved = time.monotonic()
                took = saved - before


def _averages(players: Players, recipe: Recipe, decays: Sequence[float]) -> dict[float, Average]:
    return {decay: Average(players.generator, decay) for decay in (recipe.ema, *decays) if decay}


def sampler(players: Players, ema: float) -> Generator:
    """The G that is sampled from: the average of its weights with decay ``ema``, or with 0 as it is."""
    return players.averages[ema].module if ema else players.generator


def filmed(generator: Generator) -> Tensor:
    """The first FILM samples of seed 0 as images, uint8 (FILM, *shape) on the CPU."""
    z = generator.draw_noise(FILM, torch.Generator().manual_seed(0))
    return (generator.depict(z) * 255).round().to("cpu", torch.uint8)


def resident(images: Any, device: torch.device) -> Tensor:
    """A data set's images (n, c, h, w) on the device, uint8 as they are; minibatches become float there."""
    x = torch.from_numpy(images).to(device)
    return x[:, None] if x.ndim == 3 else x.movedim(-1, 1)


def updates(
    iterate: Callable[[Sequence[Tensor]], Tensor], players: Players, recipe: Recipe, x: Tensor, epoch: int
) -> Iterator[Tensor]:
    """Epoch ``epoch`` of its stage: every row of ``x`` once (less what fills no iteration), in random order.

    Yields each iteration's statistics as they are, on the device; nothing here waits for it.
    """
    size = recipe.batch_size * recipe.k
    iterations = len(x) // size
    order = torch.randperm(len(x)).to(x.device)
    for i in range(iterations):  # line 1 of Algorithm 1
        _schedule(players, recipe, epoch, update=(epoch - 1) * iterations + i)
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


def _state(
    players: Players,
    history: list[dict[str, float]],
    film: dict[int, Tensor],
    device: torch.device,
) -> dict[str, Any]:
    """All that decides what comes next, at the end of an epoch, and what is to be shown."""
    return {
        "generator": players.generator.state_dict(),
        "discriminator": players.discriminator.state_dict(),
        "g_optimizer": players.g_optimizer.state_dict(),
        "d_optimizer": players.d_optimizer.state_dict(),
        "averages": {decay: average.module.state_dict() for decay, average in players.averages.items()},
        "averaged": {decay: average.updates for decay, average in players.averages.items()},
        "rng": torch.get_rng_state(),
        "rng_cuda": torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
        "history": history,
        "film": film,
    }


def _begin(
    recipe: Recipe,
    folder: Path,
    dataset: data.Dataset,
    device: torch.device,
    engine: str,
    iterations: int,
    begun: Run | None,
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """run.json to go on with, and the state: a checkpoint's, or what is known of ``begun``'s."""
    record = runs.new_record(recipe, device, dataset)
    if processes() > 1:
        record["device"] = f"{processes()} × {record['device']}"
    if not (folder / runs.CHECKPOINT).exists():
        record["engine"] = choose(engine, device, recipe.epochs * iterations)
        state = None
        if begun:
            weights = "float32" if (begun.folder / runs.CHECKPOINT).exists() else "rounded"
            record = runs.resumed_record(begun.record, record, len(begun.history), weights)
            state = runs.known_state(begun, iterations)
        runs.write_record(folder, record)
        return record, state
    before = Run.load(folder).record
    if before["data_sha256"] != record["data_sha256"]:
        raise ValueError(
            f"{folder} was trained on other {dataset.name} data: choose another folder, or overwrite=True"
        )
    state = torch.load(folder / runs.CHECKPOINT, map_location="cpu", weights_only=True)
    kept = runs.latest(before).get("engine", "eager")
    if engine == "auto" and (kept != "graph" or device.type == "cuda"):
        engine = kept
    record["engine"] = choose(engine, device, recipe.epochs * iterations)
    record = runs.resumed_record(before, record, epoch=len(state["history"]))
    runs.write_record(folder, record)
    return record, state


def _restore(
    state: dict[str, Any], players: Players, recipe: Recipe, device: torch.device
) -> tuple[list[dict[str, float]], dict[int, Tensor]]:
    """Put all back as ``state`` has it; returns its history and its film.

    An average that it lacks starts from G as it is now; where it knows only weights, the rest is fresh.
    """
    players.generator.load_state_dict(state["generator"])
    players.discriminator.load_state_dict(state["discriminator"])
    for decay, average in players.averages.items():
        average.module.load_state_dict(state["averages"].get(decay, state["generator"]))
        average.updates = state["averaged"].get(decay, 1)
    if "rng" not in state:  # not those of the first epochs once more
        fresh = np.random.SeedSequence([recipe.seed, len(state["history"])])
        torch.manual_seed(int(fresh.generate_state(1, np.uint64)[0]))
        return state["history"], state["film"]
    players.g_optimizer.load_state_dict(state["g_optimizer"])
    players.d_optimizer.load_state_dict(state["d_optimizer"])
    torch.set_rng_state(state["rng"])
    if device.type == "cuda" and state["rng_cuda"] is not None:
        torch.cuda.set_rng_state(state["rng_cuda"], device)
    return state["history"], state["film"]
