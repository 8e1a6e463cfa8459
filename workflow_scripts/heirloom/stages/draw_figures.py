"""Draw a study's summary and how its trainings went."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from heirloom.config.kinds import FIGURES
from heirloom.reporting.drawing.study_figure import StudyResults
from heirloom.reporting.drawing.style import save
from heirloom.reporting.histories import TrainingCurve, read_history
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
    """Each figure as picture and as vector graphics, in the order of their names."""

    png: list[Path]
    pdf: list[Path]


def run(
    *,
    inputs: Inputs,
    outputs: Outputs,
    figures: list[str],
    trainings: list[TrainingCurve],
    controls: dict[str, str],
    ladders: dict[str, dict[str, list[str]]] | None = None,
) -> None:
    """Draw figures of heirloom.reporting.figures, by name, from the tables and histories of a study.

    Equal inputs give equal bytes. `figures` runs parallel to the outputs, `trainings` to the histories; `controls`
    names the injection each infected one is compared with, `ladders` the attacks from weak to strong by experiment and
    ladder. Raises DamagedFileError.
    """
    students, robust = parted(read_summary(inputs.summary))
    comparisons = read_comparisons(inputs.comparisons) if inputs.comparisons is not None else []
    histories = [read_history(path, training) for path, training in zip(inputs.histories, trainings, strict=True)]
    results = StudyResults(students, robust, comparisons, histories, controls, ladders or {})
    for name, png, pdf in zip(figures, outputs.png, outputs.pdf, strict=True):
        save(FIGURES.load(name).draw(results), png=png, pdf=pdf)
