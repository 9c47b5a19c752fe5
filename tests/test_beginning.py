"""A recipe's first updates: what is looked at, by autograd and NumPy; looking changes nothing."""

import json

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import gan
from gan.__main__ import main
from gan.book import beginning, experiments

SMALL = {"g_hidden": (16, 16), "d_hidden": (8,), "d_pieces": 2, "batch_size": 100, "d_init": 0.2, "epochs": 3}


@pytest.fixture
def recipe():
    return gan.recipe("digits", **SMALL)


def test_what_is_looked_at_is_what_its_names_say(recipe):
    """At the start, by the losses of the paper written out, without the code that trains."""
    images, _ = gan.data.load("digits").split(recipe.valid)
    game = gan.training.Game(recipe, images, torch.device("cpu"))
    x, z, masks = beginning.minibatch(game)
    found = beginning.look(game, x, z, masks)
    assert len(x) == len(z) == 100 and {len(mask) for mask in masks} == {200}
    samples = game.generator(z)
    logits = game.discriminator(torch.cat([x, samples]), masks)
    real, fake = logits[:100], logits[100:]
    d_loss = (F.softplus(-real).mean() + F.softplus(fake).mean()) / 2
    g_loss = F.softplus(-fake).mean()
    expected = {
        "spread": samples.detach().numpy().reshape(100, -1).std(0, ddof=1).mean(),
        "data_spread": x.numpy().reshape(100, -1).std(0, ddof=1).mean(),
        "real": real.mean().item(),
        "fake": fake.mean().item(),
    }
    for name, loss, network in (("d_norm", d_loss, game.discriminator), ("g_norm", g_loss, game.generator)):
        gradient = torch.autograd.grad(loss, [*network.parameters()], retain_graph=True)
        expected[name] = sum((g.double() ** 2).sum().item() for g in gradient) ** 0.5
    assert found == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("updates", ["simultaneous", "alternating"])
def test_the_game_goes_as_if_nobody_looked(recipe, tmp_path, monkeypatch, updates):
    recipe = recipe.model_copy(update={"updates": updates})
    games = []
    monkeypatch.setattr(beginning, "Game", lambda *made: games.append(gan.training.Game(*made)) or games[0])
    record = beginning.follow(recipe, tmp_path / "a/b.json", updates=36, every=5, device="cpu")
    assert json.loads((tmp_path / "a/b.json").read_text()) == record
    assert [row["update"] for row in record["rows"]] == [*range(0, 36, 5)]
    run = gan.train(recipe, tmp_path / "run", device="cpu", progress=False)
    for name, weight in run.generator.state_dict().items():
        assert torch.equal(weight, games[0].generator.state_dict()[name]), name
    for key in ("recipe", "data_sha256", "versions", "engine"):
        assert record[key] == run.record[key]


def test_it_is_always_the_same_minibatch_and_leaves_random_numbers_alone(recipe):
    images, _ = gan.data.load("digits").split(recipe.valid)
    game = gan.training.Game(recipe, images, torch.device("cpu"))
    state = torch.get_rng_state()
    x, z, masks = beginning.minibatch(game)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(9)
    again = beginning.minibatch(game)
    assert torch.equal(x, again[0]) and torch.equal(z, again[1])
    assert all(torch.equal(a, b) for a, b in zip(masks, again[2], strict=True))


def test_the_command_writes_what_the_book_reads(checkout, capsys):
    small = [word for name, value in SMALL.items() for word in ("-p", name, str(value).replace(" ", ""))]
    assert main(["beginning", "digits", *small, "--updates", "4", "--every", "2", "--device", "cpu"]) == 0
    (written,) = (checkout / "book/results/beginnings").iterdir()
    assert f"{written.name}: 3 rows, " in capsys.readouterr().out
    record = beginning.published(written.stem)
    figure = experiments.beginning(record)
    spread, logits, norms = figure.axes
    assert [axes.get_yscale() for axes in figure.axes] == ["log", "linear", "log"]
    for axes, columns in (
        (spread, ("data_spread", "spread")),
        (logits, ("real", "fake")),
        (norms, ("d_norm", "g_norm")),
    ):
        for line, column in zip(axes.lines, columns, strict=True):
            assert [*line.get_xdata()] == [0, 2, 4]
            assert np.allclose(line.get_ydata(), [row[column] for row in record["rows"]])


@pytest.mark.parametrize(
    ("fields", "how", "line"),
    [
        ({}, {"updates": 0}, "updates = 0, every = 10: it must be 0 < every <= updates <= 36"),
        ({}, {"updates": 37}, "updates = 37, every = 10: it must be 0 < every <= updates <= 36"),
        ({}, {"updates": 5}, "updates = 5, every = 10: it must be 0 < every <= updates <= 36"),
        (
            {"g_batch_norm": "meant"},
            {"updates": 10},
            "g_batch_norm = 'meant': to look at such a G changes its statistics",
        ),
    ],
)
def test_what_cannot_be_looked_at_is_refused_in_one_line(tmp_path, fields, how, line):
    with pytest.raises(ValueError) as error:
        beginning.follow(gan.recipe("digits", **(SMALL | fields)), tmp_path / "x.json", **how)
    assert str(error.value) == line and not (tmp_path / "x.json").exists()
