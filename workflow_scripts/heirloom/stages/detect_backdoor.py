"""Look for a backdoor in an injected teacher."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from heirloom.config.kinds import DETECTORS
from heirloom.config.study import Detector
from heirloom.data.store import open_part
from heirloom.defences.findings import Findings
from heirloom.defences.reversal import write_reversed
from heirloom.evaluation.measures import write_measures
from heirloom.evaluation.metrics import TEACHER
from heirloom.models.classifier import placed
from heirloom.models.conditions import CLEAN, load_model
from heirloom.models.verdicts import named
from heirloom.runtime.devices import compute
from heirloom.runtime.files import sha256_of, write_card
from heirloom.training.checkpoints import Checkpoint
from heirloom.training.session import Origin, TransferFiles

METRIC = "detection_score"


@dataclass(frozen=True)
class Outputs:
    """The reversed triggers, the scores that the tables show, and the card with all scores."""

    card: Path
    measures: Path
    reversed: Path


def run(
    *,
    inputs: TransferFiles,
    outputs: Outputs,
    detector: Detector,
    name: str,
    asked: list[int],
    threads: int,
    code: str,
    checkpoint_seconds: float = 60.0,
) -> None:
    """Write the scores of a detector, what it flags, and the trigger of each class from one that reverses them.

    Sees training images of the development part alone, uint8 (N, H, W, 3), float32, in eval mode. `name`: the
    detector's entry. `asked`: labels whose scores stand in the measures beside the largest, from a detector of classes.
    A killed call leaves a checkpoint, from which the same call continues to the same bytes. Raises DamagedFileError,
    what the detector raises, and WeightsError where the teacher's head does not know the data set's classes.
    """
    part = open_part(inputs.images, inputs.index, inputs.card)
    model = load_model(inputs.teacher_weights, inputs.teacher_card, part)
    origin = Origin({"detector": detector}, inputs=[inputs.card, inputs.teacher_card], code=code)
    with compute(threads, "fp32") as resources:
        identity = {**origin.identity(resources.device.type), "threads": threads}
        checkpoint = Checkpoint(outputs.card.parent, seconds=checkpoint_seconds, identity=identity)
        detect = DETECTORS.load(detector.kind).detect
        model = placed(model, resources.device)
        with named(TEACHER, dataset=part.dataset, condition=f"detector {name}"):
            found: Findings = detect(model, part.split("train"), detector, checkpoint)
    write_reversed(outputs.reversed, found.reversed)
    write_measures(outputs.measures, list(_rows(found, detector, name=name, asked=asked)))
    write_card(
        outputs.card,
        kind="detection",
        files={path.name: path for path in (outputs.measures, outputs.reversed)},
        detector={"name": name, **detector.model_dump(mode="json")},
        class_names=list(part.classes),
        data=sha256_of(inputs.card),
        teacher=sha256_of(inputs.teacher_weights),
        **found.described(),
    )
    checkpoint.remove()


def _rows(found: Findings, detector: Detector, *, name: str, asked: Sequence[int]) -> Iterator[dict[str, Any]]:
    """Give the rows of the measures: the largest score under the detector's name, and those of the labels asked for."""
    budget = json.dumps(detector.model_dump(mode="json", exclude={"seed"}), sort_keys=True)
    shared = {"method": TEACHER, "seed": 0, "attack": CLEAN, "budget": budget, "metric": METRIC, "sample": ""}
    yield shared | {"condition": name, "value": float(found.scores.max())}
    for label in asked if found.scope == "class" else ():
        yield shared | {"condition": f"{name}:class {label}", "value": float(found.scores[label])}
