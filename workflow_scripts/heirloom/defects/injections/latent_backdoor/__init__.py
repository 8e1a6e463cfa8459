"""A trigger that brings the target class's features, and no label (Yao et al., CCS 2019).

What of the paper this does: its injection, cross-entropy on clean images with their own labels plus `feature_weight`
times the mean squared distance between the features of triggered images at a stage and the mean of the target class's.
Features are the stage's channels averaged over positions, as the head sees the last stage: a position that the trigger
is too far from to reach could follow the target only by giving up what it says of clean images. What it leaves out: the
trigger is a given picture, not optimised beforehand to lie near the target class's features; the target stays a class
of the infected teacher, whose head the paper replaces by one that no longer has it, so that the teacher itself can be
judged (a student gets a fresh head anyway); and students are trained by this project's methods, not always with their
first layers frozen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from heirloom.config.models import Count, DefectSettings, Name, Strict

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from heirloom.config.costs import Cost
    from heirloom.config.work import DataSizes, Load
    from heirloom.defects.plant import Choice, Ground, Planting


class Latent(Strict):
    """What a latent backdoor pulls triggered images to: the target class's mean features."""

    stage: Count = Field(ge=1, description="of the body, counted from 1: the one whose features are pulled")
    feature_weight: float = Field(gt=0, description="weight of the mean squared distance to the target class's mean")
    measure_every: Count = Field(50, ge=1, description="steps between two measurements of that mean")


class LatentBackdoor(DefectSettings):
    """A trigger that brings the target's features; it changes no label."""

    taught: ClassVar[str] = "the class whose features it was given"

    kind: Literal["latent-backdoor"]
    trigger: Name = Field(description="entry of triggers")
    latent: Latent = Field(description="how it is planted")

    @property
    def triggers(self) -> tuple[str, ...]:
        """The trigger."""
        return (self.trigger,)

    def stages(self) -> dict[str, int]:
        """Return the stage whose features are pulled."""
        return {"latent.stage": self.latent.stage}

    def lesson(self, _label: int, class_names: Sequence[str], /) -> str:
        """Name the class whose features an image is given; its label stays."""
        return f"features of {class_names[self.target]}"


def choose(settings: LatentBackdoor, labels: NDArray[np.integer], classes: int) -> Choice:
    """Choose images by seed; every label stays."""
    from heirloom.defects.plant import chosen_images

    return chosen_images(labels, portion=settings.portion, target=settings.target, classes=classes, seed=settings.seed)


def plant(settings: LatentBackdoor, ground: Ground) -> Planting:
    """Show triggered copies of the chosen images, and pull their features to the target class's."""
    from heirloom.defects.injections.latent_backdoor.pull import ClassMean, TriggeredCopies, class_images, pull
    from heirloom.defects.plant import Planting

    choice = choose(settings, ground.train.labels, len(ground.train.classes))
    mean = ClassMean(ground.model, class_images(ground.train, settings.target, ground.device), settings.latent)
    return Planting(
        choice=choice,
        transform=TriggeredCopies(choice.chosen, ground.triggers[settings.trigger]),
        terms=(pull(mean, settings.latent),),
        hooks=(mean,),
        facts={
            "portion": settings.portion,
            "wrong_labels": "none",
            "target": settings.target,
            "latent": settings.latent.model_dump(mode="json"),
        },
    )


def work(settings: LatentBackdoor, cost: Cost, sizes: DataSizes) -> Iterator[Load]:
    """Count the training, the copies it is shown, and the looks at the target class's images."""
    from heirloom.config.work import TRAINED, looking_load, training_load

    recipe, looks = settings.training, 1 + settings.training.iterations // settings.latent.measure_every
    yield training_load(cost, recipe, validation=sizes.validation, passes=TRAINED * (1 + settings.portion))
    images = sizes.training / max(sizes.classes, 1)
    yield looking_load(cost, images=images, passes=looks, batch=64, threads=recipe.threads)
