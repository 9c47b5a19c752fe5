"""`gan.train` and the run's folder: repeatable, resumable, refusing, published whole."""

import json
import math
import os
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from filelock import FileLock
from PIL import Image
from safetensors.torch import load_file

import gan
from gan import algorithm1, runs, training

TINY = {"g_hidden": (16, 16), "d_hidden": (8, 8), "d_pieces": 2, "batch_size": 300}


def tiny(**fields):
    return gan.recipe("digits", **({"epochs": 4} | TINY | fields))


def train(recipe, out, **options):
    return gan.train(recipe, out, device="cpu", progress=False, **options)


def weights(run):
    return {
        f"{name} {key}": w
        for name, network in (("G", run.generator), ("D", run.discriminator))
        for key, w in network.state_dict().items()
    }


def assert_same(run, other):
    ours, theirs = weights(run), weights(other)
    assert ours.keys() == theirs.keys()
    for key, w in ours.items():
        assert torch.equal(w, theirs[key]), key
    drop = {"columns": "seconds"}
    pd.testing.assert_frame_equal(run.history.drop(**drop), other.history.drop(**drop), check_exact=True)


class Interrupt:
    """Plays an iteration's part, and presses Ctrl-C at the ``n``-th."""

    def __init__(self, iteration, n):
        self.iteration, self.left = iteration, n

    def __call__(self, players, minibatches):
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        return self.iteration(players, minibatches)


def test_history_has_a_row_per_epoch(tmp_path):
    run = train(tiny(), tmp_path / "run")
    assert list(run.history) == ["epoch", "d_loss", "g_loss", "d_real", "d_fake", "value", "seconds"]
    assert run.history["epoch"].tolist() == [1, 2, 3, 4]
    assert np.isfinite(run.history.to_numpy()).all()
    # D starts undecided: the first epoch stands near D = 1/2, where V = −log 4 and G's loss is log 2
    first = run.history.iloc[0]
    assert first.value == pytest.approx(-math.log(4), abs=0.1)
    assert first.g_loss == pytest.approx(math.log(2), abs=0.1)
    assert first.d_real == pytest.approx(0.5, abs=0.05)
    assert run.finished and run.generator.sample(3).shape == (3, 1, 8, 8)


VARIANTS = [
    {},
    {"updates": "alternating", "k": 2},
    {"optimizer": "adam", "learning_rate": 1e-3, "ema": 0.9},
    {"loss": "minimax", "precision": "bf16", "noise": "gaussian"},
]


@pytest.mark.parametrize("fields", VARIANTS, ids=str)
def test_a_seed_gives_the_same_run_and_another_seed_another(tmp_path, fields):
    one = train(tiny(**fields), tmp_path / "1")
    torch.rand(3)  # whatever the caller drew in between
    assert_same(one, train(tiny(**fields), tmp_path / "2"))
    other = train(tiny(**fields, seed=1), tmp_path / "3")
    assert not torch.equal(weights(one)["G layers.0.weight"], weights(other)["G layers.0.weight"])


@pytest.mark.parametrize("fields", VARIANTS, ids=str)
@pytest.mark.parametrize("stop", [1, 6, 7])
def test_a_stopped_run_goes_on_as_if_it_had_not_been(tmp_path, monkeypatch, fields, stop):
    recipe = tiny(**fields)
    whole = train(recipe, tmp_path / "whole")
    monkeypatch.setattr(training, "SAVE_EVERY", 0.0)
    iteration = algorithm1.ITERATIONS[recipe.updates]
    monkeypatch.setitem(algorithm1.ITERATIONS, recipe.updates, Interrupt(iteration, stop))
    with pytest.raises(KeyboardInterrupt):
        train(recipe, tmp_path / "stopped")
    monkeypatch.setitem(algorithm1.ITERATIONS, recipe.updates, iteration)
    assert len(runs.Run.load(tmp_path / "stopped").history) == stop // (4 // recipe.k)
    assert_same(whole, train(recipe, tmp_path / "stopped"))


