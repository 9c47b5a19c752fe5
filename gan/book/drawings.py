"""The book's own drawings beside §3, §4 and its speeds, in the style of `figures`: findings as lines.

Arrays in, a `matplotlib.figure.Figure` out; V, C and losses are in nats.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from .. import objective, theory
from ..toy import Snapshot
from .figures import COLOURS, LINES, label, learning_curves, style

LOSSES: dict[str, tuple[str, dict[str, Any]]] = {
    "minimax": (r"$\log(1-D)$", {"color": COLOURS["other"], "linestyle": "--"}),
    "non_saturating": (r"$-\log D$", LINES["generator"]),
}
"""G's losses: their names and lines."""


def loss_gradients(reach: float = 8) -> Figure:
    """G's two losses in one sample's logit s, and their gradients; D(G(z)) = σ(s)."""
    s = torch.linspace(-reach, reach, 401, dtype=torch.float64, requires_grad=True)
    with style():
        figure = Figure(figsize=(8, 2.9), layout="constrained")
        left, right = figure.subplots(1, 2)
        for loss, (name, line) in LOSSES.items():
            losses = torch.stack([objective.GENERATOR_LOSSES[loss](x[None]) for x in s])
            gradients = torch.autograd.grad(losses.sum(), s)[0].numpy()
            x, y = s.detach().numpy(), losses.detach().numpy()
            left.plot(x, y, **line)
            right.plot(x, gradients, **line)
            for axes, curve, at in ((left, y, -1), (right, gradients, -1)):
                label(axes, x[at], curve[at], name, line["color"])
        left.set(xlabel="$s$", ylabel="loss of $G$", xlim=(-reach, reach))
        right.set(xlabel="$s$", ylabel="gradient in $s$", xlim=(-reach, reach), ylim=(-1.05, 0.05))
    return figure


def stall(means: Mapping[str, Sequence[float]], goal: float) -> Figure:
    """The mean of G's samples after each iteration, by G's loss; ``goal`` is the data's mean."""
    with style():
        figure = Figure(figsize=(4.6, 2.9), layout="constrained")
        axes = figure.subplots()
        axes.axhline(goal, **LINES["exact"])
        for loss, mean in means.items():
            name, line = LOSSES[loss]
            axes.plot(mean, **line)
            label(axes, len(mean) - 1, mean[-1], name, line["color"])
        axes.set(xlabel="iteration", ylabel="mean of $G(z)$")
        axes.margins(x=0)
    return figure


def traces(curves: Mapping[str, tuple[ArrayLike, ArrayLike]], **axis: Any) -> Figure:
    """Curves (x, y) side by side in greys and strokes, each named at its end; ``axis`` is for Axes.set."""
    strokes = ["-", "--", "-.", ":"]
    with style():
        figure = Figure(figsize=(4.6, 2.9), layout="constrained")
        axes = figure.subplots()
        for (x, y), stroke in zip(curves.values(), itertools.cycle(strokes), strict=False):
            axes.plot(x, y, color=COLOURS["other"], linestyle=stroke)
        ends = sorted((float(np.asarray(y)[-1]), float(np.asarray(x)[-1]), n) for n, (x, y) in curves.items())
        wide, high = np.ptp(axes.get_xlim()), np.ptp(axes.get_ylim())
        placed: list[tuple[float, float]] = []
        for height, x, name in ends:  # so that the names of lines that end together do not touch
            near = [other + 0.08 * high for at, other in placed if abs(x - at) < 0.25 * wide]
            placed.append((x, max([height, *near])))
            label(axes, *placed[-1], name, COLOURS["other"])
        axes.set(**axis)
        axes.margins(x=0)
    return figure


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


