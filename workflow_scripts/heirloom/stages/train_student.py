"""Train one student by one transfer method from a clean or infected teacher, on clean data."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from heirloom.config.models import Augmentation
from heirloom.config.study import Method
from heirloom.data.store import open_part
from heirloom.models.weights import load_classifier
from heirloom.runtime.files import sha256_of
from heirloom.training.session import (
    ModelFiles,
    Origin,
    TransferFiles,
    data_facts,
    lesson_of,
    open_session,
    train_model,
)
from heirloom.transfer.plan import Assignment, DetectionFiles, plan_student


@dataclass(frozen=True)
class Inputs(TransferFiles):
    """What every student starts from, and what a detector found in the teacher, if the method unlearns it."""

    detection_card: list[Path] = field(default_factory=list)
    detection_reversed: list[Path] = field(default_factory=list)


def run(
    *,
    inputs: Inputs,
    outputs: ModelFiles,
    method: Method,
    augmentation: Augmentation,
    seed: int,
    code: str,
    checkpoint_seconds: float = 60.0,
) -> None:
    """Train a student and write its weights, history and card.

    Reads uint8 images (N, H, W, 3). `code` is the digest of this stage's code; a checkpoint of other code is dropped.
    Raises DamagedFileError, WeightsError, ConfigError (unknown method) and TrainingError. Method:
    docs/methods.md#transfer-methods.
    """
    part = open_part(inputs.images, inputs.index, inputs.card)
    lesson = lesson_of(part, augmentation)
    origin = Origin(
        {"method": method, "augmentation": augmentation},
        inputs=[inputs.card, inputs.teacher_card, *inputs.detection_card],
        code=code,
    )
    facts = {
        **data_facts(inputs.card, part),
        "method": method.kind,
        "recipe": method.model_dump(mode="json", exclude={"kind", "per_dataset"}),
        "seed": seed,
        "teacher": sha256_of(inputs.teacher_weights),
    }
    with open_session(
        outputs, method.training, origin=origin, seed=seed, checkpoint_seconds=checkpoint_seconds
    ) as session:
        teacher = load_classifier(inputs.teacher_weights, inputs.teacher_card)
        assignment = Assignment(
            lesson, len(part.classes), seed, session.compute, session.checkpoint, detection=_detection(inputs)
        )
        plan = plan_student(teacher, method, assignment)
        facts |= plan.facts
        train_model(session, plan.student, plan.lesson or lesson, phases=plan.phases, kind="student", facts=facts)


def _detection(inputs: Inputs) -> DetectionFiles | None:
    """Return what a detector found in the teacher, where it was given."""
    files = list(map(DetectionFiles, inputs.detection_card, inputs.detection_reversed))
    return files[0] if files else None
