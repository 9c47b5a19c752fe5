"""Data sets: what is read, what is refused, and that a download is kept whole or not at all."""

import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.io import savemat
from sklearn.datasets import load_digits
from sklearn.neighbors import NearestNeighbors

import gan
from gan import data
from gan.book import figures

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
    picture = figures.tile(images, columns=3)
    assert picture.shape == (5, 11, 2)
    assert np.array_equal(picture[[0, 0, 0, 3, 3, 3], [0, 4, 8, 0, 4, 8], 0], np.arange(6))
    opaque = np.array([1, 1, 1, 0, 1, 1, 1, 0, 1, 1, 1], bool)
    assert np.array_equal(picture[0, :, 1] == 255, opaque) and not picture[2].any()
    with pytest.raises(ValueError, match="columns = 4"):
        figures.tile(images, columns=4)


def test_figure_2_ends_each_row_with_its_last_samples_neighbour():
    pool = np.random.default_rng(0).random((50, 1, 8, 8))
    images = np.clip(pool[[3, 1, 4, 15, 9, 26]] + 0.01, 0, 1)
    picture = figures.with_neighbours(images, pool, rows=2)
    expected = np.round(pool[[4, 26], 0] * 255).astype(np.uint8)
    assert np.array_equal(picture[:8, -8:, 0], expected[0])
    assert np.array_equal(picture[-8:, -8:, 0], expected[1])


def test_nearest_takes_views_and_what_is_read_only():
    x = np.random.default_rng(0).random((50, 6))
    x.flags.writeable = False
    assert np.array_equal(data.nearest(x[::-1], x), np.arange(50)[::-1])


# Images of other kinds: grey or in colours


@pytest.mark.parametrize(("name", "right"), [("cifar10", (32, 32, 3)), ("faces", (48, 48))])
@pytest.mark.parametrize("shape", [(32, 32, 3), (32, 32), (3, 32, 32), (48, 48), (48, 48, 3), (28, 28)])
def test_files_of_faces_and_colours_have_their_shapes_and_no_other(tmp_path, arrays, name, right, shape):
    for key, n in (("x_train", 30), ("x_test", 9)):
        arrays[key] = np.zeros((n, *shape), np.uint8)
    np.savez(tmp_path / f"{name}.npz", **arrays)
    if shape == right:
        read = gan.data.load(name, tmp_path)
        assert data.scale(read.x_test).shape == (9, *data.SHAPES[name])
        return
    with pytest.raises(ValueError) as error:
        gan.data.load(name, tmp_path)
    words = [str(tmp_path / f"{name}.npz"), f"x_train has shape {(30, *shape)}", f"(n, {str(right)[1:]}"]
    assert "\n" not in str(error.value) and all(word in str(error.value) for word in words), error.value


def test_cifar10_is_torchvisions(tmp_path, arrays, monkeypatch):
    asked = []
    x = {part: np.random.default_rng(part).integers(0, 256, (7, 32, 32, 3), np.uint8) for part in (0, 1)}

    class CIFAR10:
        def __init__(self, root, train, download):
            asked.append((os.path.dirname(root), train, download))
            self.data, self.targets = x[train], [3, 1, 4, 1, 5, 9, 2 + train]

    monkeypatch.setattr("torchvision.datasets.CIFAR10", CIFAR10)
    read = gan.data.load("cifar10", tmp_path)
    assert asked == [(str(tmp_path), True, True), (str(tmp_path), False, True)]
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
    assert os.path.dirname(given["data_home"]) == str(tmp_path) and not given["funneled"]
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
        (lambda a: without(a, "folds"), ["has no folds:", "images, labs_ex, folds"]),
        (lambda a: without(a, "images", "labs_ex"), ["has no images, labs_ex:"]),
        (lambda a: a | {"folds": a["folds"][:, :4]}, ["folds has shape (120, 4)", "(120, 5)"]),
        (lambda a: a | {"folds": a["folds"][:-1]}, ["folds has shape (119, 5)", "(120, 5)"]),
        (lambda a: a | {"folds": a["folds"] + 1}, ["0, 1, 2 or 3"]),
        (lambda a: a | {"folds": np.where(a["folds"] == 2, 1, a["folds"])}, ["fold 0 has no image for val"]),
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
    with pytest.raises(ValueError, match=r"TFD_48x48\.mat can't be read as \.mat") as error:
        gan.data.load("tfd", tmp_path)
    assert "\n" not in str(error.value) and path.stat().st_size == 1050


def test_without_tfds_file_it_says_where_to_put_it_and_what_else_there_is(tmp_path):
    with pytest.raises(FileNotFoundError) as error:
        gan.data.load("tfd", tmp_path)
    message = str(error.value)
    assert "\n" not in message and str(tmp_path / "TFD_48x48.mat") in message
    assert "GAN_DATA_DIR" in message and "faces" in message
    assert os.listdir(tmp_path) == []


def test_folds_that_are_not_there_are_refused(tmp_path, tfd_folder):
    for fold in (-1, 5, 7):
        with pytest.raises(ValueError, match=f"fold = {fold}: tfd has folds 0 to 4"):
            gan.data.load("tfd", tfd_folder, fold)
    for name in ("mnist", "faces", "digits", "gaussian"):
        with pytest.raises(ValueError, match=f"fold = 1: {name} has only fold 0"):
            gan.data.load(name, tmp_path, fold=1)
    assert data.folds("tfd") == 5 and {data.folds(name) for name in data.SHAPES if name != "tfd"} == {1}


