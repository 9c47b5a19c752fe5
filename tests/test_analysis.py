"""The drawings beside §3 and §4: the data that they were given, in the colours that mean something."""

import math

import numpy as np
import pytest
from test_figures import lines, stage

from gan.book import analysis, figures


def test_the_losses_gradients_are_minus_d_and_minus_1_minus_d():
    _, right = analysis.loss_gradients().axes
    drawn = lines(right)
    s = drawn[figures.COLOURS["other"]].get_xdata()
    d = 1 / (1 + np.exp(-s))
    assert drawn[figures.COLOURS["other"]].get_ydata() == pytest.approx(-d)
    assert drawn[figures.COLOURS["generator"]].get_ydata() == pytest.approx(d - 1)


def test_a_stall_is_drawn_against_its_goal():
    (axes,) = analysis.stall({"minimax": [0, 0.1], "non_saturating": [0, 5]}, goal=6).axes
    drawn = lines(axes)
    assert list(drawn[figures.COLOURS["other"]].get_ydata()) == [0, 0.1]
    assert list(drawn[figures.COLOURS["generator"]].get_ydata()) == [0, 5]
    assert set(drawn[figures.COLOURS["exact"]].get_ydata()) == {6}


def test_c_over_the_means_touches_its_exact_values_in_colour():
    mu, c, bound = np.array([-1.0, 0.0, 1.0]), np.array([-1.0, -1.2, -1.0]), np.array([-1.1, -1.3, -1.1])
    (axes,) = analysis.criterion_curves(mu, {1: c, 0.5: c + 0.1}, bound).axes
    lower, upper, first, second, below = axes.get_lines()
    assert [set(line.get_ydata()) for line in (lower, upper)] == [{-math.log(4)}, {0.0}]
    assert first.get_ydata().tolist() == c.tolist() and second.get_ydata().tolist() == (c + 0.1).tolist()
    assert below.get_ydata().tolist() == bound.tolist()
    assert {line.get_color() for line in (lower, upper)} == {figures.COLOURS["exact"]}
    assert {line.get_color() for line in (first, second)} == {figures.COLOURS["generator"]}
    assert [first.get_label(), second.get_label()] == [r"$\sigma = 1$", r"$\sigma = 0.5$"]
    assert first.get_linestyle() != second.get_linestyle()


def test_c_over_the_total_variation_lies_between_its_bounds():
    (axes,) = analysis.criterion_bounds([0.1, 0.9], [-1.3, -0.4]).axes
    pairs, least, most, pinsker = axes.get_lines()
    assert pairs.get_xydata().tolist() == [[0.1, -1.3], [0.9, -0.4]]
    t = least.get_xdata()
    exact = (1 + t) * np.log1p(t) + np.where(t < 1, (1 - t) * np.log1p(-np.minimum(t, 0.999999)), 0)
    assert least.get_ydata()[t < 1] == pytest.approx((exact - math.log(4))[t < 1])
    assert (least.get_ydata()[-1], most.get_ydata()[-1]) == pytest.approx((0, 0))
    assert (most.get_ydata() >= least.get_ydata() - 1e-12).all()
    assert (least.get_ydata() >= pinsker.get_ydata() - 1e-12).all()


def test_discriminators_are_drawn_first_and_last_with_the_error_of_all():
    fits = {n: stage(shift) for n, shift in {1: 2, 10: 1, 100: 0.5}.items()}
    panels = analysis.fitted_discriminators(fits, fits, lambda fit: fit.p_g[40]).axes
    for axes in panels[:2]:
        named = {line.get_label(): line.get_ydata() for line in axes.get_lines()}
        assert named["$D^*$"] == pytest.approx(fits[100].d_star)
        assert named["$D$, most"] == pytest.approx(0.75) == named["$D$, least"]
        assert named["$p_g$"] == pytest.approx(fits[100].density(fits[100].p_g))
    for axes in panels[2:]:
        (line,) = axes.get_lines()
        assert line.get_xydata().tolist() == [[n, fit.p_g[40]] for n, fit in fits.items()]
        assert axes.get_ylim()[0] == 0 and axes.get_ylim()[1] > max(line.get_ydata())


def test_estimates_close_in_on_c():
    (axes,) = analysis.estimates([30, 300], [-0.2, -0.4], [-0.9, -0.6], criterion=-0.5).axes
    drawn = lines(axes)
    assert drawn[figures.COLOURS["other"]].get_xydata().tolist() == [[30, -0.2], [300, -0.4]]
    assert drawn[figures.COLOURS["discriminator"]].get_ydata().tolist() == [-0.9, -0.6]
    assert set(drawn[figures.COLOURS["exact"]].get_ydata()) == {-0.5}


