"""A published sweep, by other means: its csv read by hand, intervals by scipy, failures by their rule."""

import csv
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import gan
from gan.__main__ import main
from gan.book import started, swept

RESULTS = Path(__file__).resolve().parents[1] / "book" / "results"
TINY = {"g_hidden": [[8, 8]], "d_hidden": [[8]], "d_pieces": [2], "batch_size": [300], "epochs": [1]}


@pytest.fixture(scope="module")
def published():
    return swept.load("digits")


def test_every_cell_of_the_published_sweep_has_five_seeds_and_its_line(published):
    record, table = published
    with (RESULTS / "sweeps/digits.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(table) == record["runs"]
    seeds = {}
    for row in rows:
        seeds.setdefault(tuple(row[field] for field in record["fields"]), []).append(int(row["seed"]))
    assert all(sorted(one) == record["seeds"] and len(one) >= 5 for one in seeds.values())
    lines = [line for line in started.read(RESULTS / started.FILE) if line["recipe"] == "digits"]
    assert [line["started"] for line in lines].count(record["started"]) == 1
    assert started.problems(RESULTS) == []
    assert len(record["commit"]) == 40, "one commit, and clean"


def test_failures_are_counted_by_the_rule(published):
    record, table = published
    with (RESULTS / "sweeps/digits.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    failed = [row["status"] != "finished" or float(row["mean"]) <= record["pixels"] for row in rows]
    assert table["failed"].tolist() == failed


def test_cells_and_intervals_are_scipys(published):
    record, table = published
    own = gan.recipes.parse(record["recipe"])
    found = swept.cells(swept.changed(table, own, "k", "loss", "updates"), "updates", "k", "loss")
    assert found["runs"].sum() >= 5 * len(found) >= 40
    for _, row in found.iterrows():
        same = (
            (table["k"] == row["k"]) & (table["loss"] == row["loss"]) & (table["updates"] == row["updates"])
        )
        for field in set(record["fields"]) - {"k", "loss", "updates"}:
            same &= table[field].map(str) == str(getattr(own, field))
        nats = table.loc[same & ~table["failed"], "mean"]
        assert row["failed"] == (same & table["failed"]).sum() and row["runs"] == same.sum()
        if len(nats) > 1:
            low, high = stats.t.interval(0.95, len(nats) - 1, loc=nats.mean(), scale=stats.sem(nats))
            assert row[["mean", "low", "high"]].tolist() == pytest.approx([nats.mean(), low, high])


def test_one_seed_has_no_interval_and_none_no_mean():
    assert swept.interval([3.0])[0] == 3.0 and np.isnan(swept.interval([3.0])[1:]).all()
    assert np.isnan(swept.interval([])).all()


def test_independent_pixels_have_the_datas_marginals_and_no_more(monkeypatch):
    seen = []
    monkeypatch.setattr(
        swept.parzen, "estimate", lambda recipe, images, **how: seen.append(images) or {"mean": 1}
    )
    assert swept.independent_pixels(gan.recipe("digits"), "valid", n=20_000) == 1
    x = gan.data.load("digits").split(300)[0].reshape(1200, -1) / 16
    drawn = seen[0].reshape(20_000, -1)
    scale = x.max() / drawn.max()
    assert np.abs(drawn.mean(0) * scale - x.mean(0)).max() < 0.02 * x.max()
    there = np.corrcoef(x[:, 20], x[:, 28])[0, 1]
    assert abs(there) > 0.3 > 0.03 > abs(np.corrcoef(drawn[:, 20], drawn[:, 28])[0, 1])


def test_a_failed_run_is_none_of_the_means():
    table = pd.DataFrame(
        {"k": [1] * 4, "status": ["finished"] * 3 + ["failed"], "mean": [1.0, 3.0, -9.0, np.nan]}
    )
    (row,) = swept.cells(swept.judged(table, pixels=-9.0), "k").to_dict("records")
    assert (row["runs"], row["failed"], row["mean"]) == (4, 2, 2.0)


@pytest.mark.slow
def test_a_sweep_is_published_by_the_command_and_once_in_the_list(tmp_path, monkeypatch, capsys):
    (tmp_path / "book/results").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "s"
    how = {"workers": 1, "progress": False, "split": "valid"}
    table = gan.sweep.run("digits", TINY | {"seed": range(2), "learning_rate": [0.1, 0.2]}, folder, **how)
    for _ in range(2):
        assert main(["publish", "s", "small"]) == 0
    assert "book/results/sweeps/small.json" in capsys.readouterr().out
    record, found = swept.load("small")
    table = table.sort_values(["learning_rate", "seed"])
    assert found["mean"].tolist() == pytest.approx(table["mean"].tolist(), rel=1e-5)
    assert found["seed"].tolist() == [0, 1, 0, 1] and record["runs"] == 4 and record["stacked"]
    (line,) = started.read("book/results/started.csv")
    assert line["seed"] == "0–1" and "learning_rate" in line["changed"] and line["epochs"] == "1"
    assert started.problems("book/results") == []
    (tmp_path / "book/results/started.csv").unlink()
    assert started.problems("book/results") == ["sweeps/small has no line"]
    waiting = json.loads((folder / f"{table.index[0]}.json").read_text()) | {"status": "unfinished"}
    (folder / f"{table.index[0]}.json").write_text(json.dumps(waiting))
    assert main(["publish", "s", "small"]) == 2
    assert "s has 1 of 4 runs to do: finish it first" in capsys.readouterr().err
    lost = waiting | {"status": "failed", "error": f"OSError: {folder}/digits can't be written"}
    (folder / f"{table.index[0]}.json").write_text(json.dumps(lost))
    assert main(["publish", "s", "small"]) == 0
    assert "OSError: digits can't be written" in swept.load("small")[1]["error"].tolist()
