"""The published runs under book/results/: their recipes are today's, and their figures come out again."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import gan
from gan import data

RESULTS = Path(__file__).resolve().parents[1] / "book/results"
RUNS = sorted(path.parent.name for path in RESULTS.glob("*/run.json"))


def load(name):
    return gan.Run.load(RESULTS / name)


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
    preset = gan.recipe(run.recipe.name, epochs=run.recipe.epochs, seed=run.recipe.seed)
    assert run.recipe == preset
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


@pytest.mark.parametrize("name", RUNS)
def test_its_samples_are_those_of_its_weights(name):
    run = load(name)
    with Image.open(run.folder / "samples.png") as image:
        picture = np.asarray(image)
    expected = data.tile(run.generator.sample(50, seed=0).numpy(), columns=10)
    published = picture[:, : expected.shape[1]]
    assert np.array_equal(published[..., -1], expected[..., -1])
    # another processor rounds a pixel in a hundred the other way
    assert np.abs(published.astype(int) - expected).max() <= 1


@pytest.mark.parametrize("name", RUNS)
def test_its_neighbours_are_the_nearest_training_images(name):
    run = load(name)
    dataset = real_data(run)
    pool = data.scale(dataset.split(run.recipe.valid)[0])
    with Image.open(run.folder / "samples.png") as image:
        picture = np.asarray(image)
    expected = data.figure2(run.generator.sample(50, seed=0).numpy(), pool, rows=5)
    width = expected.shape[0] // 5
    assert np.array_equal(picture[:, -width:], expected[:, -width:])


@pytest.mark.parametrize("name", RUNS)
def test_its_parzen_figure_comes_out_again(name):
    run = load(name)
    dataset = real_data(run)
    parzen = run.record["metrics"]["parzen"]
    valid = data.scale(dataset.split(run.recipe.valid)[1])
    estimate = gan.parzen.evaluate(run.generator, valid, data.scale(dataset.x_test), z_seed=parzen["z_seed"])
    assert estimate.sigma == pytest.approx(parzen["sigma"])
    assert estimate.mean == pytest.approx(parzen["mean"], abs=0.05)
    assert estimate.standard_error == pytest.approx(parzen["standard_error"], abs=0.05)
