"""Kills, full disks and power cuts at a chosen moment, in children of one process that has imported gan.

`Warm` starts that process with faults.c below it, so that whatever changes a file is counted, whoever does
it; each child is forked after the imports, and lives for a fraction of a second.
"""

from __future__ import annotations

import ctypes
import errno
import gc
import hashlib
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
GO, DIE, TORN = 0, -1, -2  # as in faults.c
RECIPE = {"epochs": 2, "g_hidden": [16, 16], "d_hidden": [8, 8], "d_pieces": 2, "batch_size": 500}
TINY = [word for name, value in RECIPE.items() for word in ("-p", name, str(value))]


@dataclass
class End:
    """How a child ended: its exit status, minus the signal that killed it; what gan said, line by line."""

    status: int
    said: list[str]
    traceback: str = ""
    calls: list[str] = field(default_factory=list)
    """What it did to files, call by call: write, fsync, rename or unlink."""
    result: Any = None
    seconds: float = 0.0


class Warm:
    """A process that has imported gan, and forks a child for each `do`."""

    def __init__(self, folder: Path, **environment: str) -> None:
        library = folder / "faults.so"
        command = ["cc", "-O1", "-shared", "-fPIC", "-o", library, HERE / "faults.c", "-ldl"]
        subprocess.run(command, check=True)
        environment = {**os.environ, "LD_PRELOAD": str(library), "OMP_NUM_THREADS": "1", **environment}
        self.process = subprocess.Popen(
            [sys.executable, __file__, library],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def do(self, job: str, root: Path, **order: Any) -> End:
        """Do ``job``, one of JOBS, in ``root``.

        Before the ``at``-th call that changes a file below ``root``, ``how``: "kill", "torn" (in the middle
        of a write), "full" (from then on no write succeeds), "once" (this one does not), "cut" (`Disk`).
        Or ``signal`` comes ``after`` so many seconds of training. A checkpoint is written at
        every step, or ``every`` so many seconds; ``options`` are the job's.
        """
        assert self.process.stdin and self.process.stdout
        root.mkdir(exist_ok=True)
        print(json.dumps({"job": job, "root": str(root), **order}), file=self.process.stdin, flush=True)
        end = json.loads(self.process.stdout.readline())
        said = Path(f"{root}.said").read_text("utf-8", "replace")
        lines = [line for line in re.split(r"[\r\n]", said) if line.startswith("gan: ")]
        return End(said=lines, traceback=said if "Traceback" in said else "", **end)

    def close(self) -> None:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()


class Node:
    """A file or a folder on the disk: what a power cut is sure to leave of it."""

    def __init__(self) -> None:
        self.content: bytes | None = None
        self.entries: dict[str, tuple[Node, bool]] = {}


class Disk:
    """A disk that keeps, for sure, of a file what was in it at its last fsync, of a folder its names then.

    What stands there at first is old, and kept. Of all else a power cut leaves either the ``newest`` names
    or none of them, and of what was written anything.
    """

    def __init__(self, root: Path) -> None:
        self.root, self.nodes = root, dict[int, Node]()
        for folder, _, files in os.walk(root):
            for path in (Path(folder), *(Path(folder, name) for name in files)):
                self.sync(path)

    def node(self, path: str | Path) -> Node:
        return self.nodes.setdefault(os.stat(path).st_ino, Node())

    def sync(self, path: Path) -> None:
        node = self.node(path)
        if path.is_dir():
            node.entries = {e.name: (self.node(e.path), e.is_dir()) for e in os.scandir(path)}
        else:
            node.content = path.read_bytes()

    def note(self, what: str, path: str, other: str) -> None:
        gone = path if what == "unlink" else other if what == "rename" else ""
        if what == "fsync":
            self.sync(Path(path))
        elif gone and os.path.lexists(gone):  # another may get its number
            self.nodes.pop(os.stat(gone).st_ino, None)

    def left(self, node: Node, target: Path, there: Path | None, newest: bool, junk: int) -> None:
        """Write what is left of ``node``, which is now ``there``, to the folder ``target``."""
        target.mkdir()
        entries = node.entries
        if newest and there:
            entries = {e.name: (self.node(e.path), e.is_dir()) for e in os.scandir(there)}
        for name, (inner, folder) in entries.items():
            now = there / name if there and newest else None
            if folder:
                self.left(inner, target / name, now, newest, junk)
            else:
                anything = (b"", b"\0" * 700, bytes(range(256)) * 3)[junk % 3]
                (target / name).write_bytes(anything if inner.content is None else inner.content)

    def cut(self, junk: int) -> None:
        """Leave what a power cut may, beside the root: names undone, names done."""
        for newest in (False, True):
            target = Path(f"{self.root}.{'done' if newest else 'undone'}")
            shutil.rmtree(target, ignore_errors=True)
            self.left(self.node(self.root), target, self.root, newest, junk)


class Plan:
    """What a child does to files below its root, and what happens at the call of its order."""

    def __init__(self, order: dict[str, Any]) -> None:
        self.root, self.calls = order["root"], list[str]()
        self.at, self.how = order.get("at", 0), order.get("how", "")
        self.disk = Disk(Path(order["root"])) if self.how == "cut" else None

    def __call__(self, what: bytes, file: int, path: bytes | None, other: bytes | None) -> int:
        try:
            where = os.fsdecode(path) if path else os.readlink(f"/proc/self/fd/{file}")
            if f"{os.path.abspath(where)}/".startswith(f"{self.root}/"):
                return self.answer(what.decode(), where, os.fsdecode(other or b""))
            return GO
        except BaseException:
            traceback.print_exc()
            os._exit(71)

    def answer(self, what: str, path: str, other: str) -> int:
        self.calls.append(what.replace("exchange", "rename"))
        n = len(self.calls)
        if self.disk and n < self.at:
            self.disk.note(what, path, other)
        if not self.at or n < self.at:
            return GO
        if self.disk:
            self.disk.cut(junk=n)
        if self.how in ("full", "once"):
            full = what == "write" and (n == self.at or self.how == "full")
            return errno.ENOSPC if full else GO
        return TORN if self.how == "torn" and what == "write" else DIE


def digest(folder: Path) -> str:
    """SHA-256 of a run's weights, of all their averages and of its history but for the seconds."""
    import gan

    run, found = gan.Run.load(folder), hashlib.sha256()
    networks = [run.discriminator, *(run.averaged(decay) for decay in (0, *sorted(run.state["averages"])))]
    for network in networks:
        for name, tensor in network.state_dict().items():
            found.update(name.encode() + tensor.numpy().tobytes())
    found.update(run.history.drop(columns="seconds").to_json(double_precision=15).encode())
    return found.hexdigest()


def command(*words: str) -> int:
    from gan.__main__ import main

    return main([*words])


def train(root: Path, out: str = "run", fields: tuple[str, ...] = (), largest: int = 0) -> Any:
    """Train, with no file larger than ``largest`` bytes; the run's digest, or the exit status."""
    if largest:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
    folder = root / out
    how = ["--average", "0.9", "--device", "cpu", *fields]
    return command("train", "digits", *TINY, "--out", str(folder), *how) or digest(folder)


def sweep(root: Path) -> Any:
    where = ["--out", str(root / "run"), "--results", str(root / "results")]
    status = command(
        "sweep", "digits", "--follow", *TINY, "--average", "0.9", "--device", "cpu", "--every", "1", *where
    )
    scores = status or json.loads((root / "results/run.json").read_text())["scores"]
    return status or [digest(root / "run"), scores]


def publish(root: Path, run: str = "run") -> Any:
    """``run`` in place of what is published."""
    (root / "book/results").mkdir(parents=True, exist_ok=True)
    os.chdir(root)
    return command("publish", str(root / run), "tiny", "--replace") or published(root)


def published(root: Path) -> Any:
    """Digests of a published run's files, which must be whole and sound; None where nothing stands there."""
    import gan

    folder = root / "book/results/tiny"
    if not folder.exists():
        return None
    run = gan.Run.load(folder)
    assert run.generator.parameters() and run.discriminator.parameters()
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
        if path.suffix not in (".json", "") and not path.name.startswith(".")  # but for times
    }


