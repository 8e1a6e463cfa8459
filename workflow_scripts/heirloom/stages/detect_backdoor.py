"""Look for a backdoor in an injected teacher: reverse a trigger for each class, and score how small it is."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heirloom.config.models import Detector
from heirloom.data.store import open_part
from heirloom.defences import DETECTORS
from heirloom.defences.anomaly import anomaly_indices
from heirloom.defences.reversed import Reversed, write_reversed
from heirloom.evaluation.conditions import CLEAN, load_model
from heirloom.evaluation.measures import write_measures
from heirloom.evaluation.metrics import TEACHER
from heirloom.models.classifier import placed
from heirloom.models.verdicts import named
from heirloom.runtime.devices import compute
from heirloom.runtime.errors import ConfigError
from heirloom.runtime.files import sha256_of, write_card
from heirloom.runtime.registry import known, resolve
from heirloom.training.checkpoints import Checkpoint
from heirloom.training.session import Origin, TransferFiles

METRIC = "detection_score"
FEWEST = 3  # classes: of two norms neither is an outlier


@dataclass(frozen=True)
class Outputs:
    """The reversed triggers, the scores that the tables show, and the card with those of every class."""

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
    """Write the reversed trigger of each class, and how much smaller than the others' it is.

    Sees training images of the development part alone, uint8 (N, H, W, 3), float32, in eval mode. `name`: the
    detector's entry. `asked`: labels whose scores stand in the measures beside the largest. A killed call leaves a
    checkpoint, from which the same call continues to the same bytes. Raises ConfigError below three classes, DataError,
    DamagedFileError, and WeightsError where the teacher's head does not know the data set's classes.
    """
    part = open_part(inputs.images, inputs.index, inputs.card)
    model = load_model(inputs.teacher_weights, inputs.teacher_card, part)
    if len(part.classes) < FEWEST:
        raise ConfigError(f"{len(part.classes)} classes are too few to tell one from the others", where="detectors")
    origin = Origin({"detector": detector}, inputs=[inputs.card, inputs.teacher_card], code=code)
    with compute(threads, "fp32") as resources:
        identity = {**origin.identity(resources.device.type), "threads": threads}
        checkpoint = Checkpoint(outputs.card.parent, seconds=checkpoint_seconds, identity=identity)
        detect = resolve(known(DETECTORS, detector.kind, kind="detector"))
        model = placed(model, resources.device)
        with named(TEACHER, dataset=part.dataset, condition=f"detector {name}"):
            found: list[Reversed] = detect(model, part.split("train"), detector, checkpoint)
    indices = anomaly_indices([each.norm for each in found])
    write_reversed(outputs.reversed, found)
    write_measures(outputs.measures, list(_rows(indices, detector, name=name, asked=asked)))
    write_card(
        outputs.card,
        kind="detection",
        files={path.name: path for path in (outputs.measures, outputs.reversed)},
        detector={"name": name, **detector.model_dump(mode="json")},
        class_names=list(part.classes),
        data=sha256_of(inputs.card),
        teacher=sha256_of(inputs.teacher_weights),
        **_findings(found, indices, detector),
    )
    checkpoint.remove()


def _rows(
    indices: NDArray[np.float64], detector: Detector, *, name: str, asked: Sequence[int]
) -> Iterator[dict[str, Any]]:
    """Give the rows of the measures: the largest index under the detector's name, and those of the labels asked for."""
    budget = json.dumps(detector.model_dump(mode="json", exclude={"seed"}), sort_keys=True)
    shared = {"method": TEACHER, "seed": 0, "attack": CLEAN, "budget": budget, "metric": METRIC, "sample": ""}
    yield shared | {"condition": name, "value": float(indices.max())}
    for label in asked:
        yield shared | {"condition": f"{name}:class {label}", "value": float(indices[label])}


def _findings(found: Sequence[Reversed], indices: NDArray[np.float64], detector: Detector) -> dict[str, Any]:
    """Say in the card what was found of each class, which are flagged, and which one is unlearned.

    `suspect`: the class of the largest index, whether flagged or not, the first of equals.
    """
    return {
        "anomaly_indices": indices.tolist(),
        "norms": [each.norm for each in found],
        "success": [each.success for each in found],
        "flagged": [int(label) for label in np.flatnonzero(indices > detector.threshold)],
        "suspect": int(indices.argmax()),
    }
