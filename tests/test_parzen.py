"""The Parzen window against brute force with SciPy in float64, and in bounded memory."""

import math
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

import gan
from gan import parzen
from gan.nets import Generator


def brute_force(x, samples, sigma):
    x, samples = np.asarray(x, np.float64), np.asarray(samples, np.float64)
    squared = ((x[:, None] - samples[None]) ** 2).sum(-1)
    m, d = samples.shape
    return (
        logsumexp(-squared / (2 * sigma**2), axis=1)
        - math.log(m)
        - d * math.log(sigma * math.sqrt(2 * math.pi))
    )


@settings(deadline=None, max_examples=40)
@given(
    st.integers(1, 60),
    st.integers(1, 70),
    st.integers(1, 90),
    st.floats(0.02, 3),
    st.integers(0, 2**32 - 1),
)
def test_against_brute_force(n, m, d, sigma, seed):
    rng = np.random.default_rng(seed)
    x, samples = rng.random((n, d)), rng.random((m, d))
    out = parzen.log_likelihood(x, samples, sigma)
    assert out.shape == (n,)
    np.testing.assert_allclose(out.numpy(), brute_force(x, samples, sigma), rtol=1e-6, atol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("size", [1.0, 55.0])  # images in [0, 1]; CIFAR's, of norm 55
@pytest.mark.parametrize("sigma", [0.1, 0.215, 1.0])
def test_float32_images_are_within_a_thousandth_of_a_nat(size, sigma):
    rng = np.random.default_rng(0)
    strokes = rng.random((40, 784)) < 0.2
    samples = (strokes[rng.integers(40, size=600)] * rng.random((600, 784))).astype(np.float32)
    x = np.clip(samples[:200] + 0.02 * rng.normal(size=(200, 784)), 0, 1).astype(np.float32)
    x, samples = (np.float32(size) * points for points in (x, samples))
    out = parzen.log_likelihood(x, samples, sigma).numpy()
    assert abs(out - brute_force(x, samples, sigma)).max() < 1e-3


def test_one_sample_is_one_gaussian():
    x, mean = np.random.default_rng(0).random((20, 7)), np.full(7, 0.3)
    expected = multivariate_normal(mean, 0.25 * np.eye(7)).logpdf(x)
    np.testing.assert_allclose(parzen.log_likelihood(x, mean[None], 0.5).numpy(), expected, rtol=1e-10)


def test_images_of_uint8_are_scaled_and_flattened():
    x = np.random.default_rng(0).integers(0, 256, (5, 4, 4), dtype=np.uint8)
    scaled = torch.tensor(x).double().flatten(1) / 255
    assert torch.equal(parzen.log_likelihood(x, scaled, 0.2), parzen.log_likelihood(scaled, x, 0.2))


def test_blocks_do_not_change_the_result(monkeypatch):
    rng = np.random.default_rng(1)
    x, samples = rng.random((57, 9)), rng.random((31, 9))
    whole = parzen.log_likelihoods(x, samples, [0.1, 0.4])
    monkeypatch.setattr(parzen, "BLOCK", 100)  # three rows at a time
    torch.testing.assert_close(parzen.log_likelihoods(x, samples, [0.1, 0.4]), whole, rtol=1e-12, atol=0)


# What is left out, and how the work is cut up


def near_and_far(m, d=20):
    """Points with one near sample, with a few, with all of ``m`` at about the same distance; float32."""
    rng = np.random.default_rng(3)
    samples = rng.random((m, d))
    some = samples[rng.integers(m, size=40)] + 0.01 * rng.normal(size=(40, d))
    middle = samples[: min(m, 12)].mean(0) + 0.01 * rng.normal(size=(20, d))
    outside = 0.5 + 3 * rng.normal(size=(20, d)) / math.sqrt(d)
    return np.concatenate([some, middle, outside]).astype(np.float32), samples.astype(np.float32)


@pytest.mark.parametrize("m", [1, parzen.NEAREST - 1, parzen.NEAREST, parzen.NEAREST + 1, 300])
def test_what_is_left_out_is_negligible(m):
    """From windows that reach one sample to windows that reach all."""
    sigmas = [0.01, 0.05, 0.1, 0.2, 0.4, 1.0, 100.0]
    x, samples = near_and_far(m)
    for ours, sigma in zip(parzen.log_likelihoods(x, samples, sigmas), sigmas, strict=True):
        expected = brute_force(x, samples, sigma)
        assert (abs(ours.numpy() - expected) < 1e-5 + 1e-7 * abs(expected)).all(), sigma


def test_many_samples_that_are_negligible_alone_count_together():
    """One sample at x and 20 000 around it, each with a millionth of its weight's half."""
    distance = 0.1 * math.sqrt(2 * math.log(2e6))
    around = torch.linspace(0, 2 * math.pi, 20_000)
    samples = torch.stack([around.cos(), around.sin()], 1) * distance
    together = parzen.log_likelihood(torch.zeros(1, 2), torch.cat([torch.zeros(1, 2), samples]), 0.1)
    expected = math.log1p(20_000 * 5e-7) - math.log(20_001) - 2 * math.log(0.1 * math.sqrt(2 * math.pi))
    assert together.item() == pytest.approx(expected, abs=1e-5)


def test_each_point_has_its_own_far_samples():
    """Beside points for which all but a few samples are negligible stand some for which none is."""
    x, samples = near_and_far(300)
    (together,) = parzen.log_likelihoods(x, samples, [0.1])
    apart = torch.cat([parzen.log_likelihoods(point[None], samples, [0.1])[0] for point in x])
    torch.testing.assert_close(together, apart, rtol=1e-7, atol=1e-6)


def test_equal_samples_are_one_gaussian():
    x, mean = np.random.default_rng(0).random((20, 7)), np.full(7, 0.3)
    expected = multivariate_normal(mean, 0.01 * np.eye(7)).logpdf(x)
    out = parzen.log_likelihood(x, np.tile(mean, (50, 1)), 0.1)
    np.testing.assert_allclose(out.numpy(), expected, rtol=1e-7)


@pytest.mark.parametrize(("block", "cached"), [(2**23, 1), (2**23, 700), (700, 2**20), (1300, 700), (1, 1)])
def test_neither_blocks_nor_the_cache_change_the_result(monkeypatch, block, cached):
    x, samples = near_and_far(300)
    whole = parzen.log_likelihoods(x, samples, [0.05, 0.4])
    monkeypatch.setattr(parzen, "BLOCK", block)
    monkeypatch.setattr(parzen, "CACHED", cached)
    torch.testing.assert_close(parzen.log_likelihoods(x, samples, [0.05, 0.4]), whole, rtol=1e-7, atol=1e-5)


def test_no_array_of_n_m_d_is_formed(monkeypatch):
    largest = 0
    product = torch.mm

    def watch(*args, **kwargs):
        nonlocal largest
        out = product(*args, **kwargs)
        largest = max(largest, out.numel())
        return out

    monkeypatch.setattr(torch, "mm", watch)
    monkeypatch.setattr(parzen, "BLOCK", 50_000)
    parzen.log_likelihood(torch.rand(3000, 5), torch.rand(2000, 5), 0.3)
    assert 0 < largest <= 50_000


def test_sigma_is_the_best_on_validation():
    rng = np.random.default_rng(2)
    samples, valid = rng.normal(0, 1, (2, 400, 2))
    grid = [0.05, 0.2, 0.35, 0.5, 2.0]
    expected = max(grid, key=lambda s: brute_force(valid, samples, s).mean())
    assert parzen.select_sigma(samples, valid, grid) == expected
    assert expected not in (0.05, 2.0)


@pytest.mark.parametrize("grid", [[0.01, 0.02, 0.03], [2.0, 4.0, 8.0]])
def test_a_best_sigma_at_the_edge_of_the_grid_warns(grid):
    samples, valid = np.random.default_rng(2).normal(0, 1, (2, 200, 2))
    with pytest.warns(UserWarning, match="edge of the grid"):
        parzen.select_sigma(samples, valid, grid)


def test_evaluate_is_table_1s_protocol():
    torch.manual_seed(0)
    generator = Generator(3, (16, 16), (1, 3, 3), init=0.5)
    rng = np.random.default_rng(0)
    valid, test = rng.random((1100, 1, 3, 3)), rng.random((80, 1, 3, 3))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimate = parzen.evaluate(generator, valid, test, n_samples=200, z_seed=4)
    samples = generator.sample(200, seed=4).flatten(1).numpy()
    first = valid[:1000].reshape(1000, -1)
    curve = [brute_force(first, samples, s).mean() for s in np.logspace(-1, 0, 10)]
    np.testing.assert_allclose(estimate.curve, curve, rtol=1e-6)
    assert estimate.sigma == pytest.approx(np.logspace(-1, 0, 10)[np.argmax(curve)])
    scores = brute_force(test.reshape(80, -1), samples, estimate.sigma)
    assert estimate.mean == pytest.approx(scores.mean(), rel=1e-6)
    assert estimate.standard_error == pytest.approx(scores.std() / math.sqrt(80), rel=1e-6)
    assert (estimate.n_samples, estimate.n_valid, estimate.n_test, estimate.z_seed) == (
        200,
        1000,
        80,
        4,
    )


def test_any_samples_are_evaluated_as_a_generators_are():
    torch.manual_seed(0)
    generator = Generator(3, (16, 16), (1, 3, 3), init=0.5)
    valid, test = np.random.default_rng(0).random((2, 40, 1, 3, 3))
    theirs = parzen.evaluate(generator, valid, test, n_samples=100, z_seed=4)
    samples = generator.sample(100, seed=4)
    assert parzen.evaluate_samples(samples, valid, test, z_seed=4) == theirs
    ours = parzen.evaluate_samples(samples.numpy(), valid, test)
    assert (ours.z_seed, ours.n_samples, ours.mean) == (None, 100, theirs.mean)


@pytest.mark.parametrize(
    ("x", "samples", "sigma", "message"),
    [
        (np.zeros((2, 3)), np.zeros((2, 3)), 0.0, r"sigma = \[0.0\]: one or more from 1e-15 to"),
        (np.zeros((2, 3)), np.zeros((2, 3)), -1.0, r"sigma = \[-1.0\]"),
        (np.zeros((2, 3)), np.zeros((2, 3)), float("nan"), r"sigma = \[nan\]"),
        (np.zeros((2, 3)), np.zeros((2, 4)), 1.0, "x has 3 values per point and samples 4"),
        (np.full((2, 3), np.nan), np.zeros((2, 3)), 1.0, "x has values that are NaN"),
        (np.array([[0, -np.inf, 1]]), np.zeros((2, 3)), 1.0, "x has values that are NaN or infinite"),
        (np.zeros((2, 3)), np.full((1, 3), np.inf), 1.0, "samples has values"),
        (np.zeros((0, 3)), np.zeros((2, 3)), 1.0, r"x is torch.float64 of shape \(0, 3\): .* not empty"),
        (np.zeros((2, 0)), np.zeros((2, 0)), 1.0, r"x is torch.float64 of shape \(2, 0\): .* not empty"),
        (np.zeros((2, 3)), np.zeros((2, 3)), 0.99e-15, r"sigma = \[9.9e-16\]: .* from 1e-15"),
        (np.zeros((2, 3)), np.zeros((2, 3)), 1e-200, r"sigma = \[1e-200\]"),
        (np.zeros((2, 3)), np.zeros((2, 3)), 1e200, r"sigma = \[1e\+200\]"),
        (np.arange(10.0), np.zeros((2, 3)), 1.0, r"x is torch.float64 of shape \(10,\): it must be \(n, …\)"),
        (np.zeros((2, 3)), np.zeros(3), 1.0, r"samples is torch.float64 of shape \(3,\)"),
        (np.zeros((2, 3)), 0.5, 1.0, r"samples is torch.float32 of shape \(\)"),
        (np.full((2, 3), 255), np.zeros((2, 3)), 1.0, "x is torch.int64 .* of floats, or uint8"),
        (np.zeros((2, 3)), np.full((2, 3), 200, np.uint16), 1.0, "samples is torch.uint16 "),
        (np.zeros((2, 3), bool), np.zeros((2, 3)), 1.0, "x is torch.bool "),
    ],
)
def test_bad_input_is_one_clear_line(x, samples, sigma, message):
    with pytest.raises(ValueError, match=message) as error:
        parzen.log_likelihood(x, samples, sigma)
    assert "\n" not in str(error.value)


def test_real_digits_are_likelier_than_noise():
    digits = gan.data.load("digits")
    train, valid = digits.split(300)
    noise = np.random.default_rng(0).random((1200, 64))
    sigma = parzen.select_sigma(train, valid)
    assert (
        parzen.log_likelihood(valid, train, sigma).mean()
        > parzen.log_likelihood(valid, noise, sigma).mean() + 50
    )


def test_an_empty_grid_is_refused():
    with pytest.raises(ValueError, match=r"sigma = \[\]: one or more"):
        parzen.select_sigma(np.zeros((2, 3)), np.zeros((2, 3)), [])


@pytest.mark.parametrize("sigma", [1e-15, 1e-9, 1e9, 1e15])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("spread", [0, 1])
def test_the_narrowest_and_the_widest_windows(sigma, kind, spread):
    """Up to where float32 has σ² and 1/σ²; points that are all equal, too."""
    x = (np.random.default_rng(0).random((30, 5)) * spread + 0.25).astype(kind)
    samples = np.concatenate([x[:10], x[:10], x[:2]])
    out = parzen.log_likelihood(x, samples, sigma).numpy()
    expected = brute_force(x, samples, sigma)
    assert np.isfinite(out).all()
    np.testing.assert_allclose(out, expected, rtol=1e-6)


def test_samples_that_carry_gradients_are_taken_as_they_are():
    torch.manual_seed(0)
    generator = Generator(3, (16, 16), (1, 3, 3), init=0.5)
    samples, x = generator(generator.draw_noise(50)), torch.rand(20, 1, 3, 3)
    assert samples.requires_grad
    out = parzen.log_likelihood(x, samples, 0.3)
    assert torch.equal(out, parzen.log_likelihood(x, samples.detach(), 0.3)) and not out.requires_grad


def in_unit(n, seed=0):
    return np.random.default_rng(seed).random((n, 30))


@pytest.mark.filterwarnings("ignore:the best sigma")
@pytest.mark.parametrize(
    ("samples", "x", "words"),
    [
        (in_unit(50) * 2 - 1, in_unit(40, 1), r"samples lie in \[-0\.99\d*, 0\.99\d*\], the data in \[0"),
        (in_unit(50) * 255, in_unit(40, 1), r"samples lie in \[0\.\d*, 25[45](\.\d)?\]"),
        (in_unit(50), in_unit(40, 1) * 255, r"the data in \[0\.\d*, 25[45](\.\d)?\]"),
        (in_unit(50) * 1.002, (in_unit(40, 1) * 255).astype(np.uint8), r"samples lie in \[.*, 1\.00\d\]"),
    ],
)
def test_ranges_that_differ_are_said(samples, x, words):
    for use in (
        lambda: parzen.evaluate_samples(samples, x[:20], x[20:]),
        lambda: parzen.select_sigma(samples, x),
    ):
        with pytest.warns(UserWarning, match=words) as warned:
            use()
        (said,) = (str(one.message) for one in warned if "edge of the grid" not in str(one.message))
        assert "\n" not in said


@pytest.mark.filterwarnings("ignore:the best sigma")
def test_ranges_that_are_meant_are_not():
    """In [0, 1] but for rounding; contrast-normalised images, which have a range of their own; points."""
    pixels, points = in_unit(60), np.random.default_rng(0).normal(size=(60, 30))
    for samples, x in (
        (pixels * 1.0001, pixels),
        (points, points),
        (pixels, points),
        (np.zeros((9, 30)), points),
    ):
        parzen.evaluate_samples(samples, x[:30], x[30:])


@pytest.mark.filterwarnings("ignore:the best sigma")
def test_one_test_image_has_no_standard_error():
    pixels = in_unit(60)
    estimate = parzen.evaluate_samples(pixels, pixels[:20], pixels[:1])
    assert math.isnan(estimate.standard_error) and math.isfinite(estimate.mean)
    assert parzen.evaluate_samples(pixels, pixels[:20], pixels[[1, 1]]).standard_error == 0
