"""Re-training: the teacher's architecture at a random start, cross-entropy (METHODS 1.2)."""

from __future__ import annotations

from heirloom.config.models import ReTraining
from heirloom.models.classifier import Classifier
from heirloom.training.phases import supervised_phase
from heirloom.transfer.methods.plan import Assignment, Plan, from_random


def plan(teacher: Classifier, recipe: ReTraining, assignment: Assignment) -> Plan:
    """Start from random weights; nothing of the teacher is left but its layers and its normalisation."""
    phase = supervised_phase(recipe.training, stage_dropout=recipe.stage_dropout)
    return Plan(from_random(teacher, assignment, recipe.start), (phase,))
