"""Files of data sets: what is read, what is refused, and that a download is kept whole or not at all."""

import errno
import gzip
import json
import os
import pickle
import struct
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.io import savemat
from torchvision.datasets import MNIST

import gan
from gan import data
from gan.__main__ import main
from gan.keeping import film_of

KEYS = ("x_train", "y_train", "x_test", "y_test")


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    return {
        "x_train": rng.integers(0, 256, (30, 28, 28), dtype=np.uint8),
        "y_train": rng.integers(0, 10, 30),
        "x_test": rng.integers(0, 256, (9, 28, 28), dtype=np.uint8),
        "y_test": rng.integers(0, 10, 9),
    }


def test_a_file_in_the_folder_is_used_as_it_is(tmp_path, arrays, monkeypatch):
    np.savez(tmp_path / "mnist.npz", **arrays)
    by_argument = gan.data.load("mnist", tmp_path)
    monkeypatch.setenv("GAN_DATA_DIR", str(tmp_path))
    by_variable = gan.data.load("mnist")
    for key in KEYS:
        assert np.array_equal(getattr(by_argument, key), arrays[key])
    assert by_argument.digest == by_variable.digest


def test_the_digest_tells_data_sets_apart(tmp_path, arrays):
    np.savez(tmp_path / "mnist.npz", **arrays)
    before = gan.data.load("mnist", tmp_path).digest
    arrays["x_test"][3, 4, 5] ^= 1
    np.savez(tmp_path / "mnist.npz", **arrays)
    assert gan.data.load("mnist", tmp_path).digest != before


def drop(arrays, key):
    del arrays[key]


@pytest.mark.parametrize(
    ("spoil", "key", "words"),
    [
        (drop, "y_test", ["has no y_test", "x_train, y_train, x_test, y_test"]),
        (lambda a, k: a.update({k: a[k] / 255}), "x_train", ["x_train is float64", "uint8"]),
        (lambda a, k: a.update({k: a[k][:, :27]}), "x_test", ["uint8 (9, 27, 28)", "uint8 (n, 28, 28)"]),
        (lambda a, k: a.update({k: np.stack([a[k]] * 3, -1)}), "x_test", ["(9, 28, 28, 3)", "(n, 28, 28)"]),
        (lambda a, k: a.update({k: a[k][:0]}), "x_test", ["(0, 28, 28)"]),
        (lambda a, k: a.update({k: a[k][:-1]}), "y_train", ["y_train is", "30 integers"]),
        (lambda a, k: a.update({k: a[k] / 2}), "y_train", ["y_train is float64"]),
    ],
)
def test_a_file_that_is_no_mnist_is_refused(tmp_path, arrays, spoil, key, words):
    spoil(arrays, key)
    np.savez(tmp_path / "mnist.npz", **arrays)
    with pytest.raises(ValueError) as error:
        gan.data.load("mnist", tmp_path)
    assert "\n" not in str(error.value) and str(tmp_path / "mnist.npz") in str(error.value)
    assert all(word in str(error.value) for word in words), error.value


@pytest.mark.parametrize("keep", [0, 10, 5000])
def test_a_truncated_file_is_refused_and_stays(tmp_path, arrays, keep):
    path = tmp_path / "mnist.npz"
    np.savez_compressed(path, **arrays)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match=r"mnist\.npz is damaged \(File is not a zip file\)"):
        gan.data.load("mnist", tmp_path)
    assert path.stat().st_size == keep


def test_a_pickle_is_not_unpacked(tmp_path, arrays):
    arrays["x_train"] = np.array([{"a": 1}], dtype=object)
    np.savez(tmp_path / "mnist.npz", **arrays)
    with pytest.raises(ValueError, match=r"is damaged \(x_train\.npy is object \(1,\) by its header"):
        gan.data.load("mnist", tmp_path)


def test_a_download_is_checked_written_whole_and_used_again(tmp_path, arrays, monkeypatch):
    monkeypatch.setitem(data.DOWNLOADS, "mnist", lambda scratch: arrays)
    first = gan.data.load("mnist", tmp_path)
    assert os.listdir(tmp_path) == ["mnist.npz"]
    monkeypatch.setitem(data.DOWNLOADS, "mnist", lambda scratch: pytest.fail("downloaded twice"))
    assert gan.data.load("mnist", tmp_path).digest == first.digest


def fail(scratch):
    Path(scratch, "half").write_text("half a file")
    raise RuntimeError("no network:\nTried https://a.example\n  got a proxy") from OSError("refused")


