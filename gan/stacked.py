"""All seeds of a recipe in one batch: several games of small networks take hardly longer than one.

Their weights stand in one tensor, a slice for each game. Rows come first and games second, x (m, games, …),
so that `algorithm1` plays them all; noise, masks and the data's order are of each game's own random numbers.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from . import keeping, runs
from .algorithm1 import ITERATIONS, Masks, Players, statistics
from .data import load, resident
from .engine import pick_device
from .recipes import Recipe
from .training import Game, make_optimizer, shuffled, updates

TOGETHER = 8  # seeds in one batch at most, so that something is left for other workers
MOST = 150_000  # weights between hidden layers: digits has 101 000; at 396 000 a batch was no faster on a CPU


def pays(recipe: Recipe, how: Mapping[str, Any]) -> bool:
    """Whether seeds of ``recipe`` can be trained in one batch, and faster so; ``how`` is for `gan.train`."""
    told = {key for key, value in how.items() if value not in ("auto", "eager", None, False, [], ())}
    other = told - {"split", "device", "data_dir"} or pick_device(how.get("device", "auto")).type != "cpu"
    layers = (recipe.d_conv, recipe.g_deconv, recipe.g_batch_norm != "none", recipe.second_stage_after)
    if other or any((*layers, recipe.max_norm, recipe.scaling == "gcn", recipe.precision != "fp32")):
        return False
    g_hidden = sum(a * b for a, b in pairwise((recipe.noise_size, *recipe.g_hidden)))
    return g_hidden + recipe.d_pieces * sum(a * b for a, b in pairwise(recipe.d_hidden)) <= MOST


def batches(folder: Path, tasks: Sequence[Any]) -> list[list[Any]]:
    """A sweep's ``tasks`` by what a worker trains in one batch: new seeds of a recipe; others alone."""
    groups: dict[str, list[Any]] = {}
    for task in tasks:
        new = task.stacks and not (folder / task.made).exists()
        groups.setdefault(json.dumps(task.fields | {"seed": 0}) if new else task.made, []).append(task)
    return [group[i : i + TOGETHER] for group in groups.values() for i in range(0, len(group), TOGETHER)]


class Linears(nn.Module):
    """Linear layers of several networks; (n, games, inputs) -> (n, games, outputs)."""

    def __init__(self, layers: Sequence[nn.Linear]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.stack([layer.weight.detach() for layer in layers]))
        self.bias = nn.Parameter(torch.stack([layer.bias.detach() for layer in layers]))

    def forward(self, x: Tensor) -> Tensor:
        return torch.baddbmm(self.bias[:, None], x.transpose(0, 1), self.weight.mT).transpose(0, 1)


def stack(networks: Sequence[Any]) -> Any:
    """One network of the weights of all ``networks``, which become its slices."""
    stacked = copy.deepcopy(networks[0])
    for name, layer in [*stacked.named_modules()]:
        if isinstance(layer, nn.Linear):
            stacked.set_submodule(name, Linears([one.get_submodule(name) for one in networks]))
        elif isinstance(layer, nn.Flatten):
            stacked.set_submodule(name, nn.Flatten(2))
    for w, *slices in zip(stacked.parameters(), *(one.parameters() for one in networks), strict=True):
        w.register_hook(lambda g: g.contiguous() * len(networks))  # the loss is a mean over games too
        for own, there in zip(slices, w.data, strict=True):
            own.data = there
    return stacked


