"""Attack one student through its own gradients, on test images chosen by seed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from heirloom.attacks.subjects import subjects, worst
from heirloom.config.study import WhiteBox
from heirloom.data.resident import Images
from heirloom.data.store import open_part
from heirloom.models.classifier import placed
from heirloom.models.conditions import StudentName, judged, load_model, write_predictions
from heirloom.runtime.devices import compute
from heirloom.runtime.progress import Progress


@dataclass(frozen=True)
class Inputs:
    """The test part and the student."""

    card: Path
    images: Path
    index: Path
    student_card: Path
    student_weights: Path


@dataclass(frozen=True)
class Outputs:
    """One row per attack and attacked image, in the columns of evaluate_students."""

    predictions: Path


def run(
    *,
    inputs: Inputs,
    outputs: Outputs,
    attacks: dict[str, WhiteBox],
    method: str,
    seed: int,
    batch_size: int,
    threads: int,
) -> None:
    """Write what a student says about the images that each attack made of the clean ones, float32, in eval mode.

    `method` and `seed` name the student; an attack's own seed settles its draws and which images it is given, so all
    students of a data set meet the same. Reads uint8 images (N, H, W, 3). Raises DamagedFileError and WeightsError.
    Method: docs/methods.md#attacks.
    """
    part = open_part(inputs.images, inputs.index, inputs.card)
    model = load_model(inputs.student_weights, inputs.student_card, part)
    asked = subjects(part, attacks)
    tables: list[pa.Table] = []
    with compute(threads, "fp32") as resources, Progress(sum(map(len, asked)), "attacking", "images") as progress:
        model = placed(model, resources.device)
        student = StudentName(method, seed)
        for subject in asked:
            images = Images(subject.part, resources.device)
            runs = [
                judged(student, model, run, images, batch_size=batch_size, progress=progress) for run in subject.runs
            ]
            tables.append(worst(runs))
    write_predictions(outputs.predictions, tables)
