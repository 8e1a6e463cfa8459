"""How trainings went, as their stages wrote it down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from heirloom.runtime.files import read_table

METRICS = {"loss": "loss", "validation_accuracy": "accuracy, %"}
Curve = tuple[tuple[int, float], ...]  # (iterations made, value)


@dataclass(frozen=True)
class TrainingCurve:
    """Whose history a file is; the method of an infected teacher's own training is "teacher", its seed 0."""

    teacher: str
    injection: str
    dataset: str
    method: str
    seed: int = 0


@dataclass(frozen=True)
class History:
    """One training: a curve per metric; a metric that was not measured has none."""

    training: TrainingCurve
    curves: Mapping[str, Curve]


def read_history(path: Path, training: TrainingCurve) -> History:
    """Read a training's history; iterations go on counting from phase to phase. Raises DamagedFileError."""
    rows = read_table(path).to_pylist()
    made = _made(rows)
    curves = {
        metric: tuple((x, row[metric]) for x, row in zip(made, rows, strict=True) if row.get(metric) is not None)
        for metric in METRICS
    }
    return History(training, {metric: curve for metric, curve in curves.items() if curve})


def _made(rows: Sequence[Mapping[str, Any]]) -> list[int]:
    """Return the iterations made in all phases up to each row."""
    made, before = [], 0
    for _, phase in groupby(rows, key=lambda row: row["phase"]):
        steps = [before + row["iteration"] for row in phase]
        made += steps
        before = steps[-1]
    return made
