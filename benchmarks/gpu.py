"""What to do with a GPU that is there for a short time: parts in order, each with its own limit.

    python benchmarks/gpu.py --minutes 8 --out DIR [--only PART …] [--small]

The commands of a part run side by side. What they found is in DIR as soon as the part ends: how each ended
and what it printed last in gpu.json, a published run as NAME.tar, all courses on the validation split in
courses.tar. Called again it does what is left. ``--small`` plays the same parts on digits: a rehearsal.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "book" / "results"
PUBLISHING = 20.0  # seconds kept of the time for publishing a part's runs
GAN = (sys.executable, "-m", "gan")


@dataclass(frozen=True)
class Part:
    """Commands that run side by side for at most ``seconds``; with ``trains`` each makes a run."""

    seconds: float
    commands: Mapping[str, Sequence[str]]
    trains: bool = True
    publishes: bool = True


def sweep(recipe: str, *options: str, every: int = 25, **fields: object) -> list[str]:
    """A training that is followed on the validation split."""
    given = [word for field, value in fields.items() for word in ("-p", field, str(value))]
    return [*GAN, "sweep", recipe, "--follow", *given, "--every", str(every), *options]


def beginning(recipe: str, updates: int, *options: str, name: str = "beginning") -> list[str]:
    """A recipe's first updates, looked at as they go; written to RECIPE-NAME.json."""
    return [
        *GAN,
        "beginning",
        recipe,
        "--updates",
        str(updates),
        "--out",
        f"{{out}}/{recipe}-{name}.json",
        *options,
    ]


SEARCHED = (0.1, 0.12, 0.15, 0.2, 0.25, 0.3, 0.35)
"""Learning rates at which the alternating form may work: below the authors' 0.1 it does not."""


def searched(results: Path) -> float:
    """The rate with the best last figure on the validation split, the mean over seeds, if none failed."""
    figures: dict[float, list[float]] = {}
    for path in results.glob("sweep/alternating-[0-9]*-s?.json"):
        record = json.loads(path.read_text())
        figures.setdefault(record["recipe"]["learning_rate"], []).append(record["scores"][-1]["mean"])
    seeds = max(map(len, figures.values()), default=0)
    means = {rate: sum(found) / seeds for rate, found in figures.items() if len(found) == seeds}
    return max(means, key=lambda rate: means[rate], default=0.2)


def parts(small: bool, results: Path = RESULTS) -> dict[str, Part]:
    """Every part by its name, the most wanted first; ``small`` ones play on digits.

    What was searched before is in ``results``.
    """
    tests = [sys.executable, "-m", "pytest", "-q", "-c", str(ROOT / "pyproject.toml")]
    tests += ["-p", "no:cacheprovider", str(ROOT / "tests/test_engine.py"), "-k", "cuda"]
    bench = [*GAN, "bench", "--out", "{out}/bench.json"]
    if small:
        few = sweep("digits", epochs=2, every=1)
        return {
            "tests": Part(90, {"tests": [*tests, "--collect-only"]}, trains=False),
            "seeds": Part(90, {"mnist-s1": few, "mnist-s2": few}),
            "alternating": Part(90, {f"alternating-{rate}-s0": few for rate in (0.1, 0.3)}, publishes=False),
            "alternating-seeds": Part(
                90, {"digits": sweep("digits", epochs=2, learning_rate=searched(results))}
            ),
            "beginnings": Part(90, {"digits-beginning": beginning("digits", 20)}, trains=False),
            "bench": Part(90, {"bench": [*bench, "nearest", "--rounds", "1"]}, trains=False),
        }
    three = {0: "", 1: "-s1", 2: "-s2"}
    search = {
        f"alternating-{rate}-s{seed}": sweep(
            "mnist", updates="alternating", learning_rate=rate, epochs=15, every=5, seed=seed
        )
        for rate in SEARCHED
        for seed in (0, 1)
    }
    rate = searched(results)
    alternating = {
        f"mnist-alternating{s}": sweep("mnist-alternating", seed=n, learning_rate=rate)
        for n, s in three.items()
    }
    others: dict[str, dict[str, Any]] = {"k2": {"k": 2}, "k5": {"k": 5}, "minimax": {"loss": "minimax"}}
    several = {
        f"alternating-{what}{s}": sweep(
            "mnist-alternating", seed=n, epochs=100, every=10, learning_rate=rate, **fields
        )
        for what, fields in others.items()
        for n, s in three.items()
    }
    changed: dict[str, dict[str, Any]] = {
        "minimax": {"loss": "minimax"},
        "rate": {"learning_rate": 0.05},
        "decay": {"learning_rate_decay": 1.00006},
        "gaussian": {"noise": "gaussian"},
        "turns": {"updates": "alternating"},
    }
    ablation = {
        f"{what}-s{seed}": sweep("mnist", epochs=60, every=20, seed=seed, **fields)
        for what, fields in changed.items()
        for seed in three
    }
    halves = {f"bf16-s{n}": sweep("mnist", epochs=100, every=10, seed=n, precision="bf16") for n in three}
    engines = {  # which must agree: once, compiled, D won in the first epoch
        f"faces-{engine}": beginning(
            "faces", 60, "--every", "5", "--engine", engine, "-p", "precision", "bf16", name=engine
        )
        for engine in ("eager", "graph", "compiled")
    }
    begun = {
        f"{name}-beginning": beginning(name, 5000, "-p", "precision", "bf16")
        for name in ("faces", "cifar10-conv")
    }
    measured = ["pytorch_gan", "mnist", "parzen", "profile", "--rounds", "2"]
    return {
        "tests": Part(90, {"tests": tests}, trains=False),
        "engines": Part(60, engines, trains=False),
        "alternating": Part(90, search, publishes=False),
        "alternating-seeds": Part(300, alternating),
        "k": Part(130, several, publishes=False),
        "faces": Part(300, {"faces": sweep("faces", "--engine", "graph", every=50)}),
        "ablation": Part(150, ablation, publishes=False),
        "precision": Part(90, halves, publishes=False),
        "cifar10": Part(140, {"cifar10": sweep("cifar10", every=50)}),
        "cifar10-conv": Part(200, {"cifar10-conv": sweep("cifar10-conv", every=50, precision="bf16")}),
        "beginnings": Part(150, begun, trains=False),
        "bench": Part(150, {"bench": [*bench, *measured]}, trains=False),
    }


