"""Linear probe: a fresh head on the teacher's frozen features, cross-entropy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

from pydantic import model_validator

from heirloom.config.models import TransferSettings
from heirloom.config.work import training_load

if TYPE_CHECKING:
    from collections.abc import Iterator

    from heirloom.config.costs import Cost
    from heirloom.config.work import Load
    from heirloom.models.classifier import Classifier
    from heirloom.transfer.plan import Assignment, Plan


class LinearProbe(TransferSettings):
    """The teacher's body frozen, its statistics too; a fresh head trained."""

    kind: Literal["linear-probe"]

    @model_validator(mode="after")
    def _drops_nothing(self) -> Self:
        if self.stage_dropout > 0:
            raise ValueError("a linear probe's body acts as in evaluation: stage_dropout must be 0")
        return self

    def work(self, cost: Cost, *, training: int, validation: int) -> Iterator[Load]:  # noqa: ARG002 - as all methods
        """Count the training, which sends no gradient through the body."""
        yield training_load(cost, self.training, validation=validation, passes=1)


def plan(teacher: Classifier, settings: LinearProbe, assignment: Assignment) -> Plan:
    """Start from a copy of the teacher with a fresh head, and train the head alone.

    The body acts as in evaluation throughout: batch-norm statistics stay the teacher's, and dropout before the head
    (MobileNetV2's) and after the stages is off.
    """
    from heirloom.training.phases import supervised_phase
    from heirloom.transfer.plan import Plan, from_teacher

    student = from_teacher(teacher, assignment)
    return Plan(student, (supervised_phase(settings.training, trained=(f"body.{student.spec.head}",)),))
