"""Many models under many attacks: a cell for each, the darker the more is left of the model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from heirloom.reporting.attack_suites import CLEAR, cell, is_clear
from heirloom.reporting.drawing.style import INK, QUIET, WIDTH
from heirloom.reporting.wording import counts

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from heirloom.reporting.figures.robustness import ModelBlock

# all lengths in inches
TITLE, LINE, FOOT, RIGHT = 0.36, 0.33, 0.45, 0.12
CHARACTER, SLANT = 0.078, math.radians(35)
WIDEST = 1.0  # of a cell
NOTHING_LEFT, ALL_LEFT = "#FFFFFF", "#2A5A8C"
DARK = 0.62  # rate from which words are white
EXPLANATION = (
    f"Cells: % of the test images that are classified correctly; intervals are in the tables. {CLEAR} differs"
    " detectably from the baseline (paired, Holm), if compared with it."
)


def height_of(block: ModelBlock) -> float:
    """Return the height of a matrix with its title and the models' names, in inches."""
    return TITLE + _names_height(block) + LINE * len(block.shown) + FOOT


def draw_matrix(figure: Figure, block: ModelBlock, names: Sequence[str], *, left: float, top: float) -> None:
    """Draw what is left of each model of a block, below `top`, its first column from `left` on (inches).

    `names` are what stands before the lines, one for each thing shown. A cell has the rate in percent, marked where the
    gate does not believe it, and where it differs from the baseline's; it is empty where nothing was measured.
    """
    from matplotlib.colors import LinearSegmentedColormap

    height = figure.get_figheight()
    figure.text(0.12 / WIDTH, (top - 0.14) / height, block.title, weight="bold", size=11, va="center")
    width = _cell_width(block, WIDTH - left - RIGHT) * len(block.methods)
    tall = LINE * len(block.shown)
    bottom = top - TITLE - _names_height(block) - tall
    axes = figure.add_axes((left / WIDTH, bottom / height, width / WIDTH, tall / height))
    colours = LinearSegmentedColormap.from_list("left", [NOTHING_LEFT, ALL_LEFT])
    axes.imshow(_rates(block), cmap=colours, vmin=0, vmax=1, aspect="auto")
    _name_lines(axes, block, names)
    _write_cells(axes, block)
    axes.set_xlabel(f"n = {counts(list(block.rates.values()))}", labelpad=5, loc="left", size=8.5)


def _names_height(block: ModelBlock) -> float:
    """Height of the models' slanted names in inches."""
    return 0.14 + max(map(_length, _titles(block))) * math.sin(SLANT)


def _cell_width(block: ModelBlock, room: float) -> float:
    """Width of a cell in inches, such that no name that begins above its middle leaves the room."""
    ends = [_length(name) * math.cos(SLANT) for name in _titles(block)]
    return min(WIDEST, *((room - end) / (place + 0.5) for place, end in enumerate(ends)), room / len(ends))


def _length(name: str) -> float:
    """Length of a model's name in inches."""
    return CHARACTER * len(name)


def _titles(block: ModelBlock) -> list[str]:
    """Name the models above the columns."""
    return [f"{name} (baseline)" if name == block.baseline else name for name in block.methods]


def _rates(block: ModelBlock) -> list[list[float]]:
    """Arrange the rates, in [0, 1]; NaN, which has no colour, where there is none."""
    rows = [[block.rates.get((label, method)) for method in block.methods] for label in block.shown]
    return [[math.nan if row is None or row["mean"] is None else row["mean"] for row in line] for line in rows]


def _name_lines(axes: Axes, block: ModelBlock, names: Sequence[str]) -> None:
    """Name lines and columns, the baseline in bold, and part the cells."""
    axes.set_yticks(range(len(names)), names, size=8.5, linespacing=0.95)
    axes.xaxis.tick_top()
    titles = _titles(block)
    axes.set_xticks(range(len(titles)), titles, rotation=math.degrees(SLANT), ha="left", va="bottom", color=INK)
    for label, name in zip(axes.get_xticklabels(), block.methods, strict=True):
        label.set_rotation_mode("anchor")
        label.set_fontweight("bold" if name == block.baseline else "normal")
    axes.tick_params(length=0, pad=3)
    axes.spines[:].set_visible(False)
    axes.set_xticks([place - 0.5 for place in range(len(titles) + 1)], minor=True)
    axes.set_yticks([place - 0.5 for place in range(len(names) + 1)], minor=True)
    axes.grid(which="minor", color="white", lw=2)
    axes.tick_params(which="minor", length=0)


def _write_cells(axes: Axes, block: ModelBlock) -> None:
    """Write each rate into its cell."""
    for (label, method), row in block.rates.items():
        rate = row["mean"] or 0.0
        axes.text(
            block.methods.index(method),
            block.shown.index(label),
            cell(row, clear=(label, method) in block.changes and is_clear(block.changes[label, method])),
            ha="center",
            va="center",
            size=8.5,
            color="white" if rate > DARK else INK if row["mean"] is not None else QUIET,
        )
