"""Targets against SciPy, and the exact p_g of a generator on the line against samples and closed forms."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats
from torch import nn

import gan
from gan import toy
from gan.book import publishing
from gan.nets import Discriminator, Generator

LINE = [target for target in toy.TARGETS.values() if target.dimensions == 1]
HALF = stats.norm(scale=0.5)
ORACLES = {
    "gaussian": stats.norm(),
    "laplace": stats.laplace(),
    "uniform": stats.uniform(-1, 2),
    "cauchy": stats.cauchy(),
    "far": stats.norm(6),
}
ALL = np.array([-np.inf, np.inf])


def cdf(target: toy.Target, x: np.ndarray) -> np.ndarray:
    """The distribution function by SciPy."""
    if target.name == "mixture":
        return 0.7 * HALF.cdf(x + 1.5) + 0.3 * HALF.cdf(x - 1.5)
    if target.name == "intervals":
        return (stats.uniform(-3, 1).cdf(x) + stats.uniform(2, 1).cdf(x)) / 2
    return ORACLES[target.name].cdf(x)


def density(target: toy.Target, x: np.ndarray | float) -> np.ndarray:
    return target.distribution.log_prob(torch.tensor(x, dtype=torch.float64)).exp().numpy()


@pytest.mark.parametrize("target", LINE, ids=lambda target: target.name)
def test_targets_on_the_line_are_what_they_are_called(target):
    edges = np.array([-np.inf, -8, -2.5, -1.2, -0.3, 0.4, 1, 2.2, 6.5, np.inf])
    masses = target.masses(edges)
    assert masses == pytest.approx(np.diff(cdf(target, edges)), abs=1e-12)
    for left, right, mass in zip(edges[1:-2], edges[2:-1], masses[1:-1], strict=True):
        breaks = [x for x in (-3, -2, -1, 1, 2, 3) if left < x < right] or None
        by_density, _ = integrate.quad(lambda x: density(target, x), left, right, points=breaks)
        assert by_density == pytest.approx(mass, abs=1e-7)
    assert target.masses([-target.reach, target.reach]) > 0.9
    sample = target.sample(20_000, seed=3)
    assert sample.shape == (20_000, 1) and sample.dtype == torch.float32
    assert stats.kstest(sample[:, 0].numpy(), lambda x: cdf(target, x)).pvalue > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize(("name", "modes", "radius"), [("ring", 8, 2.0), ("grid", 25, None)])
def test_targets_in_the_plane_are_what_they_are_called(name, modes, radius):
    target = toy.TARGETS[name]
    axis = np.linspace(-target.reach, target.reach, 601)
    points = np.stack(np.meshgrid(axis, axis, indexing="ij"), -1)
    heights = density(target, points)
    assert heights.sum() * (axis[1] - axis[0]) ** 2 == pytest.approx(1, abs=1e-3)
    peaks = np.pad(heights, 1)
    higher = [heights >= np.roll(peaks, (i, j), (0, 1))[1:-1, 1:-1] for i in (-1, 0, 1) for j in (-1, 0, 1)]
    found = points[np.all(higher, axis=0) & (heights > 0.1 * heights.max())]
    assert len(found) == modes
    if radius:
        assert np.linalg.norm(found, axis=1) == pytest.approx(radius, abs=0.02)
    sample = target.sample(4000, seed=0).numpy()
    apart = np.linalg.norm(sample[:, None] - found, axis=-1)
    assert (apart.min(1) < 0.5).all()  # five standard deviations
    assert set(apart.argmin(1)) == set(range(modes))


def test_disjoint_targets_are_disjoint():
    edges = np.linspace(-4, 4, 161)
    uniform, intervals = (toy.TARGETS[name].masses(edges) for name in ("uniform", "intervals"))
    assert gan.theory.virtual_criterion(uniform, intervals) == 0


def test_samples_come_from_the_seed_or_go_on():
    target = toy.TARGETS["mixture"]
    torch.manual_seed(5)
    state = torch.get_rng_state()
    assert torch.equal(target.sample(4, seed=1), target.sample(4, seed=1))
    assert torch.equal(state, torch.get_rng_state())
    assert not torch.equal(target.sample(4), target.sample(4))


# p_g


def make_generator(hidden, activation, output, noise, scale, seed) -> Generator:
    torch.manual_seed(seed)
    generator = Generator(
        1, hidden, (1,), activations=(activation,) * len(hidden), output=output, noise=noise,
        init=scale, bias_init=scale,
    )  # fmt: skip
    nn.init.uniform_(generator.layers[-2].bias, -1, 1)
    return generator


generators = st.builds(
    make_generator,
    st.sampled_from([(), (1,), (8,), (16, 16), (4, 8, 4)]),
    st.sampled_from(["relu", "relu", "sigmoid", "linear"]),
    st.sampled_from(["linear", "sigmoid", "relu"]),
    st.sampled_from(["uniform", "gaussian"]),
    st.sampled_from([0.05, 1.0, 4.0]),
    st.integers(0, 10_000),
)


def check_p_g(generator: Generator) -> None:
    """Its total mass is 1, and its distribution function the empirical one."""
    assert toy.pushforward(generator, ALL) == pytest.approx(1, abs=1e-12)
    n = 20_000
    z = generator.draw_noise(n, torch.Generator().manual_seed(0)).double()
    samples = np.sort(generator.double()(z).detach().flatten().numpy())
    inner = np.unique(np.quantile(samples, np.linspace(0, 1, 23)))
    middles = (inner[:-1] + inner[1:]) / 2
    edges = np.unique(np.concatenate([[-np.inf], inner - 1e-7, middles + 1e-7, [np.inf]]))
    masses = toy.pushforward(generator, edges)
    assert (masses >= 0).all() and masses.sum() == pytest.approx(1, abs=1e-12)
    empirical = np.searchsorted(samples, edges[1:-1]) / n
    assert np.cumsum(masses)[:-1] == pytest.approx(empirical, abs=2.5 / math.sqrt(n))


@pytest.mark.slow
@settings(max_examples=60, deadline=None, derandomize=True)
@given(generators)
def test_the_mass_of_p_g_is_1_and_its_distribution_that_of_samples(generator):
    check_p_g(generator)


def hat(*, slope: float) -> Generator:
    """G(z) = slope·(relu(z) − 2·relu(z − 1)): 0 for z < 0, up to ``slope`` at 1, down again."""
    generator = Generator(1, (2,), (1,), activations=("relu",), output="linear").double()
    first, _, last, _ = generator.layers
    with torch.no_grad():
        first.weight.copy_(torch.tensor([[1.0], [1.0]]))
        first.bias.copy_(torch.tensor([0.0, -1.0]))
        last.weight.copy_(slope * torch.tensor([[1.0, -2.0]]))
    return generator


def test_atoms_and_folds_are_exact():
    width = 2 * math.sqrt(3)
    # z < 0 is an atom at 0, in the bin that begins there; at z = √3 the fold has come down to ``end``
    first = 0.5 + (0.5 + math.sqrt(3) - 1.5) / width  # an atom, z in (0, ½), z in (1.5, √3)
    second, end = 1 / width, 2 * (2 - math.sqrt(3))
    masses = toy.pushforward(hat(slope=2), [-np.inf, -1, 0, 1, 2, np.inf])
    assert masses == pytest.approx([0, 0, first, second, 0], abs=1e-15)
    assert toy.pushforward(hat(slope=2), [-1e-12, 1e-12]) == pytest.approx(0.5, abs=1e-11)
    assert toy.pushforward(hat(slope=2), [0, end]) == pytest.approx(0.5 + end / 2 / width, abs=1e-15)
    flipped = toy.pushforward(hat(slope=-2), [-2, -1, 1e-300])
    assert flipped == pytest.approx([second, first], abs=1e-15)


@pytest.mark.parametrize("noise", ["uniform", "gaussian"])
def test_an_affine_g_gives_the_prior_itself(noise):
    generator = make_generator((), "relu", "linear", noise, 1.0, seed=1).double()
    weight, bias = generator.layers[0].weight.item(), generator.layers[0].bias.item()
    prior = stats.norm() if noise == "gaussian" else stats.uniform(-math.sqrt(3), 2 * math.sqrt(3))
    edges = np.linspace(-3, 3, 41)
    expected = abs(np.diff(prior.cdf((edges - bias) / weight)))
    assert toy.pushforward(generator, edges) == pytest.approx(expected, abs=1e-14)


def test_p_g_refuses_what_is_not_on_the_line():
    with pytest.raises(ValueError, match="noise_size = 2 and shape"):
        toy.pushforward(Generator(2, (4,), (1,), activations=("relu",)), ALL)
    with pytest.raises(ValueError, match=r"shape = \(1, 8, 8\)"):
        toy.pushforward(Generator(1, (4,), (1, 8, 8), activations=("relu",)), ALL)
    for edges in ([0.0], [1.0, 0.0], [0.0, 0.0], [np.nan, 1.0], [[0.0, 1.0]]):
        with pytest.raises(ValueError, match="edges must be at least two increasing numbers"):
            toy.pushforward(hat(slope=1), edges)
    broken = hat(slope=float("nan"))
    with pytest.raises(ValueError, match="not finite"):
        toy.pushforward(broken, ALL)


# What Figure 1 shows


def test_a_snapshot_holds_what_the_networks_say():
    torch.manual_seed(0)
    generator = make_generator((8,), "relu", "linear", "uniform", 1.0, seed=0)
    discriminator = Discriminator((1,), (8,), 2, init=1.0)  # with dropout, which must not act
    target = toy.TARGETS["gaussian"]
    stage = toy.snapshot(generator, discriminator.train(), target, bins=40)
    assert discriminator.training
    assert len(stage.x) == 40 and stage.x[0] == pytest.approx(-3.9)
    assert stage.density(stage.p_data) == pytest.approx(density(target, stage.x), abs=2e-3)
    assert stage.p_data.sum() == pytest.approx(1) and stage.p_g.sum() == pytest.approx(1)
    points = torch.from_numpy(stage.x).float()[:, None]
    assert stage.d == pytest.approx(discriminator.probability(points).numpy(), abs=1e-6)
    assert stage.d_star == pytest.approx(
        gan.theory.optimal_discriminator(stage.p_data, stage.p_g)[1:-1], nan_ok=True
    )
    d = 1 / (1 + np.exp(-stage.logit))
    assert stage.value == pytest.approx(gan.theory.value(stage.p_data, stage.p_g, d))
    assert stage.value <= stage.criterion == gan.theory.virtual_criterion(stage.p_data, stage.p_g)
    with torch.no_grad():
        assert stage.g == pytest.approx(generator(torch.from_numpy(stage.z).float()[:, None])[:, 0].numpy())


def test_targets_are_data_sets():
    data = gan.data.load("ring")
    assert data.x_train.shape == (6000, 2) and data.x_train.dtype == np.float32
    assert data.digest == gan.data.load("ring").digest != gan.data.load("grid").digest
    assert gan.data.scale(data.x_train) is data.x_train
    assert set(toy.TARGETS) < set(gan.data.SHAPES)


def test_figure_1_is_a_recipe_that_trains_and_can_be_followed(tmp_path):
    recipe = gan.recipe("figure1", epochs=3, seed=1)
    seen = []
    run = gan.train(
        recipe, tmp_path / "run", progress=False,
        after_epoch=lambda epoch, players: seen.append((epoch, toy.pushforward(players.generator, ALL)[0])),
    )  # fmt: skip
    assert seen == [(epoch, pytest.approx(1)) for epoch in (1, 2, 3)]
    assert run.generator.sample(64).shape == (64, 1)
    assert list(run.history["epoch"]) == [1, 2, 3]
    with pytest.raises(ValueError, match="has no images"):
        publishing.publish(run, "figure1", root=tmp_path / "results")
    assert not (tmp_path / "results").exists()


def test_figure_1_learns(tmp_path):
    stages = []
    gan.train(
        gan.recipe("figure1", epochs=10), tmp_path / "run", progress=False,
        after_epoch=lambda _, players: stages.append(
            toy.snapshot(players.generator, players.discriminator, toy.TARGETS["gaussian"])
        ),
    )  # fmt: skip
    apart = [gan.theory.jensen_shannon(stage.p_data, stage.p_g) for stage in (stages[0], stages[-1])]
    assert apart[1] < apart[0] / 2


NARROW = toy.Target("uniform", torch.distributions.Uniform(-1.5, 1.5, validate_args=False), math.sqrt(3))


@pytest.mark.parametrize(
    ("name", "broken"),
    [
        ("PRIORS", {"uniform": NARROW}),  # not all of the prior's width
        ("_knots", lambda *_: torch.tensor([[-math.sqrt(3)], [math.sqrt(3)]]).double()),  # no kinks
    ],
)
def test_the_checks_of_p_g_can_fail(monkeypatch, name, broken):
    monkeypatch.setattr(toy, name, broken)
    with pytest.raises(AssertionError):
        test_atoms_and_folds_are_exact()
    with pytest.raises(AssertionError):
        check_p_g(make_generator((8,), "relu", "linear", "uniform", 1.0, seed=3))
