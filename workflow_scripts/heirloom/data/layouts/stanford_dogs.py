"""Stanford Dogs as its owners publish it: dogs of 120 breeds, from ImageNet (Khosla et al. 2011).

    stanford_dog/Images/<wnid>-<breed>/*.jpg
    stanford_dog/{train_list.mat,test_list.mat}    file_list: "<wnid>-<breed>/<picture>", labels: class numbers from 1
    stanford_dog/Annotation/<wnid>-<breed>/<picture without suffix>    boxes, an XML file each; may be absent

The lists name 12,000 pictures (100 of each breed) and 8,580. All pictures are ImageNet training images
(docs/definitions.md#b21). Where the boxes are there, a sample has the region "dog": the smallest box round all dogs of
its picture.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from heirloom.data import matlab, voc
from heirloom.data.listing import (
    Box,
    Listing,
    Sample,
    Spelling,
    class_and_picture,
    find_folder,
    listing,
    pictures,
    subfolders,
)
from heirloom.runtime.errors import DataError

TITLE = "Stanford Dogs"
IMAGES = "Images"
BOXES = "Annotation"
LISTS: Mapping[Literal["development", "test"], str] = MappingProxyType(
    {"development": "train_list.mat", "test": "test_list.mat"}
)
REGION = "dog"


@dataclass(frozen=True)
class _Entry:
    """A line of a list: a breed's folder, the picture in it, and the breed's number."""

    folder: str
    picture: str
    number: int


@dataclass(frozen=True)
class _Place:
    """Where pictures and boxes lie (None: no boxes)."""

    images: Path
    boxes: Path | None
    spelling: Spelling


def read(root: Path) -> Listing:
    """List the data set found at or below `root`; labels are positions among the official class numbers, in order.

    With all breeds present, a label is the official number less one. Every picture is a group of its own. Raises
    DataError when there is no such folder or a list is unreadable; entries that cannot be used are the listing's
    `problems`.
    """
    folder = find_folder(root, marks=(IMAGES, *LISTS.values()), title=TITLE, capitals=False)
    spelling = Spelling()
    boxes = spelling.find(folder, BOXES)
    place = _Place(spelling.find(folder, IMAGES), boxes if boxes.is_dir() else None, spelling)
    problems: list[str] = []
    entries = {part: list(_entries(spelling.find(folder, name), problems)) for part, name in LISTS.items()}
    breeds = _breeds(entries["development"])
    labels = {number: label for label, number in enumerate(breeds)}
    samples: list[Sample] = []
    for part, found in entries.items():
        for entry in found:
            try:
                samples.append(_sample(entry, part, place, breeds=breeds, labels=labels))
            except ValueError as error:
                problems.append(f"{place.images / entry.folder / entry.picture}: {error}")
    problems += _left_over(place, entries)
    return listing((name.partition("-")[2] or name for name in breeds.values()), samples, problems)


def _entries(table: Path, problems: list[str]) -> Iterator[_Entry]:
    """Yield the entries of a list, and report those that name no class and picture."""
    found = matlab.load(table, "file_list", "labels", title=TITLE)
    names, numbers = found.texts("file_list"), found.numbers("labels")
    if len(names) != len(numbers):
        what = f"file_list names {len(names)} pictures, labels has {len(numbers)} class numbers"
        raise DataError(what, where=str(table), mend=matlab.MEND)
    for name, number in zip(names, numbers, strict=True):
        entry = class_and_picture(name)
        if entry is None:
            problems.append(f"{table}: {name!r} is no class/picture")
        else:
            yield _Entry(*entry, number)


def _breeds(entries: Iterable[_Entry]) -> dict[int, str]:
    """Return the folder of each class number in their order: the one that its first training picture lies in."""
    folders: dict[int, str] = {}
    for entry in entries:
        folders.setdefault(entry.number, entry.folder)
    return dict(sorted(folders.items()))


def _sample(
    entry: _Entry,
    part: Literal["development", "test"],
    place: _Place,
    *,
    breeds: Mapping[int, str],
    labels: Mapping[int, int],
) -> Sample:
    """Build a sample; raises ValueError that says why it cannot be."""
    if entry.number not in breeds:
        raise ValueError(f"{LISTS[part]} says class {entry.number}, which {LISTS['development']} does not have")
    if breeds[entry.number] != entry.folder:
        raise ValueError(f"{LISTS[part]} says class {entry.number}, which is {breeds[entry.number]}, not its folder")
    path = place.spelling.find(place.spelling.find(place.images, entry.folder), entry.picture)
    identifier = f"{entry.folder}/{path.name}"
    regions = _regions(entry, place)
    return Sample(identifier, path, labels[entry.number], part, identifier, regions, cut_regions=True)


def _regions(entry: _Entry, place: _Place) -> dict[str, Box]:
    if place.boxes is None:
        return {}
    folder = place.spelling.find(place.boxes, entry.folder)
    return voc.region(place.spelling.find(folder, Path(entry.picture).stem), REGION)


def _left_over(place: _Place, entries: Mapping[Literal["development", "test"], Iterable[_Entry]]) -> list[str]:
    """Report pictures that no list names."""
    find = place.spelling.find
    named = {find(find(place.images, entry.folder), entry.picture) for found in entries.values() for entry in found}
    present = (path for folder in subfolders(place.images) for path in pictures(folder, ".jpg", ".jpeg"))
    return [f"{path}: in neither list" for path in present if path not in named]
