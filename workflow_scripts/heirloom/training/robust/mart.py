"""MART: misclassification aware adversarial training (Wang et al., ICLR 2020).

    min_w  E  BCE(p_w(x'), y) + beta KL(p_w(x) || p_w(x')) (1 - p_w(x)_y)
    BCE(p, y) = -log p_y - log(1 - max_{k != y} p_k),   x' attacked by the cross-entropy

Settled by the authors' code: gradients flow through every p, the weight 1 - p_w(x)_y among them; clean and attacked
images go through the network one after the other, each with batch statistics of their own; images are crafted in eval
mode; and 1 - p is read as 1.0001 - p, which bounds the second part of BCE by 9.2. Departure: the authors start their
attack at normal noise of .001 beside the image, this project anywhere in the ball.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from heirloom.config.robust import Mart, SteppedTraining
from heirloom.training.objectives import Step, Term
from heirloom.training.robust.crafting import (
    Attacker,
    Beside,
    Plan,
    clean_labels,
    halves,
    paired_phase,
    unsmoothed,
)
from heirloom.training.robust.trades import divergence

MARGIN = 1.0001


def plan(objective: Mart, training: SteppedTraining, attacker: Attacker) -> Plan:
    """Return the plan of MART; the history's train_accuracy is that of clean images.

    Raises ConfigError for label smoothing.
    """
    unsmoothed(training, objective.objective)
    terms = (Term("mart-cross-entropy"), Term("mart-divergence", weight=objective.beta))
    return Plan(Beside(attacker), paired_phase(training, *terms))


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
