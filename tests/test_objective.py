"""Eq. (1) and its losses against closed forms in float64, out to |logit| = 100."""

import math

import numpy as np
import pytest
import torch
from scipy.special import expit, log_expit

from gan import objective

LOGITS = np.concatenate([np.linspace(-100, 100, 81), [-1e-3, 0.0, 1e-3, 17.5, -17.5, 89.0, -89.0]])


def value_and_gradient(loss, logits):
    s = torch.tensor(logits, dtype=torch.float32, requires_grad=True)
    out = loss(s)
    return out.item(), torch.autograd.grad(out, s)[0].numpy() * len(logits)


@pytest.mark.parametrize(
    ("loss", "closed_form", "gradient"),
    [
        # log(1 − σ(s)) = log σ(−s): gradient −σ(s) = −D
        (objective.minimax, lambda s: log_expit(-s), lambda s: -expit(s)),
        # −log σ(s): gradient −(1 − σ(s)) = −σ(−s)
        (objective.non_saturating, lambda s: -log_expit(s), lambda s: -expit(-s)),
    ],
)
@pytest.mark.parametrize("s", LOGITS)
def test_generator_losses_at_one_logit(loss, closed_form, gradient, s):
    out, slope = value_and_gradient(loss, [s])
    assert out == pytest.approx(closed_form(np.float64(s)), rel=1e-6, abs=1e-7)
    assert slope[0] == pytest.approx(gradient(np.float64(s)), rel=0, abs=1e-7)


def test_the_two_generator_losses_agree_only_where_d_is_undecided():
    _, minimax = value_and_gradient(objective.minimax, [-20.0, 0.0, 20.0])
    _, non_saturating = value_and_gradient(objective.non_saturating, [-20.0, 0.0, 20.0])
    assert minimax[1] == non_saturating[1] == -0.5
    assert abs(minimax[0]) < 1e-8 < 0.99 < abs(non_saturating[0])  # a sure D: only one still pulls
    assert abs(non_saturating[2]) < 1e-8 < 0.99 < abs(minimax[2])


def test_value_against_scipy():
    rng = np.random.default_rng(0)
    real, fake = rng.normal(0, 30, (2, 500))
    expected = log_expit(real).mean() + log_expit(-fake).mean()
    out = objective.value(torch.tensor(real), torch.tensor(fake))
    assert out.item() == pytest.approx(expected, rel=1e-8)
    assert objective.discriminator_loss(torch.tensor(real), torch.tensor(fake)).item() == pytest.approx(
        -expected / 2
    )


def test_value_of_a_discriminator_that_cannot_tell_is_minus_log_4():
    undecided = torch.zeros(7)
    assert objective.value(undecided, undecided).item() == pytest.approx(-math.log(4))


def test_discriminator_loss_pushes_data_up_and_samples_down():
    s = torch.tensor(LOGITS, dtype=torch.float32, requires_grad=True)
    (gradient,) = torch.autograd.grad(objective.discriminator_loss(s, s), s)
    # d/ds of −½[log σ(s) + log σ(−s)] = ½[σ(s) − σ(−s)]
    expected = (expit(LOGITS) - expit(-LOGITS)) / 2 / len(LOGITS)
    np.testing.assert_allclose(gradient.numpy(), expected, rtol=0, atol=1e-7)
