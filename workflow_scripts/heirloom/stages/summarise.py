"""Summarise a study's measurements over seeds and compare each model with its control."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from heirloom.evaluation.metrics import Evaluation, read_predictions
from heirloom.reporting.formats import html, latex
from heirloom.reporting.tables import (
    MEASUREMENTS,
    SUMMARY,
    Judged,
    check_samples,
    read_rows,
    summary_rows,
    write_csv,
    write_summary,
)
from heirloom.runtime.files import atomic_path, table_metadata


@dataclass(frozen=True)
class Inputs:
    """The measurements, and the predictions behind them, one file per teacher, injection and data set."""

    measurements: Path
    predictions: list[Path]


@dataclass(frozen=True)
class Outputs:
    """The summary in four formats."""

    summary: Path
    csv: Path
    html: Path
    latex: Path


def run(
    *,
    inputs: Inputs,
    outputs: Outputs,
    evaluations: list[Evaluation],
    experiments: dict[str, str],
    seed: int,
) -> None:
    """Write summary.parquet (`tables.SUMMARY`) and the same rows as CSV, HTML and LaTeX.

    `evaluations` runs parallel to the predictions files, `experiments` gives each experiment's question by name, `seed`
    is the bootstrap's. Raises ConfigError where a control is not evaluated, DataError where models judged other images.
    METHODS 5.
    """
    predictions = [read_predictions(path) for path in inputs.predictions]
    check_samples(evaluations, predictions)
    judged = [Judged.of(evaluation, found) for evaluation, found in zip(evaluations, predictions, strict=True)]
    rows = summary_rows(read_rows(inputs.measurements, columns=MEASUREMENTS), judged, seed=seed)
    study = str(table_metadata(inputs.measurements).get("study", ""))
    write_summary(outputs.summary, rows, study=study)
    with atomic_path(outputs.csv) as path:
        write_csv(path, rows, columns=SUMMARY)
    with atomic_path(outputs.html) as path:
        path.write_text(html(rows, study=study, questions=experiments), encoding="utf-8")
    with atomic_path(outputs.latex) as path:
        path.write_text(latex(rows, study=study), encoding="utf-8")
