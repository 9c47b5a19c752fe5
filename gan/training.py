"""`train`: play a recipe's game to its end, keeping the run in a folder."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from . import data, runs
from .algorithm1 import ITERATIONS, STATISTICS, Players
from .nets import marginal_bias, networks
from .objective import GENERATOR_LOSSES
from .recipes import Recipe
from .runs import Run

SAVE_EVERY = 5.0  # seconds between checkpoints, which stand at the ends of epochs


def train(
    recipe: Recipe,
    out: str | os.PathLike[str],
    *,
    device: str = "auto",
    overwrite: bool = False,
    data_dir: str | os.PathLike[str] | None = None,
    progress: bool = True,
    after_epoch: Callable[[int, Players], None] | None = None,
) -> Run:
    """Train ``recipe`` in the folder ``out`` and return the run. Source: Algorithm 1, §5.

    A finished run is loaded; one that was stopped (Ctrl-C) goes on from its last checkpoint, with
    the same result, bit for bit, as if it had not been; ``overwrite`` starts again. ``device`` is
    "auto" (CUDA, then MPS, then CPU) or a torch device. An epoch is one pass of D over the data;
    ``after_epoch`` is called with its number, from 1, and the players, who must stay as they are.

    ValueError: ``out`` holds another recipe's run or no run, or the batch does not fit the data.
    FloatingPointError: a loss is no longer finite; the folder keeps the last good checkpoint.
    """
    folder = Path(out)
    where = pick_device(device)
    if runs.check(folder, recipe, overwrite) and (run := Run.load(folder)).finished and run.recipe == recipe:
        return run
    dataset = data.load(recipe.dataset, data_dir)
    images, _ = dataset.split(recipe.valid)
    if recipe.batch_size * recipe.k > len(images):
        raise ValueError(
            f"batch_size = {recipe.batch_size} with k = {recipe.k} needs {recipe.batch_size * recipe.k} "
            f"training images; {dataset.name} has {len(images)}"
        )
    folder.mkdir(parents=True, exist_ok=True)
    try:
        lock = FileLock(folder / ".lock", timeout=0)
        with lock, torch.random.fork_rng([where.index or 0] if where.type == "cuda" else []):
            if overwrite:
                runs.clear(folder)
            _play(recipe, folder, dataset, images, where, progress, after_epoch)
    except Timeout:
        raise ValueError(f"{folder} is being trained by another process: choose another folder") from None
    return Run.load(folder)


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
    """Both networks on ``device``, freshly initialised for uint8 ``images``, and how they move."""
    scaled = torch.from_numpy(data.scale(images))
    bias = marginal_bias(scaled) if recipe.g_output == "sigmoid" else None
    generator, discriminator = networks(recipe, scaled.shape[1:], bias)
    generator, discriminator = generator.to(device), discriminator.to(device)
    return Players(
        generator,
        discriminator,
        make_optimizer(recipe, generator, device),
        make_optimizer(recipe, discriminator, device),
        GENERATOR_LOSSES[recipe.loss],
        partial(torch.autocast, device.type, torch.bfloat16) if recipe.precision == "bf16" else nullcontext,
    )


def make_optimizer(recipe: Recipe, network: nn.Module, device: torch.device) -> torch.optim.Optimizer:
    """SGD with momentum, or Adam, at the recipe's first rate."""
    fused = device.type in ("cpu", "cuda")
    if recipe.optimizer == "adam":
        betas = (recipe.momentum, recipe.beta2)
        return torch.optim.Adam(network.parameters(), recipe.learning_rate, betas, fused=fused)
    return torch.optim.SGD(network.parameters(), recipe.learning_rate, recipe.momentum, fused=fused)


