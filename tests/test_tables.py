"""What the notebooks show of the measured speeds: numbers as they were written, goals judged by them."""

import dataclasses
import json
import re
from pathlib import Path

import pytest

import gan
from gan import runs
from gan.book import followed, publishing, speed, tables, yardsticks

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
    every = speed.goals({"on": "cpu", "rows": rows})
    assert len(every) == len(speed.GOALS) and every["达到"].tolist().count("–") == 3
    assert (every["实测"] == "没有量过").tolist() == (every["达到"] == "–").tolist()
    table = every[every["达到"] != "–"]
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
    assert table["甲"].tolist() == ["0", "–", "simultaneous"]  # where k does nothing
    assert table["乙"].tolist() == ["1", "2", "alternating"]
    assert [name.split("（")[1] for name in table["设置"]] == ["seed）", "k）", "updates）"]
    assert tables.differences({"甲": one, "乙": one}).empty


@pytest.mark.parametrize(
    "field, idle, used",
    [
        ("scaling", {"dataset": "gaussian", "g_output": "linear"}, {"dataset": "mnist"}),
        ("d_pieces", {"d_activation": "leaky_relu", "d_pieces": 1}, {"d_pieces": 2}),
        ("k", {"updates": "simultaneous"}, {"updates": "alternating"}),
        ("learning_rate_floor", {"learning_rate_decay": 1.0}, {"learning_rate_decay": 1.1}),
        ("conv_rate", {}, {"d_conv": ((4, 2, 3, 1, 2, 2),)}),
        ("momentum_final", {"momentum_final": 0.5}, {"momentum_final": 0.6}),
        ("momentum_epochs", {"momentum_final": 0.5}, {"momentum_final": 0.6}),
        ("beta2", {"optimizer": "sgd"}, {"optimizer": "adam"}),
    ],
)
def test_a_table_of_recipes_leaves_out_what_does_nothing(field, idle, used):
    def shown(**fields):
        table = tables.recipe_table(gan.recipe("mnist", **fields))
        return table["设置"].str.contains(f"（{field}）").any()

    assert (shown(**idle), shown(**used)) == (False, True)


def test_likelihoods_show_one_sigma_or_one_for_each_fold():
    one = {"mean": -1.25, "standard_error": 0.54, "sigma": 0.2154, "n_test": 297}
    table = tables.likelihoods({"一": one, "五折": one | {"sigma": [0.1, 0.1292]}})
    assert table[""].tolist() == ["一", "五折"]
    assert table["对数似然（纳特）"].tolist() == ["−1.2 ± 0.5"] * 2
    assert table["σ"].tolist() == ["0.215", "0.100, 0.129"]
    assert table["测试图像"].tolist() == [297, 297]


def test_no_measurement_is_one_clear_line(alone):
    with pytest.raises(FileNotFoundError, match=r"make bench.*no book/results/bench/cpu\.json"):
        speed.load("cpu")


def test_the_book_has_the_measurements_that_it_shows():
    assert [path.stem for path in RECORDS] == ["cpu", "cuda-h200", "cuda"]


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_a_published_measurement_is_whole(path):
    record = json.loads(path.read_text())
    assert record["commit"] and not record["commit"].endswith("-dirty")
    assert record["rounds"] >= 2 and record["images"] == "MNIST"
    for found in record["rows"]:
        assert found["contestant"] in speed.CONTESTANTS
        assert 0 < found["fastest"] <= found["seconds"] <= found["slowest"]
        assert found["fraction"] < 1.1 if "fraction" in found else True  # a floor is a floor, but for noise
    if path.stem == "cpu":  # on the GPU, which was there for minutes, two of the measures ran
        assert record["rounds"] >= 5 and len(record["doublings"]) == 5
        assert "没有量过" not in speed.goals(record | {"on": "cpu"})["实测"].tolist()
    for table in record.get("doublings", []):
        assert all(b == 2 * a for a, b in zip(table["sizes"], table["sizes"][1:], strict=False))


# Table 1 and what stands beside it


FIGURE = {"standard_error": 2.0, "sigma": 0.1668, "n_samples": 10_000, "n_test": 10_000, "split": "test"}


