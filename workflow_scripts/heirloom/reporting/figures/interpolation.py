"""From a robust model to its fine-tuned twin: validation accuracy, clean and attacked, over alpha."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import fmean
from typing import TYPE_CHECKING, Any

from heirloom.reporting.drawing.study_figure import StudyFigure
from heirloom.reporting.drawing.style import (
    CONTROL_COLOURS,
    GRID,
    HALO,
    INFECTED_COLOURS,
    MARGIN,
    QUIET,
    WIDTH,
    note,
    style,
)
from heirloom.reporting.tables import Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FIGURE = StudyFigure(
    order=60, names=lambda grid: ["interpolation"] if grid.study.repair_experiments else [], rule="draw_rift"
)

METRICS: Mapping[str, str] = {"accuracy": "accuracy", "robust_accuracy": "robust accuracy"}
COLOURS: Mapping[str, str] = {"accuracy": CONTROL_COLOURS[0], "robust_accuracy": INFECTED_COLOURS[0]}
# all lengths in inches
COLUMNS, LEFT, RIGHT, GAP = 3, 0.66, 0.2, 0.66
HEAD, PANEL, BETWEEN, FOOT, END = 0.62, 1.2, 0.14, 0.5, 0.42
NARROWEST = 2.0  # percentage points that a panel spans at least
EXPLANATION = (
    "Change on validation images, in percentage points, against the robust model (alpha 0). Dot: the chosen alpha."
    " Dashes: what robust accuracy may lose.\nGrey: candidates that were not chosen.{several}"
)
SEVERAL = " Thick: means over seeds; thin: single seeds."

Curve = tuple[tuple[float, float], ...]  # (alpha, percentage points against alpha 0)


@dataclass(frozen=True)
class Interpolated:
    """The rows of one interpolation.parquet, and the robust accuracy in [0, 1] that its repair may lose."""

    model: str
    repair: str
    seed: int
    rows: tuple[Row, ...]
    tolerance: float

    @property
    def chosen(self) -> Row:
        """The row of the repaired model."""
        return next(row for row in self.rows if row["chosen"])

    def start(self, metric: str) -> float:
        """Return the robust model's rate in percent."""
        return float(next(100 * row[metric] for row in self.rows if row["alpha"] == 0))

    def curve(self, metric: str, candidate: int) -> Curve:
        """Return a candidate's change over alpha."""
        mine = [row for row in self.rows if row["candidate"] == candidate]
        return tuple((row["alpha"], 100 * row[metric] - self.start(metric)) for row in mine)

    @property
    def candidates(self) -> list[int]:
        """The numbers of all candidates."""
        return sorted({row["candidate"] for row in self.rows})


