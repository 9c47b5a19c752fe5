"""§4 against independent oracles, and each of its statements as a check that is also seen to fail.

A check takes the functions under test first. `test_statements` runs all on `gan.theory`, on masses as awkward
as Hypothesis makes them (zeros, 5e-324, 1e-300, one atom, equal, almost equal, disjoint);
`test_a_broken_statement_is_noticed` runs each with a function or formula broken on purpose.
"""

import math
from decimal import Decimal, localcontext
from fractions import Fraction
from functools import partial
from itertools import pairwise
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import integrate, spatial, special, stats
from torch.nn.functional import logsigmoid

from gan import theory

LOG2, LOG4, TINY = math.log(2), math.log(4), 1e-300
thorough = settings(derandomize=True, deadline=None, max_examples=60)
equal = np.testing.assert_array_equal
close = np.testing.assert_allclose


class Case(NamedTuple):
    p_data: np.ndarray
    p_g: np.ndarray
    other: np.ndarray  # one more distribution
    d: np.ndarray  # in [0, 1]
    rate: float  # in (0, 1]


WEIGHTS = st.sampled_from([0.0, 0.0, 5e-324, TINY, 1e-132, 1e-17, 1e-8]) | st.floats(1e-3, 1)
PROBABILITIES = st.sampled_from([0.0, 1.0]) | st.floats(0, 1)


@st.composite
def cases(draw):
    shape = draw(st.sampled_from([(1,), (2,), (5,), (2, 3)]))
    n = math.prod(shape)
    a, b, other = draw(arrays(float, (3, n), elements=WEIGHTS))
    for p in (a, b, other):
        p[draw(st.integers(0, n - 1))] = draw(st.floats(0.1, 1))
    match draw(st.sampled_from(["free", "free", "equal", "near", "disjoint"])):
        case "equal":
            b = a.copy()
        case "near":
            b = a * (1 + draw(st.floats(1e-12, 1e-3)) * np.cos(np.arange(n)))
        case "disjoint" if n > 1:
            a[0] = b[-1] = 1
            left = np.arange(n) < draw(st.integers(1, n - 1))
            a, b = np.where(left, a, 0), np.where(left, 0, b)
    d, rate = draw(arrays(float, shape, elements=PROBABILITIES)), draw(st.just(1.0) | st.floats(0.01, 1))
    return Case(*((p / p.sum()).reshape(shape) for p in (a, b, other)), d, rate)


RNG = np.random.default_rng(0)
PLAIN = [Case(*RNG.dirichlet(np.ones(4), 3), RNG.uniform(size=4), RNG.uniform(0.1, 1)) for _ in range(8)]
EQUAL = Case(*np.full((4, 4), 0.25), 1.0)
NEAR = EQUAL._replace(p_g=np.array([0.25 + 1e-7, 0.25 - 1e-7, 0.25, 0.25]))
DISJOINT = Case(*np.eye(3), np.full(3, 0.5), 0.5)
RARE = Case(*np.array([[1 - 1e-9, 1e-9], [TINY, 1], [0.5, 0.5], [0.9, 0.1]]), 0.3)
EXAMPLES = [*PLAIN, EQUAL, NEAR, DISJOINT, RARE]


def exact(p, q):
    """C, KL(p ‖ q), KL(q ‖ p) and JSD of the very doubles given, in 400 decimal digits."""
    c = forth = back = jsd = Decimal(0)
    with localcontext(prec=400):
        for a, b in zip(map(Decimal, p.ravel().tolist()), map(Decimal, q.ravel().tolist()), strict=True):
            log_a, log_b, log_sum = (x.ln() if x else Decimal("-inf") for x in (a, b, a + b))
            for x, log_x in ((a, log_a), (b, log_b)):
                c += x * (log_x - log_sum) if x else 0
                jsd += x * (log_x - log_sum + Decimal(2).ln()) / 2 if x else 0
            forth += a * (log_a - log_b) if a else 0
            back += b * (log_b - log_a) if b else 0
    return map(float, (c, forth, back, jsd))


