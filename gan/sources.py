"""Where the arrays of a data set come from: files, read and checked, or a download.

``<folder>/<name>.npz`` has the keys of Keras (x_train, y_train, x_test, y_test); of a reader's own images,
whose shape and labels are theirs, x_train and x_test suffice. MNIST may lie there in the four files that it
is published in, TFD as TFD_48x48.mat. What is missing is downloaded, and written whole or not at all.
"""

from __future__ import annotations

import gzip
import math
import os
import shutil
import struct
import tempfile
import time
import warnings
import zipfile
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from . import durable, files

KEYS = ("x_train", "y_train", "x_test", "y_test")
PARTS = ("train", "test")
FOLDS = 5  # of TFD
CLASSES = {"mnist": 10, "cifar10": 10}
CACHE = "~/.cache/gan"
IDX = {
    "x_train": "train-images?idx3-ubyte",
    "y_train": "train-labels?idx1-ubyte",
    "x_test": "t10k-images?idx3-ubyte",
    "y_test": "t10k-labels?idx1-ubyte",
}
"""MNIST's own files; some hosts write a dot for the hyphen before "idx"."""
Arrays = dict[str, NDArray]


def folder_of(data_dir: str | os.PathLike[str] | None) -> Path:
    """``data_dir``, else ``$GAN_DATA_DIR``, else ``~/.cache/gan``, where there is a home."""
    return Path(os.path.expanduser(data_dir or os.environ.get("GAN_DATA_DIR") or CACHE))


def check_folder(folder: Path) -> None:
    """FileNotFoundError in one line where ``folder`` is none; the cache may be made by a download."""
    made = folder.is_absolute() and folder == folder_of(CACHE) and not folder.exists()
    if not folder.is_dir() and not made:
        what = "is a file" if folder.exists() else "is not there"
        raise FileNotFoundError(f"the data folder {folder} {what}: name one that is, or make it first")


def read(name: str, folder: Path, shape: tuple[int, ...] | None, fold: int = 0) -> Arrays:
    """The arrays of a `gan.data.Dataset`; ``shape`` is (channels, height, width), of own images None.

    FileNotFoundError: there is no file, nor a way to get it. ValueError: it is no such data set. OSError: it
    can't be read here. Each in one line that says what would be right.
    """
    path = folder / ("TFD_48x48.mat" if name == "tfd" else f"{name}.npz")
    if name == "tfd":
        arrays = _read_tfd(path, fold, shape)
    elif path.exists():
        arrays = _read_npz(path, shape)
    elif name == "mnist" and (parts := _find_idx(folder)):
        arrays = {key: _read_idx(part, axes=3 if key[0] == "x" else 1) for key, part in parts.items()}
        path = parts["x_train"].parent
        _check(arrays, path, shape)
    else:
        arrays = _fetch(name, path, shape)
    _check_values(arrays, name, path)
    for key in ("y_train", "y_test"):  # in the least type, so that equal labels have one digest
        least, largest = map(np.min_scalar_type, (arrays[key].min(), arrays[key].max()))
        arrays[key] = arrays[key].astype(np.result_type(least, largest))
    return arrays


def _read_npz(path: Path, shape: tuple[int, ...] | None) -> Arrays:
    """The data set in ``path``, whose types and shapes are checked before it takes memory.

    Without labels, of own images only, they are −1.
    """
    advice = "delete it to have it downloaded again" if shape else "numpy.savez_compressed writes such a file"
    needed = KEYS if shape else ("x_train", "x_test")
    with files.reading(path, "can't be read as .npz", advice), files.open_zip(path) as archive:
        names = archive.namelist()
        if missing := [key for key in needed if f"{key}.npy" not in names]:
            raise ValueError(f"{path} has no {', '.join(missing)}: it must hold {', '.join(needed)}")
        there = [key for key in KEYS if f"{key}.npy" in names]
        arrays = {key: _head(archive, f"{key}.npy") for key in there}
        for part in PARTS:
            arrays.setdefault(f"y_{part}", np.broadcast_to(-1, arrays[f"x_{part}"].shape[:1]))
        _check(arrays, path, shape)
        for key in there:
            with archive.open(f"{key}.npy") as member:
                arrays[key] = npy.read_array(member, allow_pickle=False)
    return arrays


