"""The tables of the book's notebooks, and where a number comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from IPython.display import HTML

from ..files import read_json
from ..recipes import Recipe, parse
from ..recipes import recipe as preset_of
from ..runs import Run, find_result, published
from ..toy import TARGETS
from .followed import best
from .yardsticks import sharpness

PROVENANCE = (
    "配方 {name} · 种子 {seed} · {epochs} 轮 · {date} · {device} · Python {python} · torch {torch} · "
    "用时 {minutes} 分 {seconds} 秒 · 提交 {commit}"
)

TABLE_1 = {
    "深度信念网络（DBN）": ("138 ± 2", "1909 ± 66"),
    "堆叠 CAE": ("121 ± 1.6", "2110 ± 50"),
    "深度 GSN": ("214 ± 1.1", "1890 ± 29"),
    "对抗网络（论文）": ("225 ± 2", "2057 ± 26"),
}
"""The paper's own figures, nats: MNIST, ± between test images, and TFD, ± between folds. Source: Table 1."""

RUNS: dict[str, dict[str, tuple[str, ...]]] = {
    "mnist": {
        "作者的配方": ("mnist", "mnist-s1", "mnist-s2"),
        "交替更新": ("mnist-alternating", "mnist-alternating-s1", "mnist-alternating-s2"),
        "高斯噪声": ("mnist-gaussian",),
        "更早的运行": ("mnist-plain", "mnist-plain-s1", "mnist-plain-s2"),
        "更早的运行，再长些": ("mnist-plain-250",),
        "改动：平均权重": ("mnist-ema", "mnist-ema-s1", "mnist-ema-s2"),
        "极小极大损失": ("mnist-minimax",),
        "PyTorch-GAN 的网络": ("pytorch-gan",),
        "PyTorch-GAN 的网络，原样": ("pytorch-gan-written",),
    },
    "faces": {"人脸（LFW）": ("faces",), "人脸（LFW），走过交接处": ("faces-stages",)},
}
"""The published runs to stand beside Table 1, by data, the authors' recipe first; a row's differ in seeds."""

FIGURES = {
    "parzen": ("", ""),
    "parzen_best": (", best epoch", "，验证最好的一轮"),
    "parzen_last": (", last weights", "，最后的权重"),
}
"""What a run may be measured with, and how that is called in `scores`."""

STAND_INS = {
    "train": "训练图像",
    "blurred": "训练图像，模糊 {blur} 像素",
    "k-means": "k 均值的中心",
    "mean": "平均图像",
    "noise": "均匀噪声",
}
"""Those of `gan.book.yardsticks`, for the book's tables."""


def made(*lines: str) -> HTML:
    """Lines under a figure or a table that say how it was made."""
    return HTML(f'<p class="provenance">{"<br>".join(map(escape, lines))}</p>')


def provenance(run: Run) -> HTML:
    """The line of a run."""
    return made(run.provenance(PROVENANCE))


def table(frame: pd.DataFrame) -> HTML:
    """A table for the page, without the row numbers."""
    return HTML(frame.to_html(index=False))


def recipe_table(*recipes: Recipe) -> pd.DataFrame:
    """A row per field, a column per recipe; without the fields that none of them uses."""
    columns = {one.name: one.model_dump() | dict.fromkeys(_idle(one), "–") for one in recipes}
    rows = []
    for field, about in Recipe.model_fields.items():
        values = {name: fields[field] for name, fields in columns.items()}
        used = any(value not in (None, 0, (), "none", "–") for value in values.values())
        if field == "seed" or (used and field != "name"):
            shown = {name: _text(value) for name, value in values.items()}
            rows.append({"设置": f"{about.title}（{field}）"} | shown)
    return pd.DataFrame(rows)


def _idle(recipe: Recipe) -> set[str]:
    """The fields that do nothing in a recipe, whatever they are."""
    steady = recipe.momentum == recipe.momentum_final
    found = {
        "scaling": recipe.dataset in TARGETS,  # points are no pixels
        "d_pieces": recipe.d_activation != "maxout",
        "k": recipe.updates == "simultaneous",
        "learning_rate_floor": recipe.learning_rate_decay == 1,
        "conv_rate": not (recipe.d_conv or recipe.g_deconv),
        "momentum_final": steady,
        "momentum_epochs": steady,
        "beta2": recipe.optimizer != "adam",
    }
    return {field for field, does_nothing in found.items() if does_nothing}


def differences(recipes: Mapping[str, Recipe]) -> pd.DataFrame:
    """`recipe_table` of the fields in which the recipes differ, under the names that they have here."""
    named = recipe_table(*(recipe.model_copy(update={"name": name}) for name, recipe in recipes.items()))
    return named[named.iloc[:, 1:].nunique(axis=1) > 1]