# Global contrast normalisation


def eight_bits(n, shape=(3, 32, 32), seed=0):
    x = np.random.default_rng(seed).integers(0, 256, (n, *shape), dtype=np.uint8)
    return torch.from_numpy(x.astype(np.float32) / np.float32(255))


def by_definition(x):
    flat = x.numpy().astype(np.float64).reshape(len(x), -1)
    mean = flat.mean(1, keepdims=True)
    norms = np.sqrt(((flat - mean) ** 2).sum(1, keepdims=True))
    return mean[:, 0], norms[:, 0], (55 * (flat - mean) / norms).reshape(x.shape)


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 48, 48), (64,)])
def test_contrast_normalisation_is_55_times_the_centred_image_over_its_norm(shape):
    x = eight_bits(20, shape)
    x[:5] = 0.4 + x[:5] / 255  # of little contrast
    before = x.clone()
    mean, norms, expected = by_definition(x)
    out, *taken = data.gcn(x)
    np.testing.assert_allclose(out.numpy(), expected, rtol=1e-3, atol=1e-3)
    for ours, there in zip(taken, (mean, norms), strict=True):
        np.testing.assert_allclose(ours.numpy(), there, rtol=1e-4)
    assert torch.equal(x, before) and out.dtype == torch.float32
    np.testing.assert_allclose(out.flatten(1).norm(dim=1).numpy(), 55, rtol=1e-5)
    assert abs(out.flatten(1).mean(1)).max() < 1e-4


def test_what_was_normalised_comes_back():
    x = eight_bits(20)
    torch.testing.assert_close(data.gcn_inverse(*data.gcn(x)), x, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(data.gcn_inverse(*data.gcn(x, 7.0), 7.0), x, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 48, 48), (1, 28, 28), (1, 8, 8)])
def test_an_even_image_becomes_0_whatever_its_grey(shape):
    """Not the rounding of its mean, brought to norm 55."""
    x = torch.arange(256.0)[:, None, None, None].expand(256, *shape) / 255
    out, mean, norms = data.gcn(x)
    assert not out.any() and not norms.any()
    assert torch.equal(mean, torch.arange(256.0) / 255)
    assert torch.equal(data.gcn_inverse(out, mean, norms), x)
    x = x.clone()
    x[:, 0, 0, 0] += torch.where(x[:, 0, 0, 0] > 0.5, -1, 1) / 255  # one pixel by one step
    np.testing.assert_allclose(data.gcn(x)[0].flatten(1).norm(dim=1).numpy(), 55, rtol=1e-4)


@pytest.mark.parametrize("scaling", ["unit", "signed", "gcn"])
def test_pixels_are_prepared_as_the_scaling_says(scaling):
    x = eight_bits(4)
    plain = x.numpy().astype(np.float64)
    expected = {"unit": plain, "signed": 2 * plain - 1, "gcn": by_definition(x)[2]}[scaling]
    np.testing.assert_allclose(data.prepare(x, scaling).numpy(), expected, rtol=1e-4, atol=1e-4)


def colours(n, seed):
    """Images of very different contrasts, so that pixels and normalised ones have other neighbours."""
    rng = np.random.default_rng(seed)
    contrast = rng.uniform(0.05, 1, (n, 1, 1, 1))
    x = 255 * (0.5 + contrast * (rng.random((n, 4, 4, 3)) - 0.5))
    return x.round().astype(np.uint8)


def test_neighbours_of_normalised_images_are_scikit_learns_in_those_units():
    recipe = gan.recipe("cifar10")
    raw = colours(60, 0), colours(500, 1)
    queries, pool = (gan.data.as_samples(x, recipe.scaling) for x in raw)
    _, _, expected = by_definition(torch.from_numpy(data.scale(raw[0])))
    np.testing.assert_allclose(queries, expected, rtol=1e-3, atol=1e-3)
    found = data.nearest(queries, pool)
    assert np.array_equal(found, by_scikit_learn(queries, pool))
    plain = [data.as_samples(x, "unit") for x in raw]
    assert np.array_equal(plain[0], data.scale(raw[0]))
    assert (found != data.nearest(*plain)).mean() > 0.3


def test_figure_2_of_normalised_images_stretches_each_once_its_neighbour_is_found():
    recipe = gan.recipe("cifar10")
    images, pool = (data.as_samples(colours(n, seed), recipe.scaling) for n, seed in ((6, 2), (80, 3)))
    picture = figures.with_neighbours(images, pool, rows=2)
    near = pool[by_scikit_learn(images[[2, 5]], pool)]

    def shown(x):
        low, high = x.min((1, 2, 3), keepdims=True), x.max((1, 2, 3), keepdims=True)
        return (x - low) / (high - low)

    assert picture.shape == (9, 14 + 1 + 4, 4)
    assert np.array_equal(picture[:, :14], figures.tile(shown(images), columns=3))
    assert not picture[:, 14].any()
    assert np.array_equal(picture[:, 15:], figures.tile(shown(near), columns=1))
    in_0_to_1 = figures.with_neighbours(shown(images), shown(pool), rows=2)[:, :14]
    assert np.array_equal(in_0_to_1, picture[:, :14])
