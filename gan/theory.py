"""§4 as something that runs: D*, V, C(G), KL and JS divergence, Proposition 2.

A distribution is an array: densities on a grid whose cells have length, area, … ``dx``, or masses
(dx = 1). Integrals are sums over the cells, values are in nats, and 0·log 0 = 0. Where p_data and p_g
are both 0, D* is not defined (NaN) and V, C ignore the point, as the paper remarks of the supports.

ValueError, one line, for shapes that differ, negative, NaN or infinite densities, dx ≤ 0, and sums
off 1 by more than 1e-3 (`optimal_discriminator` alone does not check sums).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, log_expit, xlog1py, xlogy

Array = NDArray[np.float64]

TOLERANCE = 1e-3  # how far from 1 a distribution may sum
QUIET = np.errstate(divide="ignore", invalid="ignore", under="ignore")  # of the logarithm of 0


@QUIET
def optimal_discriminator(p_data: ArrayLike, p_g: ArrayLike) -> Array:
    """D*(x) = p_data(x) / (p_data(x) + p_g(x)), in the shape of both. Source: Proposition 1, Eq. (2)."""
    a, b = _checked(None, p_data=p_data, p_g=p_g)
    largest = np.maximum(a, b)  # so that no sum overflows, and no quotient of tiny numbers is rounded to 0
    return (a / largest) / (a / largest + b / largest)


def value(p_data: ArrayLike, p_g: ArrayLike, d: ArrayLike, dx: float = 1.0) -> float:
    """V(G, D) = ∫ p_data log D + p_g log(1 − D), −∞ where D is sure and wrong. Source: Eq. (3).

    ``d`` in [0, 1] has the distributions' shape; it may be NaN where both are 0.
    """
    a, b = _checked(dx, p_data=p_data, p_g=p_g)
    d = np.asarray(d, dtype=np.float64)
    if d.shape != a.shape:
        raise ValueError(f"d has shape {d.shape}; it must have the distributions' {a.shape}")
    on = (a > 0) | (b > 0)
    if (bad := on & ~((d >= 0) & (d <= 1))).any():
        raise ValueError(f"d holds {d[bad][0]} where p_data + p_g > 0; D(x) must be in [0, 1]")
    return float((xlogy(a[on], d[on]) + xlog1py(b[on], -d[on])).sum() * dx)


@QUIET
def virtual_criterion(p_data: ArrayLike, p_g: ArrayLike, dx: float = 1.0) -> float:
    """C(G) = max_D V(G, D), from −log 4 (p_g = p_data) to 0 (disjoint supports). Source: Eq. (4).

    1 − D* is not formed: it would be 0, and C −∞, where p_g is 1e-17 of p_data.
    """
    a, b = _checked(dx, p_data=p_data, p_g=p_g)
    logit = np.log(a) - np.log(b)  # D*'s
    return float((_times(a, log_expit(logit)) + _times(b, log_expit(-logit))).sum() * dx)


@QUIET
def kl(p: ArrayLike, q: ArrayLike, dx: float = 1.0) -> float:
    """KL(p ‖ q) = ∫ p log(p/q), +∞ where q = 0 and p > 0. Source: used in Eq. (5)."""
    p, q = _checked(dx, p=p, q=q)
    return float(_times(p, np.log(p) - np.log(q)).sum() * dx)


def jensen_shannon(p: ArrayLike, q: ArrayLike, dx: float = 1.0) -> float:
    """JSD(p ‖ q) = ½ KL(p ‖ m) + ½ KL(q ‖ m) with m = (p + q)/2, from 0 to log 2. Source: Eq. (6)."""
    p, q = _checked(dx, p=p, q=q)
    t = 2 * optimal_discriminator(p, q) - 1  # p = m(1 + t), q = m(1 − t), and m cancels in the logarithms
    integrand = xlog1py(1 + t, t) + xlog1py(1 - t, -t)
    return float(_times(p / 2 + q / 2, integrand).sum() * dx) / 2


def total_variation(p: ArrayLike, q: ArrayLike, dx: float = 1.0) -> float:
    """TV(p, q) = ½ ∫ |p − q|, from 0 to 1. By Pinsker's inequality C(G) ≥ −log 4 + TV(p_data, p_g)²."""
    p, q = _checked(dx, p=p, q=q)
    return float(np.abs(p - q).sum() * dx) / 2


