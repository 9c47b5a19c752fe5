"""All seeds of a recipe in one batch: several games of small networks take hardly longer than one.

Their weights stand in one tensor, a slice for each game. Rows come first and games second, x (m, games, …),
so that `algorithm1` plays them all; noise, masks and the data's order are of each game's own random numbers.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from . import keeping, runs
from .algorithm1 import ITERATIONS, STATISTICS, Players, statistics
from .data import load, resident
from .engine import pick_device
from .objective import GENERATOR_LOSSES
from .recipes import Recipe
from .training import Game, make_optimizer, shuffled, updates

CPU = torch.device("cpu")
MOST = 150_000  # weights between hidden layers: digits has 101 000; at 396 000 a batch was no faster


def pays(recipe: Recipe, how: Mapping[str, Any]) -> bool:
    """Whether seeds of ``recipe`` can be trained in one batch, and faster so; ``how`` is for `gan.train`."""
    other = [recipe.d_conv, recipe.g_deconv, recipe.second_stage_after, recipe.max_norm, recipe.ema]
    other += [recipe.g_batch_norm != "none", recipe.scaling == "gcn", recipe.precision != "fp32"]
    other += [bool(how.keys() - {"device", "data_dir"}), pick_device(how.get("device", "auto")) != CPU]
    if any(other):
        return False
    g_hidden = sum(a * b for a, b in pairwise((recipe.noise_size, *recipe.g_hidden)))
    return g_hidden + recipe.d_pieces * sum(a * b for a, b in pairwise(recipe.d_hidden)) <= MOST


def linears(layer: nn.Linear, x: Tensor) -> Tensor:
    """A layer of all games, (n, games, inputs) -> (n, games, outputs)."""
    return torch.baddbmm(layer.bias[:, None], x.transpose(0, 1), layer.weight.mT).transpose(0, 1)


def stack(networks: Sequence[nn.Module]) -> Any:
    """One network of the weights of all ``networks``, (games, …)."""
    stacked = copy.deepcopy(networks[0])
    for layer in stacked.modules():
        if isinstance(layer, nn.Linear):
            layer.forward = partial(linears, layer)  # type: ignore[method-assign]
        elif isinstance(layer, nn.Flatten):
            layer.start_dim = 2
    for w, *each in zip(stacked.parameters(), *(one.parameters() for one in networks), strict=True):
        w.data = torch.stack([one.data for one in each])
        w.register_hook(lambda g: g.contiguous() * len(networks))  # the loss is a mean over games too
    return stacked


class Stack(Players):
    """The players of all ``games``, which have their random numbers' states beside them."""

    def __init__(self, games: dict[Game, Tensor]) -> None:
        self.games, self.recipe, self.logits = games, next(iter(games)).recipe, list[Tensor]()
        g, d = (stack([getattr(game, player) for game in games]) for player in ("generator", "discriminator"))
        g.draw_noise = lambda n: self.each(lambda game: game.generator.draw_noise(n))
        d.draw_masks = lambda n: self.each(lambda game: game.discriminator.draw_masks(n))
        d.register_forward_hook(lambda *told: self.logits.append(told[-1].detach()))
        g_optimizer, d_optimizer = (make_optimizer(self.recipe, network) for network in (g, d))
        super().__init__(g, d, g_optimizer, d_optimizer, GENERATOR_LOSSES[self.recipe.loss])

    def each(self, draw: Callable[[Game], Any]) -> Any:
        """What each game draws, the games second."""
        drawn = []
        for game, numbers in self.games.items():
            torch.set_rng_state(numbers)
            drawn.append(draw(game))
            self.games[game] = torch.get_rng_state()
        return tree_map(lambda *of: torch.stack(of, 1), *drawn)

    def iterate(self, minibatches: Sequence[Tensor]) -> Tensor:
        """An iteration of Algorithm 1; STATISTICS of each game, (games, 5)."""
        self.logits.clear()
        ITERATIONS[self.recipe.updates](self, minibatches)
        real, fake = self.logits[-2:][0].chunk(2)  # when D moved last,
        last = self.logits[-1][-len(real) :]  # and G
        return torch.vmap(statistics, (1, 1, 0))(real, fake, torch.vmap(self.g_loss, 1)(last))

    def epoch(self, number: int, x: Tensor) -> None:
        """Play an epoch of data ``x`` (n, …)."""
        start, orders = time.perf_counter(), self.each(lambda game: shuffled(len(x)))
        means = torch.stack([*updates(self.iterate, self, self.recipe, x, number, orders)]).mean(0)
        seconds = (time.perf_counter() - start) / len(self.games)
        for i, game in enumerate(self.games):
            own = lambda x: x[i].clone() if isinstance(x, Tensor) and x.ndim else x  # noqa: B023, E731
            for name in ("generator", "discriminator", "g_optimizer", "d_optimizer"):
                getattr(game.players, name).load_state_dict(tree_map(own, getattr(self, name).state_dict()))
            row = dict(zip(STATISTICS, means[i].tolist(), strict=True))
            game.history.append({"epoch": number, **row, "seconds": seconds})
            game.film.take(number, game.generator)


def train(recipes: Mapping[Path, Recipe], data_dir: Any, look: Callable[[int], None]) -> None:
    """Train ``recipes``, equal but for their seeds, each in its new folder, as `gan.train` does one by one.

    The same but for the rounding of sums. Runs are written at the end, or as they stand where ``look``, which
    gets each epoch's number, raises KeyboardInterrupt; one that diverges is not, and stops no other.
    """
    recipe = next(iter(recipes.values()))
    dataset = load(recipe.dataset, data_dir)
    images = dataset.split(recipe.valid)[0]
    games, saved = dict[Game, Tensor](), list[keeping.Checkpoints]()
    with ExitStack() as held:
        for folder, own in recipes.items():
            still = held.enter_context(keeping.own(folder, CPU))
            record = runs.new_record(own, CPU, dataset) | {"engine": "eager", "stacked": len(recipes)}
            saved.append(keeping.Checkpoints(folder, record, False, still))
            game = Game(own, images, CPU)
            games[game] = torch.get_rng_state()
        players, x = Stack(games), resident(images, CPU)
        for epoch in range(1, recipe.epochs + 1):
            players.epoch(epoch, x)
            try:
                look(epoch)
            except KeyboardInterrupt:
                break
        for checkpoints, (game, numbers) in zip(saved, games.items(), strict=True):
            torch.set_rng_state(numbers)
            if not game.trouble():
                checkpoints.save(game.parts(), end=True, must=True)
