"""DELTA: fine-tuning held near the teacher's features (METHODS 1.2; Li et al., ICLR 2019)."""

from __future__ import annotations

from heirloom.config.models import Delta
from heirloom.models.classifier import Classifier
from heirloom.training.objectives import distillation_term
from heirloom.training.phases import supervised_phase
from heirloom.transfer.methods.plan import Assignment, Plan, from_teacher


def plan(teacher: Classifier, recipe: Delta, assignment: Assignment) -> Plan:
    """Fine-tune with the distance of every stage's output to the teacher's as a further term."""
    terms = (distillation_term(teacher, recipe.feature_weight, assignment.compute.device),)
    phase = supervised_phase(recipe.training, terms=terms, stage_dropout=recipe.stage_dropout)
    return Plan(from_teacher(teacher, assignment), (phase,))
