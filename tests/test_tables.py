"""What the notebooks show of the measured speeds: numbers as they were written, goals judged by them."""

import json
import re
from pathlib import Path

import pytest

import gan
from gan.book import publishing, speed, tables, yardsticks

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
        row("Parzen, ten σ", "ours", ratio=3896.6, fraction=0.5),
    ]
    table = speed.goals({"on": "cpu", "rows": rows})
    assert table["项目"].tolist() == [
        *("pytorch-gan, update", "mnist, update", "Parzen, ten σ", "Parzen, ten σ", "make book, unchanged")
    ]
    assert table["达到"].tolist() == ["是", "否", "是", "是", "否"]
    assert table["目标"].tolist() == ["≥ 2 倍", "≥ 2 倍", "≥ 50 倍", "≥ 50%", "≤ 15 秒"]
    assert table["实测"].tolist() == ["2 倍", "1.99 倍", "3\u202f897 倍", "50%", "15.1 秒"]


def test_a_row_shows_its_contestants_in_their_order():
    rows = [
        row("mnist, update", "plain loop", seconds=0.05),
        row("pytorch-gan, update", "DataLoader loop"),
        row("mnist, update", "ours, compiled", seconds=2.5, ratio=0.02, fraction=0.345),
        row("mnist, update", "ours, eager", seconds=7680.0),
    ]
    table = speed.row_table({"rows": rows}, "mnist, update")
    assert table["用时"].tolist() == ["50 毫秒", "2.5 秒", "128 分"]
    assert table["速度比"].tolist() == ["1", "0.02", "1"]
    assert table["占下限"].tolist() == ["–", "34%", "–"]


def test_differences_are_the_fields_that_are_not_equal():
    one, other = gan.recipe("mnist"), gan.recipe("mnist", seed=1, k=2, updates="alternating")
    table = tables.differences({"甲": one, "乙": other})
    assert table["甲"].tolist() == ["0", "1", "simultaneous"]
    assert table["乙"].tolist() == ["1", "2", "alternating"]
    assert [name.split("（")[1] for name in table["设置"]] == ["seed）", "k）", "updates）"]
    assert tables.differences({"甲": one, "乙": one}).empty


def test_likelihoods_show_one_sigma_or_one_for_each_fold():
    one = {"mean": -1.25, "standard_error": 0.54, "sigma": 0.2154, "n_test": 297}
    table = tables.likelihoods({"一": one, "五折": one | {"sigma": [0.1, 0.1292]}})
    assert table[""].tolist() == ["一", "五折"]
    assert table["对数似然（纳特）"].tolist() == ["−1.2 ± 0.5"] * 2
    assert table["σ"].tolist() == ["0.215", "0.100, 0.129"]
    assert table["测试图像"].tolist() == [297, 297]


def test_no_measurement_is_one_clear_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"make bench.*no book/results/bench/cpu\.json"):
        speed.load("cpu")


def test_the_book_has_the_measurements_that_it_shows():
    assert [path.stem for path in RECORDS][:1] == ["cpu"]


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_a_published_measurement_is_whole(path):
    record = json.loads(path.read_text())
    assert record["commit"] and not record["commit"].endswith("-dirty")
    assert record["rounds"] >= 5 and record["images"] == "MNIST"
    for found in record["rows"]:
        assert found["contestant"] in speed.CONTESTANTS
        assert 0 < found["fastest"] <= found["seconds"] <= found["slowest"]
        assert found["fraction"] < 1.1 if "fraction" in found else True  # a floor is a floor, but for noise
    goals = speed.goals(record | {"on": path.stem})
    assert len(goals) == len(speed.GOALS)
    for table in record["doublings"]:
        assert all(b == 2 * a for a, b in zip(table["sizes"], table["sizes"][1:], strict=False))


# Table 1 and what stands beside it


FIGURE = {"standard_error": 2.0, "sigma": 0.1668, "n_samples": 10_000, "n_test": 10_000, "split": "test"}


def publish(root, name, recipe, epochs, **means):
    """A published run without weights, with the figures of Table 1's measure that are given."""
    (root / "book/results" / name).mkdir(parents=True)
    record = {"recipe": recipe.model_dump(mode="json"), "versions": {"python": "3", "torch": "2"}}
    record |= {"started": "2026-01-01", "device": "CPU", "seconds": 61, "commit": "0" * 40}
    record["metrics"] = {metric: FIGURE | {"mean": mean} for metric, mean in means.items()}
    (root / "book/results" / name / "run.json").write_text(json.dumps(record))
    history = "\n".join(["epoch,value", *(f"{epoch},-1" for epoch in range(epochs))])
    (root / "book/results" / name / "history.csv").write_text(history)


def publish_yardsticks(root, **means):
    (root / "book/results/yardsticks").mkdir(parents=True)
    rows = [{"name": n, "estimate": FIGURE | {"mean": m}, "sharpness": 0.1} for n, m in means.items()]
    record = {"recipe": "mnist", "seeds": {"stand_ins": 0}, "iterations": 5, "blur": 0.5, "rows": rows}
    (root / "book/results/yardsticks/mnist.json").write_text(json.dumps(record))


