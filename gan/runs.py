"""A run's folder: its recipe and provenance, its history, its weights; how it is kept, and what it scores.

A run in training holds checkpoint.pt (everything needed to go on, bit for bit, and all that run.json and
history.csv tell a reader), the one before it, and where an epoch takes long one from within it. A published
run holds run.json, history.csv, its pictures, its networks and their checksums.
"""

from __future__ import annotations

import os
import platform
import re
import shlex
import subprocess
import warnings
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from . import data, durable, files, parzen
from .algorithm1 import STATISTICS
from .engine import describe
from .layers import load_weights, read_weights, unpack
from .nets import Discriminator, Generator, networks
from .recipes import Recipe, changes, parse, words

FORMAT = 3  # of checkpoints: 2 had no seal and no record, 1 no number and two states of random numbers
RECORD, HISTORY, BEST = "run.json", "history.csv", "best.safetensors"
CHECKPOINT, BEFORE, WITHIN = CHECKPOINTS = "checkpoint.pt", "checkpoint.before.pt", "checkpoint.within.pt"
"""At the end of the last epoch that was saved, the one before it, and from within the epoch after it."""
AGAIN = "put back a copy, or train again with overwrite=True"
COLUMNS = ["epoch", *STATISTICS, "seconds"]
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
    """run.json: recipe, seeds, versions, device, started, seconds, commit, and later metrics."""
    history: pd.DataFrame

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Run:
        """The run in ``folder``; FileNotFoundError or ValueError, one line, where there is none."""
        folder = Path(folder)
        files.check_folder(folder)
        durable.check_sums(folder)
        if checkpoint := read_checkpoint(folder):
            return cls.of(folder, checkpoint)
        record, history = read_record(folder), pd.DataFrame()
        if (folder / HISTORY).exists():
            history = pd.DataFrame(files.read_table(folder / HISTORY, COLUMNS), columns=COLUMNS)
            history["epoch"] = history["epoch"].astype(int)
        return cls(folder, parse(record["recipe"]), record, history)

    @classmethod
    def of(cls, folder: Path, checkpoint: dict[str, Any]) -> Run:
        """The run in ``folder`` as ``checkpoint`` has it."""
        record = checkpoint["record"]
        return cls(folder, parse(record["recipe"]), record, pd.DataFrame(checkpoint["history"]))

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
            raise ValueError(
                f"{self.folder} was trained on other {dataset.name} data than is loaded here; "
                f"data_dir=FOLDER says where its own is"
            )

    def estimate(
        self,
        *,
        decay: float | None = None,
        split: str = "test",
        z_seed: int = 0,
        data_dir: str | os.PathLike[str] | None = None,
    ) -> dict[str, Any]:
        """Table 1's figure of the run's G, or of its average with ``decay``: `gan.parzen.estimate`.

        ValueError: other data than the run saw.
        """
        generator = self.generator if decay is None else self.averaged(decay)
        self.compare(data.load(self.recipe.dataset, data_dir))
        return parzen.estimate(self.recipe, generator, split=split, z_seed=z_seed, data_dir=data_dir)

    @cached_property
    def generator(self) -> Generator:
        """G in evaluation mode, on the CPU; the average of its weights where the recipe has ema > 0."""
        return self.averaged(self.recipe.ema)

    def averaged(self, decay: float) -> Generator:
        """G with the average of its weights that was kept with ``decay``; with 0 its last weights.

        A published run has those of its recipe's ``ema`` and the last ones.
        """
        checkpoint = read_checkpoint(self.folder)
        kept = {0.0, self.recipe.ema, *(checkpoint or {}).get("averages", {})}
        if decay not in kept:
            raise ValueError(f"{self.folder} has no average of decay {decay}; it has {sorted(kept)}")
        which = "generator" if decay == self.recipe.ema else "generator-last"
        if not checkpoint or not decay:
            return self._restore(0, which, checkpoint and checkpoint["generator"])
        return self._restore(0, which, checkpoint["averages"][decay]["weights"])

    @cached_property
    def discriminator(self) -> Discriminator:
        """D in evaluation mode, on the CPU."""
        checkpoint = read_checkpoint(self.folder)
        return self._restore(1, "discriminator", checkpoint and checkpoint["discriminator"])

    def best(self) -> tuple[Generator, int] | None:
        """G as it was when its validation figure was best, and that epoch, where a sweep kept it."""
        if kept := (read_checkpoint(self.folder) or {}).get("best"):
            return self._restore(0, "generator-best", unpack(kept["weights"]), kept["epoch"]), kept["epoch"]
        for name in (BEST, "generator-best.safetensors"):  # the first as earlier versions kept it
            if (path := self.folder / name).exists():
                weights, epoch = read_weights(path)
                return self._restore(0, path.stem, weights, epoch), epoch
        return None

    def _restore(
        self, player: int, which: str, weights: dict[str, Any] | None, epoch: int | None = None
    ) -> Any:
        stage, _ = self.recipe.stage(epoch or len(self.history))
        path = self.folder / f"{which}.safetensors"
        if weights is None and path.exists():
            weights, _ = read_weights(path)
        if weights is None:
            raise FileNotFoundError(f"{self.folder} has no weights of the {which}{self._where_from()}")
        with files.reading(self.folder / RECORD, advice=AGAIN), torch.device("meta"):
            network = networks(stage, self.shape)[player]  # which takes no memory yet
        return load_weights(network, weights, path if path.exists() else self.folder / CHECKPOINT)

    def _where_from(self) -> str:
        """Why there are no weights, and the command that makes them."""
        command, out = f"python -m gan train {words(self.recipe)}", shlex.quote(str(self.folder))
        if "metrics" in self.record:
            return f" (they were not published): they come from `{command}`"
        if len(self.history) and not (self.folder / WITHIN).exists():
            return f" (its {CHECKPOINT} is gone): `{command} --out {out} --overwrite` makes them again"
        return f" (no epoch is finished): they come from `{command} --out {out}`"

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
    checkout = any((base / "book/results").is_dir() for base in above)
    where = "" if checkout else "; what is published is in a checkout of the repository: call it from there"
    raise FileNotFoundError(f"{what}: there is no book/results/{path} here or above{where}")


