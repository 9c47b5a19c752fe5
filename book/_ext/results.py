"""The pages' records of what was run, read from book/results/ whenever the page is built: nothing is typed.

`{runs}` lists the published runs; `{runs} yardsticks`, `{runs} bench`, `{runs} sweep` and `{runs} course` the
measurements that are kept beside them. Each record is a list of what is known of it, which reads well on a
phone.
`{rerun} NAME …` shows the commands that make runs or sweeps again, and how long they took; a name may be a
pattern, mnist-s[0-9] or sweep/*.
`{runs} started` lists the trainings of started.csv; the role `{started}`mnist seed=1 发散`` is how many of
them are of this recipe, with these cells or changed fields, and these words in how they ended.
`{recorded}`NAME WHAT`` is a number of a record, so that no page types it: `mnist nats`, `mnist epochs`,
`faces plan` (the length of its recipe), `bench/cpu seconds`, `mnist recipe.momentum_epochs`.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxDirective, SphinxRole
from sphinx.util.typing import ExtensionMetadata

FILES = {
    "runs": "*/run.json",
    "yardsticks": "yardsticks/*.json",
    "bench": "bench/*.json",
    "sweep": "sweep/*.json",
    "course": "course/*.json",
    "beginnings": "beginnings/*.json",
}
WEIGHTS = {
    "generator": "生成器",
    "generator-last": "生成器最后的权重",
    "generator-best": "验证最好的一轮的生成器",
    "discriminator": "判别器",
}
SPLITS = {"test": "测试", "valid": "验证"}
METRICS = {"parzen": "对数似然", "parzen_best": "验证最好的一轮", "parzen_last": "最后的权重"}
LENGTHS = {
    "faces": "配方走 {} 轮，更新次数与作者的 TFD 配置相同",
    "tfd": "作者的配置走 {} 轮",
    "pytorch-gan": "gan.py 走 {} 轮",
}
"""Whose a recipe's length is, where it is not ours: the authors' other files have no end."""

Fact = tuple[str, str | list[nodes.Node]]


def find(env: BuildEnvironment, pattern: str) -> list[Path]:
    return sorted(Path(env.srcdir, "book/results").glob(pattern), key=lambda path: path.with_suffix(""))


def depend(env: BuildEnvironment, pattern: str) -> list[Path]:
    """The files of ``pattern``; the page is read again when one of them changes, comes or goes."""
    paths = find(env, pattern)
    for path in paths:
        env.note_dependency(str(path))
    env.metadata[env.docname].setdefault("records", {})[pattern] = list(map(str, paths))
    return paths


def code(text: str) -> nodes.literal:
    return nodes.literal("", text)


def joined(parts: Sequence[nodes.Node], between: str = "，") -> list[nodes.Node]:
    return [node for part in parts for node in (nodes.Text(between), part)][1:]


def listing(records: Iterable[tuple[str, Sequence[Fact]]]) -> nodes.definition_list:
    """Each record's name, and below it what is known of it, line by line."""
    outer = nodes.definition_list(classes=["records"])
    for name, facts in records:
        inner = nodes.definition_list(classes=["record"])
        for label, text in facts:
            paragraph = nodes.paragraph("", "", *([nodes.Text(text)] if isinstance(text, str) else text))
            inner += nodes.definition_list_item("", nodes.term("", label), nodes.definition("", paragraph))
        outer += nodes.definition_list_item("", nodes.term("", "", code(name)), nodes.definition("", inner))
    return outer


def duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} 小时 {minutes} 分"
    return f"{minutes} 分 {rest} 秒" if minutes else f"{rest} 秒"


def figure(estimate: Mapping[str, Any]) -> str:
    return f"{estimate['mean']:.1f} ± {estimate['standard_error']:.1f}".replace("-", "−")


def comparable(record: Mapping[str, Any]) -> bool:
    """Whether its Parzen figures mean something: for normalised images no σ of the ten is wide enough."""
    return record["recipe"].get("scaling") != "gcn"


def origin(record: Mapping[str, Any]) -> list[Fact]:
    """Where and when a record was made, with what, from which data."""
    facts: list[Fact] = [
        ("机器", record["device"]),
        ("日期", record["started"][:10]),
        ("用时", duration(record["seconds"])),
    ]
    for again in record.get("resumed", []):
        where = f"第 {again['after_epoch']} 轮之后，{again['started'][:10]}，{again['device']}，提交 "
        told: list[nodes.Node] = [nodes.Text(where), code((again["commit"] or "unknown")[:12])]
        if kept := again.get("from_weights"):
            told += [nodes.Text("；只接过 "), code(kept), nodes.Text(" 的权重，动量和随机数重新开始")]
        facts.append(("接着运行", told))
    versions = "，".join(f"{package} {version}" for package, version in record["versions"].items())
    facts += [("版本", versions), ("提交", [code((record["commit"] or "unknown")[:12])])]
    if digest := record.get("data_sha256"):
        facts.append(("数据", [nodes.Text("SHA-256 "), code(f"{digest[:16]}…")]))
    return facts


