"""The paper's figures from arrays and runs, in one style: colours mean the same everywhere.

Line figures are `matplotlib.figure.Figure`s on a transparent ground, shown as SVG in a notebook;
image grids are `PIL.Image`s, enlarged by whole pixels and never interpolated.
"""

from __future__ import annotations

import math
import os
from contextlib import AbstractContextManager
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from . import data
from .parzen import Estimate

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


def learning_curves(history: pd.DataFrame) -> Figure:
    """V against −log 4, and D's mean answers to data and to samples, over the epochs."""
    with style():
        figure = Figure(figsize=(8, 2.9), layout="constrained")
        left, right = figure.subplots(1, 2)
        epochs = history["epoch"]
        left.plot(epochs, history["value"], color=COLOURS["other"])
        left.axhline(-math.log(4), **LINES["exact"])
        _label(left, epochs.iloc[-1], -math.log(4), r"$-\log 4$", COLOURS["exact"])
        left.set(xlabel="epoch", ylabel=r"$V(G, D)$, nats")
        right.plot(epochs, history["d_real"], **LINES["data"])
        right.plot(epochs, history["d_fake"], **LINES["generator"])
        right.axhline(0.5, **LINES["exact"])
        _label(right, epochs.iloc[-1], 0.5, "1/2", COLOURS["exact"])
        real, fake = history[["d_real", "d_fake"]].iloc[-1]  # their names keep clear of that one
        _label(right, epochs.iloc[-1], max(real, 0.6), "$D(x)$", COLOURS["data"])
        _label(right, epochs.iloc[-1], min(fake, 0.4), "$D(G(z))$", COLOURS["generator"])
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
        _label(
            axes,
            estimate.sigma,
            min(estimate.curve),
            rf"$\sigma = {estimate.sigma:.3f}$",
            COLOURS["exact"],
        )
        axes.set(xscale="log", xlabel=r"$\sigma$", ylabel="validation log-likelihood, nats")
        axes.set_xticks([0.1, 0.2, 0.5, 1.0], ["0.1", "0.2", "0.5", "1"])
        axes.minorticks_off()
    return figure


def picture(array: NDArray[np.uint8], width: int = 720) -> Image.Image:
    """A tiled picture (h, w, c + 1), enlarged by a whole factor to at most ``width`` pixels, or as it is."""
    factor = max(1, width // array.shape[1])
    image = Image.fromarray(array)
    return image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)


def from_file(path: str | os.PathLike[str]) -> Image.Image:
    """A picture that was saved pixel for pixel, such as a published run's samples.png."""
    with Image.open(path) as image:
        return picture(np.asarray(image))


def samples(images: NDArray, columns: int) -> Image.Image:
    """Images (n, c, h, w) in [0, 1] in rows of ``columns``."""
    return picture(data.tile(images, columns))


def figure2(images: NDArray, pool: NDArray, rows: int) -> Image.Image:
    """Figure 2: rows of samples, on the right the nearest training example of each row's last."""
    return picture(data.figure2(images, pool, rows))


def _label(axes: Axes, x: float, y: float, text: str, colour: str) -> None:
    """A line's name beside it, instead of a legend."""
    axes.annotate(
        text,
        (x, y),
        xytext=(4, 0),
        textcoords="offset points",
        color=colour,
        va="center",
        annotation_clip=False,
    )
