"""started.csv: every training that was started for the book, held against what is published, counted from."""

import csv
import json
import shutil
from pathlib import Path

import pytest
import results

import gan
from gan.__main__ import main
from gan.book import started

RESULTS = Path(__file__).resolve().parents[1] / "book" / "results"


def record(mean=218.64, when="2026-01-02", **fields):
    estimate = {"mean": mean, "split": "test"}
    recipe = gan.recipe("mnist", **{"epochs": 30, "seed": 1} | fields).model_dump(mode="json")
    return {
        "recipe": recipe,
        "device": "CPU",
        "started": when,
        "seconds": 2,
        "python": "3.11",
        "versions": {"torch": "2.14"},
        "commit": None,
        "metrics": {"parzen": estimate},
    }


def cells(line, *names):
    return tuple(line[name] for name in names)


def test_every_published_run_has_its_line_and_its_figure():
    assert started.problems(RESULTS) == []


@pytest.fixture
def published(tmp_path):
    """Two published runs, a sweep, and their lines."""
    for name, one in {"mnist-a": record(), "mnist-b": record(200.0, "2026-01-03")}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text(json.dumps(one))
    (tmp_path / "sweep").mkdir()
    (tmp_path / "sweep" / "mnist.json").write_text(json.dumps(record()))
    lines = []
    for name in ("mnist-a", "mnist-b"):
        one = json.loads((tmp_path / name / "run.json").read_text())
        lines = started.add(lines, started.line(one, "走完"), one, name)
    started.write(tmp_path / started.FILE, lines)
    return tmp_path


@pytest.mark.parametrize(
    "old, new, says",
    [
        ("走完", "停下", []),
        ("218.6,test", "218.7,test", ["mnist-a has 218.7 test, its record 218.6"]),
        ("218.6,test", "218.6,valid", ["mnist-a has 218.6 valid, its record 218.6"]),
        (",mnist-a", ",-", ["mnist-a has 0 lines"]),
        (",mnist-b", ",mnist-a", ["mnist-a has 2 lines", "mnist-b has 0 lines"]),
        (",mnist-b", ",mnist-c", ["mnist-b has 0 lines", "mnist-c is not published"]),
        ("2026-01-03,mnist,,1", "2026-01-04,mnist,,1", ["mnist-b stands in the line of another training"]),
        ("2026-01-02,mnist,,1", "2026-01-02,mnist,k=2,1", ["another training", "sweep/mnist has no line"]),
    ],
)
def test_a_line_that_does_not_agree_would_be_seen(published, old, new, says):
    path = published / started.FILE
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")
    found = started.problems(published)
    assert len(found) == len(says) and all(map(str.endswith, found, says))


def test_one_training_is_one_line_however_often_it_is_published():
    whole, early = record(), record(230.0, epochs=20, ema=0.9)
    lines = started.add([], started.line(whole, "走完"), whole, "plain")
    lines = started.add(lines, started.line(early, "走完"), early, "average")
    (line,) = lines
    assert cells(line, "epochs", "changed", "end") == ("30", "", "走完")
    assert started.figures(line) == [("230.0", "test", "average"), ("218.6", "test", "plain")]
    better = record(219.0, epochs=40)
    (line,) = started.add(lines, started.line(better, "停下"), better, "plain")
    assert cells(line, "epochs", "end") == ("40", "停下")
    assert started.figures(line) == [("219.0", "test", "plain"), ("230.0", "test", "average")]


def test_a_name_that_is_published_anew_leaves_the_old_training_its_figure():
    old, new = record(), record(225.0, "2026-02-02")
    lines = started.add([], started.line(old, "走完"), old, "mnist-a")
    lines = started.add(lines, started.line(new, "走完"), new, "mnist-a")
    assert [started.figures(line) for line in lines] == [
        [("218.6", "test", "-")],
        [("225.0", "test", "mnist-a")],
    ]


def test_another_seed_or_field_is_another_training():
    lines = []
    for one in (record(), record(seed=2), record(loss="minimax", precision="bf16"), record(ema=0.9)):
        lines = started.add(lines, started.line(one, "停下"))
    assert [cells(line, "seed", "changed") for line in lines] == [
        ("2", ""),
        ("1", "loss=minimax precision=bf16"),
        ("1", ""),
    ]


