"""Figures of a training between two rows of its history, without waiting for the device at every step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from heirloom.runtime.errors import TrainingError

MEND_DIVERGED = "lower training.learning_rate or training.head_rate, or use precision fp32"
_MEND_START = (
    "no step was made yet: check the model that the training starts from, if it was fetched its file, body and"
    " normalisation; or use precision fp32"
)
_WINDOW = 50  # steps whose figures stay on the device; a loss that is no number is noticed so late at most


class Meter:
    """Means of the objective's terms and of the training accuracy since the last row.

    `second`: the terms of each iteration's second step, if there is one. `gated`: whether some iterations may end at
    the gate; their number is told, and means over second steps are over the others. Sums are taken step after step in
    Python's floats, so that they do not depend on when the device was read.
    """

    def __init__(self, names: Sequence[str], *, phase: str, second: Sequence[str] = (), gated: bool = False) -> None:
        self._columns = [*map(_column, names), *(f"second_{_column(name)}" for name in second)]
        self._first = len(names)
        self._gated = gated
        self._phase = phase
        self._waiting: list[tuple[int, float, Tensor]] = []
        self._sums = [0.0] * (len(self._columns) + 1)
        self._steps = 0
        self._held = 0

    def add(
        self,
        iteration: int,
        learning_rate: float,
        terms: Tensor,
        right: Tensor,
        *,
        second: Tensor | None = None,
        gated: bool = False,
    ) -> None:
        """Take the terms (T,) of a step and the share of its batch that was right (scalar), both on any device.

        `second`: the terms of the second step, if one was made. `gated`: whether the iteration ended at the gate.
        """
        missing = len(self._columns) - self._first
        after = terms.new_zeros(missing, dtype=torch.float32) if second is None else second.detach().float()
        figures = torch.cat([terms.detach().float(), after, right.reshape(1)])
        self._waiting.append((iteration, learning_rate, figures))
        self._held += gated
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
            self._sums = [total + value for total, value in zip(self._sums, values, strict=True)]
        self._steps += len(self._waiting)
        self._waiting = []

    def row(self) -> dict[str, Any]:
        """Return the means since the last row, None for second steps that were not made, and start anew."""
        self.read()
        *first, right = [total / self._steps for total in (*self._sums[: self._first], self._sums[-1])]
        made = self._steps - self._held
        second = [total / made if made else None for total in self._sums[self._first : -1]]
        told = {"gated_steps": self._held} if self._gated else {}
        self._sums, self._steps, self._held = [0.0] * len(self._sums), 0, 0
        terms = dict(zip(self._columns, (*first, *second), strict=True))
        return {"loss": sum(first), **terms, "train_accuracy": right, **told}

    def state(self) -> dict[str, Any]:
        """Return what `restore` needs; reads the device first."""
        self.read()
        return {"sums": self._sums, "steps": self._steps, "held": self._held}

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what `state` returned."""
        self._sums, self._steps, self._held = state["sums"], state["steps"], state["held"]


def _column(name: str) -> str:
    return f"loss_{name.replace('-', '_')}"


def _diverged(phase: str, iteration: int, rate: float, terms: dict[str, float]) -> TrainingError:
    shown = ", ".join(f"{name} {value}" for name, value in terms.items())
    return TrainingError(
        f"the loss is no finite number at iteration {iteration + 1}, learning rate {rate:g} ({shown})",
        where=f"phase {phase}",
        mend=MEND_DIVERGED if iteration else _MEND_START,
    )
