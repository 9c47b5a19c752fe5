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


AVERAGES = (0.99995, 0.99999, 0.999998, 0.9999996, 0.99999992)
"""Decays of averages of G's weights: of the last 40, 200, 1 000, 5 000 and 25 000 epochs of MNIST, or so."""


def parts(small: bool) -> dict[str, Part]:
    """Every part by its name, the most wanted first; ``small`` ones play on digits."""
    tests = [sys.executable, "-m", "pytest", "-q", "-c", str(ROOT / "pyproject.toml")]
    tests += ["-p", "no:cacheprovider", str(ROOT / "tests/test_engine.py"), "-k", "cuda"]
    bench = [*GAN, "bench", "--out", "{out}/bench.json"]
    if small:
        few = sweep("digits", epochs=2, every=1)
        return {
            "tests": Part(90, {"tests": [*tests, "--collect-only"]}, trains=False),
            "seeds": Part(90, {"mnist-s1": few, "mnist-s2": few}),
            "averages": Part(90, {"averages": few}, publishes=False),
            "beginnings": Part(90, {"digits-beginning": beginning("digits", 20)}, trains=False),
            "bench": Part(90, {"bench": [*bench, "nearest", "--rounds", "1"]}, trains=False),
        }
    alternating = {
        f"mnist-alternating{s}": sweep("mnist-alternating", seed=n, epochs=2000)
        for n, s in enumerate(("", "-s1", "-s2"))
    }
    windows = [word for decay in AVERAGES for word in ("--average", str(decay))]
    galatea = {"learning_rate": 0.006, "conv_rate": 0.05, "max_norm": 1.9365}  # the authors' working history
    convolutional = {
        "cifar10-conv": sweep("cifar10-conv", every=50, precision="bf16"),
        "cifar10-conv-galatea": sweep("cifar10-conv", every=50, precision="bf16", **galatea),
    }
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
        "faces": Part(300, {"faces": sweep("faces", "--engine", "graph", every=50)}),
        "averages": Part(240, {"averages": sweep("mnist", *windows, seed=3, epochs=1000)}, publishes=False),
        "alternating": Part(400, alternating),
        "cifar10": Part(140, {"cifar10": sweep("cifar10", every=50)}),
        "cifar10-conv": Part(200, convolutional),
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
        session.play(known[name])


if __name__ == "__main__":
    main()
