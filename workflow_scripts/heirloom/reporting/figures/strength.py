"""Robust accuracy against the strength of attacks: a panel a ladder, a line a model, from weak to strong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from heirloom.evaluation.metrics import CLEAN
from heirloom.reporting.attack_suites import ROBUST, bound_of, facts_of
from heirloom.reporting.drawing.study_figure import StudyFigure, StudyResults
from heirloom.reporting.drawing.style import (
    GRID,
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
from heirloom.reporting.tables import Row, is_measured
from heirloom.reporting.wording import counts

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FIGURE = StudyFigure(order=70, names=lambda grid: ["strength"] if grid.ladders else [])

Ladders = Mapping[str, Mapping[str, Sequence[str]]]  # attacks from weak to strong by experiment and ladder

# all lengths in inches
LEFT, RIGHT, TITLE, PANEL, WORD, FOOT, LAST = 0.75, 0.2, 0.42, 2.6, 0.15, 0.3, 0.5
LANE = 0.08  # between models beside each other
ROOM = 0.6  # of a step that they take at most
EXPLANATION = (
    "Dots: accuracy, for several seeds their mean. Lines: 95 % intervals (Wilson; t over seeds). Open dots: not"
    " credible, since another attack of the same norm\nand no larger epsilon leaves less."
)


@dataclass(frozen=True)
class Ladder:
    """One ladder: its steps with their words, first the clean images, and each model's rows by step."""

    dataset: str
    title: str
    words: tuple[str, ...]
    rows: Mapping[str, tuple[Row | None, ...]]

    @property
    def height(self) -> float:
        """Height with its title and words in inches."""
        lines = max(word.count("\n") + 1 for word in self.words)
        return TITLE + PANEL + WORD * lines + FOOT


def panels(rows: Sequence[Row], ladders: Ladders) -> list[Ladder]:
    """Arrange a summary's rows by ladder; attacks on models themselves alone."""
    found = []
    for experiment, named in ladders.items():
        mine = [row for row in rows if row["experiment"] == experiment and is_measured(row) and not row["condition"]]
        found += [_panel(mine, f"{experiment}: {ladder}", steps) for ladder, steps in named.items()]
    return [panel for panel in found if panel.rows]


def _panel(rows: Sequence[Row], heading: str, steps: Sequence[str]) -> Ladder:
    """Arrange one ladder."""
    wanted = {CLEAN: "accuracy", **dict.fromkeys(steps, ROBUST)}
    cells = {(row["method"], row["attack"]): row for row in rows if row["metric"] == wanted.get(row["attack"])}
    budgets = {row["attack"]: row["budget"] for row in cells.values()}
    methods = sorted({method for method, _ in cells})
    bounds = dict.fromkeys(bound for step in steps if (bound := bound_of(budgets.get(step, "{}"))))
    return Ladder(
        dataset=next((row["dataset"] for row in cells.values()), ""),
        title=f"{heading} ({', '.join(bounds)})" if bounds else heading,
        words=tuple(_words(step, budgets) for step in wanted),
        rows={method: tuple(cells.get((method, step)) for step in wanted) for method in methods},
    )


def _words(step: str, budgets: Mapping[str, str]) -> str:
    """Say what an attack takes: pgd, 40 steps, x 5, raw."""
    if step == CLEAN:
        return "clean"
    facts = facts_of(budgets.get(step, "{}"))
    parts = [str(facts.get("kind", step))]
    parts += [f"{facts['steps']} step{'s' * (facts['steps'] > 1)}"] if "steps" in facts else []
    parts += [f"{facts['start']} start"] if "start" in facts else []
    parts += [f"{facts['queries']} queries"] if "queries" in facts else []
    parts += [f"{facts['restarts']} starts"] if facts.get("restarts", 1) > 1 else []
    parts += [str(facts["loss"])] if "loss" in facts else []
    parts += [str(facts["through"])] if "through" in facts else []
    return "\n".join(parts)


def draw(drawn: StudyResults) -> Figure:
    """Draw the figure of a study."""
    return draw_strength(drawn.robust, drawn.ladders)


