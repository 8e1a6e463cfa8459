"""A draw by seed: what pruning does by itself, whatever is pruned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from heirloom.config.models import ScoreSettings
from heirloom.runtime.seeds import derive_seed

if TYPE_CHECKING:
    from heirloom.models.classifier import Classifier
    from heirloom.transfer.plan import Assignment
    from heirloom.transfer.slices import Scored


class RandomScore(ScoreSettings):
    """A draw by seed: what pruning does by itself, whatever is pruned."""

    kind: Literal["random"] = Field(description="drawn uniformly by the student's seed")


def score(student: Classifier, settings: RandomScore, assignment: Assignment) -> Scored:  # noqa: ARG001 - as all scores
    """Return uniform draws in [0, 1) by the student's seed, made on the CPU so that every device prunes alike."""
    import torch

    from heirloom.models.classifier import conv_weights
    from heirloom.transfer.slices import Scored

    generator = torch.Generator().manual_seed(derive_seed(assignment.seed, "random-score"))
    shapes = {name: weight.shape for name, weight in conv_weights(student).items()}
    # float64, since millions of float32 draws hold many equal ones
    return Scored(student, {n: torch.rand(s, generator=generator, dtype=torch.float64) for n, s in shapes.items()})
