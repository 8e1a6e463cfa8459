"""What a transfer method decides: where the student starts and in which phases it is trained."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

from heirloom.config.models import Method, Start
from heirloom.models.classifier import Classifier, placed, randomise
from heirloom.runtime.devices import Compute
from heirloom.runtime.registry import known, resolve
from heirloom.training.checkpoints import Checkpoint
from heirloom.training.loop import Lesson
from heirloom.training.phases import Phase
from heirloom.transfer.methods import METHODS


@dataclass(frozen=True)
class Assignment:
    """What a student is to learn and by which means: all that a method may look at besides the teacher.

    `classes`: outputs of the student's head. `checkpoint`: called with the name of a trial before the training, it
    returns what that trial may continue from.
    """

    lesson: Lesson
    classes: int
    seed: int
    compute: Compute
    checkpoint: Callable[[str], Checkpoint]


@dataclass(frozen=True)
class Plan:
    """A student at its start, and its training."""

    student: Classifier
    phases: tuple[Phase, ...]


def plan_student(teacher: Classifier, recipe: Method, assignment: Assignment) -> Plan:
    """Plan a student by the recipe's method, on the assignment's device; the teacher is left as it is.

    Raises ConfigError for an unknown method, and for what the method refuses.
    """
    plan: Callable[..., Plan] = resolve(known(METHODS, recipe.method, kind="transfer method"))
    return plan(teacher, recipe, assignment)


def from_teacher(teacher: Classifier, assignment: Assignment) -> Classifier:
    """Copy the teacher, batch-norm statistics included, and give it a fresh head."""
    student = placed(copy.deepcopy(teacher), assignment.compute.device)
    student.replace_head(assignment.classes, assignment.seed)
    return student


def from_random(teacher: Classifier, assignment: Assignment, start: Start) -> Classifier:
    """Give the teacher's layers a random start; nothing else of it is left but its normalisation."""
    student = copy.deepcopy(teacher)
    randomise(student, assignment.seed, start)  # drawn on the CPU, so that every device starts alike
    student.replace_head(assignment.classes, assignment.seed)
    return placed(student, assignment.compute.device)