def _play(
    recipe: Recipe,
    folder: Path,
    dataset: data.Dataset,
    images: Any,
    device: torch.device,
    progress: bool,
    after_epoch: Callable[[int, Players], None] | None,
) -> None:
    """The loop: from a fresh start, or from the checkpoint in ``folder``, to the recipe's last epoch."""
    torch.manual_seed(recipe.seed)
    players = make_players(recipe, images, device)
    average = (
        AveragedModel(players.generator, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema))
        if recipe.ema
        else None
    )
    history, record = _begin(recipe, folder, dataset, players, average, device)

    x = torch.from_numpy(images).to(device)  # uint8 on the device; minibatches become float there
    x = x[:, None] if x.ndim == 3 else x.movedim(-1, 1)
    largest = 255 if x.dtype == torch.uint8 else 1
    iterate = ITERATIONS[recipe.updates]
    iterations = len(x) // (recipe.batch_size * recipe.k)
    saved = time.monotonic()
    total, done = recipe.epochs * iterations, len(history) * iterations
    with tqdm(total=total, initial=done, unit="it", disable=not progress, leave=False) as bar:
        for epoch in range(len(history) + 1, recipe.epochs + 1):
            start = time.perf_counter()
            totals = torch.zeros(len(STATISTICS), device=device)
            order = torch.randperm(len(x)).to(device)
            for i in range(iterations):  # line 1 of Algorithm 1
                _schedule(players, recipe, epoch, update=(epoch - 1) * iterations + i)
                minibatches = [
                    x[order[j * recipe.batch_size : (j + 1) * recipe.batch_size]].float() / largest
                    for j in range(i * recipe.k, (i + 1) * recipe.k)
                ]
                totals += iterate(players, minibatches)
                if average:
                    average.update_parameters(players.generator)
                bar.update()
            means = dict(zip(STATISTICS, (totals / iterations).tolist(), strict=True))
            if not all(map(math.isfinite, means.values())):
                raise FloatingPointError(
                    f"epoch {epoch}: the losses are no longer finite ({means}); {folder} keeps the last good "
                    f"checkpoint; try a smaller learning_rate than {recipe.learning_rate}"
                )
            history.append({"epoch": epoch, **means, "seconds": time.perf_counter() - start})
            if after_epoch:
                after_epoch(epoch, players)
            bar.set_postfix_str(f"epoch {epoch}, V {means['value']:.3f}, −log 4 {-math.log(4):.3f}")
            if epoch == recipe.epochs or time.monotonic() - saved > SAVE_EVERY:
                runs.save(folder, record, _state(players, average, history, device))
                saved = time.monotonic()


def _schedule(players: Players, recipe: Recipe, epoch: int, update: int) -> None:
    """Give both optimizers the rate of this update and the momentum of this epoch."""
    momentum = recipe.momentum_at(epoch)
    for optimizer in (players.g_optimizer, players.d_optimizer):
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate_at(update)
            if recipe.optimizer == "adam":
                group["betas"] = (momentum, recipe.beta2)
            else:
                group["momentum"] = momentum


def _state(
    players: Players, average: AveragedModel | None, history: list, device: torch.device
) -> dict[str, Any]:
    """All that decides what comes next, at the end of an epoch."""
    return {
        "generator": players.generator.state_dict(),
        "discriminator": players.discriminator.state_dict(),
        "g_optimizer": players.g_optimizer.state_dict(),
        "d_optimizer": players.d_optimizer.state_dict(),
        "average": average.module.state_dict() if average else None,
        "averaged": int(average.n_averaged) if average else 0,
        "rng": torch.get_rng_state(),
        "rng_cuda": torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
        "history": history,
    }


def _begin(
    recipe: Recipe,
    folder: Path,
    dataset: data.Dataset,
    players: Players,
    average: AveragedModel | None,
    device: torch.device,
) -> tuple[list[dict[str, float]], dict[str, Any]]:
    """The history and run.json to go on with; restores ``players`` where ``folder`` has a checkpoint."""
    record = runs.new_record(recipe, device, dataset)
    if not (folder / runs.CHECKPOINT).exists():
        runs.write_record(folder, record)
        return [], record
    before = Run.load(folder).record
    if before["data_sha256"] != record["data_sha256"]:
        raise ValueError(
            f"{folder} was trained on other {dataset.name} data: choose another folder, or overwrite=True"
        )
    state: dict[str, Any] = torch.load(folder / runs.CHECKPOINT, map_location=device, weights_only=True)
    players.generator.load_state_dict(state["generator"])
    players.discriminator.load_state_dict(state["discriminator"])
    players.g_optimizer.load_state_dict(state["g_optimizer"])
    players.d_optimizer.load_state_dict(state["d_optimizer"])
    if average:
        average.module.load_state_dict(state["average"])
        average.n_averaged.fill_(state["averaged"])
    torch.set_rng_state(state["rng"].cpu())
    if device.type == "cuda" and state["rng_cuda"] is not None:
        torch.cuda.set_rng_state(state["rng_cuda"].cpu(), device)
    record = runs.resumed_record(before, record, epoch=len(state["history"]))
    runs.write_record(folder, record)
    return state["history"], record
