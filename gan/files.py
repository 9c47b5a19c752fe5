"""Where the arrays of a data set come from: files, read and checked, or a download.

``<folder>/<name>.npz`` has the keys of Keras (x_train, y_train, x_test, y_test); of a reader's own images,
whose shape and labels are theirs, x_train and x_test suffice. MNIST may lie there in the four files that it
is published in, TFD as TFD_48x48.mat. What is missing is downloaded, and written whole or not at all.
"""

from __future__ import annotations

import errno
import gzip
import os
import re
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

KEYS = ("x_train", "y_train", "x_test", "y_test")
PARTS = ("train", "test")
FOLDS = 5  # of TFD
CACHE = "~/.cache/gan"
IDX = {
    "x_train": "train-images?idx3-ubyte",
    "y_train": "train-labels?idx1-ubyte",
    "x_test": "t10k-images?idx3-ubyte",
    "y_test": "t10k-labels?idx1-ubyte",
}
"""MNIST's own files; some hosts write a dot for the hyphen before "idx"."""
LOOKS = {
    b"\x93NUMPY": "it looks like a single array, as numpy.save writes it",
    b"\x80": "it looks like pickled data",
    b"<": "it looks like a web page",
    b"version https://git-lfs": "it is a pointer of Git LFS",
}
Arrays = dict[str, NDArray]


def plain_word(name: str) -> str:
    """``name``, which becomes a file's; ValueError unless it is one plain word."""
    if not re.fullmatch(r"\w[\w.=-]*", name):
        raise ValueError(f"{name!r} can't be a name: it must be one plain word: letters, digits, - _ . =")
    return name


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
    path = folder / f"{name}.npz"
    if name == "tfd":
        arrays = _read_tfd(folder / "TFD_48x48.mat", fold, shape)
    elif path.exists():
        arrays = _read_npz(path, shape)
    elif name == "mnist" and (parts := _find_idx(folder)):
        arrays = {key: _read_idx(part, axes=3 if key[0] == "x" else 1) for key, part in parts.items()}
        _check(arrays, parts["x_train"].parent, shape)
    else:
        arrays = _fetch(name, path, shape)
    for key in ("y_train", "y_test"):  # in the least type, so that equal labels have one digest
        least, largest = map(np.min_scalar_type, (arrays[key].min(), arrays[key].max()))
        arrays[key] = arrays[key].astype(np.result_type(least, largest))
    return arrays


@contextmanager
def _reading(path: Path, kind: str, advice: str) -> Iterator[None]:
    """Tell in one line what is corrupt, a ValueError, from what can't be read here, an OSError."""
    try:
        yield
    except Exception as error:  # zipfile, zlib, numpy, scipy and the file system each have their own
        if isinstance(error, MemoryError) or getattr(error, "errno", None) not in (None, errno.EINVAL):
            raise OSError(f"{path} can't be read ({getattr(error, 'strerror', None) or error})") from None
        with path.open("rb") as file:
            head = file.read(64).lstrip()
        looks = [words for start, words in LOOKS.items() if head.startswith(start)]
        if "Object arrays" in str(error):
            looks = ["an array in it holds Python objects, not numbers: are all images of one size?"]
        reason = looks[0] if looks else _reason(error) if head else "it is empty"
        raise ValueError(f"{path} can't be read as {kind} ({reason}): {advice}") from None


def _read_npz(path: Path, shape: tuple[int, ...] | None) -> Arrays:
    """The data set in ``path``, checked; without labels, of own images only, they are −1."""
    advice = "delete it to have it downloaded again" if shape else "numpy.savez_compressed writes such a file"
    with _reading(path, ".npz", advice), path.open("rb") as raw:
        if raw.read(2) == b"\x1f\x8b":
            raise ValueError("it looks like a .gz file, which must be unpacked")
        raw.seek(0)
        with np.load(raw, allow_pickle=False) as file:
            arrays = {key: file[key] for key in KEYS if key in file}
    needed = KEYS if shape else ("x_train", "x_test")
    if missing := [key for key in needed if key not in arrays]:
        raise ValueError(f"{path} has no {', '.join(missing)}: it must hold {', '.join(needed)}")
    for part in PARTS:
        arrays.setdefault(f"y_{part}", np.full(arrays[f"x_{part}"].shape[:1], -1))
    _check(arrays, path, shape)
    return arrays


def _check(arrays: Arrays, path: Path, shape: tuple[int, ...] | None) -> None:
    """ValueError unless all images, read from ``path``, are uint8 and of one shape, with a label each.

    Warns where a part has no pixel as bright as half of 255: those are seldom meant.
    """
    one = None if shape is None else shape[1:] if shape[0] == 1 else (*shape[1:], shape[0])
    for part in PARTS:
        x, y = arrays[f"x_{part}"], arrays[f"y_{part}"]
        if x.dtype != np.uint8:
            nans = int(np.isnan(x).sum()) if x.dtype.kind == "f" else 0
            has = f"{x.dtype}" + (f" with {nans} NaN" if nans else "")
            raise ValueError(f"{path}: x_{part} is {has}; it must be uint8, from 0 to 255")
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
    largest = {f"x_{part}": int(arrays[f"x_{part}"].max()) for part in PARTS}
    if min(largest.values()) < 128:
        found = " and ".join(f"{value} in {key}" for key, value in largest.items())
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
    with _reading(path, "one of MNIST's files", "download it again, gzipped or not"):
        content = path.read_bytes()
        if content.startswith(b"\x1f\x8b"):
            content = gzip.decompress(content)
        if content[:4] != bytes([0, 0, 8, axes]):
            raise ValueError(f"it does not begin with the bytes 0, 0, 8, {axes}")
        lengths = np.frombuffer(content, ">u4", axes, offset=4)
        return np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(lengths).copy()


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
    with _reading(path, ".mat", "it must be TFD_48x48.mat"), path.open("rb") as file:
        arrays = loadmat(file)
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


def _fetch(name: str, path: Path, shape: tuple[int, ...] | None) -> Arrays:
    """Download ``name`` and write it to ``path``, whole or not at all."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{name}-") as scratch:
            part = Path(scratch) / path.name
            np.savez_compressed(part, allow_pickle=False, **DOWNLOADS[name](scratch))
            arrays = _read_npz(part, shape)
            os.replace(part, path)
    except Exception as error:
        raise FileNotFoundError(
            f"{name}: there is no {path}, and it could not be downloaded ({_reason(error)}). "
            f"Put {name}.npz (arrays {', '.join(KEYS)}) into a folder and set GAN_DATA_DIR to it, "
            f"or connect to a network"
        ) from None
    return arrays


def _reason(error: BaseException | None) -> str:
    """All that an error says, and those that led to it, in one line."""
    said: list[str] = []
    while error:
        text = " ".join(str(error).split()) or type(error).__name__
        if not any(text in longer for longer in said):
            said.append(text)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return ", from: ".join(said)


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
