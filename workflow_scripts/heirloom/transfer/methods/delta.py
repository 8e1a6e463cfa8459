"""DELTA: fine-tuning held near the teacher's features (Li et al., ICLR 2019)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from heirloom.config.models import TransferSettings
from heirloom.config.work import TRAINED, training_load

if TYPE_CHECKING:
    from collections.abc import Iterator

    from heirloom.config.costs import Cost
    from heirloom.config.work import Load
    from heirloom.models.classifier import Classifier
    from heirloom.transfer.plan import Assignment, Plan


class Delta(TransferSettings):
    """Fine-tuning held near the teacher's features (Li et al., ICLR 2019)."""

    kind: Literal["delta"]
    feature_weight: float = Field(gt=0, description="lambda_feat: weight of the stages' mean squared distances")

    def work(self, cost: Cost, *, training: int, validation: int) -> Iterator[Load]:  # noqa: ARG002 - as all methods
        """Count the training, whose every batch is shown to the teacher too."""
        yield training_load(cost, self.training, validation=validation, passes=TRAINED + 1)


def plan(teacher: Classifier, settings: Delta, assignment: Assignment) -> Plan:
    """Fine-tune with the distance of every stage's output to the teacher's as a further term."""
    from heirloom.training.losses import distillation_term
    from heirloom.training.phases import supervised_phase
    from heirloom.transfer.plan import Plan, from_teacher

    terms = (distillation_term(teacher, settings.feature_weight, assignment.compute.device),)
    phase = supervised_phase(settings.training, terms=terms, stage_dropout=settings.stage_dropout)
    return Plan(from_teacher(teacher, assignment), (phase,))
