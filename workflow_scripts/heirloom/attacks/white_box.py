"""Attacks that climb the model's own loss within a ball: PGD, and its special cases FGSM and BIM."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from heirloom.attacks.crafting import Batch, condition
from heirloom.attacks.draws import uniform
from heirloom.attacks.losses import LOSSES
from heirloom.attacks.pgd import GEOMETRIES, ascend
from heirloom.attacks.units import Units
from heirloom.config.attacks import BIMAttack, FGSMAttack, Loss, Norm, PGDAttack
from heirloom.data.store import Part
from heirloom.evaluation.conditions import Condition
from heirloom.models.classifier import Classifier


def pgd(name: str, attack: PGDAttack, part: Part) -> Condition:
    """Ascend from random starts, the next one where the last failed, or once from the image (Madry et al., 2018)."""
    climb = Climb(attack, attack.norm, attack.step, attack.steps, attack.loss, random=attack.start == "random")
    return condition(name, attack, part, climb, starts=attack.restarts)


def bim(name: str, attack: BIMAttack, part: Part) -> Condition:
    """Ascend from the clean image (Kurakin et al., ICLR 2017)."""
    return condition(name, attack, part, Climb(attack, "Linf", attack.step, attack.steps))


def fgsm(name: str, attack: FGSMAttack, part: Part) -> Condition:
    """Take one step of size epsilon from the clean image (Goodfellow et al., ICLR 2015)."""
    return condition(name, attack, part, Climb(attack, attack.norm, attack.epsilon, 1))


@dataclass(frozen=True)
class Climb:
    """So many steps up a loss, from a random start of the image's own or from the clean image."""

    attack: PGDAttack | BIMAttack | FGSMAttack
    norm: Norm
    step: float
    steps: int
    loss: Loss = "cross-entropy"
    random: bool = False

    def __call__(self, source: Classifier, batch: Batch) -> Tensor:
        """Return the images (B, 3, H, W) after the search."""
        attack = self.attack
        units = Units.of(attack, source.normalisation, batch.images.device)
        geometry = GEOMETRIES[self.norm](epsilon=attack.epsilon, step=self.step, clip=attack.clip)

        def objective(points: Tensor) -> Tensor:
            return LOSSES[self.loss](source(units.images(points)), batch.labels)

        start = None
        if self.random:
            start = geometry.start(uniform(batch.images, batch.rows, attack.seed, "pgd", batch.start))
        centre = units.points(batch.images)
        change = ascend(objective, centre, geometry, steps=self.steps, change=start)
        return units.images((centre + change).clamp(*attack.clip))
