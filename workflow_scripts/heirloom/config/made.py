"""What a study's rules make below results/: which files may be judged and removed, and in which order made again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from heirloom.config import paths
from heirloom.config.grid import Grid

TABLES = frozenset({"measurements", "summary", "comparisons", "costs", "data_check"})
# of single jobs, beside their cards or without one
FILES = frozenset(f"{name}.parquet" for name in ("history", "predictions", "measures", "criticality", "interpolation"))

# folders below results/ of the files that others are made from, each before those that are made from it
SHARED_STAGES = ("data", "corruptions", "teachers", "robust")
STUDY_STAGES = (
    *("detections", "slices", "students", "attacks", "criticality", "finetuned", "repaired"),
    *("evaluations", "attention", "white_box", "robustness", "attacked"),
)
LAST_STAGES = ("tables/measurements.", "tables/")  # then figures and the report


def made_by_rules(grid: Grid) -> Callable[[Path], bool]:
    """Return what tells whether a rule of a study makes a file without a card, by its path from the project's folder.

    People keep files of their own beside tables and figures; figures of an earlier version of the study stay as well.
    """
    study = Path(paths.RESULTS) / grid.study.name
    names = {study / "tables": TABLES, study / "figures": frozenset(grid.figures)}

    def is_made(path: Path) -> bool:
        if path.parent in names:
            return path.stem in names[path.parent]
        return path == Path(paths.report(grid.study.name)) or path.name in FILES

    return is_made


def by_stage(damaged: Sequence[Path], study: str) -> list[list[str]]:
    """Sort damaged files into runs of their own, what others are made from first.

    Once the content of a file is back, nothing downstream has changed; within one run Snakemake would not see that.
    """
    stages = [f"{paths.SHARED}/{name}/" for name in SHARED_STAGES]
    stages += [f"{paths.RESULTS}/{study}/{name}/" for name in STUDY_STAGES]
    stages += [f"{paths.RESULTS}/{study}/{name}" for name in LAST_STAGES]
    groups: list[list[str]] = [[] for _ in (*stages, "last")]
    for path in map(str, damaged):
        groups[next((place for place, stage in enumerate(stages) if path.startswith(stage)), -1)].append(path)
    return [group for group in groups if group]
