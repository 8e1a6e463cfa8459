"""Draw a study's summary."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from heirloom.reporting.figures import draw_attack_success, save
from heirloom.reporting.tables import read_summary


@dataclass(frozen=True)
class Inputs:
    """The summary of the study."""

    summary: Path


@dataclass(frozen=True)
class Outputs:
    """The same figure as picture and as vector graphics."""

    png: Path
    pdf: Path


def run(*, inputs: Inputs, outputs: Outputs) -> None:
    """Draw accuracy and attack success of every model beside its control; equal summaries give equal bytes."""
    figure = draw_attack_success(read_summary(inputs.summary))
    save(figure, png=outputs.png, pdf=outputs.pdf)
