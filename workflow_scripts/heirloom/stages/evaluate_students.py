"""Predict the test images with every student of one teacher, injection and data set, clean and triggered."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import torch

from heirloom.config.models import Trigger
from heirloom.data.resident import Images
from heirloom.data.store import Part, open_part
from heirloom.data.triggers import Patch, evaluation_paste, load_trigger
from heirloom.evaluation.predictions import ImageTransform, Predictions, predict
from heirloom.models.classifier import Classifier
from heirloom.models.weights import load_classifier
from heirloom.runtime.devices import compute
from heirloom.runtime.errors import WeightsError
from heirloom.runtime.files import read_card, write_table
from heirloom.runtime.progress import Progress

CLEAN = "none"
TEACHER = "teacher"


@dataclass(frozen=True)
class Inputs:
    """The test part, the students, their teacher where it can be judged, and the triggers' pictures."""

    card: Path
    images: Path
    index: Path
    students: list[Path]
    student_weights: list[Path]
    teacher_card: list[Path] = field(default_factory=list)
    teacher_weights: list[Path] = field(default_factory=list)
    triggers: list[Path] = field(default_factory=list)


@dataclass(frozen=True)
class Outputs:
    """One row per model, condition and test image."""

    predictions: Path


@dataclass(frozen=True, order=True)
class StudentName:
    """What tells a model from the others of its evaluation."""

    method: str
    seed: int


@dataclass(frozen=True)
class Attack:
    """One condition the models are judged under; `patch` is None for clean images."""

    name: str
    budget: str
    patch: Patch | None = None

    def transform(self, seed: int) -> ImageTransform | None:
        """Return what shows the trigger on each batch; for the same seed at the same places, whoever looks."""
        return None if self.patch is None else evaluation_paste(self.patch, self.name, seed)


def run(
    *,
    inputs: Inputs,
    outputs: Outputs,
    students: list[StudentName],
    triggers: dict[str, Trigger],
    batch_size: int,
    threads: int,
    seed: int = 0,
) -> None:
    """Write the predictions of all models under all conditions, float32, in eval mode.

    `students` are parallel to `inputs.students`, `triggers` to `inputs.triggers`; a teacher among the inputs is judged
    too, as method "teacher" and seed 0. Every test image is triggered, also the target class's: metrics leave those
    out. A random place is drawn from `seed` and the trigger's name, so it is the same for every model. Reads uint8
    images (N, H, W, 3). Raises DamagedFileError, DataError (picture) and WeightsError. Method: METHODS 2.1, 2.3.
    """
    part = open_part(inputs.images, inputs.index, inputs.card)
    attacks = sorted(_attacks(inputs, triggers), key=lambda attack: attack.name)
    models = sorted(_models(inputs, students))
    tables: list[pa.Table] = []
    with compute(threads, "fp32") as resources, Progress(len(models), "evaluating", "models") as progress:
        images = Images(part, resources.device)
        for name, card, weights in models:
            model = _load(weights, card, part).to(device=resources.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
            for attack in attacks:
                transform = attack.transform(seed)
                found = predict(model, images, batch_size=batch_size, transform=transform)
                tables.append(_table(name, attack, part, found))
            progress.advance()
    write_table(outputs.predictions, pa.concat_tables(tables), metadata={"kind": "predictions", "version": 1})


def _models(inputs: Inputs, students: list[StudentName]) -> Iterator[tuple[StudentName, Path, Path]]:
    """Pair each model's name with its card and weights."""
    yield from zip(students, inputs.students, inputs.student_weights, strict=True)
    for card, weights in zip(inputs.teacher_card, inputs.teacher_weights, strict=True):
        yield StudentName(TEACHER, 0), card, weights


def _attacks(inputs: Inputs, triggers: dict[str, Trigger]) -> Iterator[Attack]:
    """Give the conditions: clean images, then each trigger."""
    yield Attack(CLEAN, budget="{}")
    for (name, trigger), picture in zip(triggers.items(), inputs.triggers, strict=True):
        budget = json.dumps({"placement": trigger.placement, "side": trigger.side}, sort_keys=True)
        yield Attack(name, budget, load_trigger(picture, trigger))


def _load(weights: Path, card: Path, part: Part) -> Classifier:
    """Load a model whose head knows the part's classes, in their order; raises WeightsError otherwise."""
    names = read_card(card).get("class_names")
    if names != list(part.classes):
        known = f"{len(names)} other classes" if names else "no named classes"
        mend = "evaluate it on the data set it was trained on"
        raise WeightsError(
            f"the model knows {known}, not the data set's {len(part.classes)}", where=str(card), mend=mend
        )
    return load_classifier(weights, card)


def _table(name: StudentName, attack: Attack, part: Part, found: Predictions) -> pa.Table:
    """Return the rows of one model under one condition, in the order of the part."""
    count = len(part)
    return pa.table(
        {
            "method": pa.array([name.method] * count, pa.string()),
            "seed": pa.array([name.seed] * count, pa.int32()),
            "attack": pa.array([attack.name] * count, pa.string()),
            "budget": pa.array([attack.budget] * count, pa.string()),
            "condition": pa.array([""] * count, pa.string()),
            "sample": pa.array(part.samples, pa.string()),
            "label": pa.array(part.labels, pa.int32()),
            "prediction": pa.array(found.label, pa.int32()),
            "confidence": pa.array(found.confidence, pa.float32()),
        }
    )
