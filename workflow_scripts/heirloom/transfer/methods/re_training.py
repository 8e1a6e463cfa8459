"""Re-training: the teacher's architecture at a random start, cross-entropy (METHODS 1.2)."""

from __future__ import annotations

import copy

from heirloom.config.models import ReTraining
from heirloom.models.classifier import Classifier, randomise
from heirloom.training.phases import supervised_phase
from heirloom.transfer.methods.plan import Plan


def plan(teacher: Classifier, recipe: ReTraining, *, classes: int, seed: int) -> Plan:
    """Start from torch's own random weights; nothing of the teacher is left but its layers and its normalisation."""
    student = copy.deepcopy(teacher)
    randomise(student, seed)
    student.replace_head(classes, seed)
    return Plan(student, (supervised_phase(recipe.training),))
