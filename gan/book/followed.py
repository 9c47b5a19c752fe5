"""How runs fared on the way: what `python -m gan sweep --follow` wrote of them, and tables of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import pandas as pd

from ..files import read_json
from ..recipes import Recipe, changes, parse
from ..recipes import recipe as preset_of
from ..runs import Run, find_result


def course(run: Run) -> dict[str, Any] | None:
    """What a sweep wrote of a published ``run`` to book/results/course/, where it was followed."""
    path = run.folder.parent / "course" / f"{run.folder.name}.json"
    return read_json(path) if path.exists() else None


def last_weights(record: Mapping[str, Any]) -> dict[int, float]:
    """The validation figures of a course's last weights, by epoch."""
    return {one["epoch"]: one["mean"] for one in record["scores"] if not one["decay"]}


def best(run: Run) -> tuple[dict[str, Any], int] | None:
    """The test figure of a run's weights at their best validation figure, and that epoch.

    None where nobody looked for it: a run without `parzen_best` has it only if its course says that no
    epoch was better than its last.
    """
    metrics, record = run.record["metrics"], course(run)
    if found := metrics.get("parzen_best"):
        return found, found["epoch"]
    if record:
        figures = last_weights(record)
        if max(figures, key=lambda epoch: figures[epoch]) == len(run.history):
            return metrics["parzen"], len(run.history)
    return None


def gains(records: Sequence[Mapping[str, Any]], epochs: Sequence[int], updates: int) -> pd.DataFrame:
    """Nats on validation that a hundred epochs gave between two of ``epochs``, a column for each course.

    With the learning rate at the end of each stretch; an epoch has ``updates``.
    """
    recipe = parse(records[0]["recipe"])
    rows = []
    for start, end in pairwise(epochs):
        row = {"轮": f"{start}–{end}", "学习率降到": f"{recipe.learning_rate_at(end * updates):.4f}"}
        for record in records:
            figures = last_weights(record)
            known = start in figures and end in figures
            gain = 100 * (figures[end] - figures[start]) / (end - start) if known else math.nan
            text = f"{gain:+.1f}".replace("-", "−") if known else "–"
            row[f"种子 {record['recipe']['seed']}"] = text
        rows.append(row)
    return pd.DataFrame(rows)


def averages(records: Sequence[Mapping[str, Any]], updates: int, early: int = 100) -> pd.DataFrame:
    """A row for each average of G's weights that courses have: its window, its best, what became of it.

    With the nats by which it was above the last weights at epoch ``early`` and at the last look; an epoch has
    ``updates``.
    """
    rows = []
    for record in records:
        last = last_weights(record)
        for decay in sorted({one["decay"] for one in record["scores"]} - {0.0}):
            found = {one["epoch"]: one["mean"] for one in record["scores"] if one["decay"] == decay}
            top, end = max(found, key=lambda epoch: found[epoch]), max(found)
            rows.append(
                {
                    "种子": record["recipe"]["seed"],
                    "平均最近": f"{round(1 / (1 - decay) / updates)} 轮",
                    "最高（纳特）": f"{found[top]:.1f}，第 {top} 轮",
                    f"第 {early} 轮比最后的权重高": f"{found[early] - last[early]:.1f}",
                    "量到的最后一轮": f"{found[end]:.1f}，第 {end} 轮",
                    "那时高": f"{found[end] - last[end]:.1f}",
                }
            )
    return pd.DataFrame(rows)


def sweeps(recipe: str) -> list[dict[str, Any]]:
    """What `gan sweep --follow` wrote of ``recipe`` to book/results/sweep/, the fewest changes first."""
    wrote = f"no sweep of {recipe} (`python -m gan sweep --follow` writes it)"
    records = [read_json(path) for path in sorted(find_result("sweep", wrote).glob(f"{recipe}*.json"))]
    if not (own := [record for record in records if record["recipe"]["name"] == recipe]):
        raise FileNotFoundError(f"{wrote}: there is none in book/results/sweep")

    def changed(record: Mapping[str, Any]) -> tuple[int, list[tuple[str, Any]]]:
        found = changes(parse(record["recipe"])) | {"epochs": 0}
        return len(found), sorted(found.items())

    return sorted(own, key=changed)


def ablation(records: Sequence[Mapping[str, Any]], epoch: int) -> pd.DataFrame:
    """A row for each change among ``records``, a column for each seed: its figures on the validation split.

    Of the last weights at the last look up to ``epoch``, which is named where it is not that one.
    """
    rows: dict[str, dict[str, str]] = {}
    for record in records:
        figures = last_weights(record)
        if seen := [one for one in figures if one <= epoch]:
            told = f"{figures[seen[-1]]:.1f}".replace("-", "−")
            told += "" if seen[-1] == epoch else f"（第 {seen[-1]} 轮）"
            row = rows.setdefault(_changes(record, "seed") or "无", {})
            seed = f"种子 {record['recipe']['seed']}"
            row[seed] = "、".join(filter(None, (row.get(seed), told)))
    table = pd.DataFrame.from_dict(rows, "index").sort_index(axis=1)
    return table.rename_axis("改动").reset_index().fillna("–")


def chosen(records: Sequence[dict[str, Any]]) -> tuple[int, float, float]:
    """The epoch and the decay with the best validation figure, and it: the mean over all seeds of `sweeps`.

    Only of those that change nothing else; a decay of 0 is G's last weights.
    """
    seeds = [record for record in records if parse(record["recipe"] | {"seed": 0}) == _plain(record)]
    scores = pd.concat([pd.DataFrame(record["scores"]) for record in seeds])
    means = scores.groupby(["epoch", "decay"])["mean"].agg(["mean", "size"])
    best = means[means["size"] == len(seeds)]["mean"]
    epoch, decay = cast(tuple[int, float], best.idxmax())
    return int(epoch), float(decay), float(best.max())


def _plain(record: Mapping[str, Any]) -> Recipe:
    return preset_of(record["recipe"]["name"], epochs=record["recipe"]["epochs"])


def swept(record: dict[str, Any]) -> Run:
    """The run behind one of `sweeps`, as far as it was followed and without its weights: for `provenance`."""
    history = pd.DataFrame({"epoch": range(1, max(one["epoch"] for one in record["scores"]) + 1)})
    return Run(Path(), parse(record["recipe"]), record, history)


def _changes(record: Mapping[str, Any], *apart: str) -> str:
    """The fields, but for epochs and ``apart``, in which a run's recipe differs from the one of its name."""
    changed = changes(parse(record["recipe"]))
    return "，".join(f"{f} = {value}" for f, value in changed.items() if f not in ("epochs", *apart))
