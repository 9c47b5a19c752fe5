"""A number of a run is read from its record: none is typed by hand beside its unit."""

import json
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import results

BOOK = Path(__file__).resolve().parents[1] / "book"

DIGITS = r"[\d.]+|[一二两三四五六七八九十百千几半]+"
SEVERAL = r"\d+|(?:[二两三四五六七八九几]?[十百千]+)[二两三四五六七八九十百几多]*"
TYPED = re.compile(
    rf"(?:{DIGITS})多? ?[个几]?\s?(?:纳特|秒|分钟|小时|刻钟)|"
    rf"(?<!每)(?<!每一)(?:{SEVERAL})多? ?(?:{{term}}`)?轮(?![流到])"
)
# What no run of ours has measured: the authors' own numbers, and tolerances that are asserted.
ELSEWHERE = {
    "faces.ipynb": ["- 第一阶段训练 50 {term}`轮`", "- 第二阶段训练 22 轮"],
    "mnist-lab.ipynb": ["十九小时后又换了回来"],
    "parzen.ipynb": ["相差不到千分之一纳特"],
    "pytorch-gan.ipynb": ["- 200 {term}`轮`（epoch）；"],
    "provenance.md": ["与记录相差不到 0.05 纳特"],
}
UNTRAINED = "第 0 轮"


def prose(path):
    """What a page says, but not its code."""
    text = path.read_text("utf-8")
    if path.suffix == ".ipynb":
        cells = json.loads(text)["cells"]
        text = "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    return re.sub(r"^```(bash|python|bibtex)$.*?^```$", "", text, flags=re.M | re.S)


PAGES = {
    path.name: prose(path)
    for path in sorted([*BOOK.glob("*.md"), *BOOK.glob("*.ipynb"), *BOOK.glob("*.yml")])
}


def typed(text):
    return TYPED.findall(text.replace(UNTRAINED, ""))


@pytest.mark.parametrize("name", PAGES)
def test_no_number_is_typed_beside_its_unit(name):
    text = PAGES[name]
    for known in ELSEWHERE.get(name, []):
        assert text.count(known) == 1, f"{known} is no longer there"
        text = text.replace(known, "")
    assert not typed(text)


@pytest.mark.parametrize(
    "text, found",
    [
        ("得到 225.0 纳特", ["225.0 纳特"]),
        ("还差几十纳特，差好几个纳特", ["几十纳特", "几个纳特"]),
        ("要走 654 轮，停在第 30 轮", ["654 轮", "30 轮"]),
        ("走了二十轮，开头几十轮", ["二十轮", "几十轮"]),
        ("不到二十秒，半分钟，约一刻钟，几分钟", ["二十秒", "半分钟", "一刻钟", "几分钟"]),
        ("最后一轮，每一轮之后，轮流走，每一百轮，每十轮，第 0 轮", []),
        ("训练 50 {term}`轮`（epoch）", ["50 {term}`轮"]),
        ("走 {recorded}`faces plan` 轮，{recorded}`mnist nats` 纳特", []),
        ("三轮到四轮", []),
    ],
)
def test_a_typed_number_would_be_seen(text, found):
    assert typed(text) == found


def env():
    return SimpleNamespace(
        srcdir=BOOK.parent, docname="page", metadata={"page": {}}, note_dependency=lambda path: None
    )


def test_a_recorded_number_is_its_records():
    run = json.loads((BOOK / "results/mnist-plain-250/run.json").read_text("utf-8"))
    figure = run["metrics"]["parzen"]
    told = f"{figure['mean']:.1f} ± {figure['standard_error']:.1f}"
    assert results.recorded(env(), "mnist-plain-250", "nats") == told
    assert results.recorded(env(), "mnist-plain-250", "epochs") == str(run["recipe"]["epochs"])
    assert results.recorded(env(), "mnist-plain-250", "recipe.momentum_epochs") == "250"
    assert results.recorded(env(), "faces", "plan") == "654"
    assert results.recorded(env(), "tfd", "plan") == "72"
    swept = json.loads((BOOK / "results/sweep/mnist-noise=gaussian.json").read_text("utf-8"))
    last = max(score["epoch"] for score in swept["scores"])
    assert results.recorded(env(), "sweep/mnist-noise=gaussian", "epochs") == str(last)
    bench = json.loads((BOOK / "results/bench/cpu.json").read_text("utf-8"))
    minutes, seconds = divmod(round(bench["seconds"]), 60)
    assert results.recorded(env(), "bench/cpu", "seconds") == f"{minutes} 分 {seconds} 秒"


@pytest.mark.parametrize(
    "name, what, says",
    [
        ("mnist-x", "nats", "book/results holds no mnist-x"),
        ("mnist", "nothing", "mnist has no number nothing"),
        ("mnist", "recipe.name", "mnist has no number recipe.name"),
        ("bench/cpu", "nats", "bench/cpu has no number nats"),
    ],
)
def test_what_no_record_has_is_refused_in_one_line(name, what, says):
    with pytest.raises(ValueError, match=f"^{says}$"):
        results.recorded(env(), name, what)
