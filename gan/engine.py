"""How iterations are run: by single operations, compiled or recorded as a CUDA graph, in one process or many.

`algorithm1` says what an iteration does; here it is only done faster, with the same noise and masks.
"""

from __future__ import annotations

import atexit
import copy
import math
import os
import platform
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from .algorithm1 import ITERATIONS, Players

ENGINES = ("eager", "compiled", "graph")
"""Each operation by itself; gradients fused by torch.compile (and, on CUDA, recorded); recorded on CUDA."""
Iteration = Callable[[Sequence[Tensor]], Tensor]
PAYS = {"cpu": 10_000, "cuda": 30_000}
"""Updates from which on compiling, up to half a minute, saves more than it costs."""


def pick_device(device: str = "auto") -> torch.device:
    """The torch device called ``device``; "auto" is CUDA, then MPS, then CPU, whichever is there."""
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    there = ["cuda"] * (gpus > 0) + ["mps"] * torch.backends.mps.is_available() + ["cpu"]
    if device == "auto":
        device = there[0]
    there += [f"cuda:{i}" for i in range(gpus)]
    if str(device) not in there:
        raise ValueError(f"device = {device!r}: here it must be one of auto, {', '.join(there)}")
    return torch.device(device)


@contextmanager
def at(device: torch.device) -> Iterator[None]:
    """With ``device`` as the current one, on which graphs are recorded; convolutions repeatable, no TF32."""
    if device.type != "cuda":
        yield
        return
    exact = torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False)
    with torch.cuda.device(device), exact:
        yield


def describe(device: torch.device) -> str:
    """The device in words: a GPU's name, or the processor and the number of threads."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    cpuinfo = Path("/proc/cpuinfo")
    told = cpuinfo.read_text("utf-8", "replace") if cpuinfo.exists() else ""
    model = re.search(r"^model name\s*:[ \t]*(.+)", told, re.MULTILINE)
    processor = model[1].strip() if model else platform.processor() or platform.machine()
    return f"{device.type.upper()} ({processor}, {threads} thread{'s' * (threads > 1)})"


def choose(engine: str, device: torch.device, updates: int) -> str:
    """The engine called ``engine``; "auto" is the fastest that works on ``device`` for so many updates."""
    if engine == "auto":
        if updates >= PAYS.get(device.type, math.inf) and works("compiled", device):
            return "compiled"
        return "graph" if device.type == "cuda" else "eager"
    if not works(engine, device):
        needs = "compiled (with a C++ compiler, on a GPU with Triton) or graph (on CUDA)"
        raise ValueError(f"engine = {engine!r}: it must be auto, eager, {needs}")
    return engine


def works(engine: str, device: torch.device) -> bool:
    """Whether iterations can be run by ``engine`` here."""
    if engine == "compiled":
        return _compiler_works(device)
    return engine == "eager" or (engine == "graph" and device.type == "cuda")


@cache
def _compiler_works(device: torch.device) -> bool:
    """Whether torch.compile does anything here."""
    try:
        with warnings.catch_warnings():  # its own modules' warnings, at their first import
            warnings.simplefilter("ignore")
            return bool(torch.compile(lambda x: x * 2)(torch.ones(8, device=device)).sum() == 16)
    except Exception:  # whatever a missing compiler, header or driver raises
        return False


@contextmanager
def enough_memory(device: torch.device) -> Iterator[None]:
    """MemoryError in one line, in a reader's words, where torch has its allocator's."""
    try:
        yield
    except RuntimeError as error:
        if not re.search("allocate memory|out of memory|Storage size", str(error)):
            raise
        raise MemoryError(f"{device} has too little memory: smaller networks need less") from None


def iteration(players: Players, updates: str, engine: str, device: torch.device) -> Iteration:
    """An iteration of Algorithm 1 as a function of its minibatches alone, run by ``engine``."""
    gradients = ("discriminator_gradient", "generator_gradient", "both_gradients")
    wrapped = [(compiled, (*gradients, "statistics"))] * (engine == "compiled")
    for wrap, names in wrapped + [(shared, gradients)] * (processes() > 1):
        players = copy.copy(players)
        for name in names:
            setattr(players, name, wrap(getattr(players, name)))
    iterate = partial(ITERATIONS[updates], players)
    if device.type == "cuda" and engine != "eager" and processes() == 1:
        return Recorded(iterate, players)
    return iterate


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """``function`` compiled: a gradient's two passes become one program, for any number of recipes."""
    settings = {"trace_autograd_ops": True, "recompile_limit": 10_000, "accumulated_recompile_limit": 10_000}
    return torch._dynamo.config.patch(settings)(torch.compile(function, dynamic=False))


