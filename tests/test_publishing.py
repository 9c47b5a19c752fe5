"""Published runs: unfinished ones, the best weights, how they are rounded, and going on from them."""

import json
import os
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from test_training import Interrupt, assert_rounded, assert_same_weights, signalled, tiny, train

import gan
from gan import algorithm1, durable, keeping, layers, training
from gan.__main__ import main
from gan.book import ablation, places, publishing, started

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:the best sigma")]
FIELDS = {"d_init": 0.5, "learning_rate": 1.0, "momentum_epochs": 8}


@pytest.fixture
def stopped(tmp_path, monkeypatch):
    """A run of six epochs that was stopped in its fourth."""
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(keeping, "SAVE_EVERY", 0.0)
        interrupt = Interrupt(algorithm1.ITERATIONS["simultaneous"], 14)
        patch.setitem(algorithm1.ITERATIONS, "simultaneous", interrupt)
        train(tiny(epochs=6, **FIELDS), tmp_path / "stopped")
    return gan.Run.load(tmp_path / "stopped")


def watched(monkeypatch, recipe, out, **options):
    """Train, and the rate, the momentum and the minibatch of each update, and whether momenta were there."""
    seen = []
    step = algorithm1.ITERATIONS["simultaneous"]

    def watch(players, minibatches):
        (group,) = players.g_optimizer.param_groups
        seen.append((group["lr"], group["momentum"], minibatches[0].clone(), len(players.g_optimizer.state)))
        return step(players, minibatches)

    with monkeypatch.context() as patch:
        patch.setitem(algorithm1.ITERATIONS, "simultaneous", watch)
        return train(recipe, out, **options), seen


def test_an_unfinished_run_is_published_as_one_of_the_epochs_it_has(stopped, tmp_path):
    public = publishing.publish(stopped, "digits", root=tmp_path / "results", unfinished=True)
    whole = train(tiny(epochs=3, **FIELDS), tmp_path / "whole")
    assert public.finished and public.recipe == whole.recipe
    assert_same_weights(public.generator, whole.generator, assert_rounded)
    pd.testing.assert_frame_equal(
        public.history.drop(columns="seconds"), whole.history.drop(columns="seconds"), rtol=1e-5
    )


def test_a_run_that_a_signal_ended_is_published_with_all_its_epochs(tmp_path, monkeypatch):
    """Though the last that was saved at its end was the first one."""
    monkeypatch.setattr(keeping, "SAVE_EVERY", np.inf)
    signalled(tiny(epochs=6, **FIELDS), tmp_path / "run", 14)
    run, end = gan.Run.load(tmp_path / "run"), train(tiny(epochs=3, **FIELDS), tmp_path / "end")
    public = publishing.publish(run, "digits", root=tmp_path / "results", unfinished=True)
    drop = {"columns": "seconds"}
    pd.testing.assert_frame_equal(public.history.drop(**drop), end.history.drop(**drop), rtol=1e-5)
    assert public.finished and public.record["updates_beyond"] == 2
    saved = torch.load(run.folder / gan.runs.WITHIN, weights_only=True)["generator"]["layers.2.weight"]
    ours, whole = (one.generator.layers[2].weight for one in (public, end))
    assert 5 * (ours - saved).abs().max() < (ours - whole).abs().max()
    (line,) = started.read(tmp_path / "results/started.csv")
    assert (line["epochs"], line["end"]) == ("3", started.STOPPED)
    on = train(tiny(epochs=4, **FIELDS), tmp_path / "on", start=public.folder)
    assert on.record["resumed"][0]["updates_beyond"] == 2 and "updates_beyond" not in on.record


def test_the_best_weights_may_exceed_float16(tmp_path):
    def best(epoch, game):
        if epoch == 2:
            game.generator.layers[-2].bias.data[:2] = torch.tensor([-1e5, 1e30])
            game.best.keep(epoch, game.generator)
            assert not game.trouble()

    run = train(tiny(**FIELDS), tmp_path / "run", after_epoch=best)
    public = publishing.publish(run, "digits", root=tmp_path / "results")
    for one in (run, public):
        generator, epoch = one.best()
        assert epoch == 2 and generator.layers[-2].bias[:2].tolist() == pytest.approx([-1e5, 1e30], rel=1e-6)


