"""Criticality of every module of robust models, and the robust accuracy that is lost at the worst point."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import fmean
from typing import TYPE_CHECKING, Any

from heirloom.reporting.drawing.study_figure import StudyFigure
from heirloom.reporting.drawing.style import (
    CONTROL_COLOURS,
    GRID,
    INFECTED_COLOURS,
    INK,
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
    order=50, names=lambda grid: ["criticality"] if grid.study.repair_experiments else [], rule="draw_rift"
)

PLAIN, CHOSEN = CONTROL_COLOURS[0], INFECTED_COLOURS[0]
# all lengths in inches
LEFT, RIGHT = 0.86, 0.2
TITLE, PANEL, BETWEEN, LETTER, AFTER, FOOT = 0.4, 1.35, 0.14, 0.068, 0.2, 0.4
BAR = 0.72  # of the room between two modules
EXPLANATION = (
    "Bars: the rise of the adversarial loss within the ball of each module's weights (linear below {linear:g}), and the"
    " robust accuracy lost there.\n{several}Triangle: fine-tuned."
)
SEVERAL = "Bars are means over seeds, dots single seeds. "


@dataclass(frozen=True)
class Measured:
    """The rows of one model's criticality.parquet, and the modules that a repair chose of it."""

    model: str
    seed: int
    rows: tuple[Row, ...]
    chosen: frozenset[str] = frozenset()


def draw_criticality(found: Sequence[Measured]) -> Figure:
    """Draw two panels for each model, its modules in its own order; over several seeds the mean, each seed a dot.

    The first has a scale that is linear near 0 and logarithmic above, the same for all models. A figure of no model
    says so.
    """
    from matplotlib.figure import Figure

    models = [(name, list(members)) for name, members in groupby(sorted(found, key=_order), key=lambda one: one.model)]
    if not models:
        return note("No criticality was measured in this study.")
    linear = linear_below([row["criticality"] for one in found for row in one.rows])
    with style():
        heights = [_height(members) for _, members in models]
        height = MARGIN + sum(heights) + FOOT
        figure = Figure(figsize=(WIDTH, height))
        top = height - MARGIN
        for (name, members), used in zip(models, heights, strict=True):
            _draw_model(figure, name, members, top=top, linear=linear)
            top -= used
        several = SEVERAL if any(len(members) > 1 for _, members in models) else ""
        told = EXPLANATION.format(linear=linear, several=several)
        figure.text(0.12 / WIDTH, 0.1 / height, told, color=QUIET, size=8, va="bottom")
        return figure


def linear_below(values: Sequence[float]) -> float:
    """Return the power of ten that the smallest positive value reaches, between 0.001 and 0.1."""
    least = min((value for value in values if value > 0), default=0.1)
    return 10.0 ** max(-3, min(-1, math.floor(math.log10(least))))


def _order(one: Measured) -> tuple[str, int]:
    return one.model, one.seed


def _names(members: Sequence[Measured]) -> list[str]:
    return [row["module"] for row in members[0].rows]


def _height(members: Sequence[Measured]) -> float:
    """Height that a model takes: title, two panels, the names of its modules below."""
    return TITLE + 2 * PANEL + BETWEEN + LETTER * max(map(len, _names(members))) + AFTER


def _draw_model(figure: Figure, name: str, members: Sequence[Measured], *, top: float, linear: float) -> None:
    """Draw one model below `top` inches."""
    height = figure.get_figheight()
    several = f", {len(members)} seeds" if len(members) > 1 else ""
    figure.text(0.12 / WIDTH, (top - 0.14) / height, f"{name}{several}", weight="bold", size=11, va="center")
    upper, lower = (
        figure.add_axes((LEFT / WIDTH, (top - offset) / height, (WIDTH - LEFT - RIGHT) / WIDTH, PANEL / height))
        for offset in (TITLE + PANEL, TITLE + 2 * PANEL + BETWEEN)
    )
    rises = [{row["module"]: row["criticality"] for row in one.rows} for one in members]
    losses = [
        {row["module"]: 100 * (row["robust_accuracy_start"] - row["robust_accuracy_worst"]) for row in one.rows}
        for one in members
    ]
    upper.set_yscale("symlog", linthresh=linear, linscale=0.5)
    for axes, values, label in ((upper, rises, "criticality"), (lower, losses, "robust accuracy\nlost, points")):
        _draw_bars(axes, values, members)
        axes.set_ylabel(label, size=8.5)
        axes.yaxis.set_label_coords(-0.48 / (WIDTH - LEFT - RIGHT), 0.5)
    _scale(upper, rises, linear)
    upper.tick_params(labelbottom=False)
    names = _names(members)
    lower.set_xticks(range(len(names)), names, rotation=90, size=8, family="DejaVu Sans Mono")
    _mark(upper, rises, members)


def _scale(axes: Axes, values: Sequence[Mapping[str, float]], linear: float) -> None:
    """Give a criticality panel its ticks, and room above the highest bar for a mark."""
    highest = max(linear, *(value for seed in values for value in seed.values()))
    decades = range(round(math.log10(linear)), math.floor(math.log10(highest)) + 1)
    ticks = [0.0, *(10.0**power for power in decades)]
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_ylim(0, 4 * highest)


def _draw_bars(axes: Axes, values: Sequence[Mapping[str, float]], members: Sequence[Measured]) -> None:
    """Draw the mean over seeds of each module, the single seeds, and lines between stages."""
    names = _names(members)
    chosen = frozenset[str]().union(*(one.chosen for one in members))
    means = [fmean(seed[name] for seed in values) for name in names]
    colours = [CHOSEN if name in chosen else PLAIN for name in names]
    axes.bar(range(len(names)), means, width=BAR, color=colours, zorder=2)
    if len(values) > 1:
        for seed in values:
            axes.plot(range(len(names)), [seed[name] for name in names], ls="", marker="o", ms=2.2, color=INK, zorder=3)
    stages = [row["stage"] for row in members[0].rows]
    borders = [place - 0.5 for place in range(1, len(stages)) if stages[place] != stages[place - 1]]
    axes.set_xlim(-0.6, len(names) - 0.4)
    for border in borders:
        axes.axvline(border, color=QUIET, lw=0.6, ls=(0, (2, 2)), zorder=1)
    axes.axhline(0, color=QUIET, lw=0.8, zorder=1)
    axes.grid(axis="y", color=GRID, lw=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelcolor=QUIET, labelsize=8)
    axes.spines[["left", "top", "right", "bottom"]].set_visible(False)


def _mark(axes: Axes, values: Sequence[Mapping[str, float]], members: Sequence[Measured]) -> None:
    """Put a triangle over each module that was fine-tuned; with several seeds, say of how many."""
    for place, name in enumerate(_names(members)):
        times = sum(name in one.chosen for one in members)
        if not times:
            continue
        top = max(axes.get_yticks()[1], *(seed[name] for seed in values))
        above: dict[str, Any] = {"textcoords": "offset points", "ha": "center", "color": CHOSEN, "zorder": 4}
        axes.annotate("\N{BLACK DOWN-POINTING TRIANGLE}", (place, top), xytext=(0, 3), size=8, **above)
        if len(members) > 1:
            axes.annotate(f"{times} of {len(members)}", (place, top), xytext=(0, 13), size=7.5, **above)