def criterion_curves(mu: NDArray, curves: Mapping[float, NDArray], bound: NDArray) -> Figure:
    """C over the means ``mu`` of p_g, a curve for each of its deviations; ``bound`` is for the first."""
    with style():
        figure = Figure(figsize=(8, 3.4), layout="constrained")
        axes = figure.subplots()
        for level, name in ((-math.log(4), r"$-\log 4$"), (0.0, "0")):
            axes.axhline(level, **LINES["exact"])
            label(axes, mu[-1], level, name, COLOURS["exact"])
        for (deviation, curve), stroke in zip(
            curves.items(), itertools.cycle(["-", "--", ":"]), strict=False
        ):
            name = rf"$\sigma = {deviation:g}$"
            axes.plot(mu, curve, color=COLOURS["generator"], linestyle=stroke, label=name)
        axes.plot(mu, bound, color=COLOURS["other"], linestyle="-.", linewidth=1)
        label(axes, mu[-1], bound[-1], r"$\mathrm{TV}^2 - \log 4$", COLOURS["other"])
        axes.set(xlabel=r"$\mu$", ylabel="$C(G)$, nats", ylim=(-1.45, 0.07))
        axes.margins(x=0)
        axes.legend(loc="lower right", bbox_to_anchor=(1, 0.05), frameon=False)  # above −log 4
    return figure


def criterion_bounds(tv: ArrayLike, criterion: ArrayLike) -> Figure:
    """C of many pairs over their total variation, between the least and the most that it allows."""
    t = np.linspace(0, 1, 101)
    pairs = [np.array([1 + s, 1 - s]) / 2 for s in t]  # of two atoms: the least
    with style():
        figure = Figure(figsize=(4.6, 3.4), layout="constrained", dpi=200)
        axes = figure.subplots()
        axes.plot(tv, criterion, ".", color=COLOURS["other"], markersize=2, rasterized=True)
        axes.plot(t, [theory.virtual_criterion(p, p[::-1]) for p in pairs], **LINES["exact"])
        axes.plot(t, math.log(4) * (t - 1), **LINES["exact"])
        axes.plot(t, t**2 - math.log(4), color=COLOURS["other"], linestyle="-.", linewidth=1)
        label(axes, 1, 1 - math.log(4), r"$\mathrm{TV}^2 - \log 4$", COLOURS["other"])
        axes.set(xlabel="TV", ylabel="$C(G)$, nats", ylim=(-1.45, 0.07))
        axes.margins(x=0)
    return figure


def fitted_discriminators(
    widths: Mapping[int, Snapshot], sizes: Mapping[int, Snapshot], error: Callable[[Snapshot], float]
) -> Figure:
    """D of growing width, and from growing samples: the first and the last beside D*, the error of all."""
    with style():
        figure = Figure(figsize=(8, 5.2), layout="constrained")
        columns = figure.subplots(2, 2, sharey="row", height_ratios=(3, 2)).T
        for (top, bottom), fits, name in zip(columns, (widths, sizes), ("width of $D$", "$n$"), strict=True):
            (_, poor), *_, (_, good) = fits.items()
            top.plot(good.x, good.density(good.p_data), **LINES["data"], label=r"$p_\mathrm{data}$")
            top.plot(good.x, good.density(good.p_g), **LINES["generator"], label="$p_g$")
            top.plot(good.x, good.d_star, **LINES["optimum"], label="$D^*$")
            top.plot(good.x, good.d, **LINES["discriminator"], label="$D$, most")
            top.plot(poor.x, poor.d, color=COLOURS["other"], linestyle="-.", linewidth=1, label="$D$, least")
            top.set(xlabel="$x$")
            errors = [error(fit) for fit in fits.values()]
            bottom.plot(list(fits), errors, marker="o", markersize=4, **LINES["discriminator"])
            bottom.set(xscale="log", xlabel=name)
            bottom.set_xticks(list(fits), list(map(str, fits)))
            bottom.minorticks_off()
        columns[0][0].set(ylim=(-0.02, 1.02))
        columns[0][1].set(ylim=(0, None), ylabel="mean of $|D - D^*|$")
        figure.legend(*top.get_legend_handles_labels(), loc="outside upper center", ncols=5, frameon=False)
    return figure


