"""The published runs under book/results/: their recipes are today's, and their figures come out again."""

import os
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import gan
from gan import data
from gan.book import figures

RESULTS = Path(__file__).resolve().parents[1] / "book/results"
RUNS = sorted(path.parent.name for path in RESULTS.glob("*/run.json"))


BF16 = {"precision": "bf16"}
CHANGES = {
    "faces-stages": {"second_stage_after": 50} | BF16,
    "mnist-ema": {"ema": 0.99995},
    "mnist-gaussian": {"noise": "gaussian"},
    "mnist-minimax": {"loss": "minimax"} | BF16,
    "cifar10-conv": BF16,
    "pytorch-gan": BF16,
    "pytorch-gan-written": BF16 | {"g_batch_norm": "written"},
}
"""What a published run changes in its recipe, besides seed and length; NAME-s1, … are other seeds of NAME."""


def load(name):
    return gan.Run.load(RESULTS / name)


def weights_of(run):
    """The published G, or a skip where it was not kept."""
    if not (run.folder / "generator.safetensors").exists():
        pytest.skip(f"the weights of {run.folder.name} were not published")
    return run.generator


def picture(run, which):
    if not (run.folder / f"{which}.png").exists():
        pytest.skip(f"{run.folder.name} has no {which}.png: of an average, or older than such pictures")
    with Image.open(run.folder / f"{which}.png") as image:
        return np.asarray(image)


def real_data(run):
    """The data set that the run saw, or a skip that says why there is none."""
    folder = os.environ.get("GAN_DATA_DIR")
    if not folder or not (Path(folder) / f"{run.recipe.dataset}.npz").exists():
        pytest.skip(f"needs {run.recipe.dataset}.npz in $GAN_DATA_DIR")
    dataset = data.load(run.recipe.dataset, folder)
    if dataset.digest != run.record["data_sha256"]:
        pytest.skip(f"{folder} holds other {run.recipe.dataset} data than the run saw")
    return dataset


def test_the_run_that_the_book_quotes_is_there():
    assert "mnist" in RUNS


@pytest.mark.parametrize("name", RUNS)
def test_its_recipe_is_todays_but_for_its_seed_and_length(name):
    run = load(name)
    changes = CHANGES.get(re.sub(r"-s\d+$", "", name), {})
    assert run.recipe == gan.recipe(
        run.recipe.name, epochs=run.recipe.epochs, seed=run.recipe.seed, **changes
    )
    assert name.startswith(run.recipe.name)
    assert run.finished and run.history["epoch"].tolist() == list(range(1, run.recipe.epochs + 1))
    assert np.isfinite(run.history.to_numpy()).all()


@pytest.mark.parametrize("name", RUNS)
def test_its_provenance_is_whole(name):
    record = load(name).record
    assert record["commit"] and not record["commit"].endswith("-dirty")
    assert record["seconds"] > 0 and record["device"] and record["versions"]["torch"]
    parzen = record["metrics"]["parzen"]
    assert parzen["split"] == "test" and parzen["n_samples"] == 10_000
    assert parzen["sigma"] == parzen["sigmas"][int(np.argmax(parzen["curve"]))]


def assert_same_picture(ours, expected):
    """Another processor rounds a pixel in a hundred the other way."""
    assert np.array_equal(ours[..., -1], expected[..., -1])
    assert np.abs(ours.astype(int) - expected).max() <= 1


@pytest.mark.parametrize("name", RUNS)
def test_its_samples_are_those_of_its_weights(name):
    run = load(name)
    expected = figures.tile(weights_of(run).images(50, seed=0).numpy(), columns=10)
    assert_same_picture(picture(run, "samples")[:, : expected.shape[1]], expected)


@pytest.mark.parametrize("name", RUNS)
def test_its_interpolation_goes_in_straight_lines_between_draws_of_the_prior(name):
    run = load(name)
    g, ours = weights_of(run), picture(run, "interpolation")
    ends = g.draw_noise(8, torch.Generator().manual_seed(2)).view(4, 2, -1)
    z = [start + (end - start) * i / 11 for start, end in ends for i in range(12)]
    assert_same_picture(ours, figures.tile(g.depict(torch.stack(z)).numpy(), columns=12))


@pytest.mark.parametrize("name", RUNS)
def test_its_film_has_a_column_for_each_epoch_and_ends_with_its_weights(name):
    """But for what float16, to which the weights were rounded afterwards, changes."""
    run = load(name)
    ours, epochs = picture(run, "film"), run.record["film"]
    _, height, width = data.SHAPES[run.recipe.dataset]
    assert ours.shape[:2] == (10 * (height + 1) - 1, len(epochs) * (width + 1) - 1)
    assert epochs[0] == 0 and epochs == sorted({*epochs}) and epochs[-1] <= run.recipe.epochs
    if epochs[-1] == run.recipe.epochs:
        last = figures.tile(weights_of(run).images(10, seed=0).numpy(), columns=1)
        assert np.abs(ours[:, -width:].astype(int) - last).mean() < 0.5


@pytest.mark.parametrize("name", RUNS)
def test_its_neighbours_are_the_nearest_training_images(name):
    run = load(name)
    g, dataset = weights_of(run), real_data(run)
    pool = gan.data.as_samples(dataset.split(run.recipe.valid)[0], run.recipe.scaling)
    expected = figures.with_neighbours(g.sample(50, seed=0).numpy(), pool, rows=5)
    width = expected.shape[0] // 5
    assert np.array_equal(picture(run, "samples")[:, -width:], expected[:, -width:])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mnist", "mnist-s1", "mnist-s2"])
def test_its_samples_are_as_far_from_all_training_images_as_unseen_images_are(name):
    run = load(name)
    g, dataset = weights_of(run), real_data(run)
    pool, unseen = (gan.data.as_samples(x, "unit") for x in (dataset.x_train, dataset.x_test[:300]))

    def distances(images):
        apart = images - pool[gan.data.nearest(images, pool)]
        return np.linalg.norm(apart.reshape(len(apart), -1), axis=1)

    found, expected = distances(g.sample(300, seed=0).numpy()), distances(unseen)
    assert np.median(found) == pytest.approx(np.median(expected), rel=0.1)
    assert found.min() > 0.5 * expected.min()


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_its_parzen_figure_comes_out_again(name):
    run = load(name)
    weights_of(run)
    dataset = real_data(run)
    valid, test = (
        gan.data.as_samples(x, run.recipe.scaling)
        for x in (dataset.split(run.recipe.valid)[1], dataset.x_test)
    )
    generators = {"parzen": run.generator} | ({"parzen_last": run.averaged(0)} if run.recipe.ema else {})
    if best := run.best():
        generators["parzen_best"], epoch = best
        assert epoch == run.record["metrics"]["parzen_best"]["epoch"] < len(run.history)
    assert run.record["metrics"].keys() - {"parzen_best"} == generators.keys() - {"parzen_best"}
    for which, generator in generators.items():
        parzen = run.record["metrics"][which]
        estimate = gan.parzen.evaluate(generator, valid, test, z_seed=parzen["z_seed"])
        assert estimate.sigma == pytest.approx(parzen["sigma"])
        assert estimate.mean == pytest.approx(parzen["mean"], abs=0.05)
        assert estimate.standard_error == pytest.approx(parzen["standard_error"], abs=0.05)
