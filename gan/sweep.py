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
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import pandas as pd
import torch
from filelock import Timeout
from tqdm import tqdm

from . import durable, recipes, runs, stacked
from .tasks import RECORD, Task, known, load, one_line, path_of, plan, read, update
from .training import train

LOOK = 1.0  # seconds between a worker's words on a run, and its looks whether the sweep still goes on
ALONE = threading.Lock()  # random numbers are a process's: one run at a time, whatever threads a worker has


def training(what: str, how: dict[str, Any], parameters: dict[str, Any]) -> Task:
    """The training of the recipe ``what``; ValueError where it refuses ``parameters``."""
    recipe = recipes.recipe(what, **parameters)
    fields = recipe.model_dump(mode="json")
    play, stacks = partial(_train, recipe, how), stacked.pays(recipe, how)
    return Task(what, runs.default_folder(recipe).name, parameters, fields, play, stacks)


def _train(recipe: recipes.Recipe, how: dict[str, Any], folder: Path, look: Any) -> dict[str, Any]:
    how = {"split": "valid", "device": "auto", "data_dir": None} | how
    if how["device"] in ("auto", "cuda") and torch.cuda.is_available():
        torch.cuda.set_device(int(re.findall(r"\d*$", worker())[0] or 0) % torch.cuda.device_count())
    if folder.exists():
        with durable.locked(folder):  # by a worker that was given up, which stops soon; then by nobody
            pass
    split = how.pop("split")
    run = train(recipe, folder, after_epoch=look, progress=False, **how)
    metrics = run.history.iloc[-1].drop(["epoch", "seconds"]).to_dict()
    figure = run.estimate(split=split, data_dir=how["data_dir"]) if split != "none" else {}
    metrics |= {key: figure[key] for key in ("split", "mean", "standard_error", "sigma") if figure}
    return {"epoch": len(run.history), "device": runs.latest(run.record)["device"], "metrics": metrics}


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

    What is finished in ``out``, also of a smaller grid, is skipped, a run that was stopped goes on. One that
    fails is tried again ``retries`` times; then its record says why, and the others go on. Results do not
    depend on the workers: those of dask's ``scheduler``, an address or a cluster; else ``workers`` processes
    (default: one for each GPU, else each core), under dask of at most ``memory`` each, "4GB". ``how`` is for
    `gan.train`; and ``split``, "valid" (the default), "test" or "none", for the Parzen estimate at the end.
    Processes are spawned: a script calls this below ``if __name__ == "__main__"``.

    ValueError: nothing to do, a combination given twice, or none that the recipe takes (what it refuses is
    left out, with a warning), ``out`` another sweep's, or in use. ConnectionError: the scheduler is gone, or
    without dask a worker; the same call goes on.
    """
    for name, value, least in (("retries", retries, 0), ("workers", workers, 1)):
        if value is not None and value < least:
            raise ValueError(f"{name} = {value}: it must be a whole number, at least {least}")
    how["data_dir"] = how.get("data_dir") and Path(how["data_dir"]).resolve()
    tasks = plan(what if callable(what) else partial(training, what, how), grid)
    folder = Path(out).resolve()
    with _own(folder, tasks[0].what) as session:
        left = _left(folder, tasks)
        done = {"total": len(tasks), "initial": len(tasks) - len(left)}
        with tqdm(**done, unit="run", disable=not progress, leave=False) as bar:
            if left:
                with _executor(scheduler, workers, memory, bar) as executor:
                    _play(partial(executor.submit, perform, folder, session), left, retries, bar, folder)  # type: ignore[call-arg]
    return load(folder)


def _left(folder: Path, tasks: Sequence[Task]) -> list[Task]:
    """Those of ``tasks`` that are not finished; each has its record afterwards."""
    there, left = {record["made"]: record for record in known(folder)}, []
    for number, task in enumerate(tasks, len(there)):
        own = there.get(task.made, {"number": number})
        if json.loads(json.dumps(task.fields)) != own.get("fields"):  # new, or made of something else
            own = {"made": task.made, "number": own["number"], "status": "waiting"}
            own |= {"parameters": task.parameters, "fields": task.fields}
            durable.write_json(path_of(folder, task), own)
        if own["status"] != "finished" or not (folder / task.made).exists():
            left.append(task)
    return left


@contextmanager
def _own(folder: Path, what: str) -> Iterator[str]:
    """Make ``folder`` this sweep's own; when this ends, so does what its workers do."""
    there = {*os.listdir(folder)} - {durable.LOCK} if folder.exists() else set()
    if there and RECORD not in there:
        raise ValueError(f"{folder} holds files that are no sweep's: choose a new folder")
    if there and (other := read(folder / RECORD)["what"]) != what:
        raise ValueError(f"{folder} holds a sweep of {other}, not of {what}: choose another folder")
    session = str(time.time_ns())
    record: dict[str, Any] = {"format": 1, "what": what}
    try:
        with durable.locked(folder, timeout=0):
            durable.write_json(folder / RECORD, record | {"session": session})
            try:
                yield session
            finally:
                durable.write_json(folder / RECORD, record | {"session": None})
    except Timeout:
        raise ValueError(f"{folder} is being swept by another process") from None


