"""The drawings beside §5: the data that they were given, in the colours that mean something."""

from itertools import pairwise

import numpy as np
import pytest
from test_figures import HISTORY, lines

from gan.book import experiments, figures


def test_batch_norms_layers_lie_on_the_curve_of_their_epsilon():
    v = np.array([0.01, 0.2])
    layers = {epsilon: (v, v / (v + epsilon)) for epsilon in (1e-5, 0.8)}
    (axes,) = experiments.normalised(layers).axes
    for curve, dots, (before, after) in zip(axes.lines[::2], axes.lines[1::2], layers.values(), strict=True):
        assert np.interp(v, *curve.get_data()) == pytest.approx(after, rel=1e-3)
        assert dots.get_xdata().tolist() == before.tolist() and dots.get_ydata().tolist() == after.tolist()
        assert dots.get_color() == figures.COLOURS["generator"]
    assert [text.get_text() for text in axes.texts] == [r"$\varepsilon = 10^{-5}$", r"$\varepsilon = 0.8$"]


def test_growth_has_a_panel_per_table_with_the_line_of_its_slope():
    sizes = [1, 2, 4, 8]
    tables = [
        {"table": "work: size", "sizes": sizes, "seconds": [3.0 * n**1.5 for n in sizes], "slope": 1.5},
        {"table": "rest: count", "sizes": sizes, "seconds": [2.0] * 4, "slope": 0.0},
    ]
    panels = experiments.growth(tables).axes
    assert [axes.get_xlabel() for axes in panels if axes.axison] == ["size", "count"]
    for axes, table in zip(panels, tables, strict=False):
        drawn = lines(axes)
        assert list(drawn[figures.COLOURS["generator"]].get_ydata()) == table["seconds"]
        assert drawn[figures.COLOURS["exact"]].get_ydata() == pytest.approx(table["seconds"])
        assert f"slope {table['slope']:.2f}" in axes.texts[0].get_text()


def test_a_second_stage_is_marked_where_it_begins_and_only_where_it_was_reached():
    for after, marks in ((0, []), (2, [2.5]), (3, [])):
        for axes in experiments.two_stages(HISTORY, after).axes:
            found = [line.get_xdata()[0] for line in axes.get_lines() if len(set(line.get_xdata())) == 1]
            assert found == marks
            named = [text for text in axes.texts if text.get_text() == "stage 2"]
            assert [text.get_position()[0] for text in named] == marks


def test_parzens_figure_over_the_number_of_samples_has_a_line_for_each_kind():
    curves = {"images": [1.0, 3.0], "centroids": [4.0, 5.0], "generator": [0.0, 2.0]}
    (axes,) = experiments.by_number({name: ([10, 20], y) for name, y in curves.items()}).axes
    drawn = lines(axes)
    for colour, name in (("data", "images"), ("other", "centroids"), ("generator", "generator")):
        assert list(drawn[figures.COLOURS[colour]].get_ydata()) == curves[name]
    assert axes.get_xscale() == "log"


def test_dimensions_are_drawn_against_the_mean():
    values = {100: [0.5, 1.8, 1.9], 10_000: [0.1, 1.7, 1.8]}
    panels = experiments.dimensions([2, 8, 32], values, {m: [-y for y in v] for m, v in values.items()}).axes
    for axes, exact, sign in zip(panels, (1, 0), (1, -1), strict=True):
        mean, few, many = axes.get_lines()
        assert set(mean.get_ydata()) == {exact} and mean.get_color() == figures.COLOURS["exact"]
        assert [sign * y for y in few.get_ydata()] == values[100]
        assert [sign * y for y in many.get_ydata()] == values[10_000]
        _, low, high = (text.xy[1] for text in axes.texts)  # their names keep apart
        assert high - low >= 0.08 * np.ptp(axes.get_ylim())


def test_the_ladder_has_the_highest_on_top_in_its_colour():
    rows = {"a": ("generator", 3.0, 1.0), "b": ("other", 5.0, 2.0), "c": ("data", 4.0, 0.5)}
    (axes,) = experiments.ladder(rows).axes
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
    (axes,) = experiments.course(scores, paper=225).axes
    paper, last, average = axes.lines
    assert {*paper.get_ydata()} == {225}
    assert last.get_xydata().tolist() == [[10, 50], [20, 60]]
    assert average.get_xydata().tolist() == [[10, 70], [20, 90]]
    assert last.get_linestyle() != average.get_linestyle()
    assert [text.get_text() for text in axes.texts] == ["last", "0.99", "225"]


def test_the_names_of_a_courses_lines_do_not_touch():
    scores = [{"epoch": 10, "decay": decay, "mean": 224.0 + decay} for decay in (0.0, 0.99, 0.999)]
    (axes,) = experiments.course([{"epoch": 1, "decay": 0.0, "mean": 0.0}, *scores], paper=225).axes
    heights = [text.xy[1] for text in axes.texts]
    apart = [after - before for before, after in pairwise(heights)]
    assert min(apart) > 0.05 * np.ptp(axes.get_ylim())


def test_how_long_shows_last_weights_averages_and_the_rate():
    def record(*points):
        return {"scores": [{"epoch": e, "decay": d, "mean": m} for e, d, m in points]}

    long = record(*((e, 0.0, 150 + e / 10) for e in range(100, 801, 100)))
    short = record(*((e, d, 180 + e / 20 + 50 * (d > 0)) for d in (0.0, 0.99) for e in range(25, 401, 25)))
    top, bottom = experiments.how_long([long, short], lambda n: 1 / (1 + n), 10, paper=225, data=242.5).axes
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


def test_two_forms_are_compared_as_far_as_the_first_one_came():
    short, longer = ({"scores": [{"epoch": e, "decay": 0.0, "mean": n} for e, n in points]} for points in (
        [(25, 100.0), (50, 120.0)], [(25, 90.0), (50, 130.0), (75, 140.0)]
    ))  # fmt: skip
    (axes,) = experiments.forms({"one": [short], "other": [longer]}, paper=225).axes
    paper, *curves = axes.lines
    assert set(paper.get_ydata()) == {225}
    assert [[*map(float, line.get_xdata())] for line in curves] == [[25, 50], [25, 50]]
    assert [float(line.get_ydata()[-1]) for line in curves] == [120, 130]
    assert curves[0].get_linestyle() != curves[1].get_linestyle()
    named = {text.get_text(): text.xy for text in axes.texts}
    assert named["one"] == (50, 120) and named["other"] == (50, 130)
