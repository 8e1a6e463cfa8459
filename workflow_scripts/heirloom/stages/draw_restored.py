"""Draw test images clean and attacked, beside what models restored of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from heirloom.evaluation.samples import ShownSample, read_samples
from heirloom.reporting.drawing.style import save
from heirloom.reporting.figures.restoration import draw_restored


@dataclass(frozen=True)
class Inputs:
    """The pictures that attacks left, with the cards that vouch for them."""

    cards: list[Path]
    pictures: list[Path]


@dataclass(frozen=True)
class Outputs:
    """The figure as picture and as vector graphics."""

    restored: Path
    restored_pdf: Path


def run(*, inputs: Inputs, outputs: Outputs, models: list[str]) -> None:
    """Write the figure; equal inputs give equal bytes.

    `models` runs parallel to the inputs; what several suites left of one model is drawn in one block. Raises
    DamagedFileError.
    """
    found: dict[str, list[ShownSample]] = {}
    for model, path, card in zip(models, inputs.pictures, inputs.cards, strict=True):
        mine = found.setdefault(model, [])
        known = {sample.condition for sample in mine}  # clean images, which each suite left
        mine += [sample for sample in read_samples(path, card) if sample.condition not in known]
    save(draw_restored(list(found.items())), png=outputs.restored, pdf=outputs.restored_pdf)
