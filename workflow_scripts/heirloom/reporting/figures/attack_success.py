"""Accuracy and attack success, or the change against the control where nothing attacks: dots with intervals."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from heirloom.evaluation.metrics import TEACHER
from heirloom.reporting.drawing.study_figure import StudyFigure, StudyResults
from heirloom.reporting.drawing.style import (
    GRID,
    HALO,
    LEGEND_LINE,
    MARGIN,
    NOISE_MARK,
    QUIET,
    WIDTH,
    Palette,
    draw_injection_legend,
    legend_lines,
    legend_texts,
    note,
    style,
)
from heirloom.reporting.tables import KIND, Row
from heirloom.reporting.views import (
    attack_groups,
    attack_metric,
    dataset_title,
    group_rows,
    group_title,
    infected,
    model_names,
    shown,
)
from heirloom.reporting.wording import counts, method_title, number, title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FIGURE = StudyFigure(order=10, names=lambda _: ["attack_success"])

# all lengths in inches
RIGHT, GAP = 0.25, 0.5
HEAD, FOOT, BETWEEN, LANE, ROW_GAP = 0.88, 0.66, 0.2, 0.22, 0.16
ALONE_GAP = 0.04  # between methods of one injection: nothing has to be held together
BESIDE = 3  # attacks drawn side by side
CHARACTER = 0.085
TOLD_LINE, TOLD_WIDTH = 0.15, 160  # inches, characters
SCALE = (-2.0, 116.0)  # percent, with room for a number behind an interval that ends at 100
NARROW = (-2.0, 128.0)  # of three panels and more, where the number takes more of the scale
TICKS = (0, 25, 50, 75, 100)
EXPLANATION = "Dots: rates, for several seeds their mean. Lines: 95 % intervals (Wilson; t for several seeds)."
TOLD = " Attack success: of the images that are correct when clean."
NUMBER_GAP = 6.5  # points between a dot, or the end of its interval, and its number
PAIRED = " Differences: paired, with their own intervals."
DENOMINATORS = {
    "accuracy": "% of all test images",
    "targeted_success": "% of the correctly classified images of other classes",
    "untargeted_success": "% of the correctly classified images",
    "difference": "percentage points, infected minus control",
}
DIFFERENCE = "difference"
TOGETHER = "attack_success"  # metric of the attacks that stand side by side


@dataclass(frozen=True)
class Dot:
    """One value with its interval, in percent or points; `mean` is None where no image counts."""

    mean: float | None
    low: float | None
    high: float | None

    @classmethod
    def rate(cls, row: Row) -> Dot:
        """Take a row's rate."""
        return cls(_percent(row["mean"]), _percent(row["low"]), _percent(row["high"]))

    @classmethod
    def change(cls, row: Row) -> Dot:
        """Take a row's paired difference to its control."""
        ends = (row[name] for name in ("difference", "difference_low", "difference_high"))
        return cls(*map(_percent, ends))


def _percent(rate: float | None) -> float | None:
    return None if rate is None else 100 * rate


@dataclass(frozen=True)
class MetricPanel:
    """One panel: a metric of every model, by (method, injection), and the attack it is of where several are shown."""

    metric: str
    rows: dict[tuple[str, str], Row]
    attack: str = ""

    @property
    def dots(self) -> dict[tuple[str, str], Dot]:
        """What is drawn of each model."""
        of_row = Dot.change if self.metric == DIFFERENCE else Dot.rate
        return {name: of_row(row) for name, row in self.rows.items()}

    @property
    def noise(self) -> dict[tuple[str, str], float]:
        """What noise of a feature attack's size does to each model, in percent."""
        rows = {name: row for name, row in self.rows.items() if row[KIND] == "feature" and row["control"] is not None}
        return {name: 100 * row["control"] for name, row in rows.items()}


