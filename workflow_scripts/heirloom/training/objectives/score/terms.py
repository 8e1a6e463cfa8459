"""SCORE's two terms, and the distance that its attack makes large."""

from __future__ import annotations

import torch
from torch import Tensor

from heirloom.training.attacker import clean_labels, halves
from heirloom.training.losses import Step


def squared_distance(clean: Tensor, attacked: Tensor) -> Tensor:
    """Return ||p(attacked) - p(clean)||^2 of each image (B,), from logits (B, K)."""
    return (attacked.softmax(dim=1) - clean.softmax(dim=1)).square().sum(dim=1)


def mean_error(step: Step, *, smoothing: float) -> Tensor:
    """Return the mean over clean images of ||p - y||^2; a share `smoothing` of y is spread over all classes."""
    clean, _ = halves(step)
    classes = clean.shape[1]
    one_hot = clean_labels(step)[:, None] == torch.arange(classes, device=clean.device)
    wanted = (1 - smoothing) * one_hot + smoothing / classes
    return (clean.softmax(dim=1) - wanted).square().sum(dim=1).mean()


def mean_distance(step: Step) -> Tensor:
    """Return the mean distance of attacked images' answers from clean ones'."""
    return squared_distance(*halves(step)).mean()