def draw_interpolation(found: Sequence[Interpolated]) -> Figure:
    """Draw a pair of panels for each model and repair, accuracy above robust accuracy, seeds together.

    A figure of no repair says so.
    """
    from matplotlib.figure import Figure

    groups = [list(members) for _, members in groupby(sorted(found, key=_order), key=lambda one: _order(one)[:2])]
    if not groups:
        return note("No robust model was repaired in this study.")
    lines = -(-len(groups) // COLUMNS)
    with style():
        line = HEAD + 2 * PANEL + BETWEEN + FOOT
        height = MARGIN + lines * line + END
        figure = Figure(figsize=(WIDTH, height))
        for place, members in enumerate(groups):
            column, row = place % COLUMNS, place // COLUMNS
            _draw_group(figure, members, column=column, top=height - MARGIN - row * line)
        told = EXPLANATION.format(several=SEVERAL if any(len(members) > 1 for members in groups) else "")
        figure.text(0.12 / WIDTH, 0.1 / height, told, color=QUIET, size=8, va="bottom")
        return figure


def _order(one: Interpolated) -> tuple[str, str, int]:
    return one.model, one.repair, one.seed


def _draw_group(figure: Figure, members: Sequence[Interpolated], *, column: int, top: float) -> None:
    """Draw one model's repair, in a column, below `top` inches."""
    height = figure.get_figheight()
    width = (WIDTH - LEFT - RIGHT - (COLUMNS - 1) * GAP) / COLUMNS
    x = LEFT + column * (width + GAP)
    figure.text((x - 0.4) / WIDTH, (top - 0.14) / height, members[0].model, weight="bold", size=9.5, va="center")
    figure.text((x - 0.4) / WIDTH, (top - 0.34) / height, _told(members), color=QUIET, size=8.5, va="center")
    for number, metric in enumerate(METRICS):
        y = top - HEAD - PANEL - number * (PANEL + BETWEEN)
        axes = figure.add_axes((x / WIDTH, y / height, width / WIDTH, PANEL / height))
        _prepare(axes, metric, members, last=number == len(METRICS) - 1)
        _draw_curves(axes, metric, members)


def _told(members: Sequence[Interpolated]) -> str:
    """Name a repair and what it fine-tuned; the modules of several seeds only where they agree."""
    modules = {one.chosen["modules"] for one in members}
    told = f"{members[0].repair}: {modules.pop()}" if len(modules) == 1 else members[0].repair
    return told if len(told) <= 42 else f"{told[:40]}..."


def _prepare(axes: Axes, metric: str, members: Sequence[Interpolated], *, last: bool) -> None:
    """Draw a panel's scale: all that is drawn fits, and differences of rounding do not fill it."""
    from matplotlib.ticker import MaxNLocator

    values = [value for one in members for number in one.candidates for _, value in one.curve(metric, number)]
    values += [-100 * one.tolerance for one in members] if metric == "robust_accuracy" else []
    low, high = min(values), max(values)
    room = max(0.08 * (high - low), (NARROWEST - (high - low)) / 2)
    axes.set_ylim(low - room, high + room)
    axes.set_xlim(-0.03, 1.03)
    axes.set_xticks([0, 0.2, 0.4, 0.6, 0.8, 1], ["0", ".2", ".4", ".6", ".8", "1"])
    axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    axes.grid(color=GRID, lw=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelcolor=QUIET, labelsize=8, labelbottom=last)
    axes.spines[["left", "top", "right", "bottom"]].set_visible(False)
    axes.set_ylabel(METRICS[metric], size=8.5)
    start = fmean(one.start(metric) for one in members)
    # in the corner that the curve leaves free: accuracy rises, robust accuracy falls
    y, va = (0.06, "bottom") if metric == "robust_accuracy" else (0.94, "top")
    axes.text(0.03, y, f"{start:.1f} % at alpha 0", transform=axes.transAxes, va=va, color=QUIET, size=8, bbox=HALO)
    if last:
        axes.set_xlabel("alpha, share of the fine-tuned weights", size=8.5, labelpad=2)


def _draw_curves(axes: Axes, metric: str, members: Sequence[Interpolated]) -> None:
    """Draw the candidates, the chosen one's mean over seeds, its alpha, and what is tolerated."""
    colour = COLOURS[metric]
    for one in members:
        for candidate in one.candidates:
            if candidate != one.chosen["candidate"]:
                axes.plot(*zip(*one.curve(metric, candidate), strict=True), color=QUIET, lw=0.7, alpha=0.6, zorder=1)
    curves = [one.curve(metric, one.chosen["candidate"]) for one in members]
    if len(curves) > 1:
        for curve in curves:
            axes.plot(*zip(*curve, strict=True), color=colour, lw=0.7, alpha=0.6, zorder=2)
    axes.plot(*zip(*_mean(curves), strict=True), color=colour, lw=1.8, zorder=3)
    for one in members:
        chosen = one.chosen
        dot: dict[str, Any] = {"mec": colour, "mfc": "white" if len(members) > 1 else colour, "mew": 1.5}
        here = 100 * chosen[metric] - one.start(metric)
        axes.plot([chosen["alpha"]], [here], marker="o", ms=6, zorder=4, clip_on=False, **dot)
    if metric == "robust_accuracy":
        for tolerance in sorted({one.tolerance for one in members}):
            axes.axhline(-100 * tolerance, color=QUIET, lw=1.1, ls=(0, (4, 2)), zorder=2)


def _mean(curves: Sequence[Curve]) -> Curve:
    """Return the mean over seeds, which share their alphas."""
    return tuple((points[0][0], fmean(value for _, value in points)) for points in zip(*curves, strict=True))
