"""Projected gradient descent on the attacked model's own loss, with restarts (Madry et al., ICLR 2018)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from heirloom.attacks.budget import budget_of
from heirloom.attacks.draws import uniform
from heirloom.attacks.pgd import LInf, ascend, attacking
from heirloom.attacks.units import Units
from heirloom.config.attacks import PGDAttack
from heirloom.data.store import Part
from heirloom.evaluation.conditions import Condition
from heirloom.models.classifier import Classifier


def pgd(name: str, attack: PGDAttack, part: Part) -> Condition:
    """Attack each image of a part through the model that looks at it: cross-entropy ascends from random starts."""
    return Condition(name, budget_of(attack), partial(Restarts, labels=part.labels, attack=attack))


@dataclass(frozen=True, eq=False)
class Restarts:
    """Gives each image as the first restart that fools the model left it, or the last one.

    A clean image that the model gets wrong is shown as it is: it lies within any budget. `labels`: int (N,), by row.
    """

    model: Classifier
    labels: NDArray[np.int64]
    attack: PGDAttack

    def __call__(self, images: Tensor, rows: NDArray[np.int64]) -> Tensor:
        """Return the attacked images (B, 3, H, W) of clean ones and their rows (B,)."""
        truth = torch.from_numpy(self.labels[rows]).to(images.device)
        found = images.clone()
        with attacking(self.model):
            left = self._right(images, truth).nonzero().flatten()
            for restart in range(self.attack.restarts):
                if not len(left):
                    break
                found[left] = self._searched(images[left], truth[left], rows[left.cpu().numpy()], restart)
                left = left[self._right(found[left], truth[left])]
        return found

    def _right(self, images: Tensor, truth: Tensor) -> Tensor:
        """Tell which images the model still classifies correctly: bool (B,)."""
        with torch.no_grad():
            right: Tensor = self.model(images).argmax(dim=1) == truth
        return right

    def _searched(self, images: Tensor, truth: Tensor, rows: NDArray[np.int64], restart: int) -> Tensor:
        """Return the images after one search."""
        attack = self.attack
        units = Units.of(attack, self.model.normalisation, images.device)
        geometry = LInf(epsilon=attack.epsilon, step=attack.step, clip=attack.clip)

        def objective(points: Tensor) -> Tensor:
            return functional.cross_entropy(self.model(units.images(points)), truth, reduction="none")

        centre = units.points(images)
        start = geometry.start(uniform(images, rows, attack.seed, "pgd", restart))
        change = ascend(objective, centre, geometry, steps=attack.steps, change=start)
        return units.images((centre + change).clamp(*attack.clip))
