"""What `gan` does in a second, beside what a user would run instead; ratios measured side by side in one run.

`python -m gan bench` calls `main`. A row's contestants take turns, and its ratios are medians over the
rounds, so that a machine's slow minutes meet all of them. Beside ours stands the floor: the least
operations over the rate of matrix products, or the bytes over the rate of copies, whichever takes
longer; both rates are taken in the same rounds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import chain, count, islice
from pathlib import Path
from typing import Any

import numpy as np
import peers
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

import gan
from gan import data, engine, objective, parzen, runs, training

ROOT = Path(__file__).parents[1]
CHUNK = 0.7  # seconds that a contestant runs in each round
PEAK = """
import resource, sys, tempfile, torch, gan
from pathlib import Path

def highest():
    status = Path("/proc/self/status")
    if status.exists():  # on Linux ru_maxrss begins with what the parent has taken
        return int(status.read_text().split("VmHWM:")[1].split()[0]) / 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)

before = highest()
with tempfile.TemporaryDirectory() as folder:
    recipe = gan.recipe(sys.argv[1], epochs=1)
    options = {"device": sys.argv[2], "data_dir": sys.argv[3] or None}
    gan.train(recipe, folder, progress=False, engine="eager", **options)
print(before, highest(), torch.cuda.max_memory_allocated() / 2**20)
"""


class Products(TorchDispatchMode):
    """Keeps the factors of the matrix products that are made inside it."""

    def __init__(self) -> None:
        super().__init__()
        self.pairs: list[tuple[torch.Tensor, torch.Tensor]] = []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function in (torch.ops.aten.mm.default, torch.ops.aten.addmm.default):
            self.pairs.append(args[-2:])
        return function(*args, **(kwargs or {}))


class Bench:
    """A machine, its two rates, and the rows measured on it."""

    def __init__(self, device: torch.device, rounds: int, data_dir: str | None, peer: Path | None) -> None:
        self.device, self.rounds, self.data_dir, self.peer = device, rounds, data_dir, peer
        self.compiles = engine.choose("auto", device, max(engine.PAYS.values())) == "compiled"
        try:
            mnist = data.load("mnist", data_dir)
            self.train, self.test, self.images = mnist.x_train, mnist.x_test, "MNIST"
        except FileNotFoundError:
            rng = np.random.default_rng(0)
            self.train, self.test = (rng.integers(0, 256, (n, 28, 28), np.uint8) for n in (60_000, 10_000))
            self.images = "random images in MNIST's place"
        self.factors = {precision: self.factor(precision) for precision in ("fp32", "bf16")}
        self.block = torch.randn(2**26, device=device)
        self.copy = torch.empty_like(self.block)
        self.rates: dict[str, list[float]] = {"fp32": [], "bf16": [], "copy": []}
        self.rows: list[dict[str, Any]] = []

    def factor(self, precision: str) -> tuple[torch.Tensor, torch.Tensor]:
        """A square matrix, small where bfloat16 is only emulated, and room for its product with itself."""
        n = 8192 if self.device.type == "cuda" else 2048
        if precision == "bf16" and not has_bf16(self.device):
            n = 256
        a = torch.randn(n, n, device=self.device)
        a = a.bfloat16() if precision == "bf16" else a
        return a, torch.empty_like(a)

    def third(self, function: Callable[[], Any]) -> float:
        """Seconds of the third call in a row."""
        return [self.seconds(function) for _ in range(3)][-1]

    def measure_rates(self) -> dict[str, float]:
        """Operations a second in a matrix product, bytes a second read and written by a copy; now."""
        found = {}
        for precision, (a, out) in self.factors.items():
            found[precision] = 2 * len(a) ** 3 / self.third(partial(torch.mm, a, a, out=out))
        found["copy"] = 2 * self.block.nbytes / self.third(lambda: self.copy.copy_(self.block))
        for key, rate in found.items():
            self.rates[key].append(rate)
        return found

    def seconds(self, function: Callable[[], Any]) -> float:
        """The time of one call, to the end of what it started on the device."""
        start = time.perf_counter()
        function()
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - start

    def row(
        self,
        name: str,
        unit: str,
        contestants: dict[str, Callable[[], float]],
        *,
        against: str,
        work: Mapping[str, tuple[float, float, str]] | None = None,
    ) -> None:
        """Let ``contestants``, which return seconds per ``unit``, take turns.

        ``work`` has the operations and the bytes that a unit needs at least, and its precision.
        """
        taken: dict[str, list[float]] = {contestant: [] for contestant in contestants}
        rates = []
        for _ in range(self.rounds):
            rates.append(self.measure_rates())
            for contestant, run in contestants.items():
                taken[contestant].append(run())
        for contestant, seconds in taken.items():
            found: dict[str, Any] = {
                "row": name,
                "contestant": contestant,
                "unit": unit,
                "seconds": statistics.median(seconds),
                "fastest": min(seconds),
                "slowest": max(seconds),
                "against": against,
                "ratio": statistics.median(a / b for a, b in zip(taken[against], seconds, strict=True)),
            }
            if work and contestant in work:
                flops, moved, precision = work[contestant]
                floors = [max(flops / rate[precision], moved / rate["copy"]) for rate in rates]
                found["floor"] = statistics.median(floors)
                found["fraction"] = statistics.median(f / s for f, s in zip(floors, seconds, strict=True))
            self.rows.append(found)
            print(
                f"{name:22} {contestant:34} {_rate(found['seconds'], unit):>20}  × {found['ratio']:.2f}",
                f", {found['fraction']:.0%} of the floor's rate" if "fraction" in found else "",
                sep="",
            )

    # Training

    def updates(self, recipe: gan.Recipe, how: str, images: Any = None) -> Iterator[torch.Tensor]:
        """Our updates of ``recipe``, one per ``next``, without end."""
        images = self.train if images is None else images
        images = images[: len(images) - len(images) % recipe.batch_size]  # a smaller batch is compiled anew
        torch.manual_seed(0)
        players = training.make_players(recipe, images, self.device)
        iterate = engine.iteration(players, recipe.updates, how, self.device)
        x = data.resident(images, self.device)
        return chain.from_iterable(training.updates(iterate, players, recipe, x, epoch) for epoch in count(1))

    def chunks(self, updates: Iterator[Any]) -> Callable[[], float]:
        """Seconds per update, over a chunk of them; the first ones are not counted."""
        self.seconds(lambda: list(islice(updates, 3)))
        n = max(3, round(CHUNK / (self.seconds(lambda: list(islice(updates, 3))) / 3)))
        return lambda: self.seconds(lambda: [None for _ in islice(updates, n)]) / n

    def ours(self, recipe: gan.Recipe) -> dict[str, Callable[[], float]]:
        """Every engine that works here, in float32, and the fastest one in bfloat16."""
        engines = ["eager"] + ["graph"] * (self.device.type == "cuda") + ["compiled"] * self.compiles
        half = gan.recipe(recipe.name, precision="bf16")
        found = {f"ours, {how}": self.chunks(self.updates(recipe, how)) for how in engines}
        return found | {f"ours, {engines[-1]}, bf16": self.chunks(self.updates(half, engines[-1]))}

    def least(self, recipe: gan.Recipe) -> None:
        """Both gradients of an update on the CPU with the fewest operations: G's meets no real row."""
        players = training.make_players(recipe, self.train[:100], torch.device("cpu"))
        g, d = players.generator, players.discriminator
        fake = g(g.draw_noise(recipe.batch_size))
        real_logits, fake_logits = d(torch.rand_like(fake)), d(fake)
        d_loss = objective.discriminator_loss(real_logits, fake_logits)
        torch.autograd.grad(d_loss, list(d.parameters()), retain_graph=True)
        torch.autograd.grad(players.g_loss(fake_logits), list(g.parameters()))

    def work(self, recipe: gan.Recipe) -> tuple[float, float]:
        """What an update needs at least: operations in matrix products, and bytes moved if each weight, its
        gradient and its optimizer's numbers are read and written once."""
        with FlopCounterMode(display=False) as counter:
            self.least(recipe)
        players = training.make_players(recipe, self.train[:100], torch.device("cpu"))
        weights = sum(w.numel() for n in (players.generator, players.discriminator) for w in n.parameters())
        return counter.get_total_flops(), 4 * weights * (6 if recipe.optimizer == "sgd" else 8)

    def products(self, recipe: gan.Recipe) -> Callable[[], float]:
        """Seconds of an update's matrix products alone, in float32, one after the other."""
        with Products() as seen:
            self.least(recipe)

        def like(x: torch.Tensor) -> torch.Tensor:
            return torch.empty_strided(x.shape, x.stride(), device=self.device).normal_()

        factors = [
            (like(a), like(b), torch.empty(len(a), b.shape[1], device=self.device)) for a, b in seen.pairs
        ]

        def update() -> Iterator[None]:
            while True:
                for a, b, out in factors:
                    torch.mm(a, b, out=out)
                yield

        return self.chunks(update())

    def training_row(self, name: str, plain: dict[str, Callable[[], float]], against: str) -> None:
        recipe = gan.recipe(name)
        ours = self.ours(recipe)
        needed = self.work(recipe)
        work = {c: (*needed, "bf16" if "bf16" in c else "fp32") for c in ours}
        if not has_bf16(self.device):  # emulated: what it could reach says nothing
            work = {c: needs for c, needs in work.items() if "bf16" not in c}
        alone = {"matrix products alone": self.products(recipe)}
        self.row(f"{name}, update", "update", plain | ours | alone, against=against, work=work)

    def pytorch_gan(self) -> None:
        plain = {"DataLoader loop": self.chunks(peers.plain_pytorch_gan(self.train, self.device))}
        if not self.peer:
            return self.training_row("pytorch-gan", plain, "DataLoader loop")
        script = peers.LinkedScript(self.peer, self.train)
        try:
            n = max(10, round(CHUNK / (script.seconds(10) / 10)))
            linked = {"the linked gan.py": lambda: script.seconds(n) / n}
            self.training_row("pytorch-gan", linked | plain, "the linked gan.py")
        finally:
            script.close()

    def mnist(self) -> None:
        images = self.train[:-10_000]
        plain = {"plain loop": self.chunks(peers.plain_mnist(images, self.device))}
        self.training_row("mnist", plain, "plain loop")

    # Evaluation

    def points(self, images: Any) -> torch.Tensor:
        return torch.from_numpy(data.scale(images)).flatten(1).to(self.device)

    def parzen(self) -> None:
        x, samples = self.points(self.test), self.points(self.train[:10_000])
        n, m, d = len(x), len(samples), x.shape[1]
        work = {"ours": (2 * n * m * d, 4 * (n + m) * d, "fp32")}
        few, centres = x[:200], samples.cpu().numpy()
        fewer = few[:100].cpu().numpy()

        def authors() -> float:
            return self.seconds(lambda: peers.authors_parzen(few, samples, 0.2)) * n / len(few)

        def sklearn() -> float:
            return self.seconds(lambda: peers.sklearn_parzen(fewer, centres, 0.2)) * n / len(fewer)

        def ours(sigmas: Sequence[float]) -> float:
            return self.seconds(lambda: parzen.log_likelihoods(x, samples, sigmas))

        sigmas = parzen.SIGMAS
        peer = "authors' formula (200 points, one σ, scaled)"
        contestants = {peer: lambda: authors() * len(sigmas), "ours": lambda: ours(sigmas)}
        self.row("Parzen, ten σ", "evaluation", contestants, against=peer, work=work)
        peer = "scikit-learn (100 points, scaled)"
        contestants = {peer: sklearn, "ours": lambda: ours(sigmas[3:4])}
        self.row("Parzen, one σ", "evaluation", contestants, against=peer, work=work)

    def nearest(self) -> None:
        queries, pool = (data.scale(x).reshape(len(x), -1) for x in (self.test[:100], self.train[:50_000]))
        contestants = {
            "scikit-learn": lambda: self.seconds(lambda: peers.sklearn_nearest(queries, pool)),
            "ours": lambda: self.seconds(lambda: data.nearest(queries, pool)),
        }
        work = {"ours": (2 * len(queries) * pool.size, pool.nbytes, "fp32")}  # both are on the CPU
        on_cpu = self.device.type == "cpu"
        self.row(
            "nearest, 100 × 50 000", "search", contestants,
            against="scikit-learn", work=work if on_cpu else None,
        )  # fmt: skip

    def book(self) -> None:
        """`make book` with nothing changed; it is built first if need be."""

        def build() -> None:
            subprocess.run([sys.executable, ROOT / "book" / "build.py"], check=True, capture_output=True)

        try:
            build()
        except subprocess.CalledProcessError as error:
            reason = error.stderr.decode().strip().splitlines()[-1:]
            raise ValueError(f"the row book: book/build.py fails here ({''.join(reason)})") from None
        self.row("make book, unchanged", "call", {"ours": lambda: self.seconds(build)}, against="ours")

    # How time grows

    def doublings(self) -> list[dict[str, Any]]:
        """Seconds at sizes that double, and the slope of their logarithms, 1 where time is in proportion."""
        how = "graph" if self.device.type == "cuda" else "eager"
        x, samples = self.points(self.test), self.points(self.train[:20_000])

        def update(images: Any = None, **fields: Any) -> Callable[[], float]:
            return self.chunks(self.updates(gan.recipe("mnist", **fields), how, images))

        def likelihoods(points: int, of: int) -> Callable[[], float]:
            return lambda: self.seconds(
                lambda: parzen.log_likelihoods(x[:points], samples[:of], parzen.SIGMAS)
            )

        tables: dict[str, tuple[list[int], Callable[[int], Callable[[], float]]]] = {
            "mnist, update: batch": ([50, 100, 200, 400, 800], lambda n: update(batch_size=n)),
            "mnist, update: width of G, five times D's": (
                [300, 600, 1200, 2400],
                lambda n: update(g_hidden=(n, n), d_hidden=(n // 5, n // 5)),
            ),
            "mnist, update: images": ([7_500, 15_000, 30_000, 60_000], lambda n: update(self.train[:n])),
            "Parzen, ten σ: samples": ([2_500, 5_000, 10_000, 20_000], lambda n: likelihoods(10_000, n)),
            "Parzen, ten σ: points": ([1_250, 2_500, 5_000, 10_000], lambda n: likelihoods(n, 10_000)),
        }
        found = []
        for name, (sizes, prepare) in tables.items():
            timers = [prepare(n) for n in sizes]
            taken = np.array([[timer() for timer in timers] for _ in range(self.rounds)])
            seconds = np.median(taken, axis=0)
            slope = float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])
            found.append({"table": name, "sizes": sizes, "seconds": seconds.tolist(), "slope": slope})
            cells = "  ".join(f"{n}: {s:.3g} s" for n, s in zip(sizes, seconds, strict=True))
            print(f"{name:42} slope {slope:5.2f}   {cells}")
        return found

    def memory(self) -> list[dict[str, Any]]:
        """MiB at the highest, of a process that imports `gan` and trains one epoch."""
        found = []
        for name in gan.recipes.PRESETS:
            command = [sys.executable, "-c", PEAK, name, str(self.device), str(self.data_dir or "")]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:  # no data set here
                continue
            before, peak, device = map(float, done.stdout.split())
            found.append({"recipe": name, "imports": before, "peak": peak, "device": device})
            print(
                f"{name:12} imports {before:.0f} MiB, at its peak {peak:.0f} MiB, on the GPU {device:.0f} MiB"
            )
        return found

    def half_precision(self, seeds: int = 5) -> list[dict[str, Any]]:
        """What bfloat16 does to the result: the Parzen figure of `digits`, over seeds."""
        digits = data.load("digits")
        valid, test = data.scale(digits.split(300)[1]), data.scale(digits.x_test)
        found: list[dict[str, Any]] = []
        for precision in ("fp32", "bf16"):
            nats = []
            for seed in range(seeds):
                recipe = gan.recipe("digits", precision=precision, seed=seed)
                with tempfile.TemporaryDirectory() as folder:
                    run = gan.train(recipe, folder, device=str(self.device), progress=False)
                    nats.append(parzen.evaluate(run.generator, valid, test).mean)
                found.append({"precision": precision, "seed": seed, "nats": nats[-1]})
            print(
                f"digits, {precision}: {statistics.mean(nats):.2f} nats, "
                f"over seeds ± {statistics.stdev(nats):.2f}"
            )
        return found

    def profile(self) -> list[dict[str, Any]]:
        """Where an update's time goes: each operator's share, itself alone."""
        from torch.profiler import ProfilerActivity, profile

        cuda = self.device.type == "cuda"
        found = []
        for name in ("pytorch-gan", "mnist"):
            updates = self.updates(gan.recipe(name), "compiled" if self.compiles else "eager")
            list(islice(updates, 5))
            with profile(activities=[ProfilerActivity.CUDA if cuda else ProfilerActivity.CPU]) as profiler:
                self.seconds(partial(list, islice(updates, 20)))
            times = {
                event.key: event.self_device_time_total if cuda else event.self_cpu_time_total
                for event in profiler.key_averages()
            }
            total = sum(times.values())
            for key, t in sorted(times.items(), key=lambda pair: -pair[1])[:8]:
                key = "fused by torch.compile" if "CompiledFxGraph" in key else key
                found.append({"recipe": name, "operator": key[:60], "share": t / total})
                print(f"{name:12} {key[:60]:60} {t / total:.1%}")
        return found


