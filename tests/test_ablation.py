"""Sweeps: what is written of a variant, that it goes on, and what the book's ablation makes of it."""

import dataclasses
import json

import pytest

import gan
from gan import keeping, parzen
from gan.book import followed
from gan.book.ablation import follow

TINY = {"epochs": 4, "g_hidden": (16, 16), "d_hidden": (12, 12), "valid": 600, "batch_size": 300}


@pytest.mark.slow
def test_a_sweep_follows_last_weights_and_averages_on_the_validation_split(tmp_path):
    recipe = gan.recipe("digits", **TINY)
    path = follow(
        recipe, tmp_path / "run", every=2, averages=[0.5, 0.9], results=tmp_path / "sweep", progress=False
    )
    assert path == tmp_path / "sweep" / "run.json"
    record = json.loads(path.read_text())
    assert [(one["epoch"], one["decay"]) for one in record["scores"]] == [
        (epoch, decay) for epoch in (2, 4) for decay in (0, 0.5, 0.9)
    ]
    run = gan.Run.load(tmp_path / "run")
    for one in record["scores"][3:]:
        alone = parzen.estimate(recipe, run.averaged(one["decay"]), split="valid")
        assert {key: alone[key] for key in ("mean", "standard_error", "sigma")} == {
            key: one[key] for key in ("mean", "standard_error", "sigma")
        }
    assert record["recipe"] == recipe.model_dump(mode="json") and record["seconds"] == run.record["seconds"]


def test_the_last_epoch_is_always_looked_at(tmp_path):
    path = follow(
        gan.recipe("digits", **TINY), tmp_path / "run", every=3, results=tmp_path / "s", progress=False
    )
    assert [one["epoch"] for one in json.loads(path.read_text())["scores"]] == [3, 4]


@pytest.mark.slow
def test_a_longer_sweep_goes_on_with_the_same_figures(tmp_path):
    def scores(folder, *lengths):
        for epochs in lengths:
            path = follow(
                gan.recipe("digits", **TINY | {"epochs": epochs}),
                tmp_path / folder,
                every=1,
                averages=[0.9],
                results=tmp_path / "s",
                progress=False,
            )
        return json.loads(path.read_text())["scores"]

    assert scores("a", 2, 4) == scores("b", 4)


def test_a_sweep_that_was_stopped_before_it_was_kept_looks_again(tmp_path, monkeypatch):
    def stop(self, parts, **how):
        if len(parts["history"]) == TINY["epochs"]:
            raise KeyboardInterrupt

    recipe, how = gan.recipe("digits", **TINY), {"every": 2, "results": tmp_path / "s", "progress": False}
    with monkeypatch.context() as patch:
        patch.setattr(keeping.Checkpoints, "save", stop)
        patch.setattr(keeping.Epoch, "seconds", property(lambda self: 2.0))
        with pytest.raises(KeyboardInterrupt):
            follow(recipe, tmp_path / "run", **how)
    left = json.loads((tmp_path / "s/run.json").read_text())
    assert left["seconds"] == 2 * TINY["epochs"]  # not those of the last checkpoint: there was none
    before = left["scores"]
    assert json.loads(follow(recipe, tmp_path / "run", **how).read_text())["scores"] == before
    assert [one["epoch"] for one in before] == [2, 4]


def test_a_sweep_without_a_folder_is_named_by_what_it_changes(checkout):
    recipe = gan.recipe("digits", **TINY | {"epochs": 1}, loss="minimax")
    path = follow(recipe, progress=False)
    assert path.parent == checkout / "book/results/sweep" and "loss=minimax" in path.name
    assert "epochs" not in path.name  # so that a longer one goes on
    assert (checkout / "runs" / path.stem / "run.json").exists()


def test_a_sweep_needs_a_place_for_its_scores_before_it_starts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"no book/results/ .*in a checkout.*results=FOLDER"):
        follow(gan.recipe("digits"), tmp_path / "run")
    for out in ("two words", ".run"):
        with pytest.raises(ValueError, match=f"'{out}' can't be a name"):
            follow(gan.recipe("digits"), tmp_path / out, results=tmp_path / "s")
    assert not list(tmp_path.iterdir())


