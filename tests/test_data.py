"""Data sets: what is read, what is refused, and that a download is kept whole or not at all."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.neighbors import NearestNeighbors

import gan
from gan import data

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


def test_digits_are_scikit_learns():
    digits, original = gan.data.load("digits"), load_digits()
    x = np.concatenate([digits.x_train, digits.x_test])
    assert x.dtype == np.uint8 and x.shape == (1797, 8, 8)
    assert np.array_equal(np.round(x / 255 * 16), original.images)
    assert np.array_equal(np.concatenate([digits.y_train, digits.y_test]), original.target)


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


def to_float_with_nan(arrays, key):
    arrays[key] = arrays[key].astype(float)
    arrays[key][0, 0, 0] = np.nan


@pytest.mark.parametrize(
    ("spoil", "key", "words"),
    [
        (drop, "y_test", ["has no y_test", "x_train, y_train, x_test, y_test"]),
        (to_float_with_nan, "x_train", ["x_train is float64 with 1 NaN", "uint8"]),
        (lambda a, k: a.update({k: a[k][:, :27]}), "x_test", ["(9, 27, 28)", "(n, 28, 28)"]),
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
    with pytest.raises(ValueError, match=r"mnist\.npz can't be read as \.npz"):
        gan.data.load("mnist", tmp_path)
    assert path.stat().st_size == keep


def test_a_pickle_is_not_unpacked(tmp_path, arrays):
    arrays["x_train"] = np.array([{"a": 1}], dtype=object)
    np.savez(tmp_path / "mnist.npz", **arrays)
    with pytest.raises(ValueError, match="can't be read"):
        gan.data.load("mnist", tmp_path)


def test_a_download_is_checked_written_whole_and_used_again(tmp_path, arrays, monkeypatch):
    folder = tmp_path / "new" / "cache"
    monkeypatch.setitem(data._DOWNLOADS, "mnist", lambda scratch: arrays)
    first = gan.data.load("mnist", folder)
    assert os.listdir(folder) == ["mnist.npz"]
    monkeypatch.setitem(data._DOWNLOADS, "mnist", lambda scratch: pytest.fail("downloaded twice"))
    assert gan.data.load("mnist", folder).digest == first.digest


def fail(scratch):
    Path(scratch, "half").write_text("half a file")
    raise RuntimeError("no network\nsecond line")


@pytest.mark.parametrize("download", [fail, lambda scratch: {"x_train": np.zeros(3)}])
def test_a_failed_download_leaves_nothing_and_says_what_to_do(tmp_path, monkeypatch, download):
    monkeypatch.setitem(data._DOWNLOADS, "mnist", download)
    with pytest.raises(FileNotFoundError) as error:
        gan.data.load("mnist", tmp_path)
    message = str(error.value)
    assert "\n" not in message and str(tmp_path / "mnist.npz") in message and "GAN_DATA_DIR" in message
    assert os.listdir(tmp_path) == []


def test_the_cache_is_in_the_home_folder_where_nothing_else_is_said(tmp_path, arrays, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("GAN_DATA_DIR", raising=False)
    monkeypatch.setitem(data._DOWNLOADS, "mnist", lambda scratch: arrays)
    gan.data.load("mnist")
    assert (tmp_path / ".cache/gan/mnist.npz").exists()


def test_unknown_names_and_splits_are_refused():
    with pytest.raises(ValueError, match="there is no data set 'cifar'; there are: mnist, tfd, faces"):
        gan.data.load("cifar")
    for valid in (1500, -1):
        with pytest.raises(ValueError, match=f"valid = {valid}: .* from 0 to 1499"):
            gan.data.load("digits").split(valid)


def test_the_split_holds_out_the_last_images():
    digits = gan.data.load("digits")
    train, valid = digits.split(300)
    assert np.array_equal(np.concatenate([train, valid]), digits.x_train) and len(valid) == 300


def test_a_split_of_0_trains_on_all_and_chooses_on_the_last_sixth():
    digits = gan.data.load("digits")
    train, valid = digits.split(0)
    assert np.array_equal(train, digits.x_train)
    assert np.array_equal(valid, digits.x_train[1250:])
    odd = data.Dataset("digits", *(getattr(digits, key)[:7] for key in KEYS))
    assert len(odd.split(0)[1]) == 2


def test_scaling_puts_channels_first_and_ends_at_1():
    grey, colour = np.full((2, 3, 4), 255, np.uint8), np.zeros((2, 3, 4, 3), np.uint8)
    colour[..., 1] = 51
    assert data.scale(grey).shape == (2, 1, 3, 4) and data.scale(grey).max() == 1
    assert data.scale(colour).shape == (2, 3, 3, 4)
    assert np.allclose(data.scale(colour)[:, 1], 0.2)


def test_nearest_against_brute_force():
    rng = np.random.default_rng(0)
    queries, pool = rng.random((40, 1, 5, 5)), rng.random((300, 1, 5, 5))
    distances = ((queries[:, None] - pool[None]) ** 2).sum((2, 3, 4))
    assert np.array_equal(data.nearest(queries, pool), distances.argmin(1))


def by_scikit_learn(queries, pool):
    x, points = (a.reshape(len(a), -1).astype(np.float64) for a in (queries, pool))
    return NearestNeighbors(n_neighbors=1, algorithm="brute").fit(points).kneighbors(x)[1][:, 0]


@pytest.mark.parametrize("m", [1, 5, 8, 9, 500])
def test_nearest_against_scikit_learn(m):
    rng = np.random.default_rng(m)
    queries, pool = rng.random((50, 3, 4, 4), np.float32), rng.random((m, 3, 4, 4), np.float32)
    assert np.array_equal(data.nearest(queries, pool), by_scikit_learn(queries, pool))


def test_nearest_of_uint8_images():
    """By distances: of images that are equally far either will do."""
    digits = gan.data.load("digits")
    queries, pool = (x.reshape(len(x), -1).astype(np.int64) for x in (digits.x_test, digits.x_train))
    found = data.nearest(digits.x_test, digits.x_train)
    distances = ((queries[:, None] - pool) ** 2).sum(-1)
    assert np.array_equal(distances[np.arange(len(found)), found], distances.min(1))


def test_a_points_nearest_is_itself():
    pool = np.random.default_rng(0).random((400, 30), np.float32)
    assert np.array_equal(data.nearest(pool[:100], pool), np.arange(100))
    twice = np.concatenate([pool[:5]] * 12)  # more equals than are looked at
    assert np.array_equal(data.nearest(pool[:5], twice) % 5, np.arange(5))


def test_the_nearest_are_found_far_from_the_origin():
    """|μ|² − 2x·μ is rounded there; the nearest few are compared by their differences."""
    rng = np.random.default_rng(0)
    pool = (rng.random((300, 40)) + 100).astype(np.float32)
    queries = (pool[::3] + 0.05 * rng.normal(size=(100, 40))).astype(np.float32)
    assert np.array_equal(data.nearest(queries, pool), np.arange(0, 300, 3))
    queries = (rng.random((60, 40)) + 100).astype(np.float32)
    assert np.array_equal(data.nearest(queries, pool), by_scikit_learn(queries, pool))


def test_queries_come_in_blocks_and_go_in_order(monkeypatch):
    sizes = []
    product = torch.addmm
    monkeypatch.setattr(torch, "addmm", lambda *a, **k: sizes.append(len(a[1])) or product(*a, **k))
    rng = np.random.default_rng(0)
    queries, pool = rng.random((700, 2), np.float32), rng.random((60_000, 2), np.float32)
    assert np.array_equal(data.nearest(queries, pool), by_scikit_learn(queries, pool))
    assert len(sizes) > 1 and sum(sizes) == 700 and max(sizes) * 60_000 <= 2**24


def test_tiles_stand_in_rows_with_a_transparent_line_between():
    images = np.arange(6, dtype=float).reshape(6, 1, 1, 1) / 255 * np.ones((6, 1, 2, 3))
    picture = data.tile(images, columns=3)
    assert picture.shape == (5, 11, 2)
    assert np.array_equal(picture[[0, 0, 0, 3, 3, 3], [0, 4, 8, 0, 4, 8], 0], np.arange(6))
    opaque = np.array([1, 1, 1, 0, 1, 1, 1, 0, 1, 1, 1], bool)
    assert np.array_equal(picture[0, :, 1] == 255, opaque) and not picture[2].any()
    with pytest.raises(ValueError, match="columns = 4"):
        data.tile(images, columns=4)


def test_figure_2_ends_each_row_with_its_last_samples_neighbour():
    pool = np.random.default_rng(0).random((50, 1, 8, 8))
    images = np.clip(pool[[3, 1, 4, 15, 9, 26]] + 0.01, 0, 1)
    picture = data.figure2(images, pool, rows=2)
    expected = np.round(pool[[4, 26], 0] * 255).astype(np.uint8)
    assert np.array_equal(picture[:8, -8:, 0], expected[0])
    assert np.array_equal(picture[-8:, -8:, 0], expected[1])


def test_nearest_takes_views_and_what_is_read_only():
    x = np.random.default_rng(0).random((50, 6))
    x.flags.writeable = False
    assert np.array_equal(data.nearest(x[::-1], x), np.arange(50)[::-1])
