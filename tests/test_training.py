"""`gan.train` and the run's folder: repeatable, resumable, refusing, published whole."""

import copy
import dataclasses
import errno
import itertools
import json
import math
import os
import re
import shlex
import shutil
import signal
import subprocess
import warnings
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from filelock import FileLock
from PIL import Image
from safetensors.torch import load_file
from scipy import stats
from sklearn.neighbors import NearestNeighbors

import gan
from gan import algorithm1, durable, engine, keeping, parzen, runs, training
from gan.__main__ import main
from gan.book import figures, publishing

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


CONVOLUTIONAL = {
    "g_hidden": (16, 32), "g_deconv": (2, 2, 2), "g_init": 0.5,
    "d_conv": ((3, 2, 3, 1, 2, 2),), "d_init": 0.2,
}  # fmt: skip
VARIANTS = [
    {},
    {"updates": "alternating", "k": 2},
    {"optimizer": "adam", "learning_rate": 1e-3, "ema": 0.9},
    {"loss": "minimax", "precision": "bf16", "noise": "gaussian"},
    CONVOLUTIONAL | {"conv_rate": 0.25, "max_norm": 0.4},
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
    monkeypatch.setattr(keeping, "SAVE_EVERY", 0.0)
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
    before = (tmp_path / "run" / runs.CHECKPOINT).stat().st_mtime_ns
    train(tiny(), tmp_path / "run", overwrite=True)
    assert (tmp_path / "run" / runs.CHECKPOINT).stat().st_mtime_ns > before


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
    torch.testing.assert_close(run.generator.layers[0].weight.detach(), debiased(path, 0.8))
    plain = train(tiny(**quick), tmp_path / "plain")
    assert torch.equal(plain.generator.layers[0].weight, path[-1])  # and it does not change the game


def debiased(path, decay):
    """The exponential average of ``path``, its weights made to sum to 1."""
    shares = [decay**age for age in reversed(range(len(path)))]
    return sum(share * w for share, w in zip(shares, path, strict=True)) / sum(shares)


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
    averages = keeping.Averages(network, [0.5])
    for _ in range(n):
        network(torch.randn(9, 2))
        torch.nn.init.normal_(network[0].weight)
        averages.follow()
    assert all(map(torch.equal, averages[0.5].buffers(), network.buffers()))
    assert torch.equal(averages[0.5][0].weight, network[0].weight) == (n == 1)


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


def test_d_sees_each_normalised_image_once(tmp_path, monkeypatch):
    seen = []
    step = algorithm1.ITERATIONS["simultaneous"]

    def watch(players, minibatches):
        seen.extend(minibatches)
        return step(players, minibatches)

    monkeypatch.setitem(algorithm1.ITERATIONS, "simultaneous", watch)
    train(tiny(epochs=1, scaling="gcn", g_output="linear"), tmp_path / "run")
    images = gan.data.load("digits").split(300)[0].reshape(1200, 64) / 255
    centred = images - images.mean(1, keepdims=True)
    expected = 55 * centred / np.linalg.norm(centred, axis=1, keepdims=True)
    distances, which = NearestNeighbors(n_neighbors=1).fit(expected).kneighbors(torch.cat(seen).flatten(1))
    assert distances.max() < 1e-3 and sorted(which[:, 0]) == list(range(1200))


def test_a_run_with_batch_norm_is_resumed_and_published(tmp_path, monkeypatch):
    whole = train(tiny_pytorch_gan(ema=0.9), tmp_path / "whole")
    monkeypatch.setattr(keeping, "SAVE_EVERY", 0.0)
    train(tiny_pytorch_gan(ema=0.9, epochs=1), tmp_path / "run")
    assert_same(whole, train(tiny_pytorch_gan(ema=0.9), tmp_path / "run"))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "the best sigma")
        public = publishing.publish(whole, "digits", root=tmp_path / "results")
    for ours, theirs in zip(weights(public).values(), weights(whole).values(), strict=True):
        assert_rounded(ours, theirs)
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


@pytest.mark.parametrize("adam", [False, True])
def test_convolutional_layers_move_at_their_own_rate_and_the_others_as_ever(adam):
    """After one update; a first step of SGD or Adam is proportional to the rate."""
    cpu, images, moved = torch.device("cpu"), gan.data.load("digits").x_train, {}
    x = gan.data.resident(images, cpu)
    for share in (1.0, 0.25):
        fields = CONVOLUTIONAL | {"conv_rate": share} | ({"optimizer": "adam"} if adam else {})
        recipe = gan.recipe("digits", **fields)
        torch.manual_seed(0)
        players = training.make_players(recipe, images, cpu)
        before = {k: w.clone() for k, w in named(players)}
        iterate = partial(algorithm1.simultaneous, players)
        next(training.updates(iterate, players, recipe, x, epoch=1))
        moved[share] = {k: w - before[k] for k, w in named(players)}
    slow = {k for k in before if k.startswith("discriminator.layers.1.") or before[k].ndim >= 3}
    assert len(slow) == 4 < len(before) == 14
    for k in before:
        times = 0.25 if k in slow else 1
        assert moved[1.0][k].abs().max() > 2e-5, (k, moved[1.0][k].abs().max())
        torch.testing.assert_close(moved[0.25][k], times * moved[1.0][k], rtol=1e-3, atol=2e-6, msg=k)


def named(players):
    for player in ("generator", "discriminator"):
        for k, w in getattr(players, player).named_parameters():
            yield f"{player}.{k}", w.detach()


@pytest.mark.parametrize(
    ("batch_size", "k", "sizes"),
    [(300, 2, [300] * 4), (500, 1, [500, 500, 200]), (500, 2, [500, 500]), (220, 3, [220] * 5 + [100])],
)
def test_an_epoch_is_one_pass_over_the_data(tmp_path, monkeypatch, batch_size, k, sizes):
    """Its last minibatch may be smaller; an iteration that has not all its k is left out."""
    seen = []
    step = algorithm1.ITERATIONS["alternating"]

    def watch(players, minibatches):
        assert len(minibatches) == k
        seen.extend(minibatches)
        return step(players, minibatches)

    monkeypatch.setitem(algorithm1.ITERATIONS, "alternating", watch)
    run = train(tiny(epochs=1, updates="alternating", k=k, batch_size=batch_size), tmp_path / "run")
    shown = torch.cat(seen).flatten(1).mul(255).round().to(torch.uint8).numpy()
    images = gan.data.load("digits").split(300)[0].reshape(1200, 64)
    assert [len(x) for x in seen] == sizes
    assert not Counter(map(bytes, shown)) - Counter(map(bytes, images))
    assert (len(shown) == 1200) == (sum(sizes) == 1200)
    assert training.iterations(run.recipe, range(1200)) * k == len(sizes)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"seed": 1}, ["seed = 0, not 1", "overwrite=True"]),
        ({"epochs": 3}, ["epochs = 4, not 3", "choose another folder"]),
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
    with pytest.raises(ValueError, match=f"{name} is damaged .*train again: .* overwrite=True") as error:
        runs.Run.load(tmp_path / "run")
    assert "\n" not in str(error.value)
    assert train(tiny(epochs=1), tmp_path / "run", overwrite=True).finished