@dataclass(frozen=True)
class PanelRow:
    """Panels side by side: a teacher and data set, accuracy first, then one trigger or several other attacks."""

    title: str
    columns: tuple[MetricPanel, ...]
    methods: tuple[str, ...]
    injections: tuple[str, ...]
    palette: Palette

    @property
    def colours(self) -> Mapping[str, str]:
        """Colour of each injection."""
        return self.palette.colours

    @property
    def controls(self) -> frozenset[str]:
        """Injections of this block that others are compared with."""
        return self.palette.controls & set(self.injections)

    @property
    def noise(self) -> bool:
        """Whether any panel shows noise beside its attack."""
        return any(column.noise for column in self.columns)

    @property
    def legend(self) -> dict[str, str]:
        """The words of its legend."""
        return legend_texts(self.injections, self.palette, noise=self.noise)

    @property
    def head(self) -> float:
        """Height of its title and series in inches."""
        return HEAD + LEGEND_LINE * (legend_lines(self.legend) - 1)

    @property
    def row_height(self) -> float:
        """Height of a method in inches."""
        return len(self.injections) * LANE + (ROW_GAP if len(self.injections) > 1 else ALONE_GAP)

    @property
    def height(self) -> float:
        """Height of its panels in inches."""
        return max(len(self.methods) * self.row_height, LANE + ROW_GAP)


def blocks(rows: Sequence[Row]) -> list[PanelRow]:
    """Arrange a summary's rows into blocks; rows that several experiments share are drawn once.

    A trigger has a block of its own, since others see it; the other attacks on a data set stand side by side.
    """
    palette = Palette.of_rows(rows)
    several = len({row["teacher"] for row in shown(rows)}) > 1
    found = [(group, group_rows(rows, group)) for group in attack_groups(rows)]
    return [
        _block(chunk, palette, infected(rows), several=several)
        for _, groups in groupby(found, key=_beside)
        for chunk in _chunks(list(groups), BESIDE)
    ]


Group = tuple[tuple[str, ...], list[Row]]


def _beside(group: Group) -> tuple[str, ...]:
    """Return what the groups of one block share."""
    (teacher, dataset, attack, budget, condition), rows = group
    own = () if attack_metric(rows) == TOGETHER else (attack, budget)
    return teacher, dataset, condition, *own


def _chunks(items: Sequence[Group], size: int) -> list[Sequence[Group]]:
    """Cut a sequence into parts of at most `size`."""
    return [items[start : start + size] for start in range(0, len(items), size)]


def _block(groups: Sequence[Group], palette: Palette, ill: set[str], *, several: bool) -> PanelRow:
    """Arrange one block: the teacher first, then the methods that pass on most."""
    rows = [row for _, mine in groups for row in mine]
    accuracy = {(row["method"], row["injection"]): row for row in rows if row["metric"] == "accuracy"}
    attacks = [_column(group, mine, together=attack_metric(mine) == TOGETHER) for group, mine in groups]
    injections = sorted({name for _, name in model_names(rows)}, key=lambda name: (name not in ill, name))
    return PanelRow(
        title=_title(groups, several=several),
        columns=(MetricPanel("accuracy", accuracy), *attacks),
        methods=_method_order(rows, attacks[0].rows or accuracy, ill & set(injections)),
        injections=tuple(injections),
        palette=palette,
    )


def _title(groups: Sequence[Group], *, several: bool) -> str:
    """Name a block."""
    group, rows = groups[0]
    if attack_metric(rows) != TOGETHER:
        return group_title(group, rows, teacher=several)
    teacher, dataset, _, _, condition = group
    parts = (f"teacher {teacher}" if several else "", dataset_title(dataset), condition)
    return ", ".join(part for part in parts if part)


def _column(group: Sequence[str], rows: Sequence[Row], *, together: bool) -> MetricPanel:
    """Arrange one attack; where nothing attacks, the change of accuracy against the control, if there is one."""
    metric = attack_metric(rows)
    if not metric:
        changed = {_name(row): row for row in rows if row["metric"] == "accuracy" and row["control"] is not None}
        return MetricPanel(DIFFERENCE if changed else "", changed)
    found = {_name(row): row for row in rows if row["metric"] == metric}
    return MetricPanel(metric, found, group[2] if together else "")


def _name(row: Row) -> tuple[str, str]:
    return row["method"], row["injection"]


