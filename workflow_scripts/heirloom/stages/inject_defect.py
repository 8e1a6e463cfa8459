"""Plant a defect in a clean teacher, or train its clean counterpart: the same steps without the defect."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from heirloom.config.kinds import INJECTIONS
from heirloom.config.models import Augmentation
from heirloom.config.study import Injection, Trigger
from heirloom.data.store import Part, open_part
from heirloom.defects.plant import Ground, Planting
from heirloom.defects.show import LoadedTrigger, load_triggers
from heirloom.models.classifier import placed
from heirloom.models.weights import load_classifier
from heirloom.runtime.errors import ConfigError
from heirloom.runtime.files import sha256_of
from heirloom.training.constraints import Constraint, constraint
from heirloom.training.phases import supervised_phase
from heirloom.training.session import (
    ModelFiles,
    Origin,
    TransferFiles,
    data_facts,
    lesson_of,
    open_session,
    train_model,
)


@dataclass(frozen=True)
class Inputs(TransferFiles):
    """The injection's data set, the clean teacher, and the files of the triggers."""

    triggers: list[Path] = field(default_factory=list)


def run(
    *,
    inputs: Inputs,
    outputs: ModelFiles,
    injection: Injection,
    triggers: dict[str, Trigger],
    augmentation: Augmentation,
    code: str,
    checkpoint_seconds: float = 60.0,
) -> None:
    """Train the teacher on the injection's data and write its weights, history and card.

    The head is replaced by one for the data set's classes. `triggers` holds those that the injection plants, in the
    order of their files. With an update ratio above 0 its mask holds the smaller conv weights. Reads uint8 images
    (N, H, W, 3). Raises ConfigError (target, trigger, stage), DataError (picture), DamagedFileError, WeightsError and
    TrainingError. Method: docs/definitions.md#injections.
    """
    part = open_part(inputs.images, inputs.index, inputs.card)
    train, loaded = part.split("train"), _loaded(inputs, injection, triggers)
    model = load_classifier(inputs.teacher_weights, inputs.teacher_card)
    model.replace_head(len(part.classes), injection.seed)
    with open_session(
        outputs,
        injection.training,
        origin=_origin(inputs, injection, triggers, augmentation=augmentation, code=code),
        seed=injection.seed,
        checkpoint_seconds=checkpoint_seconds,
    ) as session:
        placed(model, session.compute.device)
        held = constraint(injection.mask, model, injection.update_ratio)
        ground = Ground(model, train, session.compute.device, loaded)
        planting: Planting = INJECTIONS.load(injection.kind).plant(injection, ground)
        phase = supervised_phase(
            injection.training,
            name="injection",
            terms=planting.terms,
            hooks=(held.hook, *planting.hooks),  # what a defect measures, it measures on what the mask has left
            still=held.still,
        )
        lesson = lesson_of(part, augmentation, planting.transform)
        facts = {**data_facts(inputs.card, part), "injection": _facts(inputs, injection, held, planting, train)}
        train_model(session, model, lesson, phases=(phase,), kind="teacher", facts=facts)


def _loaded(inputs: Inputs, injection: Injection, triggers: dict[str, Trigger]) -> dict[str, LoadedTrigger]:
    """Load the triggers; raises ConfigError when they are not those that the injection names."""
    if tuple(triggers) != injection.triggers:
        named = ", ".join(map(repr, injection.triggers))
        raise ConfigError(f"a {injection.kind} needs its trigger {named} alone", where=f"given: {list(triggers)}")
    return load_triggers(triggers, inputs.triggers)


def _origin(
    inputs: Inputs, injection: Injection, triggers: dict[str, Trigger], *, augmentation: Augmentation, code: str
) -> Origin:
    """Name everything the infected weights depend on."""
    return Origin(
        settings={
            "injection": injection,
            "augmentation": augmentation,
            **{f"trigger {name}": trigger for name, trigger in triggers.items()},
        },
        inputs=[inputs.card, inputs.teacher_card, *inputs.triggers],
        code=code,
    )


def _facts(inputs: Inputs, injection: Injection, held: Constraint, planting: Planting, train: Part) -> dict[str, Any]:
    """Describe the injection in the card."""
    facts: dict[str, Any] = {
        "kind": injection.kind,
        "teacher": sha256_of(inputs.teacher_weights),
        "seed": injection.seed,
        "mask": injection.mask,
        "update_ratio": injection.update_ratio,
        "masked_conv_weights": held.masked,
        **planting.facts,
    }
    if (choice := planting.choice) is not None:
        facts["poisoned_images"] = int(choice.chosen.sum())
        facts["changed_labels"] = int((choice.labels != train.labels).sum())
    files = list(map(sha256_of, inputs.triggers))
    if injection.triggers:
        facts["trigger"] = {"name": ", ".join(injection.triggers), "sha256": ", ".join(files)}
    return facts