@pytest.mark.parametrize("download", [fail, lambda scratch: {"x_train": np.zeros(3)}])
def test_a_failed_download_leaves_nothing_and_says_what_to_do(tmp_path, monkeypatch, download):
    monkeypatch.setitem(data.DOWNLOADS, "mnist", download)
    with pytest.raises(FileNotFoundError) as error:
        gan.data.load("mnist", tmp_path)
    message = str(error.value)
    assert "\n" not in message and str(tmp_path / "mnist.npz") in message and "GAN_DATA_DIR" in message
    if download is fail:
        assert "(no network: Tried https://a.example got a proxy)" in message
    assert os.listdir(tmp_path) == []


def test_of_many_that_lack_a_data_set_one_downloads_it(tmp_path, arrays, monkeypatch):
    asked = []

    def download(scratch):
        asked.append(scratch)
        time.sleep(0.3)
        return dict(arrays)

    monkeypatch.setitem(data.DOWNLOADS, "mnist", download)
    with ThreadPoolExecutor(4) as pool:
        read = [*pool.map(lambda _: gan.data.load("mnist", tmp_path).digest, range(4))]
    assert len({*read}) == 1 == len(asked) and os.listdir(tmp_path) == ["mnist.npz"]


def test_the_cache_is_in_the_home_folder_where_nothing_else_is_said(tmp_path, arrays, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("GAN_DATA_DIR", raising=False)
    monkeypatch.setitem(data.DOWNLOADS, "mnist", lambda scratch: arrays)
    gan.data.load("mnist")
    assert (tmp_path / ".cache/gan/mnist.npz").exists()


# Images of other kinds: grey or in colours


@pytest.mark.parametrize(("name", "right"), [("cifar10", (32, 32, 3)), ("faces", (48, 48))])
@pytest.mark.parametrize("shape", [(32, 32, 3), (32, 32), (3, 32, 32), (48, 48), (48, 48, 3), (28, 28)])
def test_files_of_faces_and_colours_have_their_shapes_and_no_other(tmp_path, arrays, name, right, shape):
    for key, n in (("x_train", 30), ("x_test", 9)):
        arrays[key] = np.full((n, *shape), 200, np.uint8)
    np.savez(tmp_path / f"{name}.npz", **arrays)
    if shape == right:
        read = gan.data.load(name, tmp_path)
        assert data.scale(read.x_test).shape == (9, *data.SHAPES[name])
        return
    with pytest.raises(ValueError) as error:
        gan.data.load(name, tmp_path)
    words = [str(tmp_path / f"{name}.npz"), f"x_train is uint8 {(30, *shape)}", f"(n, {str(right)[1:]}"]
    assert "\n" not in str(error.value) and all(word in str(error.value) for word in words), error.value


def test_cifar10_is_torchvisions(tmp_path, arrays, monkeypatch):
    asked = []
    x = {part: np.random.default_rng(part).integers(0, 256, (7, 32, 32, 3), np.uint8) for part in (0, 1)}

    class CIFAR10:
        def __init__(self, root, train, download):
            asked.append((Path(root).parents[1], train, download))
            self.data, self.targets = x[train], [3, 1, 4, 1, 5, 9, 2 + train]

    monkeypatch.setattr("torchvision.datasets.CIFAR10", CIFAR10)
    read = gan.data.load("cifar10", tmp_path)
    assert asked == [(tmp_path, True, True), (tmp_path, False, True)]
    assert os.listdir(tmp_path) == ["cifar10.npz"]
    assert np.array_equal(read.x_train, x[1]) and np.array_equal(read.x_test, x[0])
    assert read.y_train.tolist() == [3, 1, 4, 1, 5, 9, 3] and read.y_test.tolist()[-1] == 2
    assert gan.data.load("cifar10", tmp_path).digest == read.digest and len(asked) == 2


@pytest.fixture(scope="module")
def people():
    """13 000 pictures of 900 people, in no order; each has its number in its first two pixels."""
    rng = np.random.default_rng(0)
    who = np.concatenate([np.arange(900), rng.integers(0, 900, 12_100)])
    images = np.zeros((13_000, 48, 48), np.float32)
    images[:, 0, 0], images[:, 0, 1] = np.arange(13_000) // 256 / 255, np.arange(13_000) % 256 / 255
    images[:, 1, 1] = 0.999  # 254.7
    return images, who


@pytest.mark.slow
def test_faces_are_scikit_learns_and_nobody_is_on_both_sides(tmp_path, people, monkeypatch):
    images, who = people
    asked = []

    def fetch_lfw_people(**given):
        asked.append(given)
        return SimpleNamespace(images=images, target=who)

    monkeypatch.setattr("sklearn.datasets.fetch_lfw_people", fetch_lfw_people)
    read = gan.data.load("faces", tmp_path)
    (given,) = asked
    assert given.keys() == {"data_home", "funneled", "slice_", "resize"}  # so all people, in grey
    assert Path(given["data_home"]).parents[1] == tmp_path and not given["funneled"]
    for side in given["slice_"]:
        assert 0 <= side.start < side.stop <= 250 and int(given["resize"] * (side.stop - side.start)) == 48
    numbers = [x[:, 0, 0].astype(int) * 256 + x[:, 0, 1] for x in (read.x_train, read.x_test)]
    assert (read.x_train[:, 1, 1] == 255).all()  # rounded, not cut off
    assert np.array_equal(read.y_train, who[numbers[0]]) and np.array_equal(read.y_test, who[numbers[1]])
    assert len(read.x_train) == len({*numbers[0]}) == 12_000
    assert not {*read.y_train} & {*read.y_test}
    # the test images are all those of the people who are left over, whole
    assert (
        sorted(numbers[1]) == np.flatnonzero(~np.isin(who, read.y_train)).tolist() and len(numbers[1]) > 900
    )
    # people stand together, in no order of their numbers
    firsts = read.y_train[np.sort(np.unique(read.y_train, return_index=True)[1])]
    assert (np.diff(read.y_train) != 0).sum() == len(firsts) - 1
    assert abs(np.corrcoef(firsts, np.arange(len(firsts)))[0, 1]) < 0.2


# TFD


def marks(x):
    return x[:, 0, 0].tolist()


@pytest.mark.parametrize("fold", range(5))
def test_each_fold_of_tfd_has_its_own_images_for_validation_and_test(tfd, tfd_folder, fold):
    read = gan.data.load("tfd", tfd_folder, fold)
    unlabeled, valid, test = (np.flatnonzero(tfd["folds"][:, fold] == part) for part in (0, 2, 3))
    assert marks(read.x_train) == unlabeled.tolist() and len(unlabeled) == 60
    assert marks(read.x_valid) == valid.tolist() and marks(read.x_test) == test.tolist()
    assert np.array_equal(read.x_test, tfd["images"][test])
    assert (read.y_train == -1).all() and np.array_equal(read.y_test, tfd["labs_ex"][test, 0])
    train, held_out = read.split(0)
    assert np.array_equal(train, read.x_train) and np.array_equal(held_out, read.x_valid)
    train, held_out = read.split(7)  # of the unlabeled ones
    assert marks(np.concatenate([train, held_out])) == unlabeled.tolist() and len(held_out) == 7


def test_the_digest_tells_folds_apart_and_so_their_images_for_validation(tfd, tfd_folder):
    digests = {gan.data.load("tfd", tfd_folder, fold).digest for fold in range(5)}
    assert len(digests) == 5 and gan.data.load("tfd", tfd_folder).digest in digests
    one, other = (gan.data.load("tfd", tfd_folder) for _ in range(2))
    assert one.digest == other.digest
    other.x_valid[3, 4, 5] ^= 1
    assert one.digest != other.digest


def without(arrays, *keys):
    return {key: array for key, array in arrays.items() if key not in keys}


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda a: without(a, "folds"), ["it has no 'folds'"]),
        (lambda a: without(a, "images", "labs_ex"), ["it has no 'images'"]),
        (lambda a: a | {"folds": a["folds"][:-1]}, ["size of axis is 120", "boolean axis is 119"]),
        (lambda a: a | {"folds": a["folds"] + 1}, ["x_train is uint8 (0, 48, 48)", "uint8 (n, 48, 48)"]),
        (lambda a: a | {"images": np.stack([a["images"]] * 3, -1)}, ["(60, 48, 48, 3)", "(n, 48, 48)"]),
        (lambda a: a | {"images": a["images"][:, :32, :32]}, ["(60, 32, 32)", "(n, 48, 48)"]),
        (lambda a: a | {"images": a["images"] / 255}, ["x_train is float64", "uint8"]),
        (lambda a: a | {"labs_ex": a["labs_ex"] / 2}, ["y_train is float64", "60 integers"]),
    ],
)
def test_a_file_that_is_no_tfd_is_refused(tmp_path, tfd, spoil, words):
    savemat(tmp_path / "TFD_48x48.mat", spoil(tfd))
    with pytest.raises(ValueError) as error:
        gan.data.load("tfd", tmp_path)
    assert "\n" not in str(error.value) and str(tmp_path / "TFD_48x48.mat") in str(error.value)
    assert all(word in str(error.value) for word in words), error.value


