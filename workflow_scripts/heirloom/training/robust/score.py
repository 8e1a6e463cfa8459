"""SCORE: squared errors in place of cross-entropy and divergence (Pang et al., ICML 2022).

    min_w  E  ||p_w(x) - y||^2 + beta max_{|d| <= eps} ||p_w(x + d) - p_w(x)||^2,   y one-hot

Settled by the definition: a distance, symmetric and bounded, stands where TRADES has a divergence, in the attack too;
sums are over classes, means over images. Settled by the authors' code: gradients flow through both answers; clean and
attacked images have batch statistics of their own; a uniform start in the ball. It crafts in eval mode in one of its
two versions and in train mode in the other: here in eval mode. The clipped loss of one version is left out.
"""

from __future__ import annotations

import torch
from torch import Tensor

from heirloom.config.robust import Score, SteppedTraining
from heirloom.training.objectives import Step, Term
from heirloom.training.robust.crafting import Attacker, Beside, Plan, clean_labels, halves, paired_phase


def plan(objective: Score, training: SteppedTraining, attacker: Attacker) -> Plan:
    """Return the plan of SCORE; the history's train_accuracy is that of clean images."""
    error = Term("score-error", settings={"smoothing": training.label_smoothing})
    distance = Term("score-distance", weight=objective.beta)
    return Plan(Beside(attacker, squared_distance), paired_phase(training, error, distance))


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
