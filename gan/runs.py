"""A run's folder: its recipe and provenance, its history, its weights, and what there is to go on from.

A run in training holds checkpoint.pt (everything needed to go on, bit for bit, and all that run.json and
history.csv tell a reader), the one before it, and where an epoch takes long, or a signal ended it, one from
within. A published run holds run.json, history.csv, its pictures, its networks and their checksums.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
import warnings
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache, cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from . import data, durable, files, parzen
from .algorithm1 import STATISTICS
from .engine import describe, processes
from .layers import load_weights, read_weights
from .nets import Discriminator, Generator, networks
from .recipes import Recipe, changes, parse, words

FORMAT = 3  # of checkpoints: 2 had no seal and no record, 1 no number and two states of random numbers
RECORD, HISTORY, BEST = "run.json", "history.csv", "best.safetensors"
CHECKPOINT, BEFORE, WITHIN = CHECKPOINTS = "checkpoint.pt", "checkpoint.before.pt", "checkpoint.within.pt"
"""At the end of the last epoch that was saved, the one before it, and from within an epoch after it."""
AGAIN = "put back a copy, or train again: where no good checkpoint is left, with overwrite=True"
COLUMNS = ["epoch", *STATISTICS, "seconds"]
TRAINING = ("started", "seeds", "data_sha256")  # in which all records of one training agree
PACKAGES = ("torch", "torchvision", "numpy", "pandas", "scikit-learn", "pydantic")
PROVENANCE = (
    "recipe {name} · seed {seed} · {epochs} epochs · {date} · {device} · Python {python} · torch {torch} · "
    "{minutes} min {seconds} s · commit {commit}"
)


@dataclass(frozen=True)
class Run:
    """A run as it stands in its folder. ``history`` has a row per epoch:

    epoch, d_loss and g_loss (nats), d_real and d_fake (mean D(x) and D(G(z))), value (V, nats) and
    seconds; all are means over the epoch's updates, as the training minibatches and masks gave them.
    """

    folder: Path
    recipe: Recipe
    record: dict[str, Any]
    """run.json: recipe, seeds, versions, device, started, seconds, commit, and later metrics. Weights saved
    within an epoch have had so many updates of it, the one after the history's last: ``updates_beyond``."""
    history: pd.DataFrame
    state: dict[str, Any] = field(default_factory=dict, repr=False)
    """The parts of `gan.training.Game` in the checkpoint ``file``; none of a published run."""
    file: str = RECORD

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Run:
        """The run in ``folder``; FileNotFoundError or ValueError, one line, where there is none."""
        folder = Path(folder)
        files.check_folder(folder)
        durable.check_sums(folder)
        for name in (CHECKPOINT, BEFORE):  # the second rules for the moment in which the first becomes it
            with suppress(FileNotFoundError, NotADirectoryError):
                run = read_checkpoint(folder / name)
                told = read_record(folder) if (folder / RECORD).exists() else run.record
                if any(run.record.get(key) != told.get(key) for key in TRAINING):
                    raise ValueError(f"{folder}: {RECORD} and {name} are of two runs; train takes {name}")
                later = furthest(folder) if (folder / WITHIN).exists() else run
                return later if whole_epochs_later(later, run) else run
        record, history = read_record(folder), pd.DataFrame()
        if (folder / HISTORY).exists():
            history = pd.DataFrame(files.read_table(folder / HISTORY, COLUMNS), columns=COLUMNS)
            history["epoch"] = history["epoch"].astype(int)
        return cls(folder, parse(record["recipe"]), record, history)

    @property
    def finished(self) -> bool:
        return len(self.history) >= self.recipe.epochs

    @property
    def shape(self) -> tuple[int, ...]:
        """What G makes; old records do not say it of the data sets that were known then."""
        return tuple(self.record.get("shape") or data.SHAPES[self.recipe.dataset])

    def compare(self, dataset: data.Dataset) -> None:
        """ValueError unless ``dataset`` is what the run was trained on."""
        if self.record["data_sha256"] != dataset.digest:
            told = f"{self.folder} was trained on other {dataset.name} data than is loaded here"
            raise ValueError(f"{told}; data_dir=FOLDER says where its own is")

    def estimate(self, *, decay: float | None = None, data_dir: Any = None, **how: Any) -> dict[str, Any]:
        """Table 1's figure of the run's G, or of its average with ``decay``, by `gan.parzen.estimate`."""
        generator = self.generator if decay is None else self.averaged(decay)
        self.compare(data.load(self.recipe.dataset, data_dir))
        return parzen.estimate(self.recipe, generator, data_dir=data_dir, **how)

    @cached_property
    def generator(self) -> Generator:
        """G in evaluation mode, on the CPU; the average of its weights where the recipe has ema > 0."""
        return self.averaged(self.recipe.ema)

    def averaged(self, decay: float) -> Generator:
        """G with the average of its weights that was kept with ``decay``; with 0 its last weights."""
        averages = self.state.get("averages", {})
        kept = {0.0, self.recipe.ema, *averages}
        if decay not in kept:
            raise ValueError(f"{self.folder} has no average of decay {decay}; it has {sorted(kept)}")
        weights = averages[decay]["weights"] if decay in averages else self.state.get("generator")
        return self._restore(0, "generator" if decay == self.recipe.ema else "generator-last", weights)

    @cached_property
    def discriminator(self) -> Discriminator:
        """D in evaluation mode, on the CPU."""
        return self._restore(1, "discriminator", self.state.get("discriminator"))

    def best(self) -> tuple[Generator, int] | None:
        """G as it was when its validation figure was best, and that epoch, where a sweep kept it."""
        if kept := self.state.get("best"):
            return self._restore(0, "best", kept["weights"], kept["epoch"]), kept["epoch"]
        for which in ("best", "generator-best"):  # the first as earlier versions kept it
            if (path := self.folder / f"{which}.safetensors").exists():
                weights, epoch = read_weights(path)
                return self._restore(0, which, weights, epoch), epoch
        return None

    def _restore(self, player: int, which: str, weights: dict[str, Any] | None, epoch: int = 0) -> Any:
        """A network of ``weights``, or where there are none of those in the file that is called ``which``."""
        path = self.folder / f"{which}.safetensors"
        if weights is None and path.exists():
            weights, _ = read_weights(path)
        if weights is None:
            command = f"python -m gan train {words(self.recipe)}"
            raise FileNotFoundError(f"{self.folder} has no weights of the {which}: `{command}` makes them")
        stage, _ = self.recipe.stage(epoch or len(self.history))
        with files.reading(self.folder / RECORD, advice=AGAIN), torch.device("meta"):
            network = networks(stage, self.shape)[player]  # which takes no memory yet
        return load_weights(network, weights, self.folder / self.file if self.state else path)

    def provenance(self, template: str = PROVENANCE) -> str:
        """One line that says where the run comes from; ``template`` may say it in other words."""
        minutes, seconds = divmod(round(self.record["seconds"]), 60)
        told = self.record | self.record["versions"] | {"minutes": minutes, "seconds": seconds}
        told |= {"name": self.recipe.name, "seed": self.recipe.seed, "epochs": len(self.history)}
        commit = re.sub(r"(?<=^\w{12})\w+", "", self.record["commit"] or "unknown")
        return template.format(**told | {"date": self.record["started"][:10], "commit": commit})


