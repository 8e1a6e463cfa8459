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
    # Fraction(str(.29)) is 29/100; as a binary float .29 * 100 would floor to 28
    marked = _lowest(values, math.floor(Fraction(str(ratio)) * len(values)))
    parts = torch.split(marked, [score.numel() for score in scores.values()])
    return {name: part.view(score.shape) for (name, score), part in zip(scores.items(), parts, strict=True)}


def _lowest(values: Tensor, count: int) -> Tensor:
    """Mark the `count` lowest of N values (N,), the first of equals first: a stable sort's, ten times as fast."""
    if count == 0:
        return torch.zeros(len(values), dtype=torch.bool)
    last = values.kthvalue(count).values
    marked = values < last
    equals = (values == last).nonzero()[:, 0]
    marked[equals[: count - int(marked.sum())]] = True
    return marked


def shared_ranks(values: Tensor, repeats: Tensor | None = None) -> Tensor:
    """Rank values (N,) from the lowest; equal values share the mean of their ranks, wherever they stand.

    Returns int64 (N,): twice that mean, counted from 0, which is a whole number. `repeats`: int64 (N,), how often each
    value counts (once if None); the ranks are those among all repetitions. On the CPU.
    """
    _, place, counts = torch.unique(values, return_inverse=True, return_counts=True)
    if repeats is not None:
        counts = torch.zeros_like(counts).index_add_(0, place, repeats)
    # A value's first rank is what lies below it (cumsum - count), its last one cumsum - 1
    doubled: Tensor = 2 * counts.cumsum(0) - counts - 1
    return doubled.index_select(0, place)  # twice as fast here as brackets
