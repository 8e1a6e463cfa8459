"""What a method's clean accuracy costs in attack success: one panel per teacher, data set and attack."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from heirloom.evaluation.metrics import TEACHER
from heirloom.reporting.drawing.study_figure import StudyFigure, StudyResults
from heirloom.reporting.drawing.style import (
    GRID,
    INFECTED_COLOURS,
    LEGEND_LINE,
    MARGIN,
    QUIET,
    WIDTH,
    Palette,
    draw_injection_legend,
    legend_lines,
    legend_places,
    mark,
    note,
    style,
)
from heirloom.reporting.tables import KIND, Row
from heirloom.reporting.views import attack_groups, attack_metric, group_rows, group_title, model_names, shown
from heirloom.reporting.wording import method_title, title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FIGURE = StudyFigure(order=20, names=lambda _: ["trade_off"])

# all lengths in inches
LEFT, FOOT, HEAD, GAP = 0.62, 0.56, 0.36, 0.75
TITLE_LINE = 0.17
TITLES = {1: (10.0, 0.092), 2: (10.0, 0.092), 3: (8.5, 0.08)}  # points, and inches a letter, by the number of columns
SIDES = {1: (9.0, 3.9), 2: (4.05, 3.3), 3: (2.55, 2.3)}  # width and height of a panel, by the number of columns
MANY = 6  # panels from which on there are three columns
EXPLANATION = "Lines: 95 % intervals. Dashed: to the control, the same method from the clean injection{noise}."
NOISE_NOTE = " or, under a feature attack, under noise of the same size"
TEACHER_SHAPE = "*"
SHAPES = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "h", "d")
LETTERS = tuple(f"${letter}$" for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ")


@dataclass(frozen=True)
class ModelPoint:
    """One model: its accuracy and its attack success, both rows of the summary."""

    method: str
    injection: str
    accuracy: Row
    attack: Row


@dataclass(frozen=True)
class TradeOffPanel:
    """The models of one teacher, data set and attack."""

    title: str
    metric: str
    points: tuple[ModelPoint, ...]


def panels(rows: Sequence[Row]) -> list[TradeOffPanel]:
    """Pair the accuracy of each attacked model with its attack success; groups without an attack have no panel."""
    several = len({row["teacher"] for row in shown(rows)}) > 1
    found = []
    for group in attack_groups(rows):
        mine = group_rows(rows, group)
        metric = attack_metric(mine)
        points = tuple(_points(mine, metric))
        if points:
            found.append(TradeOffPanel(group_title(group, mine, teacher=several), metric, points))
    return found


def _points(rows: Sequence[Row], metric: str) -> list[ModelPoint]:
    """Return the models that have both rates, in the order of the tables."""
    by_name = {(row["method"], row["injection"], row["metric"]): row for row in rows if row["mean"] is not None}
    pairs = [(name, by_name.get((*name, "accuracy")), by_name.get((*name, metric))) for name in model_names(rows)]
    return [ModelPoint(*name, accuracy, attack) for name, accuracy, attack in pairs if accuracy and attack]


def shapes(methods: Sequence[str]) -> dict[str, str]:
    """Give each method a mark of its own: the teacher a star, the others shapes and, when these run out, letters."""
    students = sorted(set(methods) - {TEACHER})
    marks = (*SHAPES, *LETTERS)
    return {TEACHER: TEACHER_SHAPE} | {name: marks[place % len(marks)] for place, name in enumerate(students)}


def draw(drawn: StudyResults) -> Figure:
    """Draw the figure of a study."""
    return draw_trade_off(drawn.students, drawn.controls)


def draw_trade_off(rows: Sequence[Row], controls: Mapping[str, str]) -> Figure:
    """Draw clean accuracy (across) against attack success (up) of every model of a summary, in percent.

    `controls` names the injection that each infected one is compared with. Marks are means, one shape per method: full
    for infected models, open for controls and, smaller, for noise of a feature attack's size. With one injection alone
    colours tell methods. Across data sets, where there is no target, attack success is the share of changed
    predictions. Says so where nothing attacks.
    """
    from matplotlib.figure import Figure

    drawn = panels(rows)
    if not drawn:
        return note("No attack in this study: nothing to trade accuracy for.")
    palette = Palette.of_rows(rows)
    injections = _injections(drawn, palette)
    looks = _looks(drawn, palette)
    columns = min(3 if len(drawn) > MANY else 2, len(drawn))
    lines = -(-len(drawn) // columns)
    width, side = SIDES[columns]
    titles = [_wrapped(panel.title, columns) for panel in drawn]
    head = HEAD + TITLE_LINE * max(title.count("\n") for title in titles)
    cell = head + side + FOOT
    named = injections if len(injections) > 1 else {}
    with style():
        legend = _legend_height(named) + _legend_height({name: method_title(name) for name in looks.shapes})
        height = MARGIN + legend + 0.1 + lines * cell + 0.24
        figure = Figure(figsize=(WIDTH, height))
        top = height - MARGIN
        top -= draw_injection_legend(figure, list(named), palette, top=top)
        top -= _draw_shapes(figure, looks, top=top) + 0.1
        for place, panel in enumerate(drawn):
            x = LEFT + (place % columns) * (width + GAP)
            y = top - (place // columns) * cell - head - side
            axes = figure.add_axes((x / WIDTH, y / height, width / WIDTH, side / height))
            axes.set_title(titles[place], loc="left", size=TITLES[columns][0], weight="bold", pad=6)
            _draw_panel(axes, panel, looks)
            _join(axes, panel, controls)
        noise = NOISE_NOTE if any(_noise(point) is not None for panel in drawn for point in panel.points) else ""
        figure.text(0.12 / WIDTH, 0.13 / height, EXPLANATION.format(noise=noise), color=QUIET, size=8, va="center")
        return figure


def _wrapped(text: str, columns: int) -> str:
    """Break a panel's title into lines that do not reach the next panel."""
    width, letter = SIDES[columns][0] + 0.5 * GAP, TITLES[columns][1]
    return "\n".join(textwrap.wrap(text, int(width / letter), break_on_hyphens=False))


