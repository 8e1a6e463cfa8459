"""ReMoS: how much the student's task uses a weight's channels, against the weight's size.

Source: Zhang et al., ICSE 2022. Little used and large weights score lowest: they serve the teacher's own task, or a
defect.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from heirloom.config.models import ScoreSettings
from heirloom.config.work import training_images_load

if TYPE_CHECKING:
    from collections.abc import Iterator

    from heirloom.config.costs import Cost
    from heirloom.config.work import Load
    from heirloom.models.classifier import Classifier
    from heirloom.transfer.plan import Assignment
    from heirloom.transfer.slices import Scored


class Coverage(ScoreSettings):
    """ReMoS: rank of the channels' coverage minus rank of |w|."""

    varies: ClassVar[bool] = False

    kind: Literal["coverage"] = Field(description="how much the new task uses a weight's channels, against its size")
    threshold: float = Field(0.5, ge=0, lt=1, description="of a channel's activation, min-max scaled per sample")

    def work(self, cost: Cost, *, training: int, validation: int) -> Iterator[Load]:  # noqa: ARG002 - as all scores
        """Count one look at every training image."""
        yield training_images_load(cost, images=training, passes=1)


def score(student: Classifier, settings: Coverage, assignment: Assignment) -> Scored:
    """Profile the student's weights on its training images and return the difference of the two ranks."""
    from heirloom.transfer.scores.coverage.channels import coverage_scores, profile
    from heirloom.transfer.slices import Scored

    return Scored(student, coverage_scores(student, profile(student, settings.threshold, assignment)))
