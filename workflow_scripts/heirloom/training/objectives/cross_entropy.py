"""Cross-entropy of clean images, or the mean of clean and attacked ones': plain networks, FPD's twins.

    min_w  CE(f_w(x), y)    or    min_w  (CE(f_w(x), y) + CE(f_w(x'), y)) / 2

The attack makes the model's own predictions wrong, so that x' tells nothing of y (label leaking: Kurakin, Goodfellow
and Bengio, ICLR 2017). Clean and attacked images have batch statistics of their own, as in FPD's adversarial training.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from heirloom.config.robust_training import SupervisedObjective

if TYPE_CHECKING:
    from heirloom.config.robust_training import SteppedTraining
    from heirloom.training.attacker import Attacker, RobustPlan


class CrossEntropy(SupervisedObjective):
    """What plain networks are trained by: the twins of FPD."""

    kind: Literal["cross-entropy"]


def plan(_settings: CrossEntropy, training: SteppedTraining, attacker: Attacker) -> RobustPlan:
    """Return the plan of a plain network; the history's train_accuracy is that of all images shown."""
    from heirloom.training.attacker import PHASE, Both, RobustPlan
    from heirloom.training.losses import supervised_terms
    from heirloom.training.phases import Phase

    shown = Both(attacker)
    return RobustPlan(shown, Phase(PHASE, training, supervised_terms(training), passes=shown.passes))
