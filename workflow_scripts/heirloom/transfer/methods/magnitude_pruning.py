"""Magnitude pruning: the teacher without its smallest convolution weights, then fine-tuning (METHODS 1.2, "mag")."""

from __future__ import annotations

import copy

from heirloom.config.models import MagnitudePruning
from heirloom.models.classifier import Classifier, conv_weights
from heirloom.training.constraints import FrozenWeights
from heirloom.training.phases import supervised_phase
from heirloom.transfer.methods.plan import Plan
from heirloom.transfer.slicing import prune


def plan(teacher: Classifier, recipe: MagnitudePruning, *, classes: int, seed: int) -> Plan:
    """Start from a copy of the teacher whose `ratio` smallest |w|, over all conv weights together, are 0.

    With `regrow` they are trained like any other; without, they stay 0. Raises ConfigError that names a layer left
    with no weight at all.
    """
    student = copy.deepcopy(teacher)
    student.replace_head(classes, seed)
    kept = prune(student, {name: weight.detach().abs() for name, weight in conv_weights(student).items()}, recipe.ratio)
    hooks = () if recipe.regrow else (FrozenWeights(student, kept),)
    return Plan(student, (supervised_phase(recipe.training, hooks=hooks),))