def path(t, c, steps=25, rate=None):
    """p_data and Proposition 2's path, from a p_g that is 1e-300 where it could not reach p_data."""
    a, b = c.p_data.ravel(), c.p_g.ravel()
    return a, t.descend(a, np.where((a > 0) & (b == 0), TINY, b), steps, rate or c.rate)


# The statements


def eq2_d_star_is_the_ratio(t, c):
    d = t.optimal_discriminator(c.p_data, c.p_g)
    assert d.shape == c.p_data.shape
    for a, b, y in zip(c.p_data.flat, c.p_g.flat, d.flat, strict=True):
        if a == b == 0:
            assert math.isnan(y)
        else:
            ratio = Fraction(float(a)) / (Fraction(float(a)) + Fraction(float(b)))
            assert 0 <= y <= 1
            assert y == pytest.approx(float(ratio), rel=1e-15, abs=5e-324)


def eq3_no_d_beats_d_star(t, c):
    best, d = t.virtual_criterion(c.p_data, c.p_g), t.optimal_discriminator(c.p_data, c.p_g)
    for other in (c.d, np.zeros_like(d), np.ones_like(d), d, 0.99 * np.nan_to_num(d) + 0.01 * c.d):
        assert t.value(c.p_data, c.p_g, other) <= best + 1e-12


def eq4_c_is_v_at_d_star(t, c):
    d = t.optimal_discriminator(c.p_data, c.p_g)
    if (1 - d[c.p_g > 0] > 1e-3).all():  # 1 − D* keeps most of its digits
        assert t.virtual_criterion(c.p_data, c.p_g) == pytest.approx(t.value(c.p_data, c.p_g, d), abs=1e-12)


def all_is_exact(t, c):
    p, q = c.p_data, c.p_g
    virtual_criterion, forth, back, jsd = exact(p, q)
    assert t.virtual_criterion(p, q) == pytest.approx(virtual_criterion, rel=1e-12, abs=1e-322)
    assert t.kl(p, q) == pytest.approx(forth, rel=1e-13, abs=1e-14)
    assert t.kl(q, p) == pytest.approx(back, rel=1e-13, abs=1e-14)
    for computed in (t.jensen_shannon(p, q), t.jensen_shannon(q, p)):
        assert abs(computed - jsd) <= 1e-14 * math.sqrt(jsd) + 1e-315  # far better than 1e-16 where p ≈ q
    v = (special.xlogy(p, c.d) + special.xlog1py(q, -c.d)).sum()
    assert t.value(p, q, c.d) == pytest.approx(v, rel=1e-13, abs=1e-14)
    assert t.total_variation(p, q) == pytest.approx(math.fsum(np.abs(p - q).flat) / 2, rel=1e-14)


def eq5_and_6_c_by_kl_and_jsd(t, c):
    m = (c.p_data + c.p_g) / 2
    above = t.virtual_criterion(c.p_data, c.p_g) + LOG4
    assert above == pytest.approx(2 * t.jensen_shannon(c.p_data, c.p_g), rel=0, abs=1e-12)
    if (m[(c.p_data > 0) | (c.p_g > 0)] > 1e-310).all():  # half of 5e-324 is 0
        assert above == pytest.approx(t.kl(c.p_data, m) + t.kl(c.p_g, m), rel=0, abs=1e-12)


def theorem1_c_lies_between_functions_of_tv(t, c):
    """TV² ≤ Σ± (1 ± TV) log(1 ± TV) ≤ C + log 4 ≤ TV·log 4: it is 0 at p_g = p_data alone."""
    tv, above = t.total_variation(c.p_data, c.p_g), t.virtual_criterion(c.p_data, c.p_g) + LOG4
    two_atoms = special.xlogy(1 + tv, 1 + tv) + special.xlogy(1 - tv, 1 - tv) if tv < 1 else LOG4
    assert -1e-15 <= tv <= 1 + 1e-15
    assert tv**2 - 1e-12 <= two_atoms <= above + 1e-12
    assert above <= tv * LOG4 + 1e-12