def test_what_is_no_mat_is_refused_and_stays(tmp_path):
    path = tmp_path / "TFD_48x48.mat"
    path.write_bytes(b"no MATLAB file at all" * 50)
    with pytest.raises(ValueError, match=r"TFD_48x48\.mat is damaged \(it is no MATLAB 5 file\)") as error:
        gan.data.load("tfd", tmp_path)
    assert "\n" not in str(error.value) and path.stat().st_size == 1050


def test_without_tfds_file_it_says_where_it_belongs_and_what_else_there_is(tmp_path):
    with pytest.raises(FileNotFoundError) as error:
        gan.data.load("tfd", tmp_path)
    message = str(error.value)
    assert "\n" not in message and str(tmp_path / "TFD_48x48.mat") in message
    assert "not public" in message and "faces" in message
    assert os.listdir(tmp_path) == []


def test_folds_that_are_not_there_are_refused(tmp_path, tfd_folder):
    for fold in (-1, 5, 7):
        with pytest.raises(ValueError, match=f"fold = {fold}: of tfd it must be from 0 to 4"):
            gan.data.load("tfd", tfd_folder, fold)
    for name in ("mnist", "faces", "digits", "gaussian"):
        with pytest.raises(ValueError, match=f"fold = 1: of {name} it must be from 0 to 0"):
            gan.data.load(name, tmp_path, fold=1)
    assert data.folds("tfd") == 5 and {data.folds(name) for name in data.SHAPES if name != "tfd"} == {1}


