"""|w|: the smallest weights matter least (Han et al., NeurIPS 2015)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from heirloom.config.models import ScoreSettings

if TYPE_CHECKING:
    from heirloom.models.classifier import Classifier
    from heirloom.transfer.plan import Assignment
    from heirloom.transfer.slices import Scored


class Magnitude(ScoreSettings):
    """|w|: a score of convolution weights; all of them are ranked over all layers together."""

    varies: ClassVar[bool] = False

    kind: Literal["magnitude"] = Field(description="the absolute value")


def score(student: Classifier, settings: Magnitude, assignment: Assignment) -> Scored:  # noqa: ARG001 - as all scores
    """Return the absolute values of all conv weights."""
    from heirloom.models.classifier import conv_weights
    from heirloom.transfer.slices import Scored

    return Scored(student, {name: weight.detach().abs() for name, weight in conv_weights(student).items()})
