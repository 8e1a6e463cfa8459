"""Adversarial training: cross-entropy of attacked images (Madry et al., ICLR 2018, equation 2.1).

    min_w  E  max_{|d| <= eps}  CE(f_w(x + d), y)

What the paper leaves open is settled as in the "bag of tricks" (Pang et al., ICLR 2021): eval mode of batch
normalisation while images are crafted, weight decay 5e-4, no clean images in the batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from heirloom.config.robust_training import AttackedObjective

if TYPE_CHECKING:
    from heirloom.config.robust_training import SteppedTraining
    from heirloom.training.attacker import Attacker, RobustPlan


class AdversarialTraining(AttackedObjective):
    """Cross-entropy of attacked images (Madry et al., ICLR 2018)."""

    kind: Literal["adversarial-training"]

    @property
    def looks(self) -> int:
        """Attacked images alone."""
        return 1


def plan(_settings: AdversarialTraining, training: SteppedTraining, attacker: Attacker) -> RobustPlan:
    """Return the plan of adversarial training; the history's train_accuracy is that of attacked images."""
    from heirloom.training.attacker import PHASE, InPlace, RobustPlan
    from heirloom.training.phases import supervised_phase

    return RobustPlan(InPlace(attacker), supervised_phase(training, name=PHASE))
