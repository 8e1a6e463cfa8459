"""A trigger and a wrong label, the target, on a share of the training images (Gu et al., BadNets, 2017)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from heirloom.config.models import DefectSettings, Name

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from heirloom.config.costs import Cost
    from heirloom.config.work import DataSizes, Load
    from heirloom.defects.plant import Choice, Ground, Planting


class Backdoor(DefectSettings):
    """A trigger, and the target as the label of the images that carry it (docs/definitions.md#injections)."""

    kind: Literal["backdoor"]
    trigger: Name = Field(description="entry of triggers")

    @property
    def triggers(self) -> tuple[str, ...]:
        """The trigger."""
        return (self.trigger,)


def choose(settings: Backdoor, labels: NDArray[np.integer], classes: int) -> Choice:
    """Choose images by seed and call them the target."""
    from heirloom.defects.plant import relabelled_images

    return relabelled_images(
        labels, portion=settings.portion, target=settings.target, classes=classes, seed=settings.seed
    )


def plant(settings: Backdoor, ground: Ground) -> Planting:
    """Show the chosen images with the trigger under the target's label."""
    from heirloom.defects.plant import Planting, Poison

    choice = choose(settings, ground.train.labels, len(ground.train.classes))
    return Planting(
        choice=choice,
        transform=Poison(choice.chosen, choice.labels, ground.triggers[settings.trigger]),
        facts={"portion": settings.portion, "wrong_labels": "target", "target": settings.target},
    )


def work(settings: Backdoor, cost: Cost, sizes: DataSizes) -> Iterator[Load]:
    """Count the training."""
    from heirloom.config.work import training_load

    yield training_load(cost, settings.training, validation=sizes.validation)
