"""§4's formulas derived by SymPy, at one point x: a = p_data(x), b = p_g(x), y = D(x).

Each function returns what it derived, after an exact simplification has shown that it is the ``claim``, the
formula of the paper. Its arguments take other formulas. ArithmeticError: the claim does not follow.
"""

from __future__ import annotations

from typing import NamedTuple

from sympy import Expr, diff, expand_log, log, simplify, solve, symbols

a, b, y, t = symbols("a b y t", positive=True)

VALUE = a * log(y) + b * log(1 - y)
"""The integrand of V(G, D). Source: Eq. (3)."""
D_STAR = a / (a + b)
"""Source: Eq. (2)."""
CRITERION = a * log(a / (a + b)) + b * log(b / (a + b))
"""The integrand of C(G). Source: Eq. (4)."""
LOG_FAKE = log(b / (a + b))  # log(1 − D*)


class JensenShannon(NamedTuple):
    """Three terms, whose sum is the integrand of C(G)."""

    constant: Expr
    kl_data: Expr
    kl_g: Expr


def stationary_point(value: Expr = VALUE, claim: Expr = D_STAR) -> Expr:
    """The only zero of d``value``/dy. Source: Proposition 1."""
    points = solve(diff(value, y), y)
    if len(points) != 1:
        raise ArithmeticError(f"{value} has the stationary points {points}, not one")
    return _proved(points[0], claim)


def second_derivative(value: Expr = VALUE, claim: Expr = -a / y**2 - b / (1 - y) ** 2) -> Expr:
    """d²``value``/dy², negative for all y in (0, 1), so that D* is the maximum. Source: Proposition 1.

    The sign is read off at y = t/(1 + t), which takes every value in (0, 1) as t takes every positive one.
    """
    second = _proved(diff(value, y, 2), claim)
    _positive(-second.subs(y, t / (1 + t)))
    return second


def second_derivative_at_maximum(value: Expr = VALUE, claim: Expr = -((a + b) ** 3) / (a * b)) -> Expr:
    """d²``value``/dy² at the stationary point. Source: Proposition 1."""
    return _proved(diff(value, y, 2).subs(y, stationary_point(value)), claim)


def jensen_shannon(criterion: Expr = CRITERION, mixture: Expr = (a + b) / 2) -> JensenShannon:
    """The integrand of C(G) in three terms. Source: Eq. (4), Eq. (5), Eq. (6).

    The integral of the first is −log 4, for ∫(a + b)/2 = 1; those of the others, KL(p_data ‖ m) and
    KL(p_g ‖ m), are in sum 2·JSD(p_data ‖ p_g). Here m is the ``mixture``.
    """
    _proved(VALUE.subs(y, D_STAR), criterion)
    kl_data, kl_g = a * log(a / mixture), b * log(b / mixture)
    return JensenShannon(_proved(criterion - kl_data - kl_g, -log(4) * (a + b) / 2), kl_data, kl_g)


def gradient(criterion: Expr = CRITERION, claim: Expr = LOG_FAKE) -> Expr:
    """d``criterion``/db, which is log(1 − D*). Source: §4.2."""
    return _proved(diff(criterion, b), claim)


def curvature(criterion: Expr = CRITERION, claim: Expr = a / (b * (a + b))) -> Expr:
    """d²``criterion``/db², positive: C is convex in p_g. Source: §4.2."""
    return _positive(_proved(diff(criterion, b, 2), claim))


def smoothness(criterion: Expr = CRITERION, claim: Expr = 1 / (a + b)) -> Expr:
    """d²(b log b − ``criterion``)/db², positive: C is 1-smooth relative to the negative entropy of p_g."""
    return _positive(_proved(diff(b * log(b) - criterion, b, 2), claim))


def _proved(derived: Expr, claim: Expr) -> Expr:
    """``claim``, which is the same function as ``derived``."""
    if simplify(expand_log(derived - claim)) != 0:
        raise ArithmeticError(f"{derived} is not shown to be {claim}")
    return claim


def _positive(expression: Expr) -> Expr:
    if not simplify(expression).is_positive:
        raise ArithmeticError(f"{expression} is not shown to be positive")
    return expression
