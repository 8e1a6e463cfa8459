"""Robust models before and after repairs, or side by side: what they get right, and the paired difference.

Dots with intervals; where many models stand under many attacks, a matrix of cells.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from heirloom.config.names import CLEAN, UNREPAIRED, shown_from
from heirloom.reporting import repairs
from heirloom.reporting.attack_suites import DOUBT
from heirloom.reporting.drawing import matrix
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
    legend_texts,
    note,
    style,
)
from heirloom.reporting.figures.attack_success import CHARACTER, NARROW, TICKS, Dot, draw_dot, scale_of
from heirloom.reporting.tables import Row, of_methods
from heirloom.reporting.wording import counts

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FIGURE = StudyFigure(order=40, names=lambda grid: ["robustness"] if grid.robust_experiments else [])

# all lengths in inches
GAP, RIGHT = 0.45, 0.25
HEAD, FOOT, BETWEEN, LANE, ROW_GAP, LINE = 0.62, 0.62, 0.16, 0.2, 0.14, 0.15
TALLEST = 12.0  # of dots, from which on a matrix shows models that stand side by side
EXPLANATION = (
    "Dots: rates, for several seeds their mean. Lines: 95 % intervals (Wilson; t over seeds or images). Differences:"
    " paired, with their own intervals."
)
DOUBTED = f"{DOUBT} not credible: {repairs.DOUBTED}."
DIFFERENCES_DOUBTED = " Behind a difference: one of its two rates is not credible."


@dataclass(frozen=True, eq=False)
class ModelBlock:
    """One robust model, or all attacked ones of a data set: what is shown, and of each rates and differences by method.

    `side_by_side`: the methods are models of their own, none of which the others were made from.
    """

    title: str
    shown: tuple[str, ...]
    rates: Mapping[tuple[str, str], Row]
    changes: Mapping[tuple[str, str], Row]
    methods: tuple[str, ...]
    baseline: str
    side_by_side: bool

    @property
    def doubted(self) -> frozenset[tuple[str, str]]:
        """What the gate does not believe, by what was shown and method."""
        return frozenset(key for key, row in self.rates.items() if row["credible"] is False)

    @property
    def row_height(self) -> float:
        """Height of one thing shown, in inches."""
        return len(self.methods) * LANE + ROW_GAP

    @property
    def height(self) -> float:
        """Height of its panels in inches."""
        return len(self.shown) * self.row_height

    @property
    def is_matrix(self) -> bool:
        """Whether it has too many dots for a page."""
        return self.side_by_side and self.height > TALLEST

    def head(self, palette: Palette) -> float:
        """Height of its title and legend in inches."""
        return HEAD + LEGEND_LINE * legend_lines(legend_texts(self.methods, palette))

    def whole(self, palette: Palette) -> float:
        """Height of everything that belongs to it, in inches."""
        used = matrix.height_of(self) if self.is_matrix else self.head(palette) + self.height + FOOT
        return used + BETWEEN


def blocks(rows: Sequence[Row], comparisons: Sequence[Row]) -> list[ModelBlock]:
    """Arrange a summary's rows of robust models; rows that several experiments share are drawn once."""
    compared = dict(repairs.by_model([row for row in comparisons if of_methods(row)]))
    return [_block(model, mine, compared.get(model, [])) for model, mine in repairs.by_model(rows)]


def _block(model: tuple[str, str], rows: Sequence[Row], changes: Sequence[Row]) -> ModelBlock:
    """Arrange one model; of several baselines the unrepaired model is drawn, else the one with the most comparisons."""
    compared = Counter(row["baseline"] for row in changes)
    baselines = sorted(compared, key=lambda name: (name != UNREPAIRED, -compared[name], name))
    mine = [row for row in changes if row["baseline"] == baselines[0]]
    several = repairs.several_sources(rows)
    methods = dict.fromkeys(row["method"] for row in rows)
    dataset, teacher = model
    return ModelBlock(
        title=dataset if teacher == CLEAN else f"{teacher}, {dataset}",
        shown=tuple(dict.fromkeys(repairs.label(row, several=several) for row in rows)),
        rates={(repairs.label(row, several=several), row["method"]): row for row in rows},
        changes={(repairs.label(row, several=several), row["method"]): row for row in mine},
        methods=tuple(sorted(methods, key=lambda name: (name not in {UNREPAIRED, *baselines[:1]}, name))),
        baseline=baselines[0] if baselines else "",
        side_by_side=teacher == CLEAN,
    )


def draw(drawn: StudyResults) -> Figure:
    """Draw the figure of a study."""
    return draw_robustness(drawn.robust, drawn.comparisons)


def draw_robustness(rows: Sequence[Row], comparisons: Sequence[Row]) -> Figure:
    """Draw accuracy, corruption accuracy and robust accuracy of each robust model before and after its repairs.

    Left the rates in percent, right the paired differences from the baseline in points; both with 95 % intervals. A
    robust accuracy that the gate does not believe has a mark. Models that stand side by side and would make a block
    higher than TALLEST are drawn as a matrix. A summary without such rows gives a figure that says so.
    """
    from matplotlib.figure import Figure

    arranged = blocks(rows, comparisons)
    if not arranged:
        return note("No robust models in this study.")
    palettes = _palettes(arranged)
    told = _explanation(arranged)
    with style():
        heights = [block.whole(palettes[block]) for block in arranged]
        height = sum(heights) + MARGIN + 0.1 + LINE * told.count("\n")
        figure = Figure(figsize=(WIDTH, height))
        lines = [line for block in arranged for label in block.shown for line in _name(label).splitlines()]
        left = 0.35 + CHARACTER * max(map(len, lines))
        top = height - MARGIN
        for block, used in zip(arranged, heights, strict=True):
            if block.is_matrix:
                matrix.draw_matrix(figure, block, list(map(_name, block.shown)), left=left, top=top)
            else:
                _draw_block(figure, block, palettes[block], left=left, top=top)
            top -= used
        figure.text(0.12 / WIDTH, 0.08 / height, told, color=QUIET, size=8, va="bottom", linespacing=1.3)
        return figure


