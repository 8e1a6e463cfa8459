"""The figures of a study: which it has, in the order of the report, and what draws each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from heirloom.config.kinds import FIGURES

if TYPE_CHECKING:
    from heirloom.config.grid import Grid
    from heirloom.reporting.drawing.study_figure import StudyFigure


def figures(grid: Grid, rule: str = "") -> dict[str, StudyFigure]:
    """Return the figures that the study has, by name, in the order of the report; those of one rule, if it is given."""
    declared = {name: FIGURES.load(name).FIGURE for name in FIGURES.names()}
    asked = {name: each for name, each in declared.items() if rule in ("", each.rule) and each.names(grid)}
    return dict(sorted(asked.items(), key=lambda item: item[1].order))


def figure_names(grid: Grid, rule: str = "") -> list[str]:
    """Return the files of these figures, without their ends."""
    return [name for figure in figures(grid, rule).values() for name in figure.names(grid)]


def embedded_figures(grid: Grid) -> list[str]:
    """Return the files that the report shows one after the other, without their ends."""
    return [name for figure in figures(grid).values() if figure.embedded for name in figure.names(grid)]
