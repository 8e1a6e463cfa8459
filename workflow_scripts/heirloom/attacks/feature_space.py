"""The target-agnostic attack on a teacher's features (METHODS 1.5; Rezaei and Liu, ICLR 2020)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from heirloom.attacks.draws import uniform
from heirloom.attacks.pgd import LInf, ascend, attacking
from heirloom.attacks.units import Units
from heirloom.config.attacks import FeatureAttack
from heirloom.models.classifier import Classifier


def feature_objective(features: Tensor, *, target: float, rest_weight: float) -> Tensor:
    """Return -((f_0 - target)^2 + rest_weight * mean_{j>0} f_j^2) of features (B, F), F at least 2, as (B,)."""
    first, rest = features[:, 0], features[:, 1:]
    return -((first - target).square() + rest_weight * rest.square().mean(dim=1))


def craft(models: Sequence[Classifier], images: Tensor, rows: NDArray[np.integer], attack: FeatureAttack) -> Tensor:
    """Return the change (B, 3, H, W), in the attack's units, that drives the models' features to the attack's target.

    `models`: the teacher and, for an attacker who knows it, a slice of it; their objectives are added. `images`:
    (B, 3, H, W) in [0, 1] on the models' device; `rows` (B,): their places in the part, which the random starts depend
    on. The attacked images are `units.perturbed(images, change, ...)`.
    """
    units = Units.of(attack, models[0].normalisation, images.device)
    geometry = LInf(epsilon=attack.epsilon, step=attack.step, clip=attack.clip)

    def objective(points: Tensor) -> Tensor:
        shown = units.images(points)
        wanted = partial(feature_objective, target=attack.target, rest_weight=attack.rest_weight)
        return torch.stack([wanted(model.features(shown)) for model in models]).sum(dim=0)

    with ExitStack() as held:
        for model in models:
            held.enter_context(attacking(model))
        start = geometry.start(uniform(images, rows, attack.seed, "feature attack"))
        return ascend(objective, units.points(images), geometry, steps=attack.steps, change=start)
