"""What the rules that aggregate are given: every evaluation of students and models, and the files behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from heirloom.config import attacking, repairs
from heirloom.config.grid import Grid
from heirloom.config.records import Evaluation


@dataclass(frozen=True)
class Tabled:
    """Descriptions of all evaluations; files of predictions and measures with the place of each file's evaluation."""

    descriptions: list[dict[str, Any]]
    predictions: list[str]
    files: list[int]
    measures: list[str]
    measure_files: list[int]


def tabled(grid: Grid) -> Tabled:
    """Return what the tables of a study are made of: students first, then repaired models, then attacked ones."""
    repaired, attacked = repairs.evaluations(grid), attacking.evaluations(grid)
    places = {evaluation: place for place, evaluation in enumerate([*grid.evaluations, *repaired, *attacked])}
    predictions = [*grid.predictions, *repairs.predictions(grid), *attacking.predictions(grid)]
    measures = [*grid.measures, *repairs.measures(grid), *attacking.measures(grid)]
    return Tabled(
        descriptions=[
            *(grid.description_of(each) for each in grid.evaluations),
            *(repairs.description_of(grid, each.teacher) for each in repaired),
            *(attacking.description_of(grid, each) for each in attacked),
        ],
        predictions=_paths(predictions),
        files=[places[evaluation] for _, evaluation in predictions],
        measures=_paths(measures),
        measure_files=[places[evaluation] for _, evaluation in measures],
    )


def _paths(files: Sequence[tuple[str, Evaluation]]) -> list[str]:
    return [path for path, _ in files]
