"""One term for one thing: the glossary holds the terms of the paper, and the text leads to each of them."""

import json
import re
from pathlib import Path

import pytest

BOOK = Path(__file__).resolve().parents[1] / "book"

# Chinese and English, as the book has agreed to call what the paper is about.
PAPER = {
    "生成对抗网络": "generative adversarial nets",
    "生成器": "generator",
    "判别器": "discriminator",
    "值函数": "value function",
    "极小极大博弈": "minimax game",
    "先验噪声": "noise prior",
    "最优判别器": "optimal discriminator",
    "虚拟训练准则": "virtual training criterion",
    "JS 散度": "Jensen–Shannon divergence",
    "KL 散度": "Kullback–Leibler divergence",
    "非参数极限": "non-parametric limit",
    "非饱和损失": "non-saturating loss",
    "模式崩塌": "mode collapse",
    "Parzen 窗": "Parzen window",
    "最大输出单元": "maxout unit",
    "随机失活": "dropout",
    "多层感知器": "multilayer perceptron",
    "小批量随机梯度下降": "minibatch SGD",
    "动量": "momentum",
    "插值": "interpolation",
    "最近邻": "nearest neighbour",
    "深度信念网络": "deep belief network",
    "噪声对比估计": "noise-contrastive estimation",
    "次梯度": "subgradient",
    "伪造者": "counterfeiter",
    "致谢": "acknowledgements",
    "未来工作": "future work",
    "译注": "translator's note",
    "后见之明": "hindsight",
    "主张": "claim",
}


# Said in another way everywhere: one term for one thing.
BANNED = {
    "支集": "支撑集",
    "均衡点": "平衡点",
    "利普希茨": "Lipschitz",
    "轮次": "轮",
    "不加正则的": "不加正则化的",
    "生成的机器": "生成机",
    "底稿": "所链接的代码",
    "平铺直叙": "不加优化",
    "渡过": "过",
}


def prose(path):
    if path.suffix == ".md":
        return path.read_text("utf-8")
    cells = json.loads(path.read_text("utf-8"))["cells"]
    return "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")


PAGES = {path.name: prose(path) for path in sorted(BOOK.iterdir()) if path.suffix in (".md", ".ipynb")}
BODY = re.search(r"^```\{glossary\}\n(.*?)^```", PAGES.pop("glossary.md"), re.M | re.S)[1]
BLOCKS = [block.split("\n") for block in BODY.strip().split("\n\n")]
ENTRIES = {chinese: english for chinese, english, *_ in BLOCKS}


def test_an_entry_is_two_names_and_what_it_means():
    assert len(ENTRIES) == len(BLOCKS) == len({english.lower() for english in ENTRIES.values()})
    for chinese, english, *meaning in BLOCKS:
        assert re.search(r"[\u4e00-\u9fff]", chinese) and not re.search(r"[\u4e00-\u9fff]", english)
        assert meaning and all(line.startswith("  ") and line.endswith("。") for line in meaning), chinese
        assert re.search(r"\]\(|\}`", meaning[-1]), f"{chinese}: where is it used?"


def test_the_papers_terms_are_there():
    assert {chinese: ENTRIES.get(chinese) for chinese in PAPER} == PAPER


@pytest.mark.parametrize("chinese", ENTRIES)
def test_the_text_leads_to_each_entry(chinese):
    link = re.compile(rf"\{{term\}}`(?:{re.escape(chinese)}|[^`]*<{re.escape(chinese)}>)`")
    assert [name for name, text in PAGES.items() if link.search(text)]


@pytest.mark.parametrize("name", PAGES)
def test_a_term_is_explained_where_a_page_first_names_it(name):
    """The first 术语（English） of a page is a link, and it is one only there."""
    for chinese, english in ENTRIES.items():
        first = re.search(rf"{re.escape(chinese)}(`?)（{re.escape(english)}[），；]", PAGES[name], re.I)
        assert first is None or first[1], f"{chinese}（{english}） is no link"
        assert PAGES[name].count(f"{{term}}`{chinese}`") <= 1, f"{chinese} is linked more than once"


@pytest.mark.parametrize("name", sorted(PAGES))
def test_a_thing_has_one_name(name):
    assert not {said: known for said, known in BANNED.items() if said in PAGES[name]}
