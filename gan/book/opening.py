"""What the book's notebooks do in their first cells, so that nothing fails hours later.

Their parameters are checked, and it is known whether the published runs that they quote are here.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from IPython.core.getipython import get_ipython

from .. import data
from ..nets import networks
from ..recipes import PRESETS, Recipe
from ..recipes import recipe as preset_of
from ..runs import find_result
from ..toy import TARGETS

ON_THE_LINE = tuple(name for name, target in TARGETS.items() if target.dimensions == 1)
READS = "# reads book/results/"
"""How a notebook's cell begins that shows what was published."""


def check_parameters(cells: Sequence[str], **given: tuple[Any, ...]) -> None:
    """Refuse what a notebook's parameters cannot be: ValueError, one line. ``cells`` is IPython's ``In``.

    papermill puts the parameters that it is given into a cell of their own, right after the cell
    tagged ``parameters``, and only warns of a name that this cell lacks; here it is an error.

    ``given`` are values and what is right for them: ``n=(n, 1)`` or ``(n, 1, 9)``, a whole number from 1, or
    from 1 to 9; ``rate=(rate, 0.0)`` or ``(rate, 0.0, 1.0)``, any number above 0, or between 0 and 1;
    ``target=(target, names)``, one of these; ``device=(device, check)``, where ``check`` raises.
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
    for name, (value, right, *most) in given.items():
        if callable(right):
            right(value)
        elif isinstance(right, int | float):
            _check_number(name, value, right, *most)
        elif value not in list(right):
            raise ValueError(f"{name} = {value!r}: it must be one of: {', '.join(map(str, right))}")


def _check_number(name: str, value: Any, low: float, high: float = math.inf) -> None:
    """Whole and from ``low`` to ``high`` where ``low`` is whole; else finite and strictly between them."""
    whole = isinstance(low, int)
    numeric = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
    if numeric and (low <= value <= high if whole else low < value < high):
        return
    what = f"a whole number from {low} on" if whole else f"a finite number above {low:g}"
    if high < math.inf:
        what = f"a whole number from {low} to {high}" if whole else f"a number between {low:g} and {high:g}"
    raise ValueError(f"{name} = {value!r}: it must be {what}")


def image_recipe(name: str, own: Mapping[str, Any] | None = None, /, **fields: Any) -> Recipe:
    """The recipe of images that a notebook plays: ``name``, its fields replaced by the notebook's ``own``,
    and these by those of ``fields`` that are not None.

    ValueError, one line, for a recipe or a data set of points, for images of another size than the notebook's
    ``own`` networks make, and for all that `gan.recipe` refuses.
    """
    known = [name for name in PRESETS if preset_of(name).dataset not in TARGETS]
    if name not in known:
        raise ValueError(f"recipe = {name!r}: here it must be one of images: {', '.join(known)}")
    given = {field: value for field, value in fields.items() if value is not None}
    recipe = preset_of(name, **{**(own or {}), **given})
    if recipe.dataset in TARGETS:
        raise ValueError(f"dataset = {recipe.dataset!r} has points; here it must be one of images")
    if own and recipe.dataset != preset_of(name).dataset:
        shape = data.load(recipe.dataset).shape
        try:
            networks(recipe, shape)
        except ValueError as error:
            raise ValueError(f"{error}; -p recipe cifar10 has networks for images of any size") from None
    return recipe


def need_results(*names: str) -> None:
    """Say at once which of the published runs and files in book/results/ a notebook would miss, if any.

    Then the cells that begin with `READS` are left out, and all others run.
    """
    shell = get_ipython()
    assert shell, "this is for notebooks"
    if leave_out in shell.input_transformers_cleanup:  # of an earlier call
        shell.input_transformers_cleanup.remove(leave_out)
    if lacking := [name for name in names if not _is_there(name)]:
        some = "、".join(lacking[:3]) + (" 等" if len(lacking) > 3 else "")
        print(f"这里没有 book/results/ 里的 {some}，在仓库里运行才有：引用它们的地方都略去，其余照常。")
        shell.input_transformers_cleanup.append(leave_out)


def leave_out(lines: list[str]) -> list[str]:
    """The lines of a cell, or of one that says that it was left out."""
    return ['print("略去：这里没有 book/results/")\n'] if lines[:1] == [f"{READS}\n"] else lines


def _is_there(name: str) -> bool:
    try:
        return bool(find_result(name if "." in name else f"{name}/run.json"))
    except FileNotFoundError:
        return False


def _assigned(source: str) -> set[str]:
    """The names that a cell of plain assignments gives a value to."""
    targets = [t for node in ast.parse(source).body if isinstance(node, ast.Assign) for t in node.targets]
    return {target.id for target in targets if isinstance(target, ast.Name)}
