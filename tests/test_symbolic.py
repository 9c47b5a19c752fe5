"""§4's formulas as SymPy derives them; and statements with one mistake, which must not be proved."""

import math

import numpy as np
import pytest
from scipy.integrate import quad
from sympy import Rational, integrate, lambdify, log, simplify

from gan import symbolic
from gan.symbolic import CRITERION, D_STAR, VALUE, a, b, y

THIRD = {a: Rational(1, 3), b: Rational(2, 3), y: Rational(1, 4)}


def test_the_stationary_point_is_the_posterior_probability():
    assert symbolic.stationary_point() == a / (a + b)
    assert symbolic.stationary_point().subs(THIRD) == Rational(1, 3)


@pytest.mark.parametrize(
    "value",
    [
        a * log(y) + 2 * b * log(1 - y),
        a * log(y) - b * log(1 - y),
        b * log(y) + a * log(1 - y),
        a * log(y) + b * log(1 - y**2),
        a * y,
        VALUE + a * y,
        (y - D_STAR) * (y - b / (a + b)),
    ],
)
def test_another_value_has_another_stationary_point(value):
    with pytest.raises(ArithmeticError, match=r"is not shown|not one"):
        symbolic.stationary_point(value)


def test_two_stationary_points_are_refused_though_one_is_d_star():
    with pytest.raises(ArithmeticError, match=r"stationary points .*, not one"):
        symbolic.stationary_point(integrate((y - D_STAR) * (y - b / (a + b)), y))


def test_the_second_derivative():
    assert symbolic.second_derivative().subs(THIRD) == -Rational(16, 3) - Rational(32, 27)
    assert symbolic.second_derivative_at_maximum().subs(THIRD) == -Rational(9, 2)
    assert symbolic.second_derivative_at_maximum().is_negative
    at_maximum = symbolic.second_derivative().subs(y, symbolic.stationary_point())
    assert simplify(at_maximum - symbolic.second_derivative_at_maximum()) == 0


@pytest.mark.parametrize(
    "claim", [a / y**2 + b / (1 - y) ** 2, -a / y**2 + b / (1 - y) ** 2, -a / y**2 - b / (1 - y)]
)
def test_a_wrong_second_derivative(claim):
    with pytest.raises(ArithmeticError, match="not shown to be"):
        symbolic.second_derivative(claim=claim)


@pytest.mark.parametrize("claim", [(a + b) ** 3 / (a * b), -((a + b) ** 2) / (a * b), -((a + b) ** 3) / a])
def test_a_wrong_second_derivative_at_the_maximum(claim):
    with pytest.raises(ArithmeticError, match="not shown to be"):
        symbolic.second_derivative_at_maximum(claim=claim)


def test_a_derivative_that_is_right_but_not_negative():
    with pytest.raises(ArithmeticError, match="not shown to be positive"):
        symbolic.second_derivative(a * log(y) - b * log(1 - y), -a / y**2 + b / (1 - y) ** 2)
    with pytest.raises(ArithmeticError, match="not shown to be positive"):
        symbolic.second_derivative(VALUE + 10 * y**2, -a / y**2 - b / (1 - y) ** 2 + 20)


def test_the_three_terms_of_the_criterion():
    terms = symbolic.jensen_shannon()
    # a = 1/3, b = 2/3: D* = 1/3, m = 1/2
    assert simplify(terms.constant.subs(THIRD) + log(2)) == 0
    assert simplify(terms.kl_data.subs(THIRD) - log(Rational(2, 3)) / 3) == 0
    assert simplify(terms.kl_g.subs(THIRD) - 2 * log(Rational(4, 3)) / 3) == 0


def test_the_three_terms_integrate_to_theorem_1():
    """p_data = e^−x and p_g = 2e^−2x; the divergences by quadrature, from log-densities."""

    def integral(f):
        return quad(f, 0, 60, epsabs=1e-13, epsrel=1e-12)[0]

    def kl(rate):  # from the exponential distribution of that rate to the mixture
        def integrand(x):
            of_rate = math.log(rate) - rate * x
            return math.exp(of_rate) * (of_rate - np.logaddexp(-x, math.log(2) - 2 * x) + math.log(2))

        return integral(integrand)

    terms = (lambdify((a, b), term) for term in symbolic.jensen_shannon())
    constant, kl_data, kl_g = (integral(lambda x, f=f: f(math.exp(-x), 2 * math.exp(-2 * x))) for f in terms)
    assert constant == pytest.approx(-math.log(4), abs=1e-10)
    assert kl_data == pytest.approx(kl(1), abs=1e-10)
    assert kl_g == pytest.approx(kl(2), abs=1e-10)


@pytest.mark.parametrize(
    "criterion",
    [
        a * log(a / (a + b)) - b * log(b / (a + b)),
        a * log(a / (a + b)) + 2 * b * log(b / (a + b)),
        a * log(b / (a + b)) + b * log(a / (a + b)),
        CRITERION + log(2) * (a + b),
    ],
)
def test_a_wrong_criterion(criterion):
    with pytest.raises(ArithmeticError, match="not shown to be"):
        symbolic.jensen_shannon(criterion)
    with pytest.raises(ArithmeticError, match="not shown to be"):
        symbolic.gradient(criterion)


@pytest.mark.parametrize("mixture", [a + b, (a + 2 * b) / 3, a, 2 / (1 / a + 1 / b)])
def test_a_wrong_mixture(mixture):
    with pytest.raises(ArithmeticError, match="not shown to be"):
        symbolic.jensen_shannon(mixture=mixture)


def test_a_wrong_criterion_that_fits_a_wrong_mixture():
    with pytest.raises(ArithmeticError, match="not shown to be"):
        symbolic.jensen_shannon(CRITERION - log(2) * (a + b), mixture=a + b)


def test_the_derivatives_in_p_g():
    assert symbolic.gradient().subs(THIRD) == log(Rational(2, 3))
    assert symbolic.curvature().subs(THIRD) == Rational(1, 2)
    assert symbolic.smoothness().subs(THIRD) == 1
    assert simplify(1 / b - symbolic.curvature() - symbolic.smoothness()) == 0


@pytest.mark.parametrize("claim", [log(a / (a + b)), -log(b / (a + b)), 1 + log(b / (a + b))])
def test_a_wrong_gradient(claim):
    with pytest.raises(ArithmeticError, match="not shown to be"):
        symbolic.gradient(claim=claim)


@pytest.mark.parametrize("claim", [b / (a * (a + b)), -a / (b * (a + b)), 1 / (a + b)])
def test_a_wrong_curvature(claim):
    with pytest.raises(ArithmeticError, match="not shown to be"):
        symbolic.curvature(claim=claim)


def test_a_curvature_that_is_right_but_not_positive():
    with pytest.raises(ArithmeticError, match="not shown to be positive"):
        symbolic.curvature(-CRITERION, -a / (b * (a + b)))
    with pytest.raises(ArithmeticError, match="not shown to be positive"):
        symbolic.smoothness(2 * CRITERION, 1 / b - 2 * a / (b * (a + b)))


def test_a_wrong_smoothness():
    with pytest.raises(ArithmeticError, match="not shown to be"):
        symbolic.smoothness(claim=2 / (a + b))
