"""Many runs: every combination of a grid of parameters, on many processes or machines, and their table.

A sweep's folder holds NAME.json for each combination, what is known of it, beside the run NAME that it made.
All workers must see that folder, and the data, under the same paths.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import platform
import re
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent import futures
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import torch
from tqdm import tqdm

from . import durable, files, recipes, runs, stacked
from .recipes import Recipe
from .training import train

RECORD = "sweep.json"
REST = ("attempts", "seconds", "worker", "machine", "error")
TOGETHER = 8  # seeds in one batch at most, so that something is left for other workers
ALONE = threading.Lock()  # random numbers are a process's: one run at a time, whatever threads a worker has


class Task(NamedTuple):
    """A combination of ``what``: ``play`` makes the file or folder ``made``, and tells what to record.

    It is given that path, and what to call after each epoch. ``fields`` are all that decides. A ``recipe``
    trains in one batch with those of other seeds.
    """

    what: str
    made: str
    parameters: dict[str, Any]
    fields: dict[str, Any]
    play: Callable[[Path, Callable[..., None]], dict[str, Any]]
    recipe: Recipe | None = None


def training(what: str, split: str, how: dict[str, Any], parameters: dict[str, Any]) -> Task:
    """The training of the recipe ``what``; ValueError where it refuses ``parameters``."""
    recipe = recipes.recipe(what, **parameters)
    fields = recipe.model_dump(mode="json") | {"split": split}
    play, together = partial(_train, recipe, split, how), recipe if stacked.pays(recipe, how) else None
    return Task(what, runs.default_folder(recipe).name, parameters, fields, play, together)


def _train(recipe: Recipe, split: str, how: dict[str, Any], folder: Path, look: Any) -> dict[str, Any]:
    if how.get("device", "cuda") == "cuda" and torch.cuda.is_available():
        torch.cuda.set_device(int(re.findall(r"\d*$", worker())[0] or 0) % torch.cuda.device_count())
    if folder.exists():
        with durable.locked(folder):  # by a worker that was given up, which stops soon; then by nobody
            pass
    run = train(recipe, folder, after_epoch=look, progress=False, **how)
    metrics = run.history.iloc[-1].drop(["epoch", "seconds"]).to_dict()
    if split != "none":
        figure = run.estimate(split=split, data_dir=how.get("data_dir"))
        metrics |= {key: figure[key] for key in ("split", "mean", "standard_error", "sigma")}
    return {"seconds": run.history["seconds"].sum(), "metrics": metrics}


def plan(make: Callable[[dict[str, Any]], Task], grid: Mapping[str, Sequence[Any]]) -> list[Task]:
    """What ``make`` makes of each combination, the last field running fastest; errors as `run` has them."""
    if not grid or not all(map(len, grid.values())):
        raise ValueError(f"there is nothing to sweep in {dict(grid)}: it takes fields, and values of each")
    tasks, refused = dict[str, Task](), dict[str, list[str]]()
    for values in product(*grid.values()):
        parameters = dict(zip(grid, values, strict=True))
        told = ", ".join(f"{field} {value}" for field, value in parameters.items())
        try:
            task = make(parameters)
        except ValueError as error:
            refused.setdefault(str(error), []).append(told)
            continue
        if tasks.setdefault(task.made, task) is not task:
            raise ValueError(f"the combination {told} is there twice: give each value once")
    if not tasks:
        raise ValueError(next(iter(refused)))
    for reason, those in refused.items():
        warnings.warn(f"left out, as {reason}: {'; '.join(those)}", stacklevel=3)
    return [*tasks.values()]


def run(
    what: str | Callable[[dict[str, Any]], Task],
    grid: Mapping[str, Sequence[Any]],
    out: str | os.PathLike[str] = "runs/sweep",
    *,
    scheduler: Any = None,
    workers: int | None = None,
    memory: str | None = None,
    retries: int = 0,
    progress: bool = True,
    **how: Any,
) -> pd.DataFrame:
    """Train the recipe ``what`` with every combination of the values in ``grid``; their table (`load`).

    What is finished in ``out`` is skipped, what was stopped goes on, what fails is tried again ``retries``
    times. Workers, on which no result depends, are those of dask's ``scheduler``, an address or a cluster;
    else ``workers`` processes (default: one for each GPU, else each core), with dask of at most ``memory``
    each, "4GB". ``how`` is for `gan.train`; and ``split``, "valid" (the default), "test" or "none", for the
    Parzen estimate. A script calls this below ``if __name__ == "__main__"``.

    ValueError: nothing to do, a combination given twice, all refused (some are left out, with a warning),
    ``out`` another sweep's. TimeoutError: it is in use. ConnectionError: the workers are gone.
    """
    if retries < 0 or (workers is not None and workers < 1):
        raise ValueError(f"retries = {retries}, workers = {workers}: they must be at least 0 and 1")
    how = {name: value for name, value in how.items() if value not in (None, "auto", [], ())}
    if callable(what) and how:
        raise ValueError(f"{next(iter(how))} = {next(iter(how.values()))}: this is for recipes alone")
    if "data_dir" in how:
        how["data_dir"] = Path(how["data_dir"]).resolve()
    make = what if callable(what) else partial(training, what, how.pop("split", "valid"), how)
    tasks, folder = plan(make, grid), Path(out).resolve()
    there = {*os.listdir(folder)} - {durable.LOCK} if folder.exists() else set()
    if there and (RECORD not in there or files.read_json(folder / RECORD).get("what") != tasks[0].what):
        raise ValueError(f"{folder} holds something else than a sweep of {tasks[0].what}: choose another one")
    with durable.locked(folder, timeout=0):  # when this ends, so does what its workers do
        batches = left(folder, tasks)
        done = {"total": len(tasks), "initial": len(tasks) - sum(map(len, batches))}
        with tqdm(**done, unit="run", disable=not progress, leave=False) as bar:
            if batches:
                with executor(scheduler, workers, memory, bar) as pool:
                    submit = partial(pool.submit, perform, folder, retries, how.get("data_dir"))
                    follow(submit, batches, folder, bar)
    return load(folder)


def left(folder: Path, tasks: Sequence[Task]) -> list[list[Task]]:
    """What is not finished, by what a worker gets at once: new seeds of a recipe, and others alone.

    Each of it has its record afterwards.
    """
    durable.write_json(folder / RECORD, {"format": 1, "what": tasks[0].what})
    there, groups = {record["made"]: record for record in known(folder)}, dict[str, list[Task]]()
    for number, task in enumerate(tasks, len(there)):
        record, fields = there.get(task.made, {"number": number}), json.loads(json.dumps(task.fields))
        if record.get("fields") != fields:  # new, or made of something else
            record = {"made": task.made, "number": record["number"], "status": "waiting"}
            record |= {"parameters": task.parameters, "fields": fields}
        begun = (folder / task.made).exists()
        if not begun or record["status"] != "finished":
            durable.write_json(folder / f"{task.made}.json", record)
            same = json.dumps(fields | {"seed": 0}) if task.recipe and not begun else task.made
            groups.setdefault(same, []).append(task)
    return [group[i : i + TOGETHER] for group in groups.values() for i in range(0, len(group), TOGETHER)]


@contextmanager
def executor(scheduler: Any, workers: int | None, memory: str | None, bar: tqdm) -> Iterator[Any]:
    """What runs the tasks: dask's scheduler, or processes of this machine."""
    workers = workers or torch.cuda.device_count() or None
    if find_spec("distributed"):
        import dask
        from distributed import Client, LocalCluster

        dask.config.set({"distributed.worker.memory.pause": False})  # a worker waits for no memory: it ends
        how = {"n_workers": workers, "threads_per_worker": 1, "memory_limit": memory or 0}
        local = None if scheduler else LocalCluster(**how, dashboard_address=":0", silence_logs="CRITICAL")
        with local or nullcontext(), Client(local or scheduler) as client:
            bar.set_description(client.dashboard_link if find_spec("bokeh") else None)
            yield client.get_executor(pure=False)
    elif scheduler or memory:
        raise ValueError("scheduler and memory need dask: pip install '.[sweep]'")
    else:
        warnings.warn("without dask only this machine's processes: pip install '.[sweep]'", stacklevel=5)
        pool = futures.ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"))
        try:
            yield pool
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def follow(submit: Callable[..., futures.Future], batches: list[list[Task]], folder: Path, bar: tqdm) -> None:
    """Have all ``batches`` performed; ConnectionError where their workers are gone."""
    pending = {submit(batch): batch for batch in batches}
    while pending:
        ended = futures.wait(pending, 2, futures.FIRST_COMPLETED).done
        if not ended:
            going = {task.made: epochs(folder / task.made) for batch in pending.values() for task in batch}
            bar.set_postfix_str(", ".join(f"{made} {epoch}" for made, epoch in going.items() if epoch))
        for future in ended:
            batch = pending.pop(future)
            try:
                records = future.result()
            except (futures.CancelledError, futures.BrokenExecutor):
                raise ConnectionError("the workers are gone: the same command goes on") from None
            except Exception as error:  # a worker died again and again, or has no gan
                if len(batch) > 1:  # perhaps of one of them
                    pending |= {submit([task]): [task] for task in batch}
                    continue
                records = [failed(folder, batch[0], error)]
            for record in records:
                if record["status"] == "failed":
                    warnings.warn(f"{record['made']} failed: {record['error']}", stacklevel=3)
            bar.update(len(batch))


