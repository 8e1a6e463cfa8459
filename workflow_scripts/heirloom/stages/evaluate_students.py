"""Predict the test images with every student of one teacher, injection and data set, clean and triggered."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from heirloom.config.models import Trigger
from heirloom.data.store import Part, open_part
from heirloom.data.triggers import Patch, load_trigger, paste
from heirloom.evaluation.predictions import ImageTransform, Predictions, predict
from heirloom.models.classifier import Classifier
from heirloom.models.weights import load_classifier
from heirloom.runtime.devices import Compute, compute
from heirloom.runtime.errors import WeightsError
from heirloom.runtime.files import read_card, write_table
from heirloom.runtime.progress import Progress
from heirloom.runtime.seeds import derive_seed

CLEAN = "none"
TEACHER = "teacher"
_TYPES = {"seed": pa.int32(), "label": pa.int32(), "prediction": pa.int32(), "confidence": pa.float32()}


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


class StudentName(NamedTuple):
    """What tells a student from the others of its evaluation."""

    method: str
    seed: int


class _Model(NamedTuple):
    """One model to judge."""

    name: StudentName
    card: Path
    weights: Path


class _Attack(NamedTuple):
    """One condition the models are judged under; `patch` is None for clean images."""

    name: str
    budget: dict[str, Any]
    patch: Patch | None


def run(
    *,
    inputs: Inputs,
    outputs: Outputs,
    students: list[dict[str, str | int]],
    triggers: dict[str, Trigger],
    batch_size: int,
    threads: int,
    seed: int = 0,
) -> None:
    """Write the predictions of all models under all conditions, float32, in eval mode.

    `students` (method and seed) are parallel to `inputs.students`, `triggers` to `inputs.triggers`; a teacher among the
    inputs is judged too, as method "teacher" and seed 0. Every test image is triggered, also the target class's:
    metrics leave those out. A random place is drawn from `seed` and the trigger's name, so it is the same for every
    model. Reads uint8 images (N, H, W, 3). Raises DamagedFileError, DataError (picture) and WeightsError. Method:
    METHODS 2.1, 2.3.
    """
    part = open_part(inputs.images, inputs.index, inputs.card)
    attacks = [_Attack(CLEAN, {}, None), *_triggered(inputs, triggers)]
    models = sorted(_models(inputs, students))
    with compute(threads, "fp32") as resources, Progress(len(models), "evaluating", "models") as progress:
        tables: list[pa.Table] = []
        for model in models:
            tables += _judge(model, part, sorted(attacks), compute=resources, batch_size=batch_size, seed=seed)
            progress.advance()
    write_table(outputs.predictions, pa.concat_tables(tables), metadata={"kind": "predictions", "version": 1})


def _models(inputs: Inputs, students: list[dict[str, str | int]]) -> Iterator[_Model]:
    """Pair each model's name with its files."""
    names = [StudentName(str(student["method"]), int(student["seed"])) for student in students]
    yield from map(_Model, names, inputs.students, inputs.student_weights, strict=True)
