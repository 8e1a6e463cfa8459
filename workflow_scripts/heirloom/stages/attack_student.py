"""Attack one student through its own gradients, on test images chosen by seed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from heirloom.attacks.catalogue import WHITE_BOX
from heirloom.config.models import WhiteBox
from heirloom.data.resident import Images
from heirloom.data.store import open_part
from heirloom.evaluation.conditions import StudentName, judged, load_model, write_predictions
from heirloom.runtime.devices import compute
from heirloom.runtime.progress import Progress
from heirloom.runtime.registry import known, resolve
from heirloom.runtime.seeds import derive_seed


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
    Method: METHODS 3 step 5 and 4.
    """
    part = open_part(inputs.images, inputs.index, inputs.card)
    model = load_model(inputs.student_weights, inputs.student_card, part)
    subjects = {name: part.take(attacked_rows(len(part), attack)) for name, attack in sorted(attacks.items())}
    total = sum(map(len, subjects.values()))
    tables: list[pa.Table] = []
    with compute(threads, "fp32") as resources, Progress(total, "attacking", "images") as progress:
        model = model.to(device=resources.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        for name, subject in subjects.items():
            condition = resolve(known(WHITE_BOX, attacks[name].kind))(name, attacks[name], subject)
            images = Images(subject, resources.device)
            student = StudentName(method, seed)
            tables.append(judged(student, model, condition, images, batch_size=batch_size, progress=progress))
    write_predictions(outputs.predictions, tables)


def attacked_rows(count: int, attack: WhiteBox) -> NDArray[np.int64]:
    """Choose which of `count` images an attack is given, by its seed; sorted. A smaller choice is part of a larger."""
    wanted = count if attack.images is None else min(count, attack.images)
    order = np.random.default_rng(derive_seed(attack.seed, "attacked images")).permutation(count)
    return np.sort(order[:wanted]).astype(np.int64)
