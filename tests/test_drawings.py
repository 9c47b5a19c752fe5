"""The drawings beside §3 and §4: the data that they were given, in the colours that mean something."""

import math
from itertools import pairwise

import numpy as np
import pytest
from test_figures import HISTORY, lines, stage

from gan.book import drawings, figures


def test_the_losses_gradients_are_minus_d_and_minus_1_minus_d():
    _, right = drawings.loss_gradients().axes
    drawn = lines(right)
    s = drawn[figures.COLOURS["other"]].get_xdata()
    d = 1 / (1 + np.exp(-s))
    assert drawn[figures.COLOURS["other"]].get_ydata() == pytest.approx(-d)
    assert drawn[figures.COLOURS["generator"]].get_ydata() == pytest.approx(d - 1)


def test_a_stall_is_drawn_against_its_goal():
    (axes,) = drawings.stall({"minimax": [0, 0.1], "non_saturating": [0, 5]}, goal=6).axes
    drawn = lines(axes)
    assert list(drawn[figures.COLOURS["other"]].get_ydata()) == [0, 0.1]
    assert list(drawn[figures.COLOURS["generator"]].get_ydata()) == [0, 5]
    assert set(drawn[figures.COLOURS["exact"]].get_ydata()) == {6}


def test_traces_differ_by_stroke_and_name():
    (axes,) = drawings.traces({"one": ([0, 1], [2, 3]), "two": ([0, 1], [4, 5])}, xlabel="step").axes
    assert [line.get_linestyle() for line in axes.get_lines()] == ["-", "--"]
    assert [(text.get_text(), text.xy) for text in axes.texts] == [("one", (1, 3)), ("two", (1, 5))]
    assert axes.get_xlabel() == "step"


def test_batch_norms_layers_lie_on_the_curve_of_their_epsilon():
    v = np.array([0.01, 0.2])
    layers = {epsilon: (v, v / (v + epsilon)) for epsilon in (1e-5, 0.8)}
    (axes,) = drawings.normalised(layers).axes
    for curve, dots, (before, after) in zip(axes.lines[::2], axes.lines[1::2], layers.values(), strict=True):
        assert np.interp(v, *curve.get_data()) == pytest.approx(after, rel=1e-3)
        assert dots.get_xdata().tolist() == before.tolist() and dots.get_ydata().tolist() == after.tolist()
        assert dots.get_color() == figures.COLOURS["generator"]
    assert [text.get_text() for text in axes.texts] == [r"$\varepsilon = 10^{-5}$", r"$\varepsilon = 0.8$"]


def test_c_over_the_means_touches_its_exact_values_in_colour():
    mu, c, bound = np.array([-1.0, 0.0, 1.0]), np.array([-1.0, -1.2, -1.0]), np.array([-1.1, -1.3, -1.1])
    (axes,) = drawings.criterion_curves(mu, {1: c, 0.5: c + 0.1}, bound).axes
    lower, upper, first, second, below = axes.get_lines()
    assert [set(line.get_ydata()) for line in (lower, upper)] == [{-math.log(4)}, {0.0}]
    assert first.get_ydata().tolist() == c.tolist() and second.get_ydata().tolist() == (c + 0.1).tolist()
    assert below.get_ydata().tolist() == bound.tolist()
    assert {line.get_color() for line in (lower, upper)} == {figures.COLOURS["exact"]}
    assert {line.get_color() for line in (first, second)} == {figures.COLOURS["generator"]}
    assert [first.get_label(), second.get_label()] == [r"$\sigma = 1$", r"$\sigma = 0.5$"]
    assert first.get_linestyle() != second.get_linestyle()


def test_c_over_the_total_variation_lies_between_its_bounds():
    (axes,) = drawings.criterion_bounds([0.1, 0.9], [-1.3, -0.4]).axes
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
    panels = drawings.fitted_discriminators(fits, fits, lambda fit: fit.p_g[40]).axes
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
    (axes,) = drawings.estimates([30, 300], [-0.2, -0.4], [-0.9, -0.6], criterion=-0.5).axes
    drawn = lines(axes)
    assert drawn[figures.COLOURS["other"]].get_xydata().tolist() == [[30, -0.2], [300, -0.4]]
    assert drawn[figures.COLOURS["discriminator"]].get_ydata().tolist() == [-0.9, -0.6]
    assert set(drawn[figures.COLOURS["exact"]].get_ydata()) == {-0.5}


def test_every_line_below_the_supremum_touches_c():
    (axes,) = drawings.supremum(p_data=0.3, p_g=0.6).axes
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
    left, right = drawings.descents(gaps, {"a": np.array([4.0, 2.0]), "b": np.array([3.0, 3.0])}).axes
    first, second, bound = left.get_lines()
    assert first.get_ydata().tolist() == [1, 0.5, 1e-17]  # a logarithmic axis has no 0
    assert second.get_ydata().tolist() == [0.5, 0.2, 0.1]
    assert bound.get_xydata().tolist() == [[1, 4], [2, 2]]
    assert bound.get_color() == figures.COLOURS["exact"]
    assert len(right.get_lines()) == 2 and right.get_yscale() == "log"
    assert [axes.texts[0].get_text() for axes in (left, right)] == ["a", "b"]