def theorem1_extremes(t, c):
    p, q = c.p_data, c.p_g
    assert t.virtual_criterion(p, p) == pytest.approx(-LOG4, abs=1e-15)
    assert t.jensen_shannon(p, p) == t.kl(p, p) == t.total_variation(p, p) == 0
    assert t.jensen_shannon(p, q) > 0 or np.abs(p - q).max() < 1e-15
    if ((p == 0) | (q == 0)).all():
        assert t.virtual_criterion(p, q) == 0
        assert t.jensen_shannon(p, q) == pytest.approx(LOG2, abs=1e-15)
        assert t.kl(p, q) == t.kl(q, p) == math.inf


def proposition2_c_is_convex(t, c):
    one, two = (t.virtual_criterion(c.p_data, p) for p in (c.p_g, c.other))
    mixed = t.virtual_criterion(c.p_data, (1 - c.rate) * c.p_g + c.rate * c.other)
    assert mixed <= (1 - c.rate) * one + c.rate * two + 1e-12


def proposition2_log_1_minus_d_star_is_a_subgradient(t, c):
    """0 ≤ C(q) − C(p) − ⟨log(1 − D*_p), q − p⟩ ≤ KL(q ‖ p). 1 − D* is D* with its arguments exchanged."""
    p, q = c.p_g, c.other
    with np.errstate(divide="ignore"):
        slope = np.log(t.optimal_discriminator(p, c.p_data))
    linear = np.multiply(slope, q - p, out=np.zeros_like(p), where=(p != q) & (c.p_data > 0)).sum()
    excess = t.virtual_criterion(c.p_data, q) - t.virtual_criterion(c.p_data, p) - linear
    assert -1e-11 <= excess <= t.kl(q, p) + 1e-11


def proposition2_path_is_of_masses(t, c):
    a, rows = path(t, c)
    assert rows.shape == (26, a.size)
    equal(rows[0], np.where((a > 0) & (c.p_g.ravel() == 0), TINY, c.p_g.ravel()))
    assert rows.min() >= 0 == rows[:, rows[0] == 0].sum()
    close(rows.sum(axis=1), 1, rtol=0, atol=1e-12)


def proposition2_step_follows_the_gradient(t, c):
    """p_g · exp(−rate·log(1 − D*)) = p_g^(1 − rate) · (p_g + p_data)^rate, normalised."""
    a, rows = path(t, c)
    for before, after in pairwise(rows):
        expected = before ** (1 - c.rate) * (before + a) ** c.rate
        normal = before > 1e-305
        close(after[normal], (expected / expected.sum())[normal], rtol=1e-11, atol=1e-310)


def proposition2_full_step_is_the_mean(t, c):
    a, rows = path(t, c, steps=1, rate=1.0)
    close(rows[1], (a + rows[0]) / 2, rtol=1e-12, atol=1e-310)


def proposition2_c_falls_as_fast_as_promised(t, c):
    """At every step, and C(p_t) + log 4 ≤ KL(p_data ‖ p_0) / (rate·t)."""
    a, rows = path(t, c)
    above = np.array([t.virtual_criterion(a, row) for row in rows]) + LOG4
    _, kl, _, _ = exact(a, rows[0])
    assert np.diff(above).max() <= 1e-12
    assert (above[1:] <= kl / (c.rate * np.arange(1, 26)) + 1e-12).all()


def proposition2_p_g_becomes_p_data(t, c):
    a, rows = path(t, c, steps=200, rate=max(c.rate, 0.5))
    close(rows[-1], a, rtol=0, atol=1e-12)


# The same, broken


def times(factor, name):
    return {name: lambda *given: factor * getattr(theory, name)(*given)}


def not_exponentiated(a, b, steps, rate):
    rows = [b]
    for _ in range(steps):
        b = np.maximum(b - rate * np.log1p(-theory.optimal_discriminator(a, np.maximum(b, 1e-9))), 0)
        rows.append(b := b / b.sum())
    return np.array(rows)