def perform(folder: Path, retries: int, data_dir: Path | None, tasks: Sequence[Task]) -> list[dict[str, Any]]:
    """What a worker does: play ``tasks``, if they are many first in one batch; the record of each."""

    def look(*_: Any) -> None:
        if not (folder / durable.LOCK).exists():  # the sweep does not go on
            raise KeyboardInterrupt

    with ALONE:
        torch.set_num_threads(1)  # so that the figures are the same on every worker
        if len(tasks) > 1:
            with suppress(Exception, KeyboardInterrupt):  # each meets it again, alone, and says so
                stacked.train({folder / task.made: task.recipe for task in tasks}, data_dir, look)  # type: ignore[misc]
        return [play(task, folder, look, retries) for task in tasks]


def play(task: Task, folder: Path, look: Callable[..., None], retries: int) -> dict[str, Any]:
    """Play ``task``, and write to its record what comes of it, also of an error; the record."""
    own = {"status": "unfinished", "worker": worker(), "machine": platform.node(), "error": None}
    record = note(folder, task, attempt=1, **own)
    try:
        record = note(folder, task, **task.play(folder / task.made, look), status="finished")
    except KeyboardInterrupt:
        pass
    except Exception as error:
        record = failed(folder, task, error)
    return play(task, folder, look, retries - 1) if record["status"] == "failed" and retries else record


