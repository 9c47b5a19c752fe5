"""The command `gan`, and what the notebooks share."""

import os
import re
import shlex
import subprocess
import sys
import tomllib
import warnings
from pathlib import Path

import pytest
import yaml
from test_engine import counted

import gan
from gan import engine, runs
from gan.__main__ import main, typed
from gan.book import tables, yardsticks
from gan.book.opening import check_parameters
from gan.book.tables import recipe_table

ROOT = Path(__file__).resolve().parents[1]
TINY = ["-p", "epochs", "2", "-p", "batch_size", "300", "-p", "seed", "3"]


@pytest.mark.filterwarnings("ignore:the best sigma")
def test_train_evaluate_publish(checkout, capsys):
    assert main(["train", "digits", *TINY]) == 0
    folder = checkout / "runs" / "digits-epochs=2-seed=3-batch_size=300"
    assert "recipe digits · seed 3 · 2 epochs" in capsys.readouterr().out
    assert main(["evaluate", str(folder)]) == 0
    mean = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("mean"))
    assert main(["publish", str(folder), "digits"]) == 0
    assert "nats" in capsys.readouterr().out
    public = gan.published("digits")
    assert public.folder == checkout / "book/results/digits"
    # float16 weights move the figure a little
    assert public.record["metrics"]["parzen"]["mean"] == pytest.approx(float(mean.split()[1]), abs=0.1)


@pytest.mark.filterwarnings("ignore:the best sigma")
def test_evaluate_says_how_well_the_last_weights_do_on_the_validation_split(tmp_path, capsys):
    folder = str(tmp_path / "run")
    assert main(["train", "digits", *TINY, "-p", "ema", "0.9", "--out", folder]) == 0
    capsys.readouterr()
    assert main(["evaluate", folder, "--split", "valid", "--average", "0"]) == 0
    shown = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    valid = gan.data.scale(gan.data.load("digits").split(300)[1])
    last = gan.Run.load(folder).averaged(0)
    expected = gan.parzen.evaluate(last, valid[:150], valid[150:])
    assert float(shown["mean"]) == pytest.approx(expected.mean, rel=1e-9)
    assert (shown["split"], shown["n_valid"], shown["n_test"]) == ("valid", "150", "150")
    for wrong, words in (
        (["--split", "train"], "split = 'train'"),
        (["--average", "0.5"], "decay 0.5"),
        (["--z-seed", "-1"], "-1 is no seed: one is at least 0"),  # and not the recipe's seed = -1
    ):
        assert main(["evaluate", folder, *wrong]) == 2
        out, err = capsys.readouterr()
        assert not out and err.startswith("gan: ") and words in err and err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "mnits"],
        ["train", "digits", "-p", "k", "0"],
        ["train", "digits", "-p", "epoch", "3"],
        ["train", "digits", "--engine", "fast"],
        ["train", "digits", "--engine", "graph", "--device", "cpu"],
        ["evaluate", "nowhere"],
        ["publish", "nowhere", "x"],
        ["yardsticks", "mnits"],
        ["yardsticks", "digits"],  # 10 000 of 1 200
        ["yardsticks", "digits", "-n", "0"],
        ["yardsticks", "figure1", "-n", "10"],
        ["yardsticks", "digits", "-n", "10", "--seed", "4294967296"],  # more than k-means takes
        ["yardsticks", "digits", "-n", "10", "--seed", "-1"],
        ["train", "digits", "-p", "seed", "18446744073709551616"],
        ["train", "digits", "-p", "epochs", "True"],
        ["train", "digits", "-p", "epochs", "[3]"],
        ["train", "digits", "-p", "g_hidden", "[64,64"],
        ["train", "digits", "-p", "g_hidden", "[" * 500],
        ["train", "digits", "-p", "epochs", "1" + "0" * 30],
        ["train", "digits", "-p", "noise_size", "2147483647", "-p", "g_hidden", "[2147483647,128]"],
        *(["train", "digits", "--average", decay] for decay in ("1.5", "1", "-3", "nan", "half")),
        ["sweep", "digits", "--follow", "--average", "1.5"],
        ["sweep", "digits"],
        ["sweep", "digits", "-p", "seed", "9..0"],
        ["sweep", "digits", "-p", "k", "1,,2"],
        ["sweep", "digits", "-p", "k="],
        ["sweep", "digits", "-p", "seed", "0..", "-p", "k", "1"],
        ["sweep", "digits", "-p", "seed", "0..99999999"],
        ["sweep", "digits", "-p", "seed=1,1"],
        ["sweep", "digits", "-p", "seed=1", "-p", "seed=2"],
        ["sweep", "digits", "-p", "k=2,3"],
        ["sweep", "digits", "-p", "seed", "1", "--every", "3"],
        ["sweep", "digits", "-p", "seed", "1", "--overwrite"],
        ["sweep", "digits", "-p", "seed", "1", "--workers", "0"],
        ["sweep", "digits", "-p", "seed", "1", "--retries", "-1"],
        ["sweep", "digits", "--follow", "--retries", "1"],
        ["sweep", "nowhere.ipynb", "-p", "seed", "1"],
        ["train", "digits", "--device", "meta"],
        ["train", "digits", "--device", "cpu:3"],
        ["publish", "nowhere", "sweep"],
        ["publish", "nowhere", "../mnist"],
        ["sweep", "digits", "--follow", "--out", "two words"],
        ["trian", "digits"],
        ["train"],
        [],
        ["train", "digits", "--fast"],
        ["evaluate", "nowhere", "--z-seed", "one"],
    ],
)
@pytest.mark.parametrize("at_hand", [True, False])
def test_bad_arguments_are_one_line_and_exit_2(tmp_path, checkout, monkeypatch, capsys, arguments, at_hand):
    """In a checkout, and elsewhere; nothing is left behind."""
    if not at_hand:
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "book/results").rmdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert not out and err.startswith("gan: ") and err.count("\n") == 1
    assert not {path.name for path in tmp_path.rglob("*")} - {"book", "results", "elsewhere", "runs"}


