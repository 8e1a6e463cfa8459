"""Stanford 40 Actions as its owners publish it: people who do 40 things (Yao et al. 2011).

    stanford_40/JPEGImages/<action>_NNN.jpg
    stanford_40/ImageSplits/actions.txt                            a header, then an action and its count a line
    stanford_40/ImageSplits/{<action>_train.txt,<action>_test.txt} a picture a line
    stanford_40/XMLAnnotations/<action>_NNN.xml                    the person's box; may be absent

The lists name 4,000 pictures (100 of each action) and 5,532. Where the boxes are there, a sample has the region
"person": the smallest box round all that are marked in its picture.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from heirloom.data import voc
from heirloom.data.listing import (
    Box,
    Listing,
    Sample,
    Spelling,
    find_folder,
    is_plain_name,
    lines,
    listing,
    pictures,
)
from heirloom.runtime.errors import DataError

TITLE = "Stanford 40 Actions"
IMAGES = "JPEGImages"
LISTS = "ImageSplits"
BOXES = "XMLAnnotations"
CLASS_LIST = "actions.txt"
HEADER = "action_name"
PARTS: Mapping[Literal["development", "test"], str] = MappingProxyType({"development": "train", "test": "test"})
REGION = "person"


def read(root: Path) -> Listing:
    """List the data set found at or below `root`; labels are positions among the sorted names of the actions.

    Never in a folder's order (docs/definitions.md#b7). Every picture is a group of its own. Raises DataError when there
    is no such folder or a list is missing or unreadable; entries that cannot be used are the listing's `problems`.
    """
    folder = find_folder(root, marks=(IMAGES, LISTS), title=TITLE, capitals=False)
    spelling = Spelling()
    images, lists, boxes = (spelling.find(folder, name) for name in (IMAGES, LISTS, BOXES))
    names = _actions(spelling.find(lists, CLASS_LIST))
    problems: list[str] = []
    samples: list[Sample] = []
    for label, action in enumerate(names):
        for part, suffix in PARTS.items():
            for picture in _pictures(spelling.find(lists, f"{action}_{suffix}.txt"), problems):
                path = spelling.find(images, picture)
                try:
                    regions = _regions(boxes, path, spelling)
                except ValueError as error:
                    problems.append(f"{path}: {error}")
                    regions = {}
                samples.append(Sample(path.name, path, label, part, path.name, regions, cut_regions=True))
    return listing(names, samples, [*problems, *_left_over(images, samples)])


def _actions(table: Path) -> list[str]:
    """Read the names of the actions, which are parts of the lists' names, in sorted order."""
    words = [line.split()[0] for line in lines(table, title=TITLE)]
    names = sorted(words[words[0] == HEADER :])
    wrong = [name[:80] for name in names if not is_plain_name(name)]
    repeated = [one for one, two in pairwise(names) if one == two]
    if wrong or repeated or len(names) < 2:
        what = f"{', '.join(wrong or repeated)}: no name, or named twice" if wrong or repeated else "fewer than two"
        raise DataError(f"the actions cannot be used: {what}", where=str(table), mend="unpack the data set again")
    return names


def _pictures(table: Path, problems: list[str]) -> Iterator[str]:
    """Yield the pictures of a list, and report lines that lead elsewhere."""
    for line in lines(table, title=TITLE):
        if not is_plain_name(line):
            problems.append(f"{table}: {line[:80]!r} is no picture's name")
        else:
            yield line


def _regions(boxes: Path, picture: Path, spelling: Spelling) -> dict[str, Box]:
    """Return the region of a picture; raises ValueError when the boxes are there, but not this one."""
    if not boxes.is_dir():
        return {}
    return voc.region(spelling.find(boxes, f"{picture.stem}.xml"), REGION)


def _left_over(images: Path, samples: Iterable[Sample]) -> list[str]:
    """Report pictures that no list names."""
    named = {sample.path for sample in samples}
    return [f"{path}: in no list of {LISTS}" for path in pictures(images, ".jpg", ".jpeg") if path not in named]
