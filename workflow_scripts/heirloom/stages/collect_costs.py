"""Gather what the jobs of a study took, from the benchmark files that Snakemake keeps."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from heirloom.reporting.tables import COSTS, cost_rows, write_rows
from heirloom.runtime.files import table_metadata

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Inputs:
    """The measurements: once they are there, every job that costs something has run."""

    measurements: Path


@dataclass(frozen=True)
class Outputs:
    """The costs of the study."""

    costs: Path


def run(*, inputs: Inputs, outputs: Outputs, benchmarks: dict[str, dict[str, Any]]) -> None:
    """Write costs.parquet (`tables.COSTS`): seconds, peak_memory_bytes and jobs per kind of job.

    `benchmarks` maps the path of each benchmark file to the job's keys (`tables.cost_rows`); files that are absent are
    left out (in pods, which share no disk, all of them), and the log tells how many were found. No other output depends
    on the machine. Raises DamagedFileError for a file that is no benchmark.
    """
    found = sum(Path(path).is_file() for path in benchmarks)
    logger.log(
        logging.INFO if found == len(benchmarks) else logging.WARNING,
        "costs of %d of %d jobs: as many benchmarks were found",
        found,
        len(benchmarks),
    )
    study = str(table_metadata(inputs.measurements).get("study", ""))
    rows = cost_rows(benchmarks, study=study)
    write_rows(outputs.costs, rows, columns=COSTS, schema="costs", study=study)
