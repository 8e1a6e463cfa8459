"""L2-SP: fine-tuning held near the teacher's weights (Li et al., ICML 2018)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, model_validator

from heirloom.config.models import TransferSettings

if TYPE_CHECKING:
    from heirloom.models.classifier import Classifier
    from heirloom.transfer.plan import Assignment, Plan


class L2SP(TransferSettings):
    """Fine-tuning held near the teacher's weights (Li et al., ICML 2018)."""

    kind: Literal["l2-sp"]
    strength: float = Field(gt=0, description="lambda_sp: weight of the squared distance to the teacher, head excluded")

    @model_validator(mode="after")
    def _decays_to_the_teacher_alone(self) -> Self:
        if self.training.weight_decay > 0:
            raise ValueError("l2-sp replaces weight decay: training.weight_decay must be 0")
        return self


def plan(teacher: Classifier, settings: L2SP, assignment: Assignment) -> Plan:
    """Fine-tune with the squared distance to the teacher's weights and biases, head excluded, in place of decay."""
    from heirloom.training.losses import start_term
    from heirloom.training.phases import supervised_phase
    from heirloom.transfer.plan import Plan, from_teacher

    student = from_teacher(teacher, assignment)
    terms = (start_term(student, settings.strength),)
    return Plan(student, (supervised_phase(settings.training, terms=terms, stage_dropout=settings.stage_dropout),))
