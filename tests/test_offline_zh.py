"""book/_ext/offline_zh.py on a toy book with the book's own settings: statements, proofs, links, figures."""

import subprocess
import sysconfig
from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

pytestmark = pytest.mark.slow  # the toy book is built by Sphinx

ROOT = Path(__file__).resolve().parents[1]
SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><path d="M0 0h{n}"/></svg>'

TOC = """
format: jb-book
root: book/index
parts:
  - {caption: 正文, numbered: 2, chapters: [{file: book/first}, {file: book/second}]}
"""

FIRST = r"""
# 第一页

```{prf:algorithm} 小批量
:label: algorithm-1

1. **对**每次迭代
   1. **重复** $k$ 步
      1. 上升：

         $$x$$
   1. **结束重复**
1. **结束迭代**
```

```{prf:proposition}
:label: proposition-1

命题的正文。
```

```{prf:proof}
由定义，

$$
y
$$ (eq-1)
```

```{prf:remark} 没有编号
:nonumber:

注记的正文。
```
"""

SECOND = r"""
# 第二页

由{eq}`eq-1`、{eq}`eq-2`和{numref}`figure-1`可知，
{prf:ref}`algorithm-1`、{prf:ref}`这个命题 <proposition-1>`、{prf:ref}`theorem-1`。

## 一节

```{prf:theorem} $C(G)$ 的最小值
:label: theorem-1

$$ z $$ (eq-2)
```

```{prf:proof}
- 列表开头的证明。
```

```{prf:proposition}
:label: proposition-2

又一个命题，其中 $w$。
```

```{prf:proof}
证完。
```
"""


def figure_cell(n: int, **figure: str) -> nbformat.NotebookNode:
    output = new_output("display_data", {"image/svg+xml": SVG.format(n=n)})
    mystnb = {"figure": figure, "image": {"alt": "一条线"}}
    return new_code_cell(f"draw({n})", id=f"figure-{n}", outputs=[output], metadata={"mystnb": mystnb})


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, BeautifulSoup]:
    toy = tmp_path_factory.mktemp("toy")
    book = toy / "book"
    book.mkdir()
    for name in ("_ext", "_static", "references.bib"):
        (book / name).symlink_to(ROOT / "book" / name)
    (toy / "_config.yml").write_text((ROOT / "_config.yml").read_text("utf-8"), "utf-8")
    (toy / "_toc.yml").write_text(TOC, "utf-8")
    (book / "index.md").write_text("# 封面\n", "utf-8")
    (book / "second.md").write_text(SECOND, "utf-8")
    cells = [
        new_markdown_cell(FIRST, id="text"),
        figure_cell(1, caption="没有名字的图。"),
        figure_cell(2, caption="图的说明，\n含 $p_g$。", name="figure-1"),
    ]
    metadata = {"language_info": {"name": "python", "pygments_lexer": "ipython3"}}
    nbformat.write(new_notebook(cells=cells, metadata=metadata), book / "first.ipynb")

    program = Path(sysconfig.get_path("scripts"), "jupyter-book")
    command = [program, "build", toy, "-W", "-n", "--keep-going"]
    build = subprocess.run(command, cwd=toy, capture_output=True, text=True)
    assert build.returncode == 0, build.stdout + build.stderr
    html = toy / "_build/html"
    assert not (html / "prf-prf.html").exists()  # an index in English
    return {
        name: BeautifulSoup((html / f"book/{name}.html").read_text("utf-8"), "html.parser")
        for name in ("first", "second")
    }


def test_statements_are_numbered_across_pages(pages):
    titles = {
        statement["id"]: statement.select_one(".admonition-title").get_text()
        for soup in pages.values()
        for statement in soup.select(".proof")
        if "remark" not in statement["class"]
    }
    assert titles == {
        "algorithm-1": "算法 1 （小批量）",
        "proposition-1": "命题 1 ",
        "theorem-1": r"定理 1 （\(C(G)\) 的最小值）",
        "proposition-2": "命题 2 ",
    }


def test_a_statement_without_a_number_is_named(pages):
    assert pages["first"].select_one(".remark .admonition-title").get_text() == "注记（没有编号）"


def test_equations_are_numbered_across_pages(pages):
    numbers = {tag.parent["id"]: tag.contents[0] for soup in pages.values() for tag in soup.select(".eqno")}
    assert numbers == {"equation-eq-1": "(1)", "equation-eq-2": "(2)"}


def test_links_show_what_they_lead_to(pages):
    links = {a["href"]: a.get_text() for a in pages["second"].select("article p a.reference")}
    assert links == {
        "first.html#equation-eq-1": "式 (1)",
        "#equation-eq-2": "式 (2)",
        "first.html#algorithm-1": "算法 1",
        "first.html#proposition-1": "这个命题",
        "#theorem-1": "定理 1",
        "first.html#figure-1": "图 1",
    }


def test_proofs_begin_in_chinese(pages):
    proofs = [proof for soup in pages.values() for proof in soup.select(".proof-text")]
    assert [proof.p.get_text() for proof in proofs] == ["证明：由定义，", "证明：", "证明：证完。"]
    assert proofs[1].li.get_text(strip=True) == "列表开头的证明。"
    assert not [page for page, soup in pages.items() if "Proof" in soup.select_one("main").get_text()]


def test_punctuation_stays_with_the_formula_before_it(pages):
    (kept,) = pages["second"].select("#theorem-1 ~ * .nowrap, .proof .nowrap")
    assert kept.get_text() == r"\(w\)。"


def test_ids_are_unique(pages):
    for page, soup in pages.items():
        ids = [tag["id"] for tag in soup.select("[id]")]
        assert len(ids) == len(set(ids)), page


def test_only_a_named_figure_of_a_notebook_is_numbered(pages):
    captions = [caption.get_text() for caption in pages["first"].select("figure figcaption p")]
    assert captions == ["没有名字的图。#", "图 1 图的说明，含 \\(p_g\\)。#"]
    assert {image["alt"] for image in pages["first"].select("figure img")} == {"一条线"}