def test_a_file_is_read_as_it_was_written_and_others_are_refused(tmp_path):
    path = tmp_path / started.FILE
    assert started.read(path) == []
    late, early = started.line(record(), 'D 占上风, "一直"'), started.line(record(when="2025-01-01"), "走完")
    started.write(path, [late, early])
    assert started.read(path) == [early, late]
    path.write_text("recipe,seed\nmnist,1\n")
    with pytest.raises(ValueError, match=r"started\.csv has the columns .* must have started, recipe"):
        started.read(path)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A run's folder after two epochs; the working directory is a checkout's."""
    monkeypatch.chdir(tmp_path)
    Path("book/results").mkdir(parents=True)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text(json.dumps(record(loss="minimax")))
    (tmp_path / "run" / "history.csv").write_text(
        "epoch,d_loss,g_loss,d_real,d_fake,value,seconds\n1,1,1,0.5,0.5,-1,1\n2,1,1,0.5,0.5,-1,1\n"
    )
    return "run"


def test_record_notes_how_a_run_ended(folder, capsys):
    assert main(["record", folder, "--end", "D 从第 2 轮起\n占上风"]) == 0
    assert capsys.readouterr().out.endswith("book/results/started.csv\n")
    (line,) = csv.DictReader(Path("book/results/started.csv").read_text("utf-8").splitlines())
    assert line == {
        "started": "2026-01-02",
        "recipe": "mnist",
        "changed": "loss=minimax",
        "seed": "1",
        "machine": "CPU",
        "epochs": "2",
        "end": "D 从第 2 轮起 占上风",
        "nats": "",
        "split": "",
        "published": "",
    }


@pytest.mark.parametrize("arguments, says", [(["run", "--end", " "], "end is empty"), (["no"], "is no run")])
def test_what_can_not_be_noted_gets_one_line_and_writes_nothing(folder, arguments, says, capsys):
    assert main(["record", *arguments, *(["--end", "停下"] if len(arguments) == 1 else [])]) == 2
    out, err = capsys.readouterr()
    assert not out and err.startswith("gan: ") and says in err and err.count("\n") == 1
    assert not any(Path("book/results").iterdir())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:the best sigma")
def test_publish_adds_the_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("book/results").mkdir(parents=True)
    assert main(["train", "digits", "-p", "epochs", "2", "-p", "batch_size", "300", "--out", "run"]) == 0
    assert main(["publish", "run", "digits"]) == 0
    root = Path("book/results")
    (line,) = started.read(root / started.FILE)
    assert cells(line, "recipe", "changed", "epochs", "end") == ("digits", "batch_size=300", "2", "走完")
    assert cells(line, "published", "split") == ("digits", "test")
    assert started.problems(root) == []
    shutil.rmtree(root / "digits")
    assert started.problems(root) == ["digits is not published"]


def test_the_pages_count_from_it():
    lines = started.read(RESULTS / started.FILE)
    assert len(results.such(lines, "cifar10 precision=fp32")) > len(
        results.such(lines, "cifar10 precision=fp32 发散")
    )
    assert {line["seed"] for line in results.such(lines, "cifar10 precision=fp32 发散")} == {"0", "2"}
    assert all(not line["changed"] for line in results.such(lines, "mnist changed="))
    assert [cells(line, "seed", "nats") for line in results.such(lines, "mnist changed= 占上风")] == [
        ("1", "-450")
    ]
    for unknown in ("mnits", "mnist seed=9", "mnist k=3"):
        with pytest.raises(ValueError, match=f"^started.csv has no training of {unknown}$"):
            results.such(lines, unknown)


def test_a_training_is_told_in_one_paragraph():
    line = started.line(record(loss="minimax"), "停下")
    (both,) = started.add([], line, record(-315.3, loss="minimax"), "mnist-minimax")
    assert results.training(both).astext() == (
        "mnist，loss=minimax，种子 1，2026-01-02，CPU，30 轮，停下；−315.3 纳特（测试），发布为 mnist-minimax"
    )
    unknown = dict.fromkeys(started.FIELDS, "") | {"recipe": "cifar10", "seed": "2", "end": "发散"}
    assert results.training(unknown).astext() == "cifar10，种子 2，发散"