@dataclass(frozen=True)
class Marks:
    """A mark for each method, a colour for each injection, or for each method where there is but one injection."""

    shapes: Mapping[str, str]
    palette: Palette
    methods: Mapping[str, str]

    def colour(self, method: str, injection: str) -> str:
        """Return the colour of a model."""
        return self.methods.get(method, self.palette.colours[injection])


def _looks(drawn: Sequence[TradeOffPanel], palette: Palette) -> Marks:
    """Choose marks and colours for all panels."""
    points = [point for panel in drawn for point in panel.points]
    present = {point.method for point in points}
    marks = {name: shape for name, shape in shapes(sorted(present)).items() if name in present}
    alone = len({point.injection for point in points}) == 1
    colours = {name: INFECTED_COLOURS[place % len(INFECTED_COLOURS)] for place, name in enumerate(marks)}
    return Marks(marks, palette, colours if alone else {})


def _noise(point: ModelPoint) -> float | None:
    """Return what noise of a feature attack's size does to a model, in percent."""
    control = point.attack["control"] if point.attack[KIND] == "feature" else None
    return None if control is None else 100 * float(control)


def _injections(drawn: Sequence[TradeOffPanel], palette: Palette) -> dict[str, str]:
    """Return the injections' names for the legend, infected ones first."""
    names = {point.injection for panel in drawn for point in panel.points}
    return {name: palette.title(name) for name in sorted(names, key=lambda name: (name in palette.controls, name))}


def _legend_height(texts: Mapping[str, str]) -> float:
    """Return the height of a legend in inches."""
    return LEGEND_LINE * legend_lines(texts)


def _draw_shapes(figure: Figure, looks: Marks, *, top: float) -> float:
    """Name the methods behind their marks, from `top` downwards; returns the height used, all in inches."""
    width, height = figure.get_size_inches()
    texts = {name: method_title(name) for name in looks.shapes}
    for name, (x, line, text) in legend_places(texts).items():
        y = (top - LEGEND_LINE * (line + 0.5)) / height
        shape, colour = looks.shapes[name], looks.methods.get(name, QUIET)
        figure.add_artist(mark(figure, x / width, y, colour=colour, face=colour, shape=shape, size=_size(shape)))
        figure.text((x + 0.12) / width, y, text, va="center_baseline")
    return _legend_height(texts)