def publish(root, name, recipe, epochs, best_epoch=None, **means):
    """A published run without weights, with the figures of Table 1's measure that are given."""
    (root / "book/results" / name).mkdir(parents=True)
    record = {"recipe": recipe.model_dump(mode="json"), "versions": {"python": "3", "torch": "2"}}
    record |= {"started": "2026-01-01", "device": "CPU", "seconds": 61, "commit": "0" * 40}
    record["metrics"] = {metric: FIGURE | {"mean": mean} for metric, mean in means.items()}
    if best_epoch:
        record["metrics"]["parzen_best"]["epoch"] = best_epoch
    (root / "book/results" / name / "run.json").write_text(json.dumps(record))
    history = "\n".join([",".join(runs.COLUMNS), *(f"{epoch + 1},0,0,0,0,-1,0" for epoch in range(epochs))])
    (root / "book/results" / name / "history.csv").write_text(history)


def publish_yardsticks(root, **means):
    (root / "book/results/yardsticks").mkdir(parents=True)
    rows = [{"name": n, "estimate": FIGURE | {"mean": m}, "sharpness": 0.1} for n, m in means.items()]
    record = {"recipe": "mnist", "seeds": {"stand_ins": 0}, "iterations": 5, "blur": 0.5, "rows": rows}
    (root / "book/results/yardsticks/mnist.json").write_text(json.dumps(record))


def publish_course(root, name, recipe, figures, decay=0.0):
    """What a sweep found of the run ``name``: validation figures by epoch."""
    (root / "book/results/course").mkdir(exist_ok=True)
    scores = [{"epoch": epoch, "decay": decay, "mean": mean} for epoch, mean in figures.items()]
    record = {"recipe": recipe.model_dump(mode="json"), "scores": scores}
    (root / f"book/results/course/{name}.json").write_text(json.dumps(record))


def test_scores_are_of_what_was_published_and_of_nothing_else(alone):
    assert tables.scores("mnist").empty and tables.scores("faces").empty
    plain = gan.recipe("mnist")
    publish(alone, "mnist", plain, 2430, parzen=226.0)
    publish_course(alone, "mnist", plain, {1000: 219.0, 2430: 225.0})
    publish(alone, "mnist-s1", gan.recipe("mnist", seed=1), 1600, 1500, parzen=220.0, parzen_best=221.0)
    averaged = plain.model_copy(update={"ema": 0.999})
    for seed, mean in enumerate([180.0, 184.0, 191.0]):
        name = "mnist-ema" + (f"-s{seed}" if seed else "")
        publish(alone, name, averaged.model_copy(update={"seed": seed}), 70, parzen=mean, parzen_last=150.0)
    publish(alone, "pytorch-gan", gan.recipe("pytorch-gan"), 100, parzen=-3.0)
    publish(alone, "faces", gan.recipe("faces"), 20, parzen=1800.0)
    publish_yardsticks(alone, train=242.0, blurred=302.0)
    found = tables.scores("mnist")
    assert found["name"].tolist() == [
        *(
            "mnist",
            "mnist, best epoch",
            "mnist-ema",
            "mnist-ema, last weights",
            "pytorch-gan",
            "train",
            "blurred",
        )
    ]
    assert found["mean"].tolist() == [223, 223.5, 185, 150, -3, 242, 302]
    assert found["seeds"].tolist() == [2, 2, 3, 3, 1, 1, 1]
    assert found["spread"][2] == pytest.approx(31**0.5) and found["spread"].notna().sum() == 4
    table = tables.score_table(found)
    assert table["样本的来源"].tolist() == [
        "作者的配方（mnist）",
        "作者的配方，验证最好的一轮（mnist）",
        "改动：平均权重（mnist-ema）",
        "改动：平均权重，最后的权重（mnist-ema）",
        "PyTorch-GAN 的网络（pytorch-gan）",
        "训练图像",
        "训练图像，模糊 0.5 像素",
    ]
    shown = table["对数似然（纳特）"].str.replace("\u00a0", " ").tolist()
    assert shown[2:5] == ["185.0 ± 2.0", "150.0 ± 2.0", "−3.0 ± 2.0"]
    assert table["种子之间"].str.replace("\u00a0", " ").tolist()[2:5] == [
        "± 5.6（3 个）",
        "± 0.0（3 个）",
        "–",
    ]
    epochs = table["轮数"].str.replace("\u00a0", " ").tolist()
    assert epochs[:2] == ["2430、1600 / 2400", "2430、1500 / 2400"]
    assert epochs[4:6] == ["100 / 200", "–"]
    (faces,) = tables.score_table(tables.scores("faces")).to_dict("records")
    assert "LFW" in faces["样本的来源"] and faces["轮数"].replace("\u00a0", " ") == "20 / 654"
    lines = tables.scores_provenance("mnist").data
    assert lines.count("<br>") == 5 and "mnist-ema-s2：配方 mnist · 种子 2 · 70 轮" in lines