def test_scores_are_of_what_was_published_and_of_nothing_else(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert tables.scores("mnist").empty and tables.scores("faces").empty
    plain = gan.recipe("mnist")
    publish(tmp_path, "mnist", plain.model_copy(update={"ema": 0.999}), 250, parzen=230.0, parzen_last=190.0)
    for seed, mean in enumerate([180.0, 184.0, 191.0]):
        name = "mnist-plain" + (f"-s{seed}" if seed else "")
        publish(tmp_path, name, gan.recipe("mnist", seed=seed), 250, parzen=mean)
    publish(tmp_path, "pytorch-gan", gan.recipe("pytorch-gan"), 100, parzen=-3.0)
    publish(tmp_path, "faces", gan.recipe("faces"), 20, parzen=1800.0)
    publish_yardsticks(tmp_path, train=242.0, blurred=302.0)
    found = tables.scores("mnist")
    assert found["name"].tolist() == [
        *("mnist", "mnist, last weights", "mnist-plain", "pytorch-gan", "train", "blurred")
    ]
    assert found["mean"].tolist() == [230, 190, 185, -3, 242, 302]
    assert found["seeds"].tolist() == [1, 1, 3, 1, 1, 1]
    assert found["spread"][2] == pytest.approx(31**0.5) and found["spread"].notna().sum() == 1
    table = tables.score_table(found)
    assert table["样本的来源"].tolist() == [
        "本书的配方，权重的平均（mnist）",
        "本书的配方，最后的权重（mnist）",
        "作者的配方（mnist-plain）",
        "PyTorch-GAN 的网络（pytorch-gan）",
        "训练图像",
        "训练图像，模糊 0.5 像素",
    ]
    shown = table["对数似然（纳特）"].str.replace("\u00a0", " ").tolist()
    assert shown[2:4] == ["185.0 ± 2.0", "−3.0 ± 2.0"]
    assert table["种子之间"].str.replace("\u00a0", " ").tolist() == ["–", "–", "± 5.6（3 个）", "–", "–", "–"]
    assert table["轮数"].str.replace("\u00a0", " ").tolist()[2:5] == ["250 / 250", "100 / 200", "–"]
    (faces,) = tables.score_table(tables.scores("faces")).to_dict("records")
    assert "LFW" in faces["样本的来源"] and faces["轮数"].replace("\u00a0", " ") == "20 / 72"
    lines = tables.scores_provenance("mnist").data
    assert lines.count("<br>") == 4 and "mnist-plain-s2：配方 mnist · 种子 2 · 250 轮" in lines


def test_the_ladder_has_the_papers_figures_and_all_scores_but_the_noise(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    publish(tmp_path, "mnist", gan.recipe("mnist"), 250, parzen=183.0)
    publish_yardsticks(tmp_path, train=242.0, noise=-630.0, mean=-59.0)
    rows = tables.ladder(tables.scores("mnist"))
    assert rows["adversarial nets, 2014"] == ("other", 225.0, 2.0) and rows["DBN"] == ("other", 138.0, 2.0)
    assert rows["mnist"] == ("generator", 183.0, 2.0)
    assert (rows["train"][0], rows["mean"][0]) == ("data", "exact") and "noise" not in rows


def test_sharpness_stands_beside_the_figure_of_the_same_weights(tmp_path, monkeypatch):
    run = gan.train(gan.recipe("digits", epochs=1), tmp_path / "run", averages=[0.9], progress=False)
    recipe = run.recipe.model_copy(update={"ema": 0.9})
    metrics = {"parzen": FIGURE | {"mean": 8.0}, "parzen_last": FIGURE | {"mean": 4.0}}
    run = gan.Run(run.folder, recipe, run.record | {"metrics": metrics}, run.history)
    monkeypatch.chdir(tmp_path)
    publish_yardsticks(tmp_path, train=17.0, blurred=20.0, **{"k-means": 19.0})
    table = tables.sharpness_table(run, tables.yardsticks("mnist")).set_index("样本的来源")
    assert table["对数似然（纳特）"].tolist() == ["17.0", "20.0", "19.0", "4.0", "8.0"]
    for name, decay in (("run，最后的权重", 0), ("run，权重的平均", 0.9)):
        sharp = yardsticks.sharpness(run.averaged(decay).sample(1000, seed=0).numpy()).mean()
        assert table.loc[name, "清晰度"] == f"{sharp:.3f}"
        assert table.loc[name, "与训练图像之比"] == f"{sharp / 0.1:.2f}"


def test_no_yardsticks_is_one_clear_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"python -m gan yardsticks mnist.*yardsticks/mnist\.json"):
        tables.yardsticks()


def test_the_chapters_table_1_is_the_papers():
    book = json.loads((BENCH.parents[1] / "parzen.ipynb").read_text())
    text = "".join("".join(cell["source"]) for cell in book["cells"]).replace("\u00a0", " ").replace("**", "")
    text = re.sub(r"\{cite:p\}`\w+`", "", text)
    for name, (mnist, tfd) in tables.TABLE_1.items():
        assert f"| {name} | {mnist} | {tfd} |" in text


@pytest.mark.slow
def test_every_published_seed_has_a_row(tmp_path, monkeypatch):
    run = gan.train(
        gan.recipe("digits", epochs=8, valid=600), tmp_path / "run", averages=[0.99], progress=False
    )
    results = tmp_path / "book/results"
    publishing.publish(run, "plain", root=results)
    publishing.publish(run, "best", root=results, ema=0.99)
    publishing.publish(run, "best-s1", root=results, ema=0.99)
    publishing.publish(run, "best-other", root=results)
    monkeypatch.chdir(tmp_path)
    table = tables.seeds("best", "plain")
    assert table["运行"].tolist() == ["best", "best-s1", "plain"]
    assert {*table["种子"]} == {0} and {*table["轮数"]} == {8}
    figures = gan.published("best").record["metrics"]
    shown = {which: f"{one['mean']:.1f} ± {one['standard_error']:.1f}" for which, one in figures.items()}
    assert shown["parzen"] != shown["parzen_last"]
    assert table["最后的权重"].tolist() == [shown["parzen_last"].replace("-", "−")] * 3
    assert table["权重的平均"].tolist() == [shown["parzen"].replace("-", "−")] * 2 + ["–"]