@pytest.mark.parametrize(
    "failure",
    [
        PermissionError(13, "Permission denied", "the file"),
        OSError(5, "Input/output error", "the file"),
        RuntimeError("unable to mmap 9 bytes from file <the file>: Cannot allocate memory (12)"),
    ],
    ids=str,
)
@pytest.mark.parametrize("name", [runs.RECORD, runs.CHECKPOINT])
def test_what_cannot_be_read_is_not_called_damaged(tmp_path, monkeypatch, name, failure):
    def fail(*_, **__):
        raise failure

    run = train(tiny(epochs=1), tmp_path / "run")
    with monkeypatch.context() as patch:
        if name == runs.CHECKPOINT:
            patch.setattr(torch, "load", fail)
        elif isinstance(failure, OSError):
            patch.setattr("pathlib.Path.open", fail)
        else:
            return
        with pytest.raises(OSError, match=f"{name} can.t be read") as error:
            runs.Run.load(tmp_path / "run")
    assert "damaged" not in str(error.value) and "\n" not in str(error.value)
    assert_same(run, runs.Run.load(tmp_path / "run"))


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

    monkeypatch.setitem(gan.data.DOWNLOADS, "mnist", no_network)
    with pytest.raises(FileNotFoundError, match=r"mnist\.npz"):
        train(gan.recipe("mnist"), tmp_path / "run", data_dir=tmp_path)
    assert not (tmp_path / "run").exists()


def infinite_gradient(players):
    bias = next(w for name, w in players.discriminator.named_parameters() if name.endswith("bias"))
    bias.grad[1] = -math.inf
    bias.data[1] = -math.inf  # as a move makes it; behind a maximum over pieces all losses stay finite


def fill(tensor, value):
    tensor.view(-1)[1] = value


TROUBLES = {
    r"g_loss is NaN": lambda players: torch.tensor([1, math.nan, 1, 1, 1]),
    r"discriminator\.layers\.2\.linear\.bias's gradient is infinite": infinite_gradient,
    r"generator\.layers\.0\.weight is NaN": lambda players: fill(
        players.generator.layers[0].weight.data, math.nan
    ),
    r"generator\.layers\.0\.weight's momentum_buffer is infinite": lambda players: fill(
        players.g_optimizer.state[players.generator.layers[0].weight]["momentum_buffer"], math.inf
    ),
}


@pytest.mark.parametrize("words", TROUBLES)
def test_a_diverging_run_names_the_tensor_and_keeps_its_last_good_checkpoint(tmp_path, monkeypatch, words):
    """An epoch has four updates; the second of epoch 3 is bad, and so it is when it is played again."""
    train(tiny(epochs=2), tmp_path / "run")
    good, calls = lasting(tmp_path / "run"), []
    iteration = algorithm1.ITERATIONS["simultaneous"]

    def step(players, minibatches):
        found = iteration(players, minibatches)
        calls.append(1)
        bad = TROUBLES[words](players) if len(calls) in (2, 4) else None
        return found if bad is None else bad

    monkeypatch.setitem(algorithm1.ITERATIONS, "simultaneous", step)
    monkeypatch.setattr(training, "LOOK_EVERY", 0.0)
    monkeypatch.setattr(keeping, "SAVE_EVERY", 1e9)
    expected = (
        rf"^{words} at update 10 \(epoch 3\): what was saved before stays; learning_rate=0\.05 may help$"
    )
    with pytest.raises(FloatingPointError, match=expected):
        train(tiny(epochs=3), tmp_path / "run")
    assert lasting(tmp_path / "run") == good and len(calls) == 4


def test_the_update_that_diverged_is_found_by_playing_it_again(tmp_path):
    """Looks come once a second and at an epoch's end; the message is of the update itself."""
    recipe = tiny(learning_rate=1e30, batch_size=20)
    for at in (None, 0.0):
        with pytest.MonkeyPatch.context() as patch:
            if at is not None:  # a look after each update
                patch.setattr(training, "LOOK_EVERY", at)
            with pytest.raises(FloatingPointError) as error:
                train(recipe, tmp_path / "run")
        (said,) = re.findall(r"^(\S+ is \w+ at update \d+) \(epoch 1\): ", str(error.value))
        if at is None:
            first = said
    assert first == said and int(said.split()[-1]) < 10
    assert "learning_rate=5e+29" in str(error.value) and not (tmp_path / "run").exists()
    assert train(tiny(learning_rate=0.05), tmp_path / "run").finished


def test_large_numbers_are_no_trouble(tmp_path):
    """Whose norm overflows, which is what is looked at first."""

    def grow(epoch, game):
        game.generator.layers[0].weight.data *= 1e25
        assert game.trouble() == ""
        game.generator.layers[0].weight.data[0, 0] = math.inf
        assert game.trouble() == "generator.layers.0.weight is infinite"
        game.generator.layers[0].weight.data.fill_(0)

    train(tiny(epochs=1), tmp_path / "run", after_epoch=grow)


# Signals


