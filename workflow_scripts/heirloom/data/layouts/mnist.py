"""MNIST's four files, packed by gzip or not (LeCun et al. 1998), and sets of the same shape.

    MNIST/raw/{train,t10k}-images-idx3-ubyte[.gz]
    MNIST/raw/{train,t10k}-labels-idx1-ubyte[.gz]        a dot may stand before idx

An idx file is two zero bytes, the kind of its values (8: unsigned bytes), the number of its dimensions, each of these
as four bytes, the highest first, and the values.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from heirloom.data.listing import Listing, Sample, levels, listing
from heirloom.runtime.errors import DataError

TITLE = "MNIST"
CLASSES = tuple(map(str, range(10)))
UNSIGNED_BYTES = 8
LARGEST = 1 << 30  # bytes of a file's values; MNIST's own have a twentieth
MOST_PICTURES = 1 << 21  # of a file: EMNIST, the largest set of this shape, has 814,255
DENSEST = 1032  # bytes that one byte packed by gzip can hold (https://zlib.net/zlib_tech.html)
MEND = "unpack the data set again, or delete the file and get it again"
FILES = tuple(f"{part}-{kind}" for part in ("train", "t10k") for kind in ("images{}idx3-ubyte", "labels{}idx1-ubyte"))


def read(root: Path) -> Listing:
    """List the ten digits, whose four files lie in one folder at or below `root`; the label is the digit.

    Every picture is a group of its own, named train/NNNNN or test/NNNNN by its number. Raises DataError when there is
    no such folder or a file is not what its name says.
    """
    train_images, train_labels, test_images, test_labels = _found(root)
    samples = [
        *_samples(train_images, train_labels, "development"),
        *_samples(test_images, test_labels, "test"),
    ]
    return listing(CLASSES, samples, [])


def _found(root: Path) -> tuple[Path, ...]:
    """Find the first folder that holds all four files, and them in it."""
    for folder in (folder for level in levels(root) for folder in level):
        places = [_place(folder, name) for name in FILES]
        found = tuple(place for place in places if place is not None)
        if len(found) == len(FILES):
            return found
    wanted = ", ".join(name.format("-") for name in FILES)
    mend = f"give a folder that holds {wanted}, each packed by gzip (.gz) or not"
    raise DataError(f"no {TITLE} found: no folder holds its four files", where=str(root), mend=mend)


def _place(folder: Path, name: str) -> Path | None:
    """Find one file in a folder, under any of its names."""
    names = [f"{name.format(mark)}{suffix}" for suffix in ("", ".gz") for mark in "-."]
    return next((folder / each for each in names if (folder / each).is_file()), None)


def _samples(images: Path, labels: Path, part: Literal["development", "test"]) -> Iterator[Sample]:
    """Yield the pictures of one part."""
    pictures, digits = _values(images, dimensions=3), _values(labels, dimensions=1)
    if len(pictures) != len(digits):
        raise DataError(f"{len(pictures)} pictures, but {len(digits)} labels", where=str(labels), mend=MEND)
    if not len(digits) or digits.max() >= len(CLASSES):
        raise DataError("no labels, or some above 9", where=str(labels), mend=MEND)
    for number, (pixels, digit) in enumerate(zip(pictures, digits.tolist(), strict=True)):
        identifier = f"{'train' if part == 'development' else 'test'}/{number:05d}"
        yield Sample(identifier, images, digit, part, identifier, pixels=pixels)


def _values(path: Path, *, dimensions: int) -> NDArray[np.uint8]:
    """Read an idx file of unsigned bytes: as many values as its head says, and no more."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            shape = _shape(file, dimensions)
            size = math.prod(shape)
            packed = path.stat().st_size
            if size > min(LARGEST, packed * (DENSEST if path.suffix == ".gz" else 1)):
                raise ValueError(f"it claims {size} values, more than its {packed} bytes can hold")
            if shape[0] > MOST_PICTURES or min(shape) < 1:
                raise ValueError(f"it claims to be {' x '.join(map(str, shape))}, which no set of digits is")
            content = file.read(size + 1)
    except (OSError, EOFError, ValueError, struct.error, zlib.error) as error:
        raise DataError(f"a file of {TITLE} cannot be read: {error}", where=str(path), mend=MEND) from error
    if len(content) != size:
        what = f"a file of {TITLE} holds {'fewer' if len(content) < size else 'more'} values than the {size} it claims"
        raise DataError(what, where=str(path), mend=MEND)
    return np.frombuffer(content, dtype=np.uint8).reshape(shape)


def _shape(file: gzip.GzipFile | BinaryIO, dimensions: int) -> tuple[int, ...]:
    """Read the head of an idx file; raises ValueError when it is another."""
    head = struct.unpack(">HBB", file.read(4))
    if head != (0, UNSIGNED_BYTES, dimensions):
        raise ValueError(f"it is no idx file of unsigned bytes in {dimensions} dimensions")
    shape: tuple[int, ...] = struct.unpack(f">{dimensions}I", file.read(4 * dimensions))
    return shape
