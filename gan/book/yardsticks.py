"""What Table 1's figure is worth: the same figure for "samples" that no model made.

A measure of samples should put the data itself first. Parzen's does not: centres of clusters and
blurred images score higher. Source: §5's own caveat; Theis, van den Oord and Bethge (2016).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from .. import data, parzen, runs
from ..recipes import Recipe

ITERATIONS = 5  # of Lloyd's algorithm
BLUR = 0.5  # pixels


def stand_ins(kind: str, train: NDArray, n: int = 10_000, seed: int = 0) -> NDArray[np.float32]:
    """``n`` stand-ins (n, c, h, w) for samples, of one of `KINDS`, made of the images ``train`` (…, c, h, w).

    train     training images, drawn without repeats
    blurred   the same ones, each `blurred` by BLUR pixels
    k-means   centroids of all of ``train``, after ITERATIONS of Lloyd's algorithm from random images
    mean      the mean image n times: one Gaussian
    noise     pixels uniform between the darkest and the brightest of ``train``

    ValueError for another kind, and unless 1 ≤ n ≤ len(train).
    """
    if kind not in KINDS:
        raise ValueError(f"there is no stand-in {kind!r}; there are: {', '.join(KINDS)}")
    if not 1 <= n <= len(train):
        raise ValueError(f"n = {n}: of {len(train)} training images from 1 to {len(train)} stand-ins come")
    return KINDS[kind](train, n, seed).astype(np.float32, copy=False)


def _train(train: NDArray, n: int, seed: int) -> NDArray:
    return train[np.random.default_rng(seed).permutation(len(train))[:n]]


def _blurred(train: NDArray, n: int, seed: int) -> NDArray:
    return blurred(_train(train, n, seed), BLUR)


def _centroids(train: NDArray, n: int, seed: int) -> NDArray:
    from sklearn.cluster import KMeans

    means = KMeans(n, init="random", n_init=1, max_iter=ITERATIONS, tol=0, random_state=seed)
    return means.fit(train.reshape(len(train), -1)).cluster_centers_.reshape(n, *train.shape[1:])


def _mean(train: NDArray, n: int, seed: int) -> NDArray:
    return np.repeat(train.mean(0, dtype=np.float64, keepdims=True), n, axis=0)


def _noise(train: NDArray, n: int, seed: int) -> NDArray:
    return np.random.default_rng(seed).uniform(train.min(), train.max(), (n, *train.shape[1:]))


KINDS: dict[str, Callable[[NDArray, int, int], NDArray]] = {
    "train": _train,
    "blurred": _blurred,
    "k-means": _centroids,
    "mean": _mean,
    "noise": _noise,
}


def blurred(images: NDArray, width: float) -> NDArray:
    """Images (…, h, w) smoothed by a Gaussian of ``width`` pixels; beyond an edge stands its mirror image."""
    from scipy.ndimage import gaussian_filter

    return gaussian_filter(images, width, axes=(-2, -1))


def sharpness(images: NDArray) -> NDArray:
    """The mean length of the gradient in each of ``images`` (n, c, h, w), from pixel to pixel; (n,)."""
    down = np.diff(images, axis=-2)[..., :-1]
    right = np.diff(images, axis=-1)[..., :-1, :]
    return np.hypot(down, right).reshape(len(images), -1).mean(1)


def blurred_to(images: NDArray, target: float) -> NDArray:
    """``images`` `blurred` until their mean `sharpness` is ``target``; as they are where it is lower."""
    from scipy.optimize import brentq

    def excess(width: float) -> float:
        return float(sharpness(blurred(images, width)).mean()) - target

    return blurred(images, brentq(excess, 0.05, 10, xtol=1e-4)) if excess(0.05) > 0 else images


def draws(d: int, counts: Sequence[int], n: int = 100, seed: int = 0) -> dict[int, tuple[float, float]]:
    """How well m draws of N(0, I) in ``d`` dimensions stand for N(0, I), for each m of ``counts``.

    The mean over ``n`` other draws of the squared distance to the nearest, over d; and the nats by which
    Parzen's figure of the ``n``, with the best σ for ``n`` more, differs from their true log-likelihood.
    """
    rng = np.random.default_rng(seed)
    x, valid, samples = (rng.standard_normal((size, d)) for size in (n, n, max(counts)))
    squared = np.square(x).sum(1)
    truth = -0.5 * (squared + d * np.log(2 * np.pi)).mean()
    out = {}
    for m in counts:
        near = samples[data.nearest(x, samples[:m])]
        figure = parzen.evaluate_samples(samples[:m], valid, x, sigmas=np.logspace(-1.25, 0.25, 16).tolist())
        out[m] = float(np.square(x - near).sum(1).mean() / d), figure.mean - float(truth)
    return out


def measure(
    recipe: Recipe, n: int = 10_000, seed: int = 0, *, data_dir: str | os.PathLike[str] | None = None
) -> dict[str, Any]:
    """Table 1's figure of every kind of stand-in for the samples of ``recipe``'s G, with its provenance.

    Each of ``rows`` has a kind's ``name``, its ``estimate`` (`gan.parzen.estimate`), its mean
    `sharpness`, and the ``seconds`` that making and measuring it took.

    ValueError for points, and for an ``n`` or a ``seed`` out of range.
    """
    if not 0 <= seed < 2**32:
        raise ValueError(f"seed = {seed}: k-means takes those from 0 on that are less than 2^32")
    dataset = data.load(recipe.dataset, data_dir)
    if len(dataset.shape) < 3:
        raise ValueError(f"recipe {recipe.name!r} has no images: yardsticks are made of images")
    train = data.as_samples(dataset.split(recipe.valid)[0], recipe.scaling)
    record = runs.new_record(recipe, torch.device("cpu"), dataset)
    rows: list[dict[str, Any]] = []
    for kind in KINDS:
        begin = time.monotonic()
        samples = stand_ins(kind, train, n, seed)
        row = {"name": kind, "estimate": parzen.estimate(recipe, samples, data_dir=data_dir)}
        rows.append(
            row
            | {"sharpness": float(sharpness(samples).mean()), "seconds": round(time.monotonic() - begin, 1)}
        )
    return record | {
        "recipe": runs.default_folder(recipe).name,
        "seeds": {"stand_ins": seed},
        "seconds": round(sum(row["seconds"] for row in rows), 1),
        "iterations": ITERATIONS,
        "blur": BLUR,
        "rows": rows,
    }
