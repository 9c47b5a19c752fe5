"""What the notebooks do in their first cells: parameters checked, absent results left out."""

import json
import math
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from IPython.core.inputtransformer2 import TransformerManager

import gan
from gan.book import figures, opening
from gan.book.opening import READS, check_parameters, image_recipe, need_results

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "book").glob("*.ipynb"))
IMAGES = ("cifar10", "faces", "mnist", "parzen", "pytorch-gan")


def code(path):
    """The sources of a notebook's code cells, that of its parameters first."""
    cells = [cell for cell in json.loads(path.read_text("utf-8"))["cells"] if cell["cell_type"] == "code"]
    cells = [cell for cell in cells if cell["id"] != "install"]
    assert cells[0]["metadata"]["tags"] == ["parameters"]
    return ["".join(cell["source"]) for cell in cells]


def open_notebook(path, monkeypatch, injected=""):
    """Run a notebook's parameters, those that papermill puts after them, and its next two cells."""
    monkeypatch.setattr(opening, "get_ipython", lambda: SimpleNamespace(input_transformers_cleanup=[]))
    monkeypatch.setattr(figures, "use_svg", lambda: None)
    defaults, *following = code(path)
    cells = ["", defaults, *([f"# Parameters\n{injected}\n"] if injected else [])]
    names = {"In": cells, "display": lambda *_: None}
    for cell in cells:
        exec(cell, names)
    for cell in following[:2]:
        cells.append(cell)
        exec(cell, names)
    return names


def parameters(path):
    return {name: value for name, value in re.findall(r"^(\w+) = (.+?)(?:  #.*)?$", code(path)[0], re.M)}


@pytest.mark.slow  # the notebooks' imports
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_parameter_of_a_notebook_is_checked_in_its_first_cells(path, monkeypatch):
    open_notebook(path, monkeypatch)
    for name in parameters(path).keys() - {"out"}:
        for wrong in ("-1", "float('nan')", "'no such thing'", "[1]", "0.5j"):
            with pytest.raises(ValueError) as error:
                open_notebook(path, monkeypatch, f"{name} = {wrong}")
            assert re.search(rf"\b{name}\b", str(error.value)) and "\n" not in str(error.value), (
                name,
                wrong,
            )


@pytest.mark.parametrize(
    "path, zeros",
    [
        ("adversarial-nets", "zoom epochs k batch_size"),
        ("convergence", "points starts steps rate g_rate k d_rate"),
        ("global-optimality", "pairs neighbourhood width n steps"),
        ("mnist-lab", "seeds"),
        ("parzen", "stand_ins"),
        ("speed", "updates batch"),
    ],
)
def test_nothing_of_something_is_refused(path, zeros, monkeypatch):
    for name in zeros.split():
        with pytest.raises(ValueError, match=f"{name} = 0"):
            open_notebook(ROOT / f"book/{path}.ipynb", monkeypatch, f"{name} = 0")
    with pytest.raises(ValueError, match="points = 1: it must be a whole number from 2 on"):
        open_notebook(ROOT / "book/convergence.ipynb", monkeypatch, "points = 1")


def test_numbers_are_whole_or_finite_and_in_their_range():
    check_parameters([], n=(1, 1), m=(9, 1, 9), r=(1, 0.0), s=(0.5, 0.0, 1.0), t=("b", ["a", "b"]))
    for given, words in (
        ((0, 1), "n = 0: it must be a whole number from 1 on"),
        ((10, 1, 9), "n = 10: it must be a whole number from 1 to 9"),
        ((2.0, 1), "n = 2.0: it must be a whole number from 1 on"),
        ((True, 1), "n = True: it must be a whole number from 1 on"),
        ((0.0, 0.0), "n = 0.0: it must be a finite number above 0"),
        ((math.inf, 0.0), "n = inf: it must be a finite number above 0"),
        ((math.nan, 0.0, 1.0), "n = nan: it must be a number between 0 and 1"),
        ((1.0, 0.0, 1.0), "n = 1.0: it must be a number between 0 and 1"),
        (("c", ["a", "b"]), "n = 'c': it must be one of: a, b"),
        (("gpu", gan.engine.pick_device), "device = 'gpu': here it must be one of auto, cpu"),
    ):
        with pytest.raises(ValueError) as error:
            check_parameters([], n=given)
        assert str(error.value) == words


@pytest.mark.parametrize("name", IMAGES)
def test_a_notebook_on_images_refuses_points_and_takes_any_images(name, monkeypatch):
    path = ROOT / f"book/{name}.ipynb"
    for points in ("recipe = 'figure1'", "dataset = 'gaussian'", "recipe = 'digits'; dataset = 'ring'"):
        with pytest.raises(ValueError, match="must be one of images"):
            open_notebook(path, monkeypatch, points)
    found = open_notebook(path, monkeypatch, "recipe = 'mnist'; dataset = 'cifar10'; seed = 5")["settings"]
    for recipe in found.values() if isinstance(found, dict) else [found]:
        assert (recipe.name, recipe.dataset, recipe.seed) == ("mnist", "cifar10", 5)


def test_a_notebooks_own_fields_give_way_to_those_that_are_given():
    own = {"epochs": 7, "batch_size": 20}
    assert image_recipe("digits", own, epochs=3, seed=None) == gan.recipe("digits", epochs=3, batch_size=20)
    assert image_recipe("digits") == gan.recipe("digits")
    with pytest.raises(ValueError, match=r"recipe = 'mnits': here it must be one of images: mnist, .*digits"):
        image_recipe("mnits")


