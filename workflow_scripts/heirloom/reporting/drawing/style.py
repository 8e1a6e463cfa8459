"""What all figures share: colours that mean the same everywhere, settings, marks, and how a figure is saved."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from heirloom.evaluation.metrics import CLEAN
from heirloom.reporting.tables import Row
from heirloom.reporting.views import infected, shown
from heirloom.runtime.files import atomic_path

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

# Paul Tol's high-contrast pair for the question asked, then his muted colours: apart for every kind of colour vision
# and in grey.
# With many injections the names beside the marks must help.
CONTROL_COLOURS = ("#4477AA", "#88A7C8", "#1B3A5C", "#5BB0D0", "#8090A0", "#2F5FD0")
INFECTED_COLOURS = (
    *("#BB5566", "#997700", "#117733", "#882255", "#44AA99", "#663300"),
    *("#EE7733", "#CC66AA", "#999933", "#5C2E91", "#7F1D1D", "#66BB55"),
)
# Models that stand side by side, none of them infected: the hues that are furthest apart come first.
BESIDE_COLOURS = (*INFECTED_COLOURS[:3], CONTROL_COLOURS[0], *INFECTED_COLOURS[3:], *CONTROL_COLOURS[1:])
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
WIDTH, MARGIN = 10.0, 0.14
LEGEND_LINE, LEGEND_LEFT = 0.24, 0.17
DOTS_PER_INCH = 200
TALLEST = 30_000  # pixels: a figure of hundreds of models gets fewer dots an inch, as its picture is held in memory
NOISE = "noise of the same size"
NOISE_MARK: Mapping[str, Any] = {"marker": "D", "ms": 4.2, "mew": 1.1, "ls": ""}
HALO = {"facecolor": "white", "edgecolor": "none", "pad": 0.8}  # keeps lines out of the words and numbers


@dataclass(frozen=True)
class Palette:
    """Each injection's colour, the same in every figure of a study, and which injections are controls.

    So for models that are no injections; `control` is what the legend calls those that others are compared with.
    """

    colours: Mapping[str, str]
    controls: frozenset[str]
    control: str = "control"

    @classmethod
    def of(cls, infected: Iterable[str], others: Iterable[str]) -> Palette:
        """Give infected models the warm colours, controls the quiet ones, the untouched teacher ("none") grey.

        Where nothing is infected, nothing is a control.
        """
        warm, rest = sorted(set(infected)), sorted(set(others) - set(infected) - {CLEAN})
        colours = {CLEAN: QUIET} | _cycled(INFECTED_COLOURS, warm) | _cycled(CONTROL_COLOURS, rest)
        return cls(colours, frozenset(rest) if warm else frozenset())

    @classmethod
    def of_rows(cls, rows: Sequence[Row]) -> Palette:
        """Take the injections of a whole summary; the infected ones are those with a control."""
        return cls.of(infected(rows), {row["injection"] for row in shown(rows)})

    @classmethod
    def beside(cls, names: Iterable[str], baselines: Iterable[str] = ()) -> Palette:
        """Give models that stand side by side colours of their own, in the order of their names."""
        return cls(_cycled(BESIDE_COLOURS, sorted(set(names))), frozenset(baselines), "baseline")

    def face(self, injection: str) -> str:
        """Fill of a mark: full for infected models, open for controls."""
        return "white" if injection in self.controls else self.colours[injection]

    def title(self, injection: str) -> str:
        """Name an injection in a legend."""
        return f"{injection} ({self.control})" if injection in self.controls else injection


def _cycled(colours: Sequence[str], names: Sequence[str]) -> dict[str, str]:
    return {name: colours[place % len(colours)] for place, name in enumerate(names)}


def legend_places(texts: Mapping[str, str], *, width: float = WIDTH) -> dict[str, tuple[float, int, str]]:
    """Place the words of a legend by name: inches from the left, line, text; what would leave the page wraps."""
    places: dict[str, tuple[float, int, str]] = {}
    x, line = LEGEND_LEFT, 0
    for name, text in texts.items():
        length = 0.45 + 0.092 * len(text)
        if places and x + length > width:
            x, line = LEGEND_LEFT, line + 1
        places[name] = (x, line, text)
        x += length
    return places


def legend_texts(names: Sequence[str], palette: Palette, *, noise: bool = False) -> dict[str, str]:
    """Return the words of a legend by injection, and those of noise beside a feature attack."""
    words = {CLEAN: "none (the teacher as it was)"}
    return {name: words.get(name, palette.title(name)) for name in names} | ({NOISE: NOISE} if noise else {})


def legend_lines(texts: Mapping[str, str], *, width: float = WIDTH) -> int:
    """Return how many lines the words of a legend take."""
    return 1 + max((line for _, line, _ in legend_places(texts, width=width).values()), default=-1)


def draw_injection_legend(
    figure: Figure, names: Sequence[str], palette: Palette, *, top: float, noise: bool = False
) -> float:
    """Name injections in their colours, behind their marks, from `top` (inches) downwards; returns the height used.

    With `noise` the last word is that of the open diamonds.
    """
    width, height = figure.get_size_inches()
    texts = legend_texts(names, palette, noise=noise)
    for name, (x, line, text) in legend_places(texts, width=width).items():
        y = (top - LEGEND_LINE * (line + 0.5)) / height
        colour = palette.colours.get(name, QUIET)
        shape, face, size = ("o", palette.face(name), 6.0) if name in palette.colours else ("D", "white", 4.2)
        figure.add_artist(mark(figure, x / width, y, colour=colour, face=face, shape=shape, size=size))
        figure.text((x + 0.12) / width, y, text, color=colour, weight="bold", va="center_baseline")
    return LEGEND_LINE * legend_lines(texts, width=width)


def mark(figure: Figure, x: float, y: float, *, colour: str, face: str, shape: str = "o", size: float = 6) -> Artist:
    """Return a mark in figure coordinates."""
    from matplotlib.lines import Line2D

    return Line2D([x], [y], marker=shape, ms=size, mec=colour, mfc=face, mew=1.6, ls="", transform=figure.transFigure)


@contextmanager
def style() -> Iterator[None]:
    """Draw with our settings alone, whatever a user's matplotlibrc says."""
    import matplotlib as mpl

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        yield


def note(text: str) -> Figure:
    """Return a figure that says why there is nothing to draw."""
    from matplotlib.figure import Figure

    with style():
        figure = Figure(figsize=(WIDTH, 1.6))
        figure.text(0.5, 0.5, text, ha="center", va="center", color=QUIET, size=12)
        return figure


def save(figure: Figure, *, png: Path, pdf: Path, dots_per_inch: int = DOTS_PER_INCH) -> None:
    """Write a figure as PNG and PDF without dates or versions, so that equal figures give equal bytes."""
    dots_per_inch = min(dots_per_inch, int(TALLEST / figure.get_figheight()))
    with style():
        with atomic_path(png) as path:
            figure.savefig(path, format="png", dpi=dots_per_inch, metadata={"Software": None})
        with atomic_path(pdf) as path:
            facts = {"CreationDate": None, "Creator": None, "Producer": None}
            figure.savefig(path, format="pdf", metadata=facts)
