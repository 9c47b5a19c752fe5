"""The data sets of §5 as uint8 arrays, from one folder, checked; and nearest training examples.

A data set ``name`` is the file ``<data_dir>/<name>.npz`` with the keys of Keras (x_train, y_train,
x_test, y_test). Where the file is missing, torchvision (for ``faces`` scikit-learn) downloads the data
set and checks the downloads' checksums; it is then written there whole or not at all. ``tfd`` is not
public: its users have a file of their own, TFD_48x48.mat. ``digits`` needs no file, nor do the targets
of `gan.toy`, which are drawn anew, always the same.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

KEYS = ("x_train", "y_train", "x_test", "y_test")
SHAPES: dict[str, tuple[int, ...]] = {
    "mnist": (1, 28, 28),
    "tfd": (1, 48, 48),
    "faces": (1, 48, 48),
    "cifar10": (3, 32, 32),
    "digits": (1, 8, 8),
}
"""Channels, height and width of each data set's images, as G makes them; a target's dimensions."""
MADE: dict[str, Callable[[], Dataset]] = {}  # what needs no file; `gan.toy` adds its targets here and above
FOLDS = 5  # of TFD
GCN = 55.0  # the norm of a normalised image


@dataclass(frozen=True)
class Dataset:
    """Images, uint8 (n, height, width) or (n, height, width, 3), and their labels, integer (n,).

    A target's points are float32 (n, dimensions), and their labels are 0. TFD's training images are its
    unlabeled ones (all labels −1), and a fold has images of its own for validation.
    """

    name: str
    x_train: NDArray
    y_train: NDArray[np.integer]
    x_test: NDArray
    y_test: NDArray[np.integer]
    x_valid: NDArray | None = None

    @property
    def digest(self) -> str:
        """SHA-256 of all images and labels: which data a run saw."""
        digest = hashlib.sha256()
        for key in (*KEYS, "x_valid"):
            array = getattr(self, key)
            if array is not None:
                digest.update(f"{key} {array.shape}".encode())
                digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()

    def split(self, valid: int) -> tuple[NDArray, NDArray]:
        """The training images without the last ``valid``, and those, as §5 splits 50 000 + 10 000.

        With 0 nothing is held out: all of them, and the fold's own for validation, or where there are no
        folds the last sixth once more, so that σ can be chosen.
        """
        n = len(self.x_train)
        if not 0 <= valid < n:
            raise ValueError(
                f"valid = {valid}: {self.name} has {n} training images, "
                f"so from 0 to {n - 1} of them can be held out"
            )
        if self.x_valid is not None and not valid:
            return self.x_train, self.x_valid
        return self.x_train[: n - valid], self.x_train[n - (valid or -(-n // 6)) :]


def load(name: str, data_dir: str | os.PathLike[str] | None = None, fold: int = 0) -> Dataset:
    """The data set ``name``; from ``data_dir``, else ``$GAN_DATA_DIR``, else ``~/.cache/gan``.

    ``fold``, from 0 to 4, chooses TFD's images for validation and test; nothing else has folds.

    ValueError for an unknown name and for a file that is not such a data set; FileNotFoundError
    where there is no file and no way to download it. Each says in one line what would be right.
    """
    if name not in SHAPES:
        raise ValueError(f"there is no data set {name!r}; there are: {', '.join(SHAPES)}")
    if fold not in range(folds(name)):
        raise ValueError(f"fold = {fold}: {name} has " + ("folds 0 to 4" if name == "tfd" else "only fold 0"))
    if name in MADE:
        return MADE[name]()
    folder = Path(data_dir or os.environ.get("GAN_DATA_DIR") or Path.home() / ".cache" / "gan")
    if name == "tfd":
        return _read_tfd(folder.expanduser() / "TFD_48x48.mat", fold)
    path = folder.expanduser() / f"{name}.npz"
    if not path.exists():
        _fetch(name, path)
    return _read(name, path)


def folds(name: str) -> int:
    """How many ways ``name`` is split into validation and test."""
    return FOLDS if name == "tfd" else 1


def scale(x: NDArray) -> NDArray[np.float32]:
    """uint8 images (n, h, w[, c]) -> float32 (n, c, h, w) in [0, 1]; points stay."""
    if x.dtype == np.float32:
        return x
    images = x[:, None] if x.ndim == 3 else np.moveaxis(x, -1, 1)
    return images.astype(np.float32) / np.float32(255)


def gcn(x: Tensor, norm: float = GCN) -> tuple[Tensor, Tensor, Tensor]:
    """Global contrast normalisation: each image less its mean, brought to the Euclidean norm ``norm``.

    (n, …) -> the same, with what was taken away: means and norms, both (n,). An even image becomes 0.
    Source: the authors' CIFAR-10 configuration, norm 55.
    """
    first = x.flatten(1)[:, 0]  # an even image's mean, which a plain sum would round
    mean = first + (x - _each(first, x)).flatten(1).mean(1)
    centred = x - _each(mean, x)
    norms = centred.flatten(1).norm(dim=1)
    return centred * _each(norm / norms.clamp_min(1e-8), x), mean, norms


def gcn_inverse(x: Tensor, mean: Tensor, norms: Tensor, norm: float = GCN) -> Tensor:
    """The images (n, …) that `gcn` made ``x``, ``mean`` and ``norms`` of."""
    return x * _each(norms / norm, x) + _each(mean, x)


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
    x = np.round(digits.images * (255 / 16)).astype(np.uint8)
    y = digits.target
    return Dataset("digits", x[:1500], y[:1500], x[1500:], y[1500:])


MADE["digits"] = _digits


def _read(name: str, path: Path) -> Dataset:
    """The data set in ``path``, checked against what ``name`` must look like."""
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            missing = [key for key in KEYS if key not in file]
            arrays = {key: file[key] for key in KEYS if key in file}
    except Exception as error:  # zipfile, zlib, numpy and the file system each have their own
        raise ValueError(
            f"{path} can't be read as .npz ({error}): delete it to have it downloaded again"
        ) from None
    if missing:
        raise ValueError(f"{path} has no {', '.join(missing)}: it must hold {', '.join(KEYS)}")
    dataset = Dataset(name, **arrays)
    _check(dataset, path)
    return dataset


def _check(dataset: Dataset, path: Path) -> None:
    """ValueError unless ``dataset``, read from ``path``, looks as its name says."""
    channels, height, width = SHAPES[dataset.name]
    shape = (height, width) if channels == 1 else (height, width, channels)
    for part in ("train", "test"):
        x, y = getattr(dataset, f"x_{part}"), getattr(dataset, f"y_{part}")
        if x.dtype != np.uint8:
            nans = int(np.isnan(x).sum()) if x.dtype.kind == "f" else 0
            has = f"{x.dtype}" + (f" with {nans} NaN" if nans else "")
            raise ValueError(f"{path}: x_{part} is {has}; it must be uint8, from 0 to 255")
        if x.shape[1:] != shape or not len(x):
            raise ValueError(f"{path}: x_{part} has shape {x.shape}; it must be (n, {str(shape)[1:]}")
        if y.shape != x.shape[:1] or y.dtype.kind not in "iu":
            raise ValueError(
                f"{path}: y_{part} is {y.dtype} {y.shape}; it must be {len(x)} integers, "
                f"one for each image of x_{part}"
            )


def _read_tfd(path: Path, fold: int) -> Dataset:
    """Fold ``fold`` of the Toronto Face Database in ``path``, checked.

    Arrays images (n, 48, 48), labs_ex (n,) and folds (n, 5), which says of each image in each fold that
    it is unlabeled (0), for training (1), for validation (2) or for testing (3).
    """
    from scipy.io import loadmat

    keys = ("images", "labs_ex", "folds")
    if not path.exists():
        raise FileNotFoundError(
            f"tfd: there is no {path}, and it is not public, so it can't be downloaded. Put yours there, or "
            f"set GAN_DATA_DIR to its folder; or take the recipe faces, whose images are public"
        )
    try:
        arrays = loadmat(path)
    except Exception as error:  # scipy and the file system each have their own
        raise ValueError(f"{path} can't be read as .mat ({error}): it must be TFD_48x48.mat") from None
    if missing := [key for key in keys if key not in arrays]:
        raise ValueError(f"{path} has no {', '.join(missing)}: it must hold {', '.join(keys)}")
    images, labels, parts = arrays["images"], arrays["labs_ex"].ravel(), arrays["folds"]
    if parts.shape != (len(images), FOLDS) or not np.isin(parts, range(4)).all():
        raise ValueError(
            f"{path}: folds has shape {parts.shape}; it must be ({len(images)}, {FOLDS}), "
            f"for each image and fold 0, 1, 2 or 3"
        )
    chosen = [parts[:, fold] == part for part in (0, 2, 3)]
    (x_train, x_valid, x_test), (y_train, _, y_test) = ([a[c] for c in chosen] for a in (images, labels))
    if not len(x_valid):
        raise ValueError(f"{path}: fold {fold} has no image for validation (2)")
    dataset = Dataset("tfd", x_train, y_train, x_test, y_test, x_valid)
    _check(dataset, path)
    return dataset


def _fetch(name: str, path: Path) -> None:
    """Download ``name`` and write it to ``path``, whole or not at all."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{name}-") as scratch:
            arrays = _DOWNLOADS[name](scratch)
            part = Path(scratch) / path.name
            np.savez_compressed(part, allow_pickle=False, **arrays)
            _read(name, part)
            os.replace(part, path)
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise FileNotFoundError(
            f"{name}: there is no {path}, and it could not be downloaded ({reason}). "
            f"Put {name}.npz (arrays {', '.join(KEYS)}) into a folder and set GAN_DATA_DIR to it, "
            f"or connect to a network"
        ) from None


