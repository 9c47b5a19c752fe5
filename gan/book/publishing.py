"""Publishing a run: what the book quotes, measured on the weights that stand beside it."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import save_file

from .. import data
from ..nets import Generator
from ..parzen import estimate
from ..recipes import Recipe
from ..runs import HISTORY, Run, read_checkpoint, write_record
from . import figures

LARGEST = 6_000_000  # bytes of a published network, more is not kept


def publish(
    run: Run,
    name: str,
    *,
    root: str | os.PathLike[str] = "book/results",
    data_dir: str | os.PathLike[str] | None = None,
    z_seed: int = 0,
    ema: float | None = None,
    unfinished: bool = False,
) -> Run:
    """Write ``run`` to ``root/name`` as a published run, whole or not at all, and return that.

    The weights are rounded to float16 first, and all figures and pictures are made with them: what is
    published is what was measured. The pictures are Figure 2 from the first 50 samples of ``z_seed``
    (samples.png), Figure 3 (interpolation.png) and the run's film, an epoch in each column (film.png).

    With ``ema``, the decay of an average of G's weights that was kept beside (`gan.train`), the run is
    published as that of the recipe with this ``ema``, whose game is the same, bit for bit; it has no film,
    as that was made of other weights.

    ``unfinished`` publishes a run as it stands, as one of so many epochs as it has: a game's first epochs
    do not depend on how many are to follow. Where `gan.book.ablation` kept the best weights, they come too.
    """
    done = len(run.history)
    if not run.finished and not unfinished:
        raise ValueError(
            f"{run.folder} has {done} of {run.recipe.epochs} epochs: finish it before publishing, or publish "
            f"it as it stands with --unfinished"
        )
    if not done:
        raise ValueError(f"{run.folder} has no finished epoch: there is nothing to publish yet")
    if len(data.SHAPES[run.recipe.dataset]) < 3:
        raise ValueError(
            f"{run.folder} was trained on {run.recipe.dataset}, which has no images, as a published run must"
        )
    dataset = data.load(run.recipe.dataset, data_dir)
    if run.record["data_sha256"] != dataset.digest:
        raise ValueError(f"{run.folder} was trained on other {dataset.name} data than is loaded here")
    root = Path(root)
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root, prefix=f".{name}-") as scratch:
        part = Path(scratch) / name
        part.mkdir()
        run = Run.load(_as_it_stands(run.folder, Path(scratch) / "run"))  # not the caller's networks
        recipe = run.recipe.model_copy(
            update={"epochs": len(run.history)} | ({} if ema is None else {"ema": ema})
        )
        run = replace(run, recipe=recipe, record=run.record | {"recipe": recipe.model_dump(mode="json")})
        generators = {"": run.averaged(run.recipe.ema)}
        if run.recipe.ema:
            generators["-last"] = run.averaged(0)
        best, best_epoch = run.best() or (None, 0)
        if best:
            generators["-best"] = best
        networks = {f"generator{which}": generator for which, generator in generators.items()}
        for which, network in (networks | {"discriminator": run.discriminator}).items():
            network.half().float()
            path = part / f"{which}.safetensors"
            halves = {key: w.half().contiguous() for key, w in network.state_dict().items()}
            save_file(
                halves, path, metadata={"epoch": str(best_epoch)} if which == "generator-best" else None
            )
            if path.stat().st_size > LARGEST:
                path.unlink()
        metrics = {
            f"parzen{which.replace('-', '_')}": estimate(
                run.recipe, network, z_seed=z_seed, data_dir=data_dir
            )
            for which, network in generators.items()
        }
        if best:
            metrics["parzen_best"]["epoch"] = best_epoch
        record = run.record | {"metrics": metrics, "film": []}
        record["seeds"] = record["seeds"] | {"samples": z_seed}
        pictures = _pictures(run.recipe, generators[""], dataset, z_seed)
        film = {} if ema else (read_checkpoint(run.folder) or {}).get("film")  # that of other weights
        if film:
            record["film"] = sorted(film)
            frames = torch.stack([film[epoch] for epoch in record["film"]], 1).flatten(0, 1)
            pictures["film"] = data.tile(frames.numpy() / 255, columns=len(film))
        for which, picture in pictures.items():
            Image.fromarray(picture).save(part / f"{which}.png", optimize=True)
        write_record(part, record)
        run.history.to_csv(part / HISTORY, index=False, float_format="%.6g")
        if (root / name).exists():
            shutil.rmtree(root / name)
        os.replace(part, root / name)
    return Run.load(root / name)


def _as_it_stands(folder: Path, copy: Path) -> Path:
    """A copy of a run's folder, which may be in training: all that is read of it is of one moment."""
    copy.mkdir()
    for path in folder.iterdir():
        if path.is_file() and not path.name.startswith("."):
            shutil.copy2(path, copy)
    return copy


def _pictures(recipe: Recipe, generator: Generator, dataset: data.Dataset, z_seed: int) -> dict[str, NDArray]:
    """Figures 2 and 3 of a published run, pixel for pixel."""
    train = data.as_samples(dataset.split(recipe.valid)[0], recipe.scaling)
    samples = generator.sample(50, seed=z_seed).numpy()
    lines = generator.depict(figures.paths(generator)).numpy()
    return {
        "samples": figures.with_neighbours(samples, train, rows=5),
        "interpolation": data.tile(lines, columns=figures.STEPS),
    }