def test_a_larger_number_of_epochs_goes_on_from_where_it_was(tmp_path):
    train(tiny(epochs=2), tmp_path / "run")
    assert_same(train(tiny(epochs=4), tmp_path / "run"), train(tiny(epochs=4), tmp_path / "whole"))


def test_a_finished_run_is_loaded_not_trained_again_unless_asked(tmp_path, monkeypatch):
    run = train(tiny(), tmp_path / "run")
    with monkeypatch.context() as patch:
        patch.setitem(algorithm1.ITERATIONS, "simultaneous", None)
        assert_same(run, train(tiny(), tmp_path / "run"))
    before = (tmp_path / "run" / runs.RECORD).stat().st_mtime_ns
    train(tiny(), tmp_path / "run", overwrite=True)
    assert (tmp_path / "run" / runs.RECORD).stat().st_mtime_ns > before


def test_the_callers_random_numbers_are_left_alone(tmp_path):
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    train(tiny(epochs=1), tmp_path / "run")
    assert torch.equal(torch.rand(3), expected)


def test_the_average_of_gs_weights_is_what_the_run_samples_with(tmp_path, monkeypatch):
    path = []
    step = algorithm1.ITERATIONS["simultaneous"]

    def watch(players, minibatches):
        out = step(players, minibatches)
        path.append(players.generator.layers[0].weight.detach().clone())
        return out

    monkeypatch.setitem(algorithm1.ITERATIONS, "simultaneous", watch)
    quick = {"d_init": 0.5, "learning_rate": 1.0}
    run = train(tiny(ema=0.8, **quick), tmp_path / "run")
    assert (path[-1] - path[0]).abs().max() > 0.01
    average = path[0]
    for w in path[1:]:
        average = 0.8 * average + 0.2 * w
    torch.testing.assert_close(run.generator.layers[0].weight.detach(), average)
    plain = train(tiny(**quick), tmp_path / "plain")
    assert torch.equal(plain.generator.layers[0].weight, path[-1])  # and it does not change the game


def tiny_pytorch_gan(**fields):
    small = {"g_hidden": (16, 24), "g_activations": ("leaky_relu",) * 2, "d_hidden": (8,), "batch_size": 300}
    return gan.recipe("pytorch-gan", dataset="digits", **({"epochs": 2} | small | fields))


def test_the_average_has_batch_norms_statistics_as_they_are(tmp_path, monkeypatch):
    seen = []
    step = algorithm1.ITERATIONS["simultaneous"]

    def watch(players, minibatches):
        out = step(players, minibatches)
        seen.append(players.generator)
        return out

    monkeypatch.setitem(algorithm1.ITERATIONS, "simultaneous", watch)
    run = train(tiny_pytorch_gan(ema=0.9), tmp_path / "run")
    averaged, playing = dict(run.generator.named_buffers()), dict(seen[-1].named_buffers())
    assert averaged.keys() == playing.keys() and len(averaged) == 3  # mean, variance, how many
    assert all(torch.equal(averaged[key], playing[key]) for key in averaged)
    assert not torch.equal(run.generator.layers[0].weight, seen[-1].layers[0].weight)


@pytest.mark.parametrize("n", [1, 3])
def test_an_average_copies_what_is_no_weight(n):
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    average = training.Average(network, decay=0.5)
    for _ in range(n):
        network(torch.randn(9, 2))
        torch.nn.init.normal_(network[0].weight)
        average.update(network)
    assert all(map(torch.equal, average.module.buffers(), network.buffers()))
    assert torch.equal(average.module[0].weight, network[0].weight) == (n == 1)


