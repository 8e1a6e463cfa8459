"""Cross-entropy of clean images, or the mean of clean and attacked ones': plain networks, FPD's twins (METHODS 4).

    min_w  CE(f_w(x), y)    or    min_w  (CE(f_w(x), y) + CE(f_w(x'), y)) / 2

The attack makes the model's own predictions wrong, so that x' tells nothing of y (label leaking: Kurakin, Goodfellow
and Bengio, ICLR 2017). Clean and attacked images have batch statistics of their own, as in FPD's adversarial training.
"""

from __future__ import annotations

from heirloom.config.robust import CrossEntropy, SteppedTraining
from heirloom.training.objectives import supervised_terms
from heirloom.training.phases import Phase
from heirloom.training.robust.crafting import PHASE, Attacker, Both, Plan


def plan(_objective: CrossEntropy, training: SteppedTraining, attacker: Attacker) -> Plan:
    """Return the plan of a plain network; the history's train_accuracy is that of all images shown."""
    shown = Both(attacker)
    return Plan(shown, Phase(PHASE, training, supervised_terms(training), passes=shown.passes))
