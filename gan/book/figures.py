"""The paper's figures from arrays and runs, in one style: colours mean the same everywhere.

Line figures are `matplotlib.figure.Figure`s on a transparent ground, shown as SVG in a notebook;
image grids are `PIL.Image`s, enlarged by whole pixels and never interpolated.
"""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import seaborn as sns
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray
from PIL import Image
from torch import Tensor

from .. import data
from ..nets import Generator, interpolate, stretch
from ..parzen import Estimate
from ..toy import Snapshot

COLOURS = {
    "data": "#000000",  # dotted
    "generator": "#009E73",  # solid
    "discriminator": "#0072B2",  # dashed
    "optimum": "#56B4E9",  # thin
    "exact": "#D55E00",  # thin
    "other": "#777777",
}
"""Okabe–Ito colours by meaning; each also has its own line style, for print and for colour-blind eyes."""

LINES: dict[str, dict[str, Any]] = {
    "data": {"color": COLOURS["data"], "linestyle": ":"},
    "generator": {"color": COLOURS["generator"], "linestyle": "-"},
    "discriminator": {"color": COLOURS["discriminator"], "linestyle": "--"},
    "optimum": {"color": COLOURS["optimum"], "linestyle": "-", "linewidth": 1},
    "exact": {"color": COLOURS["exact"], "linestyle": "-", "linewidth": 1},
}


STEPS = 12  # along each of Figure 3's lines
SVG: dict[Any, Any] = {"svg.hashsalt": "gan"}
"""What makes equal figures equal files; matplotlib reads it when it saves."""


def style() -> AbstractContextManager:
    """The look of every line figure, as a context."""
    return matplotlib.rc_context(
        sns.axes_style("ticks")
        | sns.plotting_context("notebook", font_scale=0.9)
        | {
            "axes.spines.top": False,
            "axes.spines.right": False,
            "figure.facecolor": "none",
            "axes.facecolor": "none",
            "font.family": "DejaVu Sans",  # comes with matplotlib: the same letters everywhere
        }
        | {  # black itself, which a dark page turns white; seaborn's is a dark grey
            f"{part}color": "black" for part in ("text.", "axes.label", "axes.edge", "xtick.", "ytick.")
        }
    )


def use_svg() -> None:
    """Show a notebook's line figures as SVG, without a date, so that equal figures are equal files."""
    from matplotlib_inline.backend_inline import set_matplotlib_formats

    matplotlib.rcParams.update(SVG)
    set_matplotlib_formats("svg", metadata={"Date": None}, bbox_inches="tight")


