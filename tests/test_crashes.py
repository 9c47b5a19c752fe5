"""A run of `gan` that is killed, finds the disk full, or loses its power at any moment loses nothing by it.

A crash is put before each call that changes a file (`faults`), and at random moments; then the same is done
again, without one, and what comes of it must be what comes of it undisturbed, bit for bit. Here a few moments
of each kind, in `make soak` all of them.
"""

import json
import random
import re
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from faults import RECIPE, End, Warm
from reliability import record

import gan

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="faults.c is for Linux"),
]
SAMPLE = 2  # moments of each kind that `make test` tries
KILLED = -signal.SIGKILL


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warm]:
    if not shutil.which("cc"):
        pytest.skip("cc not found")
    warm = Warm(tmp_path_factory.mktemp("faults"))
    yield warm
    warm.close()


@pytest.fixture(scope="module")
def trained(warm: Warm, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, End]:
    """A folder in which a training went undisturbed, and how it ended."""
    root = tmp_path_factory.mktemp("trained") / "root"
    end = warm.do("train", root)
    assert end.status == 0, end.said
    return root, end


@pytest.fixture(scope="module")
def ready(warm: Warm, trained: tuple[Path, End], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two runs of a recipe, one of them published, for the other to come in its place."""
    root = tmp_path_factory.mktemp("ready") / "root"
    shutil.copytree(trained[0], root)
    time.sleep(1 - time.time() % 1)  # two trainings that begin in the same second are one in started.csv
    assert warm.do("train", root, options={"out": "longer", "fields": ["-p", "epochs", "3"]}).status == 0
    assert warm.do("publish", root, options={"run": "longer"}).status == 0
    return root


Progress = tuple[int, int]


def progress(folder: Path) -> Progress:
    """How far what is kept in a run's folder has come: finished epochs, and updates of the next."""
    found = [(0, 0)]
    for path in folder.glob("*.pt"):
        with suppress(ValueError):  # damaged
            state = gan.runs.read_checkpoint(path).state
            found.append((len(state["history"]), state["epoch"].get("done", 0)))
    return max(found)


def crash(
    warm: Warm,
    root: Path,
    job: str,
    how: str,
    moments: range | None,
    survived: Callable[[Path, End], None],
    start: Path | None = None,
    **options: Any,
) -> Counter[str]:
    """Let ``job`` crash before each of ``moments``, or all there are, and see what ``survived``.

    Each time it begins in a copy of ``start``. Counts what was about to be done at the moments, by kind.
    """
    calls: list[str] = []
    number = 0
    for number in moments or count(1):
        place = root / f"{job}-{how}-{number}"
        if start:
            shutil.copytree(start, place)
        end = warm.do(job, place, at=number, how=how, options=options)
        assert not end.traceback, f"{place}: {end.traceback}"
        if end.calls and number > len(end.calls):  # there is no such moment
            calls = end.calls
        survived(place, end)
        for path in root.glob(f"{place.name}*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        if calls:
            break
    return Counter(calls[: number - 1])


def spread(end: End) -> range:
    """SAMPLE moments of those that ``end`` had."""
    step = len(end.calls) // SAMPLE
    return range(step // 2, len(end.calls), step)


def again(warm: Warm, job: str, expected: Any) -> Callable[[Path, End], None]:
    """A check that a killed ``job``, done again where it was, comes to what is ``expected``."""

    def check(place: Path, killed: End) -> None:
        assert killed.status in (KILLED, 0), killed.said
        end = warm.do(job, place)
        assert (end.status, end.result) == (0, expected), f"{place}: {end.said} {end.traceback}"

    return check


def goes_on(warm: Warm, job: str, expected: Any) -> Callable[[Path, End], None]:
    """The same of a training, and of what a power cut leaves; all that was saved but the last is there."""
    kept = [(0, 0)]

    def check(place: Path, killed: End) -> None:
        kept.append(max(kept[-1], progress(place / "run")))
        safe = max((n for n in kept if n < kept[-1]), default=kept[0]) if killed.status else kept[-1]
        for folder in lefts(place):
            assert progress(folder / "run") >= safe, f"{folder} has lost what was saved"
            again(warm, job, expected)(folder, killed)

    return check


def lefts(place: Path) -> list[Path]:
    """What a crash left: the folder itself, or after a power cut what that may leave of it."""
    return [p for p in (Path(f"{place}.undone"), Path(f"{place}.done")) if p.exists()] or [place]


def refused(warm: Warm, expected: Any) -> Callable[[Path, End], None]:
    """A check that a full disk is told in a line, and lost nothing."""

    def check(place: Path, end: End) -> None:
        assert end.status in (0, 2), f"{end.status}: {end.said}"
        told = [line for line in end.said if "No space left on device" in line or "File too large" in line]
        assert len(told) == len(end.said) and (told or not end.status), end.said
        assert end.status != 2 or "warning" not in end.said[-1]
        again(warm, "train", expected)(place, End(0, []))

    return check


def test_a_training_that_is_killed_goes_on(warm: Warm, trained: tuple[Path, End], tmp_path: Path) -> None:
    crash(warm, tmp_path, "train", "torn", spread(trained[1]), goes_on(warm, "train", trained[1].result))


def test_a_training_that_lost_its_power_goes_on(
    warm: Warm, trained: tuple[Path, End], tmp_path: Path
) -> None:
    crash(warm, tmp_path, "train", "cut", spread(trained[1]), goes_on(warm, "train", trained[1].result))


def test_a_full_disk_is_told_and_loses_nothing(warm: Warm, trained: tuple[Path, End], tmp_path: Path) -> None:
    survived = refused(warm, trained[1].result)
    crash(warm, tmp_path, "train", "full", spread(trained[1])[-2:-1], survived)
    crash(warm, tmp_path, "train", "once", spread(trained[1])[-1:], survived)


@pytest.mark.soak
@pytest.mark.parametrize("how", ["kill", "torn", "cut", "full", "once"])
def test_a_training_survives_every_moment(
    warm: Warm, trained: tuple[Path, End], tmp_path: Path, how: str
) -> None:
    start, expected = time.monotonic(), trained[1].result
    full = how in ("full", "once")
    survived = refused(warm, expected) if full else goes_on(warm, "train", expected)
    counts = crash(warm, tmp_path, "train", how, None, survived)
    assert {"write", "fsync", "rename", "unlink"} <= {*counts}
    if full or how == "torn":  # which only writes are
        counts = Counter(write=counts["write"])
    record(f"train {how}", cases=counts.total(), **counts, seconds=round(time.monotonic() - start))


def test_a_file_size_limit_is_told_too(warm: Warm, trained: tuple[Path, End], tmp_path: Path) -> None:
    end = warm.do("train", tmp_path / "root", options={"largest": 20_000})
    assert end.status == 2
    refused(warm, trained[1].result)(tmp_path / "root", end)


def old_or_new(warm: Warm, start: Path, whole: Any, old: Any) -> Callable[[Path, End], None]:
    """A check that what is published is whole, and after another try the new."""

    def check(place: Path, killed: End) -> None:
        for folder in lefts(place):
            end = warm.do("published", folder)
            assert end.status == 0 and end.result in (old, whole), f"{folder}: {end.said} {end.traceback}"
            end = warm.do("publish", folder)
            assert (end.status, end.result) == (0, whole), f"{folder}: {end.said} {end.traceback}"
            started = (folder / "book/results/started.csv").read_text("utf-8")
            assert started.count("digits") == 2, started

    return check


def publishing(warm: Warm, ready: Path, root: Path) -> tuple[End, Callable[[Path, End], None]]:
    shutil.copytree(ready, root / "whole")
    old = warm.do("published", root / "whole").result
    end = warm.do("publish", root / "whole")
    assert end.status == 0 and end.result != old, end.said
    return end, old_or_new(warm, ready, end.result, old)


def test_what_is_published_is_the_old_or_the_new(warm: Warm, ready: Path, tmp_path: Path) -> None:
    end, survived = publishing(warm, ready, tmp_path)
    last = len(end.calls) - end.calls[::-1].index("rename")
    crash(warm, tmp_path, "publish", "cut", range(last - 1, last), survived, ready)


@pytest.mark.soak
@pytest.mark.parametrize("how", ["kill", "cut"])
def test_publishing_survives_every_moment(warm: Warm, ready: Path, tmp_path: Path, how: str) -> None:
    start = time.monotonic()
    _, survived = publishing(warm, ready, tmp_path)
    counts = crash(warm, tmp_path, "publish", how, None, survived, ready)
    assert {"write", "fsync", "rename"} <= {*counts}
    record(f"publish {how}", cases=counts.total(), **counts, seconds=round(time.monotonic() - start))


@pytest.mark.soak
@pytest.mark.parametrize("how", ["kill", "cut"])
def test_a_sweep_survives_every_moment(warm: Warm, tmp_path: Path, how: str) -> None:
    start = time.monotonic()
    whole = warm.do("sweep", tmp_path / "whole")
    assert whole.status == 0 and whole.result[1]

    def survived(place: Path, killed: End) -> None:
        for folder in lefts(place):
            for file in (folder / "results").glob("*.json") if (folder / "results").exists() else ():
                assert json.loads(file.read_text("utf-8"))["scores"]
        resumed(place, killed)

    resumed = goes_on(warm, "sweep", whole.result)
    counts = crash(warm, tmp_path, "sweep", how, None, survived)
    record(f"sweep {how}", cases=counts.total(), **counts, seconds=round(time.monotonic() - start))


def whole_cache(warm: Warm, root: Path, how: str, moments: range | None) -> Counter[str]:
    whole = warm.do("fetch", root / "whole")
    assert whole.status == 0, whole.said

    def survived(place: Path, killed: End) -> None:
        for folder in lefts(place):
            if there := (file := folder / "mnist.npz").exists():
                with np.load(file) as arrays:
                    assert len(arrays["x_train"]) == 60
            again(warm, "fetch", whole.result)(folder, killed)
            assert there or [path.name for path in folder.iterdir()] == ["mnist.npz"]

    return crash(warm, root, "fetch", how, moments, survived)


def test_the_data_cache_has_all_or_nothing(warm: Warm, tmp_path: Path) -> None:
    whole_cache(warm, tmp_path, "cut", range(10, 18, 2))


@pytest.mark.soak
@pytest.mark.parametrize("how", ["kill", "cut"])
def test_the_data_cache_survives_every_moment(warm: Warm, tmp_path: Path, how: str) -> None:
    start = time.monotonic()
    counts = whole_cache(warm, tmp_path, how, None)
    assert {"write", "fsync", "rename"} <= {*counts}
    record(f"fetch {how}", cases=counts.total(), **counts, seconds=round(time.monotonic() - start))


def killed_at_random(
    warm: Warm, trained: tuple[Path, End], root: Path, times: int, seed: int
) -> Iterator[Path]:
    """Trainings into which SIGKILL came once they had begun, and before they ended: their folders."""
    rng, found = random.Random(seed), 0
    for number in count():
        place = root / f"{number}"
        after = rng.uniform(0, trained[1].seconds)
        end = warm.do("train", place, signal=signal.SIGKILL, after=after)
        if end.status == KILLED:
            found += 1
            yield place
        shutil.rmtree(place)
        if found == times:
            return


def test_a_kill_at_any_time_loses_nothing(warm: Warm, trained: tuple[Path, End], tmp_path: Path) -> None:
    for place in killed_at_random(warm, trained, tmp_path, 1, seed=0):
        again(warm, "train", trained[1].result)(place, End(KILLED, []))


@pytest.mark.soak
def test_kills_at_many_times_lose_nothing(warm: Warm, trained: tuple[Path, End], tmp_path: Path) -> None:
    start, parts = time.monotonic(), 0
    for place in killed_at_random(warm, trained, tmp_path, 200, seed=1):
        parts += any(place.glob("run/.*.part"))
        again(warm, "train", trained[1].result)(place, End(KILLED, []))
    record("sigkill", cases=200, while_writing=parts, seconds=round(time.monotonic() - start))


CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}


def stopped(warm: Warm, trained: tuple[Path, End], place: Path, which: int, after: float) -> bool:
    """Send a signal to a training that saves only then; whether it came before the end."""
    end = warm.do("train", place, signal=which, after=after, every=1000.0)
    finished = progress(place / "run") == (RECIPE["epochs"], 0)
    if not finished:
        assert end.status == CODES[signal.Signals(which)] and not end.traceback, end
        assert len(end.said) == 1 and re.search("stopped.*goes on", end.said[0]), end.said
        assert progress(place / "run") > (0, 0) and not list(place.glob("run/.*.part"))
    again(warm, "train", trained[1].result)(place, End(0, []))
    return not finished


def test_a_signal_stops_a_training_which_goes_on(
    warm: Warm, trained: tuple[Path, End], tmp_path: Path
) -> None:
    tries = (stopped(warm, trained, tmp_path / f"{n}", signal.SIGTERM, 0.01 * n) for n in range(5))
    assert any(tries)


@pytest.mark.soak
def test_signals_at_many_moments(warm: Warm, trained: tuple[Path, End], tmp_path: Path) -> None:
    start, rng, counts = time.monotonic(), random.Random(2), Counter[str]()
    long = warm.do("train", tmp_path / "undisturbed", every=1000.0).seconds
    for number in count():
        which = [*CODES][number % 3]
        after = rng.uniform(0, long / 2)
        counts[which.name] += stopped(warm, trained, tmp_path / f"{number}", which, after)
        if counts and min(counts[one.name] for one in CODES) >= 30:
            break
    record("signals", cases=counts.total(), **counts, seconds=round(time.monotonic() - start))


def one_goes_on(warm: Warm, tmp_path: Path) -> None:
    """Of four trainings in one folder; the others say why they don't."""
    end = warm.do("several", tmp_path / "one", options={"folders": ["one"] * 4, "epochs": 60}, every=5.0)
    codes, said, digests = end.result
    assert sorted(codes) == [0, 2, 2, 2], said
    for code, text in zip(codes, said, strict=True):
        lines = [line for line in re.split(r"[\r\n]", text) if line.startswith("gan: ")]
        assert len(lines) == (code != 0) and "Traceback" not in text
        assert not code or re.fullmatch("gan: .* is being trained by another process: .*", lines[0])
    alone = warm.do("train", tmp_path / "one-alone", options={"fields": ["-p", "epochs", "60"]}, every=5.0)
    assert digests == {"one": alone.result}


@pytest.mark.soak
def test_trainings_at_once_do_not_disturb_each_other(warm: Warm, tmp_path: Path) -> None:
    names = [str(n) for n in range(8)]
    end = warm.do("several", tmp_path / "root", options={"folders": names, "epochs": 200}, every=0.1)
    codes, said, digests = end.result
    assert codes == [0] * 8, said
    alone = warm.do("train", tmp_path / "alone", options={"fields": ["-p", "epochs", "200"]}, every=5.0)
    assert digests == dict.fromkeys(names, alone.result)
    one_goes_on(warm, tmp_path)
    record("at once", trainings=8, one_folder=4, seconds=round(end.seconds))
