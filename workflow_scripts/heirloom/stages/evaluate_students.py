"""Predict the test images with every student of one teacher, injection and data set, clean and attacked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from heirloom.config.study import ControlAttack, TeacherAttack, Trigger
from heirloom.data.resident import Images
from heirloom.data.store import open_part
from heirloom.evaluation.files import EvaluationFiles
from heirloom.models.classifier import placed
from heirloom.models.conditions import StudentName, judged, load_model, write_predictions
from heirloom.runtime.devices import compute
from heirloom.runtime.files import read_card
from heirloom.runtime.progress import Progress

Inputs = EvaluationFiles


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
    feature_attacks: dict[str, TeacherAttack] | None = None,
    noise: dict[str, ControlAttack] | None = None,
    seed: int = 0,
) -> None:
    """Write the predictions of all models under all conditions, float32, in eval mode.

    `students` are parallel to `inputs.students`, `triggers` in the order of their files, `feature_attacks` to
    `inputs.perturbations` and their cards; a teacher among the inputs is judged too, as method "teacher" and seed 0.
    Every test image is triggered, also the target class's: metrics leave those out. What a trigger draws is drawn from
    `seed` and its name, noise from its own seed, so they are the same for every model. Reads uint8 images
    (N, H, W, 3). Raises DamagedFileError, DataError (picture, perturbations of something else) and WeightsError.
    Method: docs/results.md#metrics.
    """
    part = open_part(inputs.images, inputs.index, inputs.card)
    dataset = read_card(inputs.card)["dataset"]
    attacks, noises = feature_attacks or {}, noise or {}
    conditions = inputs.conditions(part, triggers=triggers, feature_attacks=attacks, noise=noises, seed=seed)
    models = inputs.models(students)
    tables: list[pa.Table] = []
    with compute(threads, "fp32") as resources, Progress(len(models), "evaluating", "models") as progress:
        images = Images(part, resources.device)
        for name, card, weights in models:
            model = placed(load_model(weights, card, part, dataset=dataset), resources.device)
            tables += [judged(name, model, condition, images, batch_size=batch_size) for condition in conditions]
            progress.advance()
    write_predictions(outputs.predictions, tables)
