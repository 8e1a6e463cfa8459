"""One training from files to files: what every stage that trains a model has in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from pydantic import BaseModel

from heirloom.config.models import Augmentation
from heirloom.data.store import Part
from heirloom.models.classifier import Classifier
from heirloom.models.weights import architecture_facts, save_classifier
from heirloom.runtime.devices import compute
from heirloom.runtime.files import read_card, sha256_of, write_card, write_table
from heirloom.training.checkpoints import Checkpoint
from heirloom.training.loop import BatchTransform, Lesson, Row, fit
from heirloom.training.phases import Phase


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


def lesson_of(part: Part, augmentation: Augmentation, transform: BatchTransform | None = None) -> Lesson:
    """Split a development part into what is trained on and what is only measured (None where nothing was held out)."""
    has_validation = "validation" in part.table.column("split").unique().to_pylist()
    return Lesson(
        train=part.split("train"),
        validation=part.split("validation") if has_validation else None,
        augmentation=augmentation,
        transform=transform,
    )


def data_facts(data_card: Path, part: Part) -> dict[str, Any]:
    """Say in a model's card which data set and classes its head knows, and the side of the images it saw."""
    return {"dataset": read_card(data_card)["dataset"], "class_names": list(part.classes), "crop": part.crop}


def train_model(
    outputs: ModelFiles,
    model: Classifier,
    lesson: Lesson,
    *,
    phases: Sequence[Phase],
    seed: int,
    origin: Origin,
    checkpoint_seconds: float,
    kind: str,
    facts: Mapping[str, object],
) -> None:
    """Train a model and write its weights, its history and, last, the card that vouches for both.

    A killed call leaves a checkpoint, from which the same call continues to the same bytes. The threads and the
    precision are the first phase's. Raises TrainingError.
    """
    recipe = phases[0].training
    with compute(recipe.threads, recipe.precision) as resources:
        identity = {**origin.identity(resources.device.type), "seed": seed}
        checkpoint = Checkpoint(outputs.weights.parent, seconds=checkpoint_seconds, identity=identity)
        rows = fit(model, lesson, phases=phases, compute=resources, seed=seed, checkpoint=checkpoint)
    save_classifier(outputs.weights, model)
    write_table(outputs.history, history_table(rows), metadata={"kind": "history"})
    write_card(
        outputs.card,
        kind=kind,
        files={path.name: path for path in (outputs.weights, outputs.history)},
        validation_accuracy=rows[-1]["validation_accuracy"],
        device=resources.device.type,
        training=[{"phase": phase.name, **phase.training.model_dump(mode="json")} for phase in phases],
        **architecture_facts(model),
        **facts,
    )
    checkpoint.remove()


def history_table(rows: Sequence[Row]) -> pa.Table:
    """Turn history rows into a table; a term that only some phases have is null in the others."""
    types = {"phase": pa.string(), "iteration": pa.int64()}
    names = dict.fromkeys(name for row in rows for name in row)
    return pa.table({name: pa.array([row.get(name) for row in rows], types.get(name, pa.float64())) for name in names})
