"""A recipe's first updates, looked at as they go: how far apart G's samples are, what D says, what pulls.

Once an epoch is too seldom to see the plateau that the larger recipes of §5 begin with.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .. import data, durable, files, keeping, runs
from ..engine import choose, pick_device
from ..recipes import Recipe
from ..training import Game, steps


def follow(
    recipe: Recipe,
    out: str | os.PathLike[str],
    *,
    updates: int,
    every: int = 10,
    device: str = "auto",
    engine: str = "auto",
    data_dir: str | os.PathLike[str] | None = None,
) -> dict[str, Any]:
    """Play the first ``updates`` of ``recipe``; before them and after each ``every`` `look`. Writes ``out``.

    That is a JSON file: run.json's fields, and ``rows``, each with its ``update``; whole after every row.
    The same minibatch, noise and masks are looked at each time, drawn beside the game, which goes as in
    `gan.train`. ValueError: there are not so many updates, or G has batch norm, which a look would change.
    """
    if recipe.g_batch_norm != "none":
        raise ValueError(
            f"g_batch_norm = {recipe.g_batch_norm!r}: to look at such a G changes its statistics"
        )
    where = pick_device(device)
    dataset = data.load(recipe.dataset, data_dir)
    images, _ = dataset.split(recipe.valid)
    n = keeping.iterations(recipe, images)
    if not 0 < every <= updates <= recipe.epochs * n:
        right = f"it must be 0 < every <= updates <= {recipe.epochs * n}"
        raise ValueError(f"updates = {updates}, every = {every}: {right}")
    chosen = choose(engine, where, updates)
    record = runs.new_record(recipe, where, dataset) | {"engine": chosen, "every": every, "rows": []}
    begin, game = time.monotonic(), Game(recipe, images, where)
    seen = minibatch(game)

    def note(update: int) -> None:
        record["rows"].append({"update": update} | look(game, *seen))
        record["seconds"] = round(time.monotonic() - begin, 1)
        durable.write_json(Path(out), record)

    note(0)
    for update, _ in enumerate(steps(game, chosen), 1):
        if update % every == 0:
            note(update)
        if update == updates:
            break
        if game.epoch.done == n:
            game.end_epoch()
    return record


def minibatch(game: Game) -> tuple[Tensor, Tensor, list[Tensor]]:
    """x (m, …), z (m, noise_size) and 2m rows of D's dropout masks, always the same ones of a recipe."""
    with torch.random.fork_rng():
        torch.manual_seed(game.recipe.seed + 1)
        chosen = torch.randperm(len(game.images))[: game.recipe.batch_size]
        rows = data.resident(game.images[chosen.numpy()], game.device)
        x = data.prepare(rows.float() / 255, game.recipe.scaling) if rows.dtype == torch.uint8 else rows
        z = game.generator.draw_noise(len(x))
        return x, z, [*game.discriminator.draw_masks(2 * len(x))]


def look(game: Game, x: Tensor, z: Tensor, masks: list[Tensor]) -> dict[str, float]:
    """How it stands for x, z and masks of a `minibatch`.

    spread, data_spread   standard deviation from sample to sample, its mean over pixels, of G(z) and of x
    real, fake            D's logits, their means, for x and for G(z)
    d_norm, g_norm        Euclidean norms of both gradients: `gan.algorithm1.Players.both_gradients`
    """
    d_gradient, g_gradient, real, fake, _ = game.players.both_gradients(x, z, masks)
    with torch.no_grad():
        samples = game.generator(z).float()
    found = {
        "spread": samples.std(0).mean(),
        "data_spread": x.std(0).mean(),
        "real": real.mean(),
        "fake": fake.mean(),
        "d_norm": torch.cat([g.flatten() for g in d_gradient]).norm(),
        "g_norm": torch.cat([g.flatten() for g in g_gradient]).norm(),
    }
    return {name: float(value) for name, value in found.items()}


def published(name: str) -> dict[str, Any]:
    """What was written of recipe ``name`` to book/results/beginnings/."""
    return files.read_json(runs.find_result(f"beginnings/{files.plain_word(name)}.json"))
