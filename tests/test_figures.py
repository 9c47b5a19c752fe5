"""The figures: the data that they were given, the colours that mean something, the same file twice."""

import io
import math

import matplotlib
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from gan import toy
from gan.book import figures
from gan.parzen import Estimate

HISTORY = pd.DataFrame(
    {"epoch": [1, 2, 3], "value": [-1.4, -1.0, -1.2], "d_real": [0.5, 0.8, 0.7], "d_fake": [0.5, 0.2, 0.3]}
)
ESTIMATE = Estimate(
    mean=1.0,
    standard_error=0.1,
    sigma=0.2,
    n_samples=10,
    n_test=5,
    n_valid=5,
    z_seed=0,
    sigmas=(0.1, 0.2, 0.4),
    curve=(-3.0, 2.0, 1.0),
)


def svg(figure):
    out = io.StringIO()
    with matplotlib.rc_context(figures.SVG):
        figure.savefig(out, format="svg", metadata={"Date": None})
    return out.getvalue()


def lines(axes):
    return {line.get_color(): line for line in axes.get_lines()}


def test_learning_curves_show_the_history_beside_the_exact_values():
    left, right = figures.learning_curves(HISTORY).axes
    colours = figures.COLOURS
    assert lines(left)[colours["other"]].get_ydata().tolist() == [-1.4, -1.0, -1.2]
    assert set(lines(left)[colours["exact"]].get_ydata()) == {-math.log(4)}
    assert lines(right)[colours["data"]].get_ydata().tolist() == [0.5, 0.8, 0.7]
    assert lines(right)[colours["data"]].get_linestyle() == ":"
    assert lines(right)[colours["generator"]].get_ydata().tolist() == [0.5, 0.2, 0.3]
    assert set(lines(right)[colours["exact"]].get_ydata()) == {0.5}


def test_the_parzen_curve_marks_the_chosen_sigma():
    (axes,) = figures.parzen_curve(ESTIMATE).axes
    drawn = lines(axes)
    assert drawn[figures.COLOURS["generator"]].get_xydata().tolist() == [[0.1, -3], [0.2, 2], [0.4, 1]]
    assert set(drawn[figures.COLOURS["exact"]].get_xdata()) == {0.2}


@pytest.mark.slow
@pytest.mark.parametrize(
    "draw", [lambda: figures.learning_curves(HISTORY), lambda: figures.parzen_curve(ESTIMATE)]
)
def test_equal_figures_are_equal_files_that_a_dark_page_can_turn(draw):
    once = svg(draw())
    assert once == svg(draw())
    assert "stroke: #000000" in once and "#262626" not in once  # pure black turns white, a dark grey does not


def stage(shift: float) -> toy.Snapshot:
    """p_data on the line against itself, moved by ``shift``, before a D that says 3/4 everywhere."""
    edges = np.concatenate([[-np.inf], np.linspace(-4, 4, 81), [np.inf]])
    p_data, p_g = (toy.TARGETS["gaussian"].masses(edges - move) for move in (0, shift))
    z = np.linspace(-1.7, 1.7, 5)
    return toy.Snapshot(edges, p_data, p_g, np.full(82, math.log(3)), z, 3 * z)


def test_figure_1_draws_what_the_snapshots_hold_in_the_papers_lines():
    stages = [stage(shift) for shift in (2, 1, 0.5, 0)]
    panels = figures.figure1(stages).axes
    assert len(panels) == 4
    for axes, drawn in zip(panels, stages, strict=True):
        named = {line.get_label(): line for line in axes.get_lines()}
        curves = {
            "$p_\\mathrm{data}$": (drawn.density(drawn.p_data), figures.COLOURS["data"], ":"),
            "$p_g$": (drawn.density(drawn.p_g), figures.COLOURS["generator"], "-"),
            "$D$": (np.full(80, 0.75), figures.COLOURS["discriminator"], "--"),
            "$D^*$": (drawn.d_star, figures.COLOURS["optimum"], "-"),
        }
        for name, (values, colour, stroke) in curves.items():
            assert named[name].get_ydata() == pytest.approx(values)
            assert (named[name].get_color(), named[name].get_linestyle()) == (colour, stroke)
        (arrows,) = axes.collections  # from z's line to x's, where G(z) is in sight
        assert arrows.get_offsets()[:, 1] == pytest.approx(-0.8)
        ends = arrows.get_offsets()[:, 0] + arrows.U
        assert ends == pytest.approx([-2.55, 0, 2.55])
    texts = {text.get_text() for axes in panels for text in axes.texts}
    assert {"(a)", "(b)", "(c)", "(d)", "$x$", "$z$"} <= texts


