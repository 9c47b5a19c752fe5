"""The two players of §3, with the layers of §5: a rectifier generator and a maxout discriminator."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "sigmoid": nn.Sigmoid,
    "linear": nn.Identity,
}


def uniform_(layer: nn.Linear, init: float) -> nn.Linear:
    """Weights uniform on (−init, init), biases 0, in place: the authors' initialisation."""
    nn.init.uniform_(layer.weight, -init, init)
    nn.init.zeros_(layer.bias)
    return layer


class Maxout(nn.Module):
    """h_i(x) = max_j (w_ij·x + b_ij), j = 1 … pieces; (n, inputs) -> (n, units).

    Source: the discriminator of §5 (maxout networks, Goodfellow et al., 2013).
    """

    def __init__(self, inputs: int, units: int, pieces: int, init: float = 0.005) -> None:
        super().__init__()
        self.units, self.pieces = units, pieces
        self.linear = uniform_(nn.Linear(inputs, units * pieces), init)

    def forward(self, x: Tensor) -> Tensor:
        # Piece j of all units stands together, so that the maximum runs over contiguous rows.
        return self.linear(x).unflatten(-1, (self.pieces, self.units)).amax(-2)


class Generator(nn.Module):
    """G(z; θ_g): noise (n, noise_size) -> x (n, *shape), for images (n, channels, height, width).

    It knows its prior p_z.

    ``noise`` is "uniform", on (−√3, √3), or "gaussian": both have mean 0 and variance 1.
    Hidden biases start uniform on (−bias_init, bias_init), or at 0 as the authors' do.
    ``bias`` (channels·height·width,) is the output layer's initial bias; see `marginal_bias`.
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
        init: float = 0.05,
        bias_init: float = 0.0,
        bias: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.noise_size, self.shape, self.noise = noise_size, tuple(shape), noise
        widths = [noise_size, *hidden, math.prod(shape)]
        layers: list[nn.Module] = []
        for (n_in, n_out), activation in zip(pairwise(widths), [*activations, output], strict=True):
            layers += [uniform_(nn.Linear(n_in, n_out), init), ACTIVATIONS[activation]()]
        if bias_init:
            for layer in layers[:-2:2]:
                nn.init.uniform_(layer.bias, -bias_init, bias_init)  # type: ignore[arg-type]
        if bias is not None:
            with torch.no_grad():
                layers[-2].bias.copy_(bias)  # type: ignore[operator]
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

    @torch.no_grad()
    def sample(self, n: int, seed: int | None = None) -> Tensor:
        """x = G(z), (n, *shape), without gradients.

        With ``seed`` z is drawn on the CPU from that seed, so that every device shows the same z.
        """
        rng = None if seed is None else torch.Generator().manual_seed(seed)
        was_training = self.training
        images = self.eval()(self.draw_noise(n, rng))
        self.train(was_training)
        return images


class Discriminator(nn.Module):
    """D(x; θ_d) as a logit: images (n, …) -> (n,); `probability` is D(x) = σ(logit).

    Dropout (probability of dropping a unit) acts in training mode only, with inverted scaling.
    Source: §3, §5.
    """

    def __init__(
        self,
        shape: Sequence[int],
        hidden: Sequence[int] = (240, 240),
        pieces: int = 5,
        *,
        dropout_input: float = 0.2,
        dropout_hidden: float = 0.5,
        init: float = 0.005,
    ) -> None:
        super().__init__()
        widths = [math.prod(shape), *hidden]
        layers: list[nn.Module] = [nn.Flatten(), nn.Dropout(dropout_input)]
        for n_in, n_out in pairwise(widths):
            layers += [Maxout(n_in, n_out, pieces, init), nn.Dropout(dropout_hidden)]
        self.layers = nn.Sequential(*layers, uniform_(nn.Linear(widths[-1], 1), init))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x).squeeze(-1)

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
    )
    discriminator = Discriminator(
        shape,
        recipe.d_hidden,
        recipe.d_pieces,
        dropout_input=recipe.dropout_input,
        dropout_hidden=recipe.dropout_hidden,
        init=recipe.d_init,
    )
    return generator, discriminator
