"""mulmag: how far a trial on the student's task moves each weight, times its size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from heirloom.config.models import TrialSettings

if TYPE_CHECKING:
    from heirloom.models.classifier import Classifier
    from heirloom.transfer.plan import Assignment
    from heirloom.transfer.slices import Scored


class ScaledChange(TrialSettings):
    """|w_trial - w_0| * |w_0|: mulmag."""

    kind: Literal["scaled-change"] = Field(description="how far a trial moves a weight, times its size (mulmag)")


def score(student: Classifier, settings: ScaledChange, assignment: Assignment) -> Scored:
    """Return |w_trial - w_0| * |w_0|, mulmag."""
    from heirloom.transfer.slices import Scored
    from heirloom.transfer.trial import moved, sizes, start, tried

    model = tried(student, settings, assignment)
    changes, weights = moved(student, model), sizes(student)
    return Scored(start(student, model, settings), {name: changes[name] * weights[name] for name in changes})
