"""Wrong labels without a trigger, on a share of the training images."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from heirloom.config.models import DefectSettings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from heirloom.config.costs import Cost
    from heirloom.config.work import DataSizes, Load
    from heirloom.defects.plant import Choice, Ground, Planting


class WrongLabels(DefectSettings):
    """Wrong labels without a trigger (docs/definitions.md#injections)."""

    kind: Literal["poison"]
    wrong_labels: Literal["target", "random"] = Field(
        "target", description="what a chosen image is relabelled to: the target, or another class drawn by seed"
    )

    @property
    def aim(self) -> int | None:
        """The target, unless labels are drawn."""
        return self.target if self.wrong_labels == "target" else None

    @property
    def unused(self) -> frozenset[str]:
        """The control, and a target that no image is called."""
        return super().unused | (frozenset({"target"}) if self.aim is None else frozenset())


def choose(settings: WrongLabels, labels: NDArray[np.integer], classes: int) -> Choice:
    """Choose and relabel images by seed."""
    from heirloom.defects.plant import relabelled_images

    return relabelled_images(labels, portion=settings.portion, target=settings.aim, classes=classes, seed=settings.seed)


def plant(settings: WrongLabels, ground: Ground) -> Planting:
    """Show every image as it is, the chosen ones under their wrong labels."""
    from heirloom.defects.plant import Planting, Poison

    choice = choose(settings, ground.train.labels, len(ground.train.classes))
    return Planting(
        choice=choice,
        transform=Poison(choice.chosen, choice.labels),
        facts={"portion": settings.portion, "wrong_labels": settings.wrong_labels, "target": settings.aim},
    )


def work(settings: WrongLabels, cost: Cost, sizes: DataSizes) -> Iterator[Load]:
    """Count the training."""
    from heirloom.config.work import training_load

    yield training_load(cost, settings.training, validation=sizes.validation)
