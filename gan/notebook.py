"""What the book's notebooks share: refusing unknown parameters, and showing where a number comes from."""

from __future__ import annotations

import ast
import json
from collections.abc import Sequence
from html import escape
from itertools import pairwise
from typing import Any

import pandas as pd
from IPython.display import HTML

from .recipes import Recipe
from .runs import Run, find_result

MEANINGS = {
    "name": "配方",
    "dataset": "数据集",
    "valid": "留作验证的训练图像数",
    "scaling": "像素的范围：unit 是 [0, 1]，signed 是 [−1, 1]，gcn 是整体对比度归一化之后",
    "noise": "先验噪声 z 的分布",
    "noise_size": "z 的维数",
    "g_hidden": "G 的隐藏层宽度",
    "g_activations": "G 的隐藏层激活",
    "g_output": "G 的输出激活",
    "g_batch_norm": "G 的批归一化：none 是没有",
    "g_init": "G 的权重初值范围 ±，pytorch 是 PyTorch 的默认初值",
    "g_output_init": "G 的输出层权重初值范围 ±，None 同上",
    "g_output_sparse": "G 的每个输出有几个权重初值不为零，0 为不用",
    "g_sigmoid_bias": "G 的 sigmoid 隐藏层的偏置初值",
    "g_bias_init": "G 的隐藏层偏置初值范围 ±",
    "g_deconv": "G 输出处的转置卷积：图数、核、步幅",
    "second_stage_after": "第几轮之后进入第二阶段，0 为没有",
    "g_front": "第二阶段加在 G 前面的隐藏层宽度",
    "g_front_activations": "第二阶段加在 G 前面的激活",
    "d_conv": "D 的卷积最大输出层：通道、分支、核、填充、池化、步幅",
    "d_hidden": "D 的隐藏层宽度",
    "d_activation": "D 的隐藏层激活",
    "d_pieces": "每个最大输出单元的分支数",
    "d_init": "D 的权重初值范围 ±，pytorch 同上",
    "dropout_input": "D 的输入的丢弃概率",
    "dropout_hidden": "D 的隐藏层的丢弃概率",
    "epochs": "轮数",
    "seed": "随机种子",
    "k": "G 走一步时 D 走几步",
    "loss": "G 的损失",
    "updates": "更新方式",
    "batch_size": "小批量大小",
    "optimizer": "优化方法",
    "learning_rate": "学习率",
    "learning_rate_decay": "每次更新后学习率除以",
    "learning_rate_floor": "学习率的下限",
    "momentum": "起初的动量",
    "momentum_final": "最终的动量",
    "momentum_epochs": "动量到达终值的轮次",
    "beta2": "Adam 的 β₂",
    "max_norm": "每个单元输入权重的范数上限，0 为不限",
    "precision": "运算精度",
    "ema": "G 的权重滑动平均的衰减率，0 为不用",
}
"""What each field of a recipe is, for the book's tables."""

PROVENANCE = (
    "配方 {name} · 种子 {seed} · {epochs} 轮 · {date} · {device} · Python {python} · torch {torch} · "
    "用时 {minutes} 分 {seconds} 秒 · 提交 {commit}"
)

TABLE_1 = {
    "深度信念网络（DBN）": "138 ± 2",
    "堆叠 CAE": "121 ± 1.6",
    "深度 GSN": "214 ± 1.1",
    "对抗网络（论文）": "225 ± 2",
}
"""The paper's own figures for MNIST, nats. Source: Table 1."""


CONTESTANTS = {
    "the linked gan.py": "gan.py 本身",
    "DataLoader loop": "照 gan.py 的描述写的循环",
    "plain loop": "平铺直叙的 PyTorch 循环",
    "ours, eager": "本书，逐个运算（eager）",
    "ours, graph": "本书，CUDA 图（graph）",
    "ours, compiled": "本书，编译（compiled）",
    "ours, eager, bf16": "本书，逐个运算，bfloat16",
    "ours, graph, bf16": "本书，CUDA 图，bfloat16",
    "ours, compiled, bf16": "本书，编译，bfloat16",
    "matrix products alone": "只做其中的矩阵乘法",
    "authors' formula (200 points, one σ, scaled)": "作者的公式（200 个点、一个 σ，按比例放大）",
    "scikit-learn (100 points, scaled)": "scikit-learn（100 个点，按比例放大）",
    "scikit-learn": "scikit-learn",
    "ours": "本书",
}
"""Those of benchmarks/bench.py, for the book's tables."""

GOALS: list[tuple[str, str, str, dict[str, float]]] = [
    ("pytorch-gan, update", "ours, compiled", "ratio", {"cpu": 2, "cuda": 25}),
    ("pytorch-gan, update", "ours, compiled, bf16", "ratio", {"cpu": 3, "cuda": 25}),
    ("mnist, update", "ours, compiled", "ratio", {"cpu": 2, "cuda": 10}),
    ("Parzen, ten σ", "ours", "ratio", {"cpu": 50, "cuda": 50}),
    ("Parzen, ten σ", "ours", "fraction", {"cpu": 0.5, "cuda": 0.5}),
    ("Parzen, one σ", "ours", "ratio", {"cpu": 20, "cuda": 20}),
    ("nearest, 100 × 50 000", "ours", "ratio", {"cpu": 1, "cuda": 1}),
    ("make book, unchanged", "ours", "seconds", {"cpu": 15, "cuda": 15}),
]
"""What this book set out to reach: the row, the contestant, the number, and its value on each device."""


