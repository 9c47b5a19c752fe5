"""Stand-ins for samples, computed in another way; the published yardsticks come out again."""

import json
import math
import os
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import ncx2
from sklearn.cluster import KMeans

import gan
from gan import data, parzen
from gan.book import yardsticks

PUBLISHED = sorted((Path(__file__).resolve().parents[1] / "book/results/yardsticks").glob("*.json"))


@pytest.fixture(scope="module")
def digits():
    dataset = data.load("digits")
    train, valid = (data.scale(x) for x in dataset.split(300))
    return train, valid, data.scale(dataset.x_test)


def test_training_images_are_training_images_without_repeats(digits):
    train, _, _ = digits
    one, other = (yardsticks.stand_ins("train", train, 200, seed) for seed in (0, 1))
    found = data.nearest(one, train)
    assert np.array_equal(train[found], one) and len(np.unique(one.reshape(200, -1), axis=0)) == 200
    assert not np.array_equal(one, other)
    every = yardsticks.stand_ins("train", train, len(train))
    assert np.array_equal(np.sort(every.reshape(-1, 64), axis=0), np.sort(train.reshape(-1, 64), axis=0))


def test_the_mean_image_is_one_gaussian(digits):
    """Its log-likelihood in closed form: −d·log(σ√2π) − |x − mean|²/2σ²."""
    train, valid, test = digits
    images = yardsticks.stand_ins("mean", train, 40)
    assert images.shape == (40, 1, 8, 8) and images.dtype == np.float32
    ours = parzen.evaluate_samples(images, valid, test)
    squared = np.square(test.astype(float) - train.astype(float).mean(0)).reshape(len(test), -1).sum(1)
    expected = -squared / (2 * ours.sigma**2) - 64 * math.log(ours.sigma * math.sqrt(2 * math.pi))
    assert ours.mean == pytest.approx(expected.mean(), abs=1e-4)
    assert ours.standard_error == pytest.approx(expected.std() / math.sqrt(len(test)), abs=1e-4)


def test_centroids_are_scikit_learns_and_each_is_its_clusters_mean(digits):
    train, _, _ = digits
    ours = yardsticks.stand_ins("k-means", train, 30, seed=2).reshape(30, -1)
    flat = train.reshape(len(train), -1)
    means = KMeans(30, init="random", n_init=1, max_iter=yardsticks.ITERATIONS, tol=0, random_state=2)
    np.testing.assert_allclose(ours, means.fit(flat).cluster_centers_, atol=1e-6)
    own = np.stack([flat[means.labels_ == j].mean(0) for j in range(30)])
    assert np.abs(own - ours).max() < 0.2  # labels are those after the last update


def test_as_many_centroids_as_images_are_the_images(digits):
    few = digits[0][:40]
    centroids = yardsticks.stand_ins("k-means", few, 40)
    np.testing.assert_allclose(few[data.nearest(centroids, few)], centroids, atol=1e-5)
    assert len(np.unique(data.nearest(centroids, few))) == 40


def test_noise_is_uniform_over_the_range_of_the_pixels(digits):
    noise = yardsticks.stand_ins("noise", 3 * digits[0] - 1, 500)
    assert noise.shape == (500, 1, 8, 8)
    assert -1 <= noise.min() < -0.99 and 1.99 < noise.max() <= 2
    assert noise.mean() == pytest.approx(0.5, abs=0.03) and noise.std() == pytest.approx(
        3 / 12**0.5, abs=0.02
    )


def test_blur_spreads_a_point_as_a_gaussian_and_keeps_the_sum():
    image = np.zeros((2, 1, 21, 21), np.float32)
    image[0, 0, 10, 10] = 1
    out = yardsticks.blurred(image, 1.5)
    assert out.sum() == pytest.approx(1, abs=1e-5) and not out[1].any()
    near = out[0, 0, 10, 10:14]
    weights = np.exp(-(np.arange(4) ** 2) / (2 * 1.5**2))
    np.testing.assert_allclose(near / near[0], weights, rtol=1e-3)


def test_sharpness_is_the_slope_of_a_plane():
    rows, columns = np.mgrid[0:5, 0:6]
    planes = np.stack([3 * rows + 4 * columns, 0 * rows, 2 * rows])[:, None]
    assert yardsticks.sharpness(planes).tolist() == [5, 0, 2]


