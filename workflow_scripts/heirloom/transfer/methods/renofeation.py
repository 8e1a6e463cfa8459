"""Renofeation: DELTA-R with stage dropout, then averaged weights (Chin et al., arXiv 2002.02998)."""

from __future__ import annotations

from heirloom.config.models import Renofeation
from heirloom.models.classifier import Classifier
from heirloom.training.averaging import WeightAveraging
from heirloom.training.objectives import distillation_term
from heirloom.training.phases import supervised_phase
from heirloom.transfer.methods.plan import Assignment, Plan, from_random


def plan(teacher: Classifier, recipe: Renofeation, assignment: Assignment) -> Plan:
    """Train from random weights in two phases of the same losses and dropout; the second averages its weights."""
    student = from_random(teacher, assignment, recipe.start)
    terms = (distillation_term(teacher, recipe.feature_weight, assignment.compute.device),)
    first = supervised_phase(recipe.training, terms=terms, stage_dropout=recipe.stage_dropout)
    second = supervised_phase(
        recipe.averaging,
        name="averaging",
        terms=terms,
        hooks=(WeightAveraging(student, every=recipe.average_every),),
        stage_dropout=recipe.stage_dropout,
    )
    return Plan(student, (first, second))