def test_scores_of_another_recipe_or_of_other_data_are_kept(tmp_path, monkeypatch):
    recipe, how = gan.recipe("digits", **TINY | {"epochs": 1}), {"results": tmp_path / "s", "progress": False}
    path = follow(recipe, tmp_path / "a/run", **how)
    before = path.read_bytes()
    other = recipe.model_copy(update={"loss": "minimax"})
    with pytest.raises(ValueError, match=r"the scores of another recipe \(loss = .*overwrite=True"):
        follow(other, tmp_path / "b/run", **how)
    digits = gan.data.load("digits")
    monkeypatch.setitem(
        gan.data.MADE, "digits", lambda: dataclasses.replace(digits, x_test=255 - digits.x_test)
    )
    with pytest.raises(ValueError, match=r"run\.json has the scores of other digits data"):
        follow(recipe, tmp_path / "b/run", **how)
    assert path.read_bytes() == before and not (tmp_path / "b").exists()
    follow(other, tmp_path / "b/run", overwrite=True, **how)
    assert json.loads(path.read_text())["recipe"]["loss"] == "minimax"


def test_a_step_of_no_epochs_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"every = 0: .* at least 1"):
        follow(gan.recipe("digits"), tmp_path / "run", every=0)
    assert not (tmp_path / "run").exists()


def record(scores, **fields):
    recipe = gan.recipe("mnist", epochs=40, **fields)
    rows = [
        {"epoch": epoch, "decay": decay, "mean": mean, "standard_error": 1.0, "sigma": 0.2}
        for epoch, decay, mean in scores
    ]
    return {"recipe": recipe.model_dump(mode="json"), "scores": rows}


def test_the_ablation_has_a_row_for_each_sweep_and_the_plain_recipe_first(tmp_path, monkeypatch):
    folder = tmp_path / "book/results/sweep"
    folder.mkdir(parents=True)
    plain = record([(20, 0.0, 91.0), (40, 0.0, 128.44), (40, 0.9999, 228.6), (60, 0.0, 150.0)])
    minimax = record([(40, 0.0, -5.25)], loss="minimax")
    both = record([(40, 0.0, 100.0)], k=2, updates="alternating")
    again = record([(30, 0.0, 97.0), (50, 0.0, 99.0)])
    other = record([(20, 0.0, -7.0)], loss="minimax", seed=1)
    written = {"mnist": plain, "mnist-again": again, "mnist-loss=minimax": minimax}
    for name, one in {**written, "mnist-seed=1": other, "mnist-k=2": both}.items():
        (folder / f"{name}.json").write_text(json.dumps(one))
    (folder / "mnist-other.json").write_text(
        json.dumps(plain | {"recipe": {**plain["recipe"], "name": "digits"}})
    )
    monkeypatch.chdir(tmp_path)
    sweeps = followed.sweeps("mnist")
    assert [one["scores"] for one in sweeps[2:]] == [one["scores"] for one in (minimax, both, other)]
    assert all(one["recipe"] == plain["recipe"] for one in sweeps[:2])
    table = followed.ablation(sweeps, epoch=40)
    assert table["改动"].tolist() == ["无", "loss = minimax", "k = 2，updates = alternating"]
    assert table["种子 0"].tolist() == ["97.0（第 30 轮）、128.4", "−5.2", "100.0"]
    assert table["种子 1"].tolist() == ["–", "−7.0（第 20 轮）", "–"]
    assert followed.ablation(sweeps, epoch=20)["改动"].tolist() == ["无", "loss = minimax"]
    with pytest.raises(FileNotFoundError, match=r"no sweep of faces .* none in book/results/sweep"):
        followed.sweeps("faces")


def test_what_is_chosen_is_best_on_the_mean_over_seeds_and_not_for_one_of_them():
    one = record([(10, 0.0, 50.0), (10, 0.9, 80.0), (20, 0.0, 60.0), (20, 0.9, 70.0), (30, 0.9, 95.0)])
    other = record([(10, 0.0, 52.0), (10, 0.9, 60.0), (20, 0.0, 61.0), (20, 0.9, 78.0)], seed=1)
    better = record([(20, 0.9, 500.0)], loss="minimax")
    assert followed.chosen([one, other, better]) == (20, 0.9, 74.0)
    assert followed.chosen([one, better]) == (30, 0.9, 95.0)
