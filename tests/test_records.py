"""book/_ext/results.py: what the page of records says of a run and a course, and how to make them again."""

import json
import re
from pathlib import Path

import pytest
import results

import gan

BOOK = Path(__file__).resolve().parents[1] / "book"


def record(name="mnist", **more):
    figure = {"mean": 218.6, "standard_error": 2.24, "sigma": 0.1668, "n_samples": 10, "n_test": 20}
    return {
        "recipe": gan.recipe(name, epochs=30, seed=1).model_dump(mode="json"),
        "metrics": {"parzen": figure | {"split": "test", "z_seed": 0}},
        "versions": {"torch": "2"},
        "device": "CPU",
        "started": "2026-01-02T03:04:05",
        "seconds": 61.0,
        "commit": "0" * 40,
        **more,
    }


def told(facts):
    """The facts as text, by label; a label that comes twice keeps its last."""
    return {
        label: text if isinstance(text, str) else "".join(node.astext() for node in text)
        for label, text in facts
    }


@pytest.mark.parametrize(
    "name, epochs, says",
    [
        ("mnist", 1550, "1550 轮，本书的配方走 2400 轮"),
        ("mnist", 2400, "2400 轮"),
        ("mnist", 2430, "2430 轮"),
        ("faces", 436, "436 轮，配方走 654 轮，更新次数与作者的 TFD 配置相同"),
        ("pytorch-gan", 100, "100 轮，gan.py 走 200 轮"),
        ("tfd", 10, "10 轮，作者的配置走 72 轮"),
    ],
)
def test_a_length_says_whose_the_recipes_is(name, epochs, says):
    assert results.schedule({"recipe": gan.recipe(name, epochs=epochs).model_dump()}) == says


def test_a_course_is_told_as_far_as_it_was_followed():
    scores = [
        {"epoch": epoch, "decay": decay, "mean": epoch + decay, "standard_error": 2.0}
        for epoch in (25, 50)
        for decay in (0.0, 0.9)
    ]
    course = record(scores=scores)
    course["recipe"]["epochs"] = 2400
    facts = told(results.sweep_facts(Path("course/mnist-s1.json"), course))
    assert facts["轮数"] == "50 轮，本书的配方走 2400 轮"
    assert facts["最后的权重"] == "50.0 ± 2.0 纳特（第 50 轮，验证）"
    assert facts["平均 0.9"].startswith("50.9 ± 2.0")
    assert results.commands("mnist-s1", course) == [
        "python -m gan sweep mnist -p seed 1 --follow --every 25 --average 0.9"
    ]


def test_first_updates_are_told_with_the_command_that_looks_at_them():
    seen = record(every=10, rows=[{"update": 0}, {"update": 300}], engine="eager")
    facts = told(results.beginning_facts(Path("mnist.json"), seen))
    assert facts["更新"] == "前 300 次，每 10 次看一眼" and facts["引擎"] == "eager"
    (command,) = results.commands("mnist", seen)
    assert re.fullmatch("python -m gan beginning mnist .* --updates 300 --every 10", command)


def test_the_best_epochs_figure_says_which_it_was():
    estimate = record()["metrics"]["parzen"]
    assert results.parzen("parzen_best", estimate | {"epoch": 25}) == (
        "验证最好的一轮",
        "218.6 ± 2.2 纳特，第 25 轮；σ = 0.167，10 个样本，20 幅测试图像，z 的种子 0",
    )
    assert "轮" not in results.parzen("parzen", estimate)[1]


def test_a_run_that_went_on_from_weights_says_that_the_rest_began_anew():
    again = {"after_epoch": 20, "started": "2026-02-03T00:00:00", "device": "GPU", "commit": "1" * 40}
    facts = told(results.origin(record(resumed=[again])))
    assert facts["接着运行"] == f"第 20 轮之后，2026-02-03，GPU，提交 {'1' * 12}"
    facts = told(results.origin(record(resumed=[again | {"from_weights": "float16"}])))
    assert facts["接着运行"].endswith("；只接过 float16 的权重，动量和随机数重新开始")


def test_weights_say_their_bits_and_what_rounding_moved(tmp_path):
    rounding = {"bits": 8, "moved": 0.157}
    assert results.weights(tmp_path, record(weights=rounding)) == "没有保留"
    for name in ("generator", "generator-best"):
        (tmp_path / f"{name}.safetensors").write_bytes(b"0" * 2_600_000)
    assert results.weights(tmp_path, record(weights=rounding)) == (
        "生成器 2.6 MB，验证最好的一轮的生成器 2.6 MB；每个 8 位，舍入使分数移动了至多 0.16 纳特"
    )


@pytest.mark.parametrize("kind", results.FILES)
def test_every_record_can_be_told(kind):
    paths = sorted((BOOK / "results").glob(results.FILES[kind]))
    assert paths
    for path in paths:
        facts = results.TELL[kind](path, json.loads(path.read_text("utf-8")))
        assert facts and all(text for _, text in facts)
