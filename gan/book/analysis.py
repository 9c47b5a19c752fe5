"""The book's own drawings beside §3 and §4, in the style of `figures`: losses, the criterion C, descents.

Arrays in, a `matplotlib.figure.Figure` out; V, C and losses are in nats.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from .. import objective, theory
from ..toy import Snapshot
from .figures import COLOURS, LINES, label, style

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
            for axes, curve in ((left, y), (right, gradients)):
                label(axes, x[-1], curve[-1], name, line["color"])
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
        lowest = float(v.argmin() + 0.05 * len(v))
        label(figure.axes[0], lowest, v.min(), "$V(G_t, D_t)$", COLOURS["discriminator"])
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