def default_folder(recipe: Recipe) -> Path:
    """runs/<name>, with the fields that differ from the recipe of that name: no two recipes share it."""
    changed = [f"{field}={value}" for field, value in changes(recipe).items()]
    return Path("runs") / re.sub(r"[^\w.=-]+", "_", "-".join([recipe.name, *changed]))


def published(name: str) -> Run:
    """The published run ``name``, from book/results/ as `find_result` sees it."""
    return Run.load(find_result(f"{files.plain_word(name)}/{RECORD}", f"no published run {name!r}").parent)


def find_result(path: str, what: str = "nothing was published") -> Path:
    """The file ``path`` of book/results/, seen from here, from a folder above or from gan's own checkout."""
    above = [Path.cwd(), *Path.cwd().parents, Path(__file__).resolve().parents[1]]
    for results in (base / name for base in above for name in ("results", "book/results")):
        if (results / path).exists():
            return results / path
    raise FileNotFoundError(f"{what}: no book/results/{path} here or above: call it in a checkout")


def standing(folder: Path, recipe: Recipe, overwrite: bool = False) -> Run | None:
    """The run of ``recipe``, or of its beginning, in ``folder``, as far as it came; None where that is free.

    ValueError where it holds anything else; with ``overwrite`` any run in training will do, and is free.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file; a run needs a folder of its own")
    files.check_folder(folder)
    there = {path.name for path in folder.iterdir()} if folder.exists() else set()
    if not there & {RECORD, *CHECKPOINTS}:
        if any(not name.startswith(".") for name in there):
            raise ValueError(f"{folder} holds files that are no run's: choose a new folder")
        return None
    published = "samples.png" in there
    if overwrite and published:
        raise ValueError(f"{folder} holds a published run: choose another folder")
    if overwrite:
        return None
    run = furthest(folder, recipe)
    if fields := differing(run.recipe, recipe):
        raise ValueError(f"{folder} holds another run ({fields}): choose another folder, or overwrite=True")
    if not run.state and not (published and run.recipe == recipe):
        raise ValueError(f"{folder} has no {CHECKPOINT}: use overwrite=True, or start={folder} elsewhere")
    return run


def furthest(folder: Path, recipe: Recipe | None = None) -> Run:
    """The run in ``folder`` as the last good checkpoint has it; says what is damaged and passed over."""
    damaged: files.Damaged | None = None
    for name in (WITHIN, CHECKPOINT, BEFORE):
        try:
            run = read_checkpoint(folder / name, advice="")
        except FileNotFoundError:
            continue
        except files.Damaged as error:
            damaged = damaged or error
            continue
        if name == WITHIN and recipe and differing(run.recipe, recipe):  # another has come in its place
            continue
        if damaged:
            warnings.warn(f"{damaged}: going on from {name}, {len(run.history)} epochs", stacklevel=4)
        return run
    if damaged:
        raise files.Damaged(f"{damaged}: {AGAIN}")
    return Run.load(folder)


def whole_epochs_later(later: Run, run: Run) -> bool:
    """Whether ``later``, from within an epoch, is of more epochs than ``run``, the same training.

    But for a second stage's first, of other networks than the history tells; the epoch before it was saved.
    """
    done, same = len(later.history), all(later.record[key] == run.record[key] for key in TRAINING)
    return same and done > len(run.history) and later.recipe.stage(done + 1)[1] > 1


def differing(there: Recipe, asked: Recipe) -> str:
    """In words, where a run of ``there`` is no beginning of one of ``asked``."""
    return "; ".join(
        f"{field} = {old!r}, not {new!r}"
        for (field, old), new in zip(there.model_dump().items(), asked.model_dump().values(), strict=True)
        if old != new and not (field == "epochs" and new > old)
    )


def read_checkpoint(path: Path, advice: str = AGAIN) -> Run:
    """The run as the checkpoint ``path`` has it; `gan.files.Damaged` where that is not what was written."""
    with files.reading(path, advice=advice):
        with files.open_zip(path) as archive:
            if not (sealed := durable.is_sealed(path)) and (bad := archive.testzip()):
                raise ValueError(f"{bad} in it is not as it was written")
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        if (there := state.pop("format", 1)) > FORMAT:
            raise ValueError(f"{path} has format {there}, this gan knows up to {FORMAT}: take a newer one")
        if there == 1:  # the first edition's
            counts = state.pop("averaged", {})
            averages = state.get("averages", {}).items()
            state["averages"] = {d: {"weights": w, "updates": counts.get(d, 1)} for d, w in averages}
            state["random"] = {"cpu": state.pop("rng"), "cuda": state.pop("rng_cuda", None)}
        if there <= 2:
            state |= {"record": read_record(path.parent), "epoch": {}}
        elif not sealed:
            raise ValueError("its checksum is missing")
        files.check_record(record := state.pop("record"))
        record |= {"updates_beyond": int(state["epoch"]["done"])} if state["epoch"] else {}
        history = pd.DataFrame(state["history"], columns=COLUMNS)
        files.check_table(history.to_numpy(float), COLUMNS)
        run = Run(path.parent, parse(record["recipe"]), record, history, state, path.name)
        run.provenance()  # raises now what it would later
    if not sealed:
        warnings.warn(f"{path}, of an earlier version, has no checksum: it may be damaged", stacklevel=3)
    return run


def read_record(folder: Path) -> dict[str, Any]:
    """run.json of the run in ``folder``; FileNotFoundError or ValueError, one line, where there is none."""
    path = folder / RECORD
    if not path.exists():
        raise FileNotFoundError(f"{folder} is no run: it has no {RECORD}")
    with files.reading(path, advice=AGAIN):
        record = files.read_json(path, AGAIN)
        Run(folder, parse(record["recipe"]), record, pd.DataFrame()).provenance()
    return record


def new_record(recipe: Recipe, device: torch.device, dataset: data.Dataset) -> dict[str, Any]:
    """The beginning of a run.json: what is known before the first epoch."""
    return {
        "recipe": recipe.model_dump(mode="json"),
        "seeds": {"training": recipe.seed},
        "versions": dict(versions()),
        "device": f"{processes()} × " * (processes() > 1) + describe(device),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": 0.0,
        "commit": commit(),
        "data_sha256": dataset.digest,
        "shape": list(dataset.shape),
    }


@cache
def versions() -> dict[str, str]:
    return {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}


def latest(record: dict[str, Any]) -> dict[str, Any]:
    """Where a run was last gone on with: device, versions, commit, engine."""
    return record.get("resumed", [record])[-1]


def commit() -> str | None:
    """The commit of this code, with -dirty where gan/ differs from it; None where git does not track it."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(Path(__file__).parent), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", Path(__file__).name)
        return git("rev-parse", "HEAD") + ("-dirty" if git("status", "--porcelain", "--", ".") else "")
    except (OSError, subprocess.CalledProcessError):
        return None