def test_every_line_below_the_supremum_touches_c():
    (axes,) = analysis.supremum(p_data=0.3, p_g=0.6).axes
    c, above = (
        next(line.get_ydata() for line in axes.get_lines() if line.get_color() == colour)
        for colour in (figures.COLOURS["generator"], figures.COLOURS["other"])
    )
    below = [
        line.get_ydata()
        for line in axes.get_lines()
        if line.get_color() in (figures.COLOURS["discriminator"], figures.COLOURS["optimum"])
    ]
    assert len(below) == 7
    for y in below:
        assert abs(np.diff(y, 2)).max() < 1e-12 and -1e-12 < (c - y).min() < 1e-3
    assert -1e-12 < (above - c).min() < 1e-9
    assert abs(c.min() + math.log(4)) < 1e-5


def test_descents_are_drawn_below_their_bounds_a_panel_each():
    gaps = {"a": np.array([[1.0, 0.5, 0.0], [0.5, 0.2, 0.1]]), "b": np.array([[1.0, 2.0, 3.0]])}
    left, right = analysis.descents(gaps, {"a": np.array([4.0, 2.0]), "b": np.array([3.0, 3.0])}).axes
    first, second, bound = left.get_lines()
    assert first.get_ydata().tolist() == [1, 0.5, 1e-17]  # a logarithmic axis has no 0
    assert second.get_ydata().tolist() == [0.5, 0.2, 0.1]
    assert bound.get_xydata().tolist() == [[1, 4], [2, 2]]
    assert bound.get_color() == figures.COLOURS["exact"]
    assert len(right.get_lines()) == 2 and right.get_yscale() == "log"
    assert [axes.texts[0].get_text() for axes in (left, right)] == ["a", "b"]


def test_the_simplex_has_corners_at_equal_distances():
    p_data = np.array([0.5, 0.3, 0.2])
    axes = analysis.simplex(p_data, {"a": [np.eye(3)], "b": []}).axes[0]
    edge, path, target = axes.get_lines()
    assert np.allclose(np.hypot(*np.diff(edge.get_xydata(), axis=0).T), 1)
    assert np.allclose(path.get_xydata(), [[0, 0], [1, 0], [0.5, math.sqrt(3) / 2]])
    assert np.allclose(target.get_xydata(), p_data @ path.get_xydata())
    assert (path.get_color(), target.get_color()) == (figures.COLOURS["generator"], figures.COLOURS["data"])


def test_the_lag_of_d_is_between_c_and_v():
    c, v = np.array([-1.0, -1.2, -1.3]), np.array([-1.0, -1.5, -1.4])
    left, right = analysis.lagging({"k = 1": (c, v), "k = 2": (c, c)}).axes
    drawn = lines(left)
    assert drawn[figures.COLOURS["generator"]].get_ydata().tolist() == c.tolist()
    assert drawn[figures.COLOURS["discriminator"]].get_ydata().tolist() == v.tolist()
    assert drawn[figures.COLOURS["discriminator"]].get_linestyle() == "--"
    assert set(lines(right)[figures.COLOURS["exact"]].get_ydata()) == {-math.log(4)}


def test_the_helvetica_scenario_shows_p_g_and_the_two_values():
    x, p = np.arange(3.0), np.array([0.2, 0.5, 0.3])
    values = {"t": np.array([0, 1]), "C": np.array([-1.0, -0.5]), "V": np.array([-1.0, -2.0])}
    left, right = analysis.helvetica(x, p, {0: p, 7: p[::-1]}, np.full(3, 0.5), values).axes
    assert [text.get_text() for text in left.texts] == ["$t=0$", "$t=7$", "$D$"]
    assert lines(left)[figures.COLOURS["data"]].get_ydata().tolist() == p.tolist()
    assert lines(right)[figures.COLOURS["generator"]].get_ydata().tolist() == [-1.0, -0.5]
    assert lines(right)[figures.COLOURS["discriminator"]].get_ydata().tolist() == [-1.0, -2.0]


def test_the_landscape_marks_where_the_paths_end():
    grid = np.linspace(-4, 4, 5)
    line, plane = (grid, grid**2 / 20 - 1), (grid, np.add.outer(grid, 10 * grid) / 50)
    paths = np.array([[[1.0, 3.0], [0.0, 1.0]], [[2.0, 2.0], [-2.0, 2.0]]])  # (steps + 1, starts, 2)
    left, right = analysis.landscape(line, paths[..., :1], plane, paths).axes
    ends = next(drawn for drawn in left.get_lines() if drawn.get_marker() == "o")
    assert ends.get_xydata().tolist() == [[2, -0.8], [-2, -0.8]]
    first, second, starts, ends, target = right.get_lines()
    assert first.get_xydata().tolist() == [[1, 3], [2, 2]]
    assert second.get_xydata().tolist() == [[0, 1], [-2, 2]]
    assert starts.get_xydata().tolist() == [[1, 3], [0, 1]]
    assert ends.get_xydata().tolist() == [[2, 2], [-2, 2]]
    assert target.get_xydata().tolist() == [[-2, 2]]
    level = next(path for path in right.collections[0].get_paths() if len(path.vertices))
    assert np.ptp(level.vertices[:, 0]) > 5 * np.ptp(
        level.vertices[:, 1]
    )  # rows of the values are a, the x-axis