@pytest.mark.filterwarnings("ignore:the best sigma")
def test_yardsticks_writes_what_the_book_reads(checkout, monkeypatch, capsys):
    assert main(["yardsticks", "digits", "-n", "50", "--seed", "3"]) == 0
    out = capsys.readouterr().out
    record = tables.yardsticks("digits")
    assert [row["name"] for row in record["rows"]] == list(yardsticks.KINDS)
    for row in record["rows"]:
        figure = row["estimate"]
        assert f"{row['name']:8} {figure['mean']:.1f} ±" in out
        assert (figure["n_samples"], figure["n_valid"], figure["n_test"]) == (50, 300, 297)
        assert figure["split"] == "test" and row["seconds"] >= 0 and row["sharpness"] >= 0
    assert record["seeds"] == {"stand_ins": 3} and record["recipe"] == "digits"
    assert record["data_sha256"] == gan.data.load("digits").digest
    assert {"device", "versions", "started", "commit", "iterations", "blur"} < record.keys()
    assert os.listdir(checkout / "book/results/yardsticks") == ["digits.json"]
    monkeypatch.setitem(yardsticks.KINDS, "noise", lambda *_: 1 / 0)  # stopped in its last row
    with pytest.raises(ZeroDivisionError):
        main(["yardsticks", "digits", "-n", "50"])
    assert tables.yardsticks("digits") == record


