"""What every layout's reader returns, and how it finds its folder."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from heirloom.data.limits import read_whole
from heirloom.runtime.errors import DataError, plain

Box = tuple[float, float, float, float]
SEARCH_DEPTH = 3
OFFICIAL = "official"
LONGEST_NAME = 255  # bytes, on the usual disks


@dataclass(frozen=True)
class Sample:
    """One picture of a data set.

    `identifier`: unique in the data set. `label`: position in the listing's classes. `group`: what no split may cut,
    such as the frames of one physical object; the identifier where pictures are independent. `regions`: boxes
    (x1, y1, x2, y2) in pixels of the picture, x to the right and y down, edges (not pixel centres). `cut_regions`: the
    owner's boxes are known to reach beyond their pictures, so they are cut there; elsewhere such a box is an error.
    `pixels`: the picture itself, uint8 (H, W, 3) or grey (H, W), where the file at `path` holds many of them.
    """

    identifier: str
    path: Path
    label: int
    part: Literal["development", "test"]
    group: str
    regions: Mapping[str, Box] = field(default_factory=dict)
    cut_regions: bool = False
    pixels: NDArray[np.uint8] | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class Listing:
    """A data set's classes and samples, in an order that never depends on a folder's.

    `problems` names the entries that cannot be used ("FILE: why"), so that one message can list them together with the
    pictures that do not open. `test_split` says who chose the test part: OFFICIAL, or by which rule the reader did.
    """

    classes: tuple[str, ...]
    samples: tuple[Sample, ...]
    problems: tuple[str, ...] = ()
    test_split: str = OFFICIAL


def listing(
    classes: Iterable[str], samples: Iterable[Sample], problems: Iterable[str], *, test_split: str = OFFICIAL
) -> Listing:
    """Put samples in order (development first, then by identifier).

    Samples that share an identifier, and names that no table can hold, join the problems. Control and format
    characters in classes' names are shown as escapes, since these names stand in tables and figures.
    """
    names = tuple(classes)
    ordered = sorted(samples, key=lambda sample: (sample.part, sample.identifier))
    seen: set[str] = set()
    found = [*problems, *(f"{name}: the class's name is no UTF-8: rename it" for name in names if not _is_utf8(name))]
    for sample in ordered:
        if sample.identifier in seen:
            found.append(f"{sample.path}: listed twice")
        seen.add(sample.identifier)
        if not _is_utf8(sample.identifier):
            found.append(f"{sample.path}: its name is no UTF-8: rename it")
    return Listing(tuple(map(plain, names)), tuple(ordered), tuple(map(plain, found)), test_split)


def _is_utf8(text: str) -> bool:
    """Tell whether a file's name is text; bytes of one that are no UTF-8 are halves of surrogate pairs."""
    return not any("\ud800" <= sign <= "\udfff" for sign in text)


def find_folder(root: Path, *, marks: Iterable[str], title: str, capitals: bool = True) -> Path:
    """Return the first folder at or below `root` (three levels at most, in sorted order) that holds all of `marks`.

    Without `capitals`, marks may be written in others. Raises DataError when there is no such folder, naming what was
    looked for.
    """
    marks = tuple(marks)
    spelling = Spelling()
    for folder in (folder for level in levels(root) for folder in level):
        if all((folder / mark if capitals else spelling.find(folder, mark)).exists() for mark in marks):
            return folder
    wanted = ", ".join(marks)
    mend = (
        f"give a folder or an archive that holds {wanted}; if one was there before, delete {root.parent} and run again"
    )
    raise DataError(f"no {title} found: no folder holds {wanted}", where=str(root), mend=mend)


def levels(root: Path) -> Iterator[list[Path]]:
    """Yield a folder alone, then its sub-folders, then theirs: three levels down, in sorted order."""
    level = [root]
    for _ in range(SEARCH_DEPTH + 1):
        yield level
        level = [child for folder in level for child in subfolders(folder)]


def subfolders(folder: Path) -> list[Path]:
    """Return the folders of a folder by name, hidden ones and those of macOS's archives left out."""
    if not folder.is_dir():
        return []
    found = (child for child in folder.iterdir() if not child.name.startswith(".") and child.name != "__MACOSX")
    return sorted(child for child in found if child.is_dir())


class Spelling:
    """Finds entries of folders whatever their capitals and their way to write accents."""

    def __init__(self) -> None:
        self._entries: dict[Path, dict[str, list[str]]] = {}

    def find(self, folder: Path, name: str) -> Path:
        """Return the entry of that name, else the only one that differs in capitals alone, else folder/name."""
        if folder not in self._entries:
            self._entries[folder] = self._read(folder)
        candidates = self._entries[folder].get(_folded(name), [])
        return folder / (candidates[0] if len(candidates) == 1 and name not in candidates else name)

    @staticmethod
    def _read(folder: Path) -> dict[str, list[str]]:
        entries: dict[str, list[str]] = {}
        for path in folder.iterdir() if folder.is_dir() else ():
            entries.setdefault(_folded(path.name), []).append(path.name)
        return entries


def _folded(name: str) -> str:
    """Return what names have in common that differ in capitals or in the way to write accents."""
    return unicodedata.normalize("NFC", name).casefold()


def lines(path: Path, *, title: str) -> list[str]:
    """Read the lines of a list that hold something, stripped; raises DataError for none, or too many."""
    mend = "unpack the data set again"
    try:
        text = read_whole(path, what=f"a list of {title}", mend=mend).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"a list of {title} is missing or unreadable", where=str(path), mend=mend) from error
    found = [line.strip() for line in text.splitlines() if line.strip()]
    if not found:
        raise DataError(f"a list of {title} is empty", where=str(path), mend=mend)
    return found


def is_plain_name(text: str) -> bool:
    """Tell whether a text of a list can be the name of an entry of a folder: no path, and short enough for any disk."""
    if text in ("", ".", "..") or len(text.encode("utf-8", "surrogatepass")) > LONGEST_NAME:
        return False
    return not any(mark in text for mark in ("/", "\\", "\0"))


def whole_number(text: str) -> int | None:
    """Return the whole number from 0 that a text of a list is, with nine digits at most; None for anything else."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None


def class_and_picture(entry: str) -> tuple[str, str] | None:
    """Split a list's "class/picture"; None for anything else, such as a path that leads elsewhere."""
    match entry.replace("\\", "/").split("/"):
        case [folder, picture] if is_plain_name(folder) and is_plain_name(picture):
            return folder, picture
    return None


def pictures(folder: Path, *suffixes: str) -> list[Path]:
    """Return the pictures of a folder by name, hidden files left out; none when there is no such folder."""
    if not folder.is_dir():
        return []
    found = (path for path in folder.iterdir() if path.suffix.lower() in suffixes)
    return sorted(path for path in found if not path.name.startswith("."))
