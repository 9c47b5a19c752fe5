"""*Generative Adversarial Nets* (Goodfellow et al., 2014) as a small library.

    recipe = gan.recipe("mnist", epochs=5, seed=1)
    run = gan.train(recipe, out="runs/mnist-1")
    run.generator.sample(64), run.history

Modules, in the order of the paper: nets, objective, algorithm1, toy (§3); theory, certified, symbolic (§4);
data, recipes, parzen (§5); training, engine, runs: how it runs. `gan.book` is what only the pages need.
"""

from importlib.metadata import PackageNotFoundError, version

from . import algorithm1, data, engine, nets, objective, parzen, recipes, runs, sweep, theory, toy, training
from .recipes import Recipe, recipe
from .runs import Run, published
from .training import train

try:
    __version__ = version("gan-book")
except PackageNotFoundError:  # a source tree that was not installed
    __version__ = "unknown"

__all__ = [
    "Recipe",
    "Run",
    "algorithm1",
    "data",
    "engine",
    "nets",
    "objective",
    "parzen",
    "published",
    "recipe",
    "recipes",
    "runs",
    "sweep",
    "theory",
    "toy",
    "train",
    "training",
]
