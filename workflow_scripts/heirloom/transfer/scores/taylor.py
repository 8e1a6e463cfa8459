"""Taylor: gradient times weight, summed over a filter (Molchanov et al., ICLR 2017)."""

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


class Taylor(ScoreSettings):
    """|sum of g * w over a filter|, the same for all its weights (Molchanov et al., ICLR 2017)."""

    kind: Literal["taylor"] = Field(description="gradient times weight, summed over the filter")

    def work(self, cost: Cost, *, training: int, validation: int) -> Iterator[Load]:  # noqa: ARG002 - as all scores
        """Count the gradient of every training image."""
        yield training_images_load(cost, images=training, passes=TRAINED)


def score(student: Classifier, settings: Taylor, assignment: Assignment) -> Scored:  # noqa: ARG001 - as all scores
    """Return |sum of g w over a filter| for each of its weights, g as for SNIP (Molchanov et al., ICLR 2017).

    For a convolution without bias that sum is the one over its output map of gradient times activation, of which the
    source takes the absolute value image by image, and which it scales in each layer.
    """
    from heirloom.models.classifier import conv_weights
    from heirloom.transfer.slices import Scored
    from heirloom.transfer.task_gradient import saliences

    sums = {name: filters.sum((1, 2, 3), keepdim=True) for name, filters in saliences(student, assignment).items()}
    weights = conv_weights(student)
    return Scored(student, {name: total.abs().expand(weights[name].shape) for name, total in sums.items()})
