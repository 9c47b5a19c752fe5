"""Variants of a recipe, followed on the validation split while they are trained: the book's ablation.

The paper's figure is one number at the end of a run; what choices are made on is its course.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .. import data, durable, files, parzen, runs
from ..keeping import seconds
from ..recipes import Recipe, parse
from ..recipes import recipe as preset
from ..runs import differing
from ..training import Game, train
from . import places


def follow(
    recipe: Recipe,
    out: str | os.PathLike[str] | None = None,
    *,
    every: int = 10,
    averages: Sequence[float] = (),
    results: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    data_dir: str | os.PathLike[str] | None = None,
    **how: Any,
) -> Path:
    """Train ``recipe`` in ``out`` (else below runs/), and follow it in the file of that name in ``results``.

    That is a checkout's book/results/sweep, if no other folder is given. It holds run.json's fields and
    ``scores``, for each ``every`` epochs: the figures on the validation split (`gan.parzen.estimate`) of
    G's last weights, ``decay`` 0, and of their averages with decays ``averages``, whether or not the recipe
    has one; G's weights at the best of the recipe's own figures are kept beside the run (`gan.Run.best`).
    ``how`` is for `gan.train`. ValueError: the file has another recipe's scores, or on other data.
    """
    if every < 1:
        raise ValueError(f"every = {every}: it must be a number of epochs, at least 1")
    own = preset(recipe.name).epochs  # a longer run goes on, in the same folder and file
    out = Path(out or runs.default_folder(recipe.model_copy(update={"epochs": own})))
    path = Path(results or places.results("results=FOLDER") / "sweep")
    path /= f"{files.plain_word(out.resolve().name)}.json"
    if path.parent.is_file():
        raise ValueError(f"{path.parent} is a file: the scores need a folder")
    scores = [] if overwrite else _before(path, recipe, data.load(recipe.dataset, data_dir).digest)

    def score(epoch: int, game: Game) -> None:
        if epoch % every and epoch != recipe.epochs:
            return
        scores[:] = [one for one in scores if one["epoch"] < epoch]
        before = [one["mean"] for one in scores if one["decay"] == recipe.ema]
        for decay in sorted({0.0, recipe.ema, *averages}):
            figure = parzen.estimate(recipe, game.sampler(decay), split="valid", data_dir=data_dir)
            if decay == recipe.ema and figure["mean"] > max(before, default=-math.inf):
                game.best.keep(epoch, game.sampler(decay))
            kept = {key: figure[key] for key in ("mean", "standard_error", "sigma")}
            scores.append({"epoch": epoch, "decay": decay, **kept})
        durable.write_json(path, game.record | {"seconds": seconds(game.history), "scores": scores})

    how |= {"averages": averages, "overwrite": overwrite, "data_dir": data_dir}
    run = train(recipe, out, after_epoch=score, **how)
    durable.write_json(path, run.record | {"scores": scores})
    return path


def _before(path: Path, recipe: Recipe, digest: str) -> list[dict[str, Any]]:
    """The scores in ``path``, which must be of a beginning of ``recipe``'s run, or of a longer one."""
    if not path.exists():
        return []
    record = files.read_json(path)
    there = parse(record["recipe"])
    if fields := differing(there.model_copy(update={"epochs": recipe.epochs}), recipe):
        what = f"another recipe ({fields})"
    elif record["data_sha256"] != digest:
        what = f"other {recipe.dataset} data"
    else:
        return record["scores"]
    raise ValueError(f"{path} has the scores of {what}: choose another folder, or overwrite=True")
