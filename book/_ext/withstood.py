"""What runs withstood, from book/results/reliability.json, which `make soak` writes.

`{withstood}` is a table of CHECKS: what was tried, how often, and what else the record counts. A check that
it lacks was not made, or did not pass.
"""

import json
from collections.abc import Mapping
from typing import Any

from docutils import nodes
from results import depend, duration
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata

FILE = "reliability.json"
NOT_YET = "未测"
CHECKS = {
    "train kill": "训练在每一次写入、同步、改名、删除之前被杀死",
    "train torn": "训练在每一次写入的中途被杀死",
    "train cut": "训练在每一次写入、同步、改名、删除之前断电",
    "sigkill": "训练和存盘途中，随机的时刻被杀死（SIGKILL）",
    "signals": "随机的时刻收到 Ctrl-C、SIGTERM、SIGHUP",
    "train full": "从某一次写入起，磁盘一直是满的",
    "train once": "某一次写入时磁盘已满，后来又有了空间",
    "publish kill": "发布时被杀死",
    "publish cut": "发布时断电",
    "sweep kill": "跟踪变体时被杀死",
    "sweep cut": "跟踪变体时断电",
    "fetch kill": "下载、转换数据时被杀死",
    "fetch cut": "下载、转换数据时断电",
    "corruption": "运行和数据的文件逐个改坏：翻转比特、截断、清空、换成别的运行的",
    "bad input": "错误的输入",
    "hostile files": "有意构造的恶意文件",
    "at once": "同时训练",
    "soak": "反复训练",
}
NUMBERS = {
    "write": "写入 {:g} 次",
    "fsync": "同步 {:g} 次",
    "rename": "改名 {:g} 次",
    "unlink": "删除 {:g} 次",
    "while_writing": "其中正在存盘的 {:g} 次",
    "SIGINT": "Ctrl-C {:g} 次",
    "SIGTERM": "SIGTERM {:g} 次",
    "SIGHUP": "SIGHUP {:g} 次",
    "detected": "查出 {:g} 种",
    "harmless": "证明无害 {:g} 种",
    "trainings": "训练 {:g} 次",
    "one_folder": "同一个文件夹里 {:g} 个，只有一个训练，其余说明原因后退出",
    "minutes": "历时 {:g} 分钟",
    "files": "打开的文件 {:g} 个",
    "more_files": "后三分之一比中间三分之一多 {:g} 个",
}
"""What a record may count, in the order in which it is told."""
BYTES = {"memory": "内存 {:.0f} MB", "growth": "内存比中间三分之一多 {:.1f} MB", "peak": "内存最多 {:.0f} MB"}


def told(check: Mapping[str, Any]) -> str:
    """A check's counts, in words."""
    parts = [f"{check['cases']:g} 种情形"] if "cases" in check else []
    parts += [words.format(check[key]) for key, words in NUMBERS.items() if key in check]
    parts += [words.format(check[key] / 1e6) for key, words in BYTES.items() if key in check]
    return "，".join(parts).replace("-", "−") + "。"


def origin(check: Mapping[str, Any]) -> str:
    spent = f"，用时 {duration(check['seconds'])}" if "seconds" in check else ""
    return f"{check['date']}，提交 {(check['commit'] or 'unknown')[:12]}{spent}。"


def row(*cells: list[str]) -> nodes.row:
    """A row of cells, each of some lines."""
    entries = [nodes.entry("", *(nodes.paragraph(line, line) for line in cell)) for cell in cells]
    return nodes.row("", *entries)


class Withstood(SphinxDirective):
    """`{withstood}`: the table."""

    def run(self) -> list[nodes.Node]:
        paths = depend(self.env, FILE)
        checks = json.loads(paths[0].read_text("utf-8")) if paths else {}
        if unknown := sorted({*checks} - {*CHECKS}):
            raise self.error(f"{FILE}: no words for {', '.join(unknown)}")
        found = {name: checks.get(name) for name in CHECKS}
        rows = [
            row([what], [told(check), origin(check)] if (check := found[name]) else [NOT_YET])
            for name, what in CHECKS.items()
        ]
        group = nodes.tgroup("", cols=2)
        group += [nodes.colspec("", colwidth=width) for width in (1, 2)]
        group += [nodes.thead("", row(["试什么"], ["试了多少"])), nodes.tbody("", *rows)]
        machines = "；".join(sorted({check["machine"] for check in checks.values()}))
        where = [nodes.paragraph("", f"机器：{machines}。", classes=["provenance"])] if machines else []
        return [nodes.table("", group), *where]


def setup(app: Sphinx) -> ExtensionMetadata:
    app.add_directive("withstood", Withstood)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