def _head(archive: zipfile.ZipFile, name: str) -> NDArray:
    """An array without memory of its own, of the type and shape that ``name`` has by its header."""
    with archive.open(name) as member:
        if (version := npy.read_magic(member)) != (1, 0):
            raise ValueError(f"{name} has version {version} of numpy's format, not (1, 0)")
        shape, _, dtype = npy.read_array_header_1_0(member)
        told, there = math.prod(shape) * dtype.itemsize, archive.getinfo(name).file_size - member.tell()
    if dtype.hasobject:
        raise ValueError(f"an array in it, {name}, holds Python objects: are all images of one size?")
    if told != there:
        raise ValueError(f"the header of {name} tells of {told} bytes, and there are {there}")
    return np.broadcast_to(np.zeros((), dtype), shape)


def _check(arrays: Arrays, path: Path, shape: tuple[int, ...] | None) -> None:
    """ValueError unless all images, read from ``path``, are uint8 and of one shape, with a label each."""
    one = None if shape is None else shape[1:] if shape[0] == 1 else (*shape[1:], shape[0])
    for part in PARTS:
        x, y = arrays[f"x_{part}"], arrays[f"y_{part}"]
        if x.dtype != np.uint8:
            raise ValueError(f"{path}: x_{part} is {x.dtype}; it must be uint8, from 0 to 255")
        if one is None and (x.ndim == 3 or x.shape[3:] == (3,)):
            one = x.shape[1:]
        if x.shape[1:] != one or not x.size:
            right = f"(n, {str(one)[1:]}" if one else "(n, height, width), or (n, height, width, 3) for RGB"
            raise ValueError(f"{path}: x_{part} has shape {x.shape}; it must be {right}")
        if y.shape != x.shape[:1] or y.dtype.kind not in "iu":
            raise ValueError(
                f"{path}: y_{part} is {y.dtype} {y.shape}; it must be {len(x)} integers, "
                f"one for each image of x_{part}"
            )


def _check_values(arrays: Arrays, name: str, path: Path) -> None:
    """ValueError where a label of ten classes is not one of them.

    Warns where a part has no pixel as bright as half of 255: those are seldom meant.
    """
    for part in PARTS if name in CLASSES else ():
        least, largest = (int(f(arrays[f"y_{part}"])) for f in (np.min, np.max))
        if least < 0 or largest >= CLASSES[name]:
            found = f"y_{part} has labels from {least} to {largest}"
            raise ValueError(f"{path}: {found}; they must be from 0 to {CLASSES[name] - 1}")
    brightest = {f"x_{part}": int(arrays[f"x_{part}"].max()) for part in PARTS}
    if min(brightest.values()) < 128:
        found = " and ".join(f"{value} in {key}" for key, value in brightest.items())
        advice = "scale the images to 0 … 255 unless they are meant to be all but black"
        warnings.warn(f"{path}: the largest value is {found}, where white is 255: {advice}", stacklevel=4)


def _find_idx(folder: Path) -> dict[str, Path]:
    """MNIST's four files, gzipped or not, in ``folder`` or where torchvision puts them; {} where none is."""
    places = (folder / "MNIST" / "raw", folder)
    patterns = [(key, name + end) for key, name in IDX.items() for end in (".gz", "")]
    found = {key: path for place in places for key, name in patterns for path in place.glob(name)}
    if found and (missing := [name.replace("?", "-") for key, name in IDX.items() if key not in found]):
        there = ", ".join(map(str, found.values()))
        raise FileNotFoundError(f"mnist: there is {there}, but no {', '.join(missing)}: all four are needed")
    return found


