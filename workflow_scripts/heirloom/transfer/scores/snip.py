"""SNIP: gradient times weight, at the teacher's weights (Lee et al., ICLR 2019)."""

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


class Snip(ScoreSettings):
    """|g * w| with the gradient of the whole training set (Lee et al., ICLR 2019)."""

    kind: Literal["snip"] = Field(description="gradient times weight")

    def work(self, cost: Cost, *, training: int, validation: int) -> Iterator[Load]:  # noqa: ARG002 - as all scores
        """Count the gradient of every training image."""
        yield training_images_load(cost, images=training, passes=TRAINED)


def score(student: Classifier, settings: Snip, assignment: Assignment) -> Scored:  # noqa: ARG001 - as all scores
    """Return |g w| with the gradient g of the whole set's mean loss (Lee et al., ICLR 2019, who take one batch's)."""
    from heirloom.transfer.slices import Scored
    from heirloom.transfer.task_gradient import saliences

    return Scored(student, {name: salience.abs() for name, salience in saliences(student, assignment).items()})