def _download(kind: str, folder: str) -> dict[str, NDArray]:
    """torchvision's data set ``kind``."""
    from torchvision import datasets

    train, test = (getattr(datasets, kind)(folder, train=part, download=True) for part in (True, False))
    arrays = (train.data, train.targets, test.data, test.targets)
    return dict(zip(KEYS, map(np.asarray, arrays), strict=True))


def _download_faces(folder: str) -> dict[str, NDArray]:
    """Labeled Faces in the Wild, not aligned: the middle 84 × 84 pixels, grey, made 48 × 48.

    People in a random order, always the same; 12 000 pictures train, those of the people left over test.
    """
    from sklearn.datasets import fetch_lfw_people

    middle = slice(92, 176), slice(83, 167)
    faces = fetch_lfw_people(data_home=folder, funneled=False, slice_=middle, resize=48 / 84)
    x, who = np.round(faces.images * 255).astype(np.uint8), faces.target
    place = np.argsort(np.random.default_rng(0).permutation(who.max() + 1))
    order = np.argsort(place[who], kind="stable")
    train, rest = order[:12_000], order[12_000:]
    test = rest[~np.isin(who[rest], who[train])]
    return {"x_train": x[train], "y_train": who[train], "x_test": x[test], "y_test": who[test]}


_DOWNLOADS: dict[str, Callable[[str], dict[str, NDArray]]] = {
    "mnist": partial(_download, "MNIST"),
    "cifar10": partial(_download, "CIFAR10"),
    "faces": _download_faces,
}
