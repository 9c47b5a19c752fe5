"""Distributions whose density is known, and the exact p_g of a generator on the line. Source: Figure 1."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, log_expit
from torch import Tensor, distributions, nn
from torch.distributions import Cauchy, Distribution, Laplace, MixtureSameFamily, Normal, Uniform

from . import data, theory
from .nets import Discriminator, Generator

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Target:
    """A distribution on the line or in the plane, in float64; most of it lies in ±``reach`` on each axis."""

    name: str
    distribution: Distribution
    reach: float

    @property
    def dimensions(self) -> int:
        return 2 if self.distribution.event_shape else 1

    def cdf(self, x: ArrayLike) -> Array:
        """The distribution function on the line, at points (n,); (n,)."""
        return self.distribution.cdf(torch.as_tensor(np.asarray(x, dtype=np.float64))).numpy()

    def masses(self, edges: ArrayLike) -> Array:
        """The mass of each bin between ``edges`` (n + 1,) on the line; (n,)."""
        return np.diff(self.cdf(edges))

    def sample(self, n: int, seed: int | None = None) -> Tensor:
        """n points, float32 (n, dimensions); from torch's generator, or from ``seed`` if given."""
        with torch.random.fork_rng([], enabled=seed is not None):
            if seed is not None:
                torch.manual_seed(seed)
            return self.distribution.sample((n,)).float().reshape(n, self.dimensions)


def _number(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64).squeeze()


def _mixture(weights: list[float], components: Distribution) -> MixtureSameFamily:
    return MixtureSameFamily(distributions.Categorical(_number(*weights)), components, validate_args=False)


def _blobs(centres: Tensor, scale: float) -> MixtureSameFamily:
    """Round Gaussians of equal weight around ``centres`` (n, 2)."""
    components = distributions.Independent(Normal(centres.double(), _number(scale)), 1)
    return _mixture([1 / len(centres)] * len(centres), components)


_uniform = partial(Uniform, validate_args=False)
_angles, _steps = torch.arange(8).double() * math.pi / 4, torch.arange(-2.0, 3.0)
_targets = [
    Target("gaussian", Normal(_number(0), _number(1)), 4),
    Target("mixture", _mixture([0.7, 0.3], Normal(_number(-1.5, 1.5), _number(0.5))), 4),
    Target("laplace", Laplace(_number(0), _number(1)), 6),
    Target("uniform", _uniform(_number(-1), _number(1)), 2),
    Target("cauchy", Cauchy(_number(0), _number(1)), 10),
    Target("far", Normal(_number(6), _number(1)), 10),
    Target("intervals", _mixture([0.5, 0.5], _uniform(_number(-3, 2), _number(-2, 3))), 4),
    Target("ring", _blobs(2 * torch.stack([_angles.cos(), _angles.sin()], 1), 0.1), 3),
    Target("grid", _blobs(torch.cartesian_prod(_steps, _steps) * 2, 0.1), 5),
]
TARGETS = {target.name: target for target in _targets}
"""On the line: gaussian N(0, 1); mixture 0.7 N(−1.5, ½²) + 0.3 N(1.5, ½²); laplace; uniform on (−1, 1);
cauchy, whose tails are so heavy that it has no mean; far, N(6, 1), where no G starts; intervals
(−3, −2) ∪ (2, 3), disjoint from uniform.
In the plane: a ring of 8 and a grid of 25 Gaussians."""
PRIORS = {
    "uniform": Target("uniform", _uniform(_number(-math.sqrt(3)), _number(math.sqrt(3))), math.sqrt(3)),
    "gaussian": Target("gaussian", Normal(_number(0), _number(1)), 9),  # but for 1e-18
}
"""Of z, by the noise of a `Generator`."""


def _draw(target: Target) -> data.Dataset:
    """6 000 points for training and 5 000 for testing."""
    x = target.sample(11_000, seed=0).numpy()
    y = np.zeros(len(x), np.int64)
    return data.Dataset(target.name, x[:6000], y[:6000], x[6000:], y[6000:])


for _target in _targets:
    data.SHAPES[_target.name] = (_target.dimensions,)
    data.MADE[_target.name] = partial(_draw, _target)


