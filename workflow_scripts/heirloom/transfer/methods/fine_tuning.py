"""Fine-tuning: the teacher's weights, a fresh head or its own, cross-entropy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from heirloom.config.models import TransferSettings

if TYPE_CHECKING:
    from heirloom.models.classifier import Classifier
    from heirloom.transfer.plan import Assignment, Plan


class FineTuning(TransferSettings):
    """The teacher's weights, a fresh head, every weight trained."""

    kind: Literal["fine-tuning"]
    head: Literal["fresh", "teacher"] = Field(
        "fresh", description="teacher: its own head is kept, which must know the data set's classes"
    )

    @property
    def keeps_head(self) -> bool:
        """Whether students have their teacher's own head."""
        return self.head == "teacher"


def plan(teacher: Classifier, settings: FineTuning, assignment: Assignment) -> Plan:
    """Start from a copy of the teacher, batch-norm statistics included, with a fresh head or, where asked, its own."""
    from heirloom.training.phases import supervised_phase
    from heirloom.transfer.plan import Plan, from_teacher, with_own_head

    start = with_own_head if settings.keeps_head else from_teacher
    phase = supervised_phase(settings.training, stage_dropout=settings.stage_dropout)
    return Plan(start(teacher, assignment), (phase,))