def estimates(sizes: Sequence[int], own: Sequence[float], exact: Sequence[float], criterion: float) -> Figure:
    """V of D's trained on ``sizes`` points: on these points, and on the distributions; C(G) between them."""
    with style():
        figure = Figure(figsize=(4.6, 2.9), layout="constrained")
        axes = figure.subplots()
        axes.axhline(criterion, **LINES["exact"])
        axes.plot(sizes, own, marker="o", markersize=4, color=COLOURS["other"], linestyle="-.")
        axes.plot(sizes, exact, marker="o", markersize=4, **LINES["discriminator"])
        label(axes, sizes[0], own[0], "  own sample", COLOURS["other"])
        label(axes, sizes[0], exact[0], "  fresh sample", COLOURS["discriminator"])
        label(axes, sizes[-1], criterion, "  $C(G)$", COLOURS["exact"])
        axes.set(xscale="log", xlabel="$n$", ylabel="nats")
        axes.set_xticks(sizes, list(map(str, sizes)))
        axes.minorticks_off()
    return figure


def supremum(p_data: float, p_g: float) -> Figure:
    """C on two points: the supremum of the lines U(·, D), its subgradient at ``p_g``, and the bound above."""
    both, t = np.array([p_data, 1 - p_data]), np.linspace(0, 1, 401)[1:-1]
    masses = np.stack([t, 1 - t], axis=1)
    c = np.array([theory.virtual_criterion(both, q) for q in masses])
    with style():
        figure = Figure(figsize=(4.6, 3.4), layout="constrained")
        axes = figure.subplots()

        def line(at: float) -> NDArray:
            d = theory.optimal_discriminator(both, [at, 1 - at])
            return np.array([theory.value(both, q, d) for q in masses])

        for at in (0.005, 0.03, 0.1, 0.3, 0.85, 0.97):
            axes.plot(t, line(at), **LINES["discriminator"] | {"linewidth": 0.7})
        above = line(p_g) + np.array([theory.kl(q, [p_g, 1 - p_g]) for q in masses])
        axes.plot(t, above, color=COLOURS["other"], linestyle="-.")
        axes.plot(t, c, **LINES["generator"] | {"linewidth": 2.2})
        axes.plot(t, line(p_g), **LINES["optimum"] | {"linewidth": 1.6})
        axes.axvline(p_data, **LINES["data"])
        axes.axhline(-math.log(4), **LINES["exact"])
        axes.plot(p_g, np.interp(p_g, t, c), "o", color=COLOURS["generator"], markersize=5)
        label(axes, 1, c[-1], "$C$", COLOURS["generator"])
        label(axes, 1, line(p_g)[-1], "$U(q, D^*_p)$", COLOURS["optimum"])
        label(axes, 1, line(0.3)[-1], r"$-\log 4$", COLOURS["exact"])
        label(axes, 1, above[-1], r"$U + \mathrm{KL}(q\,\|\,p)$", COLOURS["other"])
        label(axes, p_data, -2.03, r"$p_\mathrm{data}$", COLOURS["data"])
        axes.set(xlabel="$q(x_1)$", ylabel="nats", xlim=(0, 1), ylim=(-2.1, -0.4), xticks=[0, 0.5, 1])
    return figure


def descents(gaps: Mapping[str, NDArray], bounds: Mapping[str, NDArray] | None = None) -> Figure:
    """C(G_t) + log 4 over t, a panel per name: (starts, steps + 1); ``bounds`` (steps,) from t = 1 on."""
    with style():
        figure = Figure(figsize=(8, 2.7), layout="constrained")
        panels = figure.subplots(1, len(gaps), sharey=True, squeeze=False).flat
        for axes, (name, gap) in zip(panels, gaps.items(), strict=True):
            axes.plot(np.maximum(gap, 1e-17).T, **LINES["generator"] | {"linewidth": 0.8})
            if bounds:
                axes.plot(np.arange(1, gap.shape[1]), bounds[name], **LINES["exact"])
            _name(axes, name)
            axes.set(xlabel="$t$", yscale="log", ylim=(1e-16, 40), yticks=[1e-15, 1e-10, 1e-5, 1])
            axes.minorticks_off()
        figure.axes[0].set(ylabel=r"$C(G_t) + \log 4$, nats")
    return figure


