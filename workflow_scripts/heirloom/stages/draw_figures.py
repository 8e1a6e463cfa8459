"""Draw a study's summary and how its trainings went."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from heirloom.reporting.figures.attack_success import draw_attack_success
from heirloom.reporting.figures.robustness import draw_robustness
from heirloom.reporting.figures.strength import draw_strength
from heirloom.reporting.figures.style import Palette, save
from heirloom.reporting.figures.trade_off import draw_trade_off
from heirloom.reporting.figures.training_curves import TrainingCurve, draw_training_curves, read_history
from heirloom.reporting.tables import read_comparisons, read_summary
from heirloom.reporting.views import parted


@dataclass(frozen=True)
class Inputs:
    """The summary of the study, and the history of every student and every teacher after its injection.

    Its comparisons where it has robust models.
    """

    summary: Path
    histories: list[Path] = field(default_factory=list)
    comparisons: Path | None = None


@dataclass(frozen=True)
class Outputs:
    """Each figure as picture and as vector graphics; the last two where the study has what they show."""

    attack_success: Path
    attack_success_pdf: Path
    trade_off: Path
    trade_off_pdf: Path
    training_curves: Path
    training_curves_pdf: Path
    robustness: Path | None = None
    robustness_pdf: Path | None = None
    strength: Path | None = None
    strength_pdf: Path | None = None


def run(
    *,
    inputs: Inputs,
    outputs: Outputs,
    trainings: list[TrainingCurve],
    controls: dict[str, str],
    ladders: dict[str, dict[str, list[str]]] | None = None,
) -> None:
    """Draw attack success, the trade-off with accuracy, the training curves, robust models, and ladders of attacks.

    Equal inputs give equal bytes. `trainings` runs parallel to the histories; `controls` names the injection each
    infected one is compared with, `ladders` the attacks from weak to strong by experiment and ladder. Raises
    DamagedFileError.
    """
    rows, robust = parted(read_summary(inputs.summary))
    save(draw_attack_success(rows), png=outputs.attack_success, pdf=outputs.attack_success_pdf)
    save(draw_trade_off(rows, controls), png=outputs.trade_off, pdf=outputs.trade_off_pdf)
    histories = [read_history(path, training) for path, training in zip(inputs.histories, trainings, strict=True)]
    curves = draw_training_curves(histories, Palette.of_rows(rows))
    save(curves, png=outputs.training_curves, pdf=outputs.training_curves_pdf)
    if outputs.robustness is not None and outputs.robustness_pdf is not None:
        comparisons = read_comparisons(inputs.comparisons) if inputs.comparisons is not None else []
        save(draw_robustness(robust, comparisons), png=outputs.robustness, pdf=outputs.robustness_pdf)
    if outputs.strength is not None and outputs.strength_pdf is not None:
        save(draw_strength(robust, ladders or {}), png=outputs.strength, pdf=outputs.strength_pdf)
