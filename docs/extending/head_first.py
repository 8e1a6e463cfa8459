"""A transfer method: the fresh head is trained first, alone, then all layers (Kumar et al., ICLR 2022, LP-FT)."""

from __future__ import annotations

from pydantic import Field

from heirloom.config.models import TransferSettings


class HeadFirst(TransferSettings):
    """Linear probing, then fine-tuning, by one recipe."""

    probe_rate: float = Field(gt=0, description="learning rate of the head's own training")


def plan(teacher, settings, assignment):
    """Return the student at its start and its two phases."""
    from heirloom.training.phases import supervised_phase
    from heirloom.transfer.plan import Plan, from_teacher

    student = from_teacher(teacher, assignment)
    alone = settings.training.model_copy(update={"learning_rate": settings.probe_rate})
    probe = supervised_phase(alone, name="probe", trained=(f"body.{student.spec.head}",))
    return Plan(student, (probe, supervised_phase(settings.training)))
