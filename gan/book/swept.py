"""A published sweep, book/results/sweeps/: its runs, a line each, and what they come to, cell by cell.

A run counts as failed if its training failed, or if its samples score no better than independent pixels,
each with its own distribution in the data. The rule was fixed before the runs were looked at.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from IPython.display import HTML
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
from scipy import stats

from .. import data, durable, files, parzen, runs, sweep
from ..recipes import Recipe, parse, recipe
from ..training import Game
from . import places, started, tables
from .figures import COLOURS, LINES, style

FOLDER = "sweeps"
CONFIDENCE = 0.95
KEPT = ("seed", "status", "mean", "standard_error", "sigma", "seconds", "attempts", "error")


def publish(
    folder: str | os.PathLike[str],
    name: str,
    *,
    root: str | os.PathLike[str] | None = None,
    data_dir: str | os.PathLike[str] | None = None,
) -> Path:
    """Write the finished sweep in ``folder`` to ``root``/sweeps, as NAME.csv and the NAME.json returned.

    The first has a line for each run, the second what is common to all. Its line in ``root``/started.csv is
    added, or put right. ValueError: it is not finished, of a notebook, or without figures.
    """
    root, table = Path(root or places.results()), sweep.load(folder)
    table["error"] = table["error"].str.replace(f"{Path(folder).resolve()}{os.sep}", "", regex=False)
    if left := int((~table["status"].isin(["finished", "failed"])).sum()):
        raise ValueError(f"{folder} has {left} of {len(table)} runs to do: finish it first")
    if "mean" not in table or "seed" not in table:
        raise ValueError(
            f"{folder} has no figures over seeds: sweep a recipe's seed, with --split valid or test"
        )
    given = [field for field in table.columns[: table.columns.get_loc("status")] if field != "seed"]
    fields = [field for field in given if table[field].nunique() > 1]
    records = [runs.read_record(Path(folder, made)) for made in table.index[table["status"] == "finished"]]
    own = recipe(str(records[0]["recipe"]["name"]), epochs=records[0]["recipe"]["epochs"])
    same = {key: sorted({str(one[key]) for one in records}) for key in ("commit", "device", "data_sha256")}
    record = records[0] | {key: "; ".join(found) for key, found in same.items()}
    record |= {"recipe": own.model_dump(mode="json"), "started": min(one["started"] for one in records)}
    record |= {"seeds": sorted(map(int, table["seed"].unique())), "fields": fields, "runs": len(table)}
    record |= {"seconds": round(float(table["seconds"].sum()), 1), "workers": int(table["worker"].nunique())}
    record |= {"split": table["split"].dropna().iloc[0], "stacked": any("stacked" in one for one in records)}
    record |= {"pixels": independent_pixels(own, record["split"], data_dir)}
    record |= {"untrained": untrained(own, record["split"], data_dir)}
    path = root / FOLDER / f"{files.plain_word(name)}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = table.sort_values([*fields, "seed"])[[*fields, *KEPT]].to_csv(index=False, float_format="%.6g")
    with durable.whole(path.with_suffix(".csv")) as part:
        part.write_text(lines, "utf-8")
    durable.write_json(path, record)
    started.write(
        root / started.FILE, started.add(started.read(root / started.FILE), started.of_sweep(record))
    )
    return path


def independent_pixels(
    recipe: Recipe, split: str, data_dir: str | os.PathLike[str] | None = None, n: int = 10_000
) -> float:
    """The Parzen figure of ``n`` images whose pixels are drawn from the training images', each by itself."""
    train = data.as_samples(data.load(recipe.dataset, data_dir).split(recipe.valid)[0], recipe.scaling)
    flat, rng = train.reshape(len(train), -1), np.random.default_rng(0)
    drawn = flat[rng.integers(len(flat), size=(n, flat.shape[1])), np.arange(flat.shape[1])]
    images = drawn.reshape(n, *train.shape[1:])
    return float(parzen.estimate(recipe, images, split=split, data_dir=data_dir)["mean"])


def untrained(recipe: Recipe, split: str, data_dir: str | os.PathLike[str] | None = None) -> float:
    """The Parzen figure of ``recipe``'s G as it is before its first update."""
    x = data.load(recipe.dataset, data_dir).split(recipe.valid)[0]
    with torch.random.fork_rng():
        generator = Game(recipe, x, torch.device("cpu")).generator
    return float(parzen.estimate(recipe, generator, split=split, data_dir=data_dir)["mean"])


def load(name: str) -> tuple[dict[str, Any], pd.DataFrame]:
    """What is common to the published sweep ``name``, and its runs, which say whether each ``failed``."""
    path = runs.find_result(f"{FOLDER}/{files.plain_word(name)}.json", f"no published sweep {name!r}")
    record = files.read_json(path, "it comes from `gan publish`")
    return record, judged(pd.read_csv(path.with_suffix(".csv")), record["pixels"])


def judged(table: pd.DataFrame, pixels: float) -> pd.DataFrame:
    """``table`` with a column ``failed``, by the rule above; ``pixels`` is what independent pixels score."""
    return table.assign(failed=(table["status"] != "finished") | ~(table["mean"] > pixels))


