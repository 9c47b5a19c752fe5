"""Publishing a run: what the book quotes, measured on the weights that stand beside it."""

from __future__ import annotations

import copy
import dataclasses
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from .. import data, durable
from ..keeping import film_of
from ..layers import pack, save_weights, unpack
from ..nets import Generator
from ..parzen import estimate
from ..recipes import Recipe
from ..runs import BEFORE, HISTORY, RECORD, Run, differing
from . import figures, places, started

LARGEST = 6_000_000  # bytes of a published network, more is not kept
KEPT = ("all", "generators", "generator", "none")


def publish(
    run: Run,
    name: str,
    *,
    root: str | os.PathLike[str] | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    z_seed: int = 0,
    ema: float | None = None,
    unfinished: bool = False,
    replace: bool = False,
    weights: str = "all",
) -> Run:
    """Write ``run`` to ``root/name`` as a published run, whole or not at all, and return that.

    ``root`` is a checkout's book/results/, if no other is given; ``name`` is one plain word. What stands
    there under this name stays until the new run is whole; it stays for good where it is of another
    recipe, or without ``replace``. Its line in ``root/started.csv`` is added, or put right.
    The weights are rounded first, to 8 bits each, or to 16 where that would move a figure by half its
    standard error; all figures and pictures are made with them: what is published is what was measured. The
    pictures are Figure 2 from the first 50 samples of ``z_seed`` (samples.png), Figure 3
    (interpolation.png) and the run's film, an epoch in each column (film.png).
    With ``ema``, the decay of an average of G's weights that was kept beside (`gan.train`), the run is
    published as that of the recipe with this ``ema``, whose game is the same, bit for bit; it has no film,
    as that was made of other weights. Where a sweep kept the best weights, they come too.
    ``unfinished`` publishes a run as one of so many epochs as it has; ``updates_beyond`` them are told in
    run.json. ``weights``: "all" are kept, those of "generators", the "generator" sampled from, or "none".
    """
    root = Path(root or places.results())
    place = root / places.name_of_run(name)
    dataset = _check(run, unfinished, weights, data_dir)
    recipe = _recipe(run, ema)
    end = started.FINISHED if run.finished else started.STOPPED
    with durable.locked(root):
        _check_place(place, recipe, replace)
        scratch = root / f".{name}.part"
        part = scratch / name
        part.mkdir(parents=True)
        try:
            run = Run.load(_as_it_stands(run.folder, scratch / "run"))  # not the caller's networks
            record = run.record | {"recipe": recipe.model_dump(mode="json")}
            run = dataclasses.replace(run, recipe=recipe, record=record)
            _write(part, run, dataset, z_seed, weights, film_of(run) if ema is None else {}, data_dir)
            _exchange(part, place, Run.load(part), end)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return Run.load(place)


def _recipe(run: Run, ema: float | None) -> Recipe:
    """What ``run`` is published as a run of."""
    if ema is not None:
        run.averaged(ema)  # ValueError where it was not kept
    return run.recipe.model_copy(
        update={"epochs": len(run.history)} | ({} if ema is None else {"ema": float(ema)})
    )


def _check_place(place: Path, recipe: Recipe, replace: bool) -> None:
    """ValueError where something stands in ``place`` that no run of ``recipe`` may come in place of."""
    if not place.exists():
        return
    if not (place / RECORD).exists():
        raise ValueError(f"{place} is there, and no published run: choose another name")
    there = Run.load(place).recipe
    if fields := differing(there.model_copy(update={"epochs": recipe.epochs}), recipe):
        raise ValueError(f"{place} holds a run of another recipe ({fields}): choose another name")
    if not replace:
        raise ValueError(f"{place} is published already: choose another name, or replace=True")


def _exchange(new: Path, place: Path, public: Run, end: str) -> None:
    """Put ``new``, which is ``public``, in ``place``, and its line in started.csv; or leave all as it was.

    The line comes first: after a kill between the two the same command puts things right.
    """
    path = place.parent / started.FILE
    lines = started.read(path)
    started.note(public, end, place.parent, place.name)
    try:
        durable.exchange(new, place)
    except BaseException:
        started.write(path, lines)
        raise