def test_images_are_blurred_to_the_sharpness_that_is_asked_for(digits):
    train = digits[0][:100]
    target = 0.8 * yardsticks.sharpness(train).mean()
    out = yardsticks.blurred_to(train, target)
    assert yardsticks.sharpness(out).mean() == pytest.approx(target, rel=1e-3)
    assert yardsticks.blurred_to(out, 2 * target) is out


def test_parzen_puts_the_data_behind_its_centroids_and_behind_its_blur(digits):
    train, valid, test = digits
    nats = {
        kind: parzen.evaluate_samples(yardsticks.stand_ins(kind, train, 300), valid, test).mean
        for kind in ("train", "k-means", "blurred", "mean")
    }
    assert min(nats["k-means"], nats["blurred"]) > nats["train"] > nats["mean"]


def test_draws_are_nearest_as_the_noncentral_chi_squared_says():
    """E min |x − μ|² = ∫ P(|x − μ|² > t | x)^m dt, over x of N(0, I) too."""
    d, m = 20, 100
    found, gap = yardsticks.draws(d, [m], n=2000)[m]
    rng = np.random.default_rng(1)
    t = np.linspace(0, 4 * d, 400)
    tails = [ncx2.sf(t, d, np.square(rng.standard_normal(d)).sum()) ** m for _ in range(300)]
    assert found == pytest.approx(np.trapezoid(np.mean(tails, axis=0), t) / d, rel=0.03)
    assert gap < -1  # perfect samples, and yet


@pytest.mark.parametrize(
    ("kind", "n", "message"),
    [
        ("kmeans", 10, "no stand-in 'kmeans'; there are: train, blurred"),
        ("train", 1201, "n = 1201: of 1200 training images"),
        ("mean", 0, "n = 0"),
        ("noise", -1, "n = -1"),
    ],
)
def test_bad_input_is_one_clear_line(digits, kind, n, message):
    with pytest.raises(ValueError, match=message) as error:
        yardsticks.stand_ins(kind, digits[0], n)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_that_k_means_does_not_take_is_refused_at_once(seed):
    with pytest.raises(ValueError, match=f"seed = {seed}: "):
        yardsticks.measure(gan.recipe("digits"), 10, seed)


def test_points_have_no_yardsticks():
    with pytest.raises(ValueError, match="recipe 'figure1' has no images"):
        yardsticks.measure(gan.recipe("figure1"), 10)


def test_the_book_has_the_yardsticks_that_it_shows():
    assert "mnist" in [path.stem for path in PUBLISHED]


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: path.stem)
def test_published_yardsticks_are_whole(path):
    record = json.loads(path.read_text())
    assert record["commit"] and not record["commit"].endswith("-dirty")
    assert record["recipe"] == path.stem and record["versions"]["scikit-learn"]
    assert (record["iterations"], record["blur"]) == (yardsticks.ITERATIONS, yardsticks.BLUR)
    assert [row["name"] for row in record["rows"]] == list(yardsticks.KINDS)
    for row in record["rows"]:
        found = row["estimate"]
        assert (found["split"], found["n_samples"], found["z_seed"]) == ("test", 10_000, None)
        assert found["sigma"] == found["sigmas"][int(np.argmax(found["curve"]))]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["train", "blurred", "mean", "noise"])  # k-means takes minutes
@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: path.stem)
def test_published_yardsticks_come_out_again(path, kind):
    record = json.loads(path.read_text())
    recipe = gan.recipe(record["recipe"])
    folder = os.environ.get("GAN_DATA_DIR")
    if not folder or not (Path(folder) / f"{recipe.dataset}.npz").exists():
        pytest.skip(f"needs {recipe.dataset}.npz in $GAN_DATA_DIR")
    dataset = data.load(recipe.dataset, folder)
    if dataset.digest != record["data_sha256"]:
        pytest.skip(f"{folder} holds other {recipe.dataset} data than was measured")
    train = gan.data.as_samples(dataset.split(recipe.valid)[0], recipe.scaling)
    samples = yardsticks.stand_ins(kind, train, seed=record["seeds"]["stand_ins"])
    (row,) = (row for row in record["rows"] if row["name"] == kind)
    found = parzen.estimate(recipe, samples, data_dir=folder)
    assert found["sigma"] == pytest.approx(row["estimate"]["sigma"])
    assert found["mean"] == pytest.approx(row["estimate"]["mean"], abs=1e-2)
    assert found["standard_error"] == pytest.approx(row["estimate"]["standard_error"], abs=1e-2)
    assert yardsticks.sharpness(samples).mean() == pytest.approx(row["sharpness"], rel=1e-4)
