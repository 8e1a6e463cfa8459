"""PubFig83 as its owners publish it: faces of 83 people, cut out already.

    PubFig83/<person>/*.jpg

There is no official split: a fifth of each person's pictures, chosen by TEST_SEED, is the test part, the same in every
preparation and on every machine.
"""

from __future__ import annotations

from pathlib import Path

from heirloom.data import class_folders
from heirloom.data.listing import Listing

TEST_SHARE = 0.2  # of each class, chosen by seed
TEST_SEED = 83


def read(root: Path) -> Listing:
    """List the data set found at or below `root`; labels are positions among the sorted names of the people.

    Never in a folder's order (docs/definitions.md#b7). Copies of one file are one group. Raises DataError when there is
    no such folder, several could be it, or it has one person only; what cannot be used is among the listing's
    `problems`.
    """
    folder = class_folders.find(root, title="PubFig83")
    problems: list[str] = []
    people = class_folders.scan(folder, problems)
    labels = class_folders.number(people, folder=folder)
    found = class_folders.undivided(people, labels, base=folder, problems=problems)
    return class_folders.hold_out(found, labels, base=folder, share=TEST_SHARE, seed=TEST_SEED, problems=problems)
