"""Train a robust model or its plain twin, and keep the weights of its best validation accuracy."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from heirloom.config.models import Augmentation, Body, Normalisation
from heirloom.config.robust import Judge, RobustObjective
from heirloom.config.robust_training import SteppedTraining
from heirloom.data.store import Part, open_part
from heirloom.evaluation.judge import judge_rates
from heirloom.models.classifier import Classifier, build_classifier
from heirloom.models.conditions import load_model
from heirloom.runtime.errors import ConfigError
from heirloom.runtime.files import sha256_of
from heirloom.training.attacker import Attacker, robust_plan
from heirloom.training.session import (
    DevelopmentFiles,
    ModelFiles,
    Origin,
    data_facts,
    lesson_of,
    open_session,
    train_model,
)


@dataclass(frozen=True)
class Inputs(DevelopmentFiles):
    """The development part of a prepared data set, and the model that training starts from, if it starts from one."""

    start_card: list[Path] = field(default_factory=list)
    start_weights: list[Path] = field(default_factory=list)


def run(
    *,
    inputs: Inputs,
    outputs: ModelFiles,
    body: Body,
    normalisation: Normalisation,
    objective: RobustObjective,
    training: SteppedTraining,
    judge: Judge | None,
    augmentation: Augmentation,
    seed: int,
    code: str,
    checkpoint_seconds: float = 60.0,
) -> None:
    """Train from torch's own random start, or from another model's weights, and write weights, history and card.

    Reads uint8 images (N, H, W, 3). Validation images alone choose the weights, by the judge's float32 attack or, where
    there is no judge, clean; training images are attacked in the recipe's precision. `code` is the digest of this
    stage's code; a checkpoint of other code is dropped. Raises DamagedFileError, ConfigError (unknown body; another
    body's start; no validation images), WeightsError (a start that knows other classes) and TrainingError. Method:
    docs/methods.md#robust-models-and-their-repair.
    """
    part = open_part(inputs.images, inputs.index, inputs.card)
    described = {"body": body, "normalisation": normalisation, "training": training, "augmentation": augmentation}
    origin = Origin(
        {**described, "objective": objective, "judge": judge or "none"},
        inputs=[inputs.card, *inputs.start_card],
        code=code,
    )
    facts = {
        **data_facts(inputs.card, part),
        "objective": objective.model_dump(mode="json"),
        "judge": judge.model_dump(mode="json") if judge else None,
        "source": "trained",
        "start": next(map(sha256_of, inputs.start_weights), None),
        "seed": seed,
    }
    judging = partial(judge_rates, judge=judge) if judge else None
    lesson = lesson_of(part, augmentation, judge=judging, keep_best=True)
    with open_session(outputs, training, origin=origin, seed=seed, checkpoint_seconds=checkpoint_seconds) as session:
        model = _start(inputs, part, body, normalisation, seed=seed)
        plan = robust_plan(objective, training, Attacker(model, objective.attack, session.compute))
        attacked = replace(lesson, transform=plan.transform)
        train_model(session, model, attacked, phases=(plan.phase,), kind="robust", facts=facts)


def _start(inputs: Inputs, part: Part, body: Body, normalisation: Normalisation, *, seed: int) -> Classifier:
    """Build the model at its start; raises ConfigError where the weights to start from are another body's."""
    for weights, card in zip(inputs.start_weights, inputs.start_card, strict=True):
        model = load_model(weights, card, part)
        if (model.description, model.normalisation) != (body, normalisation):
            raise ConfigError(
                f"the model that training is to start from is a {model.description.name} with other options or another"
                " normalisation",
                where=str(card),
                mend="start from a model of the same body, options and normalisation",
            )
        return model
    return build_classifier(body, normalisation, classes=len(part.classes), seed=seed)