def _write(
    part: Path,
    run: Run,
    dataset: data.Dataset,
    z_seed: int,
    weights: str,
    film: dict[int, Tensor],
    data_dir: str | os.PathLike[str] | None,
) -> None:
    """Measure ``run`` and write all its files to ``part``."""
    networks, best_epoch = _networks(run)
    networks, metrics, rounding = _measured(run.recipe, networks, z_seed, data_dir)
    if best_epoch:
        metrics["parzen_best"]["epoch"] = best_epoch
    pictures = _pictures(run.recipe, networks["generator"], dataset, z_seed)
    if film:
        frames = torch.stack([film[epoch] for epoch in sorted(film)], 1).flatten(0, 1)
        pictures["film"] = figures.tile(frames.numpy() / 255, columns=len(film))
    seeds = run.record["seeds"] | {"samples": z_seed}
    found = {"seeds": seeds, "metrics": metrics, "film": sorted(film), "weights": rounding}
    for which in _kept(networks, weights):
        path = part / f"{which}.safetensors"
        save_weights(path, networks[which].state_dict(), rounding["bits"], best_epoch)
        if path.stat().st_size > LARGEST:
            path.unlink()
    for which, picture in pictures.items():
        Image.fromarray(picture).save(part / f"{which}.png", optimize=True)
    durable.write_json(part / RECORD, run.record | found)
    run.history.to_csv(part / HISTORY, index=False, float_format="%.6g")
    durable.write_sums(part)


def _check(run: Run, unfinished: bool, weights: str, data_dir: str | os.PathLike[str] | None) -> data.Dataset:
    """The run's data set; ValueError in one line where the run can't be published so."""
    done = len(run.history)
    if weights not in KEPT:
        raise ValueError(f"weights = {weights!r}: it must be one of {', '.join(KEPT)}")
    if not run.finished and not unfinished:
        raise ValueError(
            f"{run.folder} has {done} of {run.recipe.epochs} epochs: finish it before publishing, or publish "
            f"it as it stands, unfinished=True"
        )
    if not done:
        raise ValueError(f"{run.folder} has no finished epoch: there is nothing to publish yet")
    dataset = data.load(run.recipe.dataset, data_dir)
    if len(dataset.shape) < 3:
        raise ValueError(
            f"{run.folder} was trained on {run.recipe.dataset}, which has no images, as a published run must"
        )
    run.compare(dataset)
    return dataset


def _as_it_stands(folder: Path, copied: Path) -> Path:
    """A copy of a run's folder, which may be in training: all that is read of it is of one moment."""
    copied.mkdir()
    for path in folder.iterdir():
        if path.is_file() and not path.name.startswith(".") and path.name != BEFORE:
            with suppress(FileNotFoundError):  # as the one within an epoch, at its end
                shutil.copy2(path, copied)
    return copied


def _networks(run: Run) -> tuple[dict[str, Any], int | None]:
    """A published run's networks by their files' names; the epoch of the best G's, if it is another."""
    networks: dict[str, Any] = {"generator": run.averaged(run.recipe.ema)}
    if run.recipe.ema:
        networks["generator-last"] = run.averaged(0)
    best, epoch = run.best() or (None, None)
    if best and epoch != len(run.history):
        networks["generator-best"] = best
    return networks | {"discriminator": run.discriminator}, epoch if "generator-best" in networks else None


def _kept(networks: dict[str, Any], weights: str) -> list[str]:
    names = {"all": "", "generators": "generator"}
    if weights in names:
        return [which for which in networks if which.startswith(names[weights])]
    return ["generator"] if weights == "generator" else []


def _measured(
    recipe: Recipe, networks: dict[str, Any], z_seed: int, data_dir: str | os.PathLike[str] | None
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """The networks with rounded weights, every G's figure with them, and how far the rounding moved it."""

    def figures_of(networks: dict[str, Any]) -> dict[str, Any]:
        return {
            which.replace("generator", "parzen").replace("-", "_"): estimate(
                recipe, network, z_seed=z_seed, data_dir=data_dir
            )
            for which, network in networks.items()
            if which != "discriminator"
        }

    exact = figures_of(networks)
    for bits in (8, 16):
        rounded = {which: _rounded(network, bits) for which, network in networks.items()}
        found = figures_of(rounded)
        moved = {name: abs(found[name]["mean"] - exact[name]["mean"]) for name in exact}
        if all(moved[name] < exact[name]["standard_error"] / 2 for name in exact):
            break
    return rounded, found, {"bits": bits, "moved": max(moved.values())}


def _rounded(network: nn.Module, bits: int) -> nn.Module:
    network = copy.deepcopy(network)
    network.load_state_dict(unpack(pack(network.state_dict(), bits)))
    return network


def _pictures(recipe: Recipe, generator: Generator, dataset: data.Dataset, z_seed: int) -> dict[str, NDArray]:
    """Figures 2 and 3 of a published run, pixel for pixel."""
    train = data.as_samples(dataset.split(recipe.valid)[0], recipe.scaling)
    samples = generator.sample(50, seed=z_seed).numpy()
    lines = generator.depict(figures.paths(generator)).numpy()
    return {
        "samples": figures.with_neighbours(samples, train, rows=5),
        "interpolation": figures.tile(lines, columns=figures.STEPS),
    }
