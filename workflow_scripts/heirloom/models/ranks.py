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


def shared_ranks(values: Tensor, repeats: Tensor | None = None) -> Tensor:
    """Rank values (N,) from the lowest; equal values share the mean of their ranks, wherever they stand.

    Returns int64 (N,): twice that mean, counted from 0, which is a whole number. `repeats`: int64 (N,), how often each
    value counts (once if None); the ranks are those among all repetitions. On the CPU.
    """
    distinct, place = torch.unique(values, return_inverse=True)
    counts = torch.zeros(len(distinct), dtype=torch.int64)
    counts.index_add_(0, place, torch.ones_like(place) if repeats is None else repeats)
    ends = counts.cumsum(0)
    return (2 * ends - counts - 1)[place]  # first rank (end - count) and last (end - 1) of each value