# The half forgotten, the wrong constant, arguments exchanged, Proposition 1's D* rounded, and so on
D_OF_FAKES = {"optimal_discriminator": lambda a, b: theory.optimal_discriminator(b, a)}
ROUNDED_D = {"virtual_criterion": lambda a, b: theory.value(a, b, theory.optimal_discriminator(a, b))}
C_FROM_LOG_2 = {"virtual_criterion": lambda a, b: -LOG2 + 2 * theory.jensen_shannon(a, b)}
D_UNDECIDED = {"virtual_criterion": lambda a, b: -LOG4}
NON_SATURATING = {"value": lambda a, b, d: (special.xlogy(a, d) - special.xlogy(b, d)).sum()}
KL_REVERSED = {"kl": lambda p, q: theory.kl(q, p)}
JSD_BY_KL = {"jensen_shannon": lambda p, q: sum(theory.kl(x, (p + q) / 2) for x in (p, q)) / 2}
SWAPPED = {"descend": lambda a, b, steps, rate: theory.descend(b, a, steps, rate)}
BACKWARDS = {"descend": lambda *given: theory.descend(*given)[::-1]}
STRAIGHT = {"descend": not_exponentiated}
SLOW, FASTER, FAST = (
    {"descend": lambda a, b, steps, rate, factor=factor: theory.descend(a, b, steps, factor * rate)}
    for factor in (0.05, 1.001, 2)
)
BITS, TWICE_JSD = times(1 / LOG2, "kl"), times(2, "jensen_shannon")
TWICE_TV, HALF_TV = times(2, "total_variation"), times(0.5, "total_variation")
BREAKAGES = {
    eq2_d_star_is_the_ratio: [D_OF_FAKES],
    eq3_no_d_beats_d_star: [NON_SATURATING, D_UNDECIDED],
    eq4_c_is_v_at_d_star: [D_OF_FAKES, C_FROM_LOG_2],
    all_is_exact: [C_FROM_LOG_2, NON_SATURATING, ROUNDED_D, KL_REVERSED, BITS, TWICE_JSD, JSD_BY_KL],
    eq5_and_6_c_by_kl_and_jsd: [C_FROM_LOG_2, KL_REVERSED, TWICE_JSD],
    theorem1_c_lies_between_functions_of_tv: [C_FROM_LOG_2, TWICE_TV, HALF_TV],
    theorem1_extremes: [C_FROM_LOG_2, TWICE_JSD],
    proposition2_c_is_convex: [times(-1, "virtual_criterion")],
    proposition2_log_1_minus_d_star_is_a_subgradient: [D_OF_FAKES, times(0.01, "kl")],
    proposition2_path_is_of_masses: [SWAPPED, times(1.01, "descend")],
    proposition2_step_follows_the_gradient: [FASTER, STRAIGHT],
    proposition2_full_step_is_the_mean: [FAST, STRAIGHT],
    proposition2_c_falls_as_fast_as_promised: [BACKWARDS, SLOW],
    proposition2_p_g_becomes_p_data: [SWAPPED, SLOW],
}


@pytest.mark.slow
@given(case=cases())
@thorough
def test_statements(case):
    for check in BREAKAGES:
        check(theory, case)


@pytest.mark.parametrize(("check", "broken"), [(check, b) for check in BREAKAGES for b in BREAKAGES[check]])
def test_a_broken_statement_is_noticed(check, broken):
    def run(t):
        for case in EXAMPLES:
            check(t, case)

    run(theory)
    with pytest.raises(AssertionError):
        run(SimpleNamespace(**{**vars(theory), **broken}))


# Beyond masses: any numbers ≥ 0, and densities on grids

REAL = st.floats(0, allow_infinity=False) | st.sampled_from([0.0, 5e-324, 1e-310, 1e-17, 1.0, 1e308, 1.7e308])


@given(ab=arrays(float, (2, 2, 3), elements=REAL))
@thorough
def test_d_star_neither_checks_sums_nor_overflows(ab):
    eq2_d_star_is_the_ratio(theory, EQUAL._replace(p_data=ab[0], p_g=ab[1]))


