"""Algorithm 1: who moves when, how often, on what, and in which direction."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

import gan
from gan import algorithm1, objective
from gan.algorithm1 import Players, alternating, discriminator_step, generator_step, simultaneous
from gan.nets import Discriminator, Generator


@pytest.fixture
def players():
    torch.manual_seed(0)
    generator = Generator(4, (8, 8), (1, 3, 3), init=0.5)
    discriminator = Discriminator((1, 3, 3), (6, 6), 2, init=0.5)
    sgd = {"lr": 0.1, "momentum": 0.5}
    return Players(
        generator,
        discriminator,
        torch.optim.SGD(generator.parameters(), **sgd),
        torch.optim.SGD(discriminator.parameters(), **sgd),
    )


def weights(network):
    return torch.cat([w.detach().flatten().clone() for w in network.parameters()])


@pytest.mark.slow
def test_a_step_of_one_leaves_the_other_bit_identical(players):
    x, z = torch.rand(5, 1, 3, 3), players.generator.draw_noise(5)
    g, d = weights(players.generator), weights(players.discriminator)
    discriminator_step(players, x, z)
    assert torch.equal(weights(players.generator), g)
    assert not torch.equal(weights(players.discriminator), d)
    assert all(w.grad is None for w in players.generator.parameters())
    d = weights(players.discriminator)
    gradients = [w.grad.clone() for w in players.discriminator.parameters()]
    generator_step(players, z)
    assert torch.equal(weights(players.discriminator), d)
    assert not torch.equal(weights(players.generator), g)
    for w, before in zip(players.discriminator.parameters(), gradients, strict=True):
        assert torch.equal(w.grad, before)  # nothing of G's step is left over in D


@pytest.mark.parametrize("k", [1, 2, 5])
def test_an_iteration_has_k_steps_of_d_and_one_of_g_each_with_fresh_noise(players, k, monkeypatch):
    moves, noises = [], []
    draw = players.generator.draw_noise
    monkeypatch.setattr(players.generator, "draw_noise", lambda n: noises.append(draw(n)) or noises[-1])
    for name, optimizer in (("D", players.d_optimizer), ("G", players.g_optimizer)):
        step = optimizer.step
        monkeypatch.setattr(optimizer, "step", lambda step=step, name=name: moves.append(name) or step())
    minibatches = [torch.rand(5, 1, 3, 3) for _ in range(k)]
    seen = []
    judge = players.judge
    monkeypatch.setattr(players, "judge", lambda x, *rest: seen.append(x) or judge(x, *rest))
    alternating(players, minibatches)
    assert moves == ["D"] * k + ["G"]
    assert len({tuple(z.flatten().tolist()) for z in noises}) == k + 1
    assert all(x is y for x, y in zip(seen, minibatches, strict=True))


def test_d_ascends_v_and_g_descends_its_loss(players):
    players.discriminator.eval()  # no dropout, so that the change can be seen
    x, z = torch.rand(64, 1, 3, 3), players.generator.draw_noise(64)

    def v():
        with torch.no_grad():
            return objective.value(players.discriminator(x), players.discriminator(players.generator(z)))

    before = v()
    discriminator_step(players, x, z)
    after = v()
    assert after > before
    generator_step(players, z)
    assert v() < after


def test_a_step_of_d_is_plain_sgd_on_algorithm_1s_gradient(players):
    """Against autograd on D written out by hand, in float64, without dropout."""
    players.discriminator.eval()
    x, z = torch.rand(5, 1, 3, 3), players.generator.draw_noise(5)
    twin = copy.deepcopy(players.discriminator).double()
    fake = players.generator(z).detach().double()
    log_d = torch.log(torch.sigmoid(twin(x.double()))).mean()
    log_not = torch.log(1 - torch.sigmoid(twin(fake))).mean()
    ascent = torch.autograd.grad((log_d + log_not) / 2, list(twin.parameters()))
    discriminator_step(players, x, z)
    for w, old, g in zip(players.discriminator.parameters(), twin.parameters(), ascent, strict=True):
        torch.testing.assert_close(w.double(), old + 0.1 * g, rtol=1e-4, atol=1e-6)


def test_simultaneous_takes_both_gradients_from_one_batch_and_the_same_masks(players):
    """Against the two losses of one forward pass, made apart with the same random numbers."""
    x = torch.rand(6, 1, 3, 3)
    generator, discriminator = (
        copy.deepcopy(players.generator),
        copy.deepcopy(players.discriminator),
    )
    torch.manual_seed(5)
    fake = generator(generator.draw_noise(6))
    real_logits, fake_logits = discriminator(torch.cat([x, fake])).split(6)
    d_loss = objective.discriminator_loss(real_logits, fake_logits)
    d_gradient = torch.autograd.grad(d_loss, list(discriminator.parameters()), retain_graph=True)
    g_gradient = torch.autograd.grad(objective.non_saturating(fake_logits), list(generator.parameters()))
    torch.manual_seed(5)
    simultaneous(players, [x])
    for network, start, gradient in (
        (players.discriminator, discriminator, d_gradient),
        (players.generator, generator, g_gradient),
    ):
        for w, old, g in zip(network.parameters(), start.parameters(), gradient, strict=True):
            torch.testing.assert_close(w, old - 0.1 * g)


def test_simultaneous_g_moves_against_the_discriminator_as_it_was(players):
    """In the alternating form G answers the D that has just moved; here the one before."""
    players.discriminator.eval()
    twins = copy.deepcopy(players)
    x = torch.rand(6, 1, 3, 3)
    torch.manual_seed(1)
    z = twins.generator.draw_noise(6)
    generator_step(twins, z)
    torch.manual_seed(1)
    simultaneous(players, [x])
    torch.testing.assert_close(weights(players.generator), weights(twins.generator))


def test_g_first_and_then_d_on_the_same_samples_is_a_simultaneous_update():
    """PyTorch-GAN's order, written out: G has moved when D learns, but the samples are from before.

    In float64: Adam makes whole steps of rounding errors, the gradient of a bias that batch norm cancels.
    """
    torch.manual_seed(0)
    leaky = {"activations": ("leaky_relu", "leaky_relu"), "output": "tanh", "batch_norm": "meant"}
    generator = Generator(4, (8, 8), (1, 3, 3), init="pytorch", **leaky)
    no_dropout = {"dropout_input": 0.0, "dropout_hidden": 0.0}
    discriminator = Discriminator((1, 3, 3), (6,), 1, activation="leaky_relu", init="pytorch", **no_dropout)
    ours = generator.double(), discriminator.double()
    g, d = copy.deepcopy(ours)
    adams = [torch.optim.Adam(n.parameters(), lr=0.01, betas=(0.5, 0.999)) for n in (*ours, g, d)]
    players, (g_optimizer, d_optimizer) = Players(*ours, *adams[:2]), adams[2:]
    loss, ones, zeros = nn.BCELoss(), torch.ones(16).double(), torch.zeros(16).double()
    start = weights(g)
    for _ in range(20):
        x, z = torch.rand(16, 1, 3, 3).double() * 2 - 1, torch.randn(16, 4).double()
        algorithm1.simultaneous_step(players, x, z)
        g_optimizer.zero_grad()
        samples = g(z)
        loss(torch.sigmoid(d(samples)), ones).backward()
        g_optimizer.step()
        d_optimizer.zero_grad()
        real, fake = torch.sigmoid(d(x)), torch.sigmoid(d(samples.detach()))
        ((loss(real, ones) + loss(fake, zeros)) / 2).backward()
        d_optimizer.step()
    assert (weights(g) - start).abs().max() > 0.05
    for network, plain in zip(ours, (g, d), strict=True):
        torch.testing.assert_close(weights(network), weights(plain), rtol=1e-5, atol=1e-6)


def test_a_bfloat16_step_is_near_the_float32_one(players):
    half = copy.deepcopy(players)
    half.precision = lambda: torch.autocast("cpu", torch.bfloat16, cache_enabled=False)
    x, z = torch.rand(64, 1, 3, 3), players.generator.draw_noise(64)
    masks = players.discriminator.draw_masks(128)
    ours, expected = (algorithm1.simultaneous_step(p, x, z, masks) for p in (half, players))
    for value, other in zip(ours, expected, strict=True):
        assert value.dtype == torch.float32
        torch.testing.assert_close(value, other, rtol=0.02, atol=0.02)


def test_masks_are_those_that_are_given_and_else_drawn_for_both_halves(players, monkeypatch):
    drawn = []
    draw = players.discriminator.draw_masks
    monkeypatch.setattr(players.discriminator, "draw_masks", lambda n: drawn.append(n) or draw(n))
    x, z = torch.rand(5, 1, 3, 3), players.generator.draw_noise(5)
    discriminator_step(players, x, z)
    generator_step(players, z)
    algorithm1.simultaneous_step(players, x, z)
    assert drawn == [10, 5, 10]
    discriminator_step(players, x, z, draw(10))
    generator_step(players, z, draw(5))
    algorithm1.simultaneous_step(players, x, z, draw(10))
    assert drawn == [10, 5, 10]


def test_fitting_d_moves_d_alone_over_all_points_before_any_comes_again(players, monkeypatch):
    x = torch.arange(7.0)[:, None, None, None].expand(7, 1, 3, 3)
    z = players.generator.draw_noise(7)
    seen, rates = [], []

    def step(players, x, z):
        seen.append((x[:, 0, 0, 0], z))
        rates.append(players.d_optimizer.param_groups[0]["lr"])
        return discriminator_step(players, x, z)

    monkeypatch.setattr(algorithm1, "discriminator_step", step)
    g, d = weights(players.generator), weights(players.discriminator)
    algorithm1.fit_discriminator(players, x, z, steps=5, batch_size=3)
    assert torch.equal(weights(players.generator), g)
    assert not torch.equal(weights(players.discriminator), d)
    assert [len(chosen) for chosen, _ in seen] == [3] * 5
    order = torch.cat([chosen for chosen, _ in seen]).long()
    assert sorted(order[:7]) == sorted(order[7:14]) == list(range(7))
    assert torch.equal(torch.cat([noise for _, noise in seen]), z[order])
    assert rates == pytest.approx([0.1, 0.08, 0.06, 0.04, 0.02])


@pytest.mark.parametrize("updates", ["alternating", "simultaneous"])
def test_statistics_are_those_of_the_logits(players, updates):
    players.discriminator.eval()
    players.d_optimizer.param_groups[0]["lr"] = players.g_optimizer.param_groups[0]["lr"] = 0.0
    x = torch.rand(6, 1, 3, 3)
    statistics = algorithm1.ITERATIONS[updates](players, [x])
    row = dict(zip(algorithm1.STATISTICS, statistics.tolist(), strict=True))
    assert row["d_real"] == pytest.approx(players.discriminator.probability(x).mean().item(), rel=1e-5)
    assert row["d_loss"] == pytest.approx(-row["value"] / 2)
    assert 0 < row["d_fake"] < 1 and row["g_loss"] > 0


def test_adam_and_sgd_are_the_recipes_choice():
    images = gan.data.load("digits").x_train
    for name, kind in (("sgd", torch.optim.SGD), ("adam", torch.optim.Adam)):
        players = gan.training.make_players(gan.recipe("digits", optimizer=name), images, torch.device("cpu"))
        assert type(players.g_optimizer) is type(players.d_optimizer) is kind


# The norm that no unit's incoming weights exceed


def shrunk(w, max_norm):
    """By NumPy, a row at a time; a row is a unit's, or a convolution's output map's."""
    rows = w.detach().numpy().astype(np.float64).reshape(len(w), -1)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return (rows * np.where(norms > max_norm, max_norm / norms, 1)).reshape(w.shape)


