"""Ball arithmetic against SciPy's quadrature, and claims that are false and so must not be certified."""

import itertools
import math
from functools import cache

import numpy as np
import pytest
from flint import acb, arb, ctx
from scipy.integrate import quad

from gan import certified
from gan.certified import certify_bound, criterion

PARAMETERS = [
    *[(0.0, 1.0), (0.1, 1.0), (0.0, 1.25), (-1.0, 1.0), (0.5, 2.0), (3.0, 0.25), (2.0, 0.5), (1e-3, 1.0)],
    *[(10.0, 0.05), (-10.0, 20.0), (0.0, 0.05), (0.0, 20.0), (8.0, 1.0), (1.0, 0.05), (5.0, 0.3)],
]


@cache
def by_quadrature(mu, sigma):
    """C(G), nats, and SciPy's estimate of its own error: no tail bound, no ball."""

    def softplus(r):
        return max(r, 0) + math.log1p(math.exp(-abs(r)))

    def integrand(x):
        w = (x - mu) / sigma
        r = (x * x - w * w) / 2 - math.log(sigma)
        p_data, p_g = math.exp(-x * x / 2), math.exp(-w * w / 2) / sigma
        return -(p_data * softplus(r) + p_g * softplus(-r)) / math.sqrt(2 * math.pi)

    points = sorted(
        mean + k * deviation for mean, deviation in [(0, 1), (mu, sigma)] for k in range(-12, 13, 3)
    )
    pieces = [quad(integrand, p, q, epsabs=1e-13, epsrel=1e-12) for p, q in itertools.pairwise(points)]
    return sum(v for v, _ in pieces), sum(e for _, e in pieces)


def contains(ball, value, error):
    return bool(ball.overlaps(arb(value, error)))


@pytest.mark.parametrize(("mu", "sigma"), PARAMETERS)
def test_the_ball_contains_the_quadratures_value(mu, sigma):
    ball = criterion(mu, sigma)
    value, error = by_quadrature(mu, sigma)
    assert error < 1e-10
    assert contains(ball, value, error)
    assert ball.rad() < 1e-10


def test_at_p_g_equal_to_p_data_it_is_minus_log_4():
    ball = criterion(0, 1)
    assert ball.contains(-arb(4).log())
    assert 2 * ball.rad() < 1e-8
    assert not criterion(0.01, 1).overlaps(ball)


def test_the_sign_of_mu_and_the_exchange_of_the_two_do_not_matter():
    """N(0, 1) and N(μ, σ²) are, seen from the second, N(−μ/σ, 1/σ²) and N(0, 1)."""
    for mu, sigma in [(1.0, 0.5), (-3.0, 4.0), (0.0, 0.25)]:
        assert criterion(mu, sigma).overlaps(criterion(-mu, sigma))
        assert criterion(mu, sigma).overlaps(criterion(-mu / sigma, 1 / sigma))


def test_c_is_nearly_0_where_p_g_is_far_away_or_a_spike():
    for mu, sigma in [(0.0, 1e-12), (0.0, 1e12), (1e6, 1e-6), (1e3, 1.0)]:
        ball = criterion(mu, sigma)
        assert ball.lower() > -1e-8
        assert ball.overlaps(arb(-5e-9, 5e-9))
        assert ball.rad() < 1e-11


def test_a_string_is_the_decimal_number():
    decimal, binary = criterion("0.1", "0.3"), criterion(0.1, 0.3)
    assert decimal.overlaps(binary)
    with ctx.workprec(200):
        tenth = arb(1) / 10
    assert criterion(tenth, "0.3").overlaps(decimal)
    assert criterion(np.float64(0.1), np.float32(0.5)).overlaps(criterion("0.1", "0.5"))


def test_the_precision_of_the_caller_is_left_alone():
    with ctx.workprec(30):
        coarse = criterion(1, 1)
        assert ctx.prec == 30
    assert coarse.rad() < 1e-10
    assert coarse.overlaps(criterion(1, 1))


@pytest.mark.parametrize("radius", [1e-9, 1e-3, 0.3])
@pytest.mark.parametrize(("mu", "sigma"), [(0.0, 1.0), (0.05, 1.0), (0.0, 1.1), (2.0, 0.7), (-1.0, 3.0)])
def test_a_ball_of_parameters_contains_the_points_inside(mu, sigma, radius):
    box = criterion(arb(mu, radius), arb(sigma, radius))
    for i, j in [(-1, -1), (-1, 1), (1, -1), (1, 1), (0.3, 0)]:
        assert contains(box, *by_quadrature(mu + i * radius, sigma + j * radius))
    # and is no wider than the inequality has it, h ≤ √2, ℓ ≤ √3·radius/(σ − radius)
    length = math.sqrt(3) * radius / (sigma - radius) * 1.2
    assert box.rad() < math.sqrt(2) * length + length**2 / 4 + 1e-10