def figure1(stages: Sequence[Snapshot]) -> Figure:
    """Figure 1, one panel per stage: the densities, D and D*; below them x, z and the arrows x = G(z)."""
    with style():
        figure = Figure(figsize=(8, 1 + 2.9 * ((len(stages) + 1) // 2)), layout="constrained")
        panels = figure.subplots((len(stages) + 1) // 2, 2, sharex=True, sharey=True, squeeze=False).flat
        for axes, stage, letter in zip(panels, stages, "abcdefgh", strict=False):
            reach, x = stage.edges[-2], stage.x
            axes.plot(x, stage.d_star, **LINES["optimum"], label="$D^*$")
            axes.plot(x, stage.d, **LINES["discriminator"], label="$D$")
            axes.plot(x, stage.density(stage.p_g), **LINES["generator"], label="$p_g$")
            axes.plot(x, stage.density(stage.p_data), **LINES["data"], label=r"$p_\mathrm{data}$")
            z = stage.z / abs(stage.z).max() * 0.75 * reach  # drawn to fit
            inside = abs(stage.g) <= reach
            axes.quiver(
                *(z[inside], np.full(inside.sum(), -0.8)),
                *(stage.g[inside] - z[inside], np.full(inside.sum(), 0.52)),
                **{"angles": "xy", "scale_units": "xy", "scale": 1, "color": COLOURS["generator"]},
                **{"width": 0.003, "headwidth": 4, "headlength": 6, "headaxislength": 5},
            )
            for name, height, half in (("x", -0.25, reach), ("z", -0.8, 0.75 * reach)):
                axes.plot([-half, half], [height, height], color="black", linewidth=1)
                axes.text(-half - 0.03 * reach, height, f"${name}$", ha="right", va="center")
            axes.text(0.0, 1.0, f"({letter})", transform=axes.transAxes, ha="left", va="top")
            axes.set(xlim=(-1.1 * reach, 1.1 * reach), ylim=(-0.9, 1.1), xticks=[], yticks=[0, 0.5, 1])
            axes.spines["left"].set_bounds(0, 1)
            axes.spines["bottom"].set_visible(False)
        handles, labels = axes.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=4, frameon=False)
    return figure


def learning_curves(history: pd.DataFrame) -> Figure:
    """V against −log 4, and D's mean answers to data and to samples, over the epochs."""
    with style():
        figure = Figure(figsize=(8, 2.9), layout="constrained")
        left, right = figure.subplots(1, 2)
        epochs = history["epoch"]
        left.plot(epochs, history["value"], color=COLOURS["other"])
        left.axhline(-math.log(4), **LINES["exact"])
        label(left, epochs.iloc[-1], -math.log(4), r"$-\log 4$", COLOURS["exact"])
        left.set(xlabel="epoch", ylabel=r"$V(G, D)$, nats")
        right.plot(epochs, history["d_real"], **LINES["data"])
        right.plot(epochs, history["d_fake"], **LINES["generator"])
        right.axhline(0.5, **LINES["exact"])
        label(right, epochs.iloc[-1], 0.5, "1/2", COLOURS["exact"])
        real, fake = history[["d_real", "d_fake"]].iloc[-1]  # their names keep clear of that one
        label(right, epochs.iloc[-1], max(real, 0.6), "$D(x)$", COLOURS["data"])
        label(right, epochs.iloc[-1], min(fake, 0.4), "$D(G(z))$", COLOURS["generator"])
        right.set(xlabel="epoch", ylabel="mean of $D$", ylim=(0, 1))
        for axes in (left, right):
            axes.margins(x=0)
    return figure


def parzen_curve(estimate: Estimate) -> Figure:
    """The validation log-likelihood over σ, and the σ that was chosen."""
    with style():
        figure = Figure(figsize=(4.6, 2.9), layout="constrained")
        axes = figure.subplots()
        axes.plot(estimate.sigmas, estimate.curve, marker="o", markersize=4, color=COLOURS["generator"])
        axes.axvline(estimate.sigma, **LINES["exact"])
        name = rf"$\sigma = {estimate.sigma:.3f}$"
        label(axes, estimate.sigma, min(estimate.curve), name, COLOURS["exact"])
        axes.set(xscale="log", xlabel=r"$\sigma$", ylabel="validation log-likelihood, nats")
        axes.set_xticks([0.1, 0.2, 0.5, 1.0], ["0.1", "0.2", "0.5", "1"])
        axes.minorticks_off()
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


def tile(images: NDArray, columns: int, gap: int = 1) -> NDArray[np.uint8]:
    """Images (n, c, h, w) in [0, 1] -> one picture, uint8 (height, width, c + 1), the last being alpha.

    ``columns`` images stand in a row, ``gap`` transparent pixels apart; n fills whole rows.
    """
    n, channels, height, width = images.shape
    if n % columns:
        raise ValueError(f"columns = {columns}: {n} images do not fill whole rows of {columns}")
    cells = np.zeros((n, channels + 1, height + gap, width + gap), np.uint8)
    cells[:, :channels, :height, :width] = np.clip(np.asarray(images) * 255, 0, 255).round()
    cells[:, channels, :height, :width] = 255
    rows = cells.reshape(n // columns, columns, channels + 1, height + gap, width + gap)
    picture = rows.transpose(0, 3, 1, 4, 2).reshape(n // columns * (height + gap), -1, channels + 1)
    return picture[: len(picture) - gap, : picture.shape[1] - gap]


def picture(array: NDArray[np.uint8], width: int = 720) -> Image.Image:
    """A tiled picture (h, w, c + 1), enlarged by a whole factor to at most ``width`` pixels, or as it is.

    One in colour has a palette, of 255 colours of its own: noise, which no PNG can pack, then takes a third.
    """
    factor = max(1, width // array.shape[1])
    image = Image.fromarray(array)
    if image.mode == "RGBA":
        image = _with_palette(array)
    return image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)


def _with_palette(array: NDArray[np.uint8]) -> Image.Image:
    """A picture (h, w, 4), alpha 0 or 255, in the nearest of 255 colours and one that is transparent."""
    colours = Image.fromarray(array[:, :, :3])
    colours = colours.quantize(255, Image.Quantize.MEDIANCUT, kmeans=3, dither=Image.Dither.NONE)
    image = Image.fromarray(np.where(array[:, :, 3] > 0, np.asarray(colours), 255).astype(np.uint8), "P")
    image.putpalette([*(colours.getpalette() or []), *[0] * 768][:768])
    image.info["transparency"] = 255
    return image


def from_file(path: str | os.PathLike[str]) -> Image.Image:
    """A picture that was saved pixel for pixel, such as a published run's samples.png."""
    with Image.open(path) as image:
        return picture(np.asarray(image))


def samples(images: NDArray, columns: int) -> Image.Image:
    """Images (n, c, h, w) in [0, 1] in rows of ``columns``."""
    return picture(tile(images, columns))


def with_neighbours(images: NDArray, pool: NDArray, rows: int) -> NDArray[np.uint8]:
    """Figure 2's picture: ``rows`` rows of samples, each followed by its last one's nearest in ``pool``.

    ``images`` (n, c, h, w) and ``pool`` (m, c, h, w) -> uint8 (height, width, c + 1). Where not all of them
    are in [0, 1], as after `gan.data.gcn`, each is stretched to it once its neighbour is found.
    """
    lasts = images[len(images) // rows - 1 :: len(images) // rows]
    near = pool[data.nearest(lasts, pool)]
    if pool.min() < 0 or pool.max() > 1:
        images, near = (stretch(torch.from_numpy(x)).numpy() for x in (images, near))
    neighbours, samples = tile(near, columns=1), tile(images, columns=len(images) // rows)
    gap = np.zeros((len(samples), images.shape[-1] // 4, samples.shape[-1]), np.uint8)
    return np.concatenate([samples, gap, neighbours], axis=1)


def figure2(images: NDArray, pool: NDArray, rows: int) -> Image.Image:
    """Figure 2: rows of samples, on the right the nearest training example of each row's last."""
    return picture(with_neighbours(images, pool, rows))


def paths(generator: Generator, rows: int = 4, seed: int = 2) -> Tensor:
    """Figure 3's z: ``rows`` straight lines between draws of the prior; (rows · STEPS, noise_size)."""
    z = generator.draw_noise(2 * rows, torch.Generator().manual_seed(seed))
    return torch.cat([interpolate(start, end, STEPS) for start, end in zip(z[::2], z[1::2], strict=True)])


def label(axes: Axes, x: float, y: float, text: str, colour: str, rise: float = 0) -> None:
    """A line's name beside it, so many points higher, instead of a legend."""
    where: dict[str, Any] = {"textcoords": "offset points", "va": "center", "annotation_clip": False}
    axes.annotate(text, (x, y), xytext=(4, rise), color=colour, **where)