def draw_strength(rows: Sequence[Row], ladders: Ladders) -> Figure:
    """Draw each ladder of a study; a robust accuracy that the gate does not believe has an open dot.

    A summary without such rows gives a figure that says so.
    """
    from matplotlib.figure import Figure

    arranged = panels(rows, ladders)
    if not arranged:
        return note("No ladder of attacks in this study.")
    groups = [(_palette(mine), mine) for mine in _by_dataset(arranged)]
    heads = [LEGEND_LINE * legend_lines(legend_texts(list(palette.colours), palette)) for palette, _ in groups]
    with style():
        height = MARGIN + sum(heads) + sum(panel.height for panel in arranged) + LAST
        figure = Figure(figsize=(WIDTH, height))
        top = height - MARGIN
        for (palette, mine), head in zip(groups, heads, strict=True):
            draw_injection_legend(figure, list(palette.colours), palette, top=top)
            top -= head
            for panel in mine:
                _draw_panel(figure, panel, palette, top=top)
                top -= panel.height
        figure.text(0.12 / WIDTH, 0.08 / height, EXPLANATION, color=QUIET, size=8, va="bottom", linespacing=1.3)
        return figure


def _by_dataset(arranged: Sequence[Ladder]) -> list[list[Ladder]]:
    """Group the ladders of one data set, whose models are the same or stand side by side."""
    names = dict.fromkeys(panel.dataset for panel in arranged)
    return [[panel for panel in arranged if panel.dataset == name] for name in names]


def _palette(mine: Sequence[Ladder]) -> Palette:
    """Give the models of one data set their colours."""
    return Palette.beside(name for panel in mine for name in panel.rows)


def _draw_panel(figure: Figure, panel: Ladder, palette: Palette, *, top: float) -> None:
    """Draw one ladder below `top` inches."""
    height = figure.get_figheight()
    figure.text(0.12 / WIDTH, (top - 0.18) / height, panel.title, weight="bold", size=11, va="center")
    box = (LEFT / WIDTH, (top - TITLE - PANEL) / height, (WIDTH - LEFT - RIGHT) / WIDTH, PANEL / height)
    axes = figure.add_axes(box)
    _prepare(axes, panel)
    lane = min(LANE * len(panel.words) / (WIDTH - LEFT - RIGHT), ROOM / len(panel.rows))
    for place, (method, rows) in enumerate(panel.rows.items()):
        offset = (place - (len(panel.rows) - 1) / 2) * lane
        _draw_model(axes, rows, colour=palette.colours[method], offset=offset)


def _prepare(axes: Axes, panel: Ladder) -> None:
    """Draw what carries the data: a scale of percent, the words of the steps."""
    axes.set_xlim(-0.5, len(panel.words) - 0.5)
    axes.set_ylim(-3, 103)
    axes.set_xticks(range(len(panel.words)), panel.words, size=8)
    axes.set_yticks(range(0, 101, 20))
    axes.tick_params(length=0)
    axes.spines[["left", "top", "right"]].set_visible(False)
    axes.grid(axis="y", color=GRID, lw=0.8)
    axes.set_axisbelow(True)
    shown = [row for rows in panel.rows.values() for row in rows if row is not None]
    axes.set_ylabel(f"classified correctly, %\nn = {counts(shown)}", size=8.5)


def _draw_model(axes: Axes, rows: Sequence[Row | None], *, colour: str, offset: float) -> None:
    """Draw one model's line, its intervals and its dots."""
    known = [(place + offset, row) for place, row in enumerate(rows) if row is not None and row["mean"] is not None]
    axes.plot([x for x, _ in known], [100 * row["mean"] for _, row in known], color=colour, lw=1.4, zorder=2)
    for x, row in known:
        if row["low"] is not None:
            axes.plot([x, x], [100 * row["low"], 100 * row["high"]], color=colour, lw=1, zorder=2)
        face = "white" if row["credible"] is False else colour
        axes.plot([x], [100 * row["mean"]], marker="o", ms=5, mec=colour, mfc=face, mew=1.4, ls="", zorder=3)