@pytest.fixture
def heard():
    """Ctrl-C and a hang-up are not ignored, as they are where the tests run in the background."""
    usual = {signal.SIGINT: signal.default_int_handler, signal.SIGHUP: signal.SIG_DFL}
    before = {number: signal.signal(number, handler) for number, handler in usual.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def signalled(recipe, out, at, number=signal.SIGTERM, **options):
    """Train; the signal comes within the ``at``-th update that this process makes. Returns the exit code."""
    iteration, left = algorithm1.ITERATIONS[recipe.updates], [at]

    def step(players, minibatches):
        left[0] -= 1
        if not left[0]:
            signal.raise_signal(number)
        return iteration(players, minibatches)

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(algorithm1.ITERATIONS, recipe.updates, step)
        with pytest.raises((KeyboardInterrupt, SystemExit)) as stopped:
            train(recipe, out, **options)
    assert left == [0]  # the update that was under way was the last
    return getattr(stopped.value, "code", 130)


def assert_same_state(run, other):
    """All that a checkpoint holds, bit for bit, but for the times."""

    def flat(x, path=""):
        if isinstance(x, dict | list):
            items = x.items() if isinstance(x, dict) else enumerate(x)
            return {name: w for key, value in items for name, w in flat(value, f"{path}/{key}").items()}
        return {} if path.endswith("seconds") else {path: x}

    ours, theirs = (flat(runs.Run.load(one.folder).state) for one in (run, other))
    assert ours.keys() == theirs.keys() and len(ours) > 20
    for key, x in ours.items():
        assert torch.equal(x, theirs[key]) if isinstance(x, torch.Tensor) else x == theirs[key], key


RICH = {
    "optimizer": "adam",
    "learning_rate": 1e-3,
    "ema": 0.9,
    "batch_size": 250,
}  # 5 updates, the last smaller


@pytest.mark.parametrize(
    ("fields", "at"),
    [({}, 2), ({}, 4), ({}, 6), ({}, 16), ({"updates": "alternating", "k": 2}, 3), (RICH, 7), (RICH, 10)],
    ids=str,
)
def test_a_signal_lets_the_update_end_and_the_run_goes_on_bit_for_bit(tmp_path, fields, at):
    recipe = tiny(**fields)
    whole = train(recipe, tmp_path / "whole", averages=[0.5])
    assert signalled(recipe, tmp_path / "run", at, averages=[0.5]) == 143
    n = training.iterations(recipe, range(1200))
    there = {name: (tmp_path / "run" / name).exists() for name in (runs.CHECKPOINT, runs.WITHIN)}
    assert there == {runs.CHECKPOINT: True, runs.WITHIN: at > n and at % n > 0}
    shown = gan.Run.load(tmp_path / "run")
    assert len(shown.history) == (
        at // n if at % n == 0 else min(1, at // n)
    )  # the first end is always saved
    if shown.finished:
        return
    run = train(recipe, tmp_path / "run", averages=[0.5])
    assert_same(run, whole)
    assert_same_state(run, whole)
    assert "resumed" not in run.record and not (tmp_path / "run" / runs.WITHIN).exists()


def test_a_run_is_read_as_far_as_a_signal_saved_it(tmp_path, monkeypatch):
    """Not before whole epochs, nor of another training, nor where the networks are not the history's."""
    monkeypatch.setattr(keeping, "SAVE_EVERY", math.inf)
    folder, recipe = tmp_path / "run", staged(second_stage_after=3, epochs=6)
    train(recipe.model_copy(update={"epochs": 1}), folder)
    seen = []
    for at in (3, 4, 4, 4):  # of an epoch's 4 updates 3 are done, each time
        signalled(recipe, folder, at)
        run = gan.Run.load(folder)
        seen.append((run.file, len(run.history), len(run.generator.layers)))
        assert run.finished == (len(seen) == 1)
    ends, within = runs.CHECKPOINT, runs.WITHIN
    assert seen == [(ends, 1, 6), (within, 2, 6), (ends, 3, 6), (within, 4, 10)]
    assert run.record["updates_beyond"] == 3
    shutil.copy2(folder / within, tmp_path)
    train(staged(epochs=1, seed=1), folder, overwrite=True)
    shutil.copy2(tmp_path / within, folder)  # as a kill may have left it
    assert len(gan.Run.load(folder).history) == 1


@pytest.mark.parametrize("at", [10, 13])
def test_a_signal_in_the_second_stage_and_one_after_another(tmp_path, at):
    whole = train(staged(ema=0.5), tmp_path / "whole")
    for each in (3, at - 3):
        signalled(staged(ema=0.5), tmp_path / "run", each)
    assert_same_state(train(staged(ema=0.5), tmp_path / "run"), whole)


@pytest.mark.usefixtures("heard")
@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_signals_exit_code_is_a_shells_and_handlers_are_put_back(tmp_path, capsys, name, code):
    number = getattr(signal, name)
    before = signal.getsignal(number)
    assert signalled(tiny(), tmp_path / "run", 2, number) == code
    assert signal.getsignal(number) is before
    arguments = ["train", "digits", "-p", "epochs", "1", "--device", "cpu", "--out", str(tmp_path / "other")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "steps", lambda game, engine: signal.raise_signal(number) or iter(()))
        assert main(arguments) == code
    assert "stopped; the same command" in capsys.readouterr().err


@pytest.mark.usefixtures("heard")
def test_a_second_ctrl_c_is_obeyed_at_once_and_an_ignored_signal_is_not(tmp_path, monkeypatch):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        iteration, calls = algorithm1.ITERATIONS["simultaneous"], []

        def step(players, minibatches):
            calls.append(1)
            signal.raise_signal(signal.SIGHUP)  # as under nohup
            if len(calls) == 3:
                signal.raise_signal(signal.SIGINT)
                signal.raise_signal(signal.SIGINT)
                pytest.fail("was not obeyed")
            return iteration(players, minibatches)

        monkeypatch.setitem(algorithm1.ITERATIONS, "simultaneous", step)
        with pytest.raises(KeyboardInterrupt):
            train(tiny(), tmp_path / "run")
    finally:
        signal.signal(signal.SIGHUP, before)
    assert not (tmp_path / "run").exists()


def test_in_a_thread_signals_are_left_alone(tmp_path):
    with ThreadPoolExecutor() as pool:
        assert pool.submit(train, tiny(epochs=1), tmp_path / "run").result().finished


# Faults


def damage(path, how):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 16
    path.write_bytes({"flipped": content, "cut": content[:999], "empty": b""}[how])


@pytest.mark.parametrize("how", ["flipped", "cut", "empty"])
def test_train_alone_goes_on_from_the_checkpoint_before_a_damaged_one(tmp_path, how):
    whole, short = train(tiny(), tmp_path / "whole"), tiny(epochs=2)
    train(short, tmp_path / "run")
    assert {runs.CHECKPOINT, runs.BEFORE} < {*os.listdir(tmp_path / "run")}
    damage(tmp_path / "run" / runs.CHECKPOINT, how)
    words = r"checkpoint\.pt is damaged \(.*\): put back a copy, or train again"
    for read in (runs.Run.load, keeping.beginning):
        with pytest.raises(ValueError, match=words) as error:
            read(tmp_path / "run", *([tiny(), None] if read is keeping.beginning else []))
        assert "\n" not in str(error.value)
    with pytest.warns(
        UserWarning, match=r"is damaged \(.*\): going on from checkpoint\.before\.pt, 1 epochs"
    ):
        assert_same_state(train(tiny(), tmp_path / "run"), whole)


def test_a_damaged_checkpoint_from_within_an_epoch_is_passed_over(tmp_path):
    whole = train(tiny(), tmp_path / "whole")
    signalled(tiny(), tmp_path / "run", 6)
    damage(tmp_path / "run" / runs.WITHIN, "flipped")
    words = r"within\.pt is damaged .* going on from checkpoint\.pt, 1 epochs"
    with pytest.warns(UserWarning, match=words):
        assert len(gan.Run.load(tmp_path / "run").history) == 1
    with pytest.warns(UserWarning, match=words):
        assert_same_state(train(tiny(), tmp_path / "run"), whole)


def test_where_nothing_is_whole_it_says_so_and_writes_nothing(tmp_path):
    train(tiny(epochs=2), tmp_path / "run")
    for name in (runs.CHECKPOINT, runs.BEFORE):
        damage(tmp_path / "run" / name, "flipped")
    before = lasting(tmp_path / "run")
    with pytest.raises(
        ValueError, match=r"checkpoint\.pt is damaged .*train again: .* overwrite=True"
    ) as error:
        train(tiny(), tmp_path / "run")
    assert "\n" not in str(error.value) and lasting(tmp_path / "run") == before


def test_a_checkpoint_of_another_run_is_not_taken_for_this_ones(tmp_path):
    for seed in (0, 1):
        train(tiny(epochs=1, seed=seed), tmp_path / str(seed))
    state = torch.load(tmp_path / "1" / runs.CHECKPOINT, weights_only=True)
    state["record"]["started"] = "2014-06-10T00:00:00+00:00"
    with durable.sealed(tmp_path / "0" / runs.CHECKPOINT) as file:
        torch.save(state, file)
    with pytest.raises(ValueError, match=r"run\.json and checkpoint\.pt are of two runs"):
        runs.Run.load(tmp_path / "0")
    with pytest.raises(ValueError, match=r"holds another run \(seed = 1, not 0\)"):
        train(tiny(epochs=1), tmp_path / "0")


def test_a_kill_before_run_json_is_written_is_put_right(tmp_path, monkeypatch):
    whole = train(tiny(epochs=1), tmp_path / "whole")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(keeping, "tell_readers", Interrupt(None, 0))
        patch.setattr(Interrupt, "__call__", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        train(tiny(epochs=1), tmp_path / "run")
    assert sorted(os.listdir(tmp_path / "run")) == ["checkpoint.pt"]
    assert runs.Run.load(tmp_path / "run").finished
    assert_same(train(tiny(epochs=1), tmp_path / "run"), whole)
    assert sorted(os.listdir(tmp_path / "run")) == ["checkpoint.pt", "history.csv", "run.json"]


class Full:
    """A disk that is full for a while: ``fails`` says of each file whether it can't be brought to it."""

    def __init__(self, fails):
        self.fails, self.count = fails, 0

    def __call__(self, number):
        self.count += 1
        if self.fails(self.count):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_disk_that_is_full_for_a_while_costs_nothing_but_a_warning(tmp_path, monkeypatch):
    whole = train(tiny(), tmp_path / "whole")
    monkeypatch.setattr(keeping, "SAVE_EVERY", 0.0)
    monkeypatch.setattr(durable.os, "fsync", Full(lambda n: 1 < n < 7))
    with pytest.warns(
        UserWarning, match=r"can't be written \(No space left on device\): .* goes on, and tries again"
    ):
        assert_same_state(train(tiny(), tmp_path / "run"), whole)


def test_a_disk_that_stays_full_keeps_what_was_saved(tmp_path, monkeypatch):
    train(tiny(epochs=2), tmp_path / "run")
    before = lasting(tmp_path / "run")
    with monkeypatch.context() as patch:
        patch.setattr(durable.os, "fsync", Full(lambda n: True))
        with pytest.raises(
            OSError, match=r"checkpoint\.pt can't be written \(No space left on device\): what was"
        ) as e:
            train(tiny(epochs=3), tmp_path / "run")
    assert "\n" not in str(e.value)
    assert lasting(tmp_path / "run") == before
    assert_same(train(tiny(epochs=3), tmp_path / "run"), train(tiny(epochs=3), tmp_path / "whole"))


@pytest.mark.parametrize("then", ["nothing", "another folder of that name"])
def test_a_folder_that_is_removed_meanwhile_is_left_alone(tmp_path, then):
    def remove(epoch, game):
        if epoch == 2:
            shutil.rmtree(tmp_path / "run")
            if then != "nothing":
                (tmp_path / "run").mkdir()
                (tmp_path / "run/.lock").touch()

    with pytest.raises(
        OSError, match=r"run can't be written \(it is no longer the folder that was taken\)"
    ) as error:
        train(tiny(), tmp_path / "run", after_epoch=remove)
    assert "\n" not in str(error.value)
    assert (tmp_path / "run").exists() == (then != "nothing")


def test_a_folder_that_can_not_be_written_is_one_line(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr("pathlib.Path.mkdir", refuse)
    with pytest.raises(OSError, match="Read-only file system"):
        train(tiny(), tmp_path / "run")


def test_a_clock_that_jumps_changes_nothing(tmp_path, monkeypatch):
    times = itertools.cycle([1e9, -5e9, 4e9])
    monkeypatch.setattr("time.time", lambda: next(times))
    run = train(tiny(), tmp_path / "run")
    assert 0 <= run.record["seconds"] < 100 and run.history["seconds"].min() >= 0


# The folder


def lasting(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != ".lock"}


@pytest.fixture
def old(tmp_path):
    """A finished run."""
    return train(tiny(epochs=2), tmp_path / "run").folder


@pytest.mark.parametrize("stop", [0, 3])
def test_overwriting_keeps_the_old_run_until_the_new_one_has_a_checkpoint(old, monkeypatch, stop):
    before, epoch = lasting(old), algorithm1.ITERATIONS["simultaneous"]
    monkeypatch.setitem(algorithm1.ITERATIONS, "simultaneous", Interrupt(epoch, stop))
    with pytest.raises(KeyboardInterrupt):
        train(tiny(seed=1), old, overwrite=True)
    assert lasting(old) == before


def test_an_overwritten_run_goes_when_the_new_one_has_a_checkpoint(old, monkeypatch):
    seen = []

    def look(epoch, game):
        there, run = sorted({*os.listdir(old)} - {".lock"}), runs.Run.load(old)
        seen.append((there, run.recipe.seed, len(run.history)))

    monkeypatch.setattr(keeping, "SAVE_EVERY", 0.0)
    monkeypatch.setattr(keeping.Checkpoints, "due", lambda self, end: end)
    (old / runs.BEFORE).write_bytes(b"older")
    shutil.copy(old / runs.CHECKPOINT, old / runs.WITHIN)
    (old / runs.BEST).write_bytes(b"of the old run")
    new = train(tiny(epochs=3, seed=1), old, overwrite=True, after_epoch=look)
    names = ["checkpoint.pt", "history.csv", "run.json"]
    before = ["best.safetensors", runs.BEFORE, "checkpoint.pt", runs.WITHIN, *names[1:]]
    assert seen == [(before, 0, 2), (names, 1, 1), ([runs.BEFORE, *names], 1, 2)]
    assert_same(new, train(tiny(epochs=3, seed=1), old.parent / "plain"))


@pytest.mark.parametrize(
    ("fields", "options"),
    [
        ({"batch_size": 2000}, {}),
        ({}, {"device": "gpu"}),
        ({}, {"engine": "fast"}),
        ({}, {"averages": [1.0]}),
        ({}, {"start": "nowhere"}),
        ({"noise_size": 2**31 - 1, "g_hidden": (2**31 - 1, 16)}, {}),
    ],
)
def test_what_is_refused_overwrites_nothing_and_leaves_no_folder(old, fields, options):
    before = lasting(old)
    for folder in (old, old.parent / "new"):
        with pytest.raises((ValueError, OSError, MemoryError)) as error:
            gan.train(tiny(**fields), folder, overwrite=True, progress=False, **{"device": "cpu"} | options)
        assert "\n" not in str(error.value)
    assert lasting(old) == before and os.listdir(old.parent) == ["run"]


def test_too_large_networks_are_one_line_and_other_errors_are_themselves():
    cpu = torch.device("cpu")
    for words in ("can't allocate memory", "CUDA out of memory.\nTried", "Storage size of"):
        with pytest.raises(MemoryError, match="too little memory") as error, engine.enough_memory(cpu):
            raise RuntimeError(words)
        assert "\n" not in str(error.value)
    with pytest.raises(RuntimeError, match="another"), engine.enough_memory(cpu):
        raise RuntimeError("another")


def test_a_run_without_a_finished_epoch_gives_way_to_any_other(tmp_path, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setitem(algorithm1.ITERATIONS, "simultaneous", Interrupt(None, 0))
        train(tiny(), tmp_path / "run")
    assert not (tmp_path / "run").exists()
    (tmp_path / "run").mkdir()
    (tmp_path / "run/.checkpoint.pt.part").write_text("half")
    assert train(tiny(seed=1, epochs=1), tmp_path / "run").recipe.seed == 1
    assert sorted(os.listdir(tmp_path / "run")) == ["checkpoint.pt", "history.csv", "run.json"]


def test_a_run_whose_checkpoint_is_gone_says_how_it_is_made_again(tmp_path):
    recipe = tiny(epochs=1)
    run = train(recipe, tmp_path / "the run")
    weights(run), (run.folder / runs.CHECKPOINT).unlink()
    for epochs in (1, 2):
        with pytest.raises(ValueError, match=r"has no checkpoint\.pt: use overwrite=True"):
            train(tiny(epochs=epochs), run.folder)
    with pytest.raises(FileNotFoundError, match=r"no weights of the generator") as error:
        runs.Run.load(run.folder).estimate()
    (command,) = re.findall("`python -m gan (.*)` makes them", str(error.value))
    assert main([*shlex.split(command), "--out", str(run.folder), "--overwrite"]) == 0
    assert_same(run, runs.Run.load(run.folder))


def other_data(monkeypatch):
    digits = gan.data.load("digits")
    inverted = dataclasses.replace(digits, x_train=255 - digits.x_train)
    monkeypatch.setitem(gan.data.MADE, "digits", lambda: inverted)


@pytest.mark.parametrize("how", ["train", "longer", "from", "estimate", "evaluate", "publish", "publish ema"])
def test_other_data_than_a_run_saw_is_refused_wherever_both_are_read(tmp_path, monkeypatch, capsys, how):
    run = train(tiny(epochs=1), tmp_path / "run", averages=[0.5])
    before = lasting(run.folder)
    run.estimate(), run.estimate(decay=0.5)
    other_data(monkeypatch)
    root = tmp_path / "results"
    calls = {
        "train": lambda: train(tiny(epochs=1), run.folder),
        "longer": lambda: train(tiny(epochs=2), run.folder),
        "from": lambda: train(tiny(epochs=2), tmp_path / "on", start=run.folder),
        "estimate": lambda: run.estimate(decay=0.5, split="valid"),
        "evaluate": lambda: main(["evaluate", str(run.folder)]),
        "publish": lambda: publishing.publish(run, "x", root=root, weights="none", unfinished=True),
        "publish ema": lambda: publishing.publish(run, "x", root=root, ema=0.5),
    }
    if how == "evaluate":
        assert calls[how]() == 2
        said = capsys.readouterr().err
        assert "; data_dir=FOLDER says where" in said
    else:
        with pytest.raises(ValueError) as error:
            calls[how]()
        said = str(error.value)
    assert f"{run.folder} was trained on other digits data than is loaded here" in said
    assert sorted(os.listdir(tmp_path)) == ["run"] and lasting(run.folder) == before


@pytest.mark.parametrize("decay", [1.0, 1.5, -0.1, math.nan])
def test_a_decay_that_is_none_is_refused_before_anything_is_written(tmp_path, decay):
    with pytest.raises(ValueError, match=f"averages = {decay}: a decay is at least 0 and less than 1"):
        train(tiny(), tmp_path / "run", averages=[0.5, decay])
    assert not (tmp_path / "run").exists()


def test_a_finished_run_without_an_average_that_is_asked_for_says_so(tmp_path):
    train(tiny(epochs=1), tmp_path / "run", averages=[0.5])
    assert train(tiny(epochs=1), tmp_path / "run", averages=[0, 0.5]).finished
    with pytest.raises(ValueError, match=r"no average of decay 0\.9; it has \[0\.0, 0\.5\]"):
        train(tiny(epochs=1), tmp_path / "run", averages=[0.9])
    assert train(tiny(epochs=2), tmp_path / "run", averages=[0.9]).averaged(0.9)


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.filterwarnings("ignore:the best sigma")
def test_a_published_run_is_not_trained_in_place(tmp_path, overwrite):
    run = train(tiny(epochs=1), tmp_path / "run")
    public = publishing.publish(run, "x", root=tmp_path / "results")
    before = lasting(public.folder)
    words = "holds a published run: choose another" if overwrite else "start=(.*) elsewhere$"
    with pytest.raises(ValueError, match=words):
        train(tiny(epochs=2), public.folder, overwrite=overwrite)
    assert lasting(public.folder) == before
    assert train(tiny(epochs=2), tmp_path / "on", start=public.folder).finished  # as it says
    assert_same(public, train(tiny(epochs=1), public.folder))


def git(folder, *arguments):
    command = ["git", "-C", folder, "-c", "user.name=n", "-c", "user.email=e@localhost", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.skipif(not shutil.which("git"), reason="needs git")
def test_a_commit_is_that_of_a_repository_that_tracks_this_code(tmp_path, monkeypatch):
    """And not that of one in which it only lies: installed into .venv, or unpacked from a zip."""
    git(tmp_path, "init")
    (tmp_path / "thesis.txt").write_text("years of work")
    git(tmp_path, "add", "thesis.txt")
    git(tmp_path, "commit", "-m", "Begin")
    package = tmp_path / "site-packages" / "gan"
    package.mkdir(parents=True)
    shutil.copy(runs.__file__, package)
    monkeypatch.setattr(runs, "__file__", str(package / "runs.py"))
    assert runs.commit() is None
    (tmp_path / ".gitignore").write_text("site-packages\n")
    assert runs.commit() is None
    git(tmp_path, "add", "--force", "site-packages")
    git(tmp_path, "commit", "-m", "Keep gan, too")
    head = git(tmp_path, "rev-parse", "HEAD")
    assert runs.commit() == head
    (package / "runs.py").write_text("changed")
    assert runs.commit() == f"{head}-dirty"


def test_run_json_says_where_the_run_comes_from(tmp_path):
    run = train(tiny(), tmp_path / "run")
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record.keys() == {
        "recipe", "seeds", "versions", "device", "started", "seconds", "commit", "data_sha256", "engine",
        "shape",
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
    public = publishing.publish(finished, "digits", root=tmp_path / "results")
    assert all(torch.equal(w, before[key]) for key, w in weights(finished).items())
    folder = tmp_path / "results" / "digits"
    names = ["SHA256SUMS", "discriminator.safetensors", "film.png", "generator.safetensors", "history.csv"]
    names += ["interpolation.png", "run.json", "samples.png"]
    assert sorted(os.listdir(folder)) == names
    assert sorted(os.listdir(tmp_path / "results")) == ["digits", "started.csv"]
    assert load_file(folder / "generator.safetensors")["layers.0.weight"].dtype == torch.int8
    # the weights have 8 bits, the history six digits
    for key, w in weights(finished).items():
        assert_rounded(weights(public)[key], w)
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
    publishing.publish(finished, "digits", root=tmp_path)
    before = (tmp_path / "digits" / "run.json").read_bytes()
    monkeypatch.setattr(figures, "with_neighbours", lambda *a, **k: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        publishing.publish(finished, "digits", root=tmp_path, replace=True)
    assert (tmp_path / "digits" / "run.json").read_bytes() == before
    assert sorted(os.listdir(tmp_path)) == ["digits", "started.csv"]


@pytest.mark.filterwarnings("ignore:the best sigma")
def test_weights_that_are_too_large_are_not_kept_and_it_says_so(finished, tmp_path, monkeypatch):
    monkeypatch.setattr(publishing, "LARGEST", 1000)
    public = publishing.publish(finished, "digits", root=tmp_path)
    with pytest.raises(FileNotFoundError, match=r"no weights of the generator: .*train digits"):
        _ = public.generator
    assert len(public.history) == 4


def test_an_unfinished_run_is_not_published(tmp_path, monkeypatch):
    monkeypatch.setattr(keeping, "SAVE_EVERY", 0.0)
    iteration = algorithm1.ITERATIONS["simultaneous"]
    monkeypatch.setitem(algorithm1.ITERATIONS, "simultaneous", Interrupt(iteration, 6))
    with pytest.raises(KeyboardInterrupt):
        train(tiny(), tmp_path / "run")
    with pytest.raises(ValueError, match="has 1 of 4 epochs"):
        publishing.publish(runs.Run.load(tmp_path / "run"), "digits", root=tmp_path / "results")
    assert not (tmp_path / "results").exists()


# Two stages


def staged(**fields):
    """4 iterations an epoch, two epochs in the first stage."""
    small = {"g_front": (12, 20), "g_front_activations": ("relu", "sigmoid"), "second_stage_after": 2}
    return tiny(**({"epochs": 4, "d_init": 0.3, "learning_rate": 0.5} | small | fields))


def watch(monkeypatch, see):
    """``see`` (players) before each iteration."""
    iteration = algorithm1.ITERATIONS["simultaneous"]

    def step(players, minibatches):
        see(players)
        return iteration(players, minibatches)

    monkeypatch.setitem(algorithm1.ITERATIONS, "simultaneous", step)


def test_the_second_stage_begins_with_gs_learned_layers_behind_new_ones_and_a_new_d(tmp_path, monkeypatch):
    started = []

    def see(players):
        started.append(copy.deepcopy(players))

    watch(monkeypatch, see)
    last = {}
    recipe = staged(g_sigmoid_bias=-2.0)
    train(recipe, tmp_path / "run", after_epoch=lambda epoch, game: last.update({epoch: game.players}))
    before, after = last[2], started[8]
    widths = [w.shape for w in after.generator.parameters() if w.ndim == 2]
    assert widths == [(12, 20), (20, 12), (16, 20), (16, 16), (64, 16)]
    learned = [*before.generator.state_dict().values()]
    taken = [*after.generator.state_dict().values()][-len(learned) :]
    assert all(map(torch.equal, taken, learned))
    assert not torch.equal(learned[0], started[0].generator.layers[0].weight)  # it had learned
    front, _, second, _ = (after.generator.layers[i] for i in range(4))
    assert 0.15 < front.weight.abs().max() <= 0.2 and not front.bias.any()  # digits' g_init
    assert 0.15 < second.weight.abs().max() <= 0.2 and (second.bias == -2).all()
    kinds = [type(layer).__name__ for layer in after.generator.layers]
    assert kinds == ["Linear", "ReLU", "Linear", "Sigmoid", *["Linear", "ReLU"] * 2, "Linear", "Sigmoid"]
    for first, second in ((started[0], after), (before, after)):
        ours, theirs = (list(p.discriminator.parameters()) for p in (first, second))
        assert [w.shape for w in ours] == [w.shape for w in theirs]
        assert not any(
            torch.equal(w, there) for w, there in zip(ours, theirs, strict=True) if there.ndim == 2
        )
    for w in after.discriminator.parameters():
        assert w.abs().max() <= 0.3 if w.ndim == 2 else not w.any()
    for optimizer in (after.g_optimizer, after.d_optimizer):
        assert not optimizer.state
    assert before.d_optimizer.state and len(started) == 16


def test_schedules_start_anew_in_the_second_stage(tmp_path, monkeypatch):
    seen = []

    def see(players):
        for optimizer in (players.g_optimizer, players.d_optimizer):
            seen.append((optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["momentum"]))

    watch(monkeypatch, see)
    train(staged(epochs=5, learning_rate_decay=1.25, momentum_epochs=3), tmp_path / "run")
    updates = [*range(8), *range(12)]
    expected = [(0.5 / 1.25**u, 0.5 + 0.1 * (u // 4)) for u in updates for _ in "GD"]
    np.testing.assert_allclose(seen, expected, rtol=1e-12)


STAGED = [{}, {"optimizer": "adam", "learning_rate": 1e-3, "ema": 0.9, "max_norm": 1.0}]


@pytest.mark.parametrize("fields", STAGED, ids=str)
@pytest.mark.parametrize(("stop", "done"), [(8, 2), (10, 2), (15, 3)])
def test_a_run_that_stopped_in_or_between_stages_goes_on(tmp_path, monkeypatch, fields, stop, done):
    recipe = staged(**fields)
    whole = train(recipe, tmp_path / "whole")
    monkeypatch.setattr(keeping, "SAVE_EVERY", 0.0)
    iteration = algorithm1.ITERATIONS["simultaneous"]
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setitem(algorithm1.ITERATIONS, "simultaneous", Interrupt(iteration, stop))
        train(recipe, tmp_path / "stopped")
    stopped = runs.Run.load(tmp_path / "stopped")
    assert len(stopped.history) == done
    assert stopped.generator.layers[0].out_features == (16 if done < 3 else 12)
    assert_same(whole, train(recipe, tmp_path / "stopped"))


@pytest.mark.parametrize("first", [1, 2, 3])
def test_more_epochs_lead_from_the_first_stage_into_the_second(tmp_path, first):
    run = train(staged(epochs=first), tmp_path / "run")
    assert run.generator.sample(2).shape == (2, 1, 8, 8)
    assert_same(train(staged(), tmp_path / "run"), train(staged(), tmp_path / "whole"))


def test_the_average_starts_anew_with_the_second_stage(tmp_path, monkeypatch):
    path = []
    iteration = algorithm1.ITERATIONS["simultaneous"]

    def step(players, minibatches):
        out = iteration(players, minibatches)
        path.append([w.detach().clone() for w in players.generator.parameters()])
        return out

    monkeypatch.setitem(algorithm1.ITERATIONS, "simultaneous", step)
    run = train(staged(ema=0.7), tmp_path / "run")
    for ours, *steps in zip(run.generator.parameters(), *path[8:], strict=True):
        torch.testing.assert_close(ours.detach(), debiased(steps, 0.7))


def test_no_unit_of_a_run_with_a_limit_exceeds_it(tmp_path):
    run = train(tiny(max_norm=0.4, d_init=0.5), tmp_path / "run")
    for network in (run.generator, run.discriminator):
        norms = torch.cat([w.norm(dim=1) for w in network.parameters() if w.ndim == 2])
        assert norms.max() <= 0.4 * (1 + 1e-6) and (norms > 0.399).any()


# Averages kept beside


def assert_equal(ours, theirs):
    assert torch.equal(ours, theirs)


def assert_same_weights(network, other, compare=assert_equal):
    ours, theirs = network.state_dict(), other.state_dict()
    assert ours.keys() == theirs.keys()
    for key in ours:
        compare(ours[key], theirs[key])


def assert_rounded(ours, exact):
    """To a 254th of the largest of 64 neighbours, and what float16 makes of that; vectors are exact."""
    if exact.ndim < 2:
        return assert_equal(ours, exact)
    blocks = zip(*(np.split(w.numpy().ravel(), range(64, w.numel(), 64)) for w in (ours, exact)), strict=True)
    for rounded, block in blocks:
        assert np.abs(rounded - block).max() <= np.abs(block).max() / 254 * 1.2 + 1e-5


def test_averages_kept_beside_are_those_of_runs_with_them_and_change_nothing(tmp_path):
    quick = {"d_init": 0.5, "learning_rate": 1.0}
    run = train(tiny(**quick), tmp_path / "run", averages=(0.5, 0.9))
    plain = train(tiny(**quick), tmp_path / "plain")
    assert_same(run, plain)
    assert_same_weights(run.averaged(0), plain.generator)
    for ema in (0.5, 0.9):
        with_it = train(tiny(**quick, ema=ema), tmp_path / str(ema))
        assert_same_weights(run.averaged(ema), with_it.generator)
        assert_same_weights(with_it.averaged(0), plain.generator)
        assert not torch.equal(run.averaged(ema).layers[0].weight, plain.generator.layers[0].weight)
        assert not run.averaged(ema).training


def test_averages_that_a_run_has_not_are_refused_and_those_it_has_are_named(tmp_path):
    run = train(tiny(ema=0.5), tmp_path / "run", averages=[0.9])
    with pytest.raises(ValueError, match=r"no average of decay 0\.7; it has \[0\.0, 0\.5, 0\.9\]") as error:
        run.averaged(0.7)
    assert "\n" not in str(error.value) and str(tmp_path / "run") in str(error.value)
    with pytest.raises(ValueError, match=r"it has \[0\.0\]"):
        train(tiny(), tmp_path / "plain").averaged(0.9)


def test_averages_go_on_with_a_run_and_new_ones_start_where_it_stands(tmp_path, monkeypatch):
    quick = {"d_init": 0.5, "learning_rate": 1.0}
    whole = train(tiny(**quick), tmp_path / "whole", averages=[0.5])
    monkeypatch.setattr(keeping, "SAVE_EVERY", 0.0)
    run = train(tiny(epochs=2, **quick), tmp_path / "run", averages=[0.5])
    started = run.generator.layers[0].weight.detach()
    path = []
    iteration = algorithm1.ITERATIONS["simultaneous"]

    def step(players, minibatches):
        out = iteration(players, minibatches)
        path.append(players.generator.layers[0].weight.detach().clone())
        return out

    monkeypatch.setitem(algorithm1.ITERATIONS, "simultaneous", step)
    run = train(tiny(**quick), tmp_path / "run", averages=[0.5, 0.8])
    assert_same_weights(run.averaged(0.5), whole.averaged(0.5))
    expected = debiased([started, *path], 0.8)
    torch.testing.assert_close(run.averaged(0.8).layers[0].weight.detach(), expected)


# The film


def film(run):
    return torch.load(run.folder / runs.CHECKPOINT, weights_only=True)["film"]


def shown(generator):
    """The first ten samples of seed 0, on the scale of a screen."""
    return (generator.images(10, seed=0) * 255).round().to(torch.uint8)


@pytest.mark.slow
@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_the_film_shows_the_same_samples_after_each_of_its_epochs(tmp_path, monkeypatch, ema):
    """From the untrained G on; of the average of its weights where the recipe has one."""
    monkeypatch.setattr(keeping, "SAVE_EVERY", 0.0)
    recipe = staged(epochs=6, ema=ema)
    images = gan.data.load("digits").split(recipe.valid)[0]
    torch.manual_seed(recipe.seed)
    untrained = training.make_players(recipe, images, torch.device("cpu")).generator
    expected = {0: shown(untrained)}

    for epochs in (1, 2, 3, 4, 5, 6):
        run = train(recipe.model_copy(update={"epochs": epochs}), tmp_path / "run")
        expected[epochs] = shown(run.generator)
    del expected[4], expected[6]  # which are none of the film's
    pictures = film(run)
    assert pictures.keys() == expected.keys() and {*pictures} < {*keeping.FILMED}
    for epoch, picture in pictures.items():
        assert picture.shape == (10, 1, 8, 8) and torch.equal(picture, expected[epoch]), epoch
    whole = film(train(recipe, tmp_path / "whole"))
    assert all(torch.equal(whole[epoch], picture) for epoch, picture in pictures.items())


def test_points_have_no_film(tmp_path):
    run = train(gan.recipe("figure1", epochs=1, g_hidden=(8, 8), d_hidden=(8,)), tmp_path / "run")
    assert film(run) == {}


# Estimates


@pytest.fixture
def few(monkeypatch):
    """200 samples where there would be 10 000, which take long where images are large."""
    sample = gan.nets.Generator.sample
    monkeypatch.setattr(gan.nets.Generator, "sample", lambda g, n, seed=None: sample(g, min(n, 200), seed))


@pytest.mark.filterwarnings("ignore:the best sigma")
def test_the_validation_split_chooses_on_one_half_and_scores_the_other(finished):
    valid, scored = map(
        gan.data.scale, (gan.data.load("digits").split(300)[1], gan.data.load("digits").x_test)
    )
    expected = gan.parzen.evaluate(finished.generator, valid[:150], valid[150:], z_seed=3)
    ours = parzen.estimate(finished.recipe, finished.generator, split="valid", z_seed=3)
    assert ours == asdict(expected) | {"split": "valid"}
    test = parzen.estimate(finished.recipe, finished.generator)
    whole = gan.parzen.evaluate(finished.generator, valid, scored)
    assert test == asdict(whole) | {"split": "test"} and test["mean"] != ours["mean"]


@pytest.mark.filterwarnings("ignore:the best sigma")
def test_on_the_validation_split_at_most_1000_images_choose(few, tmp_path):
    x = np.random.default_rng(0).integers(0, 256, (2600, 28, 28), dtype=np.uint8)
    y = np.zeros(2600, int)
    np.savez(tmp_path / "mnist.npz", x_train=x, y_train=y, x_test=x[:5], y_test=y[:5])
    recipe = gan.recipe("mnist", valid=2400, g_hidden=(4, 4))
    generator, _ = gan.nets.networks(recipe, (1, 28, 28))
    ours = parzen.estimate(recipe, generator, split="valid", data_dir=tmp_path)
    assert (ours["n_valid"], ours["n_test"]) == (1000, 1400)
    expected = gan.parzen.evaluate(generator, *map(gan.data.scale, (x[200:1200], x[1200:])))
    assert ours["mean"] == pytest.approx(expected.mean, rel=1e-6)


def test_a_split_that_is_not_there_is_refused(finished):
    with pytest.raises(ValueError, match="split = 'train': it must be test or valid"):
        parzen.estimate(finished.recipe, finished.generator, split="train")


def tiny_tfd(**fields):
    small = {"g_hidden": (9, 8), "g_output_sparse": 5, "g_front": (7, 6), "noise_size": 6, "d_hidden": (8,)}
    return gan.recipe("tfd", **(small | {"second_stage_after": 1, "epochs": 2, "batch_size": 20} | fields))


@pytest.fixture
def tfd_run(tfd_folder, tmp_path):
    return train(tiny_tfd(), tmp_path / "run", data_dir=tfd_folder)


@pytest.mark.filterwarnings("ignore:the best sigma")
def test_over_folds_the_figure_is_their_mean_and_the_error_is_between_them(few, tfd, tfd_run, tfd_folder):
    means = []
    for fold in range(5):
        valid, test = (tfd["images"][tfd["folds"][:, fold] == part] for part in (2, 3))
        means.append(gan.parzen.evaluate(tfd_run.generator, valid / 255, test / 255).mean)
    ours = parzen.estimate(tfd_run.recipe, tfd_run.generator, data_dir=tfd_folder)
    assert [one["mean"] for one in ours["folds"]] == pytest.approx(means, rel=1e-6)
    assert ours["mean"] == pytest.approx(sum(means) / 5, rel=1e-6)
    assert ours["standard_error"] == pytest.approx(stats.sem(means), rel=1e-4)
    assert ours["sigma"] == [one["sigma"] for one in ours["folds"]] and ours["split"] == "test"
    assert {(one["n_valid"], one["n_test"], one["split"]) for one in ours["folds"]} == {(12, 18, "test")}


# Other runs, published


def pixels(folder, which):
    with Image.open(folder / f"{which}.png") as image:
        return np.asarray(image).astype(int)


def assert_pictures_are_what_the_weights_give(public, run):
    """Pictures of the published weights, and a film that the run took."""
    g, shape = public.generator, gan.data.SHAPES[public.recipe.dataset]
    z = g.draw_noise(8, torch.Generator().manual_seed(2)).numpy()
    steps = [start + (end - start) * i / 11 for start, end in z.reshape(4, 2, -1) for i in range(12)]
    for which, images, columns in (
        ("interpolation", g.depict(torch.tensor(np.array(steps), dtype=torch.float32)), 12),
        ("film", torch.stack([*film(run).values()], 1).flatten(0, 1) / 255, len(film(run))),
    ):
        ours, rows = pixels(public.folder, which), len(images) // columns
        assert ours.shape == (rows * (shape[1] + 1) - 1, columns * (shape[2] + 1) - 1, shape[0] + 1)
        expected = images.numpy().reshape(rows, columns, *shape) * 255
        for i, j in np.ndindex(rows, columns):
            cell = ours[i * (shape[1] + 1) :, j * (shape[2] + 1) :][: shape[1], : shape[2]]
            assert np.abs(cell[..., :-1] - expected[i, j].transpose(1, 2, 0)).max() <= 1
            assert (cell[..., -1] == 255).all()
    assert public.record["film"] == sorted(film(run))
    samples = figures.tile(g.images(50, seed=0).numpy(), columns=10)
    assert np.abs(pixels(public.folder, "samples")[:, : samples.shape[1]] - samples).max() <= 1


@pytest.mark.filterwarnings("ignore:the best sigma")
def test_a_run_with_an_average_is_published_with_its_last_weights_too(tmp_path):
    run = train(tiny(ema=0.9, d_init=0.5, learning_rate=1.0), tmp_path / "run", averages=[0.5])
    public = publishing.publish(run, "digits", root=tmp_path / "results")
    names = {path.name for path in public.folder.glob("*.safetensors")}
    assert names == {f"{which}.safetensors" for which in ("generator", "generator-last", "discriminator")}
    for decay in (0.9, 0):
        there = public.averaged(decay)
        assert_same_weights(there, run.averaged(decay), assert_rounded)
        figure = public.record["metrics"]["parzen" if decay else "parzen_last"]
        assert figure["mean"] == pytest.approx(parzen.estimate(run.recipe, there)["mean"], abs=1e-6)
    assert_same_weights(public.generator, public.averaged(0.9))
    means = [public.record["metrics"][which]["mean"] for which in ("parzen", "parzen_last")]
    assert means[0] != means[1] and public.record["metrics"].keys() == {"parzen", "parzen_last"}
    with pytest.raises(ValueError, match=r"no average of decay 0\.5; it has \[0\.0, 0\.9\]"):
        public.averaged(0.5)
    assert_pictures_are_what_the_weights_give(public, run)


@pytest.mark.filterwarnings("ignore:the best sigma")
def test_a_run_of_two_stages_and_five_folds_is_published_and_loaded(few, tfd_run, tfd_folder, tmp_path):
    public = publishing.publish(tfd_run, "tfd", root=tmp_path / "results", data_dir=tfd_folder)
    assert_same_weights(public.generator, tfd_run.generator, assert_rounded)
    assert [w.shape[0] for w in public.generator.parameters()][::2] == [7, 6, 9, 8, 2304]
    assert len(public.record["metrics"]["parzen"]["folds"]) == 5
    assert_pictures_are_what_the_weights_give(public, tfd_run)
    short = train(tiny_tfd(epochs=1), tmp_path / "short", data_dir=tfd_folder)  # never came so far
    public = publishing.publish(short, "short", root=tmp_path / "results", data_dir=tfd_folder)
    assert_same_weights(public.generator, short.generator, assert_rounded)
    assert [w.shape[0] for w in public.generator.parameters()][::2] == [9, 8, 2304]


@pytest.mark.filterwarnings("ignore:the best sigma")
@pytest.mark.parametrize("name", ["cifar10", "cifar10-conv"])
def test_a_run_on_normalised_images_is_published(few, tmp_path, name):
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (90, 32, 32, 3), dtype=np.uint8), rng.integers(0, 10, 90)
    np.savez(tmp_path / "cifar10.npz", x_train=x[:70], y_train=y[:70], x_test=x[70:], y_test=y[70:])
    small = {"g_hidden": (9, 200), "g_activations": ("relu", "sigmoid"), "d_hidden": (8,), "valid": 20}
    if name == "cifar10-conv":
        small |= {"g_deconv": (2, 5, 3), "d_conv": ((4, 2, 8, 4, 4, 2), (4, 2, 8, 3, 4, 2))}
    run = train(gan.recipe(name, epochs=2, batch_size=10, **small), tmp_path / "run", data_dir=tmp_path)
    public = publishing.publish(run, name, root=tmp_path / "results", data_dir=tmp_path)
    assert_same_weights(public.generator, run.generator, assert_rounded)
    assert_same_weights(public.discriminator, run.discriminator, assert_rounded)
    assert_pictures_are_what_the_weights_give(public, run)
    x = x.astype(np.float64) / 255
    x -= x.mean((1, 2, 3), keepdims=True)
    x *= 55 / np.sqrt((x**2).sum((1, 2, 3), keepdims=True))
    x = x.transpose(0, 3, 1, 2).astype(np.float32)
    expected = gan.parzen.evaluate(public.generator, x[50:70], x[70:])
    assert public.record["metrics"]["parzen"]["mean"] == pytest.approx(expected.mean, rel=1e-4)
    samples = public.generator.sample(50, seed=0).numpy()[9::10]
    near = x[:50][
        NearestNeighbors(n_neighbors=1)
        .fit(x[:50].reshape(50, -1))
        .kneighbors(samples.reshape(5, -1))[1][:, 0]
    ]
    low, high = (bound((1, 2, 3), keepdims=True) for bound in (near.min, near.max))
    column = figures.tile((near - low) / (high - low), columns=1)
    assert np.abs(pixels(public.folder, "samples")[:, -32:] - column).max() <= 1