def _explanation(arranged: Sequence[ModelBlock]) -> str:
    """Say what the marks are that these blocks have."""
    dots = any(not block.is_matrix for block in arranged)
    told = [EXPLANATION] * dots + [matrix.EXPLANATION] * any(block.is_matrix for block in arranged)
    if any(block.doubted for block in arranged):
        told.append(DOUBTED + DIFFERENCES_DOUBTED * dots)
    return "\n".join(told)


def _palettes(arranged: Sequence[ModelBlock]) -> dict[ModelBlock, Palette]:
    """Give each method a colour; what others are compared with is open, and grey where they were made from it.

    Repairs have the same colour in every block. Models that stand side by side are others in each.
    """
    repaired = [block for block in arranged if not block.side_by_side]
    first = {UNREPAIRED} | {block.baseline for block in repaired if block.baseline in block.methods}
    names = sorted({name for block in repaired for name in block.methods} - first)
    colours = {name: INFECTED_COLOURS[place % len(INFECTED_COLOURS)] for place, name in enumerate(names)}
    repairs_palette = Palette(dict.fromkeys(sorted(first), QUIET) | colours, frozenset(first), "baseline")
    return {
        block: Palette.beside(block.methods, [block.baseline]) if block.side_by_side else repairs_palette
        for block in arranged
    }


def _draw_block(figure: Figure, block: ModelBlock, palette: Palette, *, left: float, top: float) -> None:
    """Draw one model below `top`, its first panel from `left` on (inches from the lower left corner)."""
    height = figure.get_figheight()
    figure.text(0.12 / WIDTH, (top - 0.14) / height, block.title, weight="bold", size=11, va="center")
    draw_injection_legend(figure, block.methods, palette, top=top - 0.3)
    width = (WIDTH - left - RIGHT - GAP) / 2
    bottom = top - block.head(palette) - block.height
    sides = [(block.rates, Dot.rate)] + ([(block.changes, _change)] if block.changes else [])
    for place, (found, dot_of) in enumerate(sides):
        box = ((left + place * (width + GAP)) / WIDTH, bottom / height, width / WIDTH, block.height / height)
        axes = figure.add_axes(box)
        dots = {key: dot_of(row) for key, row in found.items()}
        _prepare(axes, block, NARROW if place == 0 else scale_of(dots.values()), named=place == 0)
        _draw_panel(axes, block, dots, palette, sign=place == 1)
        _title_panel(axes, block, changes=place == 1)


def _change(row: Row) -> Dot:
    """Take a comparison's paired difference."""
    return Dot(*(None if row[name] is None else 100 * row[name] for name in ("difference", "low", "high")))


def _prepare(axes: Axes, block: ModelBlock, scale: tuple[float, float], *, named: bool) -> None:
    """Draw what carries the data: a scale, faint lines, the names of what was shown."""
    from matplotlib.ticker import MaxNLocator

    axes.set_xlim(*scale)
    axes.set_ylim(len(block.shown) - 0.5, -0.5)
    steps = TICKS if named else MaxNLocator(5).tick_values(*scale)
    ticks = [step for step in steps if scale[0] <= step <= scale[1]]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.tick_params(length=0)
    axes.spines[["left", "top", "right", "bottom"]].set_visible(False)
    axes.vlines(ticks, len(block.shown) - 0.5, -0.5, color=GRID, lw=0.8, zorder=0)
    axes.hlines([place + 0.5 for place in range(len(block.shown) - 1)], *scale, color=GRID, lw=0.5, zorder=0)
    if not named:
        axes.axvline(0, color=QUIET, lw=1, zorder=1)
    names = [_name(label) for label in block.shown]
    axes.set_yticks(range(len(names)), names if named else [""] * len(names))


def _name(label: str) -> str:
    """Name what was shown, the model that it came through on a line of its own."""
    through = shown_from("")
    return label.replace(f" {through}", f"\n{through}")


def _draw_panel(
    axes: Axes, block: ModelBlock, dots: Mapping[tuple[str, str], Dot], palette: Palette, *, sign: bool
) -> None:
    """Draw the dots, intervals and numbers of one side."""
    lane = LANE / block.row_height
    for (label, method), dot in dots.items():
        offset = (block.methods.index(method) - (len(block.methods) - 1) / 2) * lane
        y = block.shown.index(label) + offset
        judged = {(label, method), (label, block.baseline)} if sign else {(label, method)}
        mark = DOUBT if judged & block.doubted else ""
        draw_dot(axes, dot, y=y, colour=palette.colours[method], face=palette.face(method), sign=sign, mark=mark)


def _title_panel(axes: Axes, block: ModelBlock, *, changes: bool) -> None:
    """Name a side above and its denominator below."""
    name = f"Paired difference from {block.baseline}" if changes else "Classified correctly"
    unit = "percentage points" if changes else f"% of the test images\nn = {counts(list(block.rates.values()))}"
    axes.set_title(name, loc="left", size=10, pad=5)
    axes.set_xlabel(unit, labelpad=3, loc="left", size=8.5)
