"""Unlearning: the teacher, fine-tuned on images that partly carry a reversed trigger and their right label.

Neural Cleanse's mitigation (Wang et al., IEEE S&P 2019): 10 % of the training images, a fifth of them with the trigger
reversed for the flagged class, one epoch.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from heirloom.config.models import Unlearning
from heirloom.data.poison import choose
from heirloom.defences.reversed import blended, read_reversed
from heirloom.models.classifier import Classifier
from heirloom.runtime.errors import ConfigError
from heirloom.runtime.files import read_card
from heirloom.runtime.seeds import derive_seed
from heirloom.training.loop import Lesson
from heirloom.training.phases import supervised_phase
from heirloom.transfer.methods.plan import Assignment, Plan, with_own_head


@dataclass(frozen=True, eq=False)
class Triggered:
    """Shows chosen training images with a trigger, their labels as they are; a transform of the training loop.

    `chosen`: bool (N,), by the row of the training part. `picture`: (4, H, W). Every visit of a chosen image carries
    the trigger, on its crop of that visit.
    """

    chosen: NDArray[np.bool_]
    picture: Tensor

    def __call__(
        self, images: Tensor, labels: Tensor, rows: NDArray[np.int64], _generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Return the batch with its chosen images triggered; the arguments stay as they are."""
        here = torch.from_numpy(self.chosen[rows]).to(images.device)[:, None, None, None]
        return torch.where(here, blended(images, self.picture.to(images)), images), labels


def plan(teacher: Classifier, recipe: Unlearning, assignment: Assignment) -> Plan:
    """Start from the teacher, own head kept, and fine-tune it on images of which a share carries the trigger.

    The trigger is that of the class with the largest anomaly index, whether it was flagged or not: the card says so.
    Raises WeightsError for a head of other classes, ConfigError without a detection or images, DamagedFileError and
    DataError (`read_reversed`).
    """
    student = with_own_head(teacher, assignment)
    if assignment.detection is None:
        raise ConfigError("unlearning has no reversed trigger", where="method.detector", mend="name a detector")
    card = read_card(assignment.detection.card)
    suspect: int = card["suspect"]
    picture = read_reversed(
        assignment.detection.reversed,
        assignment.detection.card,
        label=suspect,
        classes=assignment.classes,
        crop=assignment.lesson.train.crop,
    )
    lesson = taught(assignment.lesson, picture, recipe, seed=assignment.seed)
    facts = {"unlearned_class": suspect, "flagged": suspect in card["flagged"], "training_images": len(lesson.train)}
    phase = supervised_phase(recipe.training, stage_dropout=recipe.stage_dropout)
    return Plan(student, (phase,), lesson=lesson, facts=facts)


def taught(lesson: Lesson, picture: Tensor, recipe: Unlearning, *, seed: int) -> Lesson:
    """Keep a share `sample` of the training images, by seed, and show the trigger on a share `portion` of these."""
    sampled = choose(lesson.train.labels, recipe.sample, derive_seed(seed, "unlearning sample"))
    train = lesson.train.take(np.flatnonzero(sampled))
    if not len(train):
        raise ConfigError(
            f"a share {recipe.sample} of {len(lesson.train)} training images is none",
            where="method.sample",
            mend="give a larger share",
        )
    chosen = choose(train.labels, recipe.portion, derive_seed(seed, "unlearning trigger"))
    return replace(lesson, train=train, transform=Triggered(chosen, picture))
