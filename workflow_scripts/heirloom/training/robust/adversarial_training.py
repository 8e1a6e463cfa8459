"""Adversarial training: cross-entropy of attacked images (Madry et al., ICLR 2018, equation 2.1).

    min_w  E  max_{|d| <= eps}  CE(f_w(x + d), y)

What the paper leaves open is settled as in the "bag of tricks" (Pang et al., ICLR 2021): eval mode of batch
normalisation while images are crafted, weight decay 5e-4, no clean images in the batch.
"""

from __future__ import annotations

from heirloom.config.robust import AdversarialTraining, SteppedTraining
from heirloom.training.phases import supervised_phase
from heirloom.training.robust.crafting import PHASE, Attacker, InPlace, Plan


def plan(_objective: AdversarialTraining, training: SteppedTraining, attacker: Attacker) -> Plan:
    """Return the plan of adversarial training; the history's train_accuracy is that of attacked images."""
    return Plan(InPlace(attacker), supervised_phase(training, name=PHASE))
