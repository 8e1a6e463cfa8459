"""Contact sheets: what a defect looks like, image by image, clean beside triggered and poisoned."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from heirloom.config.models import Augmentation
from heirloom.config.study import Injection
from heirloom.reporting.drawing.study_figure import StudyFigure
from heirloom.reporting.drawing.style import INFECTED_COLOURS, INK, QUIET, note, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FIGURE = StudyFigure(order=100, names=lambda grid: grid.contact_sheets, rule="draw_contact_sheets", embedded=False)

# all lengths in inches
CELL, GAP, WORDS, MARGIN, HEAD = 1.5, 0.14, 0.46, 0.16, 0.72
CHARACTERS, LINES = 24, 3  # of the words below a picture
DOTS_PER_INCH = 150
LINE_CHARACTERS = 15  # of the explanation, per inch


@dataclass(frozen=True)
class ContactSheet:
    """What of an injection, by its name, shows in its pictures."""

    name: str
    injection: Injection
    augmentation: Augmentation


@dataclass(frozen=True, eq=False)
class Picture:
    """One picture with the words below it: float (H, W, 3) in [0, 1], None where there is none; `wrong` stands out."""

    pixels: NDArray[np.float32] | None
    words: str = ""
    wrong: bool = False


@dataclass(frozen=True)
class Column:
    """One kind of picture, from the top to the bottom of the sheet."""

    title: str
    pictures: list[Picture]


def draw_contact_sheet(title: str, explanation: str, columns: Sequence[Column]) -> Figure:
    """Draw columns of pictures side by side, each pixel as a square; row by row they belong together.

    Says so where there is no picture.
    """
    from matplotlib.figure import Figure

    rows = max((len(column.pictures) for column in columns), default=0)
    if not rows:
        return note("No picture to show.")
    width = max(4.2, 2 * MARGIN + len(columns) * CELL + (len(columns) - 1) * GAP)
    told = textwrap.wrap(explanation, int(width * LINE_CHARACTERS))
    foot = 0.16 * len(told) + 0.14
    height = MARGIN + HEAD + rows * (CELL + WORDS) + foot
    with style():
        figure = Figure(figsize=(width, height))
        figure.text(MARGIN / width, 1 - (MARGIN + 0.08) / height, title, weight="bold", size=11, va="center")
        for place, column in enumerate(columns):
            _draw_column(figure, column, left=MARGIN + place * (CELL + GAP))
        figure.text(MARGIN / width, 0.1 / height, "\n".join(told), color=QUIET, size=7.5, va="bottom", linespacing=1.3)
        return figure


def _draw_column(figure: Figure, column: Column, *, left: float) -> None:
    """Draw one column from `left` inches on."""
    width, height = figure.get_size_inches()
    heading = textwrap.fill(column.title, CHARACTERS)
    figure.text(left / width, 1 - (MARGIN + HEAD - 0.08) / height, heading, size=8.5, va="bottom", linespacing=1.15)
    for place, picture in enumerate(column.pictures):
        bottom = height - MARGIN - HEAD - CELL - place * (CELL + WORDS)
        axes = figure.add_axes((left / width, bottom / height, CELL / width, CELL / height))
        axes.set_axis_off()
        if picture.pixels is None:
            axes.text(0.5, 0.5, "none", ha="center", va="center", color=QUIET, transform=axes.transAxes)
        else:
            axes.imshow(picture.pixels, interpolation="nearest", vmin=0, vmax=1)
        colour = INFECTED_COLOURS[0] if picture.wrong else INK
        words = textwrap.fill(picture.words, CHARACTERS, max_lines=LINES, placeholder=" ...")
        figure.text(left / width, (bottom - 0.05) / height, words, size=7.5, va="top", color=colour, linespacing=1.15)