class Stack(Players):
    """The players of all ``games``, and the random numbers of each."""

    def __init__(self, games: Sequence[Game], random: list[Any]) -> None:
        self.games, self.random, self.recipe = games, random, games[0].recipe
        both = [stack([getattr(game, player) for game in games]) for player in ("generator", "discriminator")]
        moved = [make_optimizer(self.recipe, one) for one in both]
        super().__init__(both[0], both[1], moved[0], moved[1], self._loss)
        self.generator.draw_noise = self._noise  # type: ignore[method-assign, assignment]
        self.discriminator.draw_masks = self._masks  # type: ignore[method-assign]

    def _draw(self, draw: Callable[[Game], Any]) -> list[Any]:
        """What each game draws."""
        drawn = []
        for i, game in enumerate(self.games):
            game.random.load_state_dict(self.random[i])
            drawn.append(draw(game))
            self.random[i] = game.random.state_dict()
        return drawn

    def _noise(self, n: int) -> Tensor:
        return torch.stack(self._draw(lambda game: game.generator.draw_noise(n)), 1)

    def _masks(self, n: int) -> list[Tensor]:
        drawn = self._draw(lambda game: game.discriminator.draw_masks(n))
        return [torch.stack(masks, 1) for masks in zip(*drawn, strict=True)]

    def _loss(self, logits: Tensor) -> Tensor:
        self.last = logits.detach()
        return self.games[0].players.g_loss(logits)

    def judge(self, x: Tensor, fake: Tensor, masks: Masks) -> tuple[Tensor, Tensor]:
        logits = super().judge(x, fake, masks)
        self.seen = [one.detach() for one in logits]
        return logits

    def iterate(self, minibatches: Sequence[Tensor]) -> Tensor:
        """An iteration of Algorithm 1; STATISTICS of each game, (games, 5)."""
        ITERATIONS[self.recipe.updates](self, minibatches)
        loss = self.games[0].players.g_loss
        one = lambda real, fake, last: statistics(real, fake, loss(last))  # noqa: E731
        return torch.vmap(one, 1)(*self.seen, self.last)  # type: ignore[call-arg]

    def epoch(self, number: int, x: Tensor) -> None:
        """Play an epoch of data ``x`` (n, …)."""
        orders = self._draw(lambda game: shuffled(len(x)))
        for game, order in zip(self.games, orders, strict=True):
            game.epoch.begin(order)
        for found in updates(self.iterate, self, self.recipe, x, number, torch.stack(orders, 1)):
            for game, one in zip(self.games, found, strict=True):
                game.epoch.add(one)
                game.averages.follow()

    def part(self, i: int) -> Game:
        """Game ``i`` with what was its own: weights, momenta and random numbers."""
        game, own = self.games[i], self.games[i].players
        for stacked, optimizer, network, its in (
            (self.generator, self.g_optimizer, own.generator, own.g_optimizer),
            (self.discriminator, self.d_optimizer, own.discriminator, own.d_optimizer),
        ):
            for w, slice in zip(stacked.parameters(), network.parameters(), strict=True):
                slice.data = w.data[i].clone()
                kept = optimizer.state[w].items()
                its.state[slice] = {key: (v[i] if v.shape == w.shape else v).clone() for key, v in kept}
            settings = optimizer.param_groups[0].items()
            its.param_groups[0].update({key: v for key, v in settings if key != "params"})
        game.random.load_state_dict(self.random[i])
        return game


def train(
    recipes: Sequence[Recipe],
    folders: Sequence[Path],
    *,
    device: str = "auto",
    data_dir: Any = None,
    after_epoch: Callable[[int], None] | None = None,
) -> None:
    """Train ``recipes``, equal but for their seeds, in new ``folders``, as `gan.train` does one by one.

    The same but for the rounding of sums. Runs are written at the end, or as they stand where ``after_epoch``
    raises KeyboardInterrupt; one that diverges is not, and stops no other.
    """
    where, data = pick_device(device), load(recipes[0].dataset, data_dir)
    images = data.split(recipes[0].valid)[0]
    with ExitStack() as held:
        stills = [held.enter_context(keeping.own(folder, where)) for folder in folders]
        games, random, lost = [], [], set()
        for recipe in recipes:
            games.append(Game(recipe, images, where))
            random.append(games[-1].random.state_dict())
        begun = [runs.new_record(recipe, where, data) | {"engine": "eager"} for recipe in recipes]
        players, x = Stack(games, random), resident(images, where)
        try:
            for epoch in range(1, recipes[0].epochs + 1):
                whole = False
                players.epoch(epoch, x)
                lost |= {i for i, game in enumerate(games) if game.trouble()}
                for game in games:
                    game.epoch.since += game.epoch.seconds * (1 - 1 / len(games))
                    game.end_epoch()
                whole = True
                if after_epoch:
                    after_epoch(epoch)
        finally:
            for i in {*range(len(games))} - lost if whole else ():
                record, parts = begun[i] | {"stacked": len(games)}, players.part(i).parts()
                keeping.Checkpoints(folders[i], record, False, stills[i]).save(parts, end=True, must=True)
