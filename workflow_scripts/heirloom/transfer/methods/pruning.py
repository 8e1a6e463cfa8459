"""Pruning: the teacher without the weights a score ranks lowest, fine-tuned (docs/methods.md#scores-of-weights)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, model_validator

from heirloom.config.kinds import SCORES
from heirloom.config.models import ScoreSettings, TransferSettings, TrialSettings, check_alike

if TYPE_CHECKING:
    from collections.abc import Iterator

    from heirloom.config.costs import Cost
    from heirloom.config.work import Load
    from heirloom.models.classifier import Classifier
    from heirloom.transfer.plan import Assignment, Plan

    Score = ScoreSettings
else:
    Score = SCORES.settings(ScoreSettings)


class Pruning(TransferSettings):
    """The teacher without the convolution weights of the lowest (or highest) score, fine-tuned."""

    kind: Literal["pruning"]
    score: Score = Field(description="what the weights are ranked by")
    prune: Literal["lowest", "highest"] = Field("lowest", description="which end of the ranking is set to 0")
    ratio: float = Field(ge=0, lt=1, description="r: share of all conv weights set to 0; 0 prunes nothing")
    regrow: bool = Field(True, description="whether pruned weights are trained on from 0; if not, they stay 0")

    @model_validator(mode="after")
    def _computes_alike(self) -> Self:
        if isinstance(self.score, TrialSettings):
            check_alike("score.trial", self.score.trial, self.training)
        return self

    @property
    def slices_by(self) -> Score:
        """The score."""
        return self.score

    @property
    def modules(self) -> tuple[str, ...]:
        """The module of the score."""
        return (SCORES.module(self.score.kind),)

    def work(self, cost: Cost, *, training: int, validation: int) -> Iterator[Load]:
        """Count the ranking beside the training."""
        yield from super().work(cost, training=training, validation=validation)
        yield from self.score.work(cost, training=training, validation=validation)


def plan(teacher: Classifier, settings: Pruning, assignment: Assignment) -> Plan:
    """Start from a copy of the teacher in which the share `ratio` of all conv weights is 0, and fine-tune it.

    With `regrow` the zeros are trained like any other weight; without, they stay 0. Raises ConfigError that names a
    layer left with no weight at all.
    """
    from heirloom.training.constraints import FrozenWeights
    from heirloom.training.phases import supervised_phase
    from heirloom.transfer.plan import Plan, from_teacher
    from heirloom.transfer.slices import prune, scored

    student, scores = scored(from_teacher(teacher, assignment), settings.score, assignment)
    kept = prune(student, scores, settings.ratio, end=settings.prune)
    hooks = () if settings.regrow else (FrozenWeights(student, kept),)
    phase = supervised_phase(settings.training, hooks=hooks, stage_dropout=settings.stage_dropout)
    return Plan(student, (phase,))
