"""The data sets of §5 and a reader's own, as uint8 arrays; and nearest training examples."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from . import files, sources

SHAPES: dict[str, tuple[int, ...]] = {
    "mnist": (1, 28, 28),
    "tfd": (1, 48, 48),
    "faces": (1, 48, 48),
    "cifar10": (3, 32, 32),
    "digits": (1, 8, 8),
}
"""Channels, height and width of each data set's images, as G makes them; a target's dimensions."""
MADE: dict[str, Callable[[], Dataset]] = {}  # what needs no file; `gan.toy` adds its targets here and above
GCN = 55.0  # the norm of a normalised image


@dataclass(frozen=True)
class Dataset:
    """Images, uint8 (n, height, width[, 3]), or points, float32 (n, dimensions), and labels, integer (n,).

    TFD's training images are its unlabeled ones (labels −1), and a fold has images of its own to validate.
    """

    name: str
    x_train: NDArray
    y_train: NDArray[np.integer]
    x_test: NDArray
    y_test: NDArray[np.integer]
    x_valid: NDArray | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """What G makes: channels, height and width, or a target's dimensions."""
        return scale(self.x_train[:1]).shape[1:]

    @property
    def digest(self) -> str:
        """SHA-256 of all images and labels: which data a run saw."""
        digest = hashlib.sha256()
        for key in (*sources.KEYS, "x_valid"):
            if (array := getattr(self, key)) is not None:
                digest.update(f"{key} {array.shape}".encode())
                digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()

    def split(self, valid: int) -> tuple[NDArray, NDArray]:
        """The training images without the last ``valid``, and those, as §5 splits 50 000 + 10 000.

        With 0 all of them, and a fold's own for validation, or else the last sixth once more, to choose σ.
        """
        n = len(self.x_train)
        if not 0 <= valid < n:
            raise ValueError(f"valid = {valid}: {self.name} has {n} training images; hold out 0 to {n - 1}")
        if self.x_valid is not None and not valid:
            return self.x_train, self.x_valid
        return self.x_train[: n - valid], self.x_train[n - (valid or -(-n // 6)) :]


def load(name: str, data_dir: str | os.PathLike[str] | None = None, fold: int = 0) -> Dataset:
    """The data set ``name``; from ``data_dir``, else ``$GAN_DATA_DIR``, else ``~/.cache/gan``.

    ``<name>.npz`` there has x_train and x_test, uint8 (n, height, width[, 3]), and integers y_train and
    y_test (n,), which a reader's own images can do without. MNIST may lie there in its own four files, TFD as
    TFD_48x48.mat, whose images to validate and test ``fold``, 0 to 4, chooses; what is missing is downloaded.

    ValueError: there is no such data set, or its file is none; FileNotFoundError: there is neither file nor
    download; OSError: it can't be read. Each is one line. Warns of images that are all but black.
    """
    if fold not in range(folds(files.plain_word(name))):
        raise ValueError(f"fold = {fold}: of {name} it must be from 0 to {folds(name) - 1}")
    given = data_dir or os.environ.get("GAN_DATA_DIR")
    folder, shape = Path(os.path.expanduser(given or "~/.cache/gan")), SHAPES.get(name)
    path = folder / ("TFD_48x48.mat" if name == "tfd" else f"{name}.npz")
    if name in MADE:
        if path.exists():
            raise ValueError(f"{path}: {name} is a data set that needs no file; give yours another name")
        return MADE[name]()
    if not folder.is_dir() and (given or not folder.is_absolute()):  # but the cache, which is made
        raise FileNotFoundError(f"there is no data folder {folder}: name one that is there, or make it first")
    if not shape and not path.is_file():
        raise ValueError(f"there is no data set {name!r}; there are: {', '.join(SHAPES)}, and no {path}")
    arrays = sources.read(name, path, shape, fold)
    if (brightest := min(arrays["x_train"].max(), arrays["x_test"].max())) < 128:
        warnings.warn(f"{path}: its brightest pixel is {brightest} of 255: scale the images", stacklevel=2)
    return Dataset(name, **arrays)


def folds(name: str) -> int:
    """How many ways ``name`` is split into validation and test."""
    return 5 if name == "tfd" else 1


def resident(images: NDArray, device: torch.device) -> Tensor:
    """A data set's images (n, c, h, w) on the device, uint8 as they are; minibatches become float there."""
    x = torch.from_numpy(images).to(device)
    return x[:, None] if x.ndim == 3 else x.movedim(-1, 1)


def scale(x: NDArray) -> NDArray[np.float32]:
    """uint8 images (n, h, w[, c]) -> float32 (n, c, h, w) in [0, 1]; points stay."""
    if x.dtype == np.float32:
        return x
    images = x[:, None] if x.ndim == 3 else np.moveaxis(x, -1, 1)
    return images.astype(np.float32) / np.float32(255)


def gcn(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Global contrast normalisation: each image less its mean, brought to the Euclidean norm GCN.

    (n, …) -> the same, with what was taken away: means and norms, both (n,). An even image becomes 0.
    Source: the authors' CIFAR-10 configuration, norm 55.
    """
    first = x.flatten(1)[:, 0]  # an even image's mean, which a plain sum would round
    mean = first + (x - _each(first, x)).flatten(1).mean(1)
    centred = x - _each(mean, x)
    norms = centred.flatten(1).norm(dim=1)
    return centred * _each(GCN / norms.clamp_min(1e-8), x), mean, norms


def gcn_inverse(x: Tensor, mean: Tensor, norms: Tensor) -> Tensor:
    """The images (n, …) that `gcn` made ``x``, ``mean`` and ``norms`` of."""
    return x * _each(norms / GCN, x) + _each(mean, x)


def _each(values: Tensor, x: Tensor) -> Tensor:
    """One value for each image of ``x``, to multiply it or add to it."""
    return values.view(-1, *[1] * (x.ndim - 1))


def as_samples(x: NDArray, scaling: str) -> NDArray[np.float32]:
    """uint8 images (n, h, w[, c]) as G samples them, (n, c, h, w): after `gcn`, else in [0, 1]."""
    images = scale(x)
    return gcn(torch.from_numpy(images))[0].numpy() if scaling == "gcn" else images


def prepare(x: Tensor, scaling: str) -> Tensor:
    """Pixels in [0, 1] as a recipe's D sees them: "unit" as they are, "signed" in [−1, 1], or "gcn"."""
    if scaling == "signed":
        return x * 2 - 1
    return gcn(x)[0] if scaling == "gcn" else x


def nearest(queries: NDArray, pool: NDArray) -> NDArray[np.intp]:
    """For each of ``queries`` (n, …) the index of its Euclidean nearest in ``pool`` (m, …); (n,).

    Matrix products find the eight nearest of each, whose distances are then taken in float64.
    """
    flat = (np.require(a.reshape(len(a), -1), np.float32, ["C", "W"]) for a in (queries, pool))
    x, points = map(torch.from_numpy, flat)
    norms = torch.linalg.vector_norm(points, dim=1).square_()
    found = []
    for block in x.split(max(1, 2**24 // max(len(points), 8 * points.shape[1]))):
        near = torch.addmm(norms, block, points.T, alpha=-2).topk(min(8, len(points)), largest=False).indices
        exact = (block[:, None].double() - points[near]).square().sum(-1)
        found.append(near.gather(1, exact.argmin(1, keepdim=True))[:, 0])
    return torch.cat(found).numpy()


def _digits() -> Dataset:
    """scikit-learn's 1 797 handwritten 8×8 digits, the first 1 500 for training."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    x, y = np.round(digits.images * (255 / 16)).astype(np.uint8), digits.target
    return Dataset("digits", x[:1500], y[:1500], x[1500:], y[1500:])


MADE["digits"] = _digits
