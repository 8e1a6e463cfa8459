"""Linear probe: a fresh head on the teacher's frozen features, cross-entropy (METHODS 1.2)."""

from __future__ import annotations

import copy

from heirloom.config.models import LinearProbe
from heirloom.models.classifier import Classifier
from heirloom.training.phases import supervised_phase
from heirloom.transfer.methods.plan import Plan


def plan(teacher: Classifier, recipe: LinearProbe, *, classes: int, seed: int) -> Plan:
    """Start from a copy of the teacher with a fresh head, and train the head alone.

    The body acts as in evaluation throughout: batch-norm statistics stay the teacher's, and dropout before the head
    (MobileNetV2's) is off.
    """
    student = copy.deepcopy(teacher)
    student.replace_head(classes, seed)
    head = f"body.{student.spec.head}"
    return Plan(student, (supervised_phase(recipe.training, trained=head),))