def changes(record: Mapping[str, Any]) -> str | list[nodes.Node]:
    """The fields in which a run's recipe is not the one of its name; its seed and length stand elsewhere."""
    from gan import recipes  # brings torch: only where a page with records is read

    recipe = recipes.parse(dict(record["recipe"]))
    preset = recipes.recipe(recipe.name)
    fields = [field for field in type(recipe).model_fields if field not in ("name", "seed", "epochs")]
    changed = [f for f in fields if getattr(recipe, f) != getattr(preset, f)]
    return joined([code(f"{f} = {getattr(recipe, f)}") for f in changed]) or "没有"


def epochs(record: Mapping[str, Any]) -> int:
    """How far a run has come, or a sweep was followed."""
    if "scores" in record:
        return max(score["epoch"] for score in record["scores"])
    return int(record["recipe"]["epochs"])


def looked_at(record: Mapping[str, Any]) -> int:
    """How many first updates a record of `gan beginning` has."""
    return int(record["rows"][-1]["update"])


def schedule(record: Mapping[str, Any]) -> str:
    """How far a record has come, and where that is not as far as its recipe goes, how far that is."""
    from gan import recipes

    done, whole = epochs(record), recipes.recipe(record["recipe"]["name"]).epochs
    of = LENGTHS.get(record["recipe"]["name"], "本书的配方走 {} 轮").format(whole)
    return f"{done} 轮" if done >= whole else f"{done} 轮，{of}"


def parzen(which: str, estimate: Mapping[str, Any]) -> Fact:
    sigmas = estimate["sigma"] if isinstance(estimate["sigma"], list) else [estimate["sigma"]]
    sigma = "、".join(f"{one:.3f}" for one in sigmas)
    rest = f"{estimate['n_samples']} 个样本，{estimate['n_test']} 幅{SPLITS[estimate['split']]}图像"
    epoch = f"，第 {estimate['epoch']} 轮" if "epoch" in estimate else ""
    told = f"{figure(estimate)} 纳特{epoch}；σ = {sigma}，{rest}，z 的种子 {estimate['z_seed']}"
    return METRICS[which], told


def weights(folder: Path, record: Mapping[str, Any]) -> str:
    """What is kept of a run's networks, in how many bits, and how far rounding to them moved a figure."""
    kept = [(text, folder / f"{name}.safetensors") for name, text in WEIGHTS.items()]
    sizes = [f"{text} {path.stat().st_size / 1e6:.1f} MB" for text, path in kept if path.exists()]
    if not sizes:
        return "没有保留"
    told = "，".join(sizes)
    if rounding := record.get("weights"):
        told += f"；每个 {rounding['bits']} 位，舍入使分数移动了至多 {rounding['moved']:.2f} 纳特"
    return told


def run_facts(path: Path, record: Mapping[str, Any]) -> list[Fact]:
    facts: list[Fact] = [
        ("配方", [code(record["recipe"]["name"])]),
        ("改动", changes(record)),
        ("种子", str(record["recipe"]["seed"])),
        ("轮数", schedule(record)),
    ]
    if comparable(record):
        facts += [parzen(which, estimate) for which, estimate in record["metrics"].items()]
    engine = [("引擎", [code(record["engine"])])] if "engine" in record else []
    return [*facts, *origin(record), *engine, ("权重", weights(path.parent, record))]


def yardstick_facts(path: Path, record: Mapping[str, Any]) -> list[Fact]:
    from gan.book.tables import STAND_INS

    rows: list[Fact] = []
    for row in record["rows"]:
        estimate = row["estimate"]
        told = f"{figure(estimate)} 纳特，{estimate['n_samples']} 个，清晰度 {row['sharpness']:.3f}"
        rows.append((STAND_INS[row["name"]].format(**record), told))
    return [*rows, ("种子", str(record["seeds"]["stand_ins"])), *origin(record)]


def bench_facts(path: Path, record: Mapping[str, Any]) -> list[Fact]:
    versions = {"Python": record["python"], "torch": record["torch"]}
    told = {**record, "device": record["machine"], "versions": versions}
    return [("图像", record["images"]), ("轮流", f"{record['rounds']} 遍"), *origin(told)]