@pytest.mark.parametrize(("mu", "sigma"), [(0.0, 1.1), (0.5, 1.0), (2.0, 0.7), (-1.0, 3.0), (9.0, 0.1)])
def test_the_spread_is_made_from_hellingers_distance_and_fishers_length(mu, sigma):
    def squared(x):
        log_p_g = -(((x - mu) / sigma) ** 2) / 2 - math.log(sigma)
        return (math.exp(-x * x / 4) - math.exp(log_p_g / 2)) ** 2 / math.sqrt(2 * math.pi)

    points = sorted([-12, -4, 0, 4, 12, *(mu + k * sigma for k in (-12, -4, 0, 4, 12))])
    h = math.sqrt(sum(quad(squared, p, q)[0] for p, q in itertools.pairwise(points)))
    length = math.hypot(1e-6, math.sqrt(2) * 3e-6) / sigma
    spread = certified._spread(arb(mu, 1e-6), arb(sigma, 3e-6))
    assert float(spread) == pytest.approx(h * length + length**2 / 4, rel=1e-4)


@pytest.mark.parametrize("radius", [1e-3, 0.01, 0.1])
def test_around_the_minimum_the_ball_is_nearly_as_small_as_it_can_be(radius):
    """There C + log 4 = ℓ²/4 but for higher orders, and h = 0; ℓ = radius for both balls."""
    with_mu, with_sigma = criterion(arb(0, radius), 1), criterion(0, arb(1, radius / math.sqrt(2)))
    for ball in (with_mu, with_sigma):
        assert 0.99 * radius**2 / 4 < ball.rad() < 1.2 * radius**2 / 4
    assert contains(with_mu, *by_quadrature(radius, 1.0))
    assert contains(with_sigma, *by_quadrature(0.0, 1 + radius / math.sqrt(2)))


@pytest.mark.parametrize("tail", [0.1, 1, 2])
@pytest.mark.parametrize(("mu", "sigma"), [(0.0, 1.0), (0.5, 2.0), (3.0, 0.25)])
def test_where_the_quadrature_stops_short_the_tails_make_up_for_it(monkeypatch, mu, sigma, tail):
    value, error = by_quadrature(mu, sigma)
    monkeypatch.setattr(certified, "TAIL", tail)
    ball = criterion(mu, sigma)
    assert contains(ball, value, error)
    assert float(ball.rad()) == pytest.approx(math.erfc(tail / math.sqrt(2)), rel=1e-6)  # half of two tails
    monkeypatch.setattr(certified, "_tails", lambda: arb(0))
    assert not contains(criterion(mu, sigma), value, error)


@pytest.mark.parametrize(("mu", "sigma", "reach"), [(0, 1, 16), (-10, 2, 34), (10, 20, 320), (1, 0.5, 16)])
def test_the_quadrature_reaches_over_both_distributions(monkeypatch, mu, sigma, reach):
    monkeypatch.setattr(certified, "_integrand", lambda x, mu, sigma, analytic: acb(-1))
    assert criterion(mu, sigma).contains(-reach)


def wrong_constant(x, mu, sigma, analytic):
    return right(x, mu, sigma, analytic) * (1 + acb(2) ** -20)


def wrong_deviation(x, mu, sigma, analytic):
    return right(x, mu, sigma * (1 + arb(2) ** -20), analytic)


def forgotten_jacobian(x, mu, sigma, analytic):
    return right(x, mu, sigma, analytic) * sigma


right = certified._integrand


@pytest.mark.parametrize("wrong", [wrong_constant, wrong_deviation, forgotten_jacobian])
def test_a_wrong_integrand_is_seen(monkeypatch, wrong):
    monkeypatch.setattr(certified, "_integrand", wrong)
    seen = [not contains(criterion(mu, sigma), *by_quadrature(mu, sigma)) for mu, sigma in PARAMETERS]
    assert sum(seen) >= 9


@pytest.mark.parametrize(("re", "im"), [(5, 0.1), (-5, 0.1), (0.5, 1), (40, 3), (-3, 3), (3, 7)])
def test_softplus_on_a_point_and_on_a_box_of_the_plane(re, im):
    """Continued from the real line along a vertical."""
    r = complex(re, im)
    continued = r + np.log1p(np.exp(-r)) if re > 0 else np.log1p(np.exp(r))
    for radius in (0, 1e-3):
        box = acb(arb(re, radius), arb(im, radius))
        for analytic in (True, False):
            got = certified._softplus(box, analytic)
            assert got.overlaps(acb(arb(continued.real, 1e-12), arb(continued.imag, 1e-12)))