def check_parameters(cells: Sequence[str]) -> None:
    """Refuse a parameter that a notebook lacks; ``cells`` is IPython's ``In``.

    papermill puts the parameters that it is given into a cell of their own, right after the cell
    tagged ``parameters``, and only warns of a name that this cell lacks; here it is a ValueError.
    """
    for defaults, injected in pairwise(cells):
        if not injected.startswith("# Parameters\n"):
            continue
        known = _assigned(defaults)
        if unknown := _assigned(injected) - known:
            raise ValueError(
                f"this notebook has no parameter {', '.join(sorted(unknown))}; "
                f"it has: {', '.join(sorted(known))}"
            )


def provenance(run: Run) -> HTML:
    """The line under a figure or a number that says how it was made."""
    return HTML(f'<p class="provenance">{escape(run.provenance(PROVENANCE))}</p>')


def table(frame: pd.DataFrame) -> HTML:
    """A table for the page, without the row numbers."""
    return HTML(frame.to_html(index=False))


def recipe_table(*recipes: Recipe) -> pd.DataFrame:
    """A row per field, a column per recipe."""
    columns = {recipe.name: recipe.model_dump() for recipe in recipes}
    rows = [
        {"设置": f"{meaning}（{field}）"} | {name: _text(values[field]) for name, values in columns.items()}
        for field, meaning in MEANINGS.items()
        if field != "name"
    ]
    return pd.DataFrame(rows)


def table1(run: Run) -> pd.DataFrame:
    """Table 1's MNIST column, the paper's figures above that of a published ``run``."""
    figure = run.record["metrics"]["parzen"]
    ours = f"{figure['mean']:.1f} ± {figure['standard_error']:.1f}"
    rows = TABLE_1 | {f"对抗网络（本书，{len(run.history)} 轮）": ours}
    return pd.DataFrame({"模型": rows.keys(), "测试集对数似然（纳特）": rows.values()})


def bench(device: str = "cpu") -> dict[str, Any]:
    """What `python -m gan bench` wrote to book/results/bench/, seen from here or from a folder above."""
    path = find_result(f"bench/{device}.json", "no benchmark (`make bench` writes it)")
    return json.loads(path.read_text()) | {"on": device}


def bench_provenance(record: dict[str, Any]) -> HTML:
    """The line under a measured table that says how it was made."""
    minutes, seconds = divmod(record["seconds"], 60)
    parts = [
        f"{record['machine']} · {record['started'][:10]}",
        f"Python {record['python']} · torch {record['torch']}",
        f"{record['rounds']} 轮的中位数 · 共 {minutes} 分 {seconds} 秒",
        f"提交 {(record['commit'] or 'unknown')[:12]}",
    ]
    return HTML(f'<p class="provenance">{escape(" · ".join(parts))}</p>')


def bench_goals(record: dict[str, Any]) -> pd.DataFrame:
    """Goals beside what was measured."""
    shown = {"ratio": "{:.3g} 倍", "fraction": "{:.0%}", "seconds": "{:.3g} 秒"}
    rows = []
    for name, contestant, number, goals in GOALS:
        goal = goals[record["on"]]
        for row in record["rows"]:
            if (row["row"], row["contestant"]) == (name, contestant) and number in row:
                reached = row[number] <= goal if number == "seconds" else row[number] >= goal
                rows.append(
                    {
                        "项目": name,
                        "做法": CONTESTANTS[contestant],
                        "目标": ("≤ " if number == "seconds" else "≥ ") + shown[number].format(goal),
                        "实测": shown[number].format(row[number]),
                        "达到": "是" if reached else "否",
                    }
                )
    return pd.DataFrame(rows)


def bench_row(record: dict[str, Any], name: str) -> pd.DataFrame:
    """The contestants of one row: the time of one call, how many times faster, and the share of the floor."""
    rows = [
        {
            "做法": CONTESTANTS[row["contestant"]],
            "用时": _seconds(row["seconds"]),
            "速度比": f"{row['ratio']:.3g}",
            "占下限": f"{row['fraction']:.0%}" if "fraction" in row else "–",
        }
        for row in record["rows"]
        if row["row"] == name
    ]
    return pd.DataFrame(rows)


def _seconds(seconds: float) -> str:
    if seconds < 1:
        return f"{seconds * 1e3:.3g} 毫秒"
    return f"{seconds:.3g} 秒" if seconds < 1000 else f"{seconds / 60:.0f} 分"


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _assigned(source: str) -> set[str]:
    """The names that a cell of plain assignments gives a value to."""
    targets = [t for node in ast.parse(source).body if isinstance(node, ast.Assign) for t in node.targets]
    return {target.id for target in targets if isinstance(target, ast.Name)}