def sweep_facts(path: Path, record: Mapping[str, Any]) -> list[Fact]:
    end = epochs(record)
    scores = [
        (
            f"平均 {score['decay']:g}" if score["decay"] else "最后的权重",
            f"{figure(score)} 纳特（第 {end} 轮，验证）",
        )
        for score in record["scores"]
        if score["epoch"] == end
    ]
    return [
        ("配方", [code(record["recipe"]["name"])]),
        ("改动", changes(record)),
        ("种子", str(record["recipe"]["seed"])),
        ("轮数", schedule(record)),
        *scores,
        *origin(record),
    ]


def beginning_facts(path: Path, record: Mapping[str, Any]) -> list[Fact]:
    return [
        ("配方", [code(record["recipe"]["name"])]),
        ("改动", changes(record)),
        ("种子", str(record["recipe"]["seed"])),
        ("更新", f"前 {looked_at(record)} 次，每 {record['every']} 次看一眼"),
        *origin(record),
        ("引擎", [code(record["engine"])]),
    ]


TELL = {
    "runs": run_facts,
    "yardsticks": yardstick_facts,
    "bench": bench_facts,
    "sweep": sweep_facts,
    "course": sweep_facts,
    "beginnings": beginning_facts,
}


def settings(record: Mapping[str, Any]) -> str:
    """The `-p` of a record's recipe: what differs from the recipe of its name."""
    from gan import recipes

    return recipes.words(recipes.parse(dict(record["recipe"])))


def commands(name: str, record: Mapping[str, Any]) -> list[str]:
    """The command lines that make the record `name`, a run's or that of a sweep, again."""
    if "every" in record:
        length = f"--updates {looked_at(record)} --every {record['every']}"
        return [f"python -m gan beginning {settings(record)} {length}"]
    if "scores" not in record:
        train = f"python -m gan train {settings(record)} --out runs/{name}"
        return [train, f"python -m gan publish runs/{name} {name} --replace"]
    decays = sorted({score["decay"] for score in record["scores"]} - {0.0, record["recipe"]["ema"]})
    every = min(score["epoch"] for score in record["scores"])
    averages = "".join(f" --average {decay:g}" for decay in decays)
    return [f"python -m gan sweep {settings(record)} --follow --every {every}{averages}"]


def folded(command: str, width: int = 76) -> str:
    """A command over several lines, broken before its options."""
    lines = [""]
    for part in re.split(r" (?=--?\w)", command):
        if lines[-1] and len(f"{lines[-1]} {part}") > width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {part}".strip()
    return " \\\n  ".join(lines)


class Rerun(SphinxDirective):
    """`{rerun} NAME …`, published runs' or `sweep/NAME`: their commands, and the time that they took."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        found: list[tuple[str, Path]] = []
        lines: list[str] = []
        times: list[str] = []
        for pattern in self.arguments[0].split():
            paths = depend(self.env, f"{pattern}.json" if "/" in pattern else f"{pattern}/run.json")
            found += [(path.stem if "/" in pattern else path.parent.name, path) for path in paths]
        for name, path in found:
            record = json.loads(path.read_text(encoding="utf-8"))
            lines += map(folded, commands(name, record))
            spent = f"训练用时 {duration(record['seconds'])}，{record['device']}"
            length = f"{looked_at(record)} 次更新" if "every" in record else f"{epochs(record)} 轮"
            times.append(f"{name}：{length}，{spent}")
        if not found:
            raise self.error(f"book/results holds no {self.arguments[0]}")
        text = "\n".join(lines)
        block = nodes.literal_block(text, text, language="bash")
        ends = [nodes.inline("", time) for time in times]
        return [block, nodes.paragraph("", "", *joined(ends, "；"), nodes.Text("。"), classes=["provenance"])]


def trainings(env: BuildEnvironment) -> list[dict[str, str]]:
    from gan.book import started

    return [line for path in depend(env, started.FILE) for line in started.read(path)]


def such(lines: Iterable[dict[str, str]], question: str) -> list[dict[str, str]]:
    """The trainings that a question is about: `RECIPE cell=value changed_field=value words …`."""
    recipe, *rest = question.split()
    cells = [one for one in rest if "=" in one]

    def fits(line: dict[str, str], cell: str) -> bool:
        name, _, value = cell.partition("=")
        return line[name] == value if name in line else cell in line["changed"].split()

    found = [one for one in lines if one["recipe"] == recipe and all(fits(one, cell) for cell in cells)]
    if not found:
        raise ValueError(f"started.csv has no training of {' '.join([recipe, *cells])}")
    return [one for one in found if all(word in one["end"] for word in rest if word not in cells)]


class Started(SphinxRole):
    """`{started}`QUESTION``: how many trainings there were."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        try:
            count = len(such(trainings(self.env), self.text))
        except ValueError as error:
            return [], [self.inliner.reporter.error(str(error), line=self.lineno)]
        return [nodes.inline("", str(count), classes=["record"])], []


