"""The paper's yardstick: the log-likelihood of a Gaussian Parzen window on samples. Source: §5, Table 1.

p(x) = 1/m Σ_j N(x; μ_j, σ²·I), the μ_j being m samples of G; in nats, within 1e-3 of float64. It goes
block by block: the memory is bounded whatever the numbers of points, and one distance pass serves all σ.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from . import data
from .nets import Generator
from .recipes import Recipe

SIGMAS: tuple[float, ...] = tuple(np.logspace(-1, 0, 10).tolist())
"""The authors' grid for σ."""
VALID = 1_000  # images on which σ is chosen, at most
BLOCK = 2**23  # distances held at once: 32 MiB of float32
CACHED = 2**20  # of them are raised to the powers at once, which the processor's cache can hold
ON_GPU = 2**25  # of both: a GPU is slower on smaller blocks
SMALLEST, LARGEST = 1e-15, 1e15  # σ, of which float32 has both σ² and 1/σ²
SLACK = 1e-3  # by which pixels may leave [0, 1]
ROUNDING = 5e-3  # largest share of σ² that one rounding of a squared distance may be
NEAREST = 8  # samples of each point whose distances are summed in float64
NEGLIGIBLE = 1e-6  # largest share of a sum that may be left out


@dataclass(frozen=True)
class Estimate:
    """A test log-likelihood in nats, how it was made, and the curve on which σ was chosen."""

    mean: float
    standard_error: float
    """standard deviation over the test examples / √n_test; NaN where there is only one"""
    sigma: float
    n_samples: int
    n_test: int
    n_valid: int
    z_seed: int | None
    """of the noise that G made the samples of; None where no G made them"""
    sigmas: tuple[float, ...]
    curve: tuple[float, ...]
    """mean log-likelihood of the validation examples at each of ``sigmas``"""


def log_likelihood(x: Any, samples: Any, sigma: float) -> Tensor:
    """log p(x), nats, float64 (len(x),), under windows of width ``sigma`` on ``samples``.

    ``x`` (n, …) and ``samples`` (m, …) are tensors or arrays of floats, or of uint8, which is scaled to
    [0, 1]. ValueError: other types, σ outside [1e-15, 1e15], unequal dimensions, no points, no row for each
    point, or values that are not finite.
    """
    return log_likelihoods(x, samples, [sigma])[0]