class Session:
    """A folder for what was found, one for runs in training, and the time that is left."""

    def __init__(self, out: Path, minutes: float) -> None:
        self.out, self.work = out, out.parent / f"{out.name}-work"
        self.ends = time.monotonic() + 60 * minutes
        self.state = out / "gpu.json"
        out.mkdir(parents=True, exist_ok=True)
        self.results = self.work / "book" / "results"  # not the repository's
        self.results.mkdir(parents=True, exist_ok=True)

    def done(self) -> dict[str, Any]:
        return json.loads(self.state.read_text()) if self.state.exists() else {}

    def play(self, part: Part) -> None:
        """Run what is left of ``part`` for as long as it and the session may, and keep what came of it."""
        before = self.done()
        todo = {name: c for name, c in part.commands.items() if before.get(name, {}).get("ended") != "done"}
        limit = min(part.seconds, self.ends - time.monotonic() - PUBLISHING * part.trains)
        if not todo or limit <= 0:
            return
        start = time.monotonic()
        running = {name: self.start(name, command, part.trains) for name, command in todo.items()}
        while (
            any(process.poll() is None for process in running.values()) and time.monotonic() - start < limit
        ):
            time.sleep(0.1)
        late = [process for process in running.values() if process.poll() is None]
        for process in late:
            process.send_signal(signal.SIGINT)  # which `gan` takes as Ctrl-C
        for process in late:
            try:
                process.wait(timeout=PUBLISHING)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if part.trains:
            self.keep(list(todo), part.publishes)
        for name, process in running.items():
            ended = f"failed ({process.returncode})" if process.returncode else "done"
            self.tell(name, "stopped by the clock" if process in late else ended, time.monotonic() - start)

    def start(self, name: str, command: Sequence[str], trains: bool = False) -> subprocess.Popen:
        words = [word.format(out=self.out) for word in command]
        if trains:
            words += ["--out", str(self.work / name)]
        with (self.work / f"{name}.log").open("ab") as log:
            paths = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
            env = os.environ | {"PYTHONPATH": paths}
            return subprocess.Popen(
                words, cwd=self.work, env=env, stdout=log, stderr=log, start_new_session=True
            )

    def keep(self, names: Sequence[str], publishes: bool) -> None:
        """Publish the runs as they stand, pack each, and pack all courses."""
        options = ["--unfinished", "--replace"]
        commands = {name: [*GAN, "publish", str(self.work / name), name, *options] for name in names}
        for process in [self.start(name, commands[name]) for name in names if publishes]:
            process.wait()
        for name in names:
            if (self.results / name).exists() and publishes:
                with tarfile.open(self.out / f"{name}.tar", "w") as tar:
                    tar.add(self.results / name, name)
        with tarfile.open(self.out / "courses.tar", "w") as tar:
            for folder in sorted(self.work.iterdir()):
                if (path := self.results / "sweep" / f"{folder.name}.json").exists():
                    tar.add(path, path.name)

    def tell(self, name: str, ended: str, seconds: float) -> None:
        log = (self.work / f"{name}.log").read_text(errors="replace").replace("\r", "\n")
        printed = [line for line in log.splitlines() if not re.search(r"\d(it/s|s/it)|\?it/s", line)]
        found = {"ended": ended, "seconds": round(seconds, 1), "printed": printed[-40:]}
        self.state.write_text(json.dumps(self.done() | {name: found}, indent=1, ensure_ascii=False) + "\n")
        print(f"{name:24} {ended} after {seconds:.0f} s", flush=True)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, required=True, help="how long the GPU is there")
    parser.add_argument("--out", type=Path, required=True, help="the folder for what is found")
    parser.add_argument("--small", action="store_true", help="a rehearsal on digits")
    parser.add_argument("--only", nargs="*", help="only these parts")
    arguments = parser.parse_args(argv)
    known = parts(arguments.small)
    if unknown := set(arguments.only or ()) - set(known):
        parser.error(f"there is no part {', '.join(sorted(unknown))}; there are: {', '.join(known)}")
    signal.signal(signal.SIGINT, signal.default_int_handler)  # the shell may have had it ignored
    session = Session(arguments.out.resolve(), arguments.minutes)
    for name in arguments.only or known:
        session.play(parts(arguments.small, session.results)[name])


if __name__ == "__main__":
    main()