# What is no data set's file, or can't be read


def test_equal_labels_have_one_digest_whatever_their_type(tmp_path, arrays, monkeypatch):
    """Keras keeps uint8, torchvision makes int64, of the same digits: a published run knows both."""
    digests = set()
    for kind in (np.uint8, np.int16, np.int64):
        labels = {key: arrays[key].astype(kind) for key in ("y_train", "y_test")}
        np.savez(tmp_path / "mnist.npz", **arrays | labels)
        read = gan.data.load("mnist", tmp_path)
        assert np.array_equal(read.y_test, arrays["y_test"])
        digests.add(read.digest)
    (tmp_path / "mnist.npz").unlink()
    monkeypatch.setitem(data.DOWNLOADS, "mnist", lambda scratch: arrays)
    digests.add(gan.data.load("mnist", tmp_path).digest)
    assert len(digests) == 1
    arrays["y_test"][3] += 1
    np.savez(tmp_path / "mnist.npz", **arrays)
    assert gan.data.load("mnist", tmp_path).digest not in digests


def save(path, *arrays, **named):
    with path.open("wb") as file:
        np.savez(file, **named) if named else np.save(file, *arrays)


def gzipped(path):
    path.write_bytes(gzip.compress(path.read_bytes()))


WRONG = {
    gzipped: "File is not a zip file",
    lambda path: path.write_text("\n<!DOCTYPE html><html>Too many requests</html>"): "File is not a zip file",
    lambda path: save(path, np.zeros(3)): "File is not a zip file",
    lambda path: path.write_bytes(b""): "File is not a zip file",
    lambda path: path.write_bytes(pickle.dumps({"x_train": [1]})): "File is not a zip file",
    lambda path: path.write_bytes(path.read_bytes()[:5000]): "File is not a zip file",
    lambda path: path.write_bytes(path.read_bytes()[:3000] + b"x" + path.read_bytes()[3001:]): "Bad CRC-32",
    lambda path: save(path, **dict.fromkeys(KEYS, np.array([{}], object))): "x_train.npy is object (1,) by",
}


@pytest.mark.parametrize("spoil", WRONG, ids=range(len(WRONG)))
@pytest.mark.parametrize("name", ["mnist", "mine"])
def test_what_is_no_npz_is_told_in_one_line_and_stays(tmp_path, arrays, name, spoil):
    path = tmp_path / f"{name}.npz"
    np.savez(path, **arrays)
    spoil(path)
    before = path.read_bytes()
    with pytest.raises(ValueError) as error:
        gan.data.load(name, tmp_path)
    message = str(error.value)
    assert message.startswith(f"{path} is damaged ({WRONG[spoil]}") and "\n" not in message, message
    assert message.endswith(": put back a copy") and "pickle=" not in message and path.read_bytes() == before


