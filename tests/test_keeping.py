"""What is kept beside a game, and that what earlier commits wrote is still read and gone on with."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from test_training import assert_same_weights, train

import gan
from gan import durable, keeping, runs
from gan.nets import Generator

OLD = Path(__file__).parent / "fixtures" / "eef538b"
"""Runs of two epochs, with checkpoints, and a published one, as commit eef538b wrote them."""


@pytest.fixture
def old(tmp_path):
    shutil.copytree(OLD, tmp_path / "old")
    return tmp_path / "old"


pytestmark = pytest.mark.filterwarnings("ignore:.*of an earlier version, has no checksum")


def whole(run, out):
    """The same game, longer, played from its beginning by today's code."""
    return train(run.recipe.model_copy(update={"epochs": 4}), out, averages=[0.5])


def assert_near(network, other, atol=1e-3):
    """But for the rounding of the machine that made the old one."""
    for ours, theirs in zip(network.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-2, atol=atol)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["run", "staged"])
def test_a_run_of_the_first_edition_is_loaded_and_goes_on(old, tmp_path, name):
    before = gan.Run.load(old / name)
    assert before.finished and len(before.history) == 2
    assert before.generator.sample(3).shape == (3, 1, 8, 8)
    expected = whole(before, tmp_path / "whole")
    run = train(expected.recipe, old / name, averages=[0.5])
    assert run.finished and run.record["resumed"][0]["after_epoch"] == 2
    assert_near(run.averaged(0), expected.averaged(0))
    assert_near(run.discriminator, expected.discriminator)
    columns = list(gan.algorithm1.STATISTICS)
    pd.testing.assert_frame_equal(run.history[columns], expected.history[columns], rtol=1e-2, atol=1e-3)
    for decay in (0.5, *{run.recipe.ema} - {0}):
        # the first edition gave the first update's weights a larger share of its averages
        assert_near(run.averaged(decay), expected.averaged(decay), atol=0.03)
    assert keeping.film_of(run).keys() == {0, 1, 2, 3}


def test_a_published_run_of_the_first_edition_is_loaded_and_gone_on_from(old, tmp_path):
    before = gan.Run.load(old / "published")
    checkpointed = gan.Run.load(old / "run")
    for decay in (0, 0.9):
        ours, exact = before.averaged(decay), checkpointed.averaged(decay)
        for w, there in zip(ours.parameters(), exact.parameters(), strict=True):
            assert torch.equal(w, there.half().float())
    recipe = before.recipe.model_copy(update={"epochs": 3})
    assert len(train(recipe, tmp_path / "on", start=old / "published").history) == 3


def test_a_checkpoint_of_a_later_format_is_refused_in_one_line(old):
    path = old / "run" / runs.CHECKPOINT
    torch.save(torch.load(path, weights_only=True) | {"format": 99}, path)
    recipe = gan.recipe("digits")
    for load in (lambda: gan.Run.load(old / "run"), lambda: train(recipe, old / "run")):
        with pytest.raises(ValueError, match=r"has format 99, .* up to 3: take a newer one") as e:
            load()
        assert "\n" not in str(e.value) and path.exists()


def test_a_checkpoint_of_an_earlier_version_says_that_it_has_no_checksum(old, tmp_path):
    with pytest.warns(
        UserWarning, match=r"checkpoint\.pt, of an earlier version, has no checksum: it may be dam"
    ):
        run = gan.Run.load(old / "run")
    train(run.recipe.model_copy(update={"epochs": 3}), old / "run")
    assert not durable.is_sealed(old / "run" / runs.BEFORE) and durable.is_sealed(
        old / "run" / runs.CHECKPOINT
    )


def test_a_checkpoint_says_its_format_and_is_the_sum_of_its_parts(old, tmp_path):
    recipe = gan.Run.load(old / "run").recipe
    games = []
    run = train(recipe, tmp_path / "run", averages=[0.5], after_epoch=lambda epoch, game: games.append(game))
    state = torch.load(run.folder / runs.CHECKPOINT, weights_only=True)
    assert state.pop("format") == runs.FORMAT == 3
    assert state.pop("record") == json.loads((run.folder / runs.RECORD).read_text())
    assert state.keys() == games[0].parts().keys()
    assert json.loads((run.folder / runs.RECORD).read_text())["recipe"]["ema"] == 0.9


@pytest.mark.parametrize("name", ["averages", "history", "film", "random"])
def test_a_part_put_back_gives_the_state_it_was_given(name):
    torch.manual_seed(0)
    generator = Generator(4, (5, 6), (1, 3, 3), init=0.5)

    def parts():
        made = keeping.Averages(generator, [0.9, 0.5]), keeping.History(), keeping.Film()
        return dict(zip(("averages", "history", "film"), made, strict=True)) | {
            "random": keeping.RandomNumbers(torch.device("cpu"))
        }

    part, other = parts()[name], parts()[name]
    if name == "averages":
        part.follow()
        torch.nn.init.normal_(generator.layers[0].weight)
        part.follow()
    elif name == "history":
        part.append({"epoch": 1, "value": 0.5})
    elif name == "film":
        part.take(3, generator)
        part.take(4, generator)  # not one of FILMED
        assert part.keys() == {3}
    else:
        torch.rand(3)
    state = part.state_dict()
    drawn = torch.rand(5)
    other.load_state_dict(state)
    if name == "random":
        assert torch.equal(torch.rand(5), drawn)
    elif name == "averages":
        for decay in part:
            assert_same_weights(other[decay], part[decay])
            assert other.updates[decay] == part.updates[decay] == 2
    else:
        assert all(map(np.array_equal, other, part)) and len(other) == len(part) == 1
