"""Summarise a study's measurements over seeds; compare models with controls, methods and attacks with baselines."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from heirloom.evaluation.measures import measures_of
from heirloom.evaluation.metrics import EvaluationFacts, predictions_of
from heirloom.reporting.comparisons import Judged, comparison_rows, in_order
from heirloom.reporting.formats import html, latex
from heirloom.reporting.measure_rows import baseline_rows
from heirloom.reporting.summary import PublishedNumber, check_controls, summary_rows
from heirloom.reporting.tables import MEASUREMENTS, SUMMARY, read_rows, write_comparisons, write_csv, write_summary
from heirloom.runtime.files import atomic_path, table_metadata


@dataclass(frozen=True)
class Inputs:
    """The measurements, and what is behind them: predictions, a file or several per evaluation, and measures."""

    measurements: Path
    predictions: list[Path]
    measures: list[Path] = field(default_factory=list)


@dataclass(frozen=True)
class Outputs:
    """The summary in four formats, and the comparisons of methods and attacks with baselines."""

    summary: Path
    comparisons: Path
    csv: Path
    html: Path
    latex: Path


def run(
    *,
    inputs: Inputs,
    outputs: Outputs,
    evaluations: list[EvaluationFacts],
    files: list[int],
    measure_files: list[int] | None = None,
    experiments: dict[str, str],
    published: list[PublishedNumber],
    seed: int,
) -> None:
    """Write summary.parquet (`tables.SUMMARY`), the same rows as CSV, HTML and LaTeX, and comparisons.parquet.

    `files` gives the place in `evaluations` of each predictions file, `measure_files` of each file of measures,
    `experiments` each experiment's question by name, `published` the numbers that rows are held to, `seed` is the
    bootstrap's. Raises ConfigError where a control is not evaluated, DataError where models judged other images.
    Columns and tests: docs/results.md#summaryparquet.
    """
    predictions = list(predictions_of(evaluations, inputs.predictions, files))
    check_controls(evaluations, predictions)
    measured = measures_of(len(evaluations), inputs.measures, measure_files or [])
    judged = [Judged.of(*found) for found in zip(evaluations, predictions, measured, strict=True)]
    study = str(table_metadata(inputs.measurements).get("study", ""))
    rows = summary_rows(read_rows(inputs.measurements, columns=MEASUREMENTS), judged, seed=seed, published=published)
    comparisons = in_order([*comparison_rows(judged, study=study, seed=seed), *baseline_rows(judged, study=study)])
    write_summary(outputs.summary, rows, study=study)
    write_comparisons(outputs.comparisons, comparisons, study=study)
    with atomic_path(outputs.csv) as path:
        write_csv(path, rows, columns=SUMMARY)
    with atomic_path(outputs.html) as path:
        path.write_text(html(rows, study=study, questions=experiments, comparisons=comparisons), encoding="utf-8")
    with atomic_path(outputs.latex) as path:
        path.write_text(latex(rows, study=study), encoding="utf-8")
