"""Train one student by one transfer method from a clean or infected teacher, on clean data."""

from __future__ import annotations

from heirloom.config.models import Augmentation, Method
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
from heirloom.transfer.methods.plan import Assignment, plan_student


def run(
    *,
    inputs: TransferFiles,
    outputs: ModelFiles,
    method: Method,
    augmentation: Augmentation,
    seed: int,
    code: str,
    checkpoint_seconds: float = 60.0,
) -> None:
    """Train a student and write its weights, history and card.

    Reads uint8 images (N, H, W, 3). `code` is the digest of this stage's code; a checkpoint of other code is dropped.
    Raises DamagedFileError, WeightsError, ConfigError (unknown method) and TrainingError. Method: METHODS 1.2, 2.3.
    """
    part = open_part(inputs.images, inputs.index, inputs.card)
    lesson = lesson_of(part, augmentation)
    origin = Origin(
        {"method": method, "augmentation": augmentation}, inputs=[inputs.card, inputs.teacher_card], code=code
    )
    facts = {
        **data_facts(inputs.card, part),
        "method": method.method,
        "recipe": method.model_dump(mode="json", exclude={"method", "per_dataset"}),
        "seed": seed,
        "teacher": sha256_of(inputs.teacher_weights),
    }
    with open_session(
        outputs, method.training, origin=origin, seed=seed, checkpoint_seconds=checkpoint_seconds
    ) as session:
        teacher = load_classifier(inputs.teacher_weights, inputs.teacher_card)
        assignment = Assignment(lesson, len(part.classes), seed, session.compute, session.checkpoint)
        plan = plan_student(teacher, method, assignment)
        train_model(session, plan.student, lesson, phases=plan.phases, kind="student", facts=facts)