@contextmanager
def _executor(scheduler: Any, workers: int | None, memory: str | None, bar: tqdm) -> Iterator[Executor]:
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
    elif option := (scheduler and f"scheduler = {scheduler}") or (memory and f"memory = {memory}"):
        raise ValueError(f"{option}: this needs dask: pip install '.[sweep]'")
    else:
        warnings.warn("without dask only this machine's processes: pip install '.[sweep]'", stacklevel=5)
        with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
            try:
                yield pool
            finally:
                pool.shutdown(wait=False, cancel_futures=True)


def _play(submit: Callable[..., Future], tasks: Sequence[Task], more: int, bar: tqdm, at: Path) -> None:
    """Run all ``tasks``; ConnectionError where what runs them is gone."""
    ended: SimpleQueue[Future] = SimpleQueue()
    pending: dict[Future, tuple[list[Task], int]] = {}

    def begin(tasks: list[Task], more: int) -> None:
        future = submit(tasks)
        pending[future] = tasks, more
        future.add_done_callback(ended.put)

    for together in stacked.batches(at, tasks):
        begin(together, more)
    while pending:
        try:
            future = ended.get(timeout=2 * LOOK)
        except Empty:
            going = (one for one in known(at) if one["status"] == "unfinished")
            bar.set_postfix_str(", ".join(f"{one['made']} {one.get('epoch', 0)}" for one in going))
            continue
        together, more = pending.pop(future)
        try:
            records = future.result()
        except (CancelledError, BrokenExecutor) as error:
            lost = "a worker died" if isinstance(error, BrokenExecutor) else "the scheduler is gone"
            raise ConnectionError(f"{lost}: the same command goes on") from None
        except Exception as error:  # a worker died again and again, or has no gan
            records = [update(at, task, status="failed", error=one_line(error)) for task in together]
        for task, record in zip(together, records, strict=True):
            if record["status"] == "failed" and more:
                begin([task], more - 1)
                continue
            if record["status"] == "failed":
                warnings.warn(f"{task.made} failed: {record['error']}", stacklevel=3)
            bar.update()


def perform(folder: Path, session: str, tasks: Sequence[Task]) -> list[dict[str, Any]]:
    """What a worker does: play ``tasks``, if they are many first in one batch; the record of each."""
    with ALONE:
        torch.set_num_threads(1)  # so that the figures are the same on every worker
        if len(tasks) > 1 and not any((folder / task.made).exists() for task in tasks):
            _together(folder, session, tasks)
        return [_perform(folder, session, task) for task in tasks]


def _together(folder: Path, session: str, tasks: Sequence[Task]) -> None:
    """Train ``tasks`` in one batch; what is not finished afterwards is left to be played alone."""
    begun = time.monotonic()

    def note(status: str, **more: Any) -> None:
        for task in tasks:
            update(folder, task, status=status, worker=worker(), machine=platform.node(), **more)

    recipes, how = [task.play.args[0] for task in tasks], tasks[0].play.args[1]  # type: ignore[attr-defined]
    folders, look = [folder / task.made for task in tasks], _looks(folder, session, note)
    with suppress(Exception, KeyboardInterrupt):  # each meets it again, alone, and says so
        stacked.train(recipes, folders, data_dir=how.get("data_dir"), after_epoch=look)
    for task in tasks:
        update(folder, task, seconds=round((time.monotonic() - begun) / len(tasks), 3))


def _looks(folder: Path, session: str, note: Callable[..., None]) -> Callable[..., None]:
    """What is called after an epoch: tells of it now and then, and stops where the sweep does not go on."""
    looked = time.monotonic()

    def look(epoch: int, *_: Any) -> None:
        nonlocal looked
        if time.monotonic() - looked > LOOK:
            looked = time.monotonic()
            note("unfinished", epoch=epoch)
            if read(folder / RECORD)["session"] != session:
                raise KeyboardInterrupt

    return look


def _perform(folder: Path, session: str, task: Task) -> dict[str, Any]:
    """Play ``task``, and write to its record what comes of it, also of an error."""
    path = path_of(folder, task)
    with warnings.catch_warnings(record=True) as heard:
        record, begun = read(path), time.monotonic()
        before = record.get("seconds", 0.0)

        def note(status: str, **more: Any) -> None:
            record.update(more, status=status, seconds=round(before + time.monotonic() - begun, 3))
            durable.write_json(path, record)

        attempts = record.get("attempts", 0) + 1
        note("unfinished", worker=worker(), machine=platform.node(), attempts=attempts, error=None)
        try:
            made = task.play(folder / task.made, _looks(folder, session, note))
            note("finished", **made, warnings=sorted({one_line(one.message) for one in heard}))
        except KeyboardInterrupt:
            note("unfinished")
        except Exception as error:
            note("failed", error=one_line(error))
        return record


def worker() -> str:
    """The name of the worker, or else of the process, that this runs in."""
    with suppress(ImportError, ValueError):
        from distributed import get_worker

        return str(get_worker().name)
    return multiprocessing.current_process().name