def test_train_runs_by_the_engine_that_is_asked_for(tmp_path, monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(engine, "compiled", counted(asked))
    monkeypatch.setattr(engine, "_compiler_works", lambda device: True)
    options = ["--engine", "compiled", "--device", "cpu", "--out", str(tmp_path / "run")]
    assert main(["train", "digits", *TINY, *options]) == 0
    assert len(asked) == 2 * 2 * 4 and gan.Run.load(tmp_path / "run").record["engine"] == "compiled"


def test_of_many_processes_the_first_one_speaks(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("RANK", "1")
    assert main(["train", "digits", *TINY, "--out", str(tmp_path / "run")]) == 0
    assert not capsys.readouterr().out


def test_ctrl_c_says_how_to_go_on(monkeypatch, capsys):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(gan, "train", stop)
    assert main(["train", "digits"]) == 130
    err = capsys.readouterr().err
    assert "the same command (without --overwrite) goes on from the last checkpoint" in err
    assert err.count("\n") == 1
    monkeypatch.setattr(gan.Run, "load", stop)
    assert main(["evaluate", "run"]) == 130
    assert capsys.readouterr().err == "gan: stopped\n"


@pytest.mark.slow
def test_the_module_runs():
    command = [sys.executable, "-m", "gan", "--help"]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert all(command in out for command in ("train", "evaluate", "publish", "bench"))


def test_a_published_run_that_is_not_there_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(runs, "__file__", str(tmp_path / "site-packages/gan/runs.py"))  # of no checkout
    with pytest.raises(FileNotFoundError, match=r"no published run 'nothing': .* in a checkout$") as e:
        gan.published("nothing")
    assert "\n" not in str(e.value)


def test_parameters_that_a_notebook_lacks_are_refused():
    defaults = 'recipe = "digits"\nepochs = None  # the recipe\'s own\n'
    check_parameters(["", defaults, "check()"])
    check_parameters(["", defaults, "# Parameters\nepochs = 3\n", "check()"])
    with pytest.raises(ValueError, match="no parameter epoch; it has: epochs, recipe"):
        check_parameters(["", defaults, "# Parameters\nepoch = 3\n", "check()"])


def test_the_books_table_explains_every_field_of_a_recipe():
    assert all(field.title and field.description for field in gan.Recipe.model_fields.values())
    table = recipe_table(gan.recipe("mnist"), gan.recipe("digits")).set_index("设置")
    assert table.loc["G 的隐藏层宽度（g_hidden）", "mnist"] == "1200, 1200"
    shown = {name.split("（")[-1].rstrip("）") for name in table.index}
    assert gan.Recipe.model_fields.keys() - shown == {
        *("name", "g_batch_norm", "g_output_init", "g_output_sparse", "g_sigmoid_bias", "g_bias_init"),
        *("g_deconv", "second_stage_after", "g_front", "g_front_activations", "d_conv", "max_norm", "ema"),
        "conv_rate",  # of no convolution
        *("k", "beta2"),  # of a simultaneous update, of momentum
    }
    assert "ema" in recipe_table(gan.recipe("mnist"), gan.recipe("digits", ema=0.9))["设置"].iloc[-1]


@pytest.mark.slow
def test_the_library_alone_needs_none_of_the_books_tools():
    code = (
        "import sys, gan.__main__; print({'IPython', 'matplotlib', 'gan.book'} & {*sys.modules});"
        "gan.__main__.main(['evaluate', 'nowhere']); print({'IPython', 'matplotlib'} & {*sys.modules})"
    )
    command = [sys.executable, "-c", code]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "set()\n" * 2


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("None", None),
        ("1e1", 10.0),
        ("3", 3),
        ("-0.5", -0.5),
        ("007", "007"),  # which pydantic takes for 7, as papermill does
        ("minimax", "minimax"),
        ("[64,64]", [64, 64]),
        ("(64, 64)", (64, 64)),
        ("[relu,leaky_relu]", ["relu", "leaky_relu"]),
        ("['relu', \"tanh\"]", ["relu", "tanh"]),
        ("[[32,2,8,4,4,2],[1e1,2,8,3,4,2]]", [[32, 2, 8, 4, 4, 2], [10.0, 2, 8, 3, 4, 2]]),
        ("[64,", "[64,"),
        ("", ""),
    ],
)
def test_a_field_is_given_as_papermill_takes_it_or_as_a_list(text, value):
    found = typed(text)
    assert found == value and type(found) is type(value)


