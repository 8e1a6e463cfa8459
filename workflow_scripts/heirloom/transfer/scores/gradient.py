"""Gradient: absolute gradients at the teacher's weights, summed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from heirloom.config.models import ScoreSettings
from heirloom.config.work import TRAINED, training_images_load

if TYPE_CHECKING:
    from collections.abc import Iterator

    from heirloom.config.costs import Cost
    from heirloom.config.work import Load
    from heirloom.models.classifier import Classifier
    from heirloom.transfer.plan import Assignment
    from heirloom.transfer.slices import Scored


class AccumulatedGradient(ScoreSettings):
    """Sum over the training set's batches of |g|."""

    kind: Literal["gradient"] = Field(description="absolute gradients, summed over the training set")

    def work(self, cost: Cost, *, training: int, validation: int) -> Iterator[Load]:  # noqa: ARG002 - as all scores
        """Count the gradient of every training image."""
        yield training_images_load(cost, images=training, passes=TRAINED)


def score(student: Classifier, settings: AccumulatedGradient, assignment: Assignment) -> Scored:  # noqa: ARG001
    """Return the sum over batches of |g|, g the gradient of a batch's mean loss."""
    from heirloom.transfer.slices import Scored
    from heirloom.transfer.task_gradient import total_gradients

    return Scored(student, total_gradients(student, assignment, lambda gradient, _: gradient.abs()))
