"""Figures of a training between two rows of its history, without waiting for the device at every step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from heirloom.runtime.errors import TrainingError

_WINDOW = 50  # steps whose figures stay on the device; a loss that is no number is noticed so late at most


class Meter:
    """Means of the objective's terms and of the training accuracy since the last row.

    Sums are taken step after step in Python's floats, so that they do not depend on when the device was read.
    """

    def __init__(self, names: Sequence[str], *, phase: str) -> None:
        self._columns = [f"loss_{name.replace('-', '_')}" for name in names]
        self._phase = phase
        self._waiting: list[tuple[int, float, Tensor]] = []
        self.sums = [0.0] * (len(names) + 1)
        self.steps = 0

    def add(self, iteration: int, learning_rate: float, terms: Tensor, right: Tensor) -> None:
        """Take the terms (T,) of a step and the share of its batch that was right (scalar), both on any device."""
        self._waiting.append((iteration, learning_rate, torch.cat([terms.detach().float(), right.reshape(1)])))
        if len(self._waiting) >= _WINDOW:
            self.read()

    def read(self) -> None:
        """Bring the figures from the device; raises TrainingError when a loss was no finite number."""
        if not self._waiting:
            return
        figures = torch.stack([values for _, _, values in self._waiting]).tolist()
        for (iteration, rate, _), values in zip(self._waiting, figures, strict=True):
            if not all(math.isfinite(value) for value in values):
                raise _diverged(self._phase, iteration, rate, dict(zip(self._columns, values, strict=False)))
            self.sums = [total + value for total, value in zip(self.sums, values, strict=True)]
        self.steps += len(self._waiting)
        self._waiting = []

    def row(self) -> dict[str, Any]:
        """Return the means since the last row, and start anew."""
        self.read()
        *terms, right = [total / self.steps for total in self.sums]
        self.sums, self.steps = [0.0] * len(self.sums), 0
        return {"loss": sum(terms), **dict(zip(self._columns, terms, strict=True)), "train_accuracy": right}


def _diverged(phase: str, iteration: int, rate: float, terms: dict[str, float]) -> TrainingError:
    shown = ", ".join(f"{name} {value}" for name, value in terms.items())
    return TrainingError(
        f"the loss is no finite number at iteration {iteration + 1}, learning rate {rate:g} ({shown})",
        where=f"phase {phase}",
        mend="lower training.learning_rate or training.head_rate, or use precision fp32",
    )
