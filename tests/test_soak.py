"""Training over and over in one process, for $SOAK_MINUTES (60): memory and open files stay as they are."""

import os
import time
from pathlib import Path
from statistics import median

import psutil
import pytest
from reliability import record

import gan

LOOK = 5.0  # minutes between two lines of the record
GROWTH = 8_000_000  # bytes, of more than which one would see a leak in an hour of some hundred trainings

Look = tuple[float, int, int]


def flat(looks: list[Look]) -> dict[str, float]:
    """Of (minutes, bytes, open files), a line a training: how the last third is beside the second."""
    third = len(looks) // 3
    second, last = looks[third : 2 * third], looks[2 * third :]
    return {
        "minutes": round(looks[-1][0], 1),
        "trainings": len(looks),
        "memory": round(median(memory for _, memory, _ in last)),
        "growth": round(median(m for _, m, _ in last) - median(m for _, m, _ in second)),
        "files": max(files for _, _, files in last),
        "more_files": max(f for _, _, f in last) - max(f for _, _, f in second),
    }


@pytest.mark.soak
def test_memory_and_open_files_stay_flat(tmp_path: Path) -> None:
    minutes, process, looks = float(os.environ.get("SOAK_MINUTES", 60)), psutil.Process(), list[Look]()
    start = told = time.monotonic()
    while not looks or looks[-1][0] < minutes:
        recipe = gan.recipe("digits", epochs=20, seed=len(looks))
        run = gan.train(recipe, tmp_path / "run", device="cpu", progress=False, overwrite=True)
        run.estimate()
        looks.append(((time.monotonic() - start) / 60, process.memory_info().rss, process.num_fds()))
        if time.monotonic() - told > 60 * LOOK and len(looks) >= 3:
            told = time.monotonic()
            record("soak", **flat(looks))
    assert len(looks) >= 6, f"{minutes} minutes are too few"
    found = flat(looks)
    record("soak", **found)
    assert found["growth"] < GROWTH and not found["more_files"], found


def test_a_leak_is_seen() -> None:
    steady = [(n / 2, 500_000_000 + 1_000_000 * (n % 3), 20) for n in range(60)]
    assert flat(steady)["growth"] < GROWTH and not flat(steady)["more_files"]
    assert flat([(n, 500_000_000 + 500_000 * n, 20) for n in range(60)])["growth"] > GROWTH
    assert flat([(n, 500_000_000, 20 + n) for n in range(60)])["more_files"] > 0