@pytest.mark.parametrize("published", [True, False])
def test_a_run_goes_on_from_weights_at_their_epoch_and_rate(stopped, tmp_path, monkeypatch, published):
    if published:
        publishing.publish(stopped, "digits", root=tmp_path / "results", unfinished=True)
    start = tmp_path / "results/digits" if published else stopped.folder
    recipe = tiny(epochs=5, **FIELDS)
    run, seen = watched(monkeypatch, recipe, tmp_path / "on", start=start)
    _, first = watched(monkeypatch, recipe, tmp_path / "first")
    assert len(seen) == 2 * 4 and not seen[0][-1] and seen[1][-1]  # fresh momenta
    rates, momenta, minibatches, _ = zip(*seen, strict=True)
    assert rates == pytest.approx([1 / 1.000004**update for update in range(12, 20)], rel=1e-12)
    assert momenta == pytest.approx([0.5 + 0.2 * 3 / 7] * 4 + [0.5 + 0.2 * 4 / 7] * 4)
    assert not torch.equal(minibatches[0], first[0][2])  # and fresh random numbers
    assert run.history["epoch"].tolist() == [1, 2, 3, 4, 5] and run.finished
    pd.testing.assert_frame_equal(run.history[:3], stopped.history, rtol=1e-5)
    (there,) = run.record["resumed"]
    assert (there["after_epoch"], there["from_weights"]) == (3, "rounded" if published else "float32")
    assert run.record["started"] == stopped.record["started"] and not {"metrics", "weights"} & {*run.record}
    film, before = keeping.film_of(run), keeping.film_of(stopped)
    assert film.keys() == {0, 1, 2, 3, 5} and all(torch.equal(film[epoch], before[epoch]) for epoch in before)


def test_a_run_starts_from_the_very_weights(stopped, tmp_path):
    publishing.publish(stopped, "digits", root=tmp_path / "results", unfinished=True)
    start = tmp_path / "results/digits"
    there = gan.Run.load(start)
    seen = {}

    def look(epoch, players):
        seen[epoch] = players

    recipe = tiny(epochs=4, **FIELDS)
    state = keeping.beginning(start, recipe, gan.data.load("digits")).state
    assert_same_weights(there.generator, stopped.generator, assert_rounded)
    players = training.make_players(recipe, gan.data.load("digits").x_train, torch.device("cpu"))
    players.generator.load_state_dict(state["generator"])
    assert_same_weights(players.generator, there.generator)
    train(recipe, tmp_path / "on", start=start, after_epoch=look)
    assert list(seen) == [4]


def test_what_can_not_be_gone_on_from_is_one_line_and_leaves_nothing(stopped, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "book/results").mkdir(parents=True)
    train(tiny(epochs=1, **FIELDS), tmp_path / "one")
    publishing.publish(gan.Run.load("one"), "bare", weights="none")
    started = json.loads((tmp_path / "one/run.json").read_text())
    (tmp_path / "unstarted").mkdir()
    (tmp_path / "unstarted/run.json").write_text(json.dumps(started))
    there = sorted(path.name for path in tmp_path.iterdir())
    for start, options, words in (
        (
            "stopped",
            {"epochs": 3},
            "can't be gone on from: that takes epochs = 4, not 3",
        ),
        ("stopped", {"epochs": 9, "seed": 1}, "that takes seed = 0, not 1"),
        ("unstarted", {"epochs": 9}, "no weights of the generator"),
        ("nowhere", {"epochs": 9}, "nowhere is no run"),
        ("book/results/bare", {"epochs": 9}, "no weights of the generator"),
    ):
        recipe = tiny(**FIELDS | options)
        with pytest.raises((ValueError, FileNotFoundError)) as error:
            train(recipe, tmp_path / "on", start=start)
        assert words in str(error.value) and "\n" not in str(error.value)
        assert sorted(path.name for path in tmp_path.iterdir()) == there
    assert main(["train", "digits", "-p", "epochs", "9", "--from", "stopped"]) == 2
    assert main(["publish", "unstarted", "digits", "--unfinished"]) == 2
    assert main(["publish", "one", "digits", "--weights", "some"]) == 2
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 3 and "weights = 'some'" in errors[2] and "no finished epoch" in errors[1]


