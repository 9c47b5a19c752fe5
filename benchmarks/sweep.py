"""What a sweep costs beside its runs: time per task, from one worker to two, and with many light workers.

    python benchmarks/sweep.py [--tasks 1000] [--out FILE]

Writes book/results/overhead.json. "nothing" are tasks without any work: all that is left is the sweep's.
"runs" are tiny trainings, "alone" the same trainings without a sweep. "light" workers are threads of one
process, their tasks sleep: what the scheduler and the records bear, whatever the cores.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
from distributed import Client, LocalCluster

sys.path.insert(0, str(Path(__file__).parent))
import gan
from gan import sweep

ROOT = Path(__file__).resolve().parents[1]
TINY: dict[str, Any] = {"g_hidden": [8, 8], "d_hidden": [8], "d_pieces": 2, "batch_size": 300, "epochs": 1}
CLUSTER: dict[str, Any] = {"threads_per_worker": 1, "memory_limit": 0, "dashboard_address": ":0"}


def idle(seconds: float, made: Path, look: Any) -> dict[str, Any]:
    time.sleep(seconds)
    made.touch()
    return {}


def nothing(seconds: float, parameters: dict[str, Any]) -> sweep.Task:
    return sweep.Task("nothing", f"task-{parameters['n']}", parameters, parameters, partial(idle, seconds))


def cpu(client: Client) -> float:
    """Seconds of CPU that this process, with the scheduler, and all workers have used so far."""

    def used() -> tuple[int, float]:
        return os.getpid(), sum(psutil.Process().cpu_times()[:2])

    return sum(dict([used(), *client.run(used).values()]).values())


def swept(cluster: Any, workers: int, what: Any, grid: dict[str, Any]) -> dict[str, Any]:
    """Wall and CPU time of a sweep, whose workers have begun before."""
    with tempfile.TemporaryDirectory() as folder, Client(cluster) as client:
        client.wait_for_workers(workers)
        client.run(lambda: gan.data.load("digits"))
        start, before = time.perf_counter(), cpu(client)
        how: dict[str, Any] = {} if callable(what) else {"split": "none"}
        table = sweep.run(what, grid, folder, scheduler=cluster, progress=False, **how)
        seconds, used = time.perf_counter() - start, cpu(client) - before
    if set(table["status"]) != {"finished"} or set(table["attempts"]) != {1}:
        raise RuntimeError(f"not all done once: {table['status'].value_counts()}")
    n = len(table)
    each = {"ms": round(1e3 * seconds / n, 2), "cpu_ms": round(1e3 * used / n, 2)}
    return {"workers": workers, "tasks": n, "seconds": round(seconds, 2), **each}


def alone(n: int) -> dict[str, Any]:
    """The same trainings, one after the other in this process, without a sweep."""
    start, before = time.perf_counter(), time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(n):
            gan.train(gan.recipe("digits", **TINY, seed=seed), f"{folder}/{seed}", progress=False)
    seconds, used = time.perf_counter() - start, time.process_time() - before
    return {"tasks": n, "ms": round(1e3 * seconds / n, 2), "cpu_ms": round(1e3 * used / n, 2)}


def measure(tasks: int, say: Callable[[str], None]) -> dict[str, Any]:
    rows: dict[str, Any] = {"nothing": {}, "runs": {}, "light": {}}  # by workers
    fixed = {field: [value] for field, value in TINY.items()}
    few = max(2, tasks // 10)
    alone(2)
    for workers in (1, 2):
        with LocalCluster(n_workers=workers, **CLUSTER) as cluster:
            swept(cluster, workers, "digits", fixed | {"seed": range(2 * workers)})  # imports
            rows["nothing"][f"{workers}"] = swept(
                cluster, workers, partial(nothing, 0.0), {"n": range(tasks)}
            )
            rows["runs"][f"{workers}"] = swept(cluster, workers, "digits", fixed | {"seed": range(few)})
        say(f"{workers}: {rows['nothing'][f'{workers}']} {rows['runs'][f'{workers}']}")
    rows["alone"] = alone(few)
    sweep.ALONE = nullcontext()  # type: ignore[assignment]  # threads, which only sleep
    for workers in (10, 100):
        with LocalCluster(n_workers=workers, processes=False, **CLUSTER) as cluster:
            row = swept(cluster, workers, partial(nothing, 1.0), {"n": range(min(tasks, 10 * workers))})
        rows["light"][f"{workers}"] = row | {"ideal": row["tasks"] / workers}
        say(f"light {rows['light'][f'{workers}']}")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description="measure what a sweep costs beside its runs")
    parser.add_argument("--tasks", type=int, default=1000)
    parser.add_argument("--out", type=Path, default=ROOT / "book/results/overhead.json")
    arguments = parser.parse_args()
    begun, start = datetime.now(UTC).isoformat(timespec="seconds"), time.perf_counter()
    load = os.getloadavg()[0]
    rows = measure(arguments.tasks, lambda text: print(text, flush=True))
    record = {
        "machine": f"{gan.engine.describe(gan.engine.pick_device('cpu'))}, {os.cpu_count()} cores",
        "load": round(load, 1),
        "python": sys.version.split()[0],
        "versions": {name: version(name) for name in ("distributed", "torch")},
        "started": begun,
        "seconds": round(time.perf_counter() - start, 1),
        "commit": gan.runs.commit(),
        "speedup": round(rows["runs"]["1"]["ms"] / rows["runs"]["2"]["ms"], 2),
        **rows,
    }
    gan.durable.write_json(arguments.out, record)
    print(f"written to {arguments.out}")


if __name__ == "__main__":
    main()