@pytest.mark.parametrize("recipe", [tiny(epochs=1), tiny_pytorch_gan(epochs=1)], ids=["unit", "signed"])
def test_pixels_are_scaled_as_the_recipe_says(tmp_path, monkeypatch, recipe):
    seen = []
    step = algorithm1.ITERATIONS["simultaneous"]

    def watch(players, minibatches):
        seen.extend(minibatches)
        return step(players, minibatches)

    monkeypatch.setitem(algorithm1.ITERATIONS, "simultaneous", watch)
    train(recipe, tmp_path / "run")
    x = torch.cat(seen)
    unit = x if recipe.scaling == "unit" else (x + 1) / 2
    assert (x.min().item(), x.max().item()) == ((0 if recipe.scaling == "unit" else -1), 1)
    images = gan.data.load("digits").split(recipe.valid)[0]
    shown = unit.flatten(1).mul(255).round().to(torch.uint8).numpy()
    assert sorted(map(bytes, shown)) == sorted(map(bytes, images.reshape(len(images), 64)))


def test_a_run_with_batch_norm_is_resumed_and_published(tmp_path, monkeypatch):
    whole = train(tiny_pytorch_gan(ema=0.9), tmp_path / "whole")
    monkeypatch.setattr(training, "SAVE_EVERY", 0.0)
    train(tiny_pytorch_gan(ema=0.9, epochs=1), tmp_path / "run")
    assert_same(whole, train(tiny_pytorch_gan(ema=0.9), tmp_path / "run"))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "the best sigma")
        public = runs.publish(whole, "digits", root=tmp_path / "results")
    expected = [w.half().float() if w.is_floating_point() else w for w in weights(whole).values()]
    for ours, theirs in zip(weights(public).values(), expected, strict=True):
        assert torch.equal(ours, theirs)
    assert public.generator.sample(5, seed=0).min() >= 0


def test_every_update_has_the_schedules_rate_and_momentum(tmp_path, monkeypatch):
    seen = []
    step = algorithm1.ITERATIONS["simultaneous"]

    def watch(players, minibatches):
        for optimizer in (players.g_optimizer, players.d_optimizer):
            seen.append((optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["momentum"]))
        return step(players, minibatches)

    monkeypatch.setitem(algorithm1.ITERATIONS, "simultaneous", watch)
    recipe = tiny(epochs=3, learning_rate_decay=1.5, momentum_epochs=3)
    train(recipe, tmp_path / "run")
    expected = [(0.1 / 1.5**u, 0.5 + 0.1 * (u // 4)) for u in range(12) for _ in "GD"]
    assert recipe.learning_rate == 0.1
    np.testing.assert_allclose(seen, expected, rtol=1e-12)


def test_an_epoch_is_one_pass_over_the_data(tmp_path, monkeypatch):
    seen = []
    step = algorithm1.ITERATIONS["alternating"]

    def watch(players, minibatches):
        seen.extend(minibatches)
        return step(players, minibatches)

    monkeypatch.setitem(algorithm1.ITERATIONS, "alternating", watch)
    train(tiny(epochs=1, updates="alternating", k=2), tmp_path / "run")
    shown = torch.cat(seen).flatten(1).mul(255).round().to(torch.uint8).numpy()
    images = gan.data.load("digits").split(300)[0].reshape(1200, 64)
    assert [len(x) for x in seen] == [300] * 4
    assert sorted(map(bytes, shown)) == sorted(map(bytes, images))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"seed": 1}, ["seed = 0, not 1", "overwrite=True"]),
        ({"epochs": 3}, ["epochs = 4, not 3", "larger epochs"]),
        ({"loss": "minimax"}, ["loss = 'non_saturating', not 'minimax'"]),
    ],
)
def test_a_folder_with_another_recipe_is_refused_and_kept(tmp_path, fields, words):
    run = train(tiny(), tmp_path / "run")
    with pytest.raises(ValueError) as error:
        train(tiny(**fields), tmp_path / "run")
    assert "\n" not in str(error.value) and all(word in str(error.value) for word in words), error.value
    assert_same(run, runs.Run.load(tmp_path / "run"))


