"""SCORE: squared errors in place of cross-entropy and divergence (Pang et al., ICML 2022).

    min_w  E  ||p_w(x) - y||^2 + beta max_{|d| <= eps} ||p_w(x + d) - p_w(x)||^2,   y one-hot

Settled by the definition: a distance, symmetric and bounded, stands where TRADES has a divergence, in the attack too;
sums are over classes, means over images. Settled by the authors' code: gradients flow through both answers; clean and
attacked images have batch statistics of their own; a uniform start in the ball. It crafts in eval mode in one of its
two versions and in train mode in the other: here in eval mode. The clipped loss of one version is left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from heirloom.config.robust_training import AttackedObjective

if TYPE_CHECKING:
    from heirloom.config.robust_training import SteppedTraining
    from heirloom.training.attacker import Attacker, RobustPlan


class SquaredErrors(AttackedObjective):
    """Squared errors in place of cross-entropy and divergence (Pang et al., ICML 2022)."""

    kind: Literal["score"]
    beta: float = Field(4.0, gt=0, description="weight of the distance between clean and attacked predictions")


def plan(settings: SquaredErrors, training: SteppedTraining, attacker: Attacker) -> RobustPlan:
    """Return the plan of SCORE; the history's train_accuracy is that of clean images."""
    from heirloom.training.attacker import Beside, RobustPlan, paired_phase
    from heirloom.training.losses import Term, penalty_terms
    from heirloom.training.objectives.score.terms import mean_distance, mean_error, squared_distance

    error = Term("score-error", mean_error, settings={"smoothing": training.label_smoothing})
    distance = Term("score-distance", mean_distance, weight=settings.beta)
    phase = paired_phase(training, error, distance, *penalty_terms(training))
    return RobustPlan(Beside(attacker, squared_distance), phase)
