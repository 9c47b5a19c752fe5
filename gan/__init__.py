"""*Generative Adversarial Nets* (Goodfellow et al., 2014) as a small library.

    recipe = gan.recipe("mnist", epochs=5, seed=1)
    run = gan.train(recipe, out="runs/mnist-1")
    run.generator.sample(64), run.history

Modules, in the order of the paper: nets, objective, algorithm1, toy (§3); theory, certified, symbolic (§4);
data, recipes, parzen (§5); training, engine, runs: how it runs. `gan.book` is what only the pages need.
"""

from . import algorithm1, data, engine, nets, objective, parzen, recipes, runs, sweep, theory, toy, training
from .recipes import Recipe, recipe
from .runs import Run, published
from .training import train

__all__ = ["Recipe", "Run", "published", "recipe", "train"]
__all__ += ["algorithm1", "data", "engine", "nets", "objective", "parzen", "recipes", "runs", "sweep"]
__all__ += ["theory", "toy", "training"]