def test_the_best_epoch_is_the_runs_own_or_the_last_one_that_a_course_finds_best(alone):
    recipe = gan.recipe("mnist", epochs=40)
    publish(alone, "mnist", recipe, 40, parzen=3.0)
    assert followed.best(gan.published("mnist")) is None  # nobody looked
    publish_course(alone, "mnist", recipe, {20: 1.0, 40: 2.0})
    found, epoch = followed.best(gan.published("mnist"))
    assert (found["mean"], epoch) == (3, 40)
    publish_course(alone, "mnist", recipe, {20: 2.5, 40: 2.0})
    assert followed.best(gan.published("mnist")) is None  # those weights were not kept
    publish(alone, "mnist-s1", recipe, 40, 20, parzen=3.0, parzen_best=4.0)
    found, epoch = followed.best(gan.published("mnist-s1"))
    assert (found["mean"], epoch) == (4, 20)


def test_table_1_has_the_papers_figures_and_the_mean_over_our_seeds(alone):
    for seed, mean in enumerate([225.0, 218.0, 220.0]):
        name = "mnist" + (f"-s{seed}" if seed else "")
        recipe = gan.recipe("mnist", seed=seed, epochs=40)
        publish(alone, name, recipe, 40 - seed, 30, parzen=mean, parzen_best=mean + 1)
    table = tables.table1("mnist", "mnist-s1", "mnist-s2")
    assert table["测试集对数似然（纳特）"].tolist() == [
        *("138 ± 2", "121 ± 1.6", "214 ± 1.1", "225 ± 2", "221.0 ± 3.6", "222.0 ± 3.6")
    ]
    assert table["轮数"].tolist()[3:] == ["–", "40、39、38", "30、30、30"]
    one = tables.table1("mnist-s1")  # ± between test images
    assert one["测试集对数似然（纳特）"].tolist()[-2:] == ["218.0 ± 2.0", "219.0 ± 2.0"]
    publish(alone, "other", gan.recipe("mnist"), 3, parzen=1.0)
    assert len(tables.table1("mnist", "other")) == 5  # without a best epoch no such row


def test_gains_are_nats_for_each_hundred_epochs_at_the_rate_of_their_end():
    recipe = gan.recipe("mnist", seed=1)
    scores = [
        {"epoch": e, "decay": d, "mean": m}
        for e, d, m in [(100, 0.0, 160.0), (300, 0.0, 180.0), (300, 0.9, 240.0), (700, 0.0, 178.0)]
    ]
    record = {"recipe": recipe.model_dump(mode="json"), "scores": scores}
    table = followed.gains([record], (100, 300, 700, 900), updates=500)
    assert table["轮"].tolist() == ["100–300", "300–700", "700–900"]
    assert table["种子 1"].tolist() == ["+10.0", "−0.5", "–"]
    assert table["学习率降到"][0] == f"{0.1 / 1.000004**150_000:.4f}"


def test_the_ladder_has_the_papers_figures_and_all_scores_but_the_noise(alone):
    publish(alone, "mnist", gan.recipe("mnist"), 250, parzen=183.0)
    publish_yardsticks(alone, train=242.0, noise=-630.0, mean=-59.0)
    rows = tables.ladder(tables.scores("mnist"))
    assert rows["adversarial nets, 2014"] == ("other", 225.0, 2.0) and rows["DBN"] == ("other", 138.0, 2.0)
    assert rows["mnist"] == ("generator", 183.0, 2.0)
    assert (rows["train"][0], rows["mean"][0]) == ("data", "exact") and "noise" not in rows


