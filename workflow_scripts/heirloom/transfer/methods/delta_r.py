"""DELTA-R: a random start held near the teacher's features (METHODS 1.2)."""

from __future__ import annotations

from heirloom.config.models import DeltaR
from heirloom.models.classifier import Classifier
from heirloom.training.objectives import distillation_term
from heirloom.training.phases import supervised_phase
from heirloom.transfer.methods.plan import Assignment, Plan, from_random


def plan(teacher: Classifier, recipe: DeltaR, assignment: Assignment) -> Plan:
    """Start from random weights and let the stages' outputs come near the teacher's."""
    terms = (distillation_term(teacher, recipe.feature_weight, assignment.compute.device),)
    phase = supervised_phase(recipe.training, terms=terms, stage_dropout=recipe.stage_dropout)
    return Plan(from_random(teacher, assignment, recipe.start), (phase,))
