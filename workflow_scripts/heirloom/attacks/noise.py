"""Random noise of an attack's size: what a change of that size does by itself (METHODS 5)."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from heirloom.attacks.budget import budget_of
from heirloom.attacks.draws import uniform
from heirloom.attacks.units import Units, perturbed
from heirloom.config.attacks import NoiseAttack
from heirloom.evaluation.conditions import Condition
from heirloom.evaluation.predictions import ImageTransform
from heirloom.models.classifier import Classifier


def noise(name: str, attack: NoiseAttack) -> Condition:
    """Show each image with epsilon times a random sign per pixel and channel, the same for every model.

    With epsilon 0 the clip alone remains.
    """

    def transform(model: Classifier) -> ImageTransform:
        return partial(_noisy, attack=attack, model=model)

    return Condition(name, budget_of(attack), transform)


def _noisy(images: Tensor, rows: NDArray[np.int64], *, attack: NoiseAttack, model: Classifier) -> Tensor:
    change = uniform(images, rows, attack.seed, "noise").sub_(0.5).sign_() * attack.epsilon
    return perturbed(images, change, attack, Units.of(attack, model.normalisation, images.device))
