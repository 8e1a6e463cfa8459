"""SVHN's cropped digits as their owners publish them: photographed house numbers, 32 x 32 pixels (Netzer et al. 2011).

    SVHN/{train_32x32.mat, test_32x32.mat}     X: unsigned bytes (32, 32, 3, N); y: N labels from 1, 10 for the digit 0

The third file, extra_32x32.mat, is left alone: no experiment here uses it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np

from heirloom.data import matlab
from heirloom.data.limits import ARRAY
from heirloom.data.listing import Listing, Sample, find_folder, listing
from heirloom.runtime.errors import DataError

TITLE = "SVHN"
CLASSES = tuple(map(str, range(10)))
SIDE = 32
TRAINING, TEST = "train_32x32.mat", "test_32x32.mat"
PICTURES, LABELS = "X", "y"
ZERO = 10  # the label of the digit 0
MOST_BYTES = ARRAY  # of a file and of its pictures; the published training pictures have 215 MiB


def read(root: Path) -> Listing:
    """List the ten digits, whose two files lie in one folder at or below `root`; the label is the digit.

    Every picture is a group of its own, named train/NNNNN or test/NNNNN by its number in the file. Raises DataError
    when there is no such folder or a file is not what its name says.
    """
    folder = find_folder(root, marks=(TRAINING, TEST), title=TITLE)
    samples = [*_samples(folder / TRAINING, "development"), *_samples(folder / TEST, "test")]
    return listing(CLASSES, samples, [])


def _samples(path: Path, part: Literal["development", "test"]) -> Iterator[Sample]:
    """Yield the pictures of one file."""
    content = matlab.load(path, PICTURES, LABELS, title=TITLE, most_bytes=MOST_BYTES)
    images, labels = content.unsigned_bytes(PICTURES), np.asarray(content.numbers(LABELS))
    expected = (SIDE, SIDE, 3, len(labels))
    if images.shape != expected:
        found, wanted = (" x ".join(map(str, shape)) for shape in (images.shape, expected))
        what = f"{PICTURES} is {found}, where {len(labels)} labels ask for {wanted}"
        raise DataError(what, where=str(path), mend=matlab.MEND)
    if not 1 <= labels.min() <= labels.max() <= ZERO:
        what = f"{LABELS} has labels from {labels.min()} to {labels.max()}, where they go from 1 to {ZERO}"
        raise DataError(what, where=str(path), mend=matlab.MEND)
    for number, (pixels, label) in enumerate(zip(images.transpose(3, 0, 1, 2), labels.tolist(), strict=True)):
        identifier = f"{'train' if part == 'development' else 'test'}/{number:05d}"
        yield Sample(identifier, path, label % ZERO, part, identifier, pixels=pixels)
