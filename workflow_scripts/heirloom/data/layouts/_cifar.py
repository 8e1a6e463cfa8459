"""CIFAR-10 and CIFAR-100 as their owner publishes them: 32 x 32 pixels, for Python or for C.

    cifar-10-batches-py/{data_batch_1, ..., data_batch_5, test_batch, batches.meta}              pickles
    cifar-10-batches-bin/{data_batch_1.bin, ..., data_batch_5.bin, test_batch.bin, batches.meta.txt}
    cifar-100-python/{train, test, meta}                                                         pickles
    cifar-100-binary/{train.bin, test.bin, fine_label_names.txt}

A pickle holds `data`, uint8 (N, 3072): all red values of a picture row by row, then green, then blue; and `labels`, or
for CIFAR-100 `fine_labels` beside coarse ones, which are left alone. A binary record is the label's byte (CIFAR-100:
the coarse label's, then the fine label's) and the same 3072 values. Pictures are numbered in the files' order, over all
training files, so both kinds list the same samples, and test pictures keep the order that CIFAR-10-C and -100-C have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from heirloom.data.limits import ARRAY, read_whole
from heirloom.data.listing import Listing, Sample, levels, lines, listing
from heirloom.runtime.errors import DataError
from heirloom.runtime.pickles import read_values

SIDE = 32
VALUES = 3 * SIDE * SIDE
MEND = "unpack the data set again from its owner's archive"


@dataclass(frozen=True)
class CifarEdition:
    """How the files of one of the two sets are named. `label_bytes`: of a binary record, the last one counts."""

    title: str
    training: tuple[str, ...]
    test: str
    names: str
    names_key: str
    names_list: str
    labels_key: str
    label_bytes: int


@dataclass(frozen=True)
class _Batches:
    """The pictures of one file: uint8 (N, 32, 32, 3) and labels, whole numbers (N,)."""

    images: NDArray[np.uint8]
    labels: NDArray[np.integer]


def read(root: Path, edition: CifarEdition) -> Listing:
    """List one of the sets, whose folder lies at or below `root`; labels and names are the official ones.

    Either form will do, Python's where both lie there; nothing in its pickles is run. Every picture is a group of its
    own, named train/NNNNN or test/NNNNN by its number. Raises DataError when there is no such folder or a file is not
    what its name says.
    """
    folder, suffix = _found(root, edition)
    batch = _binary if suffix else _pickled
    classes = lines(folder / edition.names_list, title=edition.title) if suffix else _names(folder, edition)
    parts: tuple[tuple[Literal["development", "test"], tuple[str, ...]], ...] = (
        ("development", edition.training),
        ("test", (edition.test,)),
    )
    samples = [
        sample
        for part, files in parts
        for sample in _samples([folder / f"{name}{suffix}" for name in files], part, edition, batch, len(classes))
    ]
    return listing(classes, samples, [])


def _found(root: Path, edition: CifarEdition) -> tuple[Path, str]:
    """Find the folder that holds every file of one form, and the suffix of its batches."""
    wanted = {
        suffix: [*(f"{name}{suffix}" for name in (*edition.training, edition.test)), names]
        for suffix, names in (("", edition.names), (".bin", edition.names_list))
    }
    folders = [folder for level in levels(root) for folder in level]
    for suffix, names in wanted.items():
        for folder in folders:
            if all((folder / name).is_file() for name in names):
                return folder, suffix
    told = " or ".join(", ".join(names) for names in wanted.values())
    mend = f"give a folder or an archive that holds {told}; if one was there before, delete {root.parent} and run again"
    raise DataError(f"no {edition.title} found: no folder holds {told}", where=str(root), mend=mend)


def _names(folder: Path, edition: CifarEdition) -> list[str]:
    """Read the names of the classes from a pickle."""
    match read_values(folder / edition.names, mend=MEND).get(edition.names_key):
        case [str(), *_] as names:
            return [str(name) for name in names]
    raise DataError(f"there are no {edition.names_key} in it", where=str(folder / edition.names), mend=MEND)


def _samples(
    paths: list[Path],
    part: Literal["development", "test"],
    edition: CifarEdition,
    batch: Callable[[Path, CifarEdition], _Batches],
    classes: int,
) -> Iterator[Sample]:
    """Yield the pictures of the files of one part, numbered through."""
    number = 0
    for path in paths:
        found = batch(path, edition)
        if not len(found.labels):
            raise DataError(f"a file of {edition.title} holds no picture", where=str(path), mend=MEND)
        if not 0 <= found.labels.min() <= found.labels.max() < classes:
            what = f"a file of {edition.title} has a label outside its {classes} classes"
            raise DataError(what, where=str(path), mend=MEND)
        for pixels, label in zip(found.images, found.labels.tolist(), strict=True):
            identifier = f"{'train' if part == 'development' else 'test'}/{number:05d}"
            yield Sample(identifier, path, label, part, identifier, pixels=pixels)
            number += 1


def _pickled(path: Path, edition: CifarEdition) -> _Batches:
    """Read a file of the form for Python."""
    content = read_values(path, mend=MEND)
    data, labels = content.get("data"), content.get(edition.labels_key)
    shape = data.shape if isinstance(data, np.ndarray) and data.dtype == np.uint8 else ()
    count = len(labels) if isinstance(labels, list) and all(isinstance(label, int) for label in labels) else -1
    if shape != (count, VALUES):
        what = f"a file of {edition.title} does not hold `data` with {VALUES} values for each of its labels"
        raise DataError(what, where=str(path), mend=MEND)
    try:
        numbers = np.asarray(labels, dtype=np.int64)
    except OverflowError as error:
        raise DataError(
            f"a file of {edition.title} has a label of too many digits", where=str(path), mend=MEND
        ) from error
    return _Batches(_pictures(np.asarray(data, dtype=np.uint8)), numbers)


def _binary(path: Path, edition: CifarEdition) -> _Batches:
    """Read a file of the form for C."""
    whole = read_whole(path, what=f"a file of {edition.title}", most=ARRAY, mend=MEND)
    content = np.frombuffer(whole, dtype=np.uint8)
    record = edition.label_bytes + VALUES
    if len(content) % record:
        what = f"a file of {edition.title} has {len(content)} bytes, no multiple of the {record} of a picture"
        raise DataError(what, where=str(path), mend=MEND)
    records = content.reshape(-1, record)
    return _Batches(_pictures(records[:, edition.label_bytes :]), records[:, edition.label_bytes - 1])


def _pictures(values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Turn colour after colour (N, 3072) into pictures (N, 32, 32, 3)."""
    return np.ascontiguousarray(values.reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1))
