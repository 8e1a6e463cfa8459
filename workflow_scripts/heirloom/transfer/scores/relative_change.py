"""divmag: how far a trial on the student's task moves each weight, by its size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from heirloom.config.models import TrialSettings

if TYPE_CHECKING:
    from heirloom.models.classifier import Classifier
    from heirloom.transfer.plan import Assignment
    from heirloom.transfer.slices import Scored


class RelativeChange(TrialSettings):
    """|w_trial - w_0| / max(|w_0|, low_bound): divmag."""

    kind: Literal["relative-change"] = Field(description="how far a trial moves a weight, by its size (divmag)")
    low_bound: float = Field(0.0, ge=0, description="smallest divisor; at 0 the smallest positive float stands in")


def score(student: Classifier, settings: RelativeChange, assignment: Assignment) -> Scored:
    """Return |w_trial - w_0| / max(|w_0|, low_bound), divmag.

    Where low_bound is 0 the smallest normal float32 stands in: a weight of 0 that moved ranks above all others, one
    that did not below, and no score is 0 / 0.
    """
    import torch

    from heirloom.transfer.slices import Scored
    from heirloom.transfer.trial import moved, sizes, start, tried

    model = tried(student, settings, assignment)
    smallest = max(settings.low_bound, torch.finfo(torch.float32).tiny)
    changes, weights = moved(student, model), sizes(student)
    scores = {name: changes[name] / weights[name].clamp(min=smallest) for name in changes}
    return Scored(start(student, model, settings), scores)
