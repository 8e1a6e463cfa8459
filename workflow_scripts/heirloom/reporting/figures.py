"""Figures of a summary with reproducible bytes: dots with intervals, one row per method, infected beside control."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from heirloom.evaluation.metrics import CLEAN, TEACHER
from heirloom.reporting.tables import Row
from heirloom.reporting.views import attack_groups, group_rows, model_names
from heirloom.reporting.wording import counts, number, title
from heirloom.runtime.files import atomic_path

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Paul Tol's high-contrast pair for the question asked, then his muted colours: apart for every kind of colour vision
# and in grey.
CONTROL_COLOURS = ("#4477AA", "#88A7C8")
INFECTED_COLOURS = ("#BB5566", "#997700", "#117733", "#882255", "#44AA99", "#663300")
INK, QUIET, GRID = "#222B36", "#66717D", "#DDE2E7"
STYLE: Mapping[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "axes.edgecolor": QUIET,
    "axes.linewidth": 0.8,
    "text.color": INK,
    "axes.labelcolor": QUIET,
    "xtick.color": QUIET,
    "ytick.color": INK,
    "pdf.fonttype": 42,
    "svg.hashsalt": "heirloom",
}
# all lengths in inches
WIDTH, RIGHT, GAP = 10.0, 0.25, 0.55
HEAD, FOOT, BETWEEN, LANE, ROW_GAP, MARGIN = 0.88, 0.66, 0.2, 0.22, 0.16, 0.14
CHARACTER, SERIES_LINE = 0.085, 0.24
DOTS_PER_INCH = 200
SCALE = (-2, 116)  # percent, with room for a number behind an interval that ends at 100
LEFT_OF_ZERO = -SCALE[0] / (SCALE[1] - SCALE[0])
HALO = {"facecolor": "white", "edgecolor": "none", "pad": 0.8}  # keeps grid lines out of the numbers
EXPLANATION = "Dots: rates, for several seeds their mean. Lines: 95 % intervals (Wilson; t for several seeds)."
ATTACK_METRICS = ("targeted_success", "untargeted_success")
DENOMINATORS = {
    "accuracy": "% of all test images",
    "targeted_success": "% of the correctly classified images of other classes",
    "untargeted_success": "% of the correctly classified images",
}


@dataclass(frozen=True)
class Block:
    """One pair of panels: a teacher, data set and attack."""

    title: str
    accuracy: dict[tuple[str, str], Row]
    attack: dict[tuple[str, str], Row]
    metric: str
    methods: tuple[str, ...]
    injections: tuple[str, ...]
    colours: Mapping[str, str]
    controls: frozenset[str]

    @property
    def head(self) -> float:
        """Height of its title and series in inches."""
        return HEAD + SERIES_LINE * max(line for _, line, _ in self.series().values())

    def series(self) -> dict[str, tuple[float, int, str]]:
        """Place the injections' names: inches from the left, line, text; a name that would leave the page wraps."""
        places: dict[str, tuple[float, int, str]] = {}
        x, line = 0.17, 0
        for name in self.injections:
            text = f"{name} (control)" if name in self.controls else name
            width = 0.45 + 0.092 * len(text)
            if places and x + width > WIDTH:
                x, line = 0.17, line + 1
            places[name] = (x, line, text)
            x += width
        return places

    @property
    def height(self) -> float:
        """Height of its panels in inches."""
        return len(self.methods) * (len(self.injections) * LANE + ROW_GAP)


def blocks(rows: Sequence[Row]) -> list[Block]:
    """Arrange a summary's rows into blocks; rows that several experiments share are drawn once."""
    several = len({row["teacher"] for row in rows}) > 1
    return [_block(group_rows(rows, group), group, several=several) for group in attack_groups(rows)]