def simplex(p_data: NDArray, paths: Mapping[str, Sequence[NDArray]]) -> Figure:
    """Paths (steps + 1, 3) of p_g among the distributions on three points, and the level lines of C."""

    def flat(p: NDArray) -> tuple[NDArray, NDArray]:
        return p[..., 1] + p[..., 2] / 2, p[..., 2] * math.sqrt(3) / 2

    contours = {"colors": COLOURS["other"], "linewidths": 0.5, "linestyles": "-"}
    i, j = (m.ravel() for m in np.mgrid[0:41, 0:41])
    grid = np.stack([40 - i - j, i, j], axis=1)[i + j <= 40] / 40
    levels = [theory.virtual_criterion(p_data, p) for p in grid]
    with style():
        figure = Figure(figsize=(8, 2.7), layout="constrained")
        for axes, (name, group) in zip(figure.subplots(1, len(paths)), paths.items(), strict=True):
            at = [-1.37, -1.33, -1.25, -1.1, -0.9, -0.7]
            axes.tricontour(*flat(grid), levels, levels=at, **contours)
            axes.plot(*flat(np.eye(3)[[0, 1, 2, 0]]), color="black", linewidth=1)
            for path in group:
                axes.plot(*flat(path), ".-", color=COLOURS["generator"], linewidth=1, markersize=3)
            axes.plot(*flat(p_data), "o", color=COLOURS["data"], markersize=5, zorder=5)
            axes.text(0, 0.98, name, transform=axes.transAxes, va="top")
            axes.set(aspect="equal")
            axes.axis("off")
    return figure


def lagging(plays: Mapping[str, tuple[NDArray, NDArray]]) -> Figure:
    """C(G_t), which is V under the optimal D, and V(G_t, D_t) over t, a panel per name."""
    with style():
        figure = Figure(figsize=(8, 2.7), layout="constrained")
        for axes, (name, (c, v)) in zip(
            figure.subplots(1, len(plays), sharey=True), plays.items(), strict=True
        ):
            axes.axhline(-math.log(4), **LINES["exact"])
            axes.plot(v, **LINES["discriminator"])
            axes.plot(c, **LINES["generator"])
            _name(axes, name)
            axes.set(xlabel="$t$")
            axes.margins(x=0)
        figure.axes[0].set(ylabel="nats")
        label(axes, len(c), -math.log(4), r"$-\log 4$", COLOURS["exact"])
        c, v = next(iter(plays.values()))
        label(figure.axes[0], float(c.argmax()), c.max(), "$C(G_t)$", COLOURS["generator"])
        label(
            figure.axes[0],
            float(v.argmin() + 0.05 * len(v)),
            v.min(),
            "$V(G_t, D_t)$",
            COLOURS["discriminator"],
        )
    return figure


def helvetica(
    x: NDArray, p_data: NDArray, p_g: Mapping[int, NDArray], d: NDArray, values: Mapping[str, NDArray]
) -> Figure:
    """p_g over x at some moments under a D that stays, and C(G_t) ("C"), V(G_t, D) ("V") over t."""
    with style():
        figure = Figure(figsize=(8, 2.9), layout="constrained")
        left, right = figure.subplots(1, 2)
        left.plot(x, d, **LINES["discriminator"])
        left.plot(x, p_data, **LINES["data"])
        for t, p in p_g.items():
            left.plot(x, p, **LINES["generator"] | {"linewidth": 1.2})
            where = {"va": "bottom", "ha": "left" if t else "center", "color": COLOURS["generator"]}
            left.text(
                x[p.argmax()] + 0.15 * (t > 0), max(p.max(), 1.05 * d.max() * (t > 0)), f"$t={t}$", **where
            )
        label(left, x[-1], d[-1], "$D$", COLOURS["discriminator"])
        left.set(xlabel="$x$", ylim=(0, None))
        left.margins(x=0)
        right.axhline(-math.log(4), **LINES["exact"])
        right.plot(values["t"], values["C"], **LINES["generator"])
        right.plot(values["t"], values["V"], **LINES["discriminator"])
        for name, text, who in (("C", "$C(G_t)$", "generator"), ("V", "$V(G_t, D)$", "discriminator")):
            label(right, values["t"][-1], values[name][-1], text, COLOURS[who])
        label(right, values["t"][-1], -math.log(4), r"$-\log 4$", COLOURS["exact"])
        right.set(xlabel="$t$", ylabel="nats", xscale="symlog")
        right.margins(x=0)
    return figure