def _method_order(rows: Sequence[Row], ranked: Mapping[tuple[str, str], Row], ill: set[str]) -> tuple[str, ...]:
    """Order methods: the teacher, then by what infected models take over at most, then by name."""
    most: dict[str, float] = {}
    for (method, injection), row in ranked.items():
        if (injection in ill or not ill) and row["mean"] is not None:
            # without an attack, what is taken over is the loss of accuracy
            effect = row["mean"] if row["metric"] != "accuracy" else -(row["difference"] or 0.0)
            most[method] = max(most.get(method, effect), effect)
    methods = {row["method"] for row in rows}
    return tuple(sorted(methods, key=lambda name: (name != TEACHER, -most.get(name, -1.0), name)))


def draw(drawn: StudyResults) -> Figure:
    """Draw the figure of a study."""
    return draw_attack_success(drawn.students)


def draw_attack_success(rows: Sequence[Row]) -> Figure:
    """Draw accuracy (left) and attack success (right) for every data set and attack of a summary.

    Dots are means, lines 95 % intervals, numbers percentages; counts stand in the axis labels. An open diamond is noise
    of a feature attack's size. Where nothing attacks but there is a control (poison), the right panel shows the paired
    difference of accuracy. A summary without rows gives a figure that says so.
    """
    from matplotlib.figure import Figure

    arranged = blocks(rows)
    if not arranged:
        return note("No data: the summary has no rows.")
    told = textwrap.wrap(_explanation(arranged), TOLD_WIDTH)
    with style():
        height = sum(block.head + block.height + FOOT for block in arranged) + BETWEEN * len(arranged) + MARGIN
        height += TOLD_LINE * (len(told) - 1)
        figure = Figure(figsize=(WIDTH, height))
        left = 0.35 + CHARACTER * max(len(method_title(method)) for block in arranged for method in block.methods)
        top = height - MARGIN
        for block in arranged:
            _draw_block(figure, block, left=left, top=top, height=height)
            top -= block.head + block.height + FOOT + BETWEEN
        figure.text(0.12 / WIDTH, 0.08 / height, "\n".join(told), color=QUIET, size=8, va="bottom")
        return figure


def _explanation(arranged: Sequence[PanelRow]) -> str:
    """Say what the marks of some blocks mean."""
    metrics = {column.metric for block in arranged for column in block.columns}
    return EXPLANATION + (PAIRED if DIFFERENCE in metrics else "") + (TOLD if TOGETHER in metrics else "")


def _draw_block(figure: Figure, block: PanelRow, *, left: float, top: float, height: float) -> None:
    """Draw one pair of panels below `top`, the first from `left` on (inches from the lower left corner)."""
    width = (WIDTH - left - RIGHT - GAP * (len(block.columns) - 1)) / len(block.columns)
    figure.text(0.12 / WIDTH, (top - 0.14) / height, block.title, weight="bold", size=11, va="center")
    draw_injection_legend(figure, block.injections, block.palette, top=top - 0.3, noise=block.noise)
    rates = SCALE if len(block.columns) == 2 else NARROW
    for place, column in enumerate(block.columns):
        x = left + place * (width + GAP)
        axes = figure.add_axes(
            (x / WIDTH, (top - block.head - block.height) / height, width / WIDTH, block.height / height)
        )
        dots = column.dots
        _prepare_panel(axes, block, scale_of(dots.values()) if column.metric == DIFFERENCE else rates, named=place == 0)
        _draw_panel(axes, block, column)
        if column.rows:
            _title_panel(axes, column)


def scale_of(dots: Iterable[Dot]) -> tuple[float, float]:
    """Return the range of differences in points, with 0 in it and room for a number on the right."""
    ends = [end for dot in dots for end in (dot.low, dot.mean, dot.high) if end is not None]
    low, high = min([0.0, *ends]), max([0.0, *ends])
    span = max(high - low, 4.0)
    return low - 0.08 * span, high + 0.25 * span


