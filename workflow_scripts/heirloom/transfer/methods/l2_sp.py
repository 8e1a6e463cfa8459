"""L2-SP: fine-tuning held near the teacher's weights (METHODS 1.2; Li et al., ICML 2018)."""

from __future__ import annotations

from heirloom.config.models import L2SP
from heirloom.models.classifier import Classifier
from heirloom.training.objectives import start_term
from heirloom.training.phases import supervised_phase
from heirloom.transfer.methods.plan import Assignment, Plan, from_teacher


def plan(teacher: Classifier, recipe: L2SP, assignment: Assignment) -> Plan:
    """Fine-tune with the squared distance to the teacher's weights and biases, head excluded, in place of decay."""
    student = from_teacher(teacher, assignment)
    terms = (start_term(student, recipe.strength),)
    return Plan(student, (supervised_phase(recipe.training, terms=terms, stage_dropout=recipe.stage_dropout),))