def shared(gradient: Callable[..., Any]) -> Callable[..., Any]:
    """``gradient`` of this process's part of what was drawn, averaged over all processes."""

    def of_part(*drawn: Any) -> list[Any]:
        *points, masks = drawn
        found = gradient(*map(part, points), [part(mask, len(points)) for mask in masks])
        mean = iter(average([g for one in found if not isinstance(one, Tensor) for g in one]))
        return [one if isinstance(one, Tensor) else [next(mean) for _ in one] for one in found]

    return of_part


class Recorded:
    """An iteration as a CUDA graph: run once as it is, then recorded, then replayed.

    A graph holds the optimizers' momenta as they were when it was recorded, so all begins anew when they
    change (once per epoch); rates are tensors, which it reads. A smaller, last minibatch is not recorded.
    """

    def __init__(self, iterate: Iteration, players: Players) -> None:
        self.iterate = iterate
        self.optimizers = [players.g_optimizer, players.d_optimizer]
        self.minibatches: list[Tensor] = []
        self.settings: Any = None
        self.replay: Callable[[], None] | None = None
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                device = group["params"][0].device
                group["lr"] = torch.as_tensor(group["lr"], dtype=torch.float32, device=device)
                group["capturable"] = True

    def __call__(self, minibatches: Sequence[Tensor]) -> Tensor:
        settings = [{**group, "params": 0, "lr": 0} for o in self.optimizers for group in o.param_groups]
        self.minibatches = self.minibatches or [torch.empty_like(x) for x in minibatches]
        if fits := [x.shape for x in minibatches] == [kept.shape for kept in self.minibatches]:
            for kept, x in zip(self.minibatches, minibatches, strict=True):
                kept.copy_(x)
            minibatches = self.minibatches
        if settings != self.settings:  # optimizers make what they keep now, and compilers their programs
            self.settings, self.replay, fits = settings, None, False
        if not fits:
            return aside(partial(self.iterate, minibatches))
        if not self.replay:
            self.replay, self.result = record(partial(self.iterate, self.minibatches))
        self.replay()
        return self.result


def aside(function: Callable[[], Tensor]) -> Tensor:
    """``function()`` on a stream of its own, as what is to be recorded must have run before."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*capturable=True")  # Adam's, that nothing is recorded
        result = function()
    torch.cuda.current_stream().wait_stream(stream)
    return result


def record(function: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor]:
    """A CUDA graph of ``function``: what replays it, and the tensor that then holds its result."""
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = function()
    return graph.replay, result


def processes() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def part(x: Tensor, copies: int = 1) -> Tensor:
    """The rows of ``x``, ``copies`` times m of them, that belong to this process: each copy's own part."""
    return x.unflatten(0, (copies, processes(), -1))[:, dist.get_rank()].flatten(0, 1)


def average(gradients: Sequence[Tensor]) -> Sequence[Tensor]:
    """The mean of ``gradients`` over all processes, by one all-reduce; of one process they are its own."""
    if processes() == 1:
        return gradients
    flat = torch.cat([g.flatten() for g in gradients])
    dist.all_reduce(flat)
    means = (flat / processes()).split([g.numel() for g in gradients])
    return [mean.view_as(g) for mean, g in zip(means, gradients, strict=True)]


def gather(x: Tensor) -> Tensor:
    """``x`` of every process, a row for each."""
    if processes() == 1:
        return x[None]
    rows = x.new_empty(processes(), *x.shape)
    dist.all_gather_into_tensor(rows, x)
    return rows


def own_row(rows: Tensor) -> Tensor:
    """This process's row of what `gather` gave, or, where there were not so many, the mean."""
    return rows[dist.get_rank()] if len(rows) == processes() > 1 else rows.mean(0)


def join(device: torch.device, batch_size: int) -> tuple[torch.device, bool]:
    """Join the processes that ``torchrun`` started, if it did: this one's device, and whether it writes."""
    n = int(os.environ.get("WORLD_SIZE", 1))
    if n == 1:
        return device, True
    if batch_size % n:
        raise ValueError(f"batch_size = {batch_size} cannot be shared equally by {n} processes")
    if device == torch.device("cuda"):
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    if not dist.is_initialized():
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
        atexit.register(dist.destroy_process_group)
    return device, dist.get_rank() == 0


def tell(function: Callable[[], Any]) -> Any:
    """What ``function`` returns in the process that writes, which alone calls it, in all of them."""
    if processes() == 1:
        return function()
    box: list[Any] = [None, None]
    if dist.get_rank() == 0:
        try:
            box[0] = function()
        except Exception as error:  # which ends all processes alike
            box[1] = error
    dist.broadcast_object_list(box)
    if box[1] is not None:
        raise box[1]
    return box[0]
