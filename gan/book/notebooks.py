"""A notebook as what a sweep makes: papermill executes a copy of it with each combination of parameters."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import papermill

from ..sweep import Task


def execution(path: Path) -> Callable[[dict[str, Any]], Task]:
    """What `gan.sweep.run` takes for the notebook ``path``, which is executed where this is called.

    FileNotFoundError; what is returned raises ValueError for parameters that the notebook does not have.
    """
    cells = json.loads(path.read_text("utf-8"))["cells"]
    code = hashlib.sha256(json.dumps([cell["source"] for cell in cells]).encode()).hexdigest()
    known, path = papermill.inspect_notebook(path).keys(), path.resolve()

    def task(parameters: dict[str, Any]) -> Task:
        if unknown := sorted(parameters.keys() - known):
            has = f"it has: {', '.join(known)}" if known else "no cell of it is tagged parameters"
            raise ValueError(f"{path.name} has no parameter {', '.join(unknown)}; {has}")
        told = "-".join([path.stem, *(f"{name}={value}" for name, value in parameters.items())])
        made = re.sub(r"[^\w.=-]+", "_", told) + ".ipynb"
        play = partial(_execute, path, here, parameters)
        return Task(path.name, made, parameters, parameters | {"code": code}, play)

    here = os.getcwd()
    return task


def _execute(path: Path, folder: str, parameters: dict[str, Any], made: Path, look: Any) -> dict[str, Any]:
    executed = papermill.execute_notebook(path, made, parameters, cwd=folder, progress_bar=False)
    return {"seconds": executed.metadata.papermill.duration}
