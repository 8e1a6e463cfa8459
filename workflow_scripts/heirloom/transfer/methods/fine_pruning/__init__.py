"""Fine-pruning: the teacher without the channels that clean images hardly activate, fine-tuned.

Liu, Dolan-Gavitt and Garg, RAID 2018. The channels are those of the last convolutional stage's output, whose activation
is averaged over space and clean images. Every body pools that output and hands it to the head alone, so a channel is
removed, exactly, by setting its column of the head to 0.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from heirloom.config.models import Share, TransferSettings
from heirloom.config.work import training_images_load
from heirloom.runtime.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from heirloom.config.costs import Cost
    from heirloom.config.work import Load
    from heirloom.models.classifier import Classifier
    from heirloom.transfer.plan import Assignment, Plan


class FinePruning(TransferSettings):
    """The teacher, own head kept, without the channels that clean images activate least, fine-tuned.

    A defence of the teacher on its own data set (Liu, Dolan-Gavitt and Garg, RAID 2018).
    """

    kind: Literal["fine-pruning"]
    tolerance: Share = Field(0.04, description="validation accuracy that pruning may cost, as a share of the images")
    ratio: float = Field(0.95, ge=0, lt=1, description="largest share of the last stage's channels pruned")
    regrow: bool = Field(False, description="whether pruned channels are trained on from 0; as published they stay out")

    @property
    def keeps_head(self) -> bool:
        """Whether students have their teacher's own head: they do."""
        return True

    def work(self, cost: Cost, *, training: int, validation: int) -> Iterator[Load]:
        """Count the training, and one look at each image for its activations or features."""
        yield from super().work(cost, training=training, validation=validation)
        yield training_images_load(cost, images=training + validation, passes=1)


def plan(teacher: Classifier, settings: FinePruning, assignment: Assignment) -> Plan:
    """Start from the teacher, own head kept, without its least active channels, and fine-tune it.

    As many channels go, from the least active on, as cost at most `tolerance` of the validation accuracy one after the
    other, and at most a share `ratio` of all. As published they stay out; with `regrow` their columns are trained from
    0. Raises WeightsError for a head of other classes, ConfigError where no image was held out for validation.
    """
    from heirloom.training.constraints import FrozenWeights
    from heirloom.training.phases import supervised_phase
    from heirloom.transfer.methods.fine_pruning.channels import pooled, pruned_accuracies, remove, tolerated
    from heirloom.transfer.plan import Plan, with_own_head

    student = with_own_head(teacher, assignment)
    lesson = assignment.lesson
    if lesson.validation is None:
        raise ConfigError(
            "fine-pruning limits itself by validation images, and none was held out",
            where="method.tolerance",
            mend="give the preparation of the data set a validation share above 0",
        )
    activations, _ = pooled(student, lesson.train, assignment)
    order = activations.double().mean(0).argsort(stable=True)
    limit = math.floor(Fraction(str(settings.ratio)) * len(order))
    accuracies = pruned_accuracies(student, *pooled(student, lesson.validation, assignment), order[:limit])
    pruned = order[: tolerated(accuracies, settings.tolerance)]
    kept = remove(student, pruned)
    hooks = () if settings.regrow else (FrozenWeights(student, kept),)
    phase = supervised_phase(settings.training, hooks=hooks, stage_dropout=settings.stage_dropout)
    facts = {
        "channels": len(order),
        "pruned_channels": sorted(pruned.tolist()),
        "pruned_accuracy": accuracies[len(pruned)],  # on validation images, before fine-tuning
    }
    return Plan(student, (phase,), facts=facts)