@given(case=cases(), dx=st.sampled_from([2.0**-10, 0.5, 1.0]))
@thorough
def test_a_density_is_mass_per_cell(case, dx):
    p, q = case.p_data, case.p_g
    for f in (theory.virtual_criterion, theory.kl, theory.jensen_shannon, theory.total_variation):
        assert f(p / dx, q / dx, dx) == pytest.approx(f(p, q), rel=1e-12, abs=1e-12)
    v = theory.value(p / dx, q / dx, case.d, dx)
    assert v == pytest.approx(theory.value(p, q, case.d), rel=1e-12)


@pytest.mark.parametrize("c", PLAIN)
def test_divergences_against_scipy(c):
    q = np.append(c.p_g[:3], 0) / c.p_g[:3].sum()
    jsd = spatial.distance.jensenshannon(c.p_data, q) ** 2
    assert theory.jensen_shannon(c.p_data, q) == pytest.approx(jsd, rel=1e-12)
    assert theory.kl(q, c.p_data) == pytest.approx(stats.entropy(q, c.p_data), rel=1e-12)
    assert theory.kl(c.p_data, q) == stats.entropy(c.p_data, q) == math.inf


GAUSSIANS = [((0, 1), (0, 1)), ((0, 1), (2, 1)), ((-1, 0.5), (1, 2)), ((3, 2), (-2, 1))]


@pytest.mark.parametrize(("one", "two"), GAUSSIANS)
def test_gaussians_against_closed_form_and_quadrature(one, two):
    def log_density(x, mean, sd):
        return -(((x - mean) / sd) ** 2) / 2 - math.log(sd * math.sqrt(2 * math.pi))

    def integrand(x):
        p, q = log_density(x, *one), log_density(x, *two)
        return -np.exp(p) * np.logaddexp(0, q - p) - np.exp(q) * np.logaddexp(0, p - q)

    x, dx = np.linspace(-20, 20, 401, retstep=True)
    p, q = np.exp(log_density(x, *one)), np.exp(log_density(x, *two))
    (m1, s1), (m2, s2) = one, two
    kl = math.log(s2 / s1) + (s1**2 + (m1 - m2) ** 2) / (2 * s2**2) - 0.5
    assert theory.kl(p, q, dx=dx) == pytest.approx(kl, rel=1e-9, abs=1e-12)
    assert theory.kl(np.outer(p, p), np.outer(q, q), dx=dx**2) == pytest.approx(2 * kl, rel=1e-9, abs=1e-12)
    c, _ = integrate.quad(integrand, -20, 20, points=[m1, m2], epsabs=1e-11, limit=200)
    assert theory.virtual_criterion(p, q, dx=dx) == pytest.approx(c, abs=1e-9)


# Paths beyond Proposition 2's promise


@pytest.mark.parametrize("rate", [2, 5, 10, 1e3])
def test_large_rates_stay_finite(rate):
    for c in EXAMPLES:
        a, rows = path(theory, c, steps=1000 if c is RARE else 100, rate=rate)
        game = theory.play(a, rows[0], 100, rate, k=2, d_rate=rate)
        close(rows.sum(axis=1), 1, atol=1e-12)
        close(game.p_g.sum(axis=1), 1, atol=1e-12)


def replay(c, steps, rate, k, d_rate):
    """Algorithm 1 on densities, by autograd's gradients of V in the logit of D and in p_g."""
    a, p, s = (torch.tensor(x) for x in (c.p_data, c.p_g, np.log(c.p_data / c.p_g)))
    for player in (["D"] * k + ["G"]) * steps:
        s, p = s.detach().requires_grad_(), p.detach().requires_grad_()
        v = (a * logsigmoid(s) + p * logsigmoid(-s)).sum()
        d_slope, g_slope = torch.autograd.grad(v, (s, p))
        if player == "D":
            s = s + d_rate * d_slope / (a + p)
        else:
            p = torch.softmax(p.log() - rate * g_slope, 0)
    return p.detach().numpy(), torch.sigmoid(s).detach().numpy(), v.item()


