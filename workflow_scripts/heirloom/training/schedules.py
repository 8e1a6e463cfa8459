"""How the learning rate falls: factor(iteration, total), iteration counted from 0, on the recipe's rate.

What validation makes of a rate, and of a training's end, depends on its accuracies so far: `Watch`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any

from heirloom.config.models import Training
from heirloom.config.robust_training import SteppedTraining
from heirloom.runtime.registry import known, resolve

Schedule = Callable[[int, int], float]

SCHEDULES: Mapping[str, str] = MappingProxyType(
    {
        "cosine": "heirloom.training.schedules:cosine",
        "constant": "heirloom.training.schedules:constant",
        "steps": "heirloom.training.schedules:steps",
        "plateau": "heirloom.training.schedules:constant",  # it falls by a Watch alone
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
    """Fall from 1 towards 0, which would be reached one iteration after the last; no warm-up."""
    return 0.5 * (1 + math.cos(math.pi * iteration / total))


def constant(iteration: int, total: int) -> float:  # noqa: ARG001 - every schedule is called alike
    """Stay at 1."""
    return 1.0


def steps(iteration: int, total: int, *, milestones: Sequence[float], decay: float) -> float:
    """Fall to `decay` times the rate before at each milestone, a share of all iterations (RiFT's first: 100/110)."""
    return decay ** sum(iteration >= round(milestone * total) for milestone in milestones)


class Watch:
    """What follows from validations that get no better: a lower rate, the end of the training, or nothing.

    It is a function of the accuracies seen, so that a resumed training builds it again from its history. As torch's
    ReduceLROnPlateau counts: the rate falls at the first validation after `plateau_patience` of them without a better
    one, and the count starts anew. The training ends at the validation that makes `patience` of them. An accuracy that
    only equals the best is no better one.
    """

    def __init__(self, recipe: Training) -> None:
        stepped = recipe if isinstance(recipe, SteppedTraining) else None
        self._decay = stepped.decay if stepped else 1.0
        self._survived = stepped.plateau_patience if stepped and stepped.schedule == "plateau" else None
        self._patience = stepped.patience if stepped else None
        self._best = -math.inf
        self._since_best = 0
        self._since_fall = 0
        self._falls = 0

    @property
    def is_needed(self) -> bool:
        """Whether anything follows from validations."""
        return self._survived is not None or self._patience is not None

    @property
    def factor(self) -> float:
        """What the rate is multiplied by."""
        return self._decay**self._falls

    @property
    def has_ended(self) -> bool:
        """Whether the training is over."""
        return self._patience is not None and self._since_best >= self._patience

    def see(self, accuracy: float) -> None:
        """Take one more validation."""
        better = accuracy > self._best
        self._best = max(self._best, accuracy)
        self._since_best = 0 if better else self._since_best + 1
        self._since_fall = 0 if better else self._since_fall + 1
        if self._survived is not None and self._since_fall > self._survived:
            self._falls += 1
            self._since_fall = 0