def test_colours_are_okabe_and_itos():
    assert (figures.COLOURS["generator"], figures.COLOURS["discriminator"]) == ("#009E73", "#0072B2")
    assert (figures.COLOURS["optimum"], figures.COLOURS["exact"]) == ("#56B4E9", "#D55E00")


def test_pictures_are_enlarged_by_whole_pixels(tmp_path):
    array = np.random.default_rng(0).integers(0, 256, (7, 11, 2), dtype=np.uint8)
    image = figures.picture(array, width=40)
    assert image.size == (33, 21)
    assert np.array_equal(np.asarray(image), array.repeat(3, axis=0).repeat(3, axis=1))
    Image.fromarray(array).save(tmp_path / "picture.png")
    assert np.array_equal(np.asarray(figures.from_file(tmp_path / "picture.png"))[::65, ::65], array)


def test_a_picture_in_colour_keeps_its_colours_in_a_third_of_the_bytes():
    """Of few colours each, of noise nearly; what is transparent stays so, in the PNG as well."""
    rng = np.random.default_rng(0)
    few = rng.integers(0, 256, (200, 3), dtype=np.uint8)[rng.integers(0, 200, (40, 40))]
    noise = np.clip(rng.normal(128, 50, (40, 40, 3)), 0, 255).astype(np.uint8)
    for colours, off in ((few, 0), (noise, 20)):
        array = np.dstack([colours, np.where(rng.random((40, 40)) < 0.9, 255, 0)]).astype(np.uint8)
        png = figures.picture(array, width=40)._repr_png_()
        shown = np.asarray(Image.open(io.BytesIO(png)).convert("RGBA")).astype(int)
        assert np.array_equal(shown[..., 3], array[..., 3])
        apart = abs(shown - array)[array[..., 3] > 0]
        assert np.sqrt((apart**2).mean()) <= off
    plain = io.BytesIO()
    Image.fromarray(array).save(plain, "PNG")
    assert len(png) < len(plain.getvalue()) / 2


def test_grids_hold_the_images_in_order():
    images = np.linspace(0, 1, 6)[:, None, None, None] * np.ones((6, 1, 4, 4))
    grid = np.asarray(figures.samples(images, columns=3))
    factor = grid.shape[1] // 14
    assert grid[:: 5 * factor, :: 5 * factor, 0].tolist() == [[0, 51, 102], [153, 204, 255]]


def test_traces_differ_by_stroke_and_name():
    (axes,) = figures.traces({"one": ([0, 1], [2, 3]), "two": ([0, 1], [4, 5])}, xlabel="step").axes
    assert [line.get_linestyle() for line in axes.get_lines()] == ["-", "--"]
    assert [(text.get_text(), text.xy) for text in axes.texts] == [("one", (1, 3)), ("two", (1, 5))]
    assert axes.get_xlabel() == "step"


def test_the_names_of_traces_that_end_together_do_not_touch():
    curves = {"upper": ([0, 10], [0, 100.5]), "lower": ([0, 9], [0, 100.0]), "far": ([0, 2], [0, 100.2])}
    (axes,) = figures.traces(curves).axes
    heights = {text.get_text(): text.xy[1] for text in axes.texts}
    assert heights["upper"] - heights["lower"] > 0.07 * np.ptp(axes.get_ylim())
    assert (heights["lower"], heights["far"]) == (100, 100.2)
