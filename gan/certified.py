"""Theorem 1's bound in ball arithmetic: a proof for Gaussians, where quadrature would be evidence only.

p_data = N(0, 1), p_g = N(μ, σ²). A number is a ball (python-flint's ``arb``): a midpoint, and a radius that
bounds all of its errors, those of rounding and of quadrature. Nowhere is C(G) ≥ −log 4 taken for granted.

From points to boxes. Let u = p_data/p_g, so that 1 − D* = 1/(1 + u), and t = ∂ log p_g. As E_g[t] = 0, the
derivative ∂C = E_g[t·log(1 − D*)] (§4.2) is −E_g[t·log((1 + u)/2)]. Here |log((1 + u)/2)| ≤ |√u − 1|: both
are 0 at u = 1, and v − log(1 + v²) has the derivative (1 − v)²/(1 + v²) ≥ 0. By Cauchy–Schwarz |dC| ≤ h·dℓ,
with Hellinger's h² = E_g[(√u − 1)²] = ∫(√p_data − √p_g)² and Fisher's dℓ² = E_g[t²] = (dμ² + 2dσ²)/σ². As
|dh| ≤ dℓ/2, the norm of d√p_g = t√p_g/2, a path of length ℓ changes C by at most hℓ + ℓ²/4, h at its start.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import NamedTuple

from flint import acb, arb, ctx

PRECISION = 64  # bits
TAIL = 8  # the quadrature goes to so many standard deviations of p_data and of p_g
TOLERANCE = 2.0**-40  # nats: the quadrature's aim; the ball tells what it reached
SMALLEST = 2.0**-14  # Fisher's length, from its midpoint, of a box that is not halved any more


Range = tuple[float, float]


class Certificate(NamedTuple):
    """What `certify_bound` proved: C(G) + log 4 > ``gap`` nats in ``boxes`` of (μ, σ), which cover all."""

    gap: float
    boxes: int


def criterion(mu: float | str | arb, sigma: float | str | arb) -> arb:
    """A ball that contains C(G), nats, for each μ in ``mu`` and σ in ``sigma``. Source: Eq. (4).

    A float is the binary number that it is, a string such as "0.1" the decimal one, an ``arb`` its points.
    ValueError: not finite, or σ ≤ 0. ArithmeticError: the quadrature fails (μ or σ astronomical).
    """
    with ctx.workprec(PRECISION):
        mu, sigma = _parameters(mu, sigma)
        mu0, sigma0, spread = mu.mid(), sigma.mid(), _spread(mu, sigma)
        reach = TAIL * sigma0
        ends = sorted([arb(-TAIL), arb(TAIL), (mu0 - reach).lower(), (mu0 + reach).upper()])
        total = arb(0.5, 0.5) * -_tails() + arb(0, 1) * spread  # in [−tails, 0], and in [−spread, spread]
        aim = (spread / 256).max(TOLERANCE)
        for a, b in pairwise(ends):
            total += acb.integral(lambda x, how: _integrand(x, mu0, sigma0, how), a, b, abs_tol=aim).real
    if not total.is_finite():
        raise ArithmeticError(f"mu = {mu}, sigma = {sigma}: the quadrature does not converge")
    return total


def certify_bound(
    *, mu: Range = (0.0, 10.0), sigma: Range = (0.05, 20.0), neighbourhood: float = 0.01, gap: float = 0.0
) -> Certificate:
    """Prove C(G) > −log 4 + ``gap`` for all (μ, σ) of the rectangle, except |μ|, |log σ| < ``neighbourhood``.

    Boxes of parameters are halved until `criterion` decides. What holds for μ holds for −μ: x → −x leaves
    p_data as it is. Source: Theorem 1. ValueError: bad ranges. ArithmeticError: not proved, or not true.
    """
    proved: list[arb] = []
    todo = [(*mu, *sigma)]
    while todo:
        left, right, low, high = box = todo.pop()
        m, s = arb(left).union(right), arb(low).union(high)
        excess = (criterion(m, s) + arb(4).log()).lower()
        if excess > gap:
            proved.append(excess)
        elif abs(m) < neighbourhood and abs(s.log()) < neighbourhood:
            continue
        elif _length(m, s) < SMALLEST:
            raise ArithmeticError(f"not certified: C > -log 4 + {gap} at mu, mu, sigma, sigma = {box}")
        elif _length(m, s.mid()) > _length(m.mid(), s):
            middle = (left + right) / 2
            todo += [(middle, right, low, high), (left, middle, low, high)]
        else:
            middle = math.sqrt(low * high)
            todo += [(left, right, low, middle), (left, right, middle, high)]
    if not proved:
        raise ValueError(f"mu in {mu}, sigma in {sigma}: all of it is in the neighbourhood {neighbourhood}")
    return Certificate(gap=math.nextafter(float(min(proved)), -math.inf), boxes=len(proved))


def _integrand(x: acb, mu: arb, sigma: arb, analytic: bool) -> acb:
    """p_data·log D* + p_g·log(1 − D*) at x, where D* = 1/(1 + eʳ) and r = log p_g − log p_data."""
    w = (x - mu) / sigma
    r = (x * x - w * w) / 2 - sigma.log()
    p_data = (-x * x / 2).exp() / (2 * arb.pi()).sqrt()
    p_g = (-w * w / 2).exp() / (2 * arb.pi()).sqrt() / sigma
    return -p_data * _softplus(r, analytic) - p_g * _softplus(-r, analytic)


def _softplus(r: acb, analytic: bool) -> acb:
    """log(1 + eʳ) on a box of the plane; not finite where it is to be ``analytic`` but 1 + eʳ meets the cut.

    Where Re r > 0 on the whole box, r + log(1 + e⁻ʳ) is the analytic continuation from the real line.
    """
    return r + _softplus(-r, analytic) if r.real > 0 else (1 + r.exp()).log(analytic)


def _tails() -> arb:
    """The integrand, negative, has at most this integral, in size, beyond the reach of the quadrature.

    As log(1 + y) ≤ y, p_data·log(1 + p_g/p_data) ≤ p_g and p_g·log(1 + p_data/p_g) ≤ p_data; the mass of each
    farther than TAIL deviations from its mean is erfc(TAIL/√2).
    """
    return 2 * (TAIL / arb(2).sqrt()).erfc()


def _spread(mu: arb, sigma: arb) -> arb:
    """hℓ + ℓ²/4: how far C(μ, σ) may be from C at the balls' midpoints."""
    mu0, variance, length = mu.mid(), sigma.mid() * sigma.mid(), _length(mu, sigma)
    affinity = (2 * sigma.mid() / (1 + variance)).sqrt() * (-mu0 * mu0 / (4 + 4 * variance)).exp()
    hellinger = (2 - 2 * affinity).upper().sqrt()  # affinity: ∫√(p_data·p_g)
    return hellinger * length + length * length / 4


def _length(mu: arb, sigma: arb) -> arb:
    """Upper bound of Fisher's length from the midpoints to any (μ, σ), on paths linear in μ and log σ."""
    along_mu = mu.rad() / sigma.lower()
    along_sigma = (sigma.mid() / sigma.lower()).log()
    return (along_mu * along_mu + 2 * along_sigma * along_sigma).upper().sqrt()


def _parameters(mu: float | str | arb, sigma: float | str | arb) -> tuple[arb, arb]:
    balls = [arb(x if isinstance(x, str | arb) else float(x)) for x in (mu, sigma)]
    for name, value, ball in zip(("mu", "sigma"), (mu, sigma), balls, strict=True):
        if not ball.is_finite():
            raise ValueError(f"{name} = {value}: it must be finite")
    if not balls[1] > 0:
        raise ValueError(f"sigma = {sigma}: it must be positive")
    return balls[0], balls[1]