# The place


@pytest.fixture
def runs_of_two_recipes(tmp_path):
    return [train(tiny(epochs=1, **FIELDS, seed=seed), tmp_path / str(seed)) for seed in (0, 1)]


def test_a_published_run_gives_way_to_its_own_recipe_alone_and_on_demand(runs_of_two_recipes, tmp_path):
    run, other = runs_of_two_recipes
    root = tmp_path / "results"
    there = publishing.publish(run, "digits", root=root, weights="none").folder / "run.json"
    before = there.read_bytes()
    for replace in (False, True):
        with pytest.raises(ValueError, match=r"digits holds a run of another recipe \(seed = 0, not 1\)"):
            publishing.publish(other, "digits", root=root, replace=replace)
    with pytest.raises(ValueError, match=r"digits is published already: .*, or replace=True"):
        publishing.publish(run, "digits", root=root)
    assert there.read_bytes() == before and sorted(os.listdir(root)) == ["digits", "started.csv"]
    longer = train(tiny(epochs=2, **FIELDS), run.folder)
    assert len(publishing.publish(longer, "digits", root=root, replace=True).history) == 2
    assert "film.png" in os.listdir(root / "digits") and sorted(os.listdir(root)) == ["digits", "started.csv"]


@pytest.mark.parametrize(
    "name",
    ["bench", "yardsticks", "sweep", "course", "Sweep", "..", "", "a/b", "a b", ".x", "-x", "/tmp/x", "a\n"],
)
def test_a_name_is_one_plain_word_and_none_of_the_books_own(runs_of_two_recipes, tmp_path, name):
    root = tmp_path / "results"
    (root / "sweep").mkdir(parents=True)
    (root / "sweep/mnist.json").write_text("hours of work")
    with pytest.raises(ValueError) as error:
        publishing.publish(runs_of_two_recipes[0], name, root=root, replace=True)
    assert repr(name) in str(error.value) and "\n" not in str(error.value)
    assert [path.name for path in root.rglob("*")] == ["sweep", "mnist.json"]


@pytest.mark.parametrize("name", ["mnist-ema-s1", "a_b.c=d", "数字"])
def test_words_of_letters_digits_and_some_signs_are_names(name):
    assert places.name_of_run(name) == name


def test_what_is_no_published_run_is_not_replaced(runs_of_two_recipes, tmp_path):
    (tmp_path / "results/mine").mkdir(parents=True)
    (tmp_path / "results/mine/thesis.txt").write_text("years of work")
    (tmp_path / "results/started.csv").write_text("every start")
    for name in ("mine", "started.csv"):
        with pytest.raises(ValueError, match="is there, and no published run"):
            publishing.publish(runs_of_two_recipes[0], name, root=tmp_path / "results", replace=True)
    assert (tmp_path / "results/mine/thesis.txt").exists()


@pytest.mark.parametrize("failing", [KeyboardInterrupt, "the disk can't"])
def test_a_run_and_its_line_are_in_place_whatever_fails_while_they_are_exchanged(
    runs_of_two_recipes, tmp_path, monkeypatch, failing
):
    run, root = runs_of_two_recipes[0], tmp_path / "results"
    publishing.publish(run, "digits", root=root, weights="none")
    before = [(root / name).read_bytes() for name in ("digits/run.json", "started.csv")]
    longer = train(tiny(epochs=2, **FIELDS), run.folder)

    def swap(*_):
        if failing is KeyboardInterrupt:
            raise KeyboardInterrupt
        return -1

    with monkeypatch.context() as patch:
        patch.setattr("ctypes.CDLL", lambda name: SimpleNamespace(renameat2=swap))
        with pytest.raises((KeyboardInterrupt, OSError), match=r"can't be replaced in one step|^$"):
            publishing.publish(longer, "digits", root=root, weights="none", replace=True)
    for new in (False, True):
        assert sorted(os.listdir(root)) == ["digits", "started.csv"]
        now = [(root / name).read_bytes() for name in ("digits/run.json", "started.csv")]
        assert not {*now} & {*before} if new else now == before
        assert len(gan.Run.load(root / "digits").history) == 1 + new and not started.problems(root)
        publishing.publish(longer, "digits", root=root, weights="none", replace=True)