def _size(shape: str) -> float:
    """Return a mark's size in points; a star's points are thin."""
    return 11.0 if shape == TEACHER_SHAPE else 7.0


def _draw_panel(axes: Axes, panel: TradeOffPanel, looks: Marks) -> None:
    """Draw the models of one panel; accuracy is zoomed to where the models are, attack success never."""
    axes.set_xlim(*_accuracy_range(panel.points))
    axes.set_ylim(-4, 104)
    axes.set_yticks([0, 25, 50, 75, 100])
    axes.grid(color=GRID, lw=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelcolor=QUIET)
    axes.spines[["left", "top", "right", "bottom"]].set_visible(False)
    axes.set_xlabel("accuracy on clean images, %", size=8.5, labelpad=3)
    axes.set_ylabel(f"{title(panel.metric)}, %", size=8.5, labelpad=2)
    # controls last: an open mark lets one that lies under it be seen, a full one would not
    for point in sorted(panel.points, key=lambda point: (point.injection in looks.palette.controls, point.method)):
        colour, shape = looks.colour(point.method, point.injection), looks.shapes[point.method]
        face = "none" if point.injection in looks.palette.controls else colour
        _draw_point(axes, point, colour=colour, face=face, shape=shape)
        noise = _noise(point)
        if noise is not None:
            _draw_noise(axes, point, noise, colour=colour, shape=shape)


def _draw_noise(axes: Axes, point: ModelPoint, noise: float, *, colour: str, shape: str) -> None:
    """Draw the open mark of noise below its model's, joined by a faint line."""
    x, y = 100 * point.accuracy["mean"], 100 * point.attack["mean"]
    axes.plot([x, x], [noise, y], color=QUIET, lw=0.7, ls=(0, (2, 2)), zorder=1)
    size = 0.7 * _size(shape)
    axes.plot([x], [noise], marker=shape, ms=size, mec=colour, mfc="none", mew=1.0, zorder=2.5, clip_on=False)


def _accuracy_range(points: Sequence[ModelPoint]) -> tuple[float, float]:
    """Return the range of accuracies with their intervals, in percent, with room around and at least 10 wide."""
    low = min(100 * _end(point.accuracy, "low") for point in points)
    high = max(100 * _end(point.accuracy, "high") for point in points)
    room = max(1.0, 0.06 * (high - low), (10 - (high - low)) / 2)
    return low - room, min(high + room, 101.5)


def _end(row: Row, name: str) -> float:
    """Return an end of a rate's interval; the rate itself where there is none."""
    return float(row["mean"] if row[name] is None else row[name])


def _join(axes: Axes, panel: TradeOffPanel, controls: Mapping[str, str]) -> None:
    """Join each infected model with its control, the same method, by a faint line."""
    points = {(point.method, point.injection): point for point in panel.points}
    for (method, injection), point in points.items():
        control = points.get((method, controls.get(injection, "")))
        if control is not None:
            ends = [point, control]
            xs, ys = ([100 * getattr(end, name)["mean"] for end in ends] for name in ("accuracy", "attack"))
            axes.plot(xs, ys, color=QUIET, lw=0.7, ls=(0, (2, 2)), zorder=1)


def _draw_point(axes: Axes, point: ModelPoint, *, colour: str, face: str, shape: str) -> None:
    """Draw one model: the intervals of both rates, and its mark."""
    x, y = 100 * point.accuracy["mean"], 100 * point.attack["mean"]
    across = [100 * _end(point.accuracy, name) for name in ("low", "high")]
    up = [100 * _end(point.attack, name) for name in ("low", "high")]
    axes.plot(across, [y, y], color=colour, lw=1.1, alpha=0.75, zorder=2)
    axes.plot([x, x], up, color=colour, lw=1.1, alpha=0.75, zorder=2)
    axes.plot([x], [y], marker=shape, ms=_size(shape), mec=colour, mfc=face, mew=1.5, zorder=3, clip_on=False)
