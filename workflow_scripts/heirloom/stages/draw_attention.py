"""Draw where the models of one experiment look, on the images that map_attention chose by its rule."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from heirloom.evaluation.panels import read_panel
from heirloom.reporting.attention import choice_caption, explanation
from heirloom.reporting.drawing.style import save
from heirloom.reporting.figures.attention import DOTS_PER_INCH, MapBlock, draw_attention_figure
from heirloom.runtime.files import atomic_path


@dataclass(frozen=True)
class Inputs:
    """The panels of each evaluation and their cards, side by side."""

    panels: list[Path]
    cards: list[Path]


@dataclass(frozen=True)
class Outputs:
    """The figure, and its caption as text."""

    png: Path
    pdf: Path
    caption: Path


def run(*, inputs: Inputs, outputs: Outputs, experiment: str, evaluations: list[tuple[str, str, str]]) -> None:
    """Write the figure of an experiment, a block per (teacher, injection, data set); equal inputs give equal bytes.

    `evaluations` is parallel to the inputs. Raises DamagedFileError. Method: docs/methods.md#where-models-look.
    """
    found = zip(evaluations, inputs.panels, inputs.cards, strict=True)
    blocks = [MapBlock(_title(names), read_panel(file, card, experiment)) for names, file, card in found]
    save(draw_attention_figure(experiment, blocks), png=outputs.png, pdf=outputs.pdf, dots_per_inch=DOTS_PER_INCH)
    with atomic_path(outputs.caption) as path:
        path.write_text(
            "\n".join(_caption(block, several=len(blocks) > 1) for block in blocks) + "\n", encoding="utf-8"
        )


def _title(names: tuple[str, str, str]) -> str:
    teacher, injection, dataset = names
    return f"{dataset}, teacher {teacher}, injection {injection}"


def _caption(block: MapBlock, *, several: bool) -> str:
    """Say what one block shows."""
    told = f"{explanation(block.panel.facts)} {choice_caption(block.panel.facts)}"
    return f"{block.title}: {told}" if several else told
