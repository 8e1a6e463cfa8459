"""Train a robust model from random weights, and keep the weights of its best robust validation accuracy."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from heirloom.config.models import Augmentation, Body, Normalisation
from heirloom.config.robust import Judge, RobustObjective, SteppedTraining
from heirloom.data.store import open_part
from heirloom.evaluation.judging import judge_rates
from heirloom.models.classifier import build_classifier
from heirloom.training.robust.crafting import Attacker, robust_plan
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
    objective: RobustObjective,
    training: SteppedTraining,
    judge: Judge,
    augmentation: Augmentation,
    seed: int,
    code: str,
    checkpoint_seconds: float = 60.0,
) -> None:
    """Train a robust model from torch's own random start and write its weights, history and card.

    Reads uint8 images (N, H, W, 3). Validation images alone choose the weights, by the judge's float32 attack; training
    images are attacked in the recipe's precision. `code` is the digest of this stage's code; a checkpoint of other code
    is dropped. Raises DamagedFileError, ConfigError (unknown body; no validation images) and TrainingError. Method:
    METHODS 3 step 1.
    """
    part = open_part(inputs.images, inputs.index, inputs.card)
    recipe = {"objective": objective, "judge": judge}
    described = {"body": body, "normalisation": normalisation, "training": training, "augmentation": augmentation}
    facts = {
        **data_facts(inputs.card, part),
        **{name: setting.model_dump(mode="json") for name, setting in recipe.items()},
        "source": "trained",
        "seed": seed,
    }
    lesson = lesson_of(part, augmentation, judge=partial(judge_rates, judge=judge))
    with open_session(
        outputs,
        training,
        origin=Origin({**described, **recipe}, inputs=[inputs.card], code=code),
        seed=seed,
        checkpoint_seconds=checkpoint_seconds,
    ) as session:
        model = build_classifier(body, normalisation, classes=len(part.classes), seed=seed)
        plan = robust_plan(objective, training, Attacker(model, objective.attack, session.compute))
        attacked = replace(lesson, transform=plan.transform)
        train_model(session, model, attacked, phases=(plan.phase,), kind="robust", facts=facts)
