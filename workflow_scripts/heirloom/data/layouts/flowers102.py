"""Oxford Flowers 102 as its owners publish it: flowers of 102 kinds (Nilsback and Zisserman 2008).

    Flower_102/jpg/image_NNNNN.jpg     picture NNNNN, from 1
    Flower_102/imagelabels.mat         labels: the class number of each picture, from 1
    Flower_102/setid.mat               trnid, valid, tstid: the numbers of the pictures of each split

The owner's split has 10 pictures of each class for training, 10 for validation and the other 6,149 for the test.
Training and validation together are the development part here (2,040): a preparation holds out a validation split of
its own. The owner publishes numbers of classes and no names, so names are numbers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from heirloom.data import matlab
from heirloom.data.listing import Listing, Sample, Spelling, find_folder, listing, pictures
from heirloom.runtime.errors import DataError

TITLE = "Oxford Flowers 102"
IMAGES = "jpg"
LABELS = "imagelabels.mat"
SPLITS = "setid.mat"
PARTS: Mapping[str, Literal["development", "test"]] = MappingProxyType(
    {"trnid": "development", "valid": "development", "tstid": "test"}
)
SHOWN = 5


def read(root: Path) -> Listing:
    """List the data set found at or below `root`; labels are positions among the official class numbers, in order.

    With all classes present, a label is the official number less one. Every picture is a group of its own. Raises
    DataError when there is no such folder, a list is unreadable or the two contradict each other; pictures that cannot
    be used are the listing's `problems`.
    """
    folder = find_folder(root, marks=(IMAGES, LABELS, SPLITS), title=TITLE, capitals=False)
    spelling = Spelling()
    images, table = spelling.find(folder, IMAGES), spelling.find(folder, SPLITS)
    numbers = _class_numbers(spelling.find(folder, LABELS))
    splits = _splits(table, pictures_known=len(numbers))
    classes = sorted(set(numbers))
    labels = {number: label for label, number in enumerate(classes)}
    samples = [
        _sample(spelling.find(images, f"image_{picture:05d}.jpg"), labels[numbers[picture - 1]], PARTS[split])
        for split, found in splits.items()
        for picture in found
    ]
    names = [f"class {number:03d}" for number in classes]
    return listing(names, samples, _left_over(images, table, samples, names))


def _class_numbers(table: Path) -> list[int]:
    """Read the class number of each picture."""
    numbers = matlab.load(table, "labels", title=TITLE).numbers("labels")
    if min(numbers) < 1:
        what = f"labels has the class number {min(numbers)}, where they count from 1"
        raise DataError(what, where=str(table), mend=matlab.MEND)
    return numbers


def _splits(table: Path, *, pictures_known: int) -> dict[str, list[int]]:
    """Read the pictures of each split, all of them labelled and none named twice."""
    lists = matlab.load(table, *PARTS, title=TITLE)
    splits = {split: lists.numbers(split) for split in PARTS}
    _refuse(
        table,
        f"pictures that {LABELS} does not label (it labels 1 to {pictures_known})",
        {split: [n for n in found if not 1 <= n <= pictures_known] for split, found in splits.items()},
    )
    times = Counter(picture for found in splits.values() for picture in found)
    _refuse(
        table,
        "pictures that are named twice",
        {split: [n for n in found if times[n] > 1] for split, found in splits.items()},
    )
    return splits


def _refuse(table: Path, what: str, wrong: Mapping[str, Sequence[int]]) -> None:
    """Raise DataError that shows the first of the wrong numbers of each split, if there are any."""
    found = [f"{split}: {_shown(numbers)}" for split, numbers in wrong.items() if numbers]
    if found:
        raise DataError(f"{what}: {'; '.join(found)}", where=str(table), mend=matlab.MEND)


def _shown(numbers: Sequence[int]) -> str:
    more = f" and {len(numbers) - SHOWN} others" if len(numbers) > SHOWN else ""
    return ", ".join(map(str, numbers[:SHOWN])) + more


def _sample(path: Path, label: int, part: Literal["development", "test"]) -> Sample:
    return Sample(path.name, path, label, part, path.name)


def _left_over(images: Path, table: Path, samples: Iterable[Sample], names: Sequence[str]) -> list[str]:
    """Report pictures that no split names, and classes without a picture to train on or to test."""
    named = {sample.path for sample in samples}
    used = {(sample.part, sample.label) for sample in samples}
    parts = sorted(set(PARTS.values()))
    return [
        *(f"{path}: in no split of {SPLITS}" for path in pictures(images, ".jpg", ".jpeg") if path not in named),
        *(
            f"{table}: no {part} picture of {name}"
            for label, name in enumerate(names)
            for part in parts
            if (part, label) not in used
        ),
    ]
