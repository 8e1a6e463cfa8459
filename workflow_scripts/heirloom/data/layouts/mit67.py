"""MIT Indoor 67 as its owners publish it: pictures of 67 kinds of rooms.

    MIT_67/Images/<class>/*.jpg
    MIT_67/{TrainImages.txt,TestImages.txt}    a "class/picture" a line

The lists name 5,360 and 1,340 of the 15,620 pictures; the others belong to no split and are left alone. Names hold
blanks and apostrophes, the last line may lack its end, and unpacked copies exist whose capitals differ from the lists'.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from heirloom.data.listing import (
    Listing,
    Sample,
    Spelling,
    class_and_picture,
    find_folder,
    lines,
    listing,
    subfolders,
)

TITLE = "MIT67"
IMAGES = "Images"
LISTS: Mapping[Literal["development", "test"], str] = MappingProxyType(
    {"development": "TrainImages.txt", "test": "TestImages.txt"}
)


def read(root: Path) -> Listing:
    """List the data set found at or below `root`; labels are positions among the sorted classes of the training list.

    Never in a folder's order (docs/definitions.md#b7). Every picture is a group of its own. Raises DataError when there
    is no such folder or a list is unreadable; entries that cannot be used are the listing's `problems`.
    """
    folder = find_folder(root, marks=(IMAGES, *LISTS.values()), title=TITLE, capitals=False)
    spelling = Spelling()
    images = spelling.find(folder, IMAGES)
    problems: list[str] = []
    entries = {part: list(_entries(spelling.find(folder, name), problems)) for part, name in LISTS.items()}
    labels = {name: label for label, name in enumerate(sorted({name for name, _ in entries["development"]}))}
    named = {spelling.find(images, name) for name in labels}
    problems += [
        f"{path}: a folder of pictures that {LISTS['development']} does not name"
        for path in subfolders(images)
        if path not in named
    ]
    samples = [
        sample
        for part, found in entries.items()
        for sample in _samples(images, part, found, labels=labels, spelling=spelling, problems=problems)
    ]
    return listing(labels, samples, problems)


def _entries(table: Path, problems: list[str]) -> Iterator[tuple[str, str]]:
    """Yield the class and the picture of each line, and report lines that are none."""
    for line in lines(table, title=TITLE):
        entry = class_and_picture(line)
        if entry is None:
            problems.append(f"{table}: {line!r} is no class/picture")
        else:
            yield entry


def _samples(
    images: Path,
    part: Literal["development", "test"],
    entries: Iterable[tuple[str, str]],
    *,
    labels: Mapping[str, int],
    spelling: Spelling,
    problems: list[str],
) -> Iterator[Sample]:
    """Yield the samples of one list, and report those of a class that the training list does not have."""
    for name, picture in entries:
        path = spelling.find(spelling.find(images, name), picture)
        if name not in labels:
            problems.append(f"{path}: {LISTS[part]} says class {name!r}, which {LISTS['development']} does not have")
            continue
        identifier = f"{name}/{path.name}"
        yield Sample(identifier, path, labels[name], part, identifier)
