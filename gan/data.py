"""The data sets of §5 and a reader's own, as uint8 arrays, read and checked, or downloaded."""

from __future__ import annotations

import gzip
import hashlib
import math
import os
import struct
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.lib import format as npy
from numpy.typing import NDArray
from torch import Tensor

from . import durable, files

SHAPES: dict[str, tuple[int, ...]] = {"mnist": (1, 28, 28), "tfd": (1, 48, 48), "faces": (1, 48, 48)}
SHAPES |= {"cifar10": (3, 32, 32), "digits": (1, 8, 8)}
"""Channels, height and width of each data set's images, as G makes them; a target's dimensions."""
GCN = 55.0  # the norm of a normalised image. Source: the authors' CIFAR-10 configuration
KEYS = ("x_train", "y_train", "x_test", "y_test")
IDX = [*zip(KEYS, ("train-images", "train-labels", "t10k-images", "t10k-labels"), strict=True)]
Arrays = dict[str, NDArray]


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
        for key in (*KEYS, "x_valid"):
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
        return deepcopy(MADE[name]())
    if not folder.is_dir() and (given or not folder.is_absolute()):  # but the cache, which is made
        raise FileNotFoundError(f"there is no data folder {folder}: name one that is there, or make it first")
    if not shape and not path.is_file():
        raise ValueError(f"there is no data set {name!r}; there are: {', '.join(SHAPES)}, and no {path}")
    arrays = _read(name, path, shape, fold)
    if (brightest := min(arrays["x_train"].max(), arrays["x_test"].max())) < 128:
        warnings.warn(f"{path}: its brightest pixel is {brightest} of 255: scale the images", stacklevel=2)
    return Dataset(name, **arrays)


def _read(name: str, path: Path, shape: tuple[int, ...] | None, fold: int = 0) -> Arrays:
    """The arrays of a `gan.data.Dataset`; ``shape`` is (channels, height, width), of own images None."""
    idx = {key: sorted(filter(Path.is_file, path.parent.glob(f"{part}[-.]idx?-*"))) for key, part in IDX}
    if name == "tfd":
        arrays = _read_tfd(path, fold)
    elif name == "mnist" and not path.is_file() and all(idx.values()):
        path, arrays = path.parent, {key: _read_idx(found[0]) for key, found in idx.items()}
    else:
        if not path.is_file():
            _fetch(name, path, shape)
        arrays = _read_npz(path, KEYS if shape else ("x_train", "x_test"))
    _check(arrays, path, shape)
    return arrays


def _check(arrays: Arrays, path: Path, shape: tuple[int, ...] | None) -> None:
    """ValueError unless all images are uint8, of one shape and with a label each; own ones need none."""
    one, right = arrays["x_train"].shape[1:], "(n, height, width) or (n, height, width, 3), all of one size"
    if shape:
        one = shape[1:] if shape[0] == 1 else (*shape[1:], shape[0])
        right = f"(n, {str(one)[1:]}"
    for part in ("train", "test"):
        x = arrays[f"x_{part}"]
        y = arrays.get(f"y_{part}", np.full(x.shape[:1], -1))
        fits = x.shape[1:] == one and (x.ndim == 3 or x.shape[3:] == (3,))
        if x.dtype != np.uint8 or not fits or not x.size:
            raise ValueError(f"{path}: x_{part} is {x.dtype} {x.shape}; it must be uint8 {right}")
        if y.dtype.kind not in "iu" or y.shape != x.shape[:1]:
            raise ValueError(f"{path}: y_{part} is {y.dtype} {y.shape}; it must be {len(x)} integers")
        least, largest = map(np.min_scalar_type, (y.min(), y.max()))  # so that equal ones have one digest
        arrays[f"y_{part}"] = y.astype(np.result_type(least, largest))


def _read_npz(path: Path, needed: tuple[str, ...]) -> Arrays:
    """The arrays in ``path``, which has at least those that are ``needed``."""
    with files.reading(path), files.open_zip(path) as archive:
        names = archive.namelist()
        if missing := [key for key in needed if f"{key}.npy" not in names]:
            raise ValueError(f"{path} has no {', '.join(missing)}: it must hold {', '.join(needed)}")
        return {key: _read_npy(archive, f"{key}.npy") for key in KEYS if f"{key}.npy" in names}


def _read_npy(archive: zipfile.ZipFile, name: str) -> NDArray:
    """The array ``name``, which takes memory once its header tells of as many bytes as there are."""
    with archive.open(name) as member:
        npy.read_magic(member)
        shape, _, dtype = npy.read_array_header_1_0(member)  # a ValueError where its version is another
        there = archive.getinfo(name).file_size - member.tell()
        if dtype.hasobject or math.prod(shape) * dtype.itemsize != there:
            raise ValueError(f"{name} is {dtype} {shape} by its header, and has {there} bytes")
        member.seek(0)
        return npy.read_array(member, allow_pickle=False)