@pytest.mark.parametrize(
    "name", ["run.json", "history.csv", "generator.safetensors", "film.png", durable.SUMS]
)
@pytest.mark.parametrize("how", ["flipped", "cut", "gone", "another's"])
def test_a_file_of_a_published_run_that_is_not_as_it_was_written_is_named(
    runs_of_two_recipes, tmp_path, name, how
):
    for which in (0, 1):
        publishing.publish(runs_of_two_recipes[which], f"run{which}", root=tmp_path / "results")
    path, other = (tmp_path / "results" / run / name for run in ("run0", "run1"))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    if how == "gone":
        path.unlink()
    elif how == "another's":
        path.write_bytes(other.read_bytes())
    else:
        path.write_bytes(content if how == "flipped" else content[:9])
    if (name, how) == (durable.SUMS, "gone"):  # as of a run that an earlier version published
        assert gan.Run.load(path.parent).finished
        return
    with pytest.raises(
        ValueError, match=r"is damaged or missing \(its checksum is not that in SHA256SUMS\)"
    ) as e:
        gan.Run.load(path.parent)
    assert "\n" not in str(e.value)
    assert gan.Run.load(other.parent).finished


@pytest.mark.parametrize("decay", [0.5, 1.5, -1.0, float("nan")])
def test_an_average_that_was_not_kept_is_not_published(runs_of_two_recipes, tmp_path, decay):
    with pytest.raises(ValueError, match=rf"no average of decay {decay}; it has \[0\.0\]"):
        publishing.publish(runs_of_two_recipes[0], "x", root=tmp_path / "results", ema=decay)
    assert not (tmp_path / "results").exists()


def test_without_a_checkout_nothing_is_published(runs_of_two_recipes, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match="no book/results/ here or above: call this in a checkout"):
        publishing.publish(runs_of_two_recipes[0], "x")
    assert sorted(os.listdir()) == ["0", "1"]
    (tmp_path / "book/results").mkdir(parents=True)
    (tmp_path / "book/deeper").mkdir()
    monkeypatch.chdir(tmp_path / "book/deeper")  # a folder of the checkout will do
    assert publishing.publish(runs_of_two_recipes[0], "x").folder == tmp_path / "book/results/x"


def test_a_sweep_keeps_the_weights_of_its_best_epoch(tmp_path, monkeypatch):
    figures = iter([3.0, 5.0, 5.0, 4.0])
    real = gan.parzen.estimate
    fake = {"standard_error": 1.0, "sigma": 0.2}
    monkeypatch.setattr(gan.parzen, "estimate", lambda *_, **__: fake | {"mean": next(figures)})
    ablation.follow(
        tiny(epochs=4, **FIELDS), tmp_path / "run", every=1, results=tmp_path / "sweep", progress=False
    )
    monkeypatch.setattr(gan.parzen, "estimate", real)
    run = gan.Run.load(tmp_path / "run")
    best, epoch = run.best()
    two = train(tiny(epochs=2, **FIELDS), tmp_path / "two")
    assert epoch == 2 and not best.training
    for ours, exact in zip(best.parameters(), two.generator.parameters(), strict=True):
        assert torch.equal(ours, exact.half().float())
    public = publishing.publish(run, "digits", root=tmp_path / "results")
    again, epoch = public.best()
    figure = public.record["metrics"]["parzen_best"]
    assert figure["epoch"] == epoch == 2
    assert figure["mean"] == pytest.approx(real(run.recipe, again)["mean"], abs=1e-6)
    assert gan.Run.load(tmp_path / "two").best() is None


