"""Change: how far a trial on the student's task moves each weight."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from heirloom.config.models import TrialSettings

if TYPE_CHECKING:
    from heirloom.models.classifier import Classifier
    from heirloom.transfer.plan import Assignment
    from heirloom.transfer.slices import Scored


class Change(TrialSettings):
    """|w_trial - w_0|."""

    kind: Literal["change"] = Field(description="how far a trial moves a weight")


def score(student: Classifier, settings: Change, assignment: Assignment) -> Scored:
    """Return |w_trial - w_0|."""
    from heirloom.transfer.slices import Scored
    from heirloom.transfer.trial import moved, start, tried

    model = tried(student, settings, assignment)
    return Scored(start(student, model, settings), moved(student, model))
