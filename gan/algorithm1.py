"""Algorithm 1: one iteration of the game, as the paper states it and as its authors ran it.

The paper's form *alternates*: k steps of D, each on a fresh minibatch of data and of noise, then one
step of G on fresh noise. The authors' code updates both *simultaneously*: D and G take their
gradients from one minibatch, through the same dropout masks, before either moves.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LinearLR

from . import objective
from .nets import Discriminator, Generator

STATISTICS = ("d_loss", "g_loss", "d_real", "d_fake", "value")
Masks = Sequence[Tensor]  # of D's dropout, drawn where none are given
Gradient = Sequence[Tensor]


def alternating(players: Players, minibatches: Iterable[Tensor]) -> Tensor:
    """One iteration as the paper states it; k is the number of ``minibatches``.

    Returns STATISTICS (5,), detached and on the device; D's are those of its last step.
    """
    for x in minibatches:  # lines 2 and 4
        z = players.generator.draw_noise(len(x))  # line 3
        real, fake = discriminator_step(players, x, z)  # line 5
    z = players.generator.draw_noise(len(x))  # line 7
    g_loss = generator_step(players, z)  # line 8
    return players.statistics(real, fake, g_loss)


def discriminator_step(
    players: Players, x: Tensor, z: Tensor, masks: Masks | None = None
) -> tuple[Tensor, Tensor]:
    """Line 5: D ascends V on x (m, …) and z (m, noise_size); G stays. Returns D's logits before the step."""
    masks = players.discriminator.draw_masks(2 * len(x)) if masks is None else masks
    gradient, real_logits, fake_logits = players.discriminator_gradient(x, z, masks)
    move(players.d_optimizer, gradient, players.max_norm)
    return real_logits, fake_logits


def generator_step(players: Players, z: Tensor, masks: Masks | None = None) -> Tensor:
    """Line 8: G descends its loss on z (m, noise_size); D stays. Returns the loss."""
    masks = players.discriminator.draw_masks(len(z)) if masks is None else masks
    gradient, loss = players.generator_gradient(z, masks)
    move(players.g_optimizer, gradient, players.max_norm)
    return loss


def simultaneous(players: Players, minibatches: Sequence[Tensor]) -> Tensor:
    """One iteration as the authors' code runs it: one minibatch, the same masks, both at once."""
    (x,) = minibatches
    z = players.generator.draw_noise(len(x))
    return players.statistics(*simultaneous_step(players, x, z))