def convolutional():
    """Players whose D has convolutions, with momentum."""
    torch.manual_seed(0)
    generator = Generator(4, (8, 8), (2, 6, 6), init=0.5)
    discriminator = Discriminator((2, 6, 6), (6,), 2, conv=((3, 2, 3, 1, 2, 2),), init=0.5)
    sgd = {"lr": 0.5, "momentum": 0.5}
    networks = generator, discriminator
    return Players(*networks, *(torch.optim.SGD(n.parameters(), **sgd) for n in networks))


def of_units(network):
    """The norm of each unit's incoming weights."""
    return torch.cat([w.detach().flatten(1).norm(dim=1) for w in network.parameters() if w.ndim > 1])


@pytest.mark.parametrize("who", ["G", "D", "both"])
def test_after_an_update_no_unit_of_who_moved_exceeds_the_norm(who):
    """Against the same update without a limit, and the units' weights then shrunk one by one."""
    free = convolutional()
    limited = copy.deepcopy(free)
    x, z = torch.rand(6, 2, 6, 6), free.generator.draw_noise(6)
    masks = free.discriminator.draw_masks(12)
    step = {
        "G": lambda players: generator_step(players, z, [mask[:6] for mask in masks]),
        "D": lambda players: discriminator_step(players, x, z, masks),
        "both": lambda players: algorithm1.simultaneous_step(players, x, z, masks),
    }[who]
    step(free)
    moved = [name for name in ("generator", "discriminator") if who in ("both", name[0].upper())]
    norms = torch.cat([of_units(getattr(free, name)) for name in moved])
    limited.max_norm = limit = norms.median().item()  # which half of them exceeds
    step(limited)
    for name in moved:
        ours, plain = getattr(limited, name), getattr(free, name)
        assert of_units(ours).max() <= limit * (1 + 1e-6)
        assert 0 < (of_units(plain) > limit).sum() < len(of_units(plain))
        for w, there in zip(ours.parameters(), plain.parameters(), strict=True):
            if w.ndim == 1:  # a bias
                assert torch.equal(w, there)
                continue
            np.testing.assert_allclose(w.detach().numpy(), shrunk(there, limit), rtol=1e-5, atol=1e-7)
            below = there.flatten(1).norm(dim=1) < limit * (1 - 1e-6)
            assert torch.equal(w[below], there[below])  # bit for bit


