"""How layers start, how their weights stand in a file, and those that only some recipes have.

Convolutional maxout and the transposed convolution of §5's CIFAR-10 experiment; TFD's sparse start; and what
the code has that the book's first text links to (PyTorch-GAN): leaky rectifiers, batch norm, tanh.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn

from . import files

Init = float | Literal["pytorch"]
"""The authors' initialisation, weights uniform on (−init, init) and biases 0, or PyTorch's own."""
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": partial(nn.LeakyReLU, 0.2),
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "linear": nn.Identity,
}
BATCH_NORMS: dict[str, dict[str, Any]] = {"meant": {"momentum": 0.2}, "written": {"eps": 0.8}}
"""What PyTorch-GAN's ``BatchNorm1d(n, 0.8)`` meant, Keras' momentum 0.8 (here 1 − 0.8), and what it says."""
SCALE, BLOCK = ".scale", 64  # of weights in 8 bits: the scales' names, and how many share one
HEADER = 2**20  # bytes of a file's header at most: safetensors takes 25 times as much memory
Layer = TypeVar("Layer", nn.Linear, nn.Conv2d, nn.ConvTranspose2d)


def start(layer: Layer, init: Init) -> Layer:
    """``layer``, with weights and biases as ``init`` says."""
    if init != "pytorch":
        nn.init.uniform_(layer.weight, -init, init)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
    return layer


@torch.no_grad()
def make_sparse(weight: Tensor, count: int) -> None:
    """Give each row of ``weight`` (outputs, inputs) ``count`` weights from N(0, 1), and else zeros."""
    chosen = torch.rand_like(weight).topk(count, dim=1).indices
    weight.zero_().scatter_(1, chosen, torch.randn(len(weight), count))


def save_weights(path: Path, state: Mapping[str, Tensor], bits: int, epoch: int | None = None) -> None:
    """Write weights `pack`ed in ``bits`` each; with ``epoch``, they say that they are of that one."""
    metadata = {"epoch": str(epoch)} if epoch else None
    path.write_bytes(save(pack(state, bits), metadata))  # whose errors are Python's own


def pack(state: Mapping[str, Tensor], bits: int) -> dict[str, Tensor]:
    """A network's weights for a file: in float16, or in 8 bits, and a float16 scale for each BLOCK of them.

    With 8 bits a block's largest weight is ±127 times its scale; vectors (biases) stay in float32. So does
    what has a value that float16 lacks.
    """
    packed = {**state}
    for key, w in state.items():
        if not w.is_floating_point() or not w.abs().max() <= torch.finfo(torch.float16).max:
            continue
        if bits == 16:
            packed[key] = w.half().contiguous()
        elif w.ndim > 1:
            blocks = _blocks(w)
            scale = (blocks.abs().amax(1) / 127).half().clamp_min(2.0**-24)
            rounded = (blocks / scale[:, None].float()).round().clamp(-127, 127).to(torch.int8)
            packed[key] = rounded.flatten()[: w.numel()].view_as(w).clone()
            packed[f"{key}{SCALE}"] = scale
    return packed


def unpack(packed: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of what `pack` made, float32 for 8 bits and their scales."""
    state = {key: w for key, w in packed.items() if not key.endswith(SCALE)}
    for key, w in state.items():
        if (scale := packed.get(f"{key}{SCALE}")) is not None:
            blocks = _blocks(w)
            state[key] = (blocks * scale.float().view(len(blocks), 1)).flatten()[: w.numel()].view_as(w)
    return state


def read_weights(path: Path) -> tuple[dict[str, Tensor], int]:
    """The weights that `save_weights` wrote to ``path``, and the epoch that they say, else 0.

    `gan.files.Damaged`: it is no such file.
    """
    with files.reading(path):
        with path.open("rb") as file:
            if (length := int.from_bytes(file.read(8), "little")) > HEADER:
                raise ValueError(f"its header is to have {length} bytes")
        with safe_open(path, "pt") as tensors:
            packed = {name: tensors.get_tensor(name) for name in tensors.keys()}  # noqa: SIM118
            epoch = int((tensors.metadata() or {}).get("epoch", 0))
        return unpack(packed), epoch


def load_weights(network: nn.Module, weights: Mapping[str, Tensor], path: Path) -> nn.Module:
    """A copy of ``network``, which is on "meta", in evaluation mode with ``weights``, float32 on the CPU.

    `gan.files.Damaged`: those, read from ``path``, are not just its own by name and shape, and finite.
    """
    with files.reading(path):
        network.load_state_dict(weights, assign=True)
        for name, w in network.state_dict().items():
            whole = w.untyped_storage().nbytes() >= w.numel() * w.element_size()
            if w.is_complex() or not whole or not w.isfinite().all():
                raise ValueError(f"not all values of {name} are there, and finite")
        return copy.deepcopy(network).float().eval()


def _blocks(w: Tensor) -> Tensor:
    """The values of ``w`` in rows of BLOCK, the last one filled with zeros."""
    return nn.functional.pad(w.flatten(), (0, -w.numel() % BLOCK)).view(-1, BLOCK)


class MaxoutConv(nn.Module):
    """Convolution, maximum over windows, maximum over pieces; (n, inputs, h, w) -> (n, channels, h', w').

    ``sizes`` are (channels, pieces, kernel, pad, pool, stride). A window may reach beyond the edge, as in the
    authors' library (cuda-convnet). Source: the convolutional discriminator of §5.
    """

    def __init__(self, inputs: int, sizes: tuple[int, int, int, int, int, int], init: Init) -> None:
        super().__init__()
        self.channels, self.pieces, kernel, pad, self.pool, self.stride = sizes
        self.conv = start(nn.Conv2d(inputs, self.channels * self.pieces, kernel, padding=pad), init)

    def forward(self, x: Tensor) -> Tensor:
        pooled = nn.functional.max_pool2d(self.conv(x), self.pool, self.stride, ceil_mode=True)
        return pooled.unflatten(1, (self.pieces, self.channels)).amax(1)


class Deconv(nn.Module):
    """Transposed convolution, with a bias for each value that it makes; (n, maps·side²) -> (n, c·h·w).

    ``shape`` is (c, h, w), h = w = (side − 1)·stride + kernel. Source: the "deconvolutional" generator of §5.
    """

    def __init__(self, maps: int, kernel: int, stride: int, shape: Sequence[int], init: Init) -> None:
        super().__init__()
        side = (shape[-1] - kernel) // stride + 1
        if side < 1 or [*shape[1:]] != [(side - 1) * stride + kernel] * 2:
            but = f"but square ones of {kernel} + a multiple of {stride} pixels"
            raise ValueError(f"g_deconv = {(maps, kernel, stride)} makes no images of shape {shape} {but}")
        self.maps = maps, side, side
        self.conv = start(nn.ConvTranspose2d(maps, shape[0], kernel, stride, bias=False), init)
        self.bias = nn.Parameter(torch.zeros(*shape))

    def forward(self, x: Tensor) -> Tensor:
        return (self.conv(x.unflatten(1, self.maps)) + self.bias).flatten(1)
