"""Where models look: maps over images chosen by rule, a row per model, clean beside triggered and attacked."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from heirloom.evaluation.metrics import CLEAN
from heirloom.reporting.attention import choice_caption, condition_title, explanation, kind_title
from heirloom.reporting.drawing.study_figure import StudyFigure
from heirloom.reporting.drawing.style import HALO, INFECTED_COLOURS, INK, QUIET, note, style
from heirloom.reporting.wording import NOTHING, amount, method_title, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from heirloom.evaluation.panels import Panel

FIGURE = StudyFigure(
    order=90, names=lambda grid: list(grid.attention_figures.values()), rule="draw_attention", embedded=False
)

# all lengths in inches
CELL, GAP, GROUP_GAP, WORDS, LABEL = 1.24, 0.1, 0.34, 0.58, 1.5
MARGIN, HEAD, TITLE, KIND_HEAD, LINE = 0.16, 0.22, 0.32, 0.24, 0.15
DOTS_PER_INCH = 150
LINE_CHARACTERS = 16.5  # of the explanation, per inch
CHARACTERS = 21  # below a picture
# Blue to red with rising lightness (CIELAB 19 to 64), so that order survives any colour vision and grey.
COLOURS = ("#0b2a6f", "#4a3a9c", "#8f3a9a", "#cc3f74", "#f2503f", "#ff6e4f")
STRENGTH = 0.58  # of the map over the picture
GREY = (0.299, 0.587, 0.114)
OBJECT_LINE, TRIGGER_LINE = "#ffffff", "#ffd21f"


@dataclass(frozen=True, eq=False)
class MapBlock:
    """One evaluation of the figure: its heading and its panel."""

    title: str
    panel: Panel

    @property
    def columns(self) -> int:
        """Cells side by side."""
        return len(self.panel.facts["images"]) * len(self.panel.facts["conditions"])

    @property
    def width(self) -> float:
        """Inches of the cells and the labels."""
        images = max(1, len(self.panel.facts["images"]))
        return LABEL + self.columns * (CELL + GAP) + (images - 1) * GROUP_GAP

    @property
    def height(self) -> float:
        """Inches from the heading to the last words, the explanation aside."""
        facts = self.panel.facts
        rows = 1 + len(facts["kinds"]) * len(facts["models"])
        return TITLE + HEAD + rows * (CELL + WORDS) + len(facts["kinds"]) * KIND_HEAD

    def place(self, image: int, condition: int) -> float:
        """Left edge of a cell, from the left of the block."""
        column = image * len(self.panel.facts["conditions"]) + condition
        return LABEL + column * (CELL + GAP) + image * GROUP_GAP


def draw_attention_figure(title: str, blocks: Sequence[MapBlock]) -> Figure:
    """Draw a block per evaluation; says so where there is no image to show."""
    from matplotlib.figure import Figure

    shown = [block for block in blocks if block.columns]
    if not shown:
        return note("No image to show.")
    width = 2 * MARGIN + max(4.6, *(block.width for block in shown))
    feet = [textwrap.wrap(_told(block), int((width - 2 * MARGIN) * LINE_CHARACTERS)) for block in shown]
    heights = [block.height + LINE * len(foot) + 0.3 for block, foot in zip(shown, feet, strict=True)]
    with style():
        figure = Figure(figsize=(width, 2 * MARGIN + TITLE + sum(heights)))
        canvas = _Canvas(figure)
        top = figure.get_figheight() - MARGIN
        canvas.text(MARGIN, top, title, weight="bold", size=11)
        top -= TITLE
        for block, foot, height in zip(shown, feet, heights, strict=True):
            _draw_block(canvas, block, top)
            canvas.text(MARGIN, top - block.height, "\n".join(foot), size=7.2, color=QUIET, linespacing=1.3)
            top -= height
        return figure


def _told(block: MapBlock) -> str:
    return f"{explanation(block.panel.facts)} {choice_caption(block.panel.facts)}"


@dataclass(frozen=True)
class _Canvas:
    """A figure measured in inches from its lower left corner."""

    figure: Figure

    def text(self, x: float, y: float, words: str, **settings: Any) -> None:
        """Write from the upper left corner."""
        width, height = self.figure.get_size_inches()
        self.figure.text(x / width, y / height, words, **{"va": "top", **settings})

    def axes(self, x: float, top: float, width: float, height: float) -> Axes:
        """Return axes without frame whose upper left corner is (x, top)."""
        wide, high = self.figure.get_size_inches()
        axes = self.figure.add_axes((x / wide, (top - height) / high, width / wide, height / high))
        axes.set_axis_off()
        return axes


def _draw_block(canvas: _Canvas, block: MapBlock, top: float) -> None:
    """Draw the pictures themselves, then a group of rows per kind of map."""
    facts = block.panel.facts
    canvas.text(MARGIN, top, block.title, weight="bold", size=9)
    top -= TITLE
    for image, condition in _cells(facts):
        words = condition_title(facts["conditions"][condition], facts)
        canvas.text(MARGIN + block.place(image, condition), top - 0.02, words, size=8)
    top -= HEAD
    _draw_bar(canvas, top)
    _draw_pictures(canvas, block, top)
    top -= CELL + WORDS
    for kind in range(len(facts["kinds"])):
        canvas.text(MARGIN, top, f"{kind_title(facts['kinds'][kind])} maps", weight="bold", size=8, color=QUIET)
        top -= KIND_HEAD
        for model in range(len(facts["models"])):
            _draw_model(canvas, block, kind, model, top)
            top -= CELL + WORDS


def _cells(facts: Mapping[str, Any]) -> list[tuple[int, int]]:
    """Return every (image, condition)."""
    return [(image, each) for image in range(len(facts["images"])) for each in range(len(facts["conditions"]))]


def _draw_bar(canvas: _Canvas, top: float) -> None:
    """Draw the colours of the maps from low to high, beside the pictures."""
    canvas.text(MARGIN, top - 0.05, "attention", size=7, color=QUIET)
    axes = canvas.axes(MARGIN + 0.24, top - 0.22, 0.7, 0.11)
    axes.imshow(np.linspace(0, 1, 64)[None], cmap=_colours(), aspect="auto")
    canvas.text(MARGIN, top - 0.21, "low", size=7, color=QUIET)
    canvas.text(MARGIN + 0.98, top - 0.21, "high", size=7, color=QUIET)


def _draw_pictures(canvas: _Canvas, block: MapBlock, top: float) -> None:
    """Draw what the models are shown, with the outlines of the regions, and which test images these are."""
    facts, arrays = block.panel.facts, block.panel.arrays
    for image, condition in _cells(facts):
        left = MARGIN + block.place(image, condition)
        axes = canvas.axes(left, top, CELL, CELL)
        axes.imshow(arrays["pictures"][condition, image], interpolation="nearest")
        _outline(axes, arrays["object"][image], OBJECT_LINE)
        dashed = facts["conditions"][condition] not in facts["triggers"]
        _outline(axes, arrays["squares"][condition, image], TRIGGER_LINE, dashed=dashed)
        if facts["conditions"][condition] == CLEAN:
            shown = facts["images"][image]
            words = f"{_short(shown['class_name'])}\ntest image {shown['row']}"
            canvas.text(left, top - CELL - 0.05, words, size=7, linespacing=1.2)


def _outline(axes: Axes, region: NDArray[np.bool_], colour: str, *, dashed: bool = False) -> None:
    """Draw the border of a region of pixels, dark beside light so that it shows on any picture; dashed: not there."""
    if not region.any():
        return
    padded = np.pad(region.astype(np.float32), 1)
    places = np.arange(-1, len(region) + 1)
    for width, line, kind in ((2.2, "#000000", "-"), (1.1, colour, (0, (2.5, 2)) if dashed else "-")):
        axes.contour(places, places, padded, levels=[0.5], colors=[line], linewidths=[width], linestyles=[kind])
    axes.set_xlim(-0.5, len(region) - 0.5)
    axes.set_ylim(len(region) - 0.5, -0.5)


def _draw_model(canvas: _Canvas, block: MapBlock, kind: int, model: int, top: float) -> None:
    """Draw one model's maps over the pictures, with what it says and how dense the maps are."""
    facts, arrays = block.panel.facts, block.panel.arrays
    name = method_title(facts["models"][model]["method"])
    canvas.text(MARGIN, top - 0.05, textwrap.fill(name, 20), weight="bold", size=8)
    if not kind:
        canvas.text(MARGIN, top - 0.36, _attending(facts, model), size=7, color=QUIET, linespacing=1.25)
    for image, condition in _cells(facts):
        left = MARGIN + block.place(image, condition)
        axes = canvas.axes(left, top, CELL, CELL)
        picture, shown = arrays["pictures"][condition, image], arrays["maps"][kind, model, condition, image]
        axes.imshow(overlaid(picture, shown, facts["stride"]), interpolation="nearest", vmin=0, vmax=1)
        if not np.ptp(shown):
            axes.text(0.5, 0.04, "no contrast", ha="center", va="bottom", size=7, transform=axes.transAxes, bbox=HALO)
        cell = facts["cells"][model][condition][image]
        colour = INK if cell["right"] else INFECTED_COLOURS[0]
        canvas.text(left, top - CELL - 0.05, f"says {_short(cell['says'])}", size=7, color=colour)
        canvas.text(
            left, top - CELL - 0.19, _numbers(cell, facts, facts["kinds"][kind]), size=7, color=INK, linespacing=1.2
        )


