"""Exercises: three to five in a chapter of the theory, each with a folded solution that runs or is proved."""

import json
import re
from itertools import count, pairwise
from pathlib import Path
from types import SimpleNamespace

import exercises
import pytest
from docutils import nodes

BOOK = Path(__file__).resolve().parents[1] / "book"

CHAPTERS = {"adversarial-nets.ipynb", "global-optimality.ipynb", "convergence.ipynb"}
BOX = re.compile(r"^:{3,}\{admonition\} (练习[^\n]*|解答[^\n]*)\n:class: ([^\n]*)\n(.*?)^:{3,}$", re.M | re.S)
# What a solution rests on: code that runs with it, or steps that are written out.
REASONED = re.compile(r"所以|因为|得到?|由.*?[，\$]")


def boxes(cells):
    """The boxes of a chapter in their order: title, classes, text, and how many cells run in them."""
    found = []
    for cell in cells:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            found += [[*box, 0] for box in BOX.findall(source)]
        elif "solution" in cell["metadata"].get("tags", []):
            assert found, "a cell of a solution before any"
            found[-1][3] += 1
    return found


def problems(found, least=3):
    """What is wrong with the exercises of a chapter, in words."""
    told = []
    asked = [title for title, *_ in found if title.startswith("练习")]
    for number, title in zip(count(1), asked):
        if not re.fullmatch(rf"练习 {number}：\S.*", title):
            told.append(f"{title} should be number {number}")
    for (title, classes, text, runs), after in pairwise([*found, ["", "", "", 0]]):
        if title.startswith("练习"):
            told += [f"{title}: no solution follows"] if after[0] != "解答" else []
            told += [f"{title}: not an exercise"] if classes != "exercise" or runs else []
        else:
            told += ["a solution is not folded"] if classes != "solution dropdown" else []
            told += ["a solution neither runs nor is proved"] if not (runs or REASONED.search(text)) else []
    if len(found) != 2 * len(asked):
        told.append("as many solutions as exercises")
    if not least <= len(asked) <= 5:
        told.append(f"{len(asked)} exercises")
    return told


def read(path):
    if path.suffix == ".md":
        return [{"cell_type": "markdown", "source": path.read_text("utf-8"), "metadata": {}}]
    return json.loads(path.read_text("utf-8"))["cells"]


ALL = {path.name: boxes(read(path)) for path in sorted([*BOOK.glob("*.md"), *BOOK.glob("*.ipynb")])}
WITH = {name: found for name, found in ALL.items() if found}


def test_each_chapter_of_the_theory_has_exercises_and_the_experiments_together():
    assert set(WITH) >= CHAPTERS
    assert sum(len(found) // 2 for name, found in WITH.items() if name not in CHAPTERS) >= 3


@pytest.mark.parametrize("name", WITH)
def test_each_exercise_of_a_chapter_has_its_solution(name):
    assert not problems(WITH[name], least=3 if name in CHAPTERS else 1)


E1, S1 = ["练习 1：一", "exercise", "证明它。", 0], ["解答", "solution dropdown", "所以成立。", 0]
E2, E3 = ["练习 2：二", "exercise", "多少？", 0], ["练习 3：三", "exercise", "多少？", 0]


@pytest.mark.parametrize(
    "found, says",
    [
        ([E1, S1, E2, S1, E3, S1], None),
        ([E1, S1, E2, S1], "2 exercises"),
        ([E1, S1, E3, S1, E2, S1], "练习 3：三 should be number 2"),
        ([E1, E2, S1, E3, S1], "练习 1：一: no solution follows"),
        ([E1, S1, S1, E2, S1, E3, S1], "as many solutions as exercises"),
        ([E1, ["解答", "solution", "所以。", 0], E2, S1, E3, S1], "a solution is not folded"),
        ([E1, ["解答", "solution dropdown", "是的。", 0], E2, S1, E3, S1], "neither runs nor is proved"),
        ([E1, ["解答", "solution dropdown", "是的。", 1], E2, S1, E3, S1], None),
    ],
)
def test_a_bad_exercise_would_be_seen(found, says):
    told = problems(found)
    assert not told if says is None else any(says in problem for problem in told)


def page(*classes):
    """A document of containers with these classes."""
    document = nodes.section()
    for name in classes:
        document += (
            nodes.admonition(classes=["solution"])
            if name == "solution"
            else nodes.container(classes=["cell", *name.split()])
        )
    return document


def test_a_solutions_cells_stand_in_its_box(monkeypatch):
    said = []
    monkeypatch.setattr(
        exercises, "logger", SimpleNamespace(warning=lambda told, location: said.append(told))
    )
    document = page("solution", "tag_solution", "tag_solution", "other")
    exercises.fold_cells(None, document)
    assert [len(node.children) for node in document] == [2, 0] and not said
    document = page("other", "tag_solution")
    exercises.fold_cells(None, document)
    assert len(document) == 2 and said == ["a cell tagged solution follows no solution"]


def test_one_example_of_two_points_goes_through_the_theory():
    """The same numbers in both chapters; four later places lead back to the first."""
    cells = [c for name in ("global-optimality.ipynb", "convergence.ipynb") for c in read(BOOK / name)]
    sources = ["".join(cell["source"]) for cell in cells]
    first, again = re.findall(r"^two_data, two_g = .*$", "\n".join(sources), re.M)
    assert first == again
    places = [text for text in sources if re.search(r"^\(two-points[\w-]*\)=$", text, re.M)]
    assert places[0].startswith("(two-points)=") and len(places) == 5
    assert all("[两点的例子](#two-points)" in text for text in places[1:])