def recorded(env: BuildEnvironment, name: str, what: str) -> str:
    """A number of the record ``name``, a run's or `sweep/NAME`; ValueError, one line, where there is none."""
    from gan import recipes

    paths = depend(env, f"{name}/run.json") or depend(env, f"{name}.json")
    if what == "plan" and not paths:
        return str(recipes.recipe(name).epochs)
    if not paths:
        raise ValueError(f"book/results holds no {name}")
    record = json.loads(paths[0].read_text(encoding="utf-8"))
    tell = {
        "nats": lambda: figure(record["metrics"]["parzen"]),
        "epochs": lambda: str(epochs(record)),
        "plan": lambda: str(recipes.recipe(record["recipe"]["name"]).epochs),
        "seconds": lambda: duration(record["seconds"]),
    }
    try:
        if what in tell:
            return tell[what]()
        for part in what.split("."):
            record = record[part]
        return f"{record:g}"
    except (KeyError, TypeError, ValueError):
        raise ValueError(f"{name} has no number {what}") from None


class Recorded(SphinxRole):
    """`{recorded}`NAME WHAT``."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        try:
            name, _, what = self.text.partition(" ")
            return [nodes.inline("", recorded(self.env, name, what), classes=["record"])], []
        except ValueError as error:
            return [], [self.inliner.reporter.error(str(error), line=self.lineno)]


def training(line: Mapping[str, str]) -> nodes.list_item:
    """A training in one paragraph."""
    from gan import recipes
    from gan.book import started

    told = [f"种子 {line['seed']}", line["started"][:10], line["machine"]]
    told += [f"{line['epochs']} 轮" if line["epochs"] else "", line["end"]]
    parts: list[nodes.Node] = [code(part) for part in (line["recipe"], *line["changed"].split())]
    paragraph = nodes.paragraph("", "", *joined([*parts, *map(nodes.Text, filter(None, told))]))
    for nats, split, name in started.figures(line):
        where = f"（{SPLITS[split]}）" if split in SPLITS else ""
        if comparable({"recipe": recipes.recipe(line["recipe"]).model_dump()}):
            paragraph += nodes.Text(f"；{nats.replace('-', '−')} 纳特{where}")
        paragraph += [nodes.Text("，发布为 "), code(name)] if name != "-" else []
    return nodes.list_item("", paragraph)


class Runs(SphinxDirective):
    """`{runs} KIND`: the records of `FILES`, each under its name; `{runs} started`: every training."""

    optional_arguments = 1

    def run(self) -> list[nodes.Node]:
        kind = directives.choice(self.arguments[0], (*FILES, "started")) if self.arguments else "runs"
        if kind == "started":
            return [nodes.bullet_list("", *map(training, trainings(self.env)))]
        paths = depend(self.env, FILES[kind])
        records = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
        names = [path.parent.name if kind == "runs" else path.stem for path in paths]
        told = [(n, TELL[kind](p, r)) for n, p, r in zip(names, paths, records, strict=True)]
        if not told:
            return [nodes.paragraph("", "还没有。")]
        records_list = listing(told)
        if kind == "runs":  # so that [](#run-NAME) leads there
            places = self.env.get_domain("std").anonlabels  # type: ignore[attr-defined]
            for item, name in zip(records_list.children, names, strict=True):
                item[0]["ids"] = [f"run-{name}"]
                places[f"run-{name}"] = self.env.docname, f"run-{name}"
        return [records_list]


def outdated(
    app: Sphinx, env: BuildEnvironment, added: set[str], changed: set[str], removed: set[str]
) -> list[str]:
    """Pages whose records have come or gone; a changed file is found by Sphinx itself."""
    return [
        page
        for page, metadata in env.metadata.items()
        for pattern, paths in metadata.get("records", {}).items()
        if paths != list(map(str, find(env, pattern)))
    ]


def setup(app: Sphinx) -> ExtensionMetadata:
    app.add_directive("runs", Runs)
    app.add_directive("rerun", Rerun)
    app.add_role("started", Started())
    app.add_role("recorded", Recorded())
    app.connect("env-get-outdated", outdated)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
