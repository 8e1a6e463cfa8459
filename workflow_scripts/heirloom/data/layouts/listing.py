"""What every layout's reader returns, and how it finds its folder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from heirloom.runtime.errors import DataError

Box = tuple[float, float, float, float]
SEARCH_DEPTH = 3


@dataclass(frozen=True)
class Sample:
    """One picture of a data set.

    `identifier`: unique in the data set. `label`: position in the listing's classes. `group`: what no split may cut,
    such as the frames of one physical object; the identifier where pictures are independent. `regions`: boxes
    (x1, y1, x2, y2) in pixels of the picture, x to the right and y down, edges (not pixel centres).
    """

    identifier: str
    path: Path
    label: int
    part: Literal["development", "test"]
    group: str
    regions: Mapping[str, Box] = field(default_factory=dict)


@dataclass(frozen=True)
class Listing:
    """A data set's classes and samples, in an order that never depends on a folder's.

    `problems` names the entries that cannot be used ("FILE: why"), so that one message can list them together with the
    pictures that do not open.
    """

    classes: tuple[str, ...]
    samples: tuple[Sample, ...]
    problems: tuple[str, ...] = ()


def listing(classes: Iterable[str], samples: Iterable[Sample], problems: Iterable[str]) -> Listing:
    """Put samples in order (development first, then by identifier), and report those that share an identifier."""
    ordered = sorted(samples, key=lambda sample: (sample.part, sample.identifier))
    seen: set[str] = set()
    found = list(problems)
    for sample in ordered:
        if sample.identifier in seen:
            found.append(f"{sample.path}: listed twice")
        seen.add(sample.identifier)
    return Listing(tuple(classes), tuple(ordered), tuple(found))


def find_folder(root: Path, *, marks: Iterable[str], title: str) -> Path:
    """Return the first folder at or below `root` (three levels at most, in sorted order) that holds all of `marks`.

    Raises DataError when there is none, naming what was looked for.
    """
    marks = tuple(marks)
    for folder in _folders(root):
        if all((folder / mark).exists() for mark in marks):
            return folder
    wanted = ", ".join(marks)
    mend = (
        f"give a folder or an archive that holds {wanted}; if one was there before, delete {root.parent} and run again"
    )
    raise DataError(f"no {title} found: no folder holds {wanted}", where=str(root), mend=mend)


def _folders(root: Path) -> Iterator[Path]:
    """Yield a folder and those below it, level by level, hidden ones left out."""
    level = [root]
    for _ in range(SEARCH_DEPTH + 1):
        yield from level
        level = [
            child
            for folder in level
            if folder.is_dir()
            for child in sorted(folder.iterdir())
            if child.is_dir() and not child.name.startswith(".")
        ]


def pictures(folder: Path, *suffixes: str) -> list[Path]:
    """Return the pictures of a folder by name, hidden files left out; none when there is no such folder."""
    if not folder.is_dir():
        return []
    found = (path for path in folder.iterdir() if path.suffix.lower() in suffixes)
    return sorted(path for path in found if not path.name.startswith("."))