def test_fields_of_every_kind_come_from_the_command_line(tmp_path, capsys):
    given = {"g_hidden": "[16,8]", "g_activations": "[relu,tanh]", "d_hidden": "[8]", "batch_size": "3e2"}
    given |= {"d_conv": "[[2,2,3,1,2,2],[2,2,3,1,2,2]]", "g_output_init": "None", "epochs": "1e0"}
    words = [word for field in given.items() for word in ("-p", *field)]
    assert main(["train", "digits", *words, "--out", str(tmp_path / "run")]) == 0
    recipe = gan.Run.load(tmp_path / "run").recipe
    assert (recipe.g_hidden, recipe.g_activations, recipe.d_hidden) == ((16, 8), ("relu", "tanh"), (8,))
    assert recipe.d_conv == ((2, 2, 3, 1, 2, 2),) * 2 and (recipe.batch_size, recipe.epochs) == (300, 1)
    # and a recipe says itself in these words
    _, *said = shlex.split(gan.recipes.words(recipe))
    again = {field: typed(text) for field, text in zip(said[1::3], said[2::3], strict=True)}
    assert gan.recipe("digits", **again) == recipe


def test_a_flag_of_the_library_is_one_of_the_command_line(tmp_path, capsys):
    folder = str(tmp_path / "run")
    assert main(["train", "digits", *TINY, "--out", folder]) == 0
    capsys.readouterr()
    assert main(["train", "digits", "--out", folder]) == 2
    assert "or --overwrite\n" in capsys.readouterr().err
    assert main(["train", "digits", *TINY, "--out", folder, "--average", "0.99"]) == 2
    assert capsys.readouterr().err == f"gan: {folder} has no average of decay 0.99; it has [0.0]\n"


def test_a_warning_is_one_line(monkeypatch, capsys):
    def estimate(self, **how):
        warnings.warn("the largest value\nis 1", stacklevel=2)
        return {"mean": 0.5}

    monkeypatch.setattr(gan.Run, "load", lambda folder: gan.Run(folder, None, {}, None))
    monkeypatch.setattr(gan.Run, "estimate", estimate)
    before = warnings.showwarning
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert main(["evaluate", "run"]) == 0
    out, err = capsys.readouterr()
    assert (out.split(), err) == (["mean", "0.5"], "gan: warning: the largest value is 1\n")
    assert warnings.showwarning is before


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        (["train", "MNITS"], "did you mean mnist?"),
        (["yardsticks", "cifar-10"], "did you mean cifar10?"),
        (["train", "digits", "-p", "batchsize", "3"], "did you mean batch_size?"),
    ],
)
def test_a_misspelt_name_is_answered_with_the_nearest(wrong, meant, checkout, capsys):
    assert main(wrong) == 2
    assert meant in capsys.readouterr().err


@pytest.mark.parametrize("command", ["train", "sweep"])
def test_help_lists_the_recipes_and_their_fields_with_their_meanings(command, capsys):
    with pytest.raises(SystemExit) as end:
        main([command, "--help"])
    shown = capsys.readouterr().out
    assert end.value.code == 0
    assert all(name in shown for name in gan.recipes.PRESETS)
    for name, field in gan.Recipe.model_fields.items():
        assert name == "name" or re.search(rf"^  {name} +{re.escape(field.description)}", shown, re.M)
    assert "(minimax, non_saturating)" in shown


def test_gan_is_a_command_and_knows_its_address_from_one_place():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    module, function = project["scripts"]["gan"].split(":")
    assert getattr(sys.modules[module], function) is main
    address = yaml.safe_load((ROOT / "_config.yml").read_text("utf-8"))["repository"]["url"]
    assert project.get("urls", {}) == ({"Repository": address} if address else {})
