"""CIFAR-10-C and CIFAR-100-C as their owners publish them (Hendrycks and Dietterich, ICLR 2019).

CIFAR-10-C/<kind>.npy      uint8 (50000, 32, 32, 3): severity 1 of all test images in their order, then severity 2
CIFAR-10-C/labels.npy      their labels, 50000 or once 10000
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from tokenize import TokenError
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from heirloom.data.corrupted_layouts._published import (
    MEND,
    SEVERITIES,
    Opener,
    file_name,
    refuse_absent,
    refuse_others,
    refuse_size,
)
from heirloom.data.listing import find_folder
from heirloom.runtime.errors import DataError

if TYPE_CHECKING:
    from heirloom.data.store import Part

TITLE = "CIFAR-C"
LABELS = "labels.npy"
# What numpy's reader raises on a damaged head, which it reads as Python would.
UNREADABLE = (
    OSError,
    ValueError,
    EOFError,
    OverflowError,
    SyntaxError,
    TypeError,
    MemoryError,
    RecursionError,
    TokenError,
    struct.error,
)


def read(root: Path, *, kinds: Sequence[str], test: Part, rows: NDArray[np.integer]) -> Opener:
    """Open the files at or below `root` (see `_published`); they are mapped, not read.

    Raises DataError when there is no such folder, a kind is missing, an array is of another shape, or the labels are
    not those of the test part in its order.
    """
    folder = find_folder(root, marks=(LABELS,), title=TITLE)
    paths = {kind: folder / f"{file_name(kind)}.npy" for kind in kinds}
    refuse_absent([path.name for path in paths.values() if not path.is_file()], title=folder.name, root=folder)
    _check_order(folder / LABELS, test)
    arrays = {kind: _images(path, test) for kind, path in paths.items()}

    def opened(kind: str, severity: int) -> Iterator[NDArray[np.uint8]]:
        first = (severity - 1) * len(test)
        return (np.asarray(arrays[kind][first + row]) for row in rows)

    return opened


def _check_order(path: Path, test: Part) -> None:
    """Compare the labels with those of the test part, for every severity."""
    labels = _mapped(path)
    if labels.dtype.kind not in "iu":
        raise DataError(f"the labels are {labels.dtype}, no whole numbers", where=str(path), mend=MEND)
    if labels.ndim != 1 or len(labels) not in (len(test), SEVERITIES * len(test)):
        what = f"there are {labels.shape} labels, but the test part has {len(test)} images"
        refuse_others(what, where=path)
    wrong = int((labels.reshape(-1, len(test)) != test.labels).any(axis=0).sum())
    if wrong:
        what = f"{wrong} labels differ from those of the test part: these are other images, or in another order"
        refuse_others(what, where=path)


def _images(path: Path, test: Part) -> NDArray[np.uint8]:
    """Map the images of one kind."""
    stored = _mapped(path)
    if stored.dtype != np.uint8 or stored.ndim != 4 or stored.shape[3] != 3 or len(stored) != SEVERITIES * len(test):
        wanted = f"uint8 ({SEVERITIES * len(test)}, S, S, 3)"
        what = f"an array of corrupted images is {stored.dtype} {stored.shape}, not {wanted}"
        raise DataError(what, where=str(path), mend=MEND)
    refuse_size(stored.shape[1:3], test, title=path.parent.name, where=path)
    return np.asanyarray(stored, dtype=np.uint8)  # still mapped


def _mapped(path: Path) -> NDArray[np.generic]:
    """Map an array of numbers, and nothing else that numpy would take for one: an archive of arrays, a pickle."""
    try:
        array: NDArray[np.generic] = np.lib.format.open_memmap(path, mode="r")
    except UNREADABLE as error:
        raise DataError(f"an array of corrupted images cannot be read: {error}", where=str(path), mend=MEND) from error
    return array
