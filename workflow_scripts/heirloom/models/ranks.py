"""Which of a model's convolution weights rank lowest, all layers together (METHODS 1.3, 2.2)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction

import torch
from torch import Tensor


def lowest(scores: Mapping[str, Tensor], ratio: float) -> dict[str, Tensor]:
    """Mark the floor(ratio * N) lowest of all N scores, as bool tensors of the scores' shapes.

    By rank and not by a threshold, so that equal scores at the quantile (pruned or quantised weights have many) do not
    all fall on one side; ties are broken by position, first tensor first. `ratio` lies in [0, 1].
    """
    values = torch.cat([score.detach().cpu().flatten() for score in scores.values()])
    marked = torch.zeros(len(values), dtype=torch.bool)
    # Fraction(str(.29)) is 29/100; as a binary float .29 * 100 would floor to 28
    count = math.floor(Fraction(str(ratio)) * len(values))
    marked[torch.argsort(values, stable=True)[:count]] = True
    parts = torch.split(marked, [score.numel() for score in scores.values()])
    return {name: part.view(score.shape) for (name, score), part in zip(scores.items(), parts, strict=True)}
