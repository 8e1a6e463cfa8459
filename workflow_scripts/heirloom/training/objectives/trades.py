"""TRADES: cross-entropy of clean images, and how far attacks move the answer (Zhang et al., ICML 2019).

    min_w  E  CE(f_w(x), y) + beta max_{|d| <= eps} KL(p_w(x) || p_w(x + d)),   beta = 1 / lambda

Settled by the definition: the divergence is both maximised by the attack and minimised by the weights. Settled by the
authors' code: its gradient flows through both answers; clean and attacked images go through the network one after the
other, each with batch statistics of their own; images are crafted in eval mode. Departure: the authors start at normal
noise of .001 beside the image, this project anywhere in the ball, as for every other objective.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from heirloom.config.robust_training import AttackedObjective

if TYPE_CHECKING:
    from heirloom.config.robust_training import SteppedTraining
    from heirloom.training.attacker import Attacker, RobustPlan


class Trades(AttackedObjective):
    """Cross-entropy of clean images and the divergence of attacked ones from them (Zhang et al., ICML 2019)."""

    kind: Literal["trades"]
    beta: float = Field(6.0, gt=0, description="weight of the divergence")


def plan(settings: Trades, training: SteppedTraining, attacker: Attacker) -> RobustPlan:
    """Return the plan of TRADES; the history's train_accuracy is that of clean images."""
    from heirloom.training.attacker import Beside, RobustPlan, divergence, mean_divergence, paired_phase
    from heirloom.training.losses import Term, supervised_terms

    term = Term("trades-divergence", mean_divergence, weight=settings.beta)
    return RobustPlan(Beside(attacker, divergence), paired_phase(training, *supervised_terms(training), term))
