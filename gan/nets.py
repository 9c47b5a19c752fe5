"""The two players of §3, with the layers of §5: a rectifier generator and a maxout discriminator.

Layers that only some recipes have are `gan.layers`'.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from .layers import ACTIVATIONS, BATCH_NORMS, Deconv, Init, MaxoutConv, make_sparse, start


class Maxout(nn.Module):
    """h_i(x) = max_j (w_ij·x + b_ij), j = 1 … pieces; (n, inputs) -> (n, units).

    Source: the discriminator of §5 (maxout networks, Goodfellow et al., 2013).
    """

    def __init__(self, inputs: int, units: int, pieces: int, init: Init = 0.005) -> None:
        super().__init__()
        self.units, self.pieces = units, pieces
        self.linear = start(nn.Linear(inputs, units * pieces), init)

    def forward(self, x: Tensor) -> Tensor:
        # Piece j of all units stands together, so that the maximum runs over contiguous rows.
        return self.linear(x).unflatten(-1, (self.pieces, self.units)).amax(-2)


class Generator(nn.Module):
    """G(z; θ_g): noise (n, noise_size) -> x (n, *shape), for images (n, channels, height, width).

    It knows its prior p_z: ``noise`` "uniform", on (−√3, √3), or "gaussian", both of mean 0 and variance 1.
    The other options are a recipe's fields g_…, and ``bias`` is the output's initial one: `marginal_bias`.

    A tanh at the output makes images in [−1, 1]; `render` and `sample` bring them to [0, 1]. A linear
    output has the data's own units; `depict` and `images` bring any image to [0, 1], for the eye.
    Source: §3, §5.
    """

    def __init__(
        self,
        noise_size: int,
        hidden: Sequence[int],
        shape: Sequence[int],
        *,
        activations: Sequence[str] = ("relu", "relu"),
        output: str = "sigmoid",
        noise: str = "uniform",
        init: Init = 0.05,
        output_init: Init | None = None,
        output_sparse: int = 0,
        bias_init: float = 0.0,
        sigmoid_bias: float = 0.0,
        bias: Tensor | None = None,
        batch_norm: str = "none",
        deconv: tuple[int, int, int] | None = None,
    ) -> None:
        super().__init__()
        self.noise_size, self.shape, self.noise, self.output = noise_size, tuple(shape), noise, output
        widths = [noise_size, *hidden]
        linears = [start(nn.Linear(n_in, n_out), init) for n_in, n_out in pairwise(widths)]
        last: Any
        if deconv:
            last = Deconv(*deconv, self.shape, output_init or init)
            if (units := math.prod(last.maps)) != widths[-1]:
                raise ValueError(f"g_deconv = {deconv} makes {self.shape} of {units} units, not {widths[-1]}")
        else:
            last = start(nn.Linear(widths[-1], math.prod(shape)), output_init or init)
        if output_sparse:
            make_sparse(last.weight, output_sparse)
        if bias is not None:
            last.bias.data.copy_(bias.view_as(last.bias))
        layers: list[nn.Module] = []
        for i, (layer, activation) in enumerate(zip(linears, activations, strict=True)):
            if bias_init:
                nn.init.uniform_(layer.bias, -bias_init, bias_init)
            if activation == "sigmoid" and sigmoid_bias:
                nn.init.constant_(layer.bias, sigmoid_bias)
            layers.append(layer)
            if batch_norm != "none" and i > 0:
                layers.append(nn.BatchNorm1d(layer.out_features, **BATCH_NORMS[batch_norm]))
            layers.append(ACTIVATIONS[activation]())
        self.layers = nn.Sequential(*layers, last, ACTIVATIONS[output]())

    def forward(self, z: Tensor) -> Tensor:
        return self.layers(z).unflatten(-1, self.shape)

    def draw_noise(self, n: int, rng: torch.Generator | None = None) -> Tensor:
        """z ~ p_z, (n, noise_size), on the generator's device; from ``rng`` (a CPU one) if given."""
        device = torch.device("cpu") if rng else next(self.parameters()).device
        if self.noise == "gaussian":
            z = torch.randn(n, self.noise_size, generator=rng, device=device)
        else:
            z = (torch.rand(n, self.noise_size, generator=rng, device=device) * 2 - 1) * math.sqrt(3)
        return z.to(next(self.parameters()).device)

    def sample(self, n: int, seed: int | None = None) -> Tensor:
        """x = G(z), z ~ p_z, as `render` gives it; (n, *shape). A ``seed`` is the same on every device."""
        return self.render(self.draw_noise(n, seeded(seed)))

    def images(self, n: int, seed: int | None = None) -> Tensor:
        """`sample` (n, seed) as `depict` shows it: images in [0, 1]."""
        return self.depict(self.draw_noise(n, seeded(seed)))

    def render(self, z: Tensor) -> Tensor:
        """G(z) in evaluation mode, in [0, 1] but for a linear output, which has the data's own units."""
        x = evaluated(self, z)
        return (x + 1) / 2 if self.output == "tanh" else x

    def depict(self, z: Tensor) -> Tensor:
        """G(z) as images in [0, 1]: as `render` gives them, those of a linear output each stretched."""
        return stretch(self.render(z)) if self.output == "linear" else self.render(z)


def seeded(seed: int | None) -> torch.Generator | None:
    """Random numbers from ``seed``; None for None."""
    if seed is not None and not 0 <= seed < 2**64:
        raise ValueError(f"{seed} is no seed: one is at least 0 and less than 2^64")
    return None if seed is None else torch.Generator().manual_seed(seed)


