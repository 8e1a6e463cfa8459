"""Corrupted test images on disk, the same for every model (Hendrycks and Dietterich, ICLR 2019).

<folder>/card.json      names both files with their sha256, the conditions and who corrupted the images
<folder>/images.npy     uint8 (C, N, H, W, 3): N test images under each of C conditions, such as fog-3
<folder>/index.parquet  a row an image, in the array's order: its sample
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heirloom.data.store import Part
from heirloom.evaluation.conditions import CLEAN, Condition
from heirloom.runtime.errors import DamagedFileError, DataError
from heirloom.runtime.files import read_table, verify_card

# Facts of a card that say how the images came about; the budget of every prediction on them.
_ORIGIN = ("source", "severities", "seed", "libraries", "versions")


@dataclass(frozen=True, eq=False)
class Corrupted:
    """A suite of corrupted images: by condition the images, and what they are, in one order; `budget` is JSON."""

    parts: Mapping[str, Part]
    budget: str

    def conditions(self) -> list[tuple[Condition, Part]]:
        """Return how its images are shown: as they are, without an attack."""
        return [(Condition(CLEAN, self.budget, variant=name), part) for name, part in self.parts.items()]


def open_corrupted(images: Path, index: Path, card: Path, *, part: Part) -> Corrupted:
    """Open a suite that corrupt_dataset made of a test part, whose labels and classes its images have.

    Raises DamagedFileError when a file is not what the card says, DataError when the images are not of this part.
    """
    facts = verify_card(card, *(path.relative_to(card.parent).as_posix() for path in (images, index)))
    names = list(facts["conditions"])
    samples = read_table(index)["sample"].to_pylist()
    stored = _mapped(images, shape=(len(names), len(samples), *part.stored.shape[1:]))
    known = {sample: row for row, sample in enumerate(part.samples)}
    if not set(samples) <= known.keys():
        raise DataError(
            "corrupted images are of samples that the test part does not have",
            where=str(index),
            mend="delete the folder and run again: corrupt_dataset makes it anew",
        )
    clean = part.take(np.array([known[sample] for sample in samples], dtype=np.int64))
    rows = np.arange(len(samples), dtype=np.int64)
    parts = {
        name: Part(shown, rows, clean.table, part.classes, part.crop) for name, shown in zip(names, stored, strict=True)
    }
    return Corrupted(parts, _budget(facts))


def _mapped(path: Path, *, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Map the images of all conditions."""
    try:
        stored: NDArray[np.uint8] = np.load(path, mmap_mode="r", allow_pickle=False)
    except ValueError as error:
        raise DamagedFileError(path, found=str(error)) from error
    if stored.dtype != np.uint8 or stored.shape != shape:
        raise DamagedFileError(path, found=f"{stored.dtype} {stored.shape} instead of uint8 {shape}")
    return stored


def _budget(facts: Mapping[str, Any]) -> str:
    return json.dumps({name: facts[name] for name in _ORIGIN if name in facts}, sort_keys=True)
