"""What saving costs: the share of a training's time that goes into its checkpoints.

    python benchmarks/saving.py [RECIPE …] [--minutes 20] [--out FILE]

Writes book/results/saving.json, a row for each recipe (default: mnist and cifar10), which is trained for so
many minutes as `gan train` would, on one thread; "saving" is all that stands still while a checkpoint is
made and brought to the disk, "looking" the search for what is no longer finite.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from pathlib import Path
from typing import Any

import torch

import gan
from gan import training

ROOT = Path(__file__).resolve().parents[1]


class Clock:
    """Adds up the seconds that go into what it is put around; stops a training when its time is over."""

    def __init__(self, minutes: float) -> None:
        self.seconds = {"saving": 0.0, "looking": 0.0}
        self.calls = dict.fromkeys(self.seconds, 0)
        self.end = time.perf_counter() + 60 * minutes

    def around(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def timed(*args: Any, **how: Any) -> Any:
            begun = time.perf_counter()
            result = function(*args, **how)
            self.seconds[name] += time.perf_counter() - begun
            self.calls[name] += 1
            if time.perf_counter() > self.end:
                raise KeyboardInterrupt
            return result

        return timed


def measure(name: str, minutes: float) -> dict[str, Any]:
    """The shares of ``name``'s training; a checkpoint's size, MB."""
    save, trouble, clock = training.Checkpoints.save, training.Game.trouble, Clock(minutes)
    begun = time.perf_counter()
    try:
        training.Checkpoints.save = clock.around("saving", save)  # type: ignore[method-assign]
        training.Game.trouble = clock.around("looking", trouble)  # type: ignore[method-assign]
        with tempfile.TemporaryDirectory() as folder, suppress(KeyboardInterrupt):
            try:
                gan.train(gan.recipe(name), folder, progress=False)
            finally:
                seconds = time.perf_counter() - begun
                size = max(path.stat().st_size for path in Path(folder).iterdir())
    finally:
        training.Checkpoints.save, training.Game.trouble = save, trouble  # type: ignore[method-assign]
    shares = {key: round(100 * spent / seconds, 2) for key, spent in clock.seconds.items()}
    told = {"minutes": round(seconds / 60, 1), "saves": clock.calls["saving"], "mb": round(size / 1e6)}
    return told | shares


def main() -> None:
    parser = argparse.ArgumentParser(description="measure what saving costs")
    parser.add_argument("recipes", nargs="*", default=["mnist", "cifar10"])
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--out", type=Path, default=ROOT / "book/results/saving.json")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    record: dict[str, Any] = {
        "machine": gan.engine.describe(gan.engine.pick_device("cpu")),
        "commit": gan.runs.commit(),
    }
    for name in arguments.recipes:
        record[name] = measure(name, arguments.minutes)
        print(name, record[name], flush=True)
    gan.durable.write_json(arguments.out, record)
    print(f"written to {arguments.out}")


if __name__ == "__main__":
    main()