def _read_idx(path: Path, axes: int) -> NDArray[np.uint8]:
    """One of MNIST's files: 0, 0, 8, the number of ``axes``, their lengths in four bytes each, the values."""
    with files.reading(path, "can't be read as one of MNIST's files", "download it again, gzipped or not"):
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            file = gzip.GzipFile(fileobj=raw) if packed else raw
            head = file.read(4 + 4 * axes)
            if head[:4] != bytes([0, 0, 8, axes]):
                raise ValueError(f"it does not begin with the bytes 0, 0, 8, {axes}")
            lengths = np.frombuffer(head, ">u4", axes, offset=4).tolist()
            files.check_size(path, size := math.prod(lengths))
            content = file.read(size + 1)
        if len(content) != size:
            more = "more" if len(content) > size else len(content)
            raise ValueError(f"{lengths} makes {size} values, and there are {more}")
        return np.frombuffer(content, np.uint8).reshape(lengths).copy()


def _read_tfd(path: Path, fold: int, shape: tuple[int, ...] | None) -> Arrays:
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
    with files.reading(path, "can't be read as .mat", "it must be TFD_48x48.mat"), path.open("rb") as file:
        _check_mat(path, file)
        arrays = loadmat(file, variable_names=keys)
        if missing := [key for key in keys if key not in arrays]:
            raise ValueError(f"{path} has no {', '.join(missing)}: it must hold {', '.join(keys)}")
        images, labels, parts = arrays["images"], arrays["labs_ex"].ravel(), arrays["folds"]
        if parts.shape != (len(images), FOLDS) or not np.isin(parts, range(4)).all():
            raise ValueError(
                f"{path}: folds has shape {parts.shape}; it must be ({len(images)}, {FOLDS}), "
                f"for each image and fold 0, 1, 2 or 3"
            )
        unlabeled, valid, test = (parts[:, fold] == part for part in (0, 2, 3))
        if not valid.any():
            raise ValueError(f"{path}: fold {fold} has no image for validation (2)")
        found = {"x_train": images[unlabeled], "y_train": labels[unlabeled]}
        found |= {"x_test": images[test], "y_test": labels[test]}
    _check(found, path, shape)
    return found | {"x_valid": images[valid]}


def _check_mat(path: Path, file: IO[bytes]) -> None:
    """ValueError unless ``file`` is MATLAB 5's and may be unpacked; it is wound back."""
    order = {b"IM": "<", b"MI": ">"}.get(file.read(128)[126:], "")
    if not order:
        raise ValueError("it is no MATLAB 5 file")
    size = 0
    while len(tag := file.read(8)) == 8:
        kind, left = struct.unpack(f"{order}II", tag)
        unpack = zlib.decompressobj().decompress
        while left and (piece := file.read(min(left, 2**14))):
            left -= len(piece)
            size += len(unpack(piece)) if kind == 15 else 0
            files.check_size(path, size)
    file.seek(0)


def _fetch(name: str, path: Path, shape: tuple[int, ...] | None) -> Arrays:
    """Download ``name`` and write it to ``path``, whole or not at all."""
    try:
        durable.make(path.parent)
        for left in path.parent.glob(f".{name}-*.part"):  # by a kill; another may be at it right now
            if time.time() - left.stat().st_mtime > 86400:
                shutil.rmtree(left)
        with tempfile.TemporaryDirectory(".part", f".{name}-", path.parent) as scratch:
            part = Path(scratch) / path.name
            np.savez_compressed(part, allow_pickle=False, **DOWNLOADS[name](scratch))
            arrays = _read_npz(part, shape)
            with durable.whole(path) as written:
                os.replace(part, written)
    except Exception as error:
        raise FileNotFoundError(
            f"{name}: there is no {path}, and it could not be downloaded ({files.reasons(error)}). "
            f"Put {name}.npz (arrays {', '.join(KEYS)}) into a folder and set GAN_DATA_DIR to it, "
            f"or connect to a network"
        ) from None
    return arrays


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
    "mnist": partial(_download, "MNIST"),
    "cifar10": partial(_download, "CIFAR10"),
    "faces": _download_faces,
}
