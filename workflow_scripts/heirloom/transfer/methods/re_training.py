"""Re-training: the teacher's architecture at a random start, cross-entropy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from heirloom.config.models import Start, TransferSettings

if TYPE_CHECKING:
    from heirloom.models.classifier import Classifier
    from heirloom.transfer.plan import Assignment, Plan


class ReTraining(TransferSettings):
    """The teacher's layers at a random start."""

    kind: Literal["re-training"]
    start: Start = Field("reset", description="reset: torch's uniform Kaiming draw; he-normal: He's normal one")


def plan(teacher: Classifier, settings: ReTraining, assignment: Assignment) -> Plan:
    """Start from random weights; nothing of the teacher is left but its layers and its normalisation."""
    from heirloom.training.phases import supervised_phase
    from heirloom.transfer.plan import Plan, from_random

    phase = supervised_phase(settings.training, stage_dropout=settings.stage_dropout)
    return Plan(from_random(teacher, assignment, settings.start), (phase,))
