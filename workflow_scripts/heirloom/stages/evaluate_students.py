"""Predict the test images with every student of one teacher, injection and data set, clean and attacked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pyarrow as pa

from heirloom.attacks.noise import noise as noisy
from heirloom.attacks.perturbations import crafted, open_perturbations
from heirloom.config.models import FeatureAttack, NoiseAttack, Trigger
from heirloom.data.resident import Images
from heirloom.data.store import Part, open_part
from heirloom.data.triggers import Patch, evaluation_paste, load_trigger
from heirloom.evaluation.conditions import CLEAN, Condition, StudentName, judged, load_model, write_predictions
from heirloom.evaluation.predictions import ImageTransform
from heirloom.models.classifier import Classifier, placed
from heirloom.runtime.devices import compute
from heirloom.runtime.files import read_card
from heirloom.runtime.progress import Progress

TEACHER = "teacher"


@dataclass(frozen=True)
class Inputs:
    """The test part, the students, their teacher where it can be judged, triggers' pictures, crafted attacks."""

    card: Path
    images: Path
    index: Path
    students: list[Path]
    student_weights: list[Path]
    teacher_card: list[Path] = field(default_factory=list)
    teacher_weights: list[Path] = field(default_factory=list)
    triggers: list[Path] = field(default_factory=list)
    perturbations: list[Path] = field(default_factory=list)
    perturbation_cards: list[Path] = field(default_factory=list)


@dataclass(frozen=True)
class Outputs:
    """One row per model, condition and test image."""

    predictions: Path


def run(
    *,
    inputs: Inputs,
    outputs: Outputs,
    students: list[StudentName],
    triggers: dict[str, Trigger],
    batch_size: int,
    threads: int,
    feature_attacks: dict[str, FeatureAttack] | None = None,
    noise: dict[str, NoiseAttack] | None = None,
    seed: int = 0,
) -> None:
    """Write the predictions of all models under all conditions, float32, in eval mode.

    `students` are parallel to `inputs.students`, `triggers` to `inputs.triggers`, `feature_attacks` to
    `inputs.perturbations` and their cards; a teacher among the inputs is judged too, as method "teacher" and seed 0.
    Every test image is triggered, also the target class's: metrics leave those out. A random place is drawn from `seed`
    and the trigger's name, noise from its own seed, so they are the same for every model. Reads uint8 images
    (N, H, W, 3). Raises DamagedFileError, DataError (picture, perturbations of something else) and WeightsError.
    Method: METHODS 1.5, 2.1, 2.3, 5.
    """
    part = open_part(inputs.images, inputs.index, inputs.card)
    dataset = read_card(inputs.card)["dataset"]
    conditions = [
        Condition(CLEAN),
        *_triggered(inputs, triggers, seed),
        *_crafted(inputs, part, feature_attacks or {}),
        *(noisy(name, attack) for name, attack in (noise or {}).items()),
    ]
    conditions.sort(key=lambda condition: condition.name)
    models = sorted(_models(inputs, students))
    tables: list[pa.Table] = []
    with compute(threads, "fp32") as resources, Progress(len(models), "evaluating", "models") as progress:
        images = Images(part, resources.device)
        for name, card, weights in models:
            model = placed(load_model(weights, card, part, dataset=dataset), resources.device)
            tables += [judged(name, model, condition, images, batch_size=batch_size) for condition in conditions]
            progress.advance()
    write_predictions(outputs.predictions, tables)


def _models(inputs: Inputs, students: list[StudentName]) -> Iterator[tuple[StudentName, Path, Path]]:
    """Pair each model's name with its card and weights."""
    yield from zip(students, inputs.students, inputs.student_weights, strict=True)
    for card, weights in zip(inputs.teacher_card, inputs.teacher_weights, strict=True):
        yield StudentName(TEACHER, 0), card, weights


def _triggered(inputs: Inputs, triggers: dict[str, Trigger], seed: int) -> Iterator[Condition]:
    """Show each trigger; for the same seed at the same places, whoever looks."""
    for (name, trigger), picture in zip(triggers.items(), inputs.triggers, strict=True):
        budget = json.dumps({"placement": trigger.placement, "side": trigger.side}, sort_keys=True)
        yield Condition(name, budget, partial(_pasting, patch=load_trigger(picture, trigger), name=name, seed=seed))


def _pasting(_model: Classifier, *, patch: Patch, name: str, seed: int) -> ImageTransform:
    paste = evaluation_paste(patch, name, seed)
    return lambda images, _rows: paste(images)


def _crafted(inputs: Inputs, part: Part, attacks: dict[str, FeatureAttack]) -> Iterator[Condition]:
    """Show what was crafted on the teacher."""
    files = zip(attacks.items(), inputs.perturbations, inputs.perturbation_cards, strict=True)
    for (name, attack), path, card in files:
        yield crafted(name, open_perturbations(path, card, part=part, data_card=inputs.card, attack=attack))
