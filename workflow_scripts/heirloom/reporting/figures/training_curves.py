"""How trainings went: loss and validation accuracy over iterations, one column per method, one row pair per group."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any

from heirloom.evaluation.metrics import TEACHER
from heirloom.reporting.drawing.study_figure import StudyFigure, StudyResults
from heirloom.reporting.drawing.style import (
    GRID,
    MARGIN,
    QUIET,
    WIDTH,
    Palette,
    draw_injection_legend,
    legend_places,
    note,
    style,
)
from heirloom.reporting.histories import METRICS, Curve, History
from heirloom.reporting.wording import method_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FIGURE = StudyFigure(order=30, names=lambda _: ["training_curves"])

# all lengths in inches
FEWEST, COLUMNS, LEFT, RIGHT, GAP = 2, 4, 0.62, 0.2, 0.2
TITLE, HEAD, FOOT, PANEL, BETWEEN, LEGEND_GAP = 0.3, 0.22, 0.5, 1.25, 0.12, 0.08
EXPLANATION = (
    "Thick lines: means over seeds, thin ones: each of several seeds. Loss: mean since the last point. Accuracy: on"
    " validation images."
)


def mean_curve(curves: Sequence[Curve]) -> Curve:
    """Return the mean over seeds at the iterations that all have."""
    values = [dict(curve) for curve in curves]
    shared = sorted(set.intersection(*map(set, values))) if values else []
    return tuple((x, fmean(value[x] for value in values)) for x in shared)


def draw(drawn: StudyResults) -> Figure:
    """Draw the figure of a study."""
    return draw_training_curves(drawn.histories, Palette.of_rows(drawn.students))


def draw_training_curves(histories: Sequence[History], palette: Palette) -> Figure:
    """Draw loss and validation accuracy of every training: a block per teacher and data set, a column per method.

    Colours are the injections'. Within a block, panels of a metric share their scale. Says so where nothing was
    trained.
    """
    from matplotlib.figure import Figure

    if not histories:
        return note("No training in this study.")
    groups = _groups(histories)
    injections = sorted(
        {history.training.injection for history in histories}, key=lambda name: (name in palette.controls, name)
    )
    lines = [line for (_, members) in groups for line in _lines(members)]
    columns = max(FEWEST, *map(len, lines))
    with style():
        places = legend_places({name: palette.title(name) for name in injections})
        legend = 0.24 * (1 + max(line for _, line, _ in places.values()))
        height = MARGIN + legend + LEGEND_GAP + len(groups) * TITLE + len(lines) * _line_height() + 0.26
        figure = Figure(figsize=(WIDTH, height))
        top = height - MARGIN - draw_injection_legend(figure, injections, palette, top=height - MARGIN) - LEGEND_GAP
        for (teacher, dataset), members in groups:
            figure.text(
                0.12 / WIDTH, (top - 0.12) / height, f"{dataset}, teacher {teacher}", weight="bold", va="center"
            )
            top -= TITLE
            for line in _lines(members):
                _draw_line(figure, line, members, palette, columns=columns, top=top)
                top -= _line_height()
        figure.text(0.12 / WIDTH, 0.13 / height, EXPLANATION, color=QUIET, size=8, va="center")
        return figure


def _line_height() -> float:
    """Height of one line of panels: the names of the methods, a panel per metric, the axis."""
    return HEAD + len(METRICS) * PANEL + (len(METRICS) - 1) * BETWEEN + FOOT


def _groups(histories: Sequence[History]) -> list[tuple[tuple[str, str], list[History]]]:
    """Group trainings by teacher and data set, sorted."""
    found: dict[tuple[str, str], list[History]] = {}
    for history in histories:
        found.setdefault((history.training.teacher, history.training.dataset), []).append(history)
    return sorted(found.items())


def _lines(members: Sequence[History]) -> list[list[str]]:
    """Break the methods of a group, the teacher's own training first, into lines of at most COLUMNS."""
    names = sorted({member.training.method for member in members}, key=lambda name: (name != TEACHER, name))
    return [names[start : start + COLUMNS] for start in range(0, len(names), COLUMNS)]