def test_the_simplex_has_corners_at_equal_distances():
    p_data = np.array([0.5, 0.3, 0.2])
    axes = drawings.simplex(p_data, {"a": [np.eye(3)], "b": []}).axes[0]
    edge, path, target = axes.get_lines()
    assert np.allclose(np.hypot(*np.diff(edge.get_xydata(), axis=0).T), 1)
    assert np.allclose(path.get_xydata(), [[0, 0], [1, 0], [0.5, math.sqrt(3) / 2]])
    assert np.allclose(target.get_xydata(), p_data @ path.get_xydata())
    assert (path.get_color(), target.get_color()) == (figures.COLOURS["generator"], figures.COLOURS["data"])


def test_the_lag_of_d_is_between_c_and_v():
    c, v = np.array([-1.0, -1.2, -1.3]), np.array([-1.0, -1.5, -1.4])
    left, right = drawings.lagging({"k = 1": (c, v), "k = 2": (c, c)}).axes
    drawn = lines(left)
    assert drawn[figures.COLOURS["generator"]].get_ydata().tolist() == c.tolist()
    assert drawn[figures.COLOURS["discriminator"]].get_ydata().tolist() == v.tolist()
    assert drawn[figures.COLOURS["discriminator"]].get_linestyle() == "--"
    assert set(lines(right)[figures.COLOURS["exact"]].get_ydata()) == {-math.log(4)}


def test_the_helvetica_scenario_shows_p_g_and_the_two_values():
    x, p = np.arange(3.0), np.array([0.2, 0.5, 0.3])
    values = {"t": np.array([0, 1]), "C": np.array([-1.0, -0.5]), "V": np.array([-1.0, -2.0])}
    left, right = drawings.helvetica(x, p, {0: p, 7: p[::-1]}, np.full(3, 0.5), values).axes
    assert [text.get_text() for text in left.texts] == ["$t=0$", "$t=7$", "$D$"]
    assert lines(left)[figures.COLOURS["data"]].get_ydata().tolist() == p.tolist()
    assert lines(right)[figures.COLOURS["generator"]].get_ydata().tolist() == [-1.0, -0.5]
    assert lines(right)[figures.COLOURS["discriminator"]].get_ydata().tolist() == [-1.0, -2.0]


def test_the_landscape_marks_where_the_paths_end():
    grid = np.linspace(-4, 4, 5)
    line, plane = (grid, grid**2 / 20 - 1), (grid, np.add.outer(grid, 10 * grid) / 50)
    paths = np.array([[[1.0, 3.0], [0.0, 1.0]], [[2.0, 2.0], [-2.0, 2.0]]])  # (steps + 1, starts, 2)
    left, right = drawings.landscape(line, paths[..., :1], plane, paths).axes
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


def test_growth_has_a_panel_per_table_with_the_line_of_its_slope():
    sizes = [1, 2, 4, 8]
    tables = [
        {"table": "work: size", "sizes": sizes, "seconds": [3.0 * n**1.5 for n in sizes], "slope": 1.5},
        {"table": "rest: count", "sizes": sizes, "seconds": [2.0] * 4, "slope": 0.0},
    ]
    panels = drawings.growth(tables).axes
    assert [axes.get_xlabel() for axes in panels if axes.axison] == ["size", "count"]
    for axes, table in zip(panels, tables, strict=False):
        drawn = lines(axes)
        assert list(drawn[figures.COLOURS["generator"]].get_ydata()) == table["seconds"]
        assert drawn[figures.COLOURS["exact"]].get_ydata() == pytest.approx(table["seconds"])
        assert f"slope {table['slope']:.2f}" in axes.texts[0].get_text()


def test_a_second_stage_is_marked_where_it_begins_and_only_where_it_was_reached():
    for after, marks in ((0, []), (2, [2.5]), (3, [])):
        for axes in drawings.two_stages(HISTORY, after).axes:
            found = [line.get_xdata()[0] for line in axes.get_lines() if len(set(line.get_xdata())) == 1]
            assert found == marks
            named = [text for text in axes.texts if text.get_text() == "stage 2"]
            assert [text.get_position()[0] for text in named] == marks


def test_parzens_figure_over_the_number_of_samples_has_a_line_for_each_kind():
    curves = {"images": [1.0, 3.0], "centroids": [4.0, 5.0], "generator": [0.0, 2.0]}
    (axes,) = drawings.by_number({name: ([10, 20], y) for name, y in curves.items()}).axes
    drawn = lines(axes)
    for colour, name in (("data", "images"), ("other", "centroids"), ("generator", "generator")):
        assert list(drawn[figures.COLOURS[colour]].get_ydata()) == curves[name]
    assert axes.get_xscale() == "log"


