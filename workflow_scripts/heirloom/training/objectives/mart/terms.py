"""MART's two terms."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from heirloom.training.attacker import clean_labels, divergence, halves
from heirloom.training.losses import Step

MARGIN = 1.0001


def boosted_cross_entropy(step: Step) -> Tensor:
    """Return the mean of BCE over the attacked images."""
    _, attacked = halves(step)
    labels = clean_labels(step)
    rival = attacked.softmax(dim=1).masked_fill(_own(attacked, labels), 0).amax(dim=1)
    return functional.cross_entropy(attacked, labels) - (MARGIN - rival).log().mean()


def weighted_divergence(step: Step) -> Tensor:
    """Return the mean over images of KL(clean || attacked), each times how unsure the clean image's class is."""
    clean, attacked = halves(step)
    sure = (clean.softmax(dim=1) * _own(clean, clean_labels(step))).sum(dim=1)
    return (divergence(clean, attacked) * (1 - sure)).mean()


def _own(logits: Tensor, labels: Tensor) -> Tensor:
    """Tell which logits (B, K) are their image's class's."""
    return labels[:, None] == torch.arange(logits.shape[1], device=logits.device)