@pytest.mark.parametrize("name", ["mnist", "mine", "tfd"])
@pytest.mark.parametrize(
    ("reason", "said"),
    [
        (PermissionError(errno.EACCES, "Permission denied"), "[Errno 13] Permission denied"),
        (OSError(errno.EIO, "Input/output error"), "[Errno 5] Input/output error"),
        (MemoryError("Unable to allocate 9 TiB"), "Unable to allocate 9 TiB"),
    ],
)
def test_what_cannot_be_read_is_not_called_corrupt(tmp_path, arrays, monkeypatch, name, reason, said):
    path = tmp_path / ("TFD_48x48.mat" if name == "tfd" else f"{name}.npz")
    save(path, **arrays)
    if name == "tfd":
        savemat(path, arrays)

    def fail(*_, **__):
        raise reason

    for whole in ("zipfile.ZipFile", "scipy.io.loadmat"):
        monkeypatch.setattr(whole, fail)
    with pytest.raises(OSError) as error:
        gan.data.load(name, tmp_path)
    assert str(error.value) == f"{path} can't be read ({said})"


@pytest.mark.parametrize("how", ["argument", "variable"])
@pytest.mark.parametrize("what", ["is not there", "is a file"])
@pytest.mark.parametrize("name", ["mnist", "mine", "mnits", "tfd"])
def test_a_mistyped_folder_is_said_and_not_made(tmp_path, monkeypatch, how, what, name):
    folder = tmp_path / "dta"
    if what == "is a file":
        folder.write_text("")
    monkeypatch.setenv("GAN_DATA_DIR", str(folder if how == "variable" else tmp_path))
    monkeypatch.setitem(data.DOWNLOADS, "mnist", lambda scratch: pytest.fail("downloaded"))
    with pytest.raises(FileNotFoundError) as error:
        gan.data.load(name, folder if how == "argument" else None)
    assert str(error.value).startswith(f"there is no data folder {folder}: ")
    assert os.listdir(tmp_path) == (["dta"] if what == "is a file" else [])


def test_without_a_home_what_needs_no_file_works_and_the_rest_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GAN_DATA_DIR", raising=False)
    monkeypatch.setattr("os.path.expanduser", lambda path: path)  # as it is where nobody knows the home
    monkeypatch.setitem(data.DOWNLOADS, "mnist", lambda scratch: pytest.fail("downloaded"))
    assert len(gan.data.load("digits").x_test) == 297
    with pytest.raises(FileNotFoundError, match=r"there is no data folder ~/\.cache/gan"):
        gan.data.load("mnist")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("largest", [0, 1, 127])
@pytest.mark.parametrize("dark", ["both", "x_train", "x_test"])
def test_images_that_are_all_but_black_warn_once(tmp_path, arrays, largest, dark):
    for key in ("x_train", "x_test"):
        if dark in ("both", key):
            arrays[key] = arrays[key] % (largest + 1)
    np.savez(tmp_path / "mnist.npz", **arrays)
    with pytest.warns(UserWarning) as warned:
        gan.data.load("mnist", tmp_path)
    (message,) = (str(one.message) for one in warned)
    assert message == f"{tmp_path}/mnist.npz: its brightest pixel is {largest} of 255: scale the images"


def test_images_that_are_half_as_bright_as_they_may_be_do_not_warn(tmp_path, arrays):
    arrays["x_train"] //= 2
    arrays["x_train"][0, 0, 0] = 128
    np.savez(tmp_path / "mnist.npz", **arrays)
    gan.data.load("mnist", tmp_path)


# MNIST's own files


def write_idx(folder, arrays, dot="-", zipped=False):
    folder.mkdir(parents=True, exist_ok=True)
    names = ("train-images", "train-labels", "t10k-images", "t10k-labels")
    for key, name in zip(KEYS, names, strict=True):
        array = arrays[key].astype(np.uint8)
        content = struct.pack(f">{1 + array.ndim}i", 0x800 + array.ndim, *array.shape) + array.tobytes()
        path = folder / f"{name}{dot}idx{array.ndim}-ubyte{'.gz' * zipped}"
        path.write_bytes(gzip.compress(content) if zipped else content)


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("dot", "-.")
def test_mnists_own_files_are_read_and_not_written_anew(tmp_path, arrays, monkeypatch, zipped, dot):
    monkeypatch.setitem(data.DOWNLOADS, "mnist", lambda scratch: pytest.fail("downloaded"))
    write_idx(tmp_path, arrays, dot, zipped)
    before = sorted(tmp_path.rglob("*"))
    read = gan.data.load("mnist", tmp_path)
    assert all(np.array_equal(getattr(read, key), arrays[key]) for key in KEYS)
    assert sorted(tmp_path.rglob("*")) == before and len(before) == 4
    np.savez(tmp_path / "mnist.npz", **arrays)
    assert gan.data.load("mnist", tmp_path).digest == read.digest
    torch.from_numpy(read.x_train)  # which warns of an array that can't be written to