def test_dimensions_are_drawn_against_the_mean():
    values = {100: [0.5, 1.8, 1.9], 10_000: [0.1, 1.7, 1.8]}
    panels = drawings.dimensions([2, 8, 32], values, {m: [-y for y in v] for m, v in values.items()}).axes
    for axes, exact, sign in zip(panels, (1, 0), (1, -1), strict=True):
        mean, few, many = axes.get_lines()
        assert set(mean.get_ydata()) == {exact} and mean.get_color() == figures.COLOURS["exact"]
        assert [sign * y for y in few.get_ydata()] == values[100]
        assert [sign * y for y in many.get_ydata()] == values[10_000]
        _, low, high = (text.xy[1] for text in axes.texts)  # their names keep apart
        assert high - low >= 0.08 * np.ptp(axes.get_ylim())


def test_the_ladder_has_the_highest_on_top_in_its_colour():
    rows = {"a": ("generator", 3.0, 1.0), "b": ("other", 5.0, 2.0), "c": ("data", 4.0, 0.5)}
    (axes,) = drawings.ladder(rows).axes
    assert [text.get_text() for text in axes.get_yticklabels()] == ["a", "c", "b"]
    found = [(bar.lines[0].get_color(), *bar.lines[0].get_xydata()[0]) for bar in axes.containers]
    assert found == [
        (figures.COLOURS[whose], nats, height)
        for height, (whose, nats) in enumerate([("generator", 3.0), ("data", 4.0), ("other", 5.0)])
    ]
    (low, high) = axes.containers[0].lines[2][0].get_segments()[0][:, 0]
    assert (low, high) == (2, 4)


def test_a_course_has_a_line_for_each_average_beside_the_papers_figure():
    scores = [
        {"epoch": epoch, "decay": decay, "mean": mean}
        for epoch, decay, mean in [(10, 0.0, 50.0), (10, 0.99, 70.0), (20, 0.0, 60.0), (20, 0.99, 90.0)]
    ]
    (axes,) = drawings.course(scores, paper=225).axes
    paper, last, average = axes.lines
    assert {*paper.get_ydata()} == {225}
    assert last.get_xydata().tolist() == [[10, 50], [20, 60]]
    assert average.get_xydata().tolist() == [[10, 70], [20, 90]]
    assert last.get_linestyle() != average.get_linestyle()
    assert [text.get_text() for text in axes.texts] == ["last", "0.99", "225"]


def test_the_names_of_a_courses_lines_do_not_touch():
    scores = [{"epoch": 10, "decay": decay, "mean": 224.0 + decay} for decay in (0.0, 0.99, 0.999)]
    (axes,) = drawings.course([{"epoch": 1, "decay": 0.0, "mean": 0.0}, *scores], paper=225).axes
    heights = [text.xy[1] for text in axes.texts]
    apart = [after - before for before, after in pairwise(heights)]
    assert min(apart) > 0.05 * np.ptp(axes.get_ylim())


def test_how_long_shows_last_weights_averages_and_the_rate():
    def record(*points):
        return {"scores": [{"epoch": e, "decay": d, "mean": m} for e, d, m in points]}

    long = record(*((e, 0.0, 150 + e / 10) for e in range(100, 801, 100)))
    short = record(*((e, d, 180 + e / 20 + 50 * (d > 0)) for d in (0.0, 0.99) for e in range(25, 401, 25)))
    top, bottom = drawings.how_long([long, short], lambda n: 1 / (1 + n), 10, paper=225, data=242.5).axes
    (paper, data, *curves) = top.lines
    assert ({*paper.get_ydata()}, {*data.get_ydata()}) == ({225}, {242.5})
    assert (data.get_color(), data.get_linestyle()) == (figures.COLOURS["data"], ":")
    first, end, second, other_end, average = curves
    assert first.get_xydata().tolist() == [[e, 150 + e / 10] for e in range(100, 801, 100)]
    assert end.get_xydata().tolist() == [[800, 230]] and other_end.get_xydata().tolist() == [[400, 200]]
    assert second.get_linestyle() == "-" != average.get_linestyle() and average.get_alpha() < 1
    assert average.get_xydata()[-1].tolist() == [400, 250]
    names = [text.get_text() for text in top.texts]
    assert names == ["paper, 225", "real images, 242.5", "last weights", "mean of 10 epochs"]
    assert bottom.lines[0].get_ydata()[[0, 1, -1]].tolist() == [1, 1 / 11, 1 / 8001]
    assert top.get_ylim()[0] < 160 and top.get_ylim()[1] > 250


def test_the_names_of_traces_that_end_together_do_not_touch():
    curves = {"upper": ([0, 10], [0, 100.5]), "lower": ([0, 9], [0, 100.0]), "far": ([0, 2], [0, 100.2])}
    (axes,) = drawings.traces(curves).axes
    heights = {text.get_text(): text.xy[1] for text in axes.texts}
    assert heights["upper"] - heights["lower"] > 0.07 * np.ptp(axes.get_ylim())
    assert (heights["lower"], heights["far"]) == (100, 100.2)
