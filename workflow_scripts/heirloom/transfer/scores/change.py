"""How far a trial on the student's task moves each weight: change, divmag and mulmag (METHODS 1.3)."""

from __future__ import annotations

import copy
from dataclasses import replace

import torch
from torch import Tensor

from heirloom.config.models import Change, RelativeChange, ScaledChange
from heirloom.models.classifier import Classifier, conv_weights
from heirloom.training.loop import fit
from heirloom.training.phases import supervised_phase
from heirloom.transfer.methods.plan import Assignment
from heirloom.transfer.scores.scored import Scored


def change(student: Classifier, settings: Change, assignment: Assignment) -> Scored:
    """Return |w_trial - w_0|."""
    tried = _tried(student, settings, assignment)
    return Scored(_start(student, tried, settings), _moved(student, tried))


def relative_change(student: Classifier, settings: RelativeChange, assignment: Assignment) -> Scored:
    """Return |w_trial - w_0| / max(|w_0|, low_bound), divmag.

    Where low_bound is 0 the smallest normal float32 stands in: a weight of 0 that moved ranks above all others, one
    that did not below, and no score is 0 / 0.
    """
    tried = _tried(student, settings, assignment)
    smallest = max(settings.low_bound, torch.finfo(torch.float32).tiny)
    moved, sizes = _moved(student, tried), _sizes(student)
    scores = {name: moved[name] / sizes[name].clamp(min=smallest) for name in moved}
    return Scored(_start(student, tried, settings), scores)


def scaled_change(student: Classifier, settings: ScaledChange, assignment: Assignment) -> Scored:
    """Return |w_trial - w_0| * |w_0|, mulmag."""
    tried = _tried(student, settings, assignment)
    moved, sizes = _moved(student, tried), _sizes(student)
    return Scored(_start(student, tried, settings), {name: moved[name] * sizes[name] for name in moved})


_Settings = Change | RelativeChange | ScaledChange


def _tried(student: Classifier, settings: _Settings, assignment: Assignment) -> Classifier:
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


def _start(student: Classifier, tried: Classifier, settings: _Settings) -> Classifier:
    """Return what is pruned: the untouched student, or the trial's model where nothing is to be restored."""
    return student if settings.restore else tried


def _moved(student: Classifier, tried: Classifier) -> dict[str, Tensor]:
    """Return how far each conv weight moved, by parameter name."""
    after = conv_weights(tried)
    return {name: (after[name].detach() - weight.detach()).abs() for name, weight in conv_weights(student).items()}


def _sizes(student: Classifier) -> dict[str, Tensor]:
    """Return |w_0| by conv parameter name."""
    return {name: weight.detach().abs() for name, weight in conv_weights(student).items()}