def test_torchvision_reads_the_same_from_them(tmp_path, arrays):
    write_idx(tmp_path / "MNIST/raw", arrays)
    ours, theirs = gan.data.load("mnist", tmp_path / "MNIST/raw"), MNIST(tmp_path, train=False)
    assert np.array_equal(ours.x_test, theirs.data) and np.array_equal(ours.y_test, theirs.targets)


def test_mnist_npz_is_taken_before_its_own_files(tmp_path, arrays):
    write_idx(tmp_path, arrays)
    arrays["x_test"][0, 0, 0] ^= 1
    np.savez(tmp_path / "mnist.npz", **arrays)
    assert np.array_equal(gan.data.load("mnist", tmp_path).x_test, arrays["x_test"])


def cut(path):
    path.write_bytes(path.read_bytes()[:-1])


def cut_gz(path):
    Path(f"{path}.gz").write_bytes(gzip.compress(path.read_bytes())[:-6])
    path.unlink()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (cut, "cannot reshape array of size 8 into shape (9,)"),
        (lambda path: path.write_bytes(b""), "it does not begin with the bytes 0, 0, 8, 1"),
        (lambda path: path.write_bytes(b"\0\0\x08\x01"), "unpack requires a buffer of 4 bytes"),
        (lambda path: path.write_bytes(b"\0\0\x0d\x01" + path.read_bytes()[4:]), "it does not begin with"),
        (cut_gz, "Compressed file ended before the end-of-stream marker was reached"),
        (
            lambda path: path.write_text("<html>no such file</html>"),
            "it does not begin with the bytes 0, 0, 8",
        ),
    ],
)
def test_mnists_own_files_are_checked(tmp_path, arrays, monkeypatch, spoil, words):
    monkeypatch.setitem(data.DOWNLOADS, "mnist", lambda scratch: pytest.fail("downloaded"))
    write_idx(tmp_path, arrays)
    spoil(tmp_path / "t10k-labels-idx1-ubyte")
    with pytest.raises(ValueError) as error:
        gan.data.load("mnist", tmp_path)
    message = str(error.value)
    assert "\n" not in message and message.startswith(f"{tmp_path}/t10k-labels-idx1-ubyte")
    assert f" is damaged ({words}" in message, message


def test_three_of_mnists_files_are_not_mnist(tmp_path, arrays, monkeypatch):
    monkeypatch.setitem(data.DOWNLOADS, "mnist", fail)
    write_idx(tmp_path, arrays)
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(FileNotFoundError, match=r"there is no .*mnist\.npz, and it can't be downloaded"):
        gan.data.load("mnist", tmp_path)


def test_mnists_own_files_hold_28_by_28_pixels_and_as_many_labels(tmp_path, arrays):
    write_idx(tmp_path, arrays | {"y_test": arrays["y_test"][:-1]})
    with pytest.raises(ValueError, match=r"y_test is uint8 \(8,\); it must be 9 integers"):
        gan.data.load("mnist", tmp_path)
    write_idx(tmp_path, arrays | {"x_test": arrays["x_test"][:, 1:]})
    with pytest.raises(ValueError, match=r"x_test is uint8 \(9, 27, 28\); it must be uint8 \(n, 28, 28\)"):
        gan.data.load("mnist", tmp_path)


# A reader's own images


def own(shape=(6, 10), n=60, **more):
    rng = np.random.default_rng(1)
    x = rng.integers(0, 256, (n + 30, *shape), dtype=np.uint8)
    return {"x_train": x[:n], "x_test": x[n:]} | more