def test_a_step_of_one_player_does_not_shrink_the_other():
    players = convolutional()
    players.max_norm = 0.1
    x, z = torch.rand(6, 2, 6, 6), players.generator.draw_noise(6)
    g = weights(players.generator)
    discriminator_step(players, x, z)
    assert torch.equal(weights(players.generator), g)
    d = weights(players.discriminator)
    torch.testing.assert_close(of_units(players.discriminator), torch.full((6 + 12 + 1,), 0.1))
    generator_step(players, z)
    assert torch.equal(weights(players.discriminator), d)


def test_of_a_transposed_convolution_each_maps_weights_are_limited_and_its_bias_is_not():
    """As in the authors' library, whose weights (c, k, k, maps) have one norm for each of the last axis."""
    layer = gan.layers.Deconv(3, 3, 2, (2, 5, 5), init=0.5)
    torch.nn.init.uniform_(layer.bias, -5, 5)
    w, bias = (p.detach().clone() for p in (layer.conv.weight, layer.bias))
    theirs = w.permute(1, 2, 3, 0).numpy().astype(np.float64)
    norms = np.sqrt((theirs**2).sum((0, 1, 2)))
    limit = float(np.median(norms))
    algorithm1.cap_norms(layer.parameters(), limit)
    shrunk = theirs * np.minimum(1, limit / norms)
    np.testing.assert_allclose(layer.conv.weight.detach().permute(1, 2, 3, 0).numpy(), shrunk, rtol=1e-5)
    assert torch.equal(layer.bias, bias)


def test_a_limit_that_is_never_reached_and_none_change_nothing():
    runs = []
    for max_norm in (0.0, 1e6):
        players = convolutional()
        players.max_norm = max_norm
        torch.manual_seed(1)
        for _ in range(3):
            simultaneous(players, [torch.rand(6, 2, 6, 6)])
        runs.append(torch.cat([weights(players.generator), weights(players.discriminator)]))
    assert torch.equal(*runs)


def test_the_limit_is_the_recipes():
    images = gan.data.load("digits").x_train
    for fields in ({}, {"max_norm": 1.9365}):
        players = gan.training.make_players(gan.recipe("digits", **fields), images, torch.device("cpu"))
        assert players.max_norm == fields.get("max_norm", 0)