def simultaneous_step(
    players: Players, x: Tensor, z: Tensor, masks: Masks | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Lines 5 and 8 at once, each against the other player as it was. Returns D's logits and G's loss."""
    masks = players.discriminator.draw_masks(2 * len(x)) if masks is None else masks
    d_gradient, g_gradient, real_logits, fake_logits, g_loss = players.both_gradients(x, z, masks)
    move(players.d_optimizer, d_gradient, players.max_norm)
    move(players.g_optimizer, g_gradient, players.max_norm)
    return real_logits, fake_logits, g_loss


ITERATIONS: dict[str, Callable[[Players, Sequence[Tensor]], Tensor]] = {
    "alternating": alternating,
    "simultaneous": simultaneous,
}


@dataclass
class Players:
    """G and D, how each moves, what G descends. Gradients follow from the weights and what is drawn alone."""

    generator: Generator
    discriminator: Discriminator
    g_optimizer: Optimizer
    d_optimizer: Optimizer
    g_loss: Callable[[Tensor], Tensor] = objective.non_saturating
    precision: Callable[[], AbstractContextManager] = nullcontext  # of products: an autocast context, or none
    max_norm: float = 0.0  # that a unit's incoming weights may have after a move; 0: any

    def judge(self, x: Tensor, fake: Tensor, masks: Masks) -> tuple[Tensor, Tensor]:
        """D's logits (float32) for the data and for G's samples, in one pass through ``masks``."""
        logits = self.discriminator(torch.cat([x, fake.to(x.dtype)]), masks).float()
        return logits[: len(x)], logits[len(x) :]

    def discriminator_gradient(self, x: Tensor, z: Tensor, masks: Masks) -> tuple[Gradient, Tensor, Tensor]:
        """Line 5's gradient for x (m, …), z (m, noise_size) and 2m rows of masks, and D's logits, (m,)."""
        with self.precision():
            with torch.no_grad():
                fake = self.generator(z)
            real_logits, fake_logits = self.judge(x, fake, masks)
        loss = objective.discriminator_loss(real_logits, fake_logits)
        gradient = torch.autograd.grad(loss, list(self.discriminator.parameters()))
        return gradient, real_logits.detach(), fake_logits.detach()

    def generator_gradient(self, z: Tensor, masks: Masks) -> tuple[Gradient, Tensor]:
        """Line 8's gradient for z (m, noise_size) and m rows of masks, and G's loss."""
        with self.precision():
            logits = self.discriminator(self.generator(z), masks).float()
        loss = self.g_loss(logits)
        return torch.autograd.grad(loss, list(self.generator.parameters())), loss.detach()

    def both_gradients(
        self, x: Tensor, z: Tensor, masks: Masks
    ) -> tuple[Gradient, Gradient, Tensor, Tensor, Tensor]:
        """D's and G's gradient from one forward pass, D's logits for data and samples, and G's loss."""
        with self.precision():
            fake = self.generator(z)
            real_logits, fake_logits = self.judge(x, fake, masks)
        d_loss = objective.discriminator_loss(real_logits, fake_logits)
        g_loss = self.g_loss(fake_logits)
        d_weights, g_weights = (list(n.parameters()) for n in (self.discriminator, self.generator))
        d_gradient = torch.autograd.grad(d_loss, d_weights, retain_graph=True)
        g_gradient = torch.autograd.grad(g_loss, g_weights)
        return d_gradient, g_gradient, real_logits.detach(), fake_logits.detach(), g_loss.detach()

    def statistics(self, real: Tensor, fake: Tensor, g_loss: Tensor) -> Tensor:
        """STATISTICS (5,), here so that engines can wrap it."""
        return statistics(real, fake, g_loss)


def move(optimizer: Optimizer, gradient: Gradient, max_norm: float = 0.0) -> None:
    """One step of ``optimizer`` along ``gradient``, which replaces any older one; then `cap_norms`."""
    weights = [w for group in optimizer.param_groups for w in group["params"]]
    for w, g in zip(weights, gradient, strict=True):
        w.grad = g
    optimizer.step()
    if max_norm:
        cap_norms(weights, max_norm)


@torch.no_grad()
def cap_norms(weights: Iterable[Tensor], max_norm: float) -> None:
    """Shrink the weights of each unit (of a `Deconv`, of each map), a row of its layer's, to ``max_norm``."""
    for w in weights:
        if w.ndim in (2, 4):  # of no biases: a Deconv's has three dimensions
            norms = torch.linalg.vector_norm(w.flatten(1), dim=1).clamp_min_(max_norm)
            w.mul_((max_norm / norms).view(-1, *[1] * (w.ndim - 1)))


def statistics(real: Tensor, fake: Tensor, g_loss: Tensor) -> Tensor:
    """(d_loss, g_loss, mean D(x), mean D(G(z)), V), as the minibatch and its dropout masks gave them."""
    v = objective.value(real, fake)
    return torch.stack([-v / 2, g_loss, real.sigmoid().mean(), fake.sigmoid().mean(), v])


def fit_discriminator(players: Players, x: Tensor, z: Tensor, *, steps: int, batch_size: int) -> None:
    """Lines 3–5, ``steps`` times: D learns from data ``x`` (n, …) and noise ``z`` (n, noise_size); G stays.

    No point comes again before all have come, so n = steps · batch_size makes each minibatch a fresh one.
    D's rate falls linearly to 0.
    """
    passes = math.ceil(steps * batch_size / len(x))
    order = torch.cat([torch.randperm(len(x)) for _ in range(passes)])
    schedule = LinearLR(players.d_optimizer, 1.0, 0.0, steps)
    for chosen in order[: steps * batch_size].split(batch_size):
        discriminator_step(players, x[chosen], z[chosen])
        schedule.step()