def fetch(root: Path) -> Any:
    """Download MNIST, from a host that is made up, and read it."""
    import numpy as np

    import gan

    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (60, 28, 28), dtype=np.uint8), np.arange(60) % 10
    arrays = {"x_train": x, "y_train": y, "x_test": x[:10], "y_test": y[:10]}
    gan.data.DOWNLOADS["mnist"] = lambda folder: arrays
    return gan.data.load("mnist", root).digest


def several(root: Path, folders: list[str], epochs: int) -> Any:
    """Trainings at once, one in each of ``folders``: how each ended, what it said, the folders' digests."""
    children = {}
    for number, folder in enumerate(folders):
        if not (child := os.fork()):
            said = os.open(root / f"{number}.said", os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
            os.dup2(said, 1), os.dup2(said, 2)
            end = train(root, folder, ("-p", "epochs", str(epochs)))
            sys.stdout.flush(), sys.stderr.flush()
            os._exit(end if isinstance(end, int) else 0)
        children[child] = number
    ends = {}
    for _ in folders:
        child, status = os.wait()
        ends[children[child]] = os.waitstatus_to_exitcode(status)
    said = [(root / f"{number}.said").read_text("utf-8") for number in range(len(folders))]
    return [[ends[n] for n in range(len(folders))], said, {f: digest(root / f) for f in sorted({*folders})}]


JOBS = {job.__name__: job for job in (train, sweep, publish, published, fetch, several)}


def child(order: dict[str, Any], pipe: int, library: ctypes.CDLL) -> None:
    """Do what is ordered, tell of it through ``pipe``, and end."""
    signal.alarm(300)  # rather than hang
    said = os.open(f"{order['root']}.said", os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
    os.dup2(said, 1), os.dup2(said, 2)
    keeping = sys.modules["gan.keeping"]
    keeping.SAVE_EVERY, signals = order.get("every", 0.0), keeping.signals

    @contextmanager
    def begin() -> Any:
        with signals() as received:
            os.write(pipe, b"\n")
            yield received

    keeping.signals = begin
    plan = Plan(order)
    asked = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_char_p)
    hook = asked(plan)
    library.watch(hook)
    start, result = time.monotonic(), None
    try:
        result = JOBS[order["job"]](Path(order["root"]), **order.get("options", {}))
        status = result if isinstance(result, int) else 0
    except (ValueError, OSError) as error:
        print(f"gan: {error}", file=sys.stderr)
        status = 2
    except BaseException:
        traceback.print_exc()
        status = 70
    library.watch(None)
    if plan.disk:
        plan.disk.cut(junk=0)
    sys.stdout.flush(), sys.stderr.flush()
    told = {"calls": plan.calls, "result": result, "seconds": time.monotonic() - start}
    with os.fdopen(pipe, "w") as end:
        end.write(json.dumps(told))
    os._exit(status)


def serve(library: ctypes.CDLL) -> None:
    """Fork a child for each order on stdin, and say on stdout how it ended."""
    for line in sys.stdin:
        order = json.loads(line)
        out, into = os.pipe()
        if not (number := os.fork()):
            os.close(out)
            child(order, into, library)
        os.close(into)
        told = os.read(out, 1)
        if "signal" in order and told:
            time.sleep(order["after"])
            with suppress(ProcessLookupError):
                os.kill(number, order["signal"])
        while part := os.read(out, 2**20):
            told += part
        _, status = os.waitpid(number, 0)
        os.close(out)
        end = json.loads(told.strip() or b"{}")
        print(json.dumps({"status": os.waitstatus_to_exitcode(status), **end}), flush=True)


if __name__ == "__main__":
    from tqdm import tqdm

    import gan
    import gan.book.ablation
    import gan.book.publishing
    import gan.book.started

    with tempfile.TemporaryDirectory() as scratch:  # what is imported and compiled at first use
        gan.train(gan.recipe("digits", **RECIPE), scratch, device="cpu", progress=False)
    commit = gan.runs.commit()
    gan.runs.commit = lambda: commit
    signal.signal(signal.SIGINT, signal.default_int_handler)  # both may have been ignored, as under nohup
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    tqdm.set_lock(threading.RLock())  # its own is one for all children: who is killed may hold it
    gc.freeze()  # so that children share these pages
    serve(ctypes.CDLL(sys.argv[1]))