def table1(*names: str) -> pd.DataFrame:
    """Table 1's MNIST column: the paper's figures, below them those of published runs that differ in seeds.

    Of each run at its last epoch and at its `best`; ± is between seeds, or for one between test images.
    """
    runs = [published(name) for name in names]
    rows = [(name, mnist, "–") for name, (mnist, _) in TABLE_1.items()]
    for metric, row in _measured(runs).items():
        whose = f"对抗网络（本书，{len(runs)} 个种子{FIGURES[metric][1] or '，最后一轮'}）"
        rows.append((whose, _figure(row, "error"), "、".join(map(str, row["epochs"]))))
    return pd.DataFrame(rows, columns=["模型", "测试集对数似然（纳特）", "轮数"])


def likelihoods(estimates: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """A row for each of `gan.parzen.estimate`'s records, under the names that they have here."""
    rows = [
        {
            "": name,
            "对数似然（纳特）": _figure(figure),
            "σ": ", ".join(f"{sigma:.3f}" for sigma in np.atleast_1d(figure["sigma"])),
            "测试图像": figure["n_test"],
        }
        for name, figure in estimates.items()
    ]
    return pd.DataFrame(rows)


def yardsticks(name: str = "mnist") -> dict[str, Any]:
    """What `python -m gan yardsticks` wrote to book/results/yardsticks/, seen as `bench` sees it."""
    path = find_result(f"yardsticks/{name}.json", f"no yardsticks (`python -m gan yardsticks {name}`)")
    return read_json(path)


def scores(dataset: str = "mnist") -> pd.DataFrame:
    """All that was published with Table 1's measure on ``dataset``: `RUNS`, then yardsticks, a row each.

    name and its Chinese text; mean (nats, over the seeds), standard_error (over test images), spread (the
    standard deviation between seeds, NaN for one) and seeds; sigma, n_samples, n_test, split, epochs
    ("done / of the recipe" where it has more). With "best epoch" stands what `best` says. What was not
    published is left out.
    """
    rows = []
    for text, names in RUNS[dataset].items():
        runs = [run for run in map(_published, names) if run]
        for metric, row in _measured(runs).items():
            which, shown = FIGURES[metric]
            own = preset_of(runs[0].recipe.name).epochs
            row |= {"name": names[0] + which, "text": f"{text}{shown}（{names[0]}）"}
            done = (f"{epoch} / {own}" if epoch < own else str(epoch) for epoch in row["epochs"])
            row["epochs"] = "、".join(dict.fromkeys(done))
            rows.append(row)
    with suppress(FileNotFoundError):
        record = yardsticks(dataset)
        for row in record["rows"]:
            told = {"name": row["name"], "text": STAND_INS[row["name"]].format(**record), "epochs": "–"}
            rows.append(_summary([row["estimate"]]) | told)
    return pd.DataFrame(rows)


def scores_provenance(dataset: str = "mnist") -> HTML:
    """The line of each run that stands in `scores`."""
    names = [name for row in RUNS[dataset].values() for name in row]
    return made(*(f"{name}：{run.provenance(PROVENANCE)}" for name in names if (run := _published(name))))


def sharpness_table(runs: Sequence[Run], stand_ins: Mapping[str, Any]) -> pd.DataFrame:
    """How sharp the samples of published runs are beside ``stand_ins``, a record of `yardsticks`.

    The last weights' samples and, where it was kept, their average's: 1 000 each, z of seed 0.
    """
    kinds = {row["name"]: (row["sharpness"], row["estimate"]) for row in stand_ins["rows"]}
    found = {STAND_INS[kind].format(**stand_ins): kinds[kind] for kind in ("train", "blurred", "k-means")}
    for run in runs:
        metrics = run.record["metrics"]
        for decay in sorted({0.0, run.recipe.ema}):
            name = "权重的平均" if decay else "最后的权重"
            figure = metrics["parzen" if decay == run.recipe.ema else "parzen_last"]
            images = run.averaged(decay).sample(1000, seed=0).numpy()
            found[f"{run.folder.name}，{name}"] = float(sharpness(images).mean()), figure
    rows = [
        {
            "样本的来源": name,
            "清晰度": f"{sharp:.3f}",
            "与训练图像之比": f"{sharp / kinds['train'][0]:.2f}",
            "对数似然（纳特）": f"{figure['mean']:.1f}".replace("-", "−"),
        }
        for name, (sharp, figure) in found.items()
    ]
    return pd.DataFrame(rows)


def _measured(runs: Sequence[Run]) -> dict[str, dict[str, Any]]:
    """The `_summary` of runs that differ in seeds and its ``epochs``, by each of `FIGURES` that they have."""
    rows = {}
    for metric in FIGURES:
        found = [(run.record["metrics"].get(metric), len(run.history)) for run in runs]
        scored = [(figure, epoch) for figure, epoch in found if figure]
        if metric == "parzen_best" and scored:
            chosen = [one for one in map(best, runs) if one]
            scored = chosen if len(chosen) == len(runs) else []
        if scored:
            figures, epochs = zip(*scored, strict=True)
            rows[metric] = _summary(figures) | {"epochs": epochs}
    return rows


def _published(name: str) -> Run | None:
    with suppress(FileNotFoundError):
        return published(name)
    return None


def _summary(figures: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One row of `scores` from the records of `gan.parzen.estimate`, one for each seed."""
    sigmas = sorted({sigma for figure in figures for sigma in np.atleast_1d(figure["sigma"])})
    means = pd.Series([figure["mean"] for figure in figures])
    error = float(np.mean([figure["standard_error"] for figure in figures]))
    return {
        "mean": means.mean(),
        "standard_error": error,
        "spread": means.std(),
        "error": means.std() if len(means) > 1 else error,
        "seeds": len(means),
        "sigma": "、".join(f"{sigma:.3f}" for sigma in sigmas),
        **{key: figures[0][key] for key in ("n_samples", "n_test", "split")},
    }


def score_table(found: pd.DataFrame) -> pd.DataFrame:
    """`scores` as the page shows them, all but their split; no number is broken over two lines."""
    seeds = zip(found["spread"], found["seeds"], strict=True)
    between = [f"± {spread:.1f}（{n} 个）" if n > 1 else "–" for spread, n in seeds]
    columns = {"text": "样本的来源", "nats": "对数似然（纳特）", "between": "种子之间", "sigma": "σ"}
    columns |= {"n_samples": "样本数", "n_test": "测试图像", "epochs": "轮数"}
    frame = found.assign(nats=found.apply(_figure, axis=1), between=between)[[*columns]]
    return frame.rename(columns=columns).replace({"(?<=[^一-龥]) (?=[^一-龥])": "\u00a0"}, regex=True)


def ladder(found: pd.DataFrame) -> dict[str, tuple[str, float, float]]:
    """For `experiments.ladder`, by name: whose, nats and ± of Table 1, and of `scores` above −100."""
    short = ("DBN", "stacked CAE", "deep GSN", "adversarial nets, 2014")
    rows = {}
    for name, (mnist, _) in zip(short, TABLE_1.values(), strict=True):
        mean, error = map(float, mnist.split(" ± "))
        rows[name] = ("other", mean, error)
    for row in found.to_dict("records"):
        whose = {"train": "data"}.get(row["name"], "exact" if row["name"] in STAND_INS else "generator")
        rows[row["name"]] = (whose, row["mean"], row["error"])
    return {name: row for name, row in rows.items() if row[1] > -100}


def yardsticks_provenance(record: dict[str, Any]) -> HTML:
    """The line under figures of yardsticks that says how they were made."""
    minutes, seconds = divmod(round(record["seconds"]), 60)
    return made(
        f"配方 {record['recipe']} 的数据 · 种子 {record['seeds']['stand_ins']} · "
        f"k 均值 {record['iterations']} 轮 · {record['started'][:10]} · {record['device']} · "
        f"Python {record['versions']['python']} · scikit-learn {record['versions']['scikit-learn']} · "
        f"用时 {minutes} 分 {seconds} 秒 · 提交 {(record['commit'] or 'unknown')[:12]}"
    )


def beginning_provenance(record: dict[str, Any]) -> HTML:
    """The line under a recipe's first updates."""
    told = PROVENANCE.replace("{epochs} 轮", f"前 {record['rows'][-1]['update']} 次更新")
    return made(Run(Path(), parse(record["recipe"]), record, pd.DataFrame()).provenance(told))


def seeds(*names: str) -> pd.DataFrame:
    """A row for each published run called as one of ``names`` or, for another seed, NAME-s1, NAME-s2, ….

    With the test figures of G's last weights, of its `best` ones and their epoch, and, where the recipe has
    one, of their average.
    """
    rows = []
    for name in names:
        folder = find_result(f"{name}/run.json").parent
        for path in [folder, *sorted(folder.parent.glob(f"{name}-s[0-9]*"))]:
            run = Run.load(path)
            figures, found = run.record["metrics"], best(run)
            row = {"运行": path.name, "种子": run.recipe.seed, "轮数": len(run.history)}
            row["最后一轮"] = _figure(figures.get("parzen_last", figures["parzen"]))
            row["验证最好的一轮"] = f"{_figure(found[0])}（第 {found[1]} 轮）" if found else "–"
            row["权重的平均"] = _figure(figures["parzen"]) if run.recipe.ema else "–"
            rows.append(row)
    return pd.DataFrame(rows)


def _figure(estimate: Mapping[Any, Any], error: str = "standard_error") -> str:
    return f"{estimate['mean']:.1f} ± {estimate[error]:.1f}".replace("-", "−")


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
