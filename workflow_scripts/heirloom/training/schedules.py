"""How the learning rate falls: factor(iteration, total), iteration counted from 0, on the recipe's rate."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

from heirloom.runtime.registry import known, resolve

Schedule = Callable[[int, int], float]

SCHEDULES: Mapping[str, str] = MappingProxyType(
    {"cosine": "heirloom.training.schedules:cosine", "constant": "heirloom.training.schedules:constant"}
)


def schedule(name: str) -> Schedule:
    """Return a schedule by its name; raises ConfigError for one that SCHEDULES does not have."""
    found: Schedule = resolve(known(SCHEDULES, name, kind="schedule"))
    return found


def cosine(iteration: int, total: int) -> float:
    """Fall from 1 towards 0, which would be reached one iteration after the last; no warm-up (METHODS 1.2)."""
    return 0.5 * (1 + math.cos(math.pi * iteration / total))


def constant(iteration: int, total: int) -> float:  # noqa: ARG001 - every schedule is called alike
    """Stay at 1."""
    return 1.0