def failed(folder: Path, task: Task, error: Exception) -> dict[str, Any]:
    kind, said = getattr(error, "ename", type(error).__name__), getattr(error, "evalue", error)
    return note(folder, task, status="failed", error=" ".join(f"{kind}: {said}".split()))


def note(folder: Path, task: Task, attempt: int = 0, **more: Any) -> dict[str, Any]:
    """The record of ``task``, to which ``more`` is written."""
    path = folder / f"{task.made}.json"
    record = json.loads(path.read_text("utf-8"))
    record |= more | {"attempts": record.get("attempts", 0) + attempt}
    durable.write_json(path, record)
    return record


def worker() -> str:
    """The name of the worker, or else of the process, that this runs in."""
    with suppress(ImportError, ValueError):
        from distributed import get_worker

        return str(get_worker().name)
    return multiprocessing.current_process().name


def load(out: str | os.PathLike[str]) -> pd.DataFrame:
    """A sweep's table, a row for each combination: its parameters, status, metrics, wall time, worker.

    ``status`` is finished, failed (``error`` says why), unfinished (so far to ``epoch``), or waiting;
    ``seconds`` are those of its training. FileNotFoundError, ValueError: no sweep is there.
    """
    if not Path(out, RECORD).exists():
        raise FileNotFoundError(f"{out} is no sweep: it has no {RECORD}")
    there = known(Path(out))
    fields = dict.fromkeys(field for record in there for field in record["parameters"])
    rows = []
    for record in there:
        row = {field: record["fields"].get(field) for field in fields} | {"status": record["status"]}
        row |= record.get("metrics", {}) | {"epoch": epochs(Path(out, record["made"]))}
        rows.append(row | {key: record.get(key) for key in REST})
    table = pd.DataFrame(rows, index=[record["made"] for record in there])
    return table.map(lambda value: tuple(value) if isinstance(value, list) else value)


def epochs(run: Path) -> int:
    """How many epochs the run in this folder has had."""
    history = run / runs.HISTORY
    return history.read_text("utf-8").count("\n") - 1 if history.exists() else 0


def known(folder: Path) -> list[dict[str, Any]]:
    """The records of all combinations, in their order."""
    there = []
    for path in {*folder.glob("*.json")} - {folder / RECORD}:
        with files.reading(path, advice="remove it, and the sweep writes it anew"):
            there.append(json.loads(path.read_text("utf-8")))
    return sorted(there, key=lambda record: record["number"])
