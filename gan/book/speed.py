"""The tables of the book's page on speed, from what `python -m gan bench` wrote."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
from IPython.display import HTML

from ..files import read_json
from ..runs import find_result
from .tables import made

CONTESTANTS = {
    "the linked gan.py": "gan.py 本身",
    "DataLoader loop": "照 gan.py 的描述写的循环",
    "plain loop": "不加优化的 PyTorch 循环",
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
"""Those of benchmarks/bench.py, for the page."""

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


def load(device: str = "cpu") -> dict[str, Any]:
    """What `python -m gan bench` wrote to book/results/bench/, seen from here or from a folder above."""
    path = find_result(f"bench/{device}.json", "no benchmark (`make bench` writes it)")
    return read_json(path) | {"on": device}


def provenance(record: dict[str, Any]) -> HTML:
    """The line under a measured table that says how it was made."""
    minutes, seconds = divmod(record["seconds"], 60)
    return made(
        f"{record['machine']} · {record['started'][:10]} · "
        f"Python {record['python']} · torch {record['torch']} · "
        f"{record['rounds']} 轮的中位数 · 共 {minutes} 分 {seconds} 秒 · "
        f"提交 {(record['commit'] or 'unknown')[:12]}"
    )


def goals(record: dict[str, Any]) -> pd.DataFrame:
    """`GOALS` beside what was measured, or that it was not."""
    shown: dict[str, Callable[[float], str]] = {
        "ratio": lambda x: f"{_plain(x)} 倍",
        "fraction": "{:.0%}".format,
        "seconds": lambda x: f"{_plain(x)} 秒",
    }
    found = {(row["row"], row["contestant"]): row for row in record["rows"]}
    rows = []
    for name, contestant, number, on in GOALS:
        goal, measured = on[record["on"]], found.get((name, contestant), {}).get(number)
        told = {"实测": "没有量过", "达到": "–"}
        if measured is not None:
            reached = measured <= goal if number == "seconds" else measured >= goal
            told = {"实测": shown[number](measured), "达到": "是" if reached else "否"}
        sign = "≤ " if number == "seconds" else "≥ "
        rows.append(
            {"项目": name, "做法": CONTESTANTS[contestant], "目标": sign + shown[number](goal)} | told
        )
    return pd.DataFrame(rows)


def row_table(record: dict[str, Any], name: str) -> pd.DataFrame:
    """The contestants of one row: the time of one call, how many times faster, and the share of the floor."""
    rows = [
        {
            "做法": CONTESTANTS[row["contestant"]],
            "用时": _seconds(row["seconds"]),
            "速度比": _plain(row["ratio"]),
            "占下限": f"{row['fraction']:.0%}" if "fraction" in row else "–",
        }
        for row in record["rows"]
        if row["row"] == name
    ]
    return pd.DataFrame(rows)


def _plain(x: float) -> str:
    """Three digits, or all before the point: 1.23, 51, 3 897."""
    return f"{x:.3g}" if x < 1000 else f"{x:,.0f}".replace(",", "\u202f")


def _seconds(seconds: float) -> str:
    if seconds < 1:
        return f"{seconds * 1e3:.3g} 毫秒"
    return f"{seconds:.3g} 秒" if seconds < 1000 else f"{seconds / 60:.0f} 分"
