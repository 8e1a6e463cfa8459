"""The keys of a robust training: its recipe, the attack inside it, and what every robust objective shares."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, model_validator

from heirloom.config.models import Count, Ratio, Steps, Strict, Training
from heirloom.config.work import ATTACKED, TRAINED


class SteppedTraining(Training):
    """A training whose rate may also fall in steps, or when validation says so, as robust models are trained.

    What validation says is the accuracy that chooses the weights: robust where a judge attacks, else clean.
    """

    optimiser: Literal["sgd", "adam", "adamax"] = Field(
        "sgd", description="what makes a step; momentum is sgd's, weight_decay is added to the gradient by all"
    )
    clip: float | None = Field(None, gt=0, description="largest norm of all gradients together; null: any")
    schedule: Literal["cosine", "constant", "steps", "plateau"] = Field(  # type: ignore[assignment]
        "steps",
        description="steps: times `decay` at each of `milestones`; plateau: the same whenever more than"
        " `plateau_patience` validations have brought no better one; cosine: to 0 over all iterations",
    )
    milestones: tuple[Annotated[Ratio, Field(gt=0, lt=1)], ...] = Field(
        (), description="where the rate falls, as shares of the iterations, rising, such as 100/110"
    )
    decay: float = Field(0.1, gt=0, lt=1, description="what the rate is multiplied by there")
    plateau_patience: Count = Field(10, ge=0, description="validations without a better one that the rate survives")
    patience: Count | None = Field(
        None, ge=1, description="validations without a better one that end the training; null: none do"
    )
    head_rate: float = Field(1.0, gt=0, description="factor on the head's learning rate")
    head_penalty: float = Field(0.0, ge=0, description="beta: weight of the squared norm of the head")

    @model_validator(mode="after")
    def _milestones_rise(self) -> Self:
        if list(self.milestones) != sorted(set(self.milestones)):
            raise ValueError(f"milestones must rise, not {list(self.milestones)}")
        if self.milestones and self.schedule != "steps":
            raise ValueError(f"milestones are for the schedule steps, not for {self.schedule}: leave them out")
        return self

    @model_validator(mode="after")
    def _validations_are_there_to_wait_for(self) -> Self:
        if (self.schedule == "plateau" or self.patience is not None) and not self.validate_every:
            raise ValueError("the schedule plateau and patience count validations: set validate_every")
        return self

    @model_validator(mode="after")
    def _a_rate_that_falls_is_used(self) -> Self:
        if self.schedule == "plateau" and self.patience is not None and self.patience < self.plateau_patience + 2:
            raise ValueError(
                f"patience {self.patience} ends the training before a rate falls that survives {self.plateau_patience}"
                " validations: make plateau_patience at least 2 smaller, or choose the schedule constant"
            )
        return self


class InnerAttack(Strict):
    """Projected gradient descent as trainings and selections use it: one start, L-inf, images in [0, 1].

    One step of epsilon's size from the image itself is the fast gradient sign method (FGSM).
    """

    epsilon: Ratio = Field(8 / 255, gt=0, description="largest change of a pixel and channel, such as 8/255")
    step: Ratio = Field(2 / 255, gt=0, description="size of a step; the published script wrote 2/225 by mistake")
    steps: Steps = Field(10, ge=1, description="steps from the start")
    random_start: bool = Field(True, description="anywhere in the ball; false: the image itself, as in FGSM")


class ObjectiveSettings(Strict):
    """What every robust objective shares."""

    if TYPE_CHECKING:
        kind: str
        attack: InnerAttack | None

    @property
    def looks(self) -> int:
        """How often a training step shows each of its images, attacked or not, to the model it trains."""
        return 2

    @property
    def restores(self) -> bool:
        """Whether the objective is for bodies that restore images."""
        return False

    def work(self) -> int:
        """Count the passes of a training step for each of its images: it may be attacked, then is trained on."""
        return TRAINED * self.looks + ATTACKED * (self.attack.steps if self.attack else 0)


class AttackedObjective(ObjectiveSettings):
    """Of attacked images, whose labels are the right ones."""

    attack: InnerAttack = Field(InnerAttack(), description="what training images are changed by")


class SupervisedObjective(ObjectiveSettings):
    """Cross-entropy of clean images, or the mean of clean and attacked ones'."""

    attack: InnerAttack | None = Field(
        None,
        description="what the images beside the clean ones are changed by, against the model's own predictions and"
        " not the labels they are trained with; null: none are attacked",
    )

    @property
    def looks(self) -> int:
        """Clean, and attacked if there is an attack."""
        return 1 + (self.attack is not None)
