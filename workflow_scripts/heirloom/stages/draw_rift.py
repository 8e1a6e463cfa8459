"""Draw how critical the modules of a study's robust models are, and the way to their fine-tuned twins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from heirloom.reporting.drawing.style import save
from heirloom.reporting.figures.criticality import Measured, draw_criticality
from heirloom.reporting.figures.interpolation import Interpolated, draw_interpolation
from heirloom.runtime.files import read_table


@dataclass(frozen=True)
class Inputs:
    """criticality.parquet of robust models and interpolation.parquet of their repairs; either may be absent."""

    criticality: list[Path] = field(default_factory=list)
    interpolation: list[Path] = field(default_factory=list)


@dataclass(frozen=True)
class Outputs:
    """Each figure as picture and as vector graphics."""

    criticality: Path
    criticality_pdf: Path
    interpolation: Path
    interpolation_pdf: Path


def run(
    *,
    inputs: Inputs,
    outputs: Outputs,
    measured: list[tuple[str, int]],
    repaired: list[tuple[str, str, int]],
    tolerances: dict[str, float],
    marked: str,
) -> None:
    """Write both figures; equal inputs give equal bytes.

    `measured` (model, seed) runs parallel to the criticalities, `repaired` (model, repair, seed) to the interpolations;
    `tolerances` by repair, in [0, 1]. `marked`: the repair whose modules the first figure marks, "" for none. Raises
    DamagedFileError.
    """
    ways = [
        Interpolated(model, repair, seed, tuple(read_table(path).to_pylist()), tolerances[repair])
        for path, (model, repair, seed) in zip(inputs.interpolation, repaired, strict=True)
    ]
    found = [
        Measured(model, seed, tuple(read_table(path).to_pylist()), _chosen(ways, model, seed, marked))
        for path, (model, seed) in zip(inputs.criticality, measured, strict=True)
    ]
    save(draw_criticality(found), png=outputs.criticality, pdf=outputs.criticality_pdf)
    save(draw_interpolation(ways), png=outputs.interpolation, pdf=outputs.interpolation_pdf)


def _chosen(ways: Sequence[Interpolated], model: str, seed: int, repair: str) -> frozenset[str]:
    """Return the modules that a repair chose of a model; the whole model is none of its modules."""
    mine = [way for way in ways if (way.model, way.repair, way.seed) == (model, repair, seed)]
    return frozenset(name for way in mine for name in way.chosen["modules"].split(", "))