MEASURES = (
    *("pytorch_gan", "mnist", "parzen", "nearest"),
    *("doublings", "memory", "half_precision", "profile", "book"),
)


def _rate(seconds: float, unit: str) -> str:
    return f"{seconds * 1e3:.3g} ms/{unit}" if seconds < 1 else f"{seconds:.3g} s/{unit}"


def main(arguments: argparse.Namespace) -> Path | None:
    """Measure, print, and write book/results/bench/<device>.json, or --out; the file's path.

    Of some rows alone nothing is written without --out.
    """
    device = training.pick_device(arguments.device)
    if device.type == "mps":
        raise ValueError("the benchmark runs on cpu or cuda")
    if arguments.rounds < 1:
        raise ValueError(f"--rounds {arguments.rounds}: at least one is needed, five for a median")
    if arguments.peer and not arguments.peer.is_file():
        raise ValueError(f"--peer {arguments.peer} is no file: give the path of PyTorch-GAN's gan.py")
    if unknown := set(arguments.rows or ()) - set(MEASURES):
        raise ValueError(f"there is no row {', '.join(sorted(unknown))}; there are: {', '.join(MEASURES)}")
    bench = Bench(device, arguments.rounds, arguments.data_dir, arguments.peer)
    record: dict[str, Any] = {
        "machine": runs.describe(device),
        "bf16_hardware": has_bf16(device),
        "images": bench.images,
        "rounds": arguments.rounds,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": sys.version.split()[0],
        "torch": torch.__version__,
        "commit": runs.commit(),
    }
    print(f"{record['machine']}, torch {torch.__version__}, {bench.images}")
    start = time.perf_counter()
    measures = arguments.rows or MEASURES
    out = arguments.out
    if not (out or arguments.rows):  # the book's own table is written as a whole
        out = ROOT / "book" / "results" / "bench" / f"{device.type}.json"
    for name in measures:
        if name == "book" and out:
            _write(out, record)  # the book reads it
        found = getattr(bench, name)()
        if found is not None:
            record[name] = found
        rates = {key: statistics.median(taken) for key, taken in bench.rates.items() if taken}
        record |= {"rates": rates, "rows": bench.rows, "seconds": round(time.perf_counter() - start)}
    if out:
        _write(out, record)
    return out


def _write(out: Path, record: dict[str, Any]) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")


def has_bf16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 numbers itself, instead of as float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    cpuinfo = Path("/proc/cpuinfo")
    return cpuinfo.exists() and any(flag in cpuinfo.read_text() for flag in ("avx512_bf16", "amx_bf16"))
