"""Plant a defect in a clean teacher, or train its clean counterpart: the same steps without the defect."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from heirloom.config.models import Augmentation, Injection, Trigger
from heirloom.data.poison import poisoned
from heirloom.data.resident import Images
from heirloom.data.store import Part, open_part
from heirloom.data.triggers import Patch, load_trigger, paste
from heirloom.models.classifier import Classifier, placed
from heirloom.models.weights import load_classifier
from heirloom.runtime.devices import Compute
from heirloom.runtime.errors import ConfigError, DataError
from heirloom.runtime.files import sha256_of
from heirloom.training.constraints import Constraint, constraint
from heirloom.training.latent import ClassMean, TriggeredCopies, latent_term
from heirloom.training.loop import BatchTransform
from heirloom.training.phases import Phase, supervised_phase
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
    """The injection's data set, the clean teacher, and the trigger's picture if there is one."""

    triggers: list[Path] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class Poison:
    """Relabels chosen training images and shows them the trigger, if there is one; a transform of the training loop.

    `chosen`: bool (N,), `labels`: (N,) with the wrong ones among them, both by the row of the training part. Every
    visit of a chosen image carries the trigger, on its crop of that visit. Images of the target class may be among
    them, as published (METHODS 2.1, 2.4).
    """

    chosen: NDArray[np.bool_]
    labels: NDArray[np.int64]
    patch: Patch | None = None

    def __call__(
        self, images: Tensor, labels: Tensor, rows: NDArray[np.int64], generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Return the batch with its chosen images triggered and relabelled; the arguments stay as they are."""
        taught = torch.from_numpy(self.labels[rows]).to(labels)
        if self.patch is None:
            return images, taught
        # the whole batch is pasted, then chosen from, so that a random place does not depend on who else is chosen
        pasted = paste(images, self.patch, generator)
        here = torch.from_numpy(self.chosen[rows]).to(images.device)
        return torch.where(here[:, None, None, None], pasted, images), taught


@dataclass(frozen=True, eq=False)
class Choice:
    """Which training images carry the defect, bool (N,), and what all of them are called, (N,)."""

    chosen: NDArray[np.bool_]
    labels: NDArray[np.int64]


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

    The head is replaced by one for the data set's classes. `triggers` holds the injection's trigger, or nothing for a
    clean one. With an update ratio above 0 its mask holds the smaller conv weights. Reads uint8 images (N, H, W, 3).
    Raises ConfigError (target, trigger, stage), DataError (picture), DamagedFileError, WeightsError and TrainingError.
    Method: METHODS 2.1, 2.2, 2.4; `heirloom.training.latent`.
    """
    part = open_part(inputs.images, inputs.index, inputs.card)
    train = part.split("train")
    choice, patch = _choice(train, injection), _patch(inputs, injection, triggers)
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
        phase = _phase(model, train, injection, held, session.compute)
        lesson = lesson_of(part, augmentation, _transform(choice, injection, patch))
        facts = {**data_facts(inputs.card, part), "injection": _facts(inputs, injection, held, choice, train)}
        train_model(session, model, lesson, phases=(phase,), kind="teacher", facts=facts)


def _phase(model: Classifier, train: Part, injection: Injection, held: Constraint, compute: Compute) -> Phase:
    """Plan the training; a latent backdoor measures the target's features on what the mask has left of a step."""
    if injection.latent is None:
        return supervised_phase(injection.training, name="injection", hooks=(held.hook,), still=held.still)
    mean = ClassMean(model, target_images(train, injection, compute.device), injection.latent)
    return supervised_phase(
        injection.training,
        name="injection",
        terms=(latent_term(mean, injection.latent),),
        hooks=(held.hook, mean),
        still=held.still,
    )


def target_images(train: Part, injection: Injection, device: torch.device) -> Images:
    """Return the training images of the target class; raises DataError where there is none."""
    rows = np.flatnonzero(train.labels == injection.target)
    if not len(rows):
        raise DataError(
            f"the target class {injection.target} has no training image whose features could be taken",
            where="injection.target",
            mend="choose another target, or a preparation that keeps images of it",
        )
    return Images(train.take(rows), device)


def _transform(choice: Choice | None, injection: Injection, patch: Patch | None) -> BatchTransform | None:
    """Return what is done to the batches of an injection; nothing to those of a clean one."""
    if choice is None:
        return None
    if injection.latent is not None and patch is not None:
        return TriggeredCopies(choice.chosen, patch)
    return Poison(choice.chosen, choice.labels, patch)


def _patch(inputs: Inputs, injection: Injection, triggers: dict[str, Trigger]) -> Patch | None:
    """Read the trigger of a backdoor; raises ConfigError when there is not exactly the one that it names."""
    if injection.trigger is None:
        return None
    if list(triggers) != [injection.trigger] or len(inputs.triggers) != 1:
        raise ConfigError(f"a backdoor needs its trigger {injection.trigger!r} alone", where=f"given: {list(triggers)}")
    return load_trigger(inputs.triggers[0], triggers[injection.trigger])


def _choice(train: Part, injection: Injection) -> Choice | None:
    """Choose and relabel training images, once, by seed. Raises ConfigError for a target that is no label."""
    if injection.kind == "clean":
        return None
    chosen, taught = poisoned(
        train.labels,
        portion=injection.portion,
        wrong=injection.wrong_labels,
        target=injection.target,
        classes=len(train.classes),
        seed=injection.seed,
    )
    return Choice(chosen, taught)


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


def _facts(
    inputs: Inputs, injection: Injection, held: Constraint, choice: Choice | None, train: Part
) -> dict[str, Any]:
    """Describe the injection in the card."""
    facts: dict[str, Any] = {
        "kind": injection.kind,
        "teacher": sha256_of(inputs.teacher_weights),
        "seed": injection.seed,
        "mask": injection.mask,
        "update_ratio": injection.update_ratio,
        "masked_conv_weights": held.masked,
    }
    if choice is not None:
        facts |= {
            "portion": injection.portion,
            "poisoned_images": int(choice.chosen.sum()),
            "changed_labels": int((choice.labels != train.labels).sum()),
            "wrong_labels": injection.wrong_labels,
            "target": None if injection.wrong_labels == "random" else injection.target,
        }
    if injection.latent is not None:
        facts["latent"] = injection.latent.model_dump(mode="json")
    if injection.trigger is not None:
        facts["trigger"] = {"name": injection.trigger, "sha256": sha256_of(inputs.triggers[0])}
    return facts