def changed(table: pd.DataFrame, own: Recipe, *fields: str) -> pd.DataFrame:
    """The runs that are as ``own`` but for ``fields``, and their seeds."""
    rest = [field for field in Recipe.model_fields if field in table and field not in (*fields, "seed")]
    same = [table[field].astype(str) == str(getattr(own, field)) for field in rest]
    return table[np.logical_and.reduce(same)] if same else table


def cells(table: pd.DataFrame, *fields: str) -> pd.DataFrame:
    """A row for each combination of ``fields``: runs, failed ones, and of the others the `interval`."""
    rows = []
    for values, runs_of in table.groupby(list(fields), sort=False):
        nats = interval(runs_of.loc[~runs_of["failed"], "mean"])
        counts = {"runs": len(runs_of), "failed": int(runs_of["failed"].sum())}
        named = dict(zip(fields, values, strict=True))
        rows.append(named | counts | dict(zip(("mean", "low", "high"), nats, strict=True)))
    return pd.DataFrame(rows)


def one_by_one(
    table: pd.DataFrame, own: Recipe, knobs: Mapping[str, list[str]]
) -> tuple[dict[str, dict[str, pd.DataFrame]], pd.DataFrame]:
    """Each of ``knobs``, fields by what they are called, as a panel for `effects`; and their `cells`."""
    panels: dict[str, dict[str, pd.DataFrame]] = {}
    rows = []
    for title, fields in knobs.items():
        there = changed(table, own, *fields).sort_values(fields, key=order)
        panels[title] = {name(values): part for values, part in there.groupby(fields, sort=False)}
        for row in cells(there, *fields).to_dict("records"):
            value = name(tuple(row.pop(field) for field in fields))
            rows.append({"改动": "、".join(fields), "取值": value, **row})
    return panels, pd.DataFrame(rows)


def name(value: Any) -> str:
    """A value, or several, in a figure's and a table's words: (32, 32) is 32, two hidden layers' width."""
    if isinstance(value, tuple):
        return " ".join(map(name, value))
    return str(value).strip("()").split(", ")[0]


def order(values: pd.Series) -> pd.Series:
    """What sorts ``values`` as numbers where they are; words come first."""
    return pd.to_numeric(values.map(name), errors="coerce").fillna(-1)


def told(cells: pd.DataFrame) -> pd.DataFrame:
    """`cells` for the page."""
    low, high = (cells[end].map("{:.1f}".format) for end in ("low", "high"))
    shown = cells.drop(columns=["runs", "low", "high"])
    shown["failed"] = [f"{n} / {of}" for n, of in zip(cells["failed"], cells["runs"], strict=True)]
    shown["mean"] = cells["mean"].map("{:.1f}".format).replace("nan", "–")
    shown["95% 区间"] = [f"{a} 到 {b}".replace("nan 到 nan", "–") for a, b in zip(low, high, strict=True)]
    shown = shown.rename(columns={"failed": "失败", "mean": "平均"})
    return shown.replace("-(?=[0-9])", "−", regex=True)


def provenance(record: dict[str, Any]) -> HTML:
    """The line that says where a published sweep comes from."""
    history = pd.DataFrame({"epoch": range(record["recipe"]["epochs"])})
    seeds = "–".join(map(str, record["seeds"][:: max(1, len(record["seeds"]) - 1)]))
    template = tables.PROVENANCE.replace("{seed}", seeds)
    return tables.made(runs.Run(Path(), parse(record["recipe"]), record, history).provenance(template))


def interval(nats: ArrayLike) -> tuple[float, float, float]:
    """The mean over seeds and its 95 % interval by Student's t; NaN at the ends for less than two."""
    values = np.asarray(nats, dtype=float)
    if len(values) < 2:
        return (float(values.mean()) if len(values) else np.nan), np.nan, np.nan
    half = stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean()), float(values.mean() - half), float(values.mean() + half)


def effects(panels: Mapping[str, Mapping[str, pd.DataFrame]], pixels: float) -> Figure:
    """A panel for each thing changed, and in it, by their names, the runs of each value: nats of every seed,
    beside them mean and interval of those that did not fail; crosses on the lower edge are those that did.

    Dotted is what independent ``pixels`` score.
    """
    with style():
        figure = Figure(figsize=(8, 2.7 * -(-len(panels) // 2)), layout="constrained")
        rooms = figure.subplots(-(-len(panels) // 2), 2, sharey=True, squeeze=False).flat
        for axes, (title, values) in zip(rooms, panels.items(), strict=False):
            axes.set_title(title)
            axes.axhline(pixels, **LINES["data"])
            for x, found in enumerate(values.values()):
                whole = found.loc[~found["failed"], "mean"]
                mean, low, high = interval(whole)
                axes.plot([x - 0.15] * len(whole), whole, ".", color=COLOURS["other"], markersize=4)
                ends = [[mean - low], [high - mean]]
                axes.errorbar(x + 0.1, mean, ends, fmt="o", color=COLOURS["generator"])
                failures = int(found["failed"].sum())
                at = np.linspace(x - 0.3, x + 0.3, max(5, failures))[:failures]
                axes.plot(at, [pixels - 1] * len(at), "x", color=COLOURS["exact"], markersize=5)
            axes.set_xticks(range(len(values)), list(values))
        for axes in figure.axes[::2]:
            axes.set_ylabel("validation, nats")
    return figure