@pytest.mark.parametrize("name", ["mine", "我的图", "a", "cats_64.v2", "mnist2"])
@pytest.mark.parametrize("shape", [(6, 10), (6, 10, 3), (1, 1), (3, 3)])
def test_own_images_are_a_data_set_like_any_other(tmp_path, name, shape):
    arrays = own(shape)
    np.savez(tmp_path / f"{name}.npz", **arrays)
    read = gan.data.load(name, tmp_path)
    assert np.array_equal(read.x_train, arrays["x_train"]) and np.array_equal(read.x_test, arrays["x_test"])
    assert read.shape == ((3, *shape[:2]) if len(shape) == 3 else (1, *shape))
    assert (read.y_train == -1).all() and read.y_train.shape == (60,) and read.y_test.shape == (30,)
    assert data.folds(name) == 1 and read.split(7)[1].shape == (7, *shape)
    np.savez(tmp_path / f"{name}.npz", **arrays, y_train=np.arange(60) * 1000 - 3)
    labelled = gan.data.load(name, tmp_path)
    assert labelled.y_train.tolist() == list(range(-3, 59_000, 1000)) and labelled.digest != read.digest


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda a: without(a, "x_test"), ["has no x_test", "it must hold x_train, x_test"]),
        (lambda a: a | {"x_train": a["x_train"] / 255}, ["x_train is float64", "uint8"]),
        (lambda a: a | {"x_test": a["x_test"][:, 1:]}, ["x_test is uint8 (30, 5, 10)", "all of one size"]),
        (lambda a: a | {"x_test": np.stack([a["x_test"]] * 3, -1)}, ["(30, 6, 10, 3)", "all of one size"]),
        (lambda a: a | {"x_train": a["x_train"][..., None]}, ["(60, 6, 10, 1)", "(n, height, width)"]),
        (lambda a: a | {"x_train": np.stack([a["x_train"]] * 3, 1)}, ["(60, 3, 6, 10)", "width, 3)"]),
        (lambda a: a | {"x_train": a["x_train"].reshape(60, 60)}, ["(60, 60)", "(n, height, width)"]),
        (lambda a: a | {"x_train": a["x_train"][0, 0, 0]}, ["uint8 ();", "(n, height, width)"]),
        (lambda a: a | {"x_train": a["x_train"][:0]}, ["(0, 6, 10)"]),
        (lambda a: a | {"x_train": a["x_train"][:, :0]}, ["(60, 0, 10)"]),
        (lambda a: a | {"y_train": np.zeros(59, int)}, ["y_train is int64 (59,)", "60 integers"]),
        (lambda a: a | {"y_test": np.full(30, "cat")}, ["y_test is <U3 (30,)", "30 integers"]),
    ],
)
def test_own_images_are_checked(tmp_path, spoil, words):
    np.savez(tmp_path / "mine.npz", **spoil(own()))
    with pytest.raises(ValueError) as error:
        gan.data.load("mine", tmp_path)
    assert "\n" not in str(error.value) and str(tmp_path / "mine.npz") in str(error.value)
    assert all(word in str(error.value) for word in words), error.value


@pytest.mark.parametrize("name", ["digits", "gaussian", "ring"])
def test_own_images_have_no_built_in_name(tmp_path, name):
    np.savez(tmp_path / f"{name}.npz", **own())
    with pytest.raises(ValueError, match=rf"{name}\.npz: {name} is a data set that needs no file"):
        gan.data.load(name, tmp_path)


def test_a_name_of_nothing_is_answered_with_those_there_are(tmp_path):
    for name in ("mnits", "猫与狗"):
        with pytest.raises(ValueError) as error:
            gan.data.load(name, tmp_path)
        message = str(error.value)
        assert message.startswith(f"there is no data set {name!r}; there are: mnist, tfd,")
        assert message.endswith(str(tmp_path / f"{name}.npz")) and "\n" not in message


@pytest.mark.parametrize("name", ["../mine", "a/b", "", ".mine", "-mine", "a b", "mine\n", "c:\\x"])
def test_a_name_is_one_plain_word(tmp_path, name):
    (tmp_path / "data").mkdir()
    np.savez(tmp_path / "mine.npz", **own())
    for use in (lambda: gan.data.load(name, tmp_path / "data"), lambda: gan.recipe("digits", dataset=name)):
        with pytest.raises(ValueError, match="one plain word") as error:
            use()
        assert "\n" not in str(error.value)


OWN = ["-p", "dataset", "mine", "-p", "valid", "20", "-p", "batch_size", "20", "-p", "epochs", "2"]


@pytest.fixture(params=[(6, 10, 3), (9, 5)], ids=["RGB", "grey"])
def trained(request, tmp_path, monkeypatch, capsys):
    """A run on own images, from the command line; the folder of their file."""
    folder = tmp_path / "data"
    folder.mkdir()
    (tmp_path / "book/results").mkdir(parents=True)
    np.savez(folder / "mine.npz", **own(request.param))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GAN_DATA_DIR", str(folder))
    assert main(["train", "digits", *OWN]) == 0, capsys.readouterr().err
    (run,) = (tmp_path / "runs").iterdir()
    return run, folder, data.scale(own(request.param)["x_train"])