def test_sharpness_stands_beside_the_figure_of_the_same_weights(alone):
    run = gan.train(gan.recipe("digits", epochs=1), alone / "run", averages=[0.9], progress=False)
    recipe = run.recipe.model_copy(update={"ema": 0.9})
    metrics = {"parzen": FIGURE | {"mean": 8.0}, "parzen_last": FIGURE | {"mean": 4.0}}
    run = dataclasses.replace(run, recipe=recipe, record=run.record | {"metrics": metrics})
    publish_yardsticks(alone, train=17.0, blurred=20.0, **{"k-means": 19.0})
    table = tables.sharpness_table([run], tables.yardsticks("mnist")).set_index("样本的来源")
    assert table["对数似然（纳特）"].tolist() == ["17.0", "20.0", "19.0", "4.0", "8.0"]
    for name, decay in (("run，最后的权重", 0), ("run，权重的平均", 0.9)):
        sharp = yardsticks.sharpness(run.averaged(decay).sample(1000, seed=0).numpy()).mean()
        assert table.loc[name, "清晰度"] == f"{sharp:.3f}"
        assert table.loc[name, "与训练图像之比"] == f"{sharp / 0.1:.2f}"


def test_averages_are_told_by_window_peak_and_distance_from_the_last_weights():
    points = [(100, 0.0, 160.0), (100, 0.99, 220.0), (200, 0.0, 180.0), (200, 0.99, 230.0)]
    points += [(300, 0.0, 200.0), (300, 0.99, 225.0)]
    scores = [{"epoch": e, "decay": d, "mean": m} for e, d, m in points]
    recipe = gan.recipe("mnist", seed=2).model_dump(mode="json")
    (row,) = followed.averages([{"recipe": recipe, "scores": scores}], updates=5).to_dict("records")
    assert list(row.values()) == [2, "20 轮", "230.0，第 200 轮", "60.0", "225.0，第 300 轮", "25.0"]
    lone = {"recipe": recipe, "scores": scores[::2]}
    assert followed.averages([lone], updates=5).empty  # it has the last weights only


def test_a_sweep_that_goes_on_is_told_as_far_as_it_was_followed():
    scores = [{"epoch": epoch, "decay": 0.0, "mean": 1.0} for epoch in (25, 50)]
    record = {"recipe": gan.recipe("mnist").model_dump(mode="json"), "scores": scores}
    assert len(followed.swept(record).history) == 50


def test_no_yardsticks_is_one_clear_line(alone):
    with pytest.raises(FileNotFoundError, match=r"python -m gan yardsticks mnist.*yardsticks/mnist\.json"):
        tables.yardsticks()


def test_the_chapters_table_1_is_the_papers():
    book = json.loads((BENCH.parents[1] / "parzen.ipynb").read_text())
    text = "".join("".join(cell["source"]) for cell in book["cells"]).replace("\u00a0", " ").replace("**", "")
    text = re.sub(r"\{cite:p\}`\w+`", "", text)
    for name, (mnist, tfd) in tables.TABLE_1.items():
        assert f"| {name} | {mnist} | {tfd} |" in text


@pytest.mark.slow
def test_every_published_seed_has_a_row(alone):
    run = gan.train(gan.recipe("digits", epochs=8, valid=600), alone / "run", averages=[0.99], progress=False)
    results = alone / "book/results"
    publishing.publish(run, "plain", root=results)
    publishing.publish(run, "best", root=results, ema=0.99)
    publishing.publish(run, "best-s1", root=results, ema=0.99)
    publishing.publish(run, "best-other", root=results)
    table = tables.seeds("best", "plain")
    assert table["运行"].tolist() == ["best", "best-s1", "plain"]
    assert {*table["种子"]} == {0} and {*table["轮数"]} == {8}
    figures = gan.published("best").record["metrics"]
    shown = {which: f"{one['mean']:.1f} ± {one['standard_error']:.1f}" for which, one in figures.items()}
    assert shown["parzen"] != shown["parzen_last"]
    assert table["最后一轮"].tolist() == [shown["parzen_last"].replace("-", "−")] * 3
    assert table["验证最好的一轮"].tolist() == ["–"] * 3  # nobody looked
    assert table["权重的平均"].tolist() == [shown["parzen"].replace("-", "−")] * 2 + ["–"]
