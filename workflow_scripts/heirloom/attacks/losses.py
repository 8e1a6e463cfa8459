"""What an attack on a classifier ascends: a value per image of logits (B, classes) and labels (B,)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
from torch import Tensor
from torch.nn import functional

from heirloom.config.attacks import Loss


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the cross-entropy (B,); its gradient vanishes where the right class is certain."""
    return functional.cross_entropy(logits, labels, reduction="none")


def margin(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the largest wrong logit less the right one (B,): above 0 where the answer is wrong.

    Carlini and Wagner's f6 (IEEE S&P 2017), unbounded and with its sign turned.
    """
    # masks and not gather: its gradient has no deterministic version on CUDA
    right = labels[:, None] == torch.arange(logits.shape[1], device=logits.device)
    return logits.masked_fill(right, -torch.inf).amax(dim=1) - logits.masked_fill(~right, 0).sum(dim=1)


LOSSES: Mapping[Loss, Callable[[Tensor, Tensor], Tensor]] = MappingProxyType(
    {"cross-entropy": cross_entropy, "margin": margin}
)