def test_a_run_on_own_images_keeps_their_shape_and_loads_without_them(trained):
    folder, where, images = trained
    (where / "mine.npz").unlink()
    run = gan.Run.load(folder)
    assert tuple(run.record["shape"]) == images.shape[1:]
    assert run.generator.sample(4, seed=0).shape == (4, *images.shape[1:])
    assert run.discriminator.probability(torch.from_numpy(images[:3])).shape == (3,)
    assert json.loads((folder / "run.json").read_text())["recipe"]["dataset"] == "mine"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:the best sigma")
def test_own_images_are_evaluated_and_published(trained, capsys):
    folder, where, images = trained
    assert main(["evaluate", str(folder)]) == 0
    mean = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("mean"))
    x = data.scale(gan.data.load("mine").x_test)
    with warnings.catch_warnings(action="ignore"):
        expected = gan.parzen.evaluate(gan.Run.load(folder).generator, images[-20:], x)
    assert float(mean.split()[1]) == pytest.approx(expected.mean)
    assert main(["publish", str(folder), "mine"]) == 0
    (where / "mine.npz").unlink()
    public = gan.published("mine")
    assert public.generator.sample(4, seed=0).shape == (4, *images.shape[1:])
    frames, kept = film_of(gan.Run.load(folder)), film_of(public)
    assert kept.keys() == frames.keys() == {0, 1, 2}
    assert all(torch.equal(kept[epoch], frames[epoch]) for epoch in frames)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:the best sigma")
def test_own_images_are_swept_and_have_yardsticks(trained, tmp_path, capsys):
    assert main(["sweep", "digits", *OWN, "--follow", "--every", "1"]) == 0, capsys.readouterr().err
    (swept,) = (tmp_path / "book/results/sweep").iterdir()
    assert [row["epoch"] for row in json.loads(swept.read_text())["scores"]] == [1, 2]
    assert main(["yardsticks", "digits", *OWN, "-n", "12"]) == 0, capsys.readouterr().err
    (written,) = (tmp_path / "book/results/yardsticks").iterdir()
    record = json.loads(written.read_text())
    assert "dataset=mine" in written.name and "dataset=mine" in record["recipe"]
    assert [row["estimate"]["n_test"] for row in record["rows"]] == [30] * 5


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (["-p", "valid", "60"], "valid = 60: mine has 60 training images; hold out 0 to 59"),
        (["-p", "batch_size", "70"], "batch_size = 70 with k = 1 needs 70 training images; mine has 40"),
        (["-p", "dataset", "mien"], "there is no data set 'mien'"),
    ],
)
def test_what_own_images_are_too_few_for_is_said_before_anything_is_written(
    tmp_path, monkeypatch, capsys, fields, words
):
    monkeypatch.chdir(tmp_path)
    np.savez(tmp_path / "mine.npz", **own())
    assert main(["train", "digits", *OWN, *fields, "--data-dir", "."]) == 2
    err = capsys.readouterr().err
    assert words in err and err.count("\n") == 1
    assert os.listdir(tmp_path) == ["mine.npz"]


@pytest.mark.slow
def test_networks_that_cannot_make_such_images_say_so_before_anything_is_written(tmp_path):
    np.savez(tmp_path / "mine.npz", **own((32, 26, 3), 300))
    asked = gan.recipe("cifar10-conv", dataset="mine", valid=0)
    with pytest.raises(ValueError, match=r"g_deconv = \(80, 5, 3\) .*\(3, 32, 26\).* square ones of 5 \+"):
        gan.train(asked, tmp_path / "run", data_dir=tmp_path)
    tall = asked.model_copy(update={"g_deconv": None, "d_conv": ((4, 2, 30, 0, 2, 2),)})
    with pytest.raises(ValueError, match=r"d_conv = .* does not fit on \(3, 32, 26\)"):
        gan.train(tall, tmp_path / "run", data_dir=tmp_path)
    assert os.listdir(tmp_path) == ["mine.npz"]


@pytest.mark.filterwarnings("ignore:.*of an earlier version, has no checksum")
@pytest.mark.parametrize("which", ["published", "run"])
def test_a_run_of_the_first_edition_has_its_data_sets_shape(which):
    run = gan.Run.load(Path(__file__).parent / "fixtures/eef538b" / which)
    assert "shape" not in run.record
    assert run.generator.sample(2).shape == (2, 1, 8, 8)
