"""What a figure says of itself, and what of a study it may draw."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from heirloom.config.grid import Grid
    from heirloom.reporting.histories import History
    from heirloom.reporting.tables import Row


@dataclass(frozen=True)
class StudyFigure:
    """When a study has a figure. `order`: of the figures in the report, where two have the same their names decide.

    `names`: the files of the figure in a study, without their ends; none where there is nothing to draw. `rule`: what
    draws it; draw_figures, what needs the study's tables and histories alone. `embedded`: the report shows its files
    one after the other, not in a section of their own.
    """

    order: int
    names: Callable[[Grid], Sequence[str]]
    rule: str = "draw_figures"
    embedded: bool = True


@dataclass(frozen=True)
class StudyResults:
    """What a study left: rows of teachers with their students, rows of robust models, comparisons and histories.

    `controls`: by injection the one that it is compared with. `ladders`: attacks from weak to strong by experiment and
    ladder.
    """

    students: Sequence[Row]
    robust: Sequence[Row]
    comparisons: Sequence[Row] = ()
    histories: Sequence[History] = ()
    controls: Mapping[str, str] = field(default_factory=dict)
    ladders: Mapping[str, Mapping[str, Sequence[str]]] = field(default_factory=dict)