def new_record(recipe: Recipe, device: torch.device, dataset: data.Dataset) -> dict[str, Any]:
    """The beginning of a run.json: what is known before the first epoch."""
    return {
        "recipe": recipe.model_dump(mode="json"),
        "seeds": {"training": recipe.seed},
        "versions": {"python": platform.python_version()} | {p: version(p) for p in PACKAGES},
        "device": describe(device),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": 0.0,
        "commit": commit(),
        "data_sha256": dataset.digest,
        "shape": list(dataset.shape),
    }


def latest(record: dict[str, Any]) -> dict[str, Any]:
    """Where a run was last gone on with: device, versions, commit, engine."""
    return record.get("resumed", [record])[-1]


def resumed_record(
    before: dict[str, Any], now: dict[str, Any], epoch: int, weights: str | None = None
) -> dict[str, Any]:
    """run.json of a run that goes on after ``epoch``; says so where machine or code are not the same.

    So it does where ``weights`` of that precision are all that is left of its state.
    """
    last = latest(before)
    kept = {key: value for key, value in before.items() if key not in ("metrics", "film", "weights")}
    record = {"engine": "eager"} | kept | {"recipe": now["recipe"]}
    keys = ("device", "versions", "commit", "engine")
    if weights or any(now[key] != last.get(key, "eager") for key in keys):
        here = {key: now[key] for key in ("started", *keys)} | ({"from_weights": weights} if weights else {})
        record["resumed"] = [*before.get("resumed", []), {"after_epoch": epoch, **here}]
    return record


def write_record(folder: Path, record: dict[str, Any]) -> None:
    durable.write_json(folder / RECORD, record)


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


def read_record(folder: Path) -> dict[str, Any]:
    """run.json of the run in ``folder``; FileNotFoundError or ValueError, one line, where there is none."""
    path = folder / RECORD
    if not path.exists():
        raise FileNotFoundError(f"{folder} is no run: it has no {RECORD}")
    with files.reading(path, advice=AGAIN):
        _check(record := files.read_json(path, AGAIN), [])
    return record


def _check(record: dict[str, Any], history: list[dict[str, float]]) -> None:
    """Raise at once what would be raised later by what lacks something, or has it of another kind."""
    files.check_record(record)
    rows = [[row[name] for name in COLUMNS] for row in history]
    files.check_table(np.array(rows, float).reshape(-1, len(COLUMNS)), COLUMNS)
    Run(Path(), parse(record["recipe"]), record, pd.DataFrame()).provenance()


def read_checkpoint(folder: Path) -> dict[str, Any] | None:
    """The state at the end of the last epoch that was saved in ``folder``; None where there is none.

    That is ``record``, run.json, and the parts of `gan.training.Game`. ValueError, one line: it is damaged,
    or ``folder`` has the run.json of another run.
    """
    for name in (CHECKPOINT, BEFORE):  # the second rules for the moment in which the first becomes it
        try:
            state = read_state(folder / name)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except files.Damaged as error:
            before = name == CHECKPOINT and (folder / BEFORE).exists()
            on = "gan.train goes on from the one before it, if that is whole; or " if before else ""
            raise files.Damaged(f"{error}: {on}{AGAIN}") from None
        own, told = state["record"], read_record(folder) if (folder / RECORD).exists() else state["record"]
        if any(own.get(key) != told.get(key) for key in ("started", "data_sha256")):
            raise ValueError(f"{folder}: {RECORD} and {name} are of two runs; gan.train goes on with {name}")
        return state
    return None


def read_state(path: Path) -> dict[str, Any]:
    """What a checkpoint holds; `Damaged` where that is not what was written."""
    with files.reading(path, advice=""):
        with files.open_zip(path) as archive:
            if not (sealed := durable.is_sealed(path)) and (bad := archive.testzip()):
                raise ValueError(f"{bad} in it is not as it was written")
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        if (there := state.pop("format", 1)) > FORMAT:
            raise ValueError(
                f"{path} has format {there}, this gan knows up to {FORMAT}: go on with a newer one"
            )
        if there == 1:  # the first edition's
            counts = state.pop("averaged", {})
            averages = state.get("averages", {}).items()
            state["averages"] = {d: {"weights": w, "updates": counts.get(d, 1)} for d, w in averages}
            state["random"] = {"cpu": state.pop("rng"), "cuda": state.pop("rng_cuda", None)}
        if there <= 2:
            state |= {"record": read_record(path.parent), "epoch": {}}
        elif not sealed:
            raise ValueError("its checksum is missing")
        _check(state["record"], state["history"])
    if not sealed:
        warnings.warn(f"{path}, of an earlier version, has no checksum: it may be damaged", stacklevel=4)
    return state