def landscape(
    line: tuple[NDArray, NDArray], line_paths: NDArray, plane: tuple[NDArray, NDArray], plane_paths: NDArray
) -> Figure:
    """C over one parameter θ and over two, (grid, values) each, and paths (steps + 1, starts, 1 or 2)."""
    with style():
        figure = Figure(figsize=(8, 3.6), layout="constrained")
        left, right = figure.subplots(1, 2)
        left.plot(*line, color=COLOURS["other"])
        ends = line_paths[:, :, 0]
        for path in ends.T:
            path = path[:: 1 + len(path) // 50]
            left.plot(path, np.interp(path, *line), ".", color=COLOURS["generator"], markersize=4)
        left.plot(ends[-1], np.interp(ends[-1], *line), "o", color=COLOURS["generator"], markersize=6)
        left.axhline(-math.log(4), **LINES["exact"])
        label(left, line[0][0], -math.log(4) + 0.06, r"$-\log 4$", COLOURS["exact"])
        left.set(xlabel=r"$\theta$", ylabel=r"$C$, nats", xticks=[-4, -2, 0, 2, 4])
        grid, values = plane
        contours = {"colors": COLOURS["other"], "linewidths": 0.5, "linestyles": "-"}
        levels = [-1.37, -1.3, -1.2, -1.1, -1, -0.9, -0.8, -0.7, -0.6, -0.5, -0.4, -0.3, -0.2]
        right.contour(grid, grid, values.T, levels=levels, **contours)
        for path in plane_paths.swapaxes(0, 1):
            right.plot(*path.T, color=COLOURS["generator"], linewidth=1)
        right.plot(*plane_paths[0].T, ".", color=COLOURS["generator"], markersize=3)
        right.plot(*plane_paths[-1].T, "o", color=COLOURS["generator"], markersize=6)
        right.plot(-2, 2, "x", color=COLOURS["data"], markersize=9, markeredgewidth=2, zorder=5)
        right.set(xlabel="$a$", ylabel="$b$", aspect="equal", xticks=[-2, 0, 2], yticks=[-2, 0, 2])
    return figure


def _name(axes: Axes, text: str) -> None:
    """A panel's name above it."""
    axes.text(0.5, 1.02, text, transform=axes.transAxes, ha="center", va="bottom")


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
            at = share * end
            heights = [np.interp(at, x, y) for x, y in curves[decay]]
            window = round(1 / (1 - decay) / updates) if decay else 0
            top.annotate(
                f"mean of {window} epochs" if decay else "last weights",
                (at, max(heights) if decay else min(heights)),
                xytext=(0, 5) if decay else (6, -6),
                textcoords="offset points",
                color=COLOURS["generator"],
                ha="left",
                va="bottom" if decay else "top",
            )
        highest = max(data, *(y.max() for lines in curves.values() for _, y in lines))
        lowest = min(y[len(y) // 20] for _, y in curves[0.0])  # the first steep part is left out
        top.set(ylabel="validation, nats", ylim=(lowest - 5, highest + 6))
        epochs = np.arange(0, end + 1)
        bottom.plot(epochs, [rate(int(epoch) * updates) for epoch in epochs], color=COLOURS["other"])
        bottom.set(xlabel="epoch", ylabel="rate", ylim=(0, None))
        for axes in (top, bottom):
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