def _attending(facts: Mapping[str, Any], model: int) -> str:
    """Say on how many images a model attends to a trigger."""
    lines = []
    for trigger, shares in facts["attends_to_trigger"][model].items():
        own = f" {trigger}" if len(facts["triggers"]) > 1 else ""
        lines += [f"attends to the trigger{own}", f"on {percent(shares[trigger])} of images"]
        lines.append(f"({percent(shares[CLEAN])} when clean)")
    return "\n".join(lines)


def _short(name: str) -> str:
    """Cut a class's name to the width of a picture."""
    return textwrap.shorten(name, CHARACTERS - 4, placeholder="...") if len(name) > CHARACTERS - 4 else name


def _numbers(cell: Mapping[str, Any], facts: Mapping[str, Any], kind: str) -> str:
    """Write the densities of one map: sign 1.52, trigger 0.31; and its overlap with the clean one."""
    found = cell["densities"].get(kind, {})
    regions = ["object"] * bool(facts["object"]) + ["trigger"] * bool(facts["triggers"])
    names = {"object": facts["object"], "trigger": "trigger"}
    told = [f"{names[what]} {amount(found[what]) if what in found else NOTHING}" for what in regions]
    shared = f"overlap {amount(cell['overlap'][kind])}" if kind in cell["overlap"] else ""
    return "\n".join(part for part in (", ".join(told), shared) if part)


def overlaid(picture: NDArray[np.uint8], shown: NDArray[np.float32], stride: int) -> NDArray[np.float32]:
    """Return a picture (H, W, 3) in grey below the colours of its map (h, w), float (H, W, 3) in [0, 1].

    A map without contrast has no colours.
    """
    import torch

    from heirloom.evaluation.attention import resized

    large = resized(torch.from_numpy(shown)[None], len(picture), stride)[0].numpy()
    grey = (picture.astype(np.float32) / 255) @ np.array(GREY, dtype=np.float32)
    colours = np.asarray(_colours()(large), dtype=np.float32)[:, :, :3]
    strength = STRENGTH if np.ptp(shown) else 0.0
    return (strength * colours + (1 - strength) * grey[:, :, None]).astype(np.float32)


def _colours() -> Any:
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("attention", COLOURS)
