"""The target-agnostic attack on a teacher's features (Rezaei and Liu, ICLR 2020)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from heirloom.config.attacks import Looks, OnTeacher
from heirloom.config.models import Ratio, Steps

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from heirloom.models.classifier import Classifier


class FeatureAttack(OnTeacher):
    """Drives the teacher's features, never the student's: crafted once (docs/definitions.md#feature-attack)."""

    kind: Literal["feature"]
    step: Ratio = Field(gt=0, description="size of a step, in the same units")
    steps: Steps = Field(40, ge=1, description="steps of projected gradient descent from a random start")
    target: float = Field(1000.0, description="m: what the first feature is driven to")
    rest_weight: float = Field(0.1, ge=0, description="weight of the other features' mean square, driven to 0")

    def looks(self) -> Looks:
        """Count a gradient a step."""
        return Looks(gradients=self.steps)


def feature_objective(features: Tensor, *, target: float, rest_weight: float) -> Tensor:
    """Return -((f_0 - target)^2 + rest_weight * mean_{j>0} f_j^2) of features (B, F), F at least 2, as (B,)."""
    first, rest = features[:, 0], features[:, 1:]
    return -((first - target).square() + rest_weight * rest.square().mean(dim=1))


def craft(models: Sequence[Classifier], images: Tensor, rows: NDArray[np.integer], settings: FeatureAttack) -> Tensor:
    """Return the change (B, 3, H, W), in the attack's units, that drives the models' features to the attack's target.

    `models`: the teacher and, for an attacker who knows it, a slice of it; their objectives are added. `images`:
    (B, 3, H, W) in [0, 1] on the models' device; `rows` (B,): their places in the part, which the random starts depend
    on. The attacked images are `units.perturbed(images, change, ...)`.
    """
    import torch

    from heirloom.attacks.draws import uniform
    from heirloom.attacks.pgd import LInf, ascend, attacking
    from heirloom.attacks.units import Units

    units = Units.of(settings, models[0].normalisation, images.device)
    geometry = LInf(epsilon=settings.epsilon, step=settings.step, clip=settings.clip)

    def objective(points: Tensor) -> Tensor:
        shown = units.images(points)
        wanted = partial(feature_objective, target=settings.target, rest_weight=settings.rest_weight)
        return torch.stack([wanted(model.features(shown)) for model in models]).sum(dim=0)

    with ExitStack() as held:
        for model in models:
            held.enter_context(attacking(model))
        start = geometry.start(uniform(images, rows, settings.seed, "feature attack"))
        return ascend(objective, units.points(images), geometry, steps=settings.steps, change=start)
