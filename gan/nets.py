"""The two players of §3, with the layers of §5: a rectifier generator and a maxout discriminator.

And those of the code that the book's first text links to (PyTorch-GAN): leaky rectifiers,
batch norm, tanh.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor, nn

Init = float | Literal["pytorch"]
"""The authors' initialisation, weights uniform on (−init, init) and biases 0, or PyTorch's own."""
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": partial(nn.LeakyReLU, 0.2),
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "linear": nn.Identity,
}
BATCH_NORMS: dict[str, dict[str, float]] = {"meant": {"momentum": 0.2}, "written": {"eps": 0.8}}
"""What PyTorch-GAN's ``BatchNorm1d(n, 0.8)`` meant, Keras' momentum 0.8 (here 1 − 0.8), and what it says."""


def linear(inputs: int, outputs: int, init: Init) -> nn.Linear:
    """A layer whose weights and biases start as ``init`` says."""
    layer = nn.Linear(inputs, outputs)
    if init != "pytorch":
        nn.init.uniform_(layer.weight, -init, init)
        nn.init.zeros_(layer.bias)
    return layer


class Maxout(nn.Module):
    """h_i(x) = max_j (w_ij·x + b_ij), j = 1 … pieces; (n, inputs) -> (n, units).

    Source: the discriminator of §5 (maxout networks, Goodfellow et al., 2013).
    """

    def __init__(self, inputs: int, units: int, pieces: int, init: Init = 0.005) -> None:
        super().__init__()
        self.units, self.pieces = units, pieces
        self.linear = linear(inputs, units * pieces, init)

    def forward(self, x: Tensor) -> Tensor:
        # Piece j of all units stands together, so that the maximum runs over contiguous rows.
        return self.linear(x).unflatten(-1, (self.pieces, self.units)).amax(-2)


class Generator(nn.Module):
    """G(z; θ_g): noise (n, noise_size) -> x (n, *shape), for images (n, channels, height, width).

    It knows its prior p_z.

    ``noise`` is "uniform", on (−√3, √3), or "gaussian": both have mean 0 and variance 1.
    Hidden biases start uniform on (−bias_init, bias_init), or at 0 as the authors' do.
    ``bias`` (channels·height·width,) is the output layer's initial bias; see `marginal_bias`.
    ``batch_norm``, a key of BATCH_NORMS, normalises all hidden layers but the first.
    A tanh at the output makes images in [−1, 1]; `render` and `sample` bring them to [0, 1].
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
        bias_init: float = 0.0,
        bias: Tensor | None = None,
        batch_norm: str = "none",
    ) -> None:
        super().__init__()
        self.noise_size, self.shape, self.noise = noise_size, tuple(shape), noise
        self.signed = output == "tanh"
        widths = [noise_size, *hidden, math.prod(shape)]
        linears = [linear(n_in, n_out, init) for n_in, n_out in pairwise(widths)]
        if bias_init:
            for hidden_layer in linears[:-1]:
                nn.init.uniform_(hidden_layer.bias, -bias_init, bias_init)
        if bias is not None:
            with torch.no_grad():
                linears[-1].bias.copy_(bias)
        layers: list[nn.Module] = []
        for i, (layer, activation) in enumerate(zip(linears, [*activations, output], strict=True)):
            layers.append(layer)
            if batch_norm != "none" and 0 < i < len(hidden):
                layers.append(nn.BatchNorm1d(layer.out_features, **BATCH_NORMS[batch_norm]))  # type: ignore[arg-type]
            layers.append(ACTIVATIONS[activation]())
        self.layers = nn.Sequential(*layers)

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
        """x = G(z), z ~ p_z, as `render` gives it; (n, *shape).

        With ``seed`` z is drawn on the CPU from that seed, so that every device shows the same z.
        """
        return self.render(self.draw_noise(n, None if seed is None else torch.Generator().manual_seed(seed)))

    @torch.no_grad()
    def render(self, z: Tensor) -> Tensor:
        """G(z), images in [0, 1], without gradients; batch norm goes by its running statistics."""
        was_training = self.training
        x = self.eval()(z)
        self.train(was_training)
        return (x + 1) / 2 if self.signed else x


