"""Random noise of an attack's size: what a change of that size does by itself."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal

from heirloom.config.attacks import AttackControl

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from heirloom.models.classifier import Classifier
    from heirloom.models.conditions import Condition
    from heirloom.models.predictions import ImageTransform


class NoiseAttack(AttackControl):
    """Epsilon with a random sign in every pixel and channel: the control of an attack of that size."""

    kind: Literal["noise"]


def attack(name: str, settings: NoiseAttack) -> Condition:
    """Show each image with epsilon times a random sign per pixel and channel, the same for every model.

    With epsilon 0 the clip alone remains.
    """
    from heirloom.attacks.budget import budget_of
    from heirloom.models.conditions import Condition

    def transform(model: Classifier) -> ImageTransform:
        return partial(_noisy, settings=settings, model=model)

    return Condition(name, budget_of(settings), transform)


def _noisy(images: Tensor, rows: NDArray[np.int64], *, settings: NoiseAttack, model: Classifier) -> Tensor:
    from heirloom.attacks.draws import uniform
    from heirloom.attacks.units import Units, perturbed

    change = uniform(images, rows, settings.seed, "noise").sub_(0.5).sign_() * settings.epsilon
    return perturbed(images, change, settings, Units.of(settings, model.normalisation, images.device))