@pytest.mark.parametrize(("k", "d_rate"), [(0, 1.0), (1, 0.1), (1, 5.0), (3, 1.0)])
@pytest.mark.parametrize("rate", [0.1, 1.0, 2.0])
def test_play_follows_the_gradients_of_v(k, d_rate, rate):
    for c in PLAIN[:4]:
        game = theory.play(c.p_data, c.p_g, 12, rate, k=k, d_rate=d_rate)
        p_g, d, v = replay(c, 12, rate, k, d_rate)
        close(game.p_g[-1], p_g, rtol=1e-9)
        close(game.d[-1], d, rtol=1e-9)
        assert theory.value(c.p_data, game.p_g[-2], d) == pytest.approx(v, rel=1e-9)


@given(case=cases(), k=st.integers(0, 3))
@thorough
def test_play_starts_as_descend_does(case, k):
    a, rows = path(theory, case, steps=1)
    game = theory.play(a, rows[0], 4, case.rate, k=k, d_rate=2.0)
    assert game.p_g.shape == game.d.shape == (5, a.size)
    close(game.p_g[:2], rows, rtol=1e-11, atol=1e-310)
    close(game.d[0], theory.optimal_discriminator(a, rows[0]), rtol=1e-11, atol=1e-310)
    equal(np.isnan(game.d), np.tile(rows[0] == 0, (5, 1)))
    close(game.p_g.sum(axis=1), 1, atol=1e-12)


def test_play_with_a_patient_d_is_descend():
    c = PLAIN[0]
    game = theory.play(c.p_data, c.p_g, 10, 0.5, k=1000, d_rate=4.0)
    close(game.p_g, theory.descend(c.p_data, c.p_g, 10, 0.5), rtol=1e-8)


@pytest.mark.parametrize("c", PLAIN)
def test_against_a_d_that_never_learns_p_g_collapses_where_d_is_largest(c):
    game = theory.play(c.p_data, c.p_g, 300, 5.0, k=0, d_rate=1.0)
    equal(game.d, np.tile(game.d[0], (301, 1)))
    assert game.p_g[-1, game.d[0].argmax()] == pytest.approx(1)


def test_proposition_2_needs_an_optimal_d():
    p_data, p_g = [0.7, 0.2, 0.1], [0.1, 0.2, 0.7]
    rise = {}
    for k in (1, 50):
        game = theory.play(p_data, p_g, 100, 1.0, k=k, d_rate=0.3)
        rise[k] = np.diff([theory.virtual_criterion(p_data, row) for row in game.p_g]).max()
    assert rise[50] < 1e-3 < 0.1 < rise[1]


# Bad input

HALF, P, Q = [0.5, 0.5], [0.2, 0.8], [1.0, 0.0]
INF, NAN = math.inf, math.nan
TWO = [theory.virtual_criterion, theory.kl, theory.jensen_shannon, theory.total_variation]


value = partial(theory.value, d=HALF)
descend = partial(theory.descend, steps=1, rate=1.0)
play = partial(theory.play, steps=1, rate=1.0, k=1, d_rate=1.0)


def refused(says, f, *given, **named):
    with pytest.raises(ValueError, match=says) as error:
        f(*given, **named)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("f", [theory.optimal_discriminator, *TWO, value, descend, play])
def test_bad_densities(f):
    for bad, says in (([-0.5, 1.5], "holds -0.5"), ([NAN, 1], "holds nan"), ([INF, 0], "holds inf")):
        refused(f"^p(_data)? {says}", f, bad, HALF)
        refused(f"^(p_g|q) {says}", f, HALF, bad)
    refused(r"\(1,\) and .* \(2,\)", f, [1.0], HALF)


