"""Fine-tuning: the teacher's weights, a fresh head, cross-entropy (METHODS 1.2)."""

from __future__ import annotations

import copy

from heirloom.config.models import FineTuning
from heirloom.models.classifier import Classifier
from heirloom.training.phases import supervised_phase
from heirloom.transfer.methods.plan import Plan


def plan(teacher: Classifier, recipe: FineTuning, *, classes: int, seed: int) -> Plan:
    """Start from a copy of the teacher, batch-norm statistics included, with a fresh head for `classes`."""
    student = copy.deepcopy(teacher)
    student.replace_head(classes, seed)
    return Plan(student, (supervised_phase(recipe.training),))
