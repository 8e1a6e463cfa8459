"""Pruning: the teacher without the weights that a score ranks lowest, fine-tuned (METHODS 1.3, 1.4)."""

from __future__ import annotations

from heirloom.config.models import Pruning
from heirloom.models.classifier import Classifier
from heirloom.training.constraints import FrozenWeights
from heirloom.training.phases import supervised_phase
from heirloom.transfer.methods.plan import Assignment, Plan, from_teacher
from heirloom.transfer.slicing import prune, scored


def plan(teacher: Classifier, recipe: Pruning, assignment: Assignment) -> Plan:
    """Start from a copy of the teacher in which the share `ratio` of all conv weights is 0, and fine-tune it.

    With `regrow` the zeros are trained like any other weight; without, they stay 0. Raises ConfigError that names a
    layer left with no weight at all.
    """
    student, scores = scored(from_teacher(teacher, assignment), recipe.score, assignment)
    kept = prune(student, scores, recipe.ratio, end=recipe.prune)
    hooks = () if recipe.regrow else (FrozenWeights(student, kept),)
    phase = supervised_phase(recipe.training, hooks=hooks, stage_dropout=recipe.stage_dropout)
    return Plan(student, (phase,))
