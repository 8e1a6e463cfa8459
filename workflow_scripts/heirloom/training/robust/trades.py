"""TRADES: cross-entropy of clean images, and how far attacks move the answer (Zhang et al., ICML 2019).

    min_w  E  CE(f_w(x), y) + beta max_{|d| <= eps} KL(p_w(x) || p_w(x + d)),   beta = 1 / lambda

Settled by the definition: the divergence is both maximised by the attack and minimised by the weights. Settled by the
authors' code: its gradient flows through both answers; clean and attacked images go through the network one after the
other, each with batch statistics of their own; images are crafted in eval mode. Departure: the authors start at normal
noise of .001 beside the image, this project anywhere in the ball, as for every other objective.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from heirloom.config.robust import SteppedTraining, Trades
from heirloom.training.objectives import Step, Term, supervised_terms
from heirloom.training.phases import Phase
from heirloom.training.robust.crafting import PHASE, TWO_PASSES, Attacker, Beside, Plan, halves


def plan(objective: Trades, training: SteppedTraining, attacker: Attacker) -> Plan:
    """Return the plan of TRADES; the history's train_accuracy is that of clean images."""
    terms = (*supervised_terms(training), Term("trades-divergence", weight=objective.beta))
    return Plan(Beside(attacker, divergence), Phase(PHASE, training, terms, passes=TWO_PASSES))


def divergence(clean: Tensor, attacked: Tensor) -> Tensor:
    """Return KL(clean || attacked) of each image (B,) in nats, from logits (B, K)."""
    log_clean, log_attacked = clean.log_softmax(dim=1), attacked.log_softmax(dim=1)
    return functional.kl_div(log_attacked, log_clean, log_target=True, reduction="none").sum(dim=1)


def mean_divergence(step: Step) -> Tensor:
    """Return the mean divergence of attacked images from clean ones."""
    return divergence(*halves(step)).mean()
