"""What a detector says: scores of a model, its classes or the images it was shown, and which of them it flags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from heirloom.defences.reversal import Reversed


@dataclass(frozen=True, eq=False)
class Findings:
    """One score for the model (1,), for each class (K,) or for each training image (N,); the larger, the more suspect.

    `flags`: bool, as long as the scores. `called`: what the card calls the scores. `reversed`: a trigger for each
    class, from a detector that reverses them. `facts`: more for the card. Raises ValueError where lengths differ.
    """

    scope: Literal["model", "class", "image"]
    scores: NDArray[np.float64]
    flags: NDArray[np.bool_]
    called: str = "scores"
    reversed: Sequence[Reversed] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the lengths."""
        if self.scores.ndim != 1 or self.scores.shape != self.flags.shape or not len(self.scores):
            raise ValueError(f"{self.scores.shape} scores and {self.flags.shape} flags")
        if self.scope == "model" and len(self.scores) != 1:
            raise ValueError(f"a model has one score, not {len(self.scores)}")
        if self.reversed and (self.scope != "class" or len(self.reversed) != len(self.scores)):
            raise ValueError("a trigger is reversed for each class")

    @property
    def suspect(self) -> int:
        """Place of the largest score, flagged or not, the first of equals."""
        return int(self.scores.argmax())

    def described(self) -> dict[str, Any]:
        """Return what the card says."""
        return {
            **self.facts,
            "scope": self.scope,
            self.called: self.scores.tolist(),
            "flagged": np.flatnonzero(self.flags).tolist(),
            "suspect": self.suspect,
        }
