"""Linear probe: a fresh head on the teacher's frozen features, cross-entropy (METHODS 1.2)."""

from __future__ import annotations

from heirloom.config.models import LinearProbe
from heirloom.models.classifier import Classifier
from heirloom.training.phases import supervised_phase
from heirloom.transfer.methods.plan import Assignment, Plan, from_teacher


def plan(teacher: Classifier, recipe: LinearProbe, assignment: Assignment) -> Plan:
    """Start from a copy of the teacher with a fresh head, and train the head alone.

    The body acts as in evaluation throughout: batch-norm statistics stay the teacher's, and dropout before the head
    (MobileNetV2's) and after the stages is off.
    """
    student = from_teacher(teacher, assignment)
    return Plan(student, (supervised_phase(recipe.training, trained=(f"body.{student.spec.head}",)),))
