"""Caltech-101 and Caltech-256 as their owners publish them: one folder a category (Fei-Fei 2004, Griffin 2007).

    101_ObjectCategories/<category>/image_NNNN.jpg       BACKGROUND_Google is no category and left out
    256_ObjectCategories/NNN.<category>/NNN_NNNN.jpg     257.clutter is no category and left out

There is no official split. Of each category the first 90 % (Caltech-101) or 95 % (Caltech-256) of the pictures in name
order, rounded down, are the development part, as in FPD's published script, and all others the test part.
That script validated and tested on the same pictures (docs/definitions.md#f5); here validation is held out of the
development part by the preparation. The owners left some files of their own in the categories: whatever is no JPEG is
left alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from heirloom.data import class_folders
from heirloom.data.listing import Listing, find_folder, pictures, subfolders

SUFFIXES = (".jpg", ".jpeg")


@dataclass(frozen=True)
class CaltechEdition:
    """What tells one set from the other.

    `numbered`: a folder's name begins with the category's number and a dot. `test_share`: of each category.
    """

    title: str
    folder: str
    left_out: str
    numbered: bool
    test_share: float


def read(root: Path, edition: CaltechEdition) -> Listing:
    """List one of the sets, whose folder lies at or below `root`; labels are positions among the sorted categories.

    Copies of one file in one category are one group, on the side of the first of them. Raises DataError when there is
    no such folder or it has one category only; what cannot be used is among the listing's `problems`.
    """
    folder = find_folder(root, marks=(edition.folder,), title=edition.title) / edition.folder
    found = {child.name: pictures(child, *SUFFIXES) for child in subfolders(folder) if child.name != edition.left_out}
    labels = class_folders.number(found, folder=folder)
    problems = [f"{folder / name}: no picture of this category" for name, paths in found.items() if not paths]
    samples = class_folders.samples(found, labels, base=folder, part="development", problems=problems)
    # The same picture under two categories is a finding for the data check, and no reason to refuse a published set.
    joined = class_folders.join_copies(list(samples), [])
    share = edition.test_share
    listed = class_folders.hold_out(joined, labels, base=folder, share=share, seed=None, problems=problems)
    return replace(listed, classes=tuple(_category(name, edition) for name in labels))


def _category(folder: str, edition: CaltechEdition) -> str:
    """Return a category's name without its number."""
    return folder.partition(".")[2] or folder if edition.numbered else folder
