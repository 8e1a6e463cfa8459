"""Unlearning: the teacher, fine-tuned on images that partly carry a reversed trigger and their right label.

Neural Cleanse's mitigation (Wang et al., IEEE S&P 2019): 10 % of the training images, a fifth of them with the trigger
reversed for the flagged class, one epoch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from heirloom.config.models import Name, Share, TransferSettings
from heirloom.runtime.errors import ConfigError
from heirloom.runtime.files import read_card

if TYPE_CHECKING:
    from heirloom.models.classifier import Classifier
    from heirloom.transfer.plan import Assignment, Plan


class Unlearning(TransferSettings):
    """The teacher, own head kept, fine-tuned on images that partly carry a reversed trigger, rightly labelled.

    Neural Cleanse's mitigation of the teacher on its own data set (Wang et al., IEEE S&P 2019).
    """

    kind: Literal["unlearning"]
    detector: Name = Field(description="entry of detectors: what reverses the trigger")
    portion: Share = Field(0.2, description="share of the training images that carry the reversed trigger")
    sample: float = Field(1.0, gt=0, le=1, description="share of the training images that are used at all")

    @property
    def keeps_head(self) -> bool:
        """Whether students have their teacher's own head: they do."""
        return True

    @property
    def detection(self) -> str:
        """The detector that reverses the trigger."""
        return self.detector


def plan(teacher: Classifier, settings: Unlearning, assignment: Assignment) -> Plan:
    """Start from the teacher, own head kept, and fine-tune it on images of which a share carries the trigger.

    The trigger is that of the class with the largest anomaly index, whether it was flagged or not: the card says so.
    Raises WeightsError for a head of other classes, ConfigError without a detection or images, DamagedFileError and
    DataError (`read_reversed`).
    """
    from heirloom.defences.reversal import read_reversed
    from heirloom.training.phases import supervised_phase
    from heirloom.transfer.methods.unlearning.lesson import taught
    from heirloom.transfer.plan import Plan, with_own_head

    student = with_own_head(teacher, assignment)
    if assignment.detection is None:
        raise ConfigError("unlearning has no reversed trigger", where="method.detector", mend="name a detector")
    card = read_card(assignment.detection.card)
    suspect: int = card["suspect"]
    picture = read_reversed(
        assignment.detection.reversed,
        assignment.detection.card,
        label=suspect,
        classes=assignment.classes,
        crop=assignment.lesson.train.crop,
    )
    lesson = taught(assignment.lesson, picture, settings, seed=assignment.seed)
    facts = {"unlearned_class": suspect, "flagged": suspect in card["flagged"], "training_images": len(lesson.train)}
    phase = supervised_phase(settings.training, stage_dropout=settings.stage_dropout)
    return Plan(student, (phase,), lesson=lesson, facts=facts)
