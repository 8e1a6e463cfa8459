"""Turn every table of predictions and measures of a study into one, with counts and intervals."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from heirloom.evaluation.measures import measures_of
from heirloom.evaluation.metrics import EvaluationFacts, predictions_of
from heirloom.reporting.measure_rows import measured_rows
from heirloom.reporting.tables import KEYS, MEASUREMENTS, Row, measurement_rows, ordered, write_rows
from heirloom.runtime.progress import Progress


@dataclass(frozen=True)
class Inputs:
    """Predictions: for each teacher, injection and data set one file, and one for every student attacked itself.

    Measures: whatever else was measured, in files of any number.
    """

    predictions: list[Path]
    measures: list[Path] = field(default_factory=list)


@dataclass(frozen=True)
class Outputs:
    """The measurements of the study."""

    measurements: Path


def run(
    *,
    inputs: Inputs,
    outputs: Outputs,
    study: str,
    config_digest: str,
    evaluations: list[EvaluationFacts],
    files: list[int],
    measure_files: list[int] | None = None,
) -> None:
    """Write measurements.parquet: a row per experiment, model, attack and metric (`tables.MEASUREMENTS`).

    `files` runs parallel to the predictions and gives the place in `evaluations` that each file belongs to,
    `measure_files` to the measures. Rates are
    in [0, 1] over test images, each with its count and Wilson interval. Raises DataError for predictions that are
    incomplete or contradict each other, ConfigError where files and evaluations do not match.
    """
    rows: list[Row] = []
    found = predictions_of(evaluations, inputs.predictions, files)
    measured = measures_of(len(evaluations), inputs.measures, measure_files or [])
    with Progress(len(evaluations), "measuring", "evaluation") as progress:
        for evaluation, predictions, measures in zip(evaluations, found, measured, strict=True):
            rows += measurement_rows(evaluation, predictions, study=study, config_digest=config_digest)
            rows += measured_rows(evaluation, measures, study=study, config_digest=config_digest)
            progress.advance()
    rows = ordered(rows, (*KEYS, "metric"))
    write_rows(outputs.measurements, rows, columns=MEASUREMENTS, schema="measurements", study=study)
