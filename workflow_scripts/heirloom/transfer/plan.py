"""What a transfer method decides: where the student starts and in which phases it is trained."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from heirloom.config.kinds import METHODS
from heirloom.config.models import Start, TransferSettings
from heirloom.models.classifier import Classifier, placed, randomise
from heirloom.runtime.devices import Compute
from heirloom.runtime.errors import WeightsError
from heirloom.training.checkpoints import Checkpoint
from heirloom.training.loop import Lesson
from heirloom.training.phases import Phase


@dataclass(frozen=True)
class DetectionFiles:
    """What a detector found in the teacher."""

    card: Path
    reversed: Path


@dataclass(frozen=True)
class Assignment:
    """What a student is to learn and by which means: all that a method may look at besides the teacher.

    `classes`: outputs of the student's head. `checkpoint`: called with the name of a trial before the training, it
    returns what that trial may continue from. `detection`: given to the method that unlearns it.
    """

    lesson: Lesson
    classes: int
    seed: int
    compute: Compute
    checkpoint: Callable[[str], Checkpoint]
    detection: DetectionFiles | None = None


@dataclass(frozen=True)
class Plan:
    """A student at its start, and its training.

    `lesson`: what it is trained on where that is not the assignment's. `facts`: what a method decided, for the card.
    """

    student: Classifier
    phases: tuple[Phase, ...]
    lesson: Lesson | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


def plan_student(teacher: Classifier, settings: TransferSettings, assignment: Assignment) -> Plan:
    """Plan a student by the method of these settings, on the assignment's device; the teacher is left as it is.

    Raises ConfigError for an unknown method, and for what the method refuses.
    """
    plan: Callable[..., Plan] = METHODS.load(settings.kind).plan
    return plan(teacher, settings, assignment)


def from_teacher(teacher: Classifier, assignment: Assignment) -> Classifier:
    """Copy the teacher, batch-norm statistics included, and give it a fresh head."""
    student = placed(copy.deepcopy(teacher), assignment.compute.device)
    student.replace_head(assignment.classes, assignment.seed)
    return student


def with_own_head(teacher: Classifier, assignment: Assignment) -> Classifier:
    """Copy the teacher, its head included; raises WeightsError where the head has another number of classes."""
    if teacher.classes != assignment.classes:
        raise WeightsError(
            f"the teacher's own head knows {teacher.classes} classes, the data set has {assignment.classes}",
            where="method",
            mend="keep the head of a teacher that was trained on the student's data set alone",
        )
    return placed(copy.deepcopy(teacher), assignment.compute.device)


def from_random(teacher: Classifier, assignment: Assignment, start: Start) -> Classifier:
    """Give the teacher's layers a random start; nothing else of it is left but its normalisation."""
    student = copy.deepcopy(teacher)
    randomise(student, assignment.seed, start)  # drawn on the CPU, so that every device starts alike
    student.replace_head(assignment.classes, assignment.seed)
    return placed(student, assignment.compute.device)
