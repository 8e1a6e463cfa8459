"""A trial on the student's task, and how far it moves each weight."""

from __future__ import annotations

import copy
from dataclasses import replace

from torch import Tensor

from heirloom.config.models import TrialSettings
from heirloom.models.classifier import Classifier, conv_weights
from heirloom.training.loop import fit
from heirloom.training.phases import supervised_phase
from heirloom.transfer.plan import Assignment


def tried(student: Classifier, settings: TrialSettings, assignment: Assignment) -> Classifier:
    """Train a copy of the student on its task, without stage dropout; nothing of the student itself changes.

    The phase's name gives the trial a stream of random numbers of its own, and its checkpoint is kept until the student
    is written: a student killed later in its training does not try again. Raises TrainingError.
    """
    model = copy.deepcopy(student)
    fit(
        model,
        replace(assignment.lesson, validation=None),  # its accuracy decides nothing
        phases=(supervised_phase(settings.trial, name="trial"),),
        compute=assignment.compute,
        seed=assignment.seed,
        checkpoint=assignment.checkpoint("trial"),
    )
    return model


def start(student: Classifier, tried: Classifier, settings: TrialSettings) -> Classifier:
    """Return what is pruned: the untouched student, or the trial's model where nothing is to be restored."""
    return student if settings.restore else tried


def moved(student: Classifier, tried: Classifier) -> dict[str, Tensor]:
    """Return how far each conv weight moved, by parameter name."""
    after = conv_weights(tried)
    return {name: (after[name].detach() - weight.detach()).abs() for name, weight in conv_weights(student).items()}


def sizes(student: Classifier) -> dict[str, Tensor]:
    """Return |w_0| by conv parameter name."""
    return {name: weight.detach().abs() for name, weight in conv_weights(student).items()}
