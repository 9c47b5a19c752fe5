"""examples/algorithm1.py: the gradients that it follows are those of `gan.algorithm1`, step by step."""

import ast
import importlib.util
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_pre_hook as before_each_step

from gan.algorithm1 import Players
from gan.nets import Discriminator, Generator

PATH = Path(__file__).resolve().parents[1] / "examples/algorithm1.py"
spec = importlib.util.spec_from_file_location("example", PATH)
example = importlib.util.module_from_spec(spec)
spec.loader.exec_module(example)


class Recorded(nn.Module):
    """Dropout that keeps the masks it draws."""

    def __init__(self, p):
        super().__init__()
        self.p, self.masks = p, []

    def forward(self, x):
        self.masks.append(torch.bernoulli(torch.full_like(x, 1 - self.p)) / (1 - self.p))
        return x * self.masks[-1]


@pytest.fixture(scope="module")
def game():
    """Three iterations of the example with k = 2, in float64: the data, and a record of each player's steps.

    It says who moved, what G and D were given since the step before, and two gradients: the example's, and
    that of `gan.algorithm1` from the same weights, noise, data and masks.
    """
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    G, D = example.networks()
    drops = [layer.p for layer in D if isinstance(layer, nn.Dropout)]
    assert len(set(drops)) == 1 and drops[0] > 0
    for i, layer in enumerate(D):
        if isinstance(layer, nn.Dropout):
            D[i] = Recorded(layer.p)
    recorded = [layer for layer in D if isinstance(layer, Recorded)]
    noises, judged = [], []
    G.register_forward_pre_hook(lambda _, args: noises.append(args[0]))
    D.register_forward_pre_hook(lambda _, args: judged.append(args[0].detach()))

    shape, dropout = (example.PIXELS,), {"dropout_input": 0.0, "dropout_hidden": drops[0]}
    ours = Generator(example.NOISE, (128, 128), shape), Discriminator(shape, (64, 64), 3, **dropout)
    players = Players(*ours, *(torch.optim.SGD(n.parameters()) for n in ours))
    data, steps = torch.rand(40, example.PIXELS), []

    def compare(optimizer, *_):
        (group,) = optimizer.param_groups
        who = "D" if group["params"][0] is next(D.parameters()) else "G"
        for network, twin in zip((G, D), ours, strict=True):
            for w, there in zip(network.parameters(), twin.parameters(), strict=True):
                there.data.copy_(w.detach())
        masks = [torch.cat(layer.masks) for layer in recorded]
        if who == "D":
            gradient, *_ = players.discriminator_gradient(judged[0], noises[-1], masks)
        else:
            gradient, _ = players.generator_gradient(noises[-1], masks)
        both = {"example": [w.grad for w in group["params"]], "gan": gradient}
        flat = {name: torch.cat([g.flatten() for g in each]) for name, each in both.items()}
        steps.append(SimpleNamespace(who=who, maximize=group["maximize"], z=[*noises], x=[*judged], **flat))
        for kept in (noises, judged, *(layer.masks for layer in recorded)):
            kept.clear()

    handle = before_each_step(compare)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(example, "k", 2)
            patch.setattr(example, "m", 20)
            example.play(G, D, data, iterations=3)
    finally:
        handle.remove()
        torch.set_default_dtype(torch.float32)
    return SimpleNamespace(data=data, steps=steps)


def test_each_iteration_is_k_steps_of_d_and_then_one_of_g(game):
    assert "".join(step.who for step in game.steps) == "DDG" * 3


def test_d_ascends_twice_the_gradient_of_gans_d_and_g_descends_the_same(game):
    """The example follows V, as printed, and upwards; `gan` descends −V/2, the mean of V's two halves."""
    for step in game.steps:
        factor = -2 if step.who == "D" else 1
        assert step.maximize == (step.who == "D")
        assert step.gan.norm() > 1e-3
        assert (step.example - factor * step.gan).norm() <= 1e-6 * step.example.norm()


def test_every_step_has_fresh_noise_and_every_step_of_d_a_fresh_minibatch_of_data(game):
    for step in game.steps:
        assert [z.shape for z in step.z] == [(20, example.NOISE)]
        assert len(step.x) == (2 if step.who == "D" else 1)  # data before samples
        if step.who == "D":
            assert (step.x[0][:, None] == game.data).all(-1).any(1).all()
    minibatches = [step.x[0] for step in game.steps if step.who == "D"]
    for drawn in ([step.z[0] for step in game.steps], minibatches):
        assert not any(torch.equal(a, b) for a, b in pairwise(drawn))


def test_it_can_be_read_at_once_and_stands_alone():
    text = PATH.read_text("utf-8")
    assert len(text.splitlines()) <= 80
    nodes = list(ast.walk(ast.parse(text)))
    modules = [node.module for node in nodes if isinstance(node, ast.ImportFrom)]
    modules += [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    assert {module.split(".")[0] for module in modules} == {"argparse", "torch", "PIL", "sklearn"}
