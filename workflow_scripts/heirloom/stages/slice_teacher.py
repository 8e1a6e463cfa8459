"""Write a teacher as a pruning method leaves it before any fine-tuning: what an attacker who knows the slice drives."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from heirloom.config.models import Augmentation
from heirloom.config.study import Method
from heirloom.data.store import open_part
from heirloom.models.classifier import conv_weights
from heirloom.models.weights import architecture_facts, load_classifier, save_classifier
from heirloom.runtime.files import sha256_of, write_card
from heirloom.training.session import ModelFiles, Origin, TransferFiles, lesson_of, open_session
from heirloom.transfer.plan import Assignment, plan_student


@dataclass(frozen=True)
class Outputs:
    """A model that nobody trained further."""

    card: Path
    weights: Path


def run(
    *,
    inputs: TransferFiles,
    outputs: Outputs,
    method: Method,
    name: str,
    augmentation: Augmentation,
    seed: int,
    code: str,
    checkpoint_seconds: float = 60.0,
) -> None:
    """Write the student of a pruning method, called `name`, at its start.

    A score that draws or trains (random, a trial) does so with `seed`: only the student of that seed has this very
    slice. Raises what `train_student` raises. Method: docs/methods.md#scores-of-weights.
    """
    part = open_part(inputs.images, inputs.index, inputs.card)
    origin = Origin(
        {"method": method, "augmentation": augmentation}, inputs=[inputs.card, inputs.teacher_card], code=code
    )
    files = ModelFiles(outputs.card, outputs.weights, history=outputs.card.with_name("history.parquet"))
    with open_session(
        files, method.training, origin=origin, seed=seed, checkpoint_seconds=checkpoint_seconds
    ) as session:
        teacher = load_classifier(inputs.teacher_weights, inputs.teacher_card)
        lesson = lesson_of(part, augmentation)
        assignment = Assignment(lesson, len(part.classes), seed, session.compute, session.checkpoint)
        pruned = plan_student(teacher, method, assignment).student
        save_classifier(outputs.weights, pruned)
        write_card(
            outputs.card,
            kind="slice",
            files={outputs.weights.name: outputs.weights},
            slice=name,
            teacher=sha256_of(inputs.teacher_weights),
            zero_conv_weights=sum(int((weight == 0).sum()) for weight in conv_weights(pruned).values()),
            method=method.kind,
            recipe=method.model_dump(mode="json", exclude={"kind", "per_dataset"}),
            **architecture_facts(pruned),
        )
