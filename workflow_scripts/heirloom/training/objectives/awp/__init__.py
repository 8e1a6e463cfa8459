"""Adversarial weight perturbation: adversarial training against the worst weights nearby (Wu et al., NeurIPS 2020).

    min_w  max_{||v_l|| <= gamma ||w_l||}  E  max_{|d| <= eps} CE(f_{w + v}(x + d), y)
    v_l = gamma ||w_l|| g_l / ||g_l||,   g the gradient of the attacked batch's loss at w, layer l by layer

Settled by the definition: images are attacked at w, the gradient that trains is taken at w + v, and v is found in one
step. Settled by the authors' code: weights of at least two dimensions are perturbed, so neither biases nor batch
normalisation; the search for v leaves batch statistics as they were, the step at w + v moves them. Departure: the
optimiser acts on w, put back bit for bit; in the authors' code on w + v, from which v is then subtracted, so that
weight decay sees w + v and rounding stays behind.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from heirloom.config.models import Share
from heirloom.config.robust_training import AttackedObjective

if TYPE_CHECKING:
    from heirloom.config.robust_training import SteppedTraining
    from heirloom.training.attacker import Attacker, RobustPlan


class WeightPerturbation(AttackedObjective):
    """Adversarial training against the worst nearby weights (Wu, Xia and Wang, NeurIPS 2020)."""

    kind: Literal["awp"]
    gamma: float = Field(0.005, gt=0, description="size of the change of each layer's weights, relative to their norm")
    start: Share = Field(0.0, description="share of the iterations before weights are perturbed")


def plan(settings: WeightPerturbation, training: SteppedTraining, attacker: Attacker) -> RobustPlan:
    """Return the plan of adversarial training with AWP; the history's train_accuracy is that of attacked images."""
    from heirloom.training.attacker import PHASE, InPlace, RobustPlan
    from heirloom.training.objectives.awp.weights import WorstWeights
    from heirloom.training.phases import supervised_phase

    first = round(settings.start * training.iterations)
    hook = WorstWeights(gamma=settings.gamma, first=first)
    return RobustPlan(InPlace(attacker), supervised_phase(training, name=PHASE, hooks=(hook,)))
