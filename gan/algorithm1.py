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


@dataclass
class Players:
    """G and D, how each moves, what G descends, and the arithmetic (an autocast context, or none)."""

    generator: Generator
    discriminator: Discriminator
    g_optimizer: Optimizer
    d_optimizer: Optimizer
    g_loss: Callable[[Tensor], Tensor] = objective.non_saturating
    precision: Callable[[], AbstractContextManager] = nullcontext


def gradients(loss: Tensor, optimizer: Optimizer, keep_graph: bool = False) -> None:
    """Set the gradients of ``optimizer``'s own parameters, replacing old ones; touch no others."""
    parameters = [w for group in optimizer.param_groups for w in group["params"]]
    for w, gradient in zip(
        parameters, torch.autograd.grad(loss, parameters, retain_graph=keep_graph), strict=True
    ):
        w.grad = gradient


def judge(discriminator: Discriminator, x: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """D's logits (float32) for the data and for G's samples, in one pass."""
    real, generated = discriminator(torch.cat([x, fake.to(x.dtype)])).float().split([len(x), len(fake)])
    return real, generated


def discriminator_step(players: Players, x: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    """Line 5: D ascends V on data ``x`` (m, …) and noise ``z`` (m, noise_size); G stays.

    Returns D's logits before the step.
    """
    with players.precision():
        with torch.no_grad():
            fake = players.generator(z)
        real_logits, fake_logits = judge(players.discriminator, x, fake)
    gradients(objective.discriminator_loss(real_logits, fake_logits), players.d_optimizer)
    players.d_optimizer.step()
    return real_logits, fake_logits


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


def generator_step(players: Players, z: Tensor) -> Tensor:
    """Line 8: G descends its loss on noise ``z`` (m, noise_size); D stays. Returns the loss."""
    with players.precision():
        logits = players.discriminator(players.generator(z)).float()
    loss = players.g_loss(logits)
    gradients(loss, players.g_optimizer)
    players.g_optimizer.step()
    return loss


def alternating(players: Players, minibatches: Iterable[Tensor]) -> Tensor:
    """One iteration as the paper states it; k is the number of ``minibatches``.

    Returns STATISTICS (5,), detached and on the device; D's are those of its last step.
    """
    for x in minibatches:  # lines 2 and 4
        z = players.generator.draw_noise(len(x))  # line 3
        real, fake = discriminator_step(players, x, z)  # line 5
    z = players.generator.draw_noise(len(x))  # line 7
    g_loss = generator_step(players, z)  # line 8
    return statistics(real, fake, g_loss)


def simultaneous(players: Players, minibatches: Sequence[Tensor]) -> Tensor:
    """One iteration as the authors' code runs it: one minibatch, the same masks, both at once.

    Returns STATISTICS (5,), detached and on the device.
    """
    (x,) = minibatches
    with players.precision():
        fake = players.generator(players.generator.draw_noise(len(x)))
        real_logits, fake_logits = judge(players.discriminator, x, fake)
    g_loss = players.g_loss(fake_logits)
    d_loss = objective.discriminator_loss(real_logits, fake_logits)
    gradients(d_loss, players.d_optimizer, keep_graph=True)
    gradients(g_loss, players.g_optimizer)
    players.d_optimizer.step()
    players.g_optimizer.step()
    return statistics(real_logits, fake_logits, g_loss)


@torch.no_grad()
def statistics(real: Tensor, fake: Tensor, g_loss: Tensor) -> Tensor:
    """(d_loss, g_loss, mean D(x), mean D(G(z)), V), as the minibatch and its dropout masks gave them."""
    v = objective.value(real, fake)
    return torch.stack([-v / 2, g_loss, real.sigmoid().mean(), fake.sigmoid().mean(), v])


ITERATIONS: dict[str, Callable[[Players, Sequence[Tensor]], Tensor]] = {
    "alternating": alternating,
    "simultaneous": simultaneous,
}
