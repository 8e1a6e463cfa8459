"""Suites of corrupted test images as conditions that a model is judged under."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from heirloom.data.distortion.files import COMPUTED, CorruptedImages, open_corrupted
from heirloom.data.store import Part
from heirloom.models.conditions import CLEAN, Condition
from heirloom.runtime.errors import DataError
from heirloom.runtime.files import read_card


@dataclass(frozen=True, eq=False)
class Suite:
    """Corrupted images by condition, such as fog-3; `budget` is JSON and says who corrupted them."""

    parts: Mapping[str, Part]
    budget: str

    def conditions(self) -> list[tuple[Condition, Part]]:
        """Return how its images are shown: as they are, without an attack."""
        return [(Condition(CLEAN, self.budget, variant=name), part) for name, part in self.parts.items()]


def open_suite(images: Path, index: Path, card: Path, *, part: Part) -> Suite:
    """Open what corrupt_dataset made of a test part.

    Raises DamagedFileError when a file is not what the card says, DataError when the images are not of this part.
    """
    found = open_corrupted(images, index, card)
    parts = {name: replace(found.part(name), dataset=part.dataset) for name in found.conditions}
    known = dict(zip(part.samples, part.labels.tolist(), strict=True))
    alike = (found.classes, found.stored.shape[2]) == (part.classes, part.crop)
    shown = next(iter(parts.values()))
    if not alike or any(known.get(name) != label for name, label in zip(shown.samples, shown.labels, strict=True)):
        raise DataError(
            "corrupted images are not of the test images that the model is judged by",
            where=str(card),
            mend="delete the folder and run again: corrupt_dataset makes it anew",
        )
    return Suite(parts, _budget(found, card))


def _budget(found: CorruptedImages, card: Path) -> str:
    """Say whose corruptions these are: a data set's published files, or our own code with the seed of its draws."""
    drawn = {"seed": read_card(card)["suite"]["seed"]} if found.source == COMPUTED else {}
    return json.dumps({"source": found.source, **drawn}, sort_keys=True)
