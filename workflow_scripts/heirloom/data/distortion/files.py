"""Corrupted test images on disk, made once for all models.

<folder>/card.json         names the files with their sha256, the conditions, the classes, the source
<folder>/images.npy        uint8 (C, N, S, S, 3): N images under each of C conditions
<folder>/index.parquet     what the N images are, in the array's order
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from heirloom.data.store import Part
from heirloom.runtime.errors import DamagedFileError
from heirloom.runtime.files import read_table, verify_card

COMPUTED = "computed"


def condition(kind: str, severity: int) -> str:
    """Name a corruption of one severity, as tables do: "gaussian-noise-1"."""
    return f"{kind}-{severity}"


@dataclass(frozen=True, eq=False)
class CorruptedImages:
    """Test images under every condition of a suite.

    `stored`: uint8 (C, N, S, S, 3), mapped. `table`: N rows as of the data set's index. `source`: COMPUTED, or the data
    set whose published files were read.
    """

    stored: NDArray[np.uint8]
    table: pa.Table
    conditions: tuple[str, ...]
    classes: tuple[str, ...]
    source: str

    def part(self, condition: str) -> Part:
        """Return the images of one condition, which models see whole; raises ValueError for one there is not."""
        if condition not in self.conditions:
            raise ValueError(f"these images are not under {condition}, only under {', '.join(self.conditions)}")
        images = self.stored[self.conditions.index(condition)]
        rows = np.arange(len(images), dtype=np.int64)
        return Part(images, rows, self.table, self.classes, images.shape[1])


def open_corrupted(images: Path, index: Path, card: Path) -> CorruptedImages:
    """Open what corrupt_dataset wrote, after checking it against the card; raises DamagedFileError."""
    facts = verify_card(card, *(path.relative_to(card.parent).as_posix() for path in (images, index)))
    table = read_table(index)
    conditions = tuple(facts["conditions"])
    try:
        stored = np.load(images, mmap_mode="r", allow_pickle=False)
    except ValueError as error:
        raise DamagedFileError(images, found=str(error)) from error
    if stored.dtype != np.uint8 or stored.ndim != 5 or stored.shape[:2] != (len(conditions), table.num_rows):
        found = f"{stored.dtype} {stored.shape} for {len(conditions)} conditions and {table.num_rows} rows of the index"
        raise DamagedFileError(images, found=found)
    return CorruptedImages(stored, table, conditions, tuple(facts["classes"]), str(facts["source"]))