def _block(rows: Sequence[Row], group: Sequence[str], *, several: bool) -> Block:
    """Arrange one block: the teacher first, then the methods that pass on most."""
    teacher, dataset, attack, _, condition = group
    present = {row["metric"] for row in rows if row["attack"] != CLEAN}
    metric = next((name for name in ATTACK_METRICS if name in present), "")
    by_metric = {name: {(r["method"], r["injection"]): r for r in rows if r["metric"] == name} for name in present}
    accuracy = {(row["method"], row["injection"]): row for row in rows if row["metric"] == "accuracy"}
    shown = by_metric.get(metric, {})
    infected = {row["injection"] for row in rows if row["control"] is not None}
    injections = sorted({name for _, name in model_names(rows)}, key=lambda name: (name not in infected, name))
    heads = [dataset, "" if attack == CLEAN else f"trigger {attack}", condition]
    return Block(
        title=", ".join(part for part in ([f"teacher {teacher}"] if several else []) + heads if part),
        accuracy=accuracy,
        attack=shown,
        metric=metric,
        methods=_method_order(rows, shown or accuracy, infected),
        injections=tuple(injections),
        colours=_colours(injections, infected),
        controls=frozenset(injections) - infected if infected else frozenset(),
    )


def _method_order(rows: Sequence[Row], ranked: Mapping[tuple[str, str], Row], infected: set[str]) -> tuple[str, ...]:
    """Order methods: the teacher, then by the highest mean among infected models, then by name."""
    best: dict[str, float] = {}
    for (method, injection), row in ranked.items():
        if (injection in infected or not infected) and row["mean"] is not None:
            best[method] = max(best.get(method, 0.0), row["mean"])
    methods = {row["method"] for row in rows}
    return tuple(sorted(methods, key=lambda name: (name != TEACHER, -best.get(name, 0.0), name)))


def _colours(injections: Sequence[str], infected: set[str]) -> dict[str, str]:
    """Give controls the quiet colours and infected models the warm one first."""
    colours: dict[str, str] = {}
    for palette, names in (
        (INFECTED_COLOURS, [name for name in injections if name in infected]),
        (CONTROL_COLOURS, [name for name in injections if name not in infected]),
    ):
        colours |= {name: palette[place % len(palette)] for place, name in enumerate(names)}
    return colours


@contextmanager
def _style() -> Iterator[None]:
    """Draw with our settings alone, whatever a user's matplotlibrc says."""
    import matplotlib as mpl

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        yield


def draw_attack_success(rows: Sequence[Row]) -> Figure:
    """Draw accuracy (left) and attack success (right) for every data set and attack of a summary.

    Dots are means, lines 95 % intervals, numbers percentages; counts stand in the axis labels. A summary without rows
    gives a figure that says so.
    """
    from matplotlib.figure import Figure

    arranged = blocks(rows)
    with _style():
        if not arranged:
            figure = Figure(figsize=(WIDTH, 1.6))
            figure.text(0.5, 0.5, "No data: the summary has no rows.", ha="center", va="center", color=QUIET, size=12)
            return figure
        height = sum(block.head + block.height + FOOT for block in arranged) + BETWEEN * len(arranged) + MARGIN
        figure = Figure(figsize=(WIDTH, height))
        left = 0.35 + CHARACTER * max(len(_method_title(method)) for block in arranged for method in block.methods)
        top = height - MARGIN
        for block in arranged:
            _draw_block(figure, block, left=left, top=top, height=height)
            top -= block.head + block.height + FOOT + BETWEEN
        figure.text(0.12 / WIDTH, 0.14 / height, EXPLANATION, color=QUIET, size=8, va="center")
        return figure


def _draw_block(figure: Figure, block: Block, *, left: float, top: float, height: float) -> None:
    """Draw one pair of panels below `top`, the first from `left` on (inches from the lower left corner)."""
    width = (WIDTH - left - RIGHT - GAP) / 2
    figure.text(0.12 / WIDTH, (top - 0.14) / height, block.title, weight="bold", size=11, va="center")
    _draw_series(figure, block, top=top, height=height)
    panels = [("accuracy", block.accuracy), (block.metric, block.attack)]
    for place, (metric, rows) in enumerate(panels):
        x = left + place * (width + GAP)
        axes = figure.add_axes(
            (x / WIDTH, (top - block.head - block.height) / height, width / WIDTH, block.height / height)
        )
        _prepare_panel(axes, block, named=place == 0)
        _draw_panel(axes, block, metric=metric, rows=rows)