def _prepare_panel(axes: Axes, block: PanelRow, scale: tuple[float, float], *, named: bool) -> None:
    """Draw what carries the data: a scale, faint lines, the names of the methods."""
    from matplotlib.ticker import MaxNLocator

    axes.set_xlim(*scale)
    axes.set_ylim(len(block.methods) - 0.5, -0.5)
    steps = TICKS if scale in (SCALE, NARROW) else MaxNLocator(5).tick_values(*scale)
    ticks = [step for step in steps if scale[0] <= step <= scale[1]]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.tick_params(length=0)
    axes.spines[["left", "top", "right", "bottom"]].set_visible(False)
    axes.vlines(ticks, len(block.methods) - 0.5, -0.5, color=GRID, lw=0.8, zorder=0)
    axes.hlines([place + 0.5 for place in range(len(block.methods) - 1)], *scale, color=GRID, lw=0.5, zorder=0)
    axes.set_yticks(range(len(block.methods)), [method_title(name) if named else "" for name in block.methods])


def _title_panel(axes: Axes, column: MetricPanel) -> None:
    """Name the metric above a panel and its denominator below."""
    low, high = axes.get_xlim()
    start = 0.0 if column.metric == DIFFERENCE else -low / (high - low)
    named = {"accuracy": "accuracy, clean images", DIFFERENCE: "accuracy against the control"}
    name = column.attack or named.get(column.metric) or title(column.metric)
    name = name if column.attack else name[0].upper() + name[1:]
    axes.set_title(name, loc="left", size=10, pad=5, x=start)
    counted = counts(list(column.rows.values()))
    measured = f"{title(column.metric)}, %" if column.attack else DENOMINATORS.get(column.metric, "%")
    axes.set_xlabel(f"{measured}\nn = {counted}", labelpad=3, loc="left", size=8.5)
    axes.xaxis.label.set_x(start)


def _draw_panel(axes: Axes, block: PanelRow, column: MetricPanel) -> None:
    """Draw the dots, intervals and values of one metric."""
    if not column.rows:
        text = "no attack in this study" if not column.metric else "not measured"
        axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=QUIET)
        return
    if column.metric == DIFFERENCE:
        axes.axvline(0, color=QUIET, lw=1, zorder=1)
    lane = LANE / block.row_height
    noise = column.noise
    for (method, injection), dot in sorted(column.dots.items(), key=lambda item: item[0]):
        offset = (block.injections.index(injection) - (len(block.injections) - 1) / 2) * lane
        y = block.methods.index(method) + offset
        colour, face = block.colours[injection], block.palette.face(injection)
        if (method, injection) in noise:
            _draw_noise(axes, noise[method, injection], y=y, colour=colour)
        draw_dot(axes, dot, y=y, colour=colour, face=face, sign=column.metric == DIFFERENCE)


def _draw_noise(axes: Axes, value: float, *, y: float, colour: str) -> None:
    """Draw the open diamond of noise."""
    axes.plot([value], [y], **NOISE_MARK, mec=colour, mfc="white", zorder=2.5, clip_on=False)


def draw_dot(axes: Axes, dot: Dot, *, y: float, colour: str, face: str, sign: bool, mark: str = "") -> None:
    """Draw one value on a panel whose limits are set: its interval, its dot, its number and a mark behind that."""
    low, high = axes.get_xlim()
    step = (high - low) / (SCALE[1] - SCALE[0])
    if dot.mean is None:
        axes.text(max(low, 0.0) + 1.5 * step, y, "no image counts", va="center_baseline", color=QUIET, size=8)
        return
    end = dot.mean
    if dot.low is not None and dot.high is not None:
        axes.plot([dot.low, dot.high], [y, y], color=colour, lw=1.6, solid_capstyle="round", zorder=2)
        end = max(end, dot.high)
    axes.plot([dot.mean], [y], marker="o", ms=6, mec=colour, mfc=face, mew=1.6, zorder=3)
    text = f"{number(dot.mean / 100, sign=sign)}{mark}"
    axes.annotate(
        text,
        (end, y),
        xytext=(NUMBER_GAP, 0),
        textcoords="offset points",
        va="center_baseline",
        color=colour,
        size=8.5,
        bbox=HALO,
    )
