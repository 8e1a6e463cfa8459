"""A draw by seed: what pruning does by itself, whatever is pruned (METHODS 1.3)."""

from __future__ import annotations

import torch

from heirloom.config.models import RandomScore
from heirloom.models.classifier import Classifier, conv_weights
from heirloom.runtime.seeds import derive_seed
from heirloom.transfer.methods.plan import Assignment
from heirloom.transfer.scores.scored import Scored


def score(student: Classifier, settings: RandomScore, assignment: Assignment) -> Scored:  # noqa: ARG001 - as all scores
    """Return uniform draws in [0, 1) by the student's seed, made on the CPU so that every device prunes alike."""
    generator = torch.Generator().manual_seed(derive_seed(assignment.seed, "random-score"))
    shapes = {name: weight.shape for name, weight in conv_weights(student).items()}
    # float64, since millions of float32 draws hold many equal ones
    return Scored(student, {n: torch.rand(s, generator=generator, dtype=torch.float64) for n, s in shapes.items()})