def test_folders_that_are_no_runs_are_refused_and_kept(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    for overwrite in (False, True):
        with pytest.raises(ValueError, match="files that are no run's"):
            train(tiny(), tmp_path / "mine", overwrite=overwrite)
    with pytest.raises(ValueError, match="is a file"):
        train(tiny(), tmp_path / "mine" / "thesis.txt")
    with pytest.raises(FileNotFoundError, match=r"is no run: it has no run\.json"):
        runs.Run.load(tmp_path / "mine")
    assert os.listdir(tmp_path / "mine") == ["thesis.txt"]


@pytest.mark.parametrize("name", [runs.RECORD, runs.CHECKPOINT])
def test_a_damaged_run_is_named(tmp_path, name):
    train(tiny(epochs=1), tmp_path / "run")
    (tmp_path / "run" / name).write_bytes(b"{ half")
    with pytest.raises(ValueError, match=f"{name} is damaged") as error:
        runs.Run.load(tmp_path / "run")
    assert "\n" not in str(error.value)
    assert train(tiny(epochs=1), tmp_path / "run", overwrite=True).finished


def test_a_folder_in_use_is_refused(tmp_path):
    (tmp_path / "run").mkdir()
    with (
        FileLock(tmp_path / "run" / ".lock"),
        pytest.raises(ValueError, match="being trained by another process"),
    ):
        train(tiny(), tmp_path / "run")


def test_a_batch_larger_than_the_data_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(ValueError, match=r"batch_size = 2000 .* digits has 1200"):
        train(tiny(batch_size=2000), tmp_path / "run")
    with pytest.raises(ValueError, match=r"batch_size = 700 with k = 2 needs 1400"):
        train(tiny(batch_size=700, k=2, updates="alternating"), tmp_path / "run")
    with pytest.raises(ValueError, match="device = 'gpu'"):
        gan.train(tiny(), tmp_path / "run", device="gpu")
    assert not (tmp_path / "run").exists()


def test_mnist_without_a_file_or_a_network_leaves_no_folder(tmp_path, monkeypatch):
    def no_network(scratch):
        raise RuntimeError("no network")

    monkeypatch.setitem(gan.data._DOWNLOADS, "mnist", no_network)
    with pytest.raises(FileNotFoundError, match=r"mnist\.npz"):
        train(gan.recipe("mnist"), tmp_path / "run", data_dir=tmp_path / "data")
    assert not (tmp_path / "run").exists()


def test_a_diverging_run_says_so_and_keeps_its_last_good_checkpoint(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "SAVE_EVERY", 0.0)
    train(tiny(epochs=2), tmp_path / "run")
    nothing = torch.full((len(algorithm1.STATISTICS),), float("nan"))
    monkeypatch.setitem(algorithm1.ITERATIONS, "simultaneous", lambda players, minibatches: nothing)
    with pytest.raises(FloatingPointError, match=r"epoch 3: .*no longer finite.*learning_rate than 0\.1"):
        train(tiny(epochs=3), tmp_path / "run")
    assert len(runs.Run.load(tmp_path / "run").history) == 2


def test_run_json_says_where_the_run_comes_from(tmp_path):
    run = train(tiny(), tmp_path / "run")
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record.keys() == {
        "recipe", "seeds", "versions", "device", "started", "seconds", "commit", "data_sha256", "engine",
    }  # fmt: skip
    assert runs.parse(record["recipe"]) == run.recipe
    assert record["versions"]["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert record["seconds"] == pytest.approx(run.history["seconds"].sum(), abs=0.1)
    assert "recipe digits · seed 0 · 4 epochs" in run.provenance()
    for commit, shown in (
        ("0123456789abcdef", "0123456789ab"),
        ("0123456789abcdef-dirty", "0123456789ab-dirty"),
    ):
        run.record["commit"] = commit
        assert run.provenance().endswith(f"commit {shown}")


def test_run_json_says_where_a_run_went_on_elsewhere(tmp_path, monkeypatch):
    train(tiny(epochs=1), tmp_path / "run")
    assert "resumed" not in train(tiny(epochs=2), tmp_path / "run").record
    monkeypatch.setattr(runs, "describe", lambda device: "another machine")
    train(tiny(epochs=3), tmp_path / "run")
    record = train(tiny(epochs=4), tmp_path / "run").record
    assert record["device"] != "another machine"
    (resumed,) = record["resumed"]
    assert (resumed["after_epoch"], resumed["device"]) == (2, "another machine")


def test_the_default_folder_names_what_differs_from_the_preset():
    assert str(runs.default_folder(gan.recipe("mnist"))) == "runs/mnist"
    recipe = gan.recipe("mnist", seed=2, epochs=3, g_hidden=(8, 8))
    assert str(runs.default_folder(recipe)) == "runs/mnist-g_hidden=_8_8_-epochs=3-seed=2"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return train(tiny(), tmp_path_factory.mktemp("runs") / "run")


@pytest.mark.filterwarnings("ignore:the best sigma")
def test_a_published_run_is_what_was_measured(finished, tmp_path):
    before = {key: w.clone() for key, w in weights(finished).items()}
    public = runs.publish(finished, "digits", root=tmp_path / "results")
    assert all(torch.equal(w, before[key]) for key, w in weights(finished).items())
    folder = tmp_path / "results" / "digits"
    names = ["discriminator.safetensors", "film.png", "generator.safetensors", "history.csv"]
    names += ["interpolation.png", "run.json", "samples.png"]
    assert sorted(os.listdir(folder)) == names and os.listdir(tmp_path / "results") == ["digits"]
    assert load_file(folder / "generator.safetensors")["layers.0.weight"].dtype == torch.float16
    # the weights are float16, the history is to six digits
    for key, w in weights(finished).items():
        assert torch.equal(weights(public)[key], w.half().float())
    pd.testing.assert_frame_equal(public.history, finished.history, rtol=1e-5)
    digits = gan.data.load("digits")
    estimate = gan.parzen.evaluate(public.generator, digits.split(300)[1], digits.x_test)
    parzen = public.record["metrics"]["parzen"]
    assert parzen["mean"] == pytest.approx(estimate.mean, abs=1e-6)
    assert parzen["split"] == "test" and parzen["n_samples"] == 10_000 and parzen["n_test"] == 297
    with Image.open(folder / "samples.png") as samples:
        assert samples.size == (10 * 9 - 1 + 2 + 8, 5 * 9 - 1)


@pytest.mark.filterwarnings("ignore:the best sigma")
def test_a_failed_publication_leaves_the_old_one(finished, tmp_path, monkeypatch):
    runs.publish(finished, "digits", root=tmp_path)
    before = (tmp_path / "digits" / "run.json").read_bytes()
    monkeypatch.setattr(gan.data, "figure2", lambda *a, **k: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        runs.publish(finished, "digits", root=tmp_path)
    assert (tmp_path / "digits" / "run.json").read_bytes() == before
    assert os.listdir(tmp_path) == ["digits"]


@pytest.mark.filterwarnings("ignore:the best sigma")
def test_weights_that_are_too_large_are_not_kept_and_it_says_so(finished, tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "LARGEST", 1000)
    public = runs.publish(finished, "digits", root=tmp_path)
    with pytest.raises(
        FileNotFoundError, match=r"no weights of the generator \(too large to publish\).*train digits"
    ):
        _ = public.generator
    assert len(public.history) == 4


def test_an_unfinished_run_is_not_published(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "SAVE_EVERY", 0.0)
    iteration = algorithm1.ITERATIONS["simultaneous"]
    monkeypatch.setitem(algorithm1.ITERATIONS, "simultaneous", Interrupt(iteration, 6))
    with pytest.raises(KeyboardInterrupt):
        train(tiny(), tmp_path / "run")
    with pytest.raises(ValueError, match="has 1 of 4 epochs"):
        runs.publish(runs.Run.load(tmp_path / "run"), "digits", root=tmp_path / "results")
    assert not (tmp_path / "results").exists()
