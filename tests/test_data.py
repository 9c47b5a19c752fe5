"""Data sets: their splits and scaling, contrast normalisation, nearest neighbours."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.neighbors import NearestNeighbors

import gan
from gan import data
from gan.book import figures

KEYS = ("x_train", "y_train", "x_test", "y_test")


def test_digits_are_scikit_learns():
    digits, original = gan.data.load("digits"), load_digits()
    x = np.concatenate([digits.x_train, digits.x_test])
    assert x.dtype == np.uint8 and x.shape == (1797, 8, 8)
    assert np.array_equal(np.round(x / 255 * 16), original.images)
    assert np.array_equal(np.concatenate([digits.y_train, digits.y_test]), original.target)


def test_who_changes_the_digits_changes_nobody_elses():
    gan.data.load("digits").x_train[:] = 0
    assert gan.data.load("digits").x_train.any()


def test_unknown_names_and_splits_are_refused():
    with pytest.raises(ValueError, match="there is no data set 'cifar'; there are: mnist, tfd, faces"):
        gan.data.load("cifar")
    for valid in (1500, -1):
        with pytest.raises(ValueError, match=f"valid = {valid}: .*; hold out 0 to 1499"):
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