def _read_idx(path: Path) -> NDArray[np.uint8]:
    """One of MNIST's own files: 0, 0, 8, the number of axes, their lengths in four bytes each, the values."""
    axes = 3 if "images" in path.name else 1
    with files.reading(path), (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
        if file.read(4) != bytes([0, 0, 8, axes]):
            raise ValueError(f"it does not begin with the bytes 0, 0, 8, {axes}")
        lengths = struct.unpack(f">{axes}I", file.read(4 * axes))
        files.check_size(path, math.prod(lengths))
        return np.frombuffer(bytearray(file.read(math.prod(lengths) + 1)), np.uint8).reshape(lengths)


def _read_tfd(path: Path, fold: int) -> Arrays:
    """Fold ``fold`` of TFD; in its folds (n, 5) 0 is unlabeled, 1 to train, 2 to validate and 3 to test."""
    from scipy.io import loadmat

    if not path.is_file():
        raise FileNotFoundError(f"tfd: there is no {path}, and it is not public; the recipe faces needs none")
    with files.reading(path):
        _check_mat(path)
        found = loadmat(path, variable_names=("images", "labs_ex", "folds"))
        images, labels, parts = found["images"], found["labs_ex"].ravel(), found["folds"]
        unlabeled, valid, test = (parts[:, fold] == part for part in (0, 2, 3))
        arrays = {"x_train": images[unlabeled], "y_train": labels[unlabeled]}
        return arrays | {"x_test": images[test], "y_test": labels[test], "x_valid": images[valid]}


def _check_mat(path: Path) -> None:
    """ValueError unless ``path`` is MATLAB 5's, as PCs write it, and may be unpacked."""
    with path.open("rb") as file:
        if file.read(128)[124:] != b"\0\1IM":
            raise ValueError("it is no MATLAB 5 file")
        size = 0
        while tag := file.read(8):
            kind, left = struct.unpack("<II", tag)
            unpack = zlib.decompressobj().decompress
            while left and (piece := file.read(min(left, 2**14))):
                left -= len(piece)
                size += len(unpack(piece)) if kind == 15 else 0
                files.check_size(path, size)


def _fetch(name: str, path: Path, shape: tuple[int, ...] | None) -> None:
    """Download ``name`` and write it to ``path``, whole or not at all; one process does, and others wait."""
    scratch = path.with_name(f".{name}.part")
    try:
        with durable.locked(scratch), tempfile.TemporaryDirectory(".part", ".", scratch) as inner:
            if not path.exists():
                _check(arrays := DOWNLOADS[name](inner), path, shape)
                with durable.whole(path) as part, part.open("wb") as file:
                    np.savez_compressed(file, allow_pickle=False, **arrays)
    except Exception as error:
        if path.is_file():  # by now, from the process that this one waited for
            return
        said = f"{name}: there is no {path}, and it can't be downloaded ({' '.join(str(error).split())})"
        raise FileNotFoundError(f"{said}: set GAN_DATA_DIR to a folder that has it") from None


def _download(kind: str, folder: str) -> Arrays:
    """torchvision's data set ``kind``."""
    from torchvision import datasets

    train, test = (getattr(datasets, kind)(folder, train=part, download=True) for part in (True, False))
    return dict(zip(KEYS, map(np.asarray, (train.data, train.targets, test.data, test.targets)), strict=True))


def _download_faces(folder: str) -> Arrays:
    """Labeled Faces in the Wild, not aligned: the middle 84 × 84 pixels, grey, made 48 × 48."""
    from sklearn.datasets import fetch_lfw_people

    middle = slice(92, 176), slice(83, 167)
    faces = fetch_lfw_people(data_home=folder, funneled=False, slice_=middle, resize=48 / 84)
    x, who = np.round(faces.images * 255).astype(np.uint8), faces.target
    # people in a random order; 12 000 pictures train, those of the people left over test
    place = np.argsort(np.random.default_rng(0).permutation(who.max() + 1))
    order = np.argsort(place[who], kind="stable")
    train, rest = order[:12_000], order[12_000:]
    test = rest[~np.isin(who[rest], who[train])]
    return {"x_train": x[train], "y_train": who[train], "x_test": x[test], "y_test": who[test]}


DOWNLOADS: dict[str, Callable[[str], Arrays]] = {
    "mnist": lambda folder: _download("MNIST", folder),
    "cifar10": lambda folder: _download("CIFAR10", folder),
    "faces": _download_faces,
}


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
    """Images (n, …), contrast-normalised: of mean 0 and norm GCN, even ones 0; their means and norms (n,)."""
    pixels = x.flatten(1)
    first = pixels[:, :1]  # an even image's mean, which a plain sum would round
    mean = first + (pixels - first).mean(1, keepdim=True)
    centred = pixels - mean
    norms = centred.norm(dim=1, keepdim=True)
    return (centred * (GCN / norms.clamp_min(1e-8))).view_as(x), mean[:, 0], norms[:, 0]


def gcn_inverse(x: Tensor, mean: Tensor, norms: Tensor) -> Tensor:
    """The images (n, …) that `gcn` made ``x``, ``mean`` and ``norms`` of."""
    return (x.flatten(1) * (norms / GCN)[:, None] + mean[:, None]).view_as(x)


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
    """For each of ``queries`` (n, …) the index of its Euclidean nearest in ``pool`` (m, …); (n,)."""
    flat = (np.require(a.reshape(len(a), -1), np.float32, ["C", "W"]) for a in (queries, pool))
    x, points = map(torch.from_numpy, flat)
    norms = torch.linalg.vector_norm(points, dim=1).square_()
    found = []
    for block in x.split(max(1, 2**24 // max(len(points), 8 * points.shape[1]))):
        # float32 products find eight candidates, whose distances are taken in float64
        near = torch.addmm(norms, block, points.T, alpha=-2).topk(min(8, len(points)), largest=False).indices
        exact = (block[:, None].double() - points[near]).square().sum(-1)
        found.append(near.gather(1, exact.argmin(1, keepdim=True))[:, 0])
    return torch.cat(found).numpy()


@cache  # to parse its text takes as long as a short training
def _digits() -> Dataset:
    """scikit-learn's 1 797 handwritten 8×8 digits, the first 1 500 for training."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    x, y = np.round(digits.images * (255 / 16)).astype(np.uint8), digits.target
    return Dataset("digits", x[:1500], y[:1500], x[1500:], y[1500:])


MADE: dict[str, Callable[[], Dataset]] = {"digits": _digits}  # need no file; `gan.toy` adds its targets
