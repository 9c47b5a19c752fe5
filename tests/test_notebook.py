"""What the notebooks show of the measured speeds: numbers as they were written, goals judged by them."""

import json
from pathlib import Path

import pytest

from gan import notebook

BENCH = Path(__file__).resolve().parents[1] / "book/results/bench"
RECORDS = sorted(BENCH.glob("*.json"))


def row(name, contestant, **numbers):
    return {"row": name, "contestant": contestant, "unit": "update", "seconds": 0.02, "ratio": 1.0} | numbers


def test_a_goal_is_reached_by_what_was_measured_and_by_nothing_else():
    rows = [
        row("mnist, update", "plain loop"),
        row("mnist, update", "ours, compiled", ratio=1.99),
        row("pytorch-gan, update", "ours, compiled", ratio=2.0),
        row("make book, unchanged", "ours", seconds=15.1),
        row("Parzen, ten σ", "ours", ratio=51, fraction=0.5),
    ]
    table = notebook.bench_goals({"on": "cpu", "rows": rows})
    assert table["项目"].tolist() == [
        *("pytorch-gan, update", "mnist, update", "Parzen, ten σ", "Parzen, ten σ", "make book, unchanged")
    ]
    assert table["达到"].tolist() == ["是", "否", "是", "是", "否"]
    assert table["目标"].tolist() == ["≥ 2 倍", "≥ 2 倍", "≥ 50 倍", "≥ 50%", "≤ 15 秒"]
    assert table["实测"].tolist() == ["2 倍", "1.99 倍", "51 倍", "50%", "15.1 秒"]


def test_a_row_shows_its_contestants_in_their_order():
    rows = [
        row("mnist, update", "plain loop", seconds=0.05),
        row("pytorch-gan, update", "DataLoader loop"),
        row("mnist, update", "ours, compiled", seconds=2.5, ratio=0.02, fraction=0.345),
        row("mnist, update", "ours, eager", seconds=7680.0),
    ]
    table = notebook.bench_row({"rows": rows}, "mnist, update")
    assert table["用时"].tolist() == ["50 毫秒", "2.5 秒", "128 分"]
    assert table["速度比"].tolist() == ["1", "0.02", "1"]
    assert table["占下限"].tolist() == ["–", "34%", "–"]


def test_no_measurement_is_one_clear_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"make bench.*no book/results/bench/cpu\.json"):
        notebook.bench("cpu")


def test_the_book_has_the_measurements_that_it_shows():
    assert [path.stem for path in RECORDS][:1] == ["cpu"]


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_a_published_measurement_is_whole(path):
    record = json.loads(path.read_text())
    assert record["commit"] and not record["commit"].endswith("-dirty")
    assert record["rounds"] >= 5 and record["images"] == "MNIST"
    for found in record["rows"]:
        assert found["contestant"] in notebook.CONTESTANTS
        assert 0 < found["fastest"] <= found["seconds"] <= found["slowest"]
        assert found["fraction"] < 1.1 if "fraction" in found else True  # a floor is a floor, but for noise
    goals = notebook.bench_goals(record | {"on": path.stem})
    assert len(goals) == len(notebook.GOALS)
    for table in record["doublings"]:
        assert all(b == 2 * a for a, b in zip(table["sizes"], table["sizes"][1:], strict=False))
