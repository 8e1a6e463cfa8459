"""What is measured of a model and is no prediction: a value per sample, where a rate has a hit or a miss.

A sample is whatever the measure is taken of: a test image for the attention on a region, the model itself (the empty
name) for the score of a detector.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from heirloom.evaluation.metrics import CORRUPTION, Setting
from heirloom.evaluation.statistics import t_interval
from heirloom.runtime.errors import ConfigError, DataError
from heirloom.runtime.files import read_table, write_table

Floats = npt.NDArray[np.float64]

ALL = "all"  # the condition of a mean over all corruptions of a suite
# Metrics that are means of values, not rates of hits, with what a reader calls them.
MEASURES = {
    "attention_density": "attention density",
    "attention_overlap": "overlap with the clean map",
    CORRUPTION: "corruption accuracy",
    "criticality": "robust criticality",
    "detection_score": "detection score",
    "reconstruction_error": "reconstruction error",
}
SHARES = frozenset({CORRUPTION})  # of the measures: in [0, 1], written in percent; the others have units of their own
COLUMNS = {
    "method": "string",
    "seed": "int32",
    "attack": "string",
    "budget": "string",
    "condition": "string",
    "metric": "string",
    "sample": "string",
    "value": "float64",
}


def is_detail(metric: str, condition: str) -> bool:
    """Tell one corruption's accuracy, a rate, from the mean over all: it stands in the tables but is not told apart."""
    return metric == CORRUPTION and condition != ALL


class Quantity(NamedTuple):
    """What was measured of one model: a metric under one setting."""

    setting: Setting
    metric: str


@dataclass(frozen=True)
class Values:
    """A quantity's values (N,), finite, in the order of its `samples`, which are sorted."""

    samples: tuple[str, ...]
    values: Floats

    @property
    def count(self) -> int:
        """How many samples there are, at least one."""
        return len(self.samples)

    @property
    def mean(self) -> float:
        """The mean over the samples."""
        return float(self.values.mean())

    @property
    def interval(self) -> tuple[float, float] | None:
        """Student's 95 % interval of the mean over the samples; None for a single one."""
        return t_interval(self.values.tolist()) if self.count > 1 else None


Measured = Mapping[Quantity, Values]


def write_measures(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write measures.parquet: one row per model, setting, metric and sample, with exactly the columns `COLUMNS`."""
    import pyarrow as pa

    typed = pa.schema([(name, pa.type_for_alias(alias)) for name, alias in COLUMNS.items()])
    table = pa.table({name: [row[name] for row in rows] for name in COLUMNS}, schema=typed)
    write_table(path, table, metadata={"kind": "measures", "version": 1})


def read_measures(paths: Iterable[Path]) -> dict[Quantity, Values]:
    """Read the measures of one evaluation from its files, none or several.

    Raises DataError for other columns, a metric that is none of `MEASURES`, a value that is not finite, or a sample
    that has two values.
    """
    found: dict[Quantity, dict[str, float]] = {}
    for path in paths:
        for row in _rows(path):
            quantity = Quantity(Setting(*(row[name] for name in Setting._fields)), row["metric"])
            samples = found.setdefault(quantity, {})
            if row["sample"] in samples:
                raise _contradiction(f'"{row["sample"]}" has two values of {row["metric"]}', path)
            samples[row["sample"]] = row["value"]
    return {quantity: _values(samples) for quantity, samples in sorted(found.items())}


def measures_of(evaluations: int, paths: Sequence[Path], files: Sequence[int]) -> Iterator[dict[Quantity, Values]]:
    """Yield the measures of each evaluation; `files` says which one (counted from 0) each of `paths` belongs to.

    Raises ConfigError where a file belongs to none, else as `read_measures`.
    """
    if len(paths) != len(files) or not set(files) <= set(range(evaluations)):
        raise ConfigError(
            f"{len(paths)} measures files do not belong to {evaluations} evaluations",
            where=f"files: {list(files)}",
            mend="give each file the place of its evaluation, counted from 0",
        )
    for place in range(evaluations):
        yield read_measures(path for path, owner in zip(paths, files, strict=True) if owner == place)


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    """Yield a file's rows, checked."""
    table = read_table(path)
    if table.column_names != list(COLUMNS):
        raise _contradiction(f"its columns are not {', '.join(COLUMNS)}", path)
    for row in table.to_pylist():
        if row["metric"] not in MEASURES:
            raise _contradiction(f'"{row["metric"]}" is no measure: one of {", ".join(MEASURES)}', path)
        if row["value"] is None or not np.isfinite(row["value"]):
            raise _contradiction(f"a value of {row['metric']} is not finite", path)
        yield row


def _values(samples: Mapping[str, float]) -> Values:
    names = sorted(samples)
    return Values(tuple(names), np.array([samples[name] for name in names], dtype=np.float64))


def _contradiction(what: str, path: Path) -> DataError:
    return DataError(what, where=str(path), mend="delete the file and run again")
