"""Turn every predictions table of a study into one table of rates with their counts and intervals."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from heirloom.evaluation.metrics import Evaluation, read_predictions
from heirloom.reporting.tables import KEYS, MEASUREMENTS, Row, measurement_rows, ordered, write_rows
from heirloom.runtime.progress import Progress


@dataclass(frozen=True)
class Inputs:
    """Predictions, one file per teacher, injection and data set."""

    predictions: list[Path]


@dataclass(frozen=True)
class Outputs:
    """The measurements of the study."""

    measurements: Path


def run(*, inputs: Inputs, outputs: Outputs, study: str, config_digest: str, evaluations: list[Evaluation]) -> None:
    """Write measurements.parquet: a row per experiment, model, attack and metric (`tables.MEASUREMENTS`).

    `evaluations` runs parallel to the predictions files. Rates are in [0, 1] over test images, each with its count and
    Wilson interval. Raises DataError for predictions that are incomplete or contradict each other. METHODS 2.3, 5.
    """
    rows: list[Row] = []
    with Progress(len(evaluations), "measuring", "file") as progress:
        for evaluation, path in zip(evaluations, inputs.predictions, strict=True):
            rows += measurement_rows(evaluation, read_predictions(path), study=study, config_digest=config_digest)
            progress.advance()
    rows = ordered(rows, (*KEYS, "metric"))
    write_rows(outputs.measurements, rows, columns=MEASUREMENTS, schema="measurements", study=study)
