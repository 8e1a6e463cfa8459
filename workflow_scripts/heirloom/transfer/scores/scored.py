"""What a score says."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from heirloom.models.classifier import Classifier


class Scored(NamedTuple):
    """The student to prune, and its conv weights' scores by parameter name, each of its weight's shape."""

    student: Classifier
    scores: dict[str, Tensor]