def test_images_that_a_pages_small_networks_do_not_fit_lead_to_a_recipe_that_does(tmp_path, monkeypatch):
    monkeypatch.setenv("GAN_DATA_DIR", str(tmp_path))
    for side in (8, 28):
        x = np.random.default_rng(0).integers(0, 256, (40, side, side), dtype=np.uint8)
        np.savez(tmp_path / f"mine{side}.npz", x_train=x, x_test=x)
    path = ROOT / "book/cifar10.ipynb"
    assert open_notebook(path, monkeypatch, "dataset = 'mine8'")["settings"].dataset == "mine8"
    with pytest.raises(ValueError, match=r"g_deconv = .* \(1, 28, 28\).*; -p recipe cifar10 has"):
        open_notebook(path, monkeypatch, "dataset = 'mine28'")
    found = open_notebook(path, monkeypatch, "dataset = 'mine28'; recipe = 'cifar10'")["settings"]
    assert (found.name, found.dataset) == ("cifar10", "mine28")


def test_the_steps_of_a_zoom_past_the_end_are_told(monkeypatch, capsys):
    names = open_notebook(ROOT / "book/adversarial-nets.ipynb", monkeypatch, "epochs = 1")
    assert names["zoom"] == 1 and capsys.readouterr().out == "zoom = 2：只有 1 轮，改取最后一轮\n"


# Away from the checkout


def test_what_is_not_here_is_told_once_and_its_cells_are_left_out(alone, monkeypatch, capsys):
    manager = TransformerManager()
    shell = SimpleNamespace(input_transformers_cleanup=manager.cleanup_transforms)
    monkeypatch.setattr(opening, "get_ipython", lambda: shell)
    quoting, other = f"{READS}\nrun = gan.published('mnist')\n", f"1 + 1  {READS}\n"
    for published, left_out in (([], True), (["mnist/run.json"], True), (["sweep/mnist.json"], False)):
        for name in published:
            path = alone / "book/results" / name
            path.parent.mkdir(parents=True)
            path.write_text("{}")
        need_results("mnist", "sweep/mnist.json")
        told = capsys.readouterr().out
        assert told.count("\n") == ("book/results/" in told) == left_out
        assert ("mnist、" in told) == (not published)
        assert (manager.transform_cell(quoting) == quoting) == (not left_out)
        assert manager.transform_cell(other) == other
    exec(opening.leave_out([f"{READS}\n", "1 / 0\n"])[0])
    assert capsys.readouterr().out == "略去：这里没有 book/results/\n"


def test_results_are_found_from_anywhere_where_gan_stands_in_its_checkout(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert gan.published("mnist").folder == ROOT / "book/results/mnist"
    assert gan.runs.find_result("bench/cpu.json") == ROOT / "book/results/bench/cpu.json"


READERS = r"published\(|from_file\(|tables\.(yardsticks|sweeps|scores|seeds|table1|course|best)\b|speed\.load"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_other_cells_need_nothing_of_those_that_are_left_out(path, tmp_path):
    cells = [cell for cell in code(path) if not cell.startswith(READS)]
    assert not [cell for cell in cells if re.search(READERS, cell)]
    rest = tmp_path / "rest.ipynb"
    notebook = json.loads(path.read_text("utf-8"))
    quoting = [cell for cell in notebook["cells"] if "".join(cell["source"]).startswith(READS)]
    notebook["cells"] = [cell for cell in notebook["cells"] if cell not in quoting]
    rest.write_text(json.dumps(notebook))
    ruff = [sys.executable, "-m", "ruff", "check", "--isolated", "--no-cache", "--select", "F821"]
    options = ["--config", 'builtins = ["In", "display"]', str(rest)]
    done = subprocess.run([*ruff, *options], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


SLOW = pytest.param("speed", marks=pytest.mark.slow)  # the one that quotes the most


@pytest.mark.parametrize(
    "name",
    [SLOW, *(pytest.param(p.stem, marks=pytest.mark.soak) for p in NOTEBOOKS if p.stem != "speed")],
)
def test_a_notebook_runs_away_from_the_checkout(name, tmp_path):
    papermill = pytest.importorskip("papermill")
    shutil.copytree(ROOT / "gan", tmp_path / "installed/gan", ignore=shutil.ignore_patterns("__pycache__"))
    notebook = shutil.copy(ROOT / f"book/{name}.ipynb", tmp_path)
    environment = {"PYTHONPATH": str(tmp_path / "installed"), "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
    with pytest.MonkeyPatch.context() as patch:
        for key, value in environment.items():
            patch.setenv(key, value)
        options = {"progress_bar": False, "extra_arguments": ["--log-level=CRITICAL"], "cwd": tmp_path}
        done = papermill.execute_notebook(notebook, tmp_path / "out.ipynb", **options)
    told = json.dumps([cell.get("outputs", []) for cell in done.cells], ensure_ascii=False)
    quoting = sum(cell.source.startswith(READS) for cell in done.cells)
    assert told.count("略去：这里没有 book/results/") == quoting
    assert told.count("在仓库里运行才有") == bool(quoting)
    assert not (tmp_path / "book").exists() and os.path.exists(tmp_path / "out.ipynb")
