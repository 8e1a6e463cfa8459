"""Caltech-UCSD Birds-200-2011 as its owners publish it: birds of 200 species, one box each.

    CUB_200_2011/images/<class>/*.jpg
    CUB_200_2011/classes.txt               <class id> <class>
    CUB_200_2011/images.txt                <picture id> <class>/<picture>
    CUB_200_2011/image_class_labels.txt    <picture id> <class id>
    CUB_200_2011/train_test_split.txt      <picture id> <1: training, 0: test>
    CUB_200_2011/bounding_boxes.txt        <picture id> <x> <y> <width> <height>

Folders of classes are named by id ("001.Black_footed_Albatross"). A few of the owners' boxes reach beyond their
pictures and are cut there. A part of the set, with lists of that part, is read the same way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from heirloom.data.listing import (
    Box,
    Listing,
    Sample,
    class_and_picture,
    find_folder,
    lines,
    listing,
    pictures,
    subfolders,
    whole_number,
)

TITLE = "CUB-200-2011"
IMAGES = "images"
PICTURE_LIST = "images.txt"
CLASS_LIST = "classes.txt"
LABEL_LIST = "image_class_labels.txt"
SPLIT_LIST = "train_test_split.txt"
BOX_LIST = "bounding_boxes.txt"
REGION = "bird"
PARTS: Mapping[str, Literal["development", "test"]] = MappingProxyType({"1": "development", "0": "test"})
SUFFIXES = (".jpg", ".jpeg")

Numbered = dict[int, str]


@dataclass(frozen=True)
class _Lists:
    """The owners' lists, by picture id or, for `classes`, by class id."""

    pictures: Numbered
    classes: Numbered
    labels: Numbered
    splits: Numbered
    boxes: Numbered


class _UnusableError(Exception):
    """Why a listed picture cannot be used."""


def read(root: Path) -> Listing:
    """List the data set found at or below `root`; labels are positions among the official class ids, in their order.

    With the first N classes present, a label is the official id less one. Each sample has the region "bird"; every
    picture is a group of its own. Raises DataError when there is no such folder or a list is unreadable; entries that
    cannot be used are the listing's `problems`.
    """
    folder = find_folder(root, marks=(IMAGES, PICTURE_LIST), title=TITLE)
    problems: list[str] = []
    names = (PICTURE_LIST, CLASS_LIST, LABEL_LIST, SPLIT_LIST, BOX_LIST)
    lists = _Lists(*(_numbered(folder / name, problems) for name in names))
    labels = {class_id: label for label, class_id in enumerate(sorted(lists.classes))}
    samples: list[Sample] = []
    for number, name in sorted(lists.pictures.items()):
        try:
            samples.append(_sample(folder / IMAGES, number, name, lists, labels))
        except _UnusableError as error:
            problems.append(f"{folder / IMAGES / name}: {error}")
    problems += _left_over(folder, lists, samples)
    return listing((_class_name(lists.classes[class_id]) for class_id in labels), samples, problems)


def _numbered(table: Path, problems: list[str]) -> Numbered:
    """Read a list that starts each line with a number, and report lines that do not, or repeat one."""
    rows: Numbered = {}
    for line in lines(table, title=TITLE):
        text, _, rest = line.partition(" ")
        number = whole_number(text)
        if number is None or not rest.strip():
            problems.append(f"{table}: {line[:80]!r} is no number and its value")
        elif number in rows:
            problems.append(f"{table}: {number} is listed twice")
        else:
            rows[number] = rest.strip()
    return rows


def _class_name(name: str) -> str:
    """Return a class's name without its id."""
    return name.partition(".")[2] or name


def _sample(images: Path, number: int, name: str, lists: _Lists, labels: Mapping[int, int]) -> Sample:
    """Build a sample from its lines in all lists; raises _UnusableError that says why it cannot be."""
    entry = class_and_picture(name)
    if entry is None:
        raise _UnusableError(f"{PICTURE_LIST} gives no class/picture")
    class_id = _class_of(number, entry[0], lists)
    part = PARTS.get(_value(lists.splits, number, SPLIT_LIST))
    if part is None:
        raise _UnusableError(f"{SPLIT_LIST} says {lists.splits[number]!r}, which is neither 1 nor 0")
    box = _box(_value(lists.boxes, number, BOX_LIST))
    identifier = "/".join(entry)
    path = images / identifier
    return Sample(identifier, path, labels[class_id], part, identifier, {REGION: box}, cut_regions=True)


def _value(table: Numbered, number: int, name: str) -> str:
    """Look a picture up in a list."""
    if number not in table:
        raise _UnusableError(f"{name} has no line for it (picture {number})")
    return table[number]


def _class_of(number: int, folder: str, lists: _Lists) -> int:
    """Return a picture's class id, on which its line and its folder agree."""
    text = _value(lists.labels, number, LABEL_LIST)
    class_id = whole_number(text)
    if class_id is None or class_id not in lists.classes:
        raise _UnusableError(f"{LABEL_LIST} says class {text[:80]!r}, which {CLASS_LIST} does not name")
    if lists.classes[class_id] != folder:
        raise _UnusableError(f"{LABEL_LIST} says class {lists.classes[class_id]}, its folder {folder}")
    return class_id


def _box(text: str) -> Box:
    """Turn "x y width height" into edges."""
    try:
        x, y, width, height = map(float, text.split())
    except ValueError as error:
        raise _UnusableError(f"{BOX_LIST} gives {text!r}, which is no x, y, width and height") from error
    return x, y, x + width, y + height


def _left_over(folder: Path, lists: _Lists, samples: list[Sample]) -> list[str]:
    """Report what one place names and another does not: classes, lines and pictures."""
    used = {sample.label for sample in samples}
    names = [lists.classes[class_id] for class_id in sorted(lists.classes)]
    tables = {LABEL_LIST: lists.labels, SPLIT_LIST: lists.splits, BOX_LIST: lists.boxes}
    unknown = {name: sorted(table.keys() - lists.pictures.keys()) for name, table in tables.items()}
    present = (path for child in subfolders(folder / IMAGES) for path in pictures(child, *SUFFIXES))
    named = {folder / IMAGES / name for name in lists.pictures.values()}
    return [
        *(
            f"{folder / IMAGES / name}: no usable picture of this class"
            for i, name in enumerate(names)
            if i not in used
        ),
        *(f"{folder / name}: {PICTURE_LIST} has no picture {n}" for name, numbers in unknown.items() for n in numbers),
        *(f"{path}: not in {PICTURE_LIST}" for path in present if path not in named),
    ]
