"""What trainings and attacks compute with a model, counted before anything is built.

A forward pass of one image counts one, its gradient by the activations one and by the weights another.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from heirloom.config.attacks import AttackSettings, OnModel
    from heirloom.config.costs import Cost
    from heirloom.config.models import Training
    from heirloom.config.robust import Criticality, Judge, Repair, RobustTrained

TRAINED = 3  # forward, gradient of the activations, gradient of the weights: each about one forward pass of work
ATTACKED = 2  # no gradient of the weights


@dataclass(frozen=True)
class Load:
    """What a job computes with a model.

    `cost`: of one image at the side the model sees. `passes`: images times passes; one that is trained on counts
    three times, one that is only looked at once. `steps`: batches, counted in the same way as thirds of a step.
    """

    cost: Cost
    passes: float
    steps: float
    precision: str
    threads: int

    @property
    def macs(self) -> float:
        """Multiply-adds."""
        return self.passes * self.cost.macs


class DataSizes(NamedTuple):
    """How many images of a data set are trained on, how many validate, and how many classes it has; 0: not known."""

    training: int
    validation: int
    classes: int


def training_load(cost: Cost, recipe: Training, *, validation: int, passes: float = TRAINED) -> Load:
    """Count a training: every step, and every validation on `validation` images. `cost`: at the side a model sees."""
    every = recipe.validate_every or recipe.iterations
    seen = math.ceil(recipe.iterations / every) * validation
    return Load(
        cost=cost,
        passes=passes * recipe.iterations * recipe.batch_size + seen,
        steps=recipe.iterations + seen / 256 / TRAINED,
        precision=recipe.precision,
        threads=recipe.threads,
    )


def training_images_load(cost: Cost, *, images: int, passes: float) -> Load:
    """Count what looks at a data set's images in a student's way, 64 at a time."""
    return looking_load(cost, images=images, passes=passes, batch=64, threads=1)


def looking_load(cost: Cost, *, images: float, passes: float, batch: int, threads: int) -> Load:
    """Count what sees images without training: `passes` of each, in batches."""
    seen = images * passes
    return Load(cost=cost, passes=seen, steps=seen / batch / TRAINED, precision="fp32", threads=threads)


def attack_passes(attack: AttackSettings) -> float:
    """Count the passes that crafting an attack takes for each image, without what is `uncounted` of it."""
    looks = attack.looks()
    return ATTACKED * looks.gradients + looks.forwards


def uncounted(attacks: Iterable[OnModel]) -> str:
    """Say what their passes leave out of some attacks; "" for nothing."""
    return ", ".join(sorted({attack.uncounted for attack in attacks if attack.uncounted}))


def attacked_images(attack: OnModel, test: int) -> int:
    """Count the test images that an attack on a student itself takes."""
    return chosen_images(attack.images, test)


def robust_load(source: RobustTrained, cost: Cost, *, validation: int) -> Load:
    """Count a training: each image may be attacked, then is trained on; most objectives look at it twice.

    At most: an early stop saves the rest, and while FPD's restoration learns alone an iteration has no second phase.
    """
    recipe, judge, passes = source.training, source.judge, source.objective.work()
    judging = chosen_images(judge.images, validation) * judging_passes(judge) if judge else 0
    return training_load(cost, recipe, validation=validation + round(judging), passes=passes)


def judging_passes(judge: Judge) -> int:
    """Count the passes by which an attacked validation image is judged."""
    return ATTACKED * judge.attack.steps + 1


def criticality_load(settings: Criticality, cost: Cost, *, training: int) -> Load:
    """Count the ascent of every module through the whole model: what is cached is not taken off."""
    images = chosen_images(settings.images, training)
    modules = cost.convolutions + 1  # the head
    passes = ATTACKED * settings.attack.steps + modules * settings.epochs * TRAINED
    return looking_load(cost, images=images, passes=passes, batch=settings.batch_size, threads=settings.threads)


def repair_candidates(repair: Repair, stages: int) -> int:
    """Count what a repair fine-tunes before validation chooses."""
    modules = repair.modules
    sets = stages if modules.kind == "criticality" and modules.of_each_stage else 1
    return sets * max(1, len(repair.learning_rates))


def chosen_images(wanted: int | None, there: int) -> int:
    """Return how many of the images that there are a choice by seed takes."""
    return there if wanted is None else min(wanted, there)
