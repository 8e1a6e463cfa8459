"""One training from files to files: what every stage that trains a model has in common."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from pydantic import BaseModel

from heirloom.config.models import Augmentation, Training
from heirloom.data.store import Part
from heirloom.models.classifier import Classifier
from heirloom.models.weights import architecture_facts, save_classifier
from heirloom.runtime.devices import Compute, compute
from heirloom.runtime.files import read_card, sha256_of, write_card, write_table
from heirloom.training.checkpoints import NAME, Checkpoint, remove_checkpoints
from heirloom.training.loop import CLEAN, ROBUST, BatchTransform, Judging, Lesson, Row, fit, kept_row
from heirloom.training.phases import Phase

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class DevelopmentFiles:
    """The development part of a prepared data set."""

    card: Path
    images: Path
    index: Path


@dataclass(frozen=True)
class TransferFiles(DevelopmentFiles):
    """The development part of a prepared data set, and the teacher that learns it."""

    teacher_card: Path
    teacher_weights: Path


@dataclass(frozen=True)
class ModelFiles:
    """A trained model; one folder holds the three, and the checkpoint while it trains."""

    card: Path
    weights: Path
    history: Path


@dataclass(frozen=True)
class Origin:
    """What a model's final weights depend on besides its start and its lesson; a checkpoint of another is dropped.

    `settings`: whatever the stage was given. `inputs`: files, or cards of files. `code`: the digest of its code.
    """

    settings: Mapping[str, BaseModel | str | int]
    inputs: Sequence[Path]
    code: str

    def identity(self, device: str) -> dict[str, Any]:
        """Return plain values that are equal exactly when a checkpoint may be continued."""
        plain = {
            name: value.model_dump(mode="json") if isinstance(value, BaseModel) else value
            for name, value in self.settings.items()
        }
        return {"settings": plain, "inputs": list(map(sha256_of, self.inputs)), "code": self.code, "device": device}


def lesson_of(
    part: Part,
    augmentation: Augmentation,
    transform: BatchTransform | None = None,
    *,
    judge: Judging | None = None,
    keep_best: bool = False,
) -> Lesson:
    """Split a development part into what is trained on and what is only measured (None where nothing was held out).

    Raises ConfigError where nothing was held out and a judge, or the best validation accuracy, is to choose.
    """
    has_validation = "validation" in part.table.column("split").unique().to_pylist()
    return Lesson(
        train=part.split("train"),
        validation=part.split("validation") if has_validation else None,
        augmentation=augmentation,
        transform=transform,
        judge=judge,
        keep_best=keep_best,
    )


def data_facts(data_card: Path, part: Part) -> dict[str, Any]:
    """Say in a model's card which data set and classes its head knows, and the side of the images it saw."""
    return {"dataset": read_card(data_card)["dataset"], "class_names": list(part.classes), "crop": part.crop}


@dataclass(frozen=True)
class Session:
    """A training in its output folder: what it computes on, and the checkpoints it may continue from."""

    outputs: ModelFiles
    compute: Compute
    seed: int
    identity: Mapping[str, Any]
    checkpoint_seconds: float

    def checkpoint(self, trial: str = "") -> Checkpoint:
        """Return the checkpoint of this training, or that of a named trial before it."""
        folder, name = self.outputs.weights.parent, f".{trial}{NAME}" if trial else NAME
        return Checkpoint(folder, name=name, seconds=self.checkpoint_seconds, identity=dict(self.identity))


@contextmanager
def open_session(
    outputs: ModelFiles, recipe: Training, *, origin: Origin, seed: int, checkpoint_seconds: float
) -> Iterator[Session]:
    """Lease the device and set the threads and the precision of a recipe, for everything in the body.

    Checkpoints are removed at the end of the body, unless it fails: its outputs are then written.
    """
    with compute(recipe.threads, recipe.precision) as resources:
        identity = {**origin.identity(resources.device.type), "seed": seed}
        yield Session(outputs, resources, seed, identity, checkpoint_seconds)
        remove_checkpoints(outputs.weights.parent)


def train_model(
    session: Session,
    model: Classifier,
    lesson: Lesson,
    *,
    phases: Sequence[Phase],
    kind: str,
    facts: Mapping[str, object],
) -> None:
    """Train a model and write its weights, its history and, last, the card that vouches for both.

    A killed call leaves a checkpoint, from which the same call continues to the same bytes. Raises TrainingError.
    """
    outputs = session.outputs
    rows = fit(
        model, lesson, phases=phases, compute=session.compute, seed=session.seed, checkpoint=session.checkpoint()
    )
    save_classifier(outputs.weights, model)
    write_table(outputs.history, history_table(rows), metadata={"kind": "history"})
    write_card(
        outputs.card,
        kind=kind,
        files={path.name: path for path in (outputs.weights, outputs.history)},
        **_kept_facts(rows, keep_best=lesson.keep_best),
        device=session.compute.device.type,
        training=[{"phase": phase.name, **phase.training.model_dump(mode="json")} for phase in phases],
        **architecture_facts(model),
        **facts,
    )


def _kept_facts(rows: Sequence[Row], *, keep_best: bool) -> dict[str, Any]:
    """Say in a model's card what its weights reached on the validation images, and when, if they were chosen by it.

    Where a gate could end iterations, the card says how many it ended.
    """
    row = kept_row(rows, keep_best=keep_best)
    gated = [each["gated_steps"] for each in rows if "gated_steps" in each]
    made = rows[-1]["iteration"]
    if 2 * sum(gated) > made:
        told = "%d of %d iterations ended at the gate: raise its threshold, or train for longer"
        logger.warning(told, sum(gated), made)
    reached = {CLEAN: row[CLEAN], **({ROBUST: row[ROBUST]} if ROBUST in row else {})}
    chosen = {"kept_iteration": row["iteration"]} if ROBUST in row or keep_best else {}
    return {**reached, **chosen, **({"gated_steps": sum(gated)} if gated else {})}


def history_table(rows: Sequence[Row]) -> pa.Table:
    """Turn history rows into a table; a term that only some phases have is null in the others."""
    types = {"phase": pa.string(), "iteration": pa.int64(), "gated_steps": pa.int64()}
    names = dict.fromkeys(name for row in rows for name in row)
    return pa.table({name: pa.array([row.get(name) for row in rows], types.get(name, pa.float64())) for name in names})