@pytest.mark.parametrize("f", [*TWO, value, descend, play])
@pytest.mark.parametrize("sign", [-1, 1])
def test_sums_may_be_off_by_a_thousandth(f, sign):
    near, far = [0.5, 0.5 + sign * 0.9e-3], [0.5, 0.5 + sign * 1.1e-3]
    f(near, HALF), f(HALF, near)
    refused(r"^p(_data)? sums to (1.0011|0.9989) .* 1 ± 0.001$", f, far, HALF)
    refused(r"^(p_g|q) sums to (1.0011|0.9989) .* 1 ± 0.001$", f, HALF, far)


def test_sums_are_left_as_they_are():
    near = [0.5, 0.5009]
    assert theory.kl(near, HALF) == pytest.approx(0.5009 * math.log(1.0018), rel=1e-12)
    equal(descend(HALF, near)[0], near)


@pytest.mark.parametrize("bad", [0, -1.0, NAN, INF])
def test_bad_dx_and_rates(bad):
    for f in TWO:
        refused(f"^dx = {bad} ", f, P, P, dx=bad)
    refused(f"^dx = {bad} ", theory.value, P, P, HALF, dx=bad)
    refused(f"^rate = {bad} ", descend, P, P, rate=bad)
    refused(f"^rate = {bad} ", play, P, P, rate=bad)
    refused(f"^d_rate = {bad} ", play, P, P, d_rate=bad)


@pytest.mark.parametrize("bad", [-1, 1.5, 2.0, NAN, INF])
def test_bad_counts(bad):
    refused(f"^steps = {bad} ", descend, P, P, steps=bad)
    refused(f"^steps = {bad} ", play, P, P, steps=bad)
    refused(f"^k = {bad} ", play, P, P, k=bad)


def test_p_g_must_be_able_to_reach_p_data():
    refused("^p_g is 0 where p_data is 0.8", descend, P, Q)
    refused("^p_g is 0 where p_data is 0.8", play, P, Q)


def test_d_must_be_a_probability_where_there_is_mass():
    for d, says in (([0.5, -0.1], "-0.1"), ([1.1, 0.5], "1.1"), ([0.5, NAN], "nan")):
        refused(rf"^d holds {says} .* \[0, 1\]$", theory.value, P, Q, d)
    for d, shape in ((0.5, r"\(\)"), ([HALF], r"\(1, 2\)")):
        refused(f"^d has shape {shape}", theory.value, P, Q, d)
    assert theory.value(Q, Q, [0.5, NAN]) == theory.value(Q, Q, [0.5, 7.0]) == pytest.approx(-LOG4)


def test_a_sure_and_wrong_d_costs_everything():
    assert theory.value(P, Q, [0.0, 0.5]) == theory.value(P, Q, [1.0, 0.5]) == -INF
    assert theory.value(Q, [0.0, 1.0], [1.0, 0.0]) == 0


@thorough
@given(cases())
def test_proposition_2_in_general_rests_on_an_identity_and_on_holders_inequality(case):
    """C(q) − U(q, D*_p) = KL(q ‖ p) − 2·KL of the midpoints, and 1 ≤ ∫ p^(1−η) (p + p_data)^η ≤ 2^η."""
    a, b, q = (np.where(np.ravel(x) > 1e-280, np.ravel(x), 0) for x in (case.p_data, case.p_g, case.other))
    p = (a + b) / (a + b).sum()  # a ≪ p
    q = np.where(p > 1e-12, q, 0) + 1e-3 * p  # q ≪ p, and no logarithm of a number that is rounded
    a, q = a / a.sum(), q / q.sum()
    u = theory.value(a, q, theory.optimal_discriminator(a, p))
    middle = theory.kl((q + a) / 2, (p + a) / 2)
    if np.isfinite(u):
        close(theory.virtual_criterion(a, q) - u, theory.kl(q, p) - 2 * middle, atol=1e-9)
    eta = case.rate
    total = (p ** (1 - eta) * (p + a) ** eta).sum()
    assert 1 - 1e-9 <= total <= 2**eta + 1e-9
    after = theory.descend(a, p, 1, eta)[1]
    close(after, p ** (1 - eta) * (p + a) ** eta / total, atol=1e-12)