def _draw_line(
    figure: Figure,
    methods: Sequence[str],
    members: Sequence[History],
    palette: Palette,
    *,
    columns: int,
    top: float,
) -> None:
    """Draw the panels of some methods, one row per metric, below `top` inches."""
    height = figure.get_figheight()
    width = (WIDTH - LEFT - RIGHT - (columns - 1) * GAP) / columns
    for column, method in enumerate(methods):
        x = LEFT + column * (width + GAP)
        mine = [member for member in members if member.training.method == method]
        for row, metric in enumerate(METRICS):
            y = top - HEAD - (row + 1) * PANEL - row * BETWEEN
            axes = figure.add_axes((x / WIDTH, y / height, width / WIDTH, PANEL / height))
            last = row == len(METRICS) - 1
            _prepare_panel(axes, metric, members, first=column == 0, last=last)
            _draw_curves(axes, metric, mine, palette)
            if row == 0:
                axes.set_title(method_title(method), loc="left", size=9.5, pad=4)


def _prepare_panel(axes: Axes, metric: str, members: Sequence[History], *, first: bool, last: bool) -> None:
    """Draw a panel's scale; the highest loss of the group fits, accuracy goes from 0 to 100."""
    from matplotlib.ticker import MaxNLocator

    losses = [value for member in members for _, value in member.curves.get("loss", ())]
    axes.set_ylim(-3, 103) if metric != "loss" else axes.set_ylim(0, 1.05 * max(losses, default=1.0))
    if metric == "loss":
        axes.yaxis.set_major_locator(MaxNLocator(4))
    else:
        axes.set_yticks([0, 25, 50, 75, 100])
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True, steps=[1, 2, 5, 10]))
    axes.grid(color=GRID, lw=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelcolor=QUIET, labelsize=8, labelleft=first, labelbottom=last)
    axes.spines[["left", "top", "right", "bottom"]].set_visible(False)
    if first:
        axes.set_ylabel(METRICS[metric], size=8.5)
        axes.yaxis.set_label_coords(-0.42 / axes.get_position().width / WIDTH, 0.5)
    if last:
        axes.set_xlabel("iterations", size=8.5, labelpad=2)


def _draw_curves(axes: Axes, metric: str, members: Sequence[History], palette: Palette) -> None:
    """Draw each injection's seeds as thin lines and their mean as a thick one, controls dashed and on top."""
    ends = [x for member in members for curve in member.curves.values() for x, _ in curve]
    axes.set_xlim(0, 1.03 * max(ends, default=1))
    names = sorted({m.training.injection for m in members}, key=lambda name: (name in palette.controls, name))
    for name in names:
        curves = [m.curves[metric] for m in members if m.training.injection == name and metric in m.curves]
        dashes: Any = (0, (4, 1.5)) if name in palette.controls else "-"
        if len(curves) > 1:
            for curve in curves:
                _draw_curve(axes, curve, metric, color=palette.colours[name], lw=0.6, alpha=0.5, ls=dashes)
        _draw_curve(axes, mean_curve(curves), metric, color=palette.colours[name], lw=1.7, ls=dashes)
    if not any(metric in member.curves for member in members):
        axes.text(0.5, 0.5, "not measured", transform=axes.transAxes, ha="center", va="center", color=QUIET, size=8)


def _draw_curve(axes: Axes, curve: Curve, metric: str, **look: Any) -> None:
    """Draw one curve; few points are marked, since a line through one point cannot be seen."""
    scale = 1 if metric == "loss" else 100
    dots = {"marker": "o", "ms": 1.8 + look["lw"]} if len(curve) <= 6 else {}
    axes.plot([x for x, _ in curve], [scale * value for _, value in curve], **dots, **look)
