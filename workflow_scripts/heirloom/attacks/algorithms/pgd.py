"""Projected gradient descent on the model itself (Madry et al., ICLR 2018).

From the clean image it is BIM (Kurakin et al., ICLR 2017), and with one step of size epsilon FGSM (Goodfellow et al.,
ICLR 2015).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, model_validator

from heirloom.config.attacks import BoundedSearch, Looks, Loss, OnModel
from heirloom.config.models import Count, Ratio, Steps
from heirloom.runtime.seeds import derive_seed

if TYPE_CHECKING:
    from torch import Tensor

    from heirloom.attacks.search import SearchBatch
    from heirloom.data.store import Part
    from heirloom.models.classifier import Classifier
    from heirloom.models.conditions import Condition


class PGDAttack(OnModel, BoundedSearch):
    """Projected gradient descent on the model itself, from random starts (Madry et al., ICLR 2018)."""

    kind: Literal["pgd"]
    norm: Literal["Linf", "L2", "L1"] = Field(
        "Linf", description="what epsilon bounds: a step follows the gradient's sign (Linf) or the gradient itself"
    )
    step: Ratio = Field(gt=0, description="size of a step, in that norm")
    steps: Steps = Field(20, ge=1, description="steps from each start")
    start: Literal["random", "clean"] = Field(
        "random", description="clean: from the image itself, as FPD's scripts start; once, then"
    )
    restarts: Count = Field(1, ge=1, description="random starts; an image is fooled by any of them")
    worst: Literal["run"] | None = Field(
        None, description="run: of so many whole runs the one that leaves the least accuracy, as RiFT's paper counts"
    )
    loss: Loss = Field(
        "cross-entropy",
        description="what ascends; margin: the largest wrong logit less the right one, which never saturates",
    )

    def looks(self) -> Looks:
        """Count a gradient a step, and a look after every start."""
        return Looks(gradients=self.restarts * self.steps, forwards=self.restarts)

    def runs(self) -> list[Self]:
        """Return the runs of which the worst counts, each from its own start; itself where images have restarts."""
        if self.worst is None:
            return [self]
        seeds = [derive_seed(self.seed, "run", run) for run in range(self.restarts)]
        return [self.model_copy(update={"restarts": 1, "worst": None, "seed": seed}) for seed in seeds]

    @model_validator(mode="after")
    def _starts_differ(self) -> Self:
        if self.worst and self.restarts < 2:
            raise ValueError("worst: run chooses among several runs: set restarts to 2 or more")
        if self.start == "clean" and self.restarts > 1:
            raise ValueError("start: clean has nothing to draw, so that every restart were the same: set restarts to 1")
        return self

    @model_validator(mode="after")
    def _one_step_in_l1(self) -> Self:
        if self.norm == "L1" and (self.start, self.steps) != ("clean", 1):
            raise ValueError("norm: L1 has no nearest point to return to: it takes one step, steps: 1 and start: clean")
        return self


def attack(name: str, settings: PGDAttack, part: Part) -> Condition:
    """Ascend from random starts, the next one where the last failed, or once from the image."""
    from heirloom.attacks.search import condition

    return condition(name, settings, part, partial(_climb, settings=settings), starts=settings.restarts)


def _climb(source: Classifier, batch: SearchBatch, *, settings: PGDAttack) -> Tensor:
    """Return the images (B, 3, H, W) after so many steps up a loss from one start."""
    from heirloom.attacks.draws import uniform
    from heirloom.attacks.losses import LOSSES
    from heirloom.attacks.pgd import GEOMETRIES, ascend
    from heirloom.attacks.units import Units

    units = Units.of(settings, source.normalisation, batch.images.device)
    geometry = GEOMETRIES[settings.norm](epsilon=settings.epsilon, step=settings.step, clip=settings.clip)

    def objective(points: Tensor) -> Tensor:
        return LOSSES[settings.loss](source(units.images(points)), batch.labels)

    start = None
    if settings.start == "random":
        start = geometry.start(uniform(batch.images, batch.rows, settings.seed, "pgd", batch.start))
    centre = units.points(batch.images)
    change = ascend(objective, centre, geometry, steps=settings.steps, change=start)
    return units.images((centre + change).clamp(*settings.clip))
