"""Games trained in one batch, against the same trained one by one."""

import pytest
import torch

import gan
from gan import runs, stacked, sweep

TINY = {"g_hidden": (8, 8), "d_hidden": (8, 6), "d_pieces": 2, "batch_size": 70, "epochs": 3}
GAMES = {
    "sgd": ("digits", TINY | {"loss": "minimax", "learning_rate_decay": 1.01}),
    "adam": ("digits", TINY | {"updates": "alternating", "k": 3, "optimizer": "adam", "learning_rate": 1e-3}),
    "line": ("figure1", {"g_hidden": (8, 8), "d_hidden": (8, 8), "epochs": 1}),
}


def recipes(game, seeds=(3, 0, 7)):
    name, fields = GAMES[game]
    return [gan.recipe(name, seed=seed, **fields) for seed in seeds]


def alone(recipe, folder, **how):
    return gan.train(recipe, folder, device="cpu", engine="eager", progress=False, **how)


def batch(made, folders, look=lambda epoch: None):
    stacked.train(dict(zip(folders, made, strict=True)), None, look)


def assert_close(there, here):
    """Every tensor of both within 1e-5, and all that is no tensor equal; but for what says when and where."""
    if isinstance(here, torch.Tensor):
        whole = not here.is_floating_point()
        torch.testing.assert_close(
            there, here, rtol=0, atol=1 if here.dtype == torch.uint8 else 0 if whole else 1e-5
        )
    elif isinstance(here, dict):
        assert there.keys() == here.keys()
        for key in here.keys() - {"seconds", "record"}:
            assert_close(there[key], here[key])
    elif isinstance(here, list):
        assert len(there) == len(here)
        for one, other in zip(there, here, strict=True):
            assert_close(one, other)
    elif isinstance(here, float):
        assert there == pytest.approx(here, rel=0, abs=1e-5)
    else:
        assert there == here


@pytest.mark.parametrize("game", GAMES)
def test_games_in_one_batch_are_those_one_by_one(tmp_path, game):
    made, folders = recipes(game), [tmp_path / f"b{i}" for i in range(3)]
    before = torch.get_rng_state()
    batch(made, folders)
    assert torch.equal(torch.get_rng_state(), before)
    for i, recipe in enumerate(made):
        run, ours = alone(recipe, tmp_path / f"a{i}"), gan.Run.load(folders[i])
        assert ours.finished and ours.recipe == recipe and ours.record["stacked"] == 3
        assert_close(gan.Run.load(folders[i]).state, gan.Run.load(run.folder).state)
        state = gan.Run.load(run.folder).state["generator"]
        other = gan.Run.load(tmp_path / f"b{(i + 1) % 3}").state["generator"]
        assert any((state[key] - other[key]).abs().max() > 1e-2 for key in state)  # seeds are not alike
        size = (folders[i] / runs.CHECKPOINT).stat().st_size
        assert size < 1.2 * (run.folder / runs.CHECKPOINT).stat().st_size  # holds no other game's


def test_a_game_is_the_same_whatever_stands_beside_it(tmp_path):
    orders = (3, 0, 7), (7, 3), (0, 1, 2, 3, 4)
    for order in orders:
        batch(recipes("sgd", order), [tmp_path / f"{order}-{seed}" for seed in order])
    first, *others = (gan.Run.load(tmp_path / f"{order}-3").state for order in orders)
    for other in others:
        assert_close(other, first)


def test_one_that_diverges_is_left_out_and_stops_no_other(tmp_path, monkeypatch):
    made, folders = recipes("sgd"), [tmp_path / f"b{i}" for i in range(3)]
    game = stacked.Game

    def poisoned(recipe, *rest):
        one = game(recipe, *rest)
        if recipe.seed == 0:
            one.discriminator.layers[-1].weight.data[0, 0] = torch.inf
        return one

    monkeypatch.setattr(stacked, "Game", poisoned)
    batch(made, folders)
    assert [folder.exists() for folder in folders] == [True, False, True]
    for i in (0, 2):
        run = alone(made[i], tmp_path / f"a{i}")
        assert_close(gan.Run.load(folders[i]).state, gan.Run.load(run.folder).state)


def test_what_is_stopped_stands_at_its_epochs_end_and_goes_on_alone(tmp_path):
    made, folders = recipes("adam"), [tmp_path / f"b{i}" for i in range(3)]

    def stop(epoch):
        if epoch == 2:
            raise KeyboardInterrupt

    batch(made, folders, stop)
    assert [len(gan.Run.load(folder).history) for folder in folders] == [2] * 3
    alone(made[1], folders[1])
    run = alone(made[1], tmp_path / "a")
    assert_close(gan.Run.load(folders[1]).state, gan.Run.load(run.folder).state)


@pytest.mark.parametrize(
    ("name", "fields", "pays"),
    [
        ("digits", {}, True),
        ("figure1", {}, True),
        ("mnist", {}, False),  # measured: no faster
        ("digits", {"g_hidden": (600, 600)}, False),
        ("digits", {"max_norm": 2.0}, False),
        ("digits", {"ema": 0.9}, False),
        ("digits", {"precision": "bf16"}, False),
        ("digits", {"g_batch_norm": "meant"}, False),
        ("pytorch-gan", {}, False),
        ("cifar10-conv", {}, False),
    ],
)
def test_what_is_large_or_has_other_layers_is_not_stacked(name, fields, pays):
    assert stacked.pays(gan.recipe(name, **fields), {"device": "cpu"}) is pays


def test_what_trainings_are_told_beside_is_for_those_alone():
    assert not stacked.pays(gan.recipe("digits"), {"engine": "compiled"})
    assert not stacked.pays(gan.recipe("digits"), {"averages": [0.9]})
    assert stacked.pays(gan.recipe("digits"), {"data_dir": "here", "device": "cpu"})


def test_a_worker_gets_at_most_eight_seeds_of_one_combination_at_once(tmp_path):
    grid = {"loss": ["minimax", "non_saturating"], "seed": range(11), "max_norm": [0.0, 1.0]}
    tasks = sweep.plan(lambda fields: sweep.training("digits", "none", {"device": "cpu"}, fields), grid)
    (tmp_path / tasks[0].made).mkdir()  # begun before: it goes on alone
    groups = sweep.left(tmp_path, tasks)
    assert sorted(task.made for group in groups for task in group) == sorted(task.made for task in tasks)
    assert sorted(map(len, groups)) == [1] * 23 + [2, 3, 8, 8]
    for group in groups:
        assert len({(task.fields["loss"], task.fields["max_norm"]) for task in group}) == 1
