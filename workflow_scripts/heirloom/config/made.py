"""What a study's rules make below results/: which files may be judged and removed, and in which order made again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from heirloom.config import paths
from heirloom.config.grid import Grid
from heirloom.config.jobs import costly_jobs

TABLES = frozenset({"measurements", "summary", "comparisons", "costs", "data_check"})

# folders below results/ of the files that others are made from, each before those that are made from it
SHARED_STAGES = ("data", "corruptions", "teachers", "robust")
STUDY_STAGES = (
    *("detections", "slices", "students", "attacks", "criticality", "finetuned", "repaired"),
    *("evaluations", "attention", "white_box", "robustness", "attacked"),
)
LAST_STAGES = ("tables/measurements.", "tables/")  # then figures and the report


def planned_files(grid: Grid) -> Callable[[Path], bool]:
    """Return what tells whether a job of a study makes a file, by its path from the project's folder.

    People keep files of their own beside tables and figures; figures of an earlier version of the study stay as well.
    A path that climbs out of a folder (`..`), as only a forged card or receipt has one, is nobody's.
    """
    study = Path(paths.RESULTS) / grid.study.name
    names = {study / "tables": TABLES, study / "figures": frozenset(grid.figures)}
    folders = {Path(folder) for _, folder, _ in costly_jobs(grid)}

    def is_planned(path: Path) -> bool:
        if ".." in path.parts:
            return False
        if path.parent in names:
            return path.stem in names[path.parent]
        return path == Path(paths.report(grid.study.name)) or not folders.isdisjoint(path.parents)

    return is_planned


def results_of(study: str) -> list[Path]:
    """Return the folders below which a study's jobs write."""
    return [Path(paths.SHARED), Path(paths.RESULTS) / study]


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
