"""Where the arrays of a data set come from: files, read and checked, or a download."""

from __future__ import annotations

import gzip
import math
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from . import durable, files

KEYS = ("x_train", "y_train", "x_test", "y_test")
IDX = [*zip(KEYS, ("train-images", "train-labels", "t10k-images", "t10k-labels"), strict=True)]
Arrays = dict[str, NDArray]


def read(name: str, path: Path, shape: tuple[int, ...] | None, fold: int = 0) -> Arrays:
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
        reason = " ".join(str(error).split())
        said = f"{name}: there is no {path}, and it can't be downloaded ({reason})"
        raise FileNotFoundError(f"{said}: set GAN_DATA_DIR to a folder that has it") from None


def _download(kind: str, folder: str) -> Arrays:
    """torchvision's data set ``kind``."""
    from torchvision import datasets

    train, test = (getattr(datasets, kind)(folder, train=part, download=True) for part in (True, False))
    arrays = (train.data, train.targets, test.data, test.targets)
    return dict(zip(KEYS, map(np.asarray, arrays), strict=True))


def _download_faces(folder: str) -> Arrays:
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


DOWNLOADS: dict[str, Callable[[str], Arrays]] = {
    "mnist": lambda folder: _download("MNIST", folder),
    "cifar10": lambda folder: _download("CIFAR10", folder),
    "faces": _download_faces,
}
