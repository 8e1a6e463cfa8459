"""What an injection is given, and what it changes of the teacher's training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from heirloom.data.poison import choose, wrong_labels
from heirloom.data.store import Part
from heirloom.defects.show import LoadedTrigger
from heirloom.runtime.errors import ConfigError

if TYPE_CHECKING:  # so that a picture of a defect does not depend on how networks are trained
    from heirloom.models.classifier import Classifier
    from heirloom.training.loop import BatchTransform
    from heirloom.training.losses import Term
    from heirloom.training.phases import StepHook


@dataclass(frozen=True, eq=False)
class Choice:
    """Which training images carry the defect, bool (N,), and what all of them are called, (N,)."""

    chosen: NDArray[np.bool_]
    labels: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Ground:
    """What a defect is planted in: the teacher on its device, the data set's training images, loaded triggers."""

    model: Classifier
    train: Part
    device: torch.device
    triggers: Mapping[str, LoadedTrigger]


@dataclass(frozen=True, eq=False)
class Planting:
    """What an injection adds to an ordinary training. `facts`: for the card."""

    choice: Choice | None = None
    transform: BatchTransform | None = None
    terms: tuple[Term, ...] = ()
    hooks: tuple[StepHook, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


def chosen_images(labels: NDArray[np.integer], *, portion: float, target: int, classes: int, seed: int) -> Choice:
    """Choose training images by seed and leave every label as it is. Raises ConfigError for a target that is none."""
    _check_target(target, classes)
    return Choice(choose(labels, portion, seed), labels.astype(np.int64))


def relabelled_images(
    labels: NDArray[np.integer], *, portion: float, target: int | None, classes: int, seed: int
) -> Choice:
    """Choose training images and call them the target, or, where that is None, any other class than their own.

    Both by seed. Raises ConfigError for a target that is no label.
    """
    if target is not None:
        _check_target(target, classes)
    chosen = choose(labels, portion, seed)
    return Choice(chosen, wrong_labels(labels, chosen, target=target, classes=classes, seed=seed))


def _check_target(target: int, classes: int) -> None:
    if target >= classes:
        mend = f"choose a label from 0 to {classes - 1}"
        raise ConfigError(f"the data set has no label {target}", where="injection.target", mend=mend)


@dataclass(frozen=True, eq=False)
class Poison:
    """Relabels chosen training images and shows them the trigger, if there is one; a transform of the training loop.

    `chosen`: bool (N,), `labels`: (N,) with the wrong ones among them, both by the row of the training part. Every
    visit of a chosen image carries the trigger, on its crop of that visit. Images of the target class may be among
    them, as published (docs/definitions.md#injections).
    """

    chosen: NDArray[np.bool_]
    labels: NDArray[np.int64]
    trigger: LoadedTrigger | None = None

    def __call__(
        self, images: Tensor, labels: Tensor, rows: NDArray[np.int64], generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Return the batch with its chosen images triggered and relabelled; the arguments stay as they are."""
        taught = torch.from_numpy(self.labels[rows]).to(labels)
        if self.trigger is None:
            return images, taught
        # the whole batch is triggered, then chosen from, so that a random place does not depend on who else is chosen
        triggered = self.trigger(images, generator)
        here = torch.from_numpy(self.chosen[rows]).to(images.device)
        return torch.where(here[:, None, None, None], triggered, images), taught
