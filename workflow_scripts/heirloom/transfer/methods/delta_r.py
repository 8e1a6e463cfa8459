"""DELTA-R: a random start held near the teacher's features."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from heirloom.config.models import Start, TransferSettings
from heirloom.config.work import TRAINED, training_load

if TYPE_CHECKING:
    from collections.abc import Iterator

    from heirloom.config.costs import Cost
    from heirloom.config.work import Load
    from heirloom.models.classifier import Classifier
    from heirloom.transfer.plan import Assignment, Plan


class DeltaR(TransferSettings):
    """A random start held near the teacher's features."""

    kind: Literal["delta-r"]
    feature_weight: float = Field(gt=0, description="lambda_feat: weight of the stages' mean squared distances")
    start: Start = Field("reset", description="reset: torch's uniform Kaiming draw; he-normal: He's normal one")

    def work(self, cost: Cost, *, training: int, validation: int) -> Iterator[Load]:  # noqa: ARG002 - as all methods
        """Count the training, whose every batch is shown to the teacher too."""
        yield training_load(cost, self.training, validation=validation, passes=TRAINED + 1)


def plan(teacher: Classifier, settings: DeltaR, assignment: Assignment) -> Plan:
    """Start from random weights and let the stages' outputs come near the teacher's."""
    from heirloom.training.losses import distillation_term
    from heirloom.training.phases import supervised_phase
    from heirloom.transfer.plan import Plan, from_random

    terms = (distillation_term(teacher, settings.feature_weight, assignment.compute.device),)
    phase = supervised_phase(settings.training, terms=terms, stage_dropout=settings.stage_dropout)
    return Plan(from_random(teacher, assignment, settings.start), (phase,))
