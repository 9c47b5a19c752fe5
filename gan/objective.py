"""Equation (1) and the losses made from it, all from D's logits s, where D = σ(s).

Every logarithm is a softplus: log D = −softplus(−s) and log(1 − D) = −softplus(s), which is finite
and has the right gradient however sure D is. All functions return the minibatch mean, a scalar.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch.nn.functional import softplus


def value(real: Tensor, fake: Tensor) -> Tensor:
    """V(D, G) = E[log D(x)] + E[log(1 − D(G(z)))], nats. Source: Eq. (1); −log 4 where D = 1/2."""
    return -softplus(-real).mean() - softplus(fake).mean()


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """−V/2: what D descends, as the mean of its two halves.

    Algorithm 1 writes their sum; the authors' code takes the mean, which halves D's learning rate,
    and the recipes' rates are meant for it.
    """
    return -value(real, fake) / 2


def minimax(fake: Tensor) -> Tensor:
    """E[log(1 − D(G(z)))]: what Algorithm 1 lets G descend. Gradient in s: −D, 0 where D is sure."""
    return -softplus(fake).mean()


def non_saturating(fake: Tensor) -> Tensor:
    """−E[log D(G(z))]: §3's alternative. Gradient in s: −(1 − D), strong where D is sure."""
    return softplus(-fake).mean()


GENERATOR_LOSSES: dict[str, Callable[[Tensor], Tensor]] = {
    "minimax": minimax,
    "non_saturating": non_saturating,
}