def test_softplus_refuses_a_box_with_a_branch_point_in_it():
    """1 + eʳ is 0 at r = πi."""
    assert not certified._softplus(acb(arb(0, 0.1), arb(3.14, 0.1)), True).is_finite()
    assert not certified._softplus(acb(arb(0.5, 0.6), arb(3.14, 0.1)), True).is_finite()
    assert certified._softplus(acb(arb(0, 0.1), arb(0, 0.1)), True).is_finite()


@pytest.mark.slow
def test_the_default_region_is_certified():
    certificate = certify_bound()
    assert certificate.gap > 0
    assert 300 < certificate.boxes < 3000


@pytest.mark.slow
def test_the_gap_is_below_what_quadrature_finds_in_the_region():
    certificate = certify_bound(mu=(0, 1), sigma=(0.5, 2), neighbourhood=0.25, gap=0.01)
    assert certificate.gap > 0.01
    edge = [(0.25, s) for s in np.linspace(0.78, 1.28, 11)]
    edge += [(m, math.exp(t)) for m in np.linspace(0, 0.25, 6) for t in (-0.25, 0.25)]
    assert certificate.gap < min(by_quadrature(*p)[0] + math.log(4) for p in edge)


@pytest.mark.slow
@pytest.mark.parametrize(
    "false",
    [
        {"mu": (0.0, 0.1), "sigma": (1.0, 1.1), "neighbourhood": 0.0},
        {"neighbourhood": 0.1, "gap": 0.01},
        {"neighbourhood": 0.1, "gap": math.nan},
        {"mu": (0.5, 0.5), "sigma": (1.0, 1.0), "gap": 0.07},  # there 0.0612
    ],
)
def test_what_is_false_is_not_certified(false):
    region = {"mu": (-0.25, 0.5), "sigma": (0.75, 1.5), **false}
    with pytest.raises(ArithmeticError, match="not certified: C > -log 4"):
        certify_bound(**region)


def test_one_point_is_certified_up_to_its_value():
    value = by_quadrature(0.5, 1.0)[0] + math.log(4)
    point = {"mu": (0.5, 0.5), "sigma": (1.0, 1.0)}
    certificate = certify_bound(**point, gap=value - 1e-9)
    assert certificate.boxes == 1
    assert certificate.gap == pytest.approx(value, abs=1e-9)
    with pytest.raises(ArithmeticError, match="not certified"):
        certify_bound(**point, gap=value + 1e-9)


def test_the_boxes_cover_the_region(monkeypatch):
    """Points drawn from it are in a box that `criterion` decided."""
    seen = []

    def spy(mu, sigma):
        ball = criterion(mu, sigma)
        seen.append((mu, sigma, bool(ball > -arb(4).log())))
        return ball

    monkeypatch.setattr(certified, "criterion", spy)
    certificate = certify_bound(mu=(0, 2), sigma=(0.5, 2), neighbourhood=0.25)
    taken = [(m, s) for m, s, proved in seen if proved]
    assert len(taken) == certificate.boxes
    rng = np.random.default_rng(0)
    for mu, t in zip(rng.uniform(0, 2, 500), rng.uniform(-math.log(2), math.log(2), 500), strict=True):
        if not (mu < 0.25 and abs(t) < 0.25):
            assert any(m.contains(mu) and s.contains(math.exp(t)) for m, s in taken), (mu, t)


@pytest.mark.parametrize(
    ("mu", "sigma", "message"),
    [
        (0, 0, "sigma = 0: it must be positive"),
        (0, -1.5, "sigma = -1.5: it must be positive"),
        (0, arb(1, 2), r"sigma = \[.*\]: it must be positive"),
        (0, math.nan, "sigma = nan: it must be finite"),
        (0, math.inf, "sigma = inf: it must be finite"),
        (math.nan, 1, "mu = nan: it must be finite"),
        (-math.inf, 1, "mu = -inf: it must be finite"),
        ("nan", 1, "mu = nan: it must be finite"),
    ],
)
def test_what_is_no_parameter_is_refused(mu, sigma, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        criterion(mu, sigma)


@pytest.mark.parametrize(
    ("region", "message"),
    [
        ({"sigma": (0.0, 1.0)}, r"sigma = \[.*\]: it must be positive"),
        ({"sigma": (0.5, math.inf)}, r"sigma = .*inf.*: it must be finite"),
        ({"mu": (0.0, math.nan)}, "mu = nan: it must be finite"),
        (
            {"mu": (-0.1, 0.1), "sigma": (0.95, 1.05), "neighbourhood": 0.2},
            "all of it is in the neighbourhood 0.2",
        ),
    ],
)
def test_what_is_no_region_is_refused(region, message):
    with pytest.raises(ValueError, match=message):
        certify_bound(**region)


def test_a_quadrature_that_fails_says_so():
    with pytest.raises(ArithmeticError, match="the quadrature does not converge"):
        criterion(1e300, 1)
