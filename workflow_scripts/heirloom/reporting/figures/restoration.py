"""Test images clean and attacked, beside what models restored of them: a block a model, a row a condition."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from heirloom.evaluation.metrics import CLEAN
from heirloom.evaluation.samples import Pixels, ShownSample
from heirloom.reporting.drawing.study_figure import StudyFigure
from heirloom.reporting.drawing.style import INFECTED_COLOURS, INK, MARGIN, QUIET, note, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FIGURE = StudyFigure(order=80, names=lambda grid: ["restored"] if grid.pictured else [], rule="draw_restored")

# all lengths in inches
LEFT, CELL, GAP, PAIR, WORDS, HEAD, COLUMN, FOOT = 1.5, 1.0, 0.06, 0.22, 0.24, 0.42, 0.3, 0.42
CHARACTERS = 15  # of the names beside a row and below a picture
EXPLANATION = (
    "Left of each pair what the model is shown, right what it restores of it (nothing, where it restores none).\n"
    "Below: the class it answers with, in colour where that is wrong. Images chosen by the attacks' seed."
)


def draw_restored(found: Sequence[tuple[str, Sequence[ShownSample]]]) -> Figure:
    """Draw (model, its samples under each condition), block below block; pixels as squares, one seed's models.

    Models that are shown the same images stand below each other. A figure of no model says so.
    """
    from matplotlib.figure import Figure

    blocks = [(name, samples) for name, samples in found if samples]
    if not blocks:
        return note("No pictures were kept in this study.")
    images = max(len(sample.samples) for _, samples in blocks for sample in samples)
    width = max(6.0, LEFT + images * _pair_width() + MARGIN)
    height = MARGIN + sum(_height(samples) for _, samples in blocks) + FOOT
    with style():
        figure = Figure(figsize=(width, height))
        top = height - MARGIN
        for name, samples in blocks:
            _draw_block(figure, name, samples, top=top)
            top -= _height(samples)
        figure.text(0.12 / width, 0.08 / height, EXPLANATION, color=QUIET, size=7.5, va="bottom", linespacing=1.3)
        return figure


def _pair_width() -> float:
    return 2 * CELL + GAP + PAIR


def _height(samples: Sequence[ShownSample]) -> float:
    return HEAD + COLUMN + len(samples) * (CELL + WORDS)


def _draw_block(figure: Figure, name: str, samples: Sequence[ShownSample], *, top: float) -> None:
    """Draw one model below `top` inches: the true classes above, a row for each condition."""
    width, height = figure.get_size_inches()
    figure.text(0.12 / width, (top - 0.18) / height, name, weight="bold", size=11, va="center")
    for place, label in enumerate(samples[0].labels):
        left = LEFT + place * _pair_width()
        told = _short(f"class {label}")
        figure.text(left / width, (top - HEAD - COLUMN + 0.08) / height, told, size=8.5, va="bottom")
    for row, sample in enumerate(samples):
        bottom = top - HEAD - COLUMN - CELL - row * (CELL + WORDS)
        words = "clean" if sample.condition == CLEAN else sample.condition
        shown = "\n".join(textwrap.wrap(words, CHARACTERS))
        figure.text(0.12 / width, (bottom + CELL / 2) / height, shown, size=8.5, va="center", linespacing=1.2)
        _draw_row(figure, sample, bottom=bottom)


def _draw_row(figure: Figure, sample: ShownSample, *, bottom: float) -> None:
    """Draw the pictures of one condition and the model's answers."""
    width, height = figure.get_size_inches()
    for place, (truth, says) in enumerate(zip(sample.labels, sample.says, strict=True)):
        left = LEFT + place * _pair_width()
        for offset, pictures in ((0.0, sample.shown), (CELL + GAP, sample.restored)):
            if pictures is not None:
                _draw_picture(figure, pictures, place, left=left + offset, bottom=bottom)
        colour = INK if says == truth else INFECTED_COLOURS[0]
        figure.text(left / width, (bottom - 0.04) / height, _short(f"says {says}"), size=7.5, va="top", color=colour)


def _short(words: str) -> str:
    """Cut words to the width of a pair of pictures."""
    return textwrap.shorten(words, 2 * CHARACTERS, placeholder=" ...")


def _draw_picture(figure: Figure, pictures: Pixels, place: int, *, left: float, bottom: float) -> None:
    width, height = figure.get_size_inches()
    axes = figure.add_axes((left / width, bottom / height, CELL / width, CELL / height))
    axes.set_axis_off()
    axes.imshow(pictures[place], interpolation="nearest")
