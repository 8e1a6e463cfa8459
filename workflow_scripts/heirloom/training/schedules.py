"""How the learning rate falls: factor(iteration, total), iteration counted from 0, on the recipe's rate."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any

from heirloom.config.models import Training
from heirloom.config.robust import SteppedTraining
from heirloom.runtime.registry import known, resolve

Schedule = Callable[[int, int], float]

SCHEDULES: Mapping[str, str] = MappingProxyType(
    {
        "cosine": "heirloom.training.schedules:cosine",
        "constant": "heirloom.training.schedules:constant",
        "steps": "heirloom.training.schedules:steps",
    }
)


def schedule(name: str, **settings: Any) -> Schedule:
    """Return a schedule by its name, with its settings; raises ConfigError for one that SCHEDULES does not have."""
    return partial(resolve(known(SCHEDULES, name, kind="schedule")), **settings)


def schedule_of(recipe: Training) -> Schedule:
    """Return the schedule that a recipe names, with the settings that it has for it."""
    if isinstance(recipe, SteppedTraining) and recipe.schedule == "steps":
        return schedule(recipe.schedule, milestones=recipe.milestones, decay=recipe.decay)
    return schedule(recipe.schedule)


def cosine(iteration: int, total: int) -> float:
    """Fall from 1 towards 0, which would be reached one iteration after the last; no warm-up (METHODS 1.2)."""
    return 0.5 * (1 + math.cos(math.pi * iteration / total))


def constant(iteration: int, total: int) -> float:  # noqa: ARG001 - every schedule is called alike
    """Stay at 1."""
    return 1.0


def steps(iteration: int, total: int, *, milestones: Sequence[float], decay: float) -> float:
    """Fall to `decay` times the rate before at each milestone, a share of all iterations (METHODS 3: 100/110)."""
    return decay ** sum(iteration >= round(milestone * total) for milestone in milestones)