class Discriminator(nn.Module):
    """D(x; θ_d) as a logit: images (n, …) -> (n,); `probability` is D(x) = σ(logit).

    Hidden layers are maxout units of ``pieces`` pieces, or of one piece with another ``activation``.
    Dropout (probability of dropping a unit) acts in training mode only, with inverted scaling.
    Source: §3, §5.
    """

    def __init__(
        self,
        shape: Sequence[int],
        hidden: Sequence[int] = (240, 240),
        pieces: int = 5,
        *,
        activation: str = "maxout",
        dropout_input: float = 0.2,
        dropout_hidden: float = 0.5,
        init: Init = 0.005,
    ) -> None:
        super().__init__()
        self.widths = [math.prod(shape), *hidden]
        layers: list[nn.Module] = [nn.Flatten(), nn.Dropout(dropout_input)]
        for n_in, n_out in pairwise(self.widths):
            if activation == "maxout":
                layers.append(Maxout(n_in, n_out, pieces, init))
            else:
                layers += [linear(n_in, n_out, init), ACTIVATIONS[activation]()]
            layers.append(nn.Dropout(dropout_hidden))
        self.layers = nn.Sequential(*layers, linear(self.widths[-1], 1, init))

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
        """What dropout multiplies ``n`` rows by: (n, units) for each layer that drops, on D's device.

        0 with the layer's probability (to 16 bits), else 1 / (1 − it). All come from one draw of random
        bits, which takes a fifth of the time of a Bernoulli variable each. In evaluation mode, none.
        """
        drops = [layer.p for layer in self.layers if isinstance(layer, nn.Dropout)]
        layers = [(p, n * units) for p, units in zip(drops, self.widths, strict=True) if p and self.training]
        sizes = [size for _, size in layers]
        device = next(self.parameters()).device
        bits = torch.empty(-(-sum(sizes) // 4), dtype=torch.int64, device=device).random_(-(2**63), None)
        masks = []
        for (p, _), part in zip(layers, bits.view(torch.int16)[: sum(sizes)].split(sizes), strict=True):
            dropped = round(p * 2**16)  # of 2^16 equally likely numbers, of which the least is −2^15
            mask = (part >= dropped - 2**15).float().mul_(2**16 / (2**16 - dropped))
            masks.append(mask.view(n, -1))
        return masks

    @torch.no_grad()
    def probability(self, x: Tensor) -> Tensor:
        """D(x), the probability that x came from the data rather than from G; (n,), no dropout."""
        was_training = self.training
        probability = torch.sigmoid(self.eval()(x))
        self.train(was_training)
        return probability


def interpolate(start: Tensor, end: Tensor, steps: int) -> Tensor:
    """Points on the straight line from z = ``start`` to ``end``, both (noise_size,) and both included.

    (steps, noise_size). Source: Figure 3.
    """
    weights = torch.linspace(0, 1, steps, device=start.device)[:, None]
    return start + weights * (end - start)


def marginal_bias(x: Tensor, floor: float = 1e-7) -> Tensor:
    """The output bias with which a sigmoid G of zero weights returns each pixel's mean.

    ``x`` (n, …) in [0, 1] -> (pixels,): logit of the mean, the mean kept in [floor, 1 − floor].
    """
    return torch.logit(x.flatten(1).double().mean(0), eps=floor).float()


def networks(
    recipe: Any, shape: Sequence[int], bias: Tensor | None = None
) -> tuple[Generator, Discriminator]:
    """G and D as ``recipe`` (a `gan.recipes.Recipe`) describes them, for x of ``shape``."""
    generator = Generator(
        recipe.noise_size,
        recipe.g_hidden,
        shape,
        activations=recipe.g_activations,
        output=recipe.g_output,
        noise=recipe.noise,
        init=recipe.g_init,
        bias_init=recipe.g_bias_init,
        bias=bias,
        batch_norm=recipe.g_batch_norm,
    )
    discriminator = Discriminator(
        shape,
        recipe.d_hidden,
        recipe.d_pieces,
        activation=recipe.d_activation,
        dropout_input=recipe.dropout_input,
        dropout_hidden=recipe.dropout_hidden,
        init=recipe.d_init,
    )
    return generator, discriminator
