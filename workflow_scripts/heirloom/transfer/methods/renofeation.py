"""Renofeation: DELTA-R with stage dropout, then averaged weights (Chin et al., arXiv 2002.02998)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, model_validator

from heirloom.config.models import Count, Start, Training, TransferSettings, check_alike
from heirloom.config.work import TRAINED, training_load

if TYPE_CHECKING:
    from collections.abc import Iterator

    from heirloom.config.costs import Cost
    from heirloom.config.work import Load
    from heirloom.models.classifier import Classifier
    from heirloom.transfer.plan import Assignment, Plan


class Renofeation(TransferSettings):
    """A random start held near the teacher's features with dropout, then averaged weights."""

    kind: Literal["renofeation"]
    feature_weight: float = Field(gt=0, description="lambda_feat: weight of the stages' mean squared distances")
    start: Start = Field("reset", description="reset: torch's uniform Kaiming draw; he-normal: He's normal one")
    stage_dropout: float = Field(0.1, ge=0, lt=1, description="share of channels dropped after each stage in training")
    averaging: Training = Field(description="recipe of phase 2, from phase 1's weights")
    average_every: Count = Field(500, ge=1, description="steps of phase 2 between weights that enter the average")

    @model_validator(mode="after")
    def _computes_alike(self) -> Self:
        check_alike("averaging", self.averaging, self.training)
        return self

    def work(self, cost: Cost, *, training: int, validation: int) -> Iterator[Load]:
        """Count both phases, whose every batch is shown to the teacher too, and the averaged model's statistics."""
        yield training_load(cost, self.training, validation=validation, passes=TRAINED + 1)
        yield training_load(cost, self.averaging, validation=validation + training, passes=TRAINED + 1)


def plan(teacher: Classifier, settings: Renofeation, assignment: Assignment) -> Plan:
    """Train from random weights in two phases of the same losses and dropout; the second averages its weights."""
    from heirloom.training.averaging import WeightAveraging
    from heirloom.training.losses import distillation_term
    from heirloom.training.phases import supervised_phase
    from heirloom.transfer.plan import Plan, from_random

    student = from_random(teacher, assignment, settings.start)
    terms = (distillation_term(teacher, settings.feature_weight, assignment.compute.device),)
    first = supervised_phase(settings.training, terms=terms, stage_dropout=settings.stage_dropout)
    second = supervised_phase(
        settings.averaging,
        name="averaging",
        terms=terms,
        hooks=(WeightAveraging(student, every=settings.average_every),),
        stage_dropout=settings.stage_dropout,
    )
    return Plan(student, (first, second))