def test_the_best_weights_are_not_kept_twice(tmp_path):
    def best(epoch, game):
        game.best.keep(epoch, game.generator)

    run = train(tiny(**FIELDS), tmp_path / "run", after_epoch=best)
    assert run.best()[1] == 4
    public = publishing.publish(run, "digits", root=tmp_path / "results")
    assert public.best() is None and public.record["metrics"].keys() == {"parzen"}


@pytest.mark.parametrize(("weights", "kept"), [("all", 3), ("generators", 2), ("generator", 1), ("none", 0)])
def test_the_weights_that_are_asked_for_are_kept(tmp_path, weights, kept):
    run = train(tiny(ema=0.5), tmp_path / "run")
    public = publishing.publish(run, "digits", root=tmp_path / "results", weights=weights)
    assert len([*public.folder.glob("*.safetensors")]) == kept
    assert public.record["metrics"].keys() == {"parzen", "parzen_last"}


@pytest.mark.parametrize(("moved", "bits"), [(0.4, 8), (0.6, 16)])
def test_weights_are_kept_in_8_bits_unless_that_moves_a_figure(tmp_path, monkeypatch, moved, bits):
    """By half its standard error."""
    run = train(tiny(), tmp_path / "run")
    figures = iter([10.0, 10.0 + moved, 10.001])
    made = {"standard_error": 1.0, "sigma": 0.2}
    monkeypatch.setattr(publishing, "estimate", lambda *_, **__: made | {"mean": next(figures)})
    public = publishing.publish(run, "digits", root=tmp_path / "results")
    assert public.record["weights"]["bits"] == bits
    assert public.record["weights"]["moved"] == pytest.approx(moved if bits == 8 else 0.001)
    for ours, exact in zip(public.generator.parameters(), run.generator.parameters(), strict=True):
        assert torch.equal(ours, exact.half().float()) == (bits == 16 or not exact.any())


@given(
    arrays(np.float32, st.tuples(st.integers(1, 5), st.integers(1, 90)), elements=st.floats(-9, 9, width=32))
)
def test_rounding_in_blocks_errs_by_a_254th_of_the_blocks_largest(w):
    state = {"w": torch.from_numpy(w), "bias": torch.from_numpy(w[0])}
    back = layers.unpack(layers.pack(state, 8))
    assert back.keys() == state.keys() and torch.equal(back["bias"], state["bias"])
    flat, rounded = w.ravel(), back["w"].numpy().ravel()
    for start in range(0, len(flat), 64):
        block = slice(start, start + 64)
        tolerance = np.abs(flat[block]).max() / 254 * 1.2 + 1e-5
        assert np.abs(flat[block] - rounded[block]).max() <= tolerance
    assert back["w"].shape == w.shape


@pytest.mark.parametrize("bits", [8, 16])
def test_what_float16_can_not_hold_stays_as_it_is(bits):
    state = {"weight": torch.tensor([[1.0, -9e6]]), "bias": torch.tensor([7e4, 0.1])}
    back = layers.unpack(layers.pack(state | {"small": torch.tensor([[65504.0, 1.1]])}, bits))
    assert all(torch.equal(back[key], w) for key, w in state.items())
    assert back["small"][0].tolist() == pytest.approx([65504, 0 if bits == 8 else 1.1], rel=1e-3)


@pytest.mark.soak
def test_going_on_from_rounded_weights_stays_within_the_spread_of_seeds(tmp_path):
    """On digits: half of the epochs, published, and gone on from, against whole runs of other seeds."""
    ends = {"whole": [], "on": []}
    for seed in range(5):
        recipe = gan.recipe("digits", seed=seed)
        half = train(recipe.model_copy(update={"epochs": 20}), tmp_path / f"half-{seed}")
        publishing.publish(half, f"half-{seed}", root=tmp_path / "results")
        whole = train(recipe, tmp_path / f"whole-{seed}")
        on = train(recipe, tmp_path / f"on-{seed}", start=tmp_path / f"results/half-{seed}")
        for name, run in (("whole", whole), ("on", on)):
            ends[name].append(gan.parzen.estimate(recipe, run.generator)["mean"])
    apart = abs(np.mean(ends["whole"]) - np.mean(ends["on"]))
    assert apart < 2 * np.std(ends["whole"], ddof=1), ends
