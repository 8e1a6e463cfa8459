"""Which of a model's convolution weights rank lowest, all layers together."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction

import torch
from torch import Tensor
from torch.nn import functional


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

    Returns int32 (N,): twice that mean, counted from 0, which is a whole number. `repeats`: int64 (N,), how often each
    value counts (once if None); the ranks are those among all repetitions, which are fewer than 2^30. On the CPU.
    """
    ordered, order = values.sort(stable=True)  # for whole numbers a radix sort
    is_new = torch.cat([torch.ones(1, dtype=torch.bool), ordered[1:] != ordered[:-1]])
    edges = functional.pad(is_new.nonzero()[:, 0].int(), (0, 1), value=len(values))  # of the runs of equal values
    if repeats is not None:
        edges = functional.pad(repeats[order].cumsum(0, dtype=torch.int32), (1, 0))[edges]
    doubled = edges[:-1] + edges[1:] - 1  # a run's first rank and its last one
    run = is_new.cumsum(0, dtype=torch.int32) - 1
    return torch.empty(len(values), dtype=torch.int32).scatter_(0, order, doubled.index_select(0, run))