def pushforward(generator: Generator, edges: ArrayLike) -> Array:
    """The mass that p_g puts between neighbouring ``edges`` (n + 1,), for z and x on the line; (n,).

    That is the prior's measure of {z : edge ≤ G(z) < next edge}, found piece by piece, without
    sampling: folds add up, and a stretch where G is constant is an atom. Edges may be infinite. A G of
    linear and rectifier layers is linear between its kinks, and the result exact to rounding; other
    hidden layers are taken as linear between 4001 points, which errs by 1e-6·|G″| in x at most.

    ValueError: z or x is not on the line, or the edges do not increase.
    """
    edges = np.asarray(edges, dtype=np.float64)
    if edges.ndim != 1 or len(edges) < 2 or not (np.diff(edges) > 0).all():
        raise ValueError(f"edges must be at least two increasing numbers, not {edges}")
    if generator.noise_size != 1 or math.prod(generator.shape) != 1:
        given = f"noise_size = {generator.noise_size} and shape = {generator.shape}"
        raise ValueError(f"p_g needs z and x on the line, noise_size = 1 and shape = (1,), not {given}")
    *layers, output = copy.deepcopy(generator.layers).cpu().double()
    if isinstance(output, nn.Sigmoid):  # it increases, so its inverse can move the edges instead
        edges = torch.logit(torch.from_numpy(edges).clamp(0, 1)).numpy()
    else:
        layers.append(output)
    with torch.no_grad():
        points = _knots(generator, layers)
        x = nn.Sequential(*layers)(points)[:, 0].numpy()
    if not np.isfinite(x).all():
        raise ValueError("G(z) is not finite everywhere: its training has diverged")
    z, cdf = points[:, 0].numpy(), PRIORS[generator.noise].cdf
    rise = np.diff(x)
    with np.errstate(divide="ignore", invalid="ignore"):  # where G is constant on a piece
        t = np.nan_to_num((edges[:, None] - x[:-1]) / rise).clip(0, 1)  # where it crosses an edge
    at = cdf(z[:-1] * (1 - t) + z[1:] * t)  # (n + 1, pieces)
    # the prior's measure of {z : G(z) < edge}: of each piece the part on the edge's lower side
    below = np.where(rise < 0, cdf(z[1:]) - at, at - cdf(z[:-1])).sum(axis=1)
    return np.maximum(np.diff(below), 0)  # a difference of equal sums may be −1e-17


@dataclass(frozen=True)
class Snapshot:
    """G, D and a target on the line at one moment, bin by bin, as Figure 1 draws them.

    ``edges`` (n + 1,) begin and end with ∓∞, so that ``p_data`` and ``p_g``, masses (n,), sum to 1.
    ``logit`` (n,) is D's at the bins' middles; ``z`` and ``g`` are points of the prior and where G
    sends them.
    """

    edges: Array
    p_data: Array
    p_g: Array
    logit: Array
    z: Array
    g: Array

    @property
    def x(self) -> Array:
        """The middles of the finite bins, (n − 2,)."""
        return (self.edges[1:-2] + self.edges[2:-1]) / 2

    def density(self, masses: Array) -> Array:
        """Masses as a density over `x`."""
        return masses[1:-1] / np.diff(self.edges[1:-1])

    @property
    def d(self) -> Array:
        """D over `x`."""
        return expit(self.logit[1:-1])

    @property
    def d_star(self) -> Array:
        """D* over `x`, NaN where both densities are 0. Source: Eq. (2)."""
        return theory.optimal_discriminator(self.p_data, self.p_g)[1:-1]

    @property
    def value(self) -> float:
        """V(G, D), nats. Source: Eq. (3)."""
        return float(self.p_data @ log_expit(self.logit) + self.p_g @ log_expit(-self.logit))

    @property
    def criterion(self) -> float:
        """C(G) = max_D V(G, D), nats. Source: Eq. (4)."""
        return theory.virtual_criterion(self.p_data, self.p_g)


@torch.no_grad()
def snapshot(generator: Generator, discriminator: Discriminator, target: Target, bins: int = 320) -> Snapshot:
    """The two players as they stand, over ``bins`` finite bins of the target's reach; see `pushforward`."""
    inner = np.linspace(-target.reach, target.reach, bins + 1)
    edges = np.concatenate([[-np.inf], inner, [np.inf]])
    middles = np.concatenate([[inner[0]], (inner[:-1] + inner[1:]) / 2, [inner[-1]]])
    p_data, p_g = target.masses(edges), pushforward(generator, edges)
    logit = copy.deepcopy(discriminator).cpu().eval()(torch.from_numpy(middles).float()[:, None])
    reach = PRIORS[generator.noise].reach
    z = torch.linspace(-reach, reach, 21)[:, None]
    rest = (x.flatten().double().numpy() for x in (logit, z, copy.deepcopy(generator).cpu()(z)))
    return Snapshot(edges, p_data, p_g, *rest)


def _knots(generator: Generator, layers: list[nn.Module]) -> Tensor:
    """Points (n, 1) of the prior's range, in order, between which ``layers`` are linear."""
    reach = PRIORS[generator.noise].reach
    if not all(isinstance(layer, nn.Linear | nn.ReLU | nn.LeakyReLU | nn.Identity) for layer in layers):
        return torch.linspace(-reach, reach, 4001, dtype=torch.float64)[:, None]
    z = _number(-reach, reach)[:, None]
    for i, layer in enumerate(layers):
        if isinstance(layer, nn.ReLU | nn.LeakyReLU):  # kinks where a unit's input crosses 0
            h = nn.Sequential(*layers[:i])(z)
            piece, unit = torch.nonzero(h[:-1].sign() * h[1:].sign() < 0, as_tuple=True)
            before, after = h[piece, unit], h[piece + 1, unit]
            kinks = z[piece, 0] + before / (before - after) * (z[piece + 1, 0] - z[piece, 0])
            z = torch.cat([z[:, 0], kinks]).unique()[:, None]
    return z