@QUIET
def descend(p_data: ArrayLike, p_g: ArrayLike, steps: int, rate: float) -> Array:
    """Proposition 2: p_g's path, (steps + 1, n), of masses (n,) under the always optimal D.

    Exponentiated gradient on U(p_g, D*): p_g ← p_g · exp(−rate · log(1 − D*)), normalised. C(G) falls
    at every step for every rate ≤ 1; at rate 1 a step is (p_g + p_data)/2. ValueError also where p_g
    is 0 and p_data is not: a product never leaves 0.
    """
    a, b, on = _masses(p_data, p_g, {"rate": rate}, steps=steps)
    path = np.zeros((steps + 1, *a.shape))
    path[0] = b
    log_a, log_b = np.log(a[on]), np.log(b[on])
    for row in path[1:]:
        # −log(1 − D*) = log(p_g + p_data) − log p_g
        log_b = _normalised((1 - rate) * log_b + rate * np.logaddexp(log_a, log_b))
        row[on] = np.exp(log_b)
    return path


class Play(NamedTuple):
    """The path of `play`: ``p_g`` and the ``d`` that it meets, both (steps + 1, n)."""

    p_g: Array
    d: Array


@QUIET
def play(p_data: ArrayLike, p_g: ArrayLike, steps: int, rate: float, *, k: int, d_rate: float) -> Play:
    """Algorithm 1 in the space of densities, with a D that is *not* brought to its optimum.

    Each step ascends V in D's logit k times, then moves p_g as `descend` does, but against this D.
    Per unit of mass V's gradient in the logit is D* − D. D starts optimal; with k = 0 it stays as it
    is. Arguments and errors are those of `descend`. Source: Algorithm 1 and Proposition 2's condition.
    """
    a, b, on = _masses(p_data, p_g, {"rate": rate, "d_rate": d_rate}, steps=steps, k=k)
    path = Play(np.zeros((steps + 1, *a.shape)), np.full((steps + 1, *a.shape), np.nan))
    log_a, log_b = np.log(a[on]), np.log(b[on])
    logit = log_a - log_b
    for step in range(steps + 1):
        if step:
            for _ in range(k):
                logit = logit + d_rate * (expit(log_a - log_b) - expit(logit))
            log_b = _normalised(log_b + rate * np.logaddexp(0, logit))  # −log(1 − D) is a softplus
        path.p_g[step][on], path.d[step][on] = np.exp(log_b), expit(logit)
    return path


def _checked(dx: float | None, **given: ArrayLike) -> list[Array]:
    """The two arrays that are ``given``, whose sums are checked where there is a ``dx``."""
    arrays = {name: np.asarray(p, dtype=np.float64) for name, p in given.items()}
    (first, p), (second, q) = arrays.items()
    if p.shape != q.shape:
        raise ValueError(f"{first} has shape {p.shape} and {second} {q.shape}; they must be equal")
    for name, p in arrays.items():
        if (bad := ~(np.isfinite(p) & (p >= 0))).any():
            raise ValueError(f"{name} holds {p[bad][0]}; densities must be finite and ≥ 0")
        if dx is not None and not abs((total := p.sum() * _positive("dx", dx)) - 1) <= TOLERANCE:
            raise ValueError(f"{name} sums to {total:.6g} with dx = {dx:g}; it must be 1 ± {TOLERANCE}")
    return list(arrays.values())


def _masses(p_data: ArrayLike, p_g: ArrayLike, rates: dict[str, float], **counts: int) -> list[NDArray]:
    """The checked arguments of a path, and where p_g is not 0."""
    a, b = _checked(1.0, p_data=p_data, p_g=p_g)
    for name, count in counts.items():
        if not isinstance(count, int | np.integer) or count < 0:
            raise ValueError(f"{name} = {count} must be an integer ≥ 0")
    for name, rate in rates.items():
        _positive(name, rate)
    if (stuck := (b == 0) & (a > 0)).any():
        raise ValueError(f"p_g is 0 where p_data is {a[stuck][0]:g}: a step multiplies p_g and can't move it")
    return [a, b, b > 0]


def _positive(name: str, x: float) -> float:
    if not 0 < x < math.inf:
        raise ValueError(f"{name} = {x} must be a finite number > 0")
    return x


def _times(p: Array, logarithm: Array) -> Array:
    """p · logarithm with 0·log 0 = 0."""
    return np.multiply(p, logarithm, out=np.zeros_like(p), where=p > 0)


def _normalised(log_p: Array) -> Array:
    log_p = log_p - log_p.max()
    # The floor, far below any double's logarithm, keeps rates that diverge from ending in ∞ − ∞.
    return np.maximum(log_p - np.logaddexp.reduce(log_p, axis=None), -1e9)
