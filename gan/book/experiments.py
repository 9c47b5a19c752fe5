"""The book's own drawings beside §5 and its speeds, in the style of `figures`: what runs came to.

Records and arrays in, a `matplotlib.figure.Figure` out; Parzen estimates are in nats.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from .figures import COLOURS, LINES, label, learning_curves, style


def normalised(layers: Mapping[float, tuple[ArrayLike, ArrayLike]]) -> Figure:
    """Batch norm's output variance v / (v + ε) over that of its input, a curve for each ε.

    On it, dots: what comes into a network's ``layers`` with that ε and what comes out of them.
    """
    v = np.geomspace(0.001, 3, 201)
    with style():
        figure = Figure(figsize=(4.6, 2.9), layout="constrained")
        axes = figure.subplots()
        for (epsilon, (before, after)), stroke in zip(
            layers.items(), itertools.cycle(["-", "--"]), strict=False
        ):
            name = f"{epsilon:g}" if epsilon > 1e-3 else rf"10^{{{math.log10(epsilon):.0f}}}"
            axes.plot(v, v / (v + epsilon), color=COLOURS["other"], linestyle=stroke)
            axes.plot(before, after, "o", color=COLOURS["generator"], markersize=5)
            label(axes, v[-1], v[-1] / (v[-1] + epsilon), rf"$\varepsilon = {name}$", COLOURS["other"])
        axes.set(xscale="log", xlabel="variance in", ylabel="variance out", ylim=(-0.04, 1.08))
        axes.set_xticks([0.001, 0.01, 0.1, 1], ["0.001", "0.01", "0.1", "1"])
        axes.minorticks_off()
        axes.margins(x=0)
    return figure


def two_stages(history: pd.DataFrame, after: int) -> Figure:
    """`figures.learning_curves`, with a line where stage 2 begins, ``after`` so many epochs of ``history``.

    Without that line where it does not come so far, and for 0.
    """
    figure = learning_curves(history)
    if 0 < after < len(history):
        for axes in figure.axes:
            axes.axvline(after + 0.5, color=COLOURS["other"], linestyle=":", linewidth=1)
            where: dict[str, Any] = {"transform": axes.get_xaxis_transform(), "ha": "center", "va": "bottom"}
            axes.text(after + 0.5, 1, "stage 2", color=COLOURS["other"], **where)
    return figure


def beginning(record: Mapping[str, Any]) -> Figure:
    """A recipe's first updates, as `beginning.follow` has them: spread, logits, norms of the gradients."""
    rows = pd.DataFrame(record["rows"])
    panels = {
        "spread of pixels": {"data_spread": ("$x$", "data"), "spread": ("$G(z)$", "generator")},
        "$D$'s logits": {"real": ("$x$", "data"), "fake": ("$G(z)$", "generator")},
        "norm of gradient": {"d_norm": ("$D$", "discriminator"), "g_norm": ("$G$", "generator")},
    }
    with style():
        figure = Figure(figsize=(6.4, 5.4), layout="constrained")
        for axes, (what, curves) in zip(figure.subplots(3, 1, sharex=True), panels.items(), strict=True):
            for column, (_, whose) in curves.items():
                axes.plot(rows["update"], rows[column], **LINES[whose])
            last = rows.iloc[-1]
            by_end = sorted(curves, key=lambda column: last[column])
            for rise, column in zip((-6, 6), by_end, strict=True):  # their names keep apart
                name, whose = curves[column]
                label(axes, last["update"], last[column], f" {name}", COLOURS[whose], rise)
            axes.set(ylabel=what, yscale="linear" if "real" in curves else "log")
            axes.minorticks_off()
            axes.margins(x=0)
        axes.set(xlabel="update")
    return figure


