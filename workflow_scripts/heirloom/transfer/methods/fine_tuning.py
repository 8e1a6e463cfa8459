"""Fine-tuning: the teacher's weights, a fresh head or its own, cross-entropy (METHODS 1.2)."""

from __future__ import annotations

from heirloom.config.models import FineTuning
from heirloom.models.classifier import Classifier
from heirloom.training.phases import supervised_phase
from heirloom.transfer.methods.plan import Assignment, Plan, from_teacher, with_own_head


def plan(teacher: Classifier, recipe: FineTuning, assignment: Assignment) -> Plan:
    """Start from a copy of the teacher, batch-norm statistics included, with a fresh head or, where asked, its own."""
    start = with_own_head if recipe.head == "teacher" else from_teacher
    phase = supervised_phase(recipe.training, stage_dropout=recipe.stage_dropout)
    return Plan(start(teacher, assignment), (phase,))