class Discriminator(nn.Module):
    """D(x; θ_d) as a logit: images (n, …) -> (n,); `probability` is D(x) = σ(logit).

    Its options are a recipe's fields d_… and dropout_…. Dropout acts in training mode only, with inverted
    scaling. Source: §3, §5.
    """

    def __init__(
        self,
        shape: Sequence[int],
        hidden: Sequence[int] = (240, 240),
        pieces: int = 5,
        *,
        conv: Sequence[tuple[int, int, int, int, int, int]] = (),
        activation: str = "maxout",
        dropout_input: float = 0.2,
        dropout_hidden: float = 0.5,
        init: Init = 0.005,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Dropout(dropout_input)]
        dropped: list[tuple[int, ...]] = [tuple(shape)]
        for sizes in conv:
            layer = MaxoutConv(dropped[-1][0], sizes, init)
            try:
                dropped.append(layer(torch.zeros(1, *dropped[-1])).shape[1:])
            except RuntimeError:
                raise ValueError(f"d_conv = {sizes} does not fit on {(*dropped[-1],)}") from None
            layers += [layer, nn.Dropout(dropout_hidden)]
        layers.append(nn.Flatten())
        widths = [math.prod(dropped[-1]), *hidden]
        for n_in, n_out in pairwise(widths):
            if activation == "maxout":
                layers.append(Maxout(n_in, n_out, pieces, init))
            else:
                layers += [start(nn.Linear(n_in, n_out), init), ACTIVATIONS[activation]()]
            layers.append(nn.Dropout(dropout_hidden))
        self.layers = nn.Sequential(*layers, start(nn.Linear(widths[-1], 1), init))
        self.dropped = [*dropped, *((width,) for width in hidden)]

    def forward(self, x: Tensor, masks: Sequence[Tensor] | None = None) -> Tensor:
        """D's logits; in training mode through ``masks`` (n rows each), drawn where none are given."""
        left = iter(self.draw_masks(len(x)) if masks is None else masks)
        for layer in self.layers:
            if not isinstance(layer, nn.Dropout):
                x = layer(x)
            elif layer.p and self.training:
                x = x * next(left)
        return x.squeeze(-1)

    def draw_masks(self, n: int) -> list[Tensor]:
        """What dropout multiplies ``n`` rows by: (n, …) for each layer that drops, on D's device.

        0 with the layer's probability (to 16 bits), else 1 / (1 − it). All come from one draw of random
        bits, which takes a fifth of the time of a Bernoulli variable each. In evaluation mode, none.
        """
        drops = [layer.p for layer in self.layers if isinstance(layer, nn.Dropout)]
        layers = [(p, (n, *one)) for p, one in zip(drops, self.dropped, strict=True) if p and self.training]
        sizes = [math.prod(shape) for _, shape in layers]
        device = next(self.parameters()).device
        bits = torch.empty(-(-sum(sizes) // 4), dtype=torch.int64, device=device).random_(-(2**63), None)
        masks = []
        for (p, shape), part in zip(layers, bits.view(torch.int16)[: sum(sizes)].split(sizes), strict=True):
            dropped = round(p * 2**16)  # of 2^16 equally likely numbers, of which the least is −2^15
            mask = (part >= dropped - 2**15).float().mul_(2**16 / (2**16 - dropped))
            masks.append(mask.view(shape))
        return masks

    def probability(self, x: Tensor) -> Tensor:
        """D(x), the probability that x came from the data rather than from G; (n,), no dropout."""
        return torch.sigmoid(evaluated(self, x))


@torch.no_grad()
def evaluated(network: nn.Module, x: Tensor) -> Tensor:
    """``network``(x) in evaluation mode, without gradients; its mode stays what it was."""
    was_training = network.training
    out = network.eval()(x)
    network.train(was_training)
    return out


def stretch(x: Tensor) -> Tensor:
    """Images (n, …), each brought to [0, 1] by its own least and largest value; an even one becomes 0."""
    least, largest = (bound.view(-1, *[1] * (x.ndim - 1)) for bound in x.flatten(1).aminmax(dim=1))
    return (x - least) / (largest - least).clamp_min(torch.finfo(x.dtype).tiny)


def interpolate(start: Tensor, end: Tensor, steps: int) -> Tensor:
    """Points (steps, noise_size) on the line from z = ``start`` to ``end``, both included, as in Figure 3."""
    weights = torch.linspace(0, 1, steps, device=start.device)[:, None]
    return start + weights * (end - start)


def marginal_bias(x: Tensor) -> Tensor:
    """The output bias with which a sigmoid G of zero weights returns each pixel's mean.

    ``x`` (n, …) in [0, 1] -> (pixels,): logit of the mean, the mean kept in [1e-7, 1 − 1e-7].
    """
    sums = sum(block.flatten(1).double().sum(0) for block in x.split(4096))
    return torch.logit(sums / len(x), eps=1e-7).float()


def networks(
    recipe: Any, shape: Sequence[int], bias: Tensor | None = None
) -> tuple[Generator, Discriminator]:
    """G and D as ``recipe`` (a `gan.recipes.Recipe`) describes them, for x of ``shape``.

    Its fields g_… and d_… are the networks' own, but for those of a second stage.
    """
    of_g = {name[2:]: value for name, value in recipe if name[:2] == "g_" and "front" not in name}
    of_d = {name.removeprefix("d_"): value for name, value in recipe if name.startswith(("d_", "dropout_"))}
    generator = Generator(recipe.noise_size, shape=shape, noise=recipe.noise, bias=bias, **of_g)
    return generator, Discriminator(shape, **of_d)
