"""Where the data sets and teachers of a study come from: the user's folder, an address, or the user's hand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from heirloom.config import paths
from heirloom.config.costs import cost_of
from heirloom.config.grid import Grid
from heirloom.config.models import Dataset, Fetched, Files, Teacher
from heirloom.config.names import CLEAN
from heirloom.config.robust import RobustFetched, RobustModel
from heirloom.config.study import Catalogue
from heirloom.data.whereabouts import Whereabouts, find
from heirloom.doctor.report import Finding, Status
from heirloom.doctor.wording import size
from heirloom.plan.estimate import Estimate, estimate
from heirloom.plan.plan import StudyPlan
from heirloom.plan.takes import BYTES_A_WEIGHT, Arrival
from heirloom.runtime.errors import DataError

CACHE = Path(paths.DOWNLOADS)


def data_root_of(grid: Grid) -> Path | None:
    """Return the user's folder."""
    return Path(grid.study.data_root) if grid.study.data_root else None


def estimate_of(plan: StudyPlan, planned: Iterable[str] | None = None) -> Estimate:
    """Estimate a study with what the user's folder and the cache hold. Raises DataError and ConfigError.

    `planned`: outputs of the jobs that will run; None: those that are absent.
    """
    return estimate(plan, arrival=partial(_arrival, plan.grid), planned=planned)


def whereabouts(entry: Dataset | Teacher | RobustModel, data_root: Path | None) -> Whereabouts | None:
    """Look for an entry's files; None for what this pipeline draws or trains itself."""
    source = entry.source
    if isinstance(source, Files):
        return find(source.files, source.folders, data_root=data_root, cache=CACHE)
    if isinstance(source, Fetched | RobustFetched):
        return find([source.file], [], data_root=data_root, cache=CACHE)
    return None


def _arrival(grid: Grid, section: str, name: str) -> Arrival:
    """Say what fetching an entry writes and downloads; a teacher's file is read where it lies or is downloaded."""
    found = whereabouts(getattr(grid.catalogue, section)[name], data_root_of(grid))
    if found is None:
        return Arrival(0, 0)
    return Arrival(0 if section != "datasets" else found.size, None if found.to_download else 0)


def missing_sources(grid: Grid) -> list[str]:
    """Name the data sets and teachers that a study needs, does not have and cannot download."""
    needed: list[tuple[str, Dataset | Teacher, str]] = [
        (name, grid.dataset(name), paths.raw_folder(name)) for name in grid.dataset_names
    ]
    needed += [(name, grid.teacher(name), paths.teacher_folder(name, CLEAN)) for name in grid.teacher_names]
    return [name for name, entry, folder in needed if _is_missing(entry, folder, data_root_of(grid))]


def _is_missing(entry: Dataset | Teacher, folder: str, data_root: Path | None) -> bool:
    found = whereabouts(entry, data_root)
    return found is not None and not found.obtainable and not (Path(folder) / "card.json").exists()


def source_findings(
    catalogue: Catalogue, *, needed: set[str], blocking: set[str], data_root: Path | None
) -> Iterator[Finding]:
    """Say of each set of files and each fetched teacher where it comes from, those that studies need first.

    What is `blocking` and cannot be had is a problem, what only other studies need a warning.
    """
    entries: dict[str, tuple[Dataset | Teacher, str]] = {}
    for name, dataset in catalogue.datasets.items():
        entries[name] = (dataset, paths.raw_folder(name))
    for name, teacher in catalogue.teachers.items():
        entries[name] = (teacher, paths.teacher_folder(name, CLEAN))
    for name in sorted(entries, key=lambda name: name not in needed):
        entry, folder = entries[name]
        try:
            found = whereabouts(entry, data_root)
        except DataError as error:
            yield Finding("problem" if name in blocking else "warning", name, error.what, error.mend)
            continue
        if found is not None:
            yield _finding(name, entry, found, folder=folder, needed=name in needed, blocking=name in blocking)


def _finding(
    name: str, entry: Dataset | Teacher, found: Whereabouts, *, folder: str, needed: bool, blocking: bool
) -> Finding:
    nobody = "" if needed else " (no study needs it)"
    if (Path(folder) / "card.json").exists():
        return Finding("ok", name, f"already in {folder}{nobody}")
    if found.folder is not None:
        return Finding("ok", name, f"at hand, unpacked: {found.folder}{nobody}")
    if found.obtainable:
        return Finding("ok", name, _obtained(entry, found) + nobody)
    names = ", ".join(file.name for file in found.absent)
    what = f"not at hand: {names or 'its folder'}" + ("" if needed else nobody)
    status: Status = "problem" if blocking else "warning" if needed else "ok"
    return Finding(status, name, what, _way(entry))


def _obtained(entry: Dataset | Teacher, found: Whereabouts) -> str:
    parts = [f"at hand: {', '.join(map(str, found.at_hand))}"] if found.at_hand else []
    if found.to_download:
        source = entry.source
        guess = ""
        if isinstance(entry, Teacher) and isinstance(source, Fetched | RobustFetched):
            guess = f", about {size(BYTES_A_WEIGHT * cost_of(entry.body).weights(source.classes))}"
        parts.append(f"will be downloaded: {', '.join(file.name for file in found.to_download)}{guess}")
    return "; ".join(parts)


def _way(entry: Dataset | Teacher) -> str:
    """Tell how to get an entry's files."""
    source = entry.source
    if isinstance(source, Fetched | RobustFetched):
        return f"put {source.file.name} into a folder and name it: DATA=FOLDER. {source.instructions}".strip(". ")
    assert isinstance(source, Files)
    ways = [f"the folder {' or '.join(source.folders)}"] if source.folders else []
    ways += [", ".join(file.name for file in source.files)] if source.files else []
    page = f" {entry.homepage}" if isinstance(entry, Dataset) and entry.homepage else ""
    return f"put {' or '.join(ways)} into a folder and name it: DATA=FOLDER. {source.instructions}{page}".strip()