def _draw_series(figure: Figure, block: Block, *, top: float, height: float) -> None:
    """Name each injection in its colour, behind its mark."""
    for name, (x, line, text) in block.series().items():
        y = (top - 0.42 - SERIES_LINE * line) / height
        control = name in block.controls
        figure.add_artist(_mark(x / WIDTH, y, colour=block.colours[name], control=control, figure=figure))
        figure.text((x + 0.12) / WIDTH, y, text, color=block.colours[name], weight="bold", va="center_baseline")


def _mark(x: float, y: float, *, colour: str, control: bool, figure: Figure) -> Any:
    """Return the mark of a series in figure coordinates."""
    from matplotlib.lines import Line2D

    face = "white" if control else colour
    return Line2D([x], [y], marker="o", ms=6, mec=colour, mfc=face, mew=1.6, ls="", transform=figure.transFigure)


def _method_title(method: str) -> str:
    """Name a row."""
    return "the teacher itself" if method == TEACHER else method


def _prepare_panel(axes: Axes, block: Block, *, named: bool) -> None:
    """Draw what carries the data: a percentage scale, faint lines, the names of the methods."""
    axes.set_xlim(*SCALE)
    axes.set_ylim(len(block.methods) - 0.5, -0.5)
    axes.set_xticks([0, 25, 50, 75, 100], ["0", "25", "50", "75", "100"])
    axes.tick_params(length=0)
    axes.spines[["left", "top", "right", "bottom"]].set_visible(False)
    axes.vlines([0, 25, 50, 75, 100], len(block.methods) - 0.5, -0.5, color=GRID, lw=0.8, zorder=0)
    axes.hlines([place + 0.5 for place in range(len(block.methods) - 1)], *SCALE, color=GRID, lw=0.5, zorder=0)
    axes.set_yticks(range(len(block.methods)), [_method_title(name) if named else "" for name in block.methods])


def _draw_panel(axes: Axes, block: Block, *, metric: str, rows: Mapping[tuple[str, str], Row]) -> None:
    """Draw the dots, intervals and values of one metric."""
    if not rows:
        text = "no attack in this study" if not metric else "not measured"
        axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=QUIET)
        return
    name = "accuracy, clean images" if metric == "accuracy" else title(metric)
    axes.set_title(name[0].upper() + name[1:], loc="left", size=10, pad=5, x=LEFT_OF_ZERO)
    axes.set_xlabel(
        f"{DENOMINATORS.get(metric, '%')}\nn = {counts(list(rows.values()))}", labelpad=3, loc="left", size=8.5
    )
    axes.xaxis.label.set_x(LEFT_OF_ZERO)
    lane = LANE / (len(block.injections) * LANE + ROW_GAP)
    for (method, injection), row in sorted(rows.items()):
        offset = (block.injections.index(injection) - (len(block.injections) - 1) / 2) * lane
        y = block.methods.index(method) + offset
        _draw_rate(axes, row, y=y, colour=block.colours[injection], control=injection in block.controls)


def _draw_rate(axes: Axes, row: Row, *, y: float, colour: str, control: bool) -> None:
    """Draw one rate: its interval, its dot, its value."""
    if row["mean"] is None:
        axes.text(1.5, y, "no image counts", va="center_baseline", color=QUIET, size=8)
        return
    end = row["mean"]
    if row["low"] is not None and row["high"] is not None:
        axes.plot([100 * row["low"], 100 * row["high"]], [y, y], color=colour, lw=1.6, solid_capstyle="round", zorder=2)
        end = max(end, row["high"])
    face = "white" if control else colour
    axes.plot([100 * row["mean"]], [y], marker="o", ms=6, mec=colour, mfc=face, mew=1.6, zorder=3)
    axes.text(100 * end + 2.5, y, number(row["mean"]), va="center_baseline", color=colour, size=8.5, bbox=HALO)


def save(figure: Figure, *, png: Path, pdf: Path) -> None:
    """Write a figure as PNG and PDF without dates or versions, so that equal figures give equal bytes."""
    with _style():
        with atomic_path(png) as path:
            figure.savefig(path, format="png", dpi=DOTS_PER_INCH, metadata={"Software": None})
        with atomic_path(pdf) as path:
            facts = {"CreationDate": None, "Creator": None, "Producer": None}
            figure.savefig(path, format="pdf", metadata=facts)
