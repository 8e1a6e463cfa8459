"""What a transfer method decides: where the student starts and in which phases it is trained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from heirloom.config.models import Method
from heirloom.models.classifier import Classifier
from heirloom.runtime.registry import known, resolve
from heirloom.training.phases import Phase
from heirloom.transfer.methods import METHODS


@dataclass(frozen=True)
class Plan:
    """A student at its start, and its training."""

    student: Classifier
    phases: tuple[Phase, ...]


def plan_student(teacher: Classifier, recipe: Method, *, classes: int, seed: int) -> Plan:
    """Plan a student by the recipe's method; the teacher is left as it is. Raises ConfigError for an unknown method."""
    plan: Callable[..., Plan] = resolve(known(METHODS, recipe.method, kind="transfer method"))
    return plan(teacher, recipe, classes=classes, seed=seed)