def how_long(
    courses: Sequence[Mapping[str, Any]],
    rate: Callable[[int], float],
    updates: int,
    paper: float,
    data: float,
) -> Figure:
    """How long a recipe must run: validation figures over the epochs, above the learning rate.

    ``courses`` are a sweep's records, one for each seed: their last weights, and paler the averages that
    they have, named by their window, 1 / (1 − decay), in epochs of so many ``updates``. Across stand the
    ``paper``'s figure and that of real images, ``data``; ``rate`` gives the rate of an update.
    """
    with style():
        figure = Figure(figsize=(8, 4.6), layout="constrained")
        top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
        curves = _by_decay(courses)
        end = max(x[-1] for x, _ in curves[0.0])
        top.axhline(paper, **LINES["exact"])
        top.axhline(data, **LINES["data"])
        label(top, end, paper, f"paper, {paper:g}", COLOURS["exact"])
        label(top, end, data, f"real images, {data:.1f}", COLOURS["data"])
        strokes = [("-", 0.45), ("--", 0.16), ("-.", 0.5), (":", 0.33)]  # and where along it a line is named
        for decay, (stroke, share) in zip(sorted(curves), itertools.cycle(strokes), strict=False):
            pale = {"alpha": 0.55, "linewidth": 1.2} if decay else {"linewidth": 1.5}
            for x, y in curves[decay]:
                top.plot(x, y, **{**LINES["generator"], "linestyle": stroke, **pale})
                if not decay:
                    top.plot(x[-1], y[-1], "o", color=COLOURS["generator"], markersize=4)
            heights = [np.interp(share * end, x, y) for x, y in curves[decay]]
            where: dict[str, Any] = {"color": COLOURS["generator"], "textcoords": "offset points"}
            if decay:
                name = f"mean of {round(1 / (1 - decay) / updates)} epochs"
                top.annotate(name, (share * end, max(heights)), (0, 5), va="bottom", **where)
            else:
                top.annotate("last weights", (share * end, min(heights)), (6, -6), va="top", **where)
        highest = max(data, *(y.max() for lines in curves.values() for _, y in lines))
        lowest = min(y[len(y) // 20] for _, y in curves[0.0])  # the first steep part is left out
        top.set(ylabel="validation, nats", ylim=(lowest - 5, highest + 6))
        epochs = np.arange(0, end + 1)
        bottom.plot(epochs, [rate(int(epoch) * updates) for epoch in epochs], color=COLOURS["other"])
        bottom.set(xlabel="epoch", ylabel="rate", ylim=(0, None))
        for axes in (top, bottom):
            axes.margins(x=0)
    return figure


def forms(groups: Mapping[str, Sequence[Mapping[str, Any]]], paper: float) -> Figure:
    """Validation figures of two ``groups`` of courses, as far as the longest of the first comes.

    A line is a seed's last weights; across stands the ``paper``'s figure.
    """
    first = _by_decay(next(iter(groups.values())))[0.0]
    end = max(x[-1] for x, _ in first)
    with style():
        figure = Figure(figsize=(6.4, 3.4), layout="constrained")
        axes = figure.subplots()
        axes.axhline(paper, **LINES["exact"])
        label(axes, end, paper, f"paper, {paper:g}", COLOURS["exact"])
        strokes = [("generator", "-"), ("other", "--")]
        for (name, courses), (whose, stroke) in zip(groups.items(), strokes, strict=True):
            lines = [(x[x <= end], y[x <= end]) for x, y in _by_decay(courses)[0.0]]
            for x, y in lines:
                axes.plot(x, y, color=COLOURS[whose], linestyle=stroke)
            label(axes, end, float(np.mean([y[-1] for _, y in lines])), name, COLOURS[whose])
        axes.set(xlabel="epoch", ylabel="validation, nats")
        axes.margins(x=0)
    return figure


def _by_decay(courses: Sequence[Mapping[str, Any]]) -> dict[float, list[tuple[NDArray, NDArray]]]:
    """Epochs and figures of every course, by the decay of the average that they are of."""
    curves: dict[float, list[tuple[NDArray, NDArray]]] = {}
    for record in courses:
        for decay in sorted({one["decay"] for one in record["scores"]}):
            points = sorted((o["epoch"], o["mean"]) for o in record["scores"] if o["decay"] == decay)
            x, y = np.array(points, dtype=float).T
            curves.setdefault(decay, []).append((x, y))
    return curves


def course(scores: Sequence[Mapping[str, float]], paper: float) -> Figure:
    """A sweep's validation figures over the epochs, a line for each average of G's weights, and the paper."""
    with style():
        figure = Figure(figsize=(6.4, 3.2), layout="constrained")
        axes = figure.subplots()
        axes.axhline(paper, **LINES["exact"])
        ends = [(paper, f"{paper:g}", COLOURS["exact"])]
        decays = sorted({one["decay"] for one in scores})
        for decay, stroke in zip(decays, ["-", "--", "-.", ":"], strict=False):
            x, y = zip(*((one["epoch"], one["mean"]) for one in scores if one["decay"] == decay), strict=True)
            axes.plot(x, y, color=COLOURS["generator"], linestyle=stroke, marker="o", markersize=3)
            ends.append((y[-1], f"{decay:g}" if decay else "last", COLOURS["generator"]))
        height = -math.inf
        for end, name, colour in sorted(ends):  # so that their names do not touch
            height = max(end, height + 0.06 * np.ptp(axes.get_ylim()))
            label(axes, max(one["epoch"] for one in scores), height, name, colour)
        axes.set(xlabel="epoch", ylabel="validation, nats")
        axes.margins(x=0)
    return figure


def by_number(curves: Mapping[str, tuple[Sequence[int], Sequence[float]]]) -> Figure:
    """Parzen's figure over the number m of samples; of "generator", "images" or "centroids"."""
    looks = {
        "generator": ("$G(z)$", LINES["generator"]),
        "images": ("images", LINES["data"]),
        "centroids": ("centroids", {"color": COLOURS["other"], "linestyle": "--"}),
    }
    with style():
        figure = Figure(figsize=(4.6, 2.9), layout="constrained")
        axes = figure.subplots()
        for kind, (m, nats) in curves.items():
            name, line = looks[kind]
            axes.plot(m, nats, marker="o", markersize=4, **line)
            label(axes, m[-1], nats[-1], f" {name}", line["color"])
        axes.set(xscale="log", xlabel="$m$", ylabel="nats")
        axes.set_xticks(m, list(map(str, m)))
        axes.minorticks_off()
    return figure


def dimensions(d: Sequence[int], nearest: Mapping[int, ArrayLike], gaps: Mapping[int, ArrayLike]) -> Figure:
    """m draws of N(0, I) beside their mean, over d: squared distance of the nearest / d; nats from the truth.

    The mean has 1 of the first and 0 of the second, in all dimensions.
    """
    with style():
        figure = Figure(figsize=(8, 2.9), layout="constrained")
        for axes, curves, exact in zip(figure.subplots(1, 2), (nearest, gaps), (1, 0), strict=True):
            axes.axhline(exact, **LINES["exact"])
            label(axes, d[-1], exact, " mean", COLOURS["exact"])
            for values, stroke in zip(curves.values(), itertools.cycle([":", "--", "-"]), strict=False):
                axes.plot(d, values, color=COLOURS["data"], linestyle=stroke)
            ends = sorted((np.asarray(values)[-1], m) for m, values in curves.items())
            apart = 0.09 * np.ptp(axes.get_ylim())  # so that their names do not touch
            for i, (end, m) in enumerate(ends):
                label(axes, d[-1], max(end, ends[0][0] + i * apart), f" $m = {m}$", COLOURS["data"])
            axes.set(xscale="log", xlabel="$d$")
            axes.set_xticks(d[::2], list(map(str, d[::2])))
            axes.minorticks_off()
            axes.margins(x=0)
        figure.axes[0].set(ylabel="squared distance / $d$", ylim=(0, None))
        figure.axes[1].set(ylabel="nats from the truth")
    return figure


def ladder(rows: Mapping[str, tuple[str, float, float]]) -> Figure:
    """Names at their nats ±, the highest on top; each is whose colour in `COLOURS` it has."""
    ordered = sorted(rows.items(), key=lambda row: row[1][1])
    with style():
        figure = Figure(figsize=(7, 1 + 0.3 * len(rows)), layout="constrained")
        axes = figure.subplots()
        for height, (_, (whose, nats, error)) in enumerate(ordered):
            marker = {"generator": "o", "data": "s", "exact": "D"}.get(whose, "x")
            axes.errorbar(nats, height, xerr=error, fmt=marker, color=COLOURS[whose], markersize=6)
        axes.set_yticks(range(len(rows)), [name for name, _ in ordered])
        axes.grid(axis="x", color=COLOURS["other"], linewidth=0.3)
        axes.set(xlabel="nats")
        axes.tick_params(left=False)
        axes.spines["left"].set_visible(False)
    return figure


def growth(tables: Sequence[Mapping[str, Any]]) -> Figure:
    """Seconds against sizes that double, each with the line of its slope: 1 is time in proportion."""
    with style():
        rows = math.ceil(len(tables) / 2)
        figure = Figure(figsize=(7, 2.6 * rows), layout="constrained")
        panels = figure.subplots(rows, 2, squeeze=False).flat
        for axes, found in itertools.zip_longest(panels, tables):
            if found is None:
                axes.set_axis_off()
                continue
            sizes, seconds = np.asarray(found["sizes"]), np.asarray(found["seconds"])
            axes.loglog(sizes, seconds, "o", color=COLOURS["generator"])
            middle = np.exp(np.log(seconds).mean() + found["slope"] * (np.log(sizes) - np.log(sizes).mean()))
            axes.loglog(sizes, middle, **LINES["exact"])
            what, size = found["table"].split(": ")
            slope = f"slope {found['slope']:.2f}".replace("-", "−")
            axes.text(0.04, 0.97, f"{what}\n{slope}", transform=axes.transAxes, va="top")
            axes.set(xlabel=size, ylabel="seconds")
            axes.set_xticks(sizes, [str(n) for n in sizes], minor=False)
            axes.minorticks_off()
            axes.set_ylim(seconds.min() / 2, seconds.max() * 4)
    return figure
