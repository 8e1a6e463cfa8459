"""Train a clean teacher from random weights on a data set of this pipeline."""

from __future__ import annotations

from heirloom.config.models import Augmentation, Body, Normalisation, Training
from heirloom.data.store import open_part
from heirloom.models.classifier import build_classifier
from heirloom.training.phases import supervised_phase
from heirloom.training.session import (
    DevelopmentFiles,
    ModelFiles,
    Origin,
    data_facts,
    lesson_of,
    open_session,
    train_model,
)


def run(
    *,
    inputs: DevelopmentFiles,
    outputs: ModelFiles,
    body: Body,
    normalisation: Normalisation,
    training: Training,
    augmentation: Augmentation,
    seed: int,
    code: str,
    checkpoint_seconds: float = 60.0,
) -> None:
    """Train a teacher from torch's own random start and write its weights, history and card.

    Reads uint8 images (N, H, W, 3). `code` is the digest of this stage's code; a checkpoint of other code is dropped.
    Raises DamagedFileError, ConfigError (unknown body) and TrainingError. Method:
    docs/definitions.md#training-objective.
    """
    part = open_part(inputs.images, inputs.index, inputs.card)
    settings = {"body": body, "normalisation": normalisation, "training": training, "augmentation": augmentation}
    facts = {**data_facts(inputs.card, part), "source": "pretrained", "seed": seed}
    with open_session(
        outputs,
        training,
        origin=Origin(settings, inputs=[inputs.card], code=code),
        seed=seed,
        checkpoint_seconds=checkpoint_seconds,
    ) as session:
        model = build_classifier(body, normalisation, classes=len(part.classes), seed=seed)
        phases = (supervised_phase(training, name="pretraining"),)
        train_model(session, model, lesson_of(part, augmentation), phases=phases, kind="teacher", facts=facts)
