"""MART: misclassification aware adversarial training (Wang et al., ICLR 2020).

    min_w  E  BCE(p_w(x'), y) + beta KL(p_w(x) || p_w(x')) (1 - p_w(x)_y)
    BCE(p, y) = -log p_y - log(1 - max_{k != y} p_k),   x' attacked by the cross-entropy

Settled by the authors' code: gradients flow through every p, the weight 1 - p_w(x)_y among them; clean and attacked
images go through the network one after the other, each with batch statistics of their own; images are crafted in eval
mode; and 1 - p is read as 1.0001 - p, which bounds the second part of BCE by 9.2. Departure: the authors start their
attack at normal noise of .001 beside the image, this project anywhere in the ball.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from heirloom.config.robust_training import AttackedObjective

if TYPE_CHECKING:
    from heirloom.config.robust_training import SteppedTraining
    from heirloom.training.attacker import Attacker, RobustPlan


class Mart(AttackedObjective):
    """Boosted cross-entropy of attacked images, a divergence weighed by misclassification (Wang et al., ICLR 2020)."""

    kind: Literal["mart"]
    beta: float = Field(5.0, gt=0, description="weight of the divergence")


def plan(settings: Mart, training: SteppedTraining, attacker: Attacker) -> RobustPlan:
    """Return the plan of MART; the history's train_accuracy is that of clean images.

    Raises ConfigError for label smoothing.
    """
    from heirloom.training.attacker import Beside, RobustPlan, paired_phase, unsmoothed
    from heirloom.training.losses import Term, penalty_terms
    from heirloom.training.objectives.mart.terms import boosted_cross_entropy, weighted_divergence

    unsmoothed(training, settings.kind)
    terms = (
        Term("mart-cross-entropy", boosted_cross_entropy),
        Term("mart-divergence", weighted_divergence, weight=settings.beta),
    )
    return RobustPlan(Beside(attacker), paired_phase(training, *terms, *penalty_terms(training)))