def log_likelihoods(x: Any, samples: Any, sigmas: Sequence[float]) -> Tensor:
    """`log_likelihood` for each of ``sigmas``, from one pass over the distances; (len(sigmas), n)."""
    if not len(sigmas) or not all(SMALLEST <= sigma <= LARGEST for sigma in sigmas):
        raise ValueError(f"sigma = {[*sigmas]}: one or more from {SMALLEST:g} to {LARGEST:g} are needed")
    x, samples = _points(x, "x"), _points(samples, "samples")
    (n, d), (m, d_samples) = x.shape, samples.shape
    if d != d_samples:
        raise ValueError(f"x has {d} values per point and samples {d_samples}: they must agree")
    dtype = torch.promote_types(x.dtype, samples.dtype)
    x, samples = x.to(samples.device, dtype), samples.to(dtype)
    x, samples = _centred(x, samples, ROUNDING * min(sigmas) ** 2)
    # |μ|² − 2x·μ as one product, of x and a 1 with −2μ and |μ|²
    factors = torch.cat([samples * -2, samples.square().sum(1, keepdim=True)], 1).T
    blocks = (ON_GPU, ON_GPU) if x.is_cuda else (BLOCK, CACHED)
    rows, few = (max(1, block // m) for block in blocks)
    room = samples.new_empty(min(rows, n), m)
    sums = []
    for block in x.split(rows):
        products = room[: len(block)]
        torch.mm(torch.nn.functional.pad(block, (0, 1), value=1.0), factors, out=products)
        for squared, points in zip(products.split(few), block.split(few), strict=True):
            sums.append(_log_sums(squared, points, samples, sigmas))
    widths = torch.tensor(sigmas, dtype=torch.float64)
    constants = math.log(m) + d * torch.log(widths * math.sqrt(2 * math.pi))
    return torch.cat(sums, 1).cpu() - constants[:, None]


def _centred(x: Tensor, samples: Tensor, tolerance: float) -> tuple[Tensor, Tensor]:
    """Both less the samples' mean: smaller norms, so that less cancels in |x|² + |μ|² − 2x·μ.

    In float64 where float32 would round such a sum by more than ``tolerance``.
    """
    centre = samples.mean(0)
    near, centred = x - centre, samples - centre
    largest = max(points.square().sum(1).max().item() for points in (near, centred))
    if torch.finfo(near.dtype).eps * largest > tolerance and near.dtype != torch.float64:
        return _centred(x.double(), samples.double(), tolerance)
    return near, centred


def _log_sums(squared: Tensor, x: Tensor, samples: Tensor, sigmas: Sequence[float]) -> Tensor:
    """log Σ_j exp(−|x − μ_j|²/2σ²) for each σ, float64 (len(sigmas), n); ``squared`` is overwritten.

    The sum hangs on the nearest samples, whose distances are taken anew; in ``squared`` (n, m), less
    |x|², they are rounded differences of large numbers. Where all others are negligible, they are left out.
    """
    m = squared.shape[1]
    near = squared.topk(min(NEAREST, m), largest=False, sorted=False).indices
    apart = samples.index_select(0, near.flatten()).view(*near.shape, -1).sub_(x[:, None])
    exact = apart.square_().sum(-1, dtype=torch.float64)
    nearest = exact.amin(1, keepdim=True)
    exact -= nearest
    norms = x.square().sum(1, keepdim=True, dtype=torch.float64)
    squared.sub_((nearest - norms).to(squared.dtype))
    squared.scatter_(1, near, exact.to(squared.dtype))
    logarithms = []
    for sigma in sigmas:
        rate = -0.5 / sigma**2
        sums = (exact * rate).exp_().sum(1)
        others = (m - near.shape[1]) * (exact.amax(1) * rate).exp_()  # none is larger than the last of near
        rows = (others > NEGLIGIBLE * sums).nonzero()[:, 0]
        if len(rows):
            powers = squared.index_select(0, rows).mul_(rate / math.log(2))
            powers.clamp_(min=-125)  # below, numbers are subnormal and slow
            sums[rows] = powers.exp2_().sum(1).double()
        logarithms.append(sums.log_() + nearest[:, 0] * rate)
    return torch.stack(logarithms)


def select_sigma(samples: Any, valid: Any, sigmas: Sequence[float] = SIGMAS) -> float:
    """The σ under which the validation examples are likeliest; warns at the grid's edge, and of ranges."""
    return _select(_points(samples, "samples"), _points(valid, "valid"), sigmas)[0]


def evaluate(
    generator: Generator, valid: Any, test: Any, *, n_samples: int = 10_000, z_seed: int = 0
) -> Estimate:
    """The protocol of Table 1 for ``n_samples`` of G: `evaluate_samples`."""
    return evaluate_samples(generator.sample(n_samples, seed=z_seed), valid, test, z_seed=z_seed)


def evaluate_samples(
    samples: Any, valid: Any, test: Any, *, sigmas: Sequence[float] = SIGMAS, z_seed: int | None = None
) -> Estimate:
    """The protocol of Table 1 for any ``samples``: σ chosen on ``valid``[:1000], the mean on ``test``.

    Warns where the data are pixels in [0, 1] and the samples are not, or the other way round.
    """
    samples, valid = _points(samples, "samples"), _points(valid[:VALID], "valid")
    test = _points(test, "test")
    sigma, curve = _select(samples, valid, sigmas)
    scores = log_likelihood(test, samples, sigma)
    return Estimate(
        mean=scores.mean().item(),
        standard_error=scores.std(correction=0).item() / math.sqrt(n) if (n := len(scores)) > 1 else math.nan,
        sigma=sigma,
        n_samples=len(samples),
        n_test=len(scores),
        n_valid=len(valid),
        z_seed=z_seed,
        sigmas=tuple(sigmas),
        curve=tuple(curve.tolist()),
    )


def estimate(
    recipe: Recipe, samples: Any, *, split: str = "test", z_seed: int | None = 0, data_dir: Any = None
) -> dict[str, Any]:
    """Table 1's figure of ``samples``, or of a G's 10 000: an `Estimate` as a record, and its ``split``.

    "test" is the paper's; "valid" is for choosing between runs: σ is chosen on the first half of the images
    held out, at most 1 000, and the figure is that of the others. Over several folds it is the mean of
    theirs, with the standard error between them, and ``folds`` has each.
    """
    if split not in ("test", "valid"):
        raise ValueError(f"split = {split!r}: it must be test or valid")
    if isinstance(samples, Generator):
        samples = samples.sample(10_000, seed=z_seed)
    else:
        z_seed = None
    folds = []
    for fold in range(data.folds(recipe.dataset)):
        dataset = data.load(recipe.dataset, data_dir, fold)
        images = dataset.split(recipe.valid)[1], dataset.x_test
        valid, scored = (data.as_samples(x, recipe.scaling) for x in images)
        if split == "valid":
            half = min(VALID, len(valid) // 2)
            valid, scored = valid[:half], valid[half:]
        figure = evaluate_samples(samples, valid, scored, z_seed=z_seed)
        folds.append(asdict(figure) | {"split": split})
    if len(folds) == 1:
        return folds[0]
    means = [one["mean"] for one in folds]
    return folds[0] | {
        "mean": float(np.mean(means)),
        "standard_error": float(np.std(means, ddof=1) / np.sqrt(len(means))),
        "sigma": [one["sigma"] for one in folds],
        "folds": folds,
    }


def _select(samples: Tensor, valid: Tensor, sigmas: Sequence[float]) -> tuple[float, Tensor]:
    """The best σ, and the curve on which it was chosen; warns at the grid's edge, and of unlike ranges."""
    (low, high), (least, largest) = (map(float, points.aminmax()) for points in (samples, valid))
    ours, theirs = low >= -SLACK and high <= 1 + SLACK, largest <= 1 + SLACK
    if least >= -SLACK and ours != theirs:  # points with negative values may be anywhere
        ranges = f"samples lie in [{low:.4g}, {high:.4g}], the data in [{least:.4g}, {largest:.4g}]"
        warnings.warn(f"{ranges}: both must be scaled alike, images to [0, 1]", stacklevel=3)
    curve = log_likelihoods(valid, samples, sigmas).mean(1)
    best = int(curve.argmax())
    if len(sigmas) > 1 and sigmas[best] in (min(sigmas), max(sigmas)):
        edge = f"{sigmas[best]:.4g}, is at the edge of the grid [{min(sigmas):.4g}, {max(sigmas):.4g}]"
        warnings.warn(f"the best sigma, {edge}: a wider grid may give a higher likelihood", stacklevel=3)
    return float(sigmas[best]), curve


def _points(x: Any, name: str) -> Tensor:
    """(n, …) floats or uint8 -> (n, d), float32 where it holds the values exactly, else float64."""
    points = torch.as_tensor(x).detach()
    if points.device.type == "mps":  # which has no float64
        points = points.cpu()
    if points.dtype == torch.uint8:
        points = points.double() / 255
    if not points.is_floating_point() or points.ndim < 2 or not points.numel():
        kind = f"{points.dtype} of shape {tuple(points.shape)}"
        raise ValueError(f"{name} is {kind}: it must be (n, …), not empty, of floats, or uint8 from 0 to 255")
    if not all(map(math.isfinite, points.aminmax())):
        raise ValueError(f"{name} has values that are NaN or infinite: all must be finite")
    return points.flatten(1).to(torch.promote_types(points.dtype, torch.float32))
