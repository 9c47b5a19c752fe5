"""`python -m gan`, and what the notebooks share."""

import os
import subprocess
import sys

import pytest
from test_engine import counted

import gan
from gan import engine
from gan.__main__ import main
from gan.book import tables, yardsticks
from gan.book.tables import check_parameters, recipe_table

TINY = ["-p", "epochs", "2", "-p", "batch_size", "300", "-p", "seed", "3"]


@pytest.mark.filterwarnings("ignore:the best sigma")
def test_train_evaluate_publish(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "digits", *TINY]) == 0
    folder = tmp_path / "runs" / "digits-epochs=2-seed=3-batch_size=300"
    assert "recipe digits · seed 3 · 2 epochs" in capsys.readouterr().out
    assert main(["evaluate", str(folder)]) == 0
    mean = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("mean"))
    assert main(["publish", str(folder), "digits"]) == 0
    assert "nats" in capsys.readouterr().out
    public = gan.published("digits")
    assert public.folder == tmp_path / "book/results/digits"
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
    for wrong, words in ((["--split", "train"], "split = 'train'"), (["--average", "0.5"], "decay 0.5")):
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
    ],
)
def test_bad_arguments_are_one_line_and_exit_2(tmp_path, monkeypatch, capsys, arguments):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert not out and err.startswith("gan: ") and err.count("\n") == 1
    assert os.listdir(tmp_path) == []


@pytest.mark.filterwarnings("ignore:the best sigma")
def test_yardsticks_writes_what_the_book_reads(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
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
    assert os.listdir(tmp_path / "book/results/yardsticks") == ["digits.json"]
    monkeypatch.setitem(yardsticks.KINDS, "noise", lambda *_: 1 / 0)  # stopped in its last row
    with pytest.raises(ZeroDivisionError):
        main(["yardsticks", "digits", "-n", "50"])
    assert tables.yardsticks("digits") == record


def test_train_runs_by_the_engine_that_is_asked_for(tmp_path, monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(engine.Compiled, "compiled", counted(asked))
    options = ["--engine", "compiled", "--device", "cpu", "--out", str(tmp_path / "run")]
    assert main(["train", "digits", *TINY, *options]) == 0
    assert len(asked) == 2 * 4 and gan.Run.load(tmp_path / "run").record["engine"] == "compiled"


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
    assert "goes on from the last checkpoint" in err and err.count("\n") == 1


@pytest.mark.slow
def test_the_module_runs():
    command = [sys.executable, "-m", "gan", "--help"]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert all(command in out for command in ("train", "evaluate", "publish", "bench"))


def test_a_published_run_that_is_not_there_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match="no published run 'nothing'"):
        gan.published("nothing")


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
    }
    assert "ema" in recipe_table(gan.recipe("mnist"), gan.recipe("digits", ema=0.9))["设置"].iloc[-1]


@pytest.mark.slow
def test_the_library_alone_needs_none_of_the_books_tools():
    code = "import sys, gan.__main__; print({'IPython', 'matplotlib', 'gan.book'} & {*sys.modules})"
    command = [sys.executable, "-c", code]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "set()\n"
