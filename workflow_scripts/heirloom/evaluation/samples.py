"""A few test images as a model sees them under some conditions, on disk for a figure.

pictures.safetensors  per condition: <condition>/shown and, of a model that restores its images,
                      <condition>/restored, uint8 (I, H, W, 3)
card.json             `pictures`: per condition the images, their classes, and what the model says
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heirloom.evaluation.metrics import CLEAN
from heirloom.runtime.errors import DamagedFileError
from heirloom.runtime.files import read_arrays, verify_card, write_arrays

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class ShownSample:
    """A few test images under one condition: as shown and as restored, uint8 (I, H, W, 3), and what the model says.

    `restored` is None for a model that restores nothing. `labels` and `says` (I,) are class names.
    """

    condition: str
    shown: Pixels
    restored: Pixels | None
    samples: Sequence[str]
    labels: Sequence[str]
    says: Sequence[str]

    @property
    def facts(self) -> dict[str, Any]:
        """What is no picture, as plain values."""
        names = ("condition", "samples", "labels", "says")
        return {**{name: getattr(self, name) for name in names}, "restores": self.restored is not None}


def write_samples(path: Path, samples: Sequence[ShownSample]) -> dict[str, Any]:
    """Write the pictures of several conditions as one file; return what a card must say of them."""
    arrays = {f"{each.condition}/shown": each.shown for each in samples}
    arrays |= {f"{each.condition}/restored": each.restored for each in samples if each.restored is not None}
    write_arrays(path, arrays)
    return {"pictures": [each.facts for each in samples]}


def read_samples(path: Path, card: Path) -> list[ShownSample]:
    """Read what `write_samples` wrote, clean images first; raises DamagedFileError."""
    facts, arrays = verify_card(card, path.name), read_arrays(path)
    try:
        found = [_sample(each, arrays) for each in facts["pictures"]]
    except KeyError as error:
        raise DamagedFileError(path, found=f"its pictures are not those of its card: {error}") from error
    return sorted(found, key=lambda sample: sample.condition != CLEAN)


def _sample(facts: Mapping[str, Any], arrays: Mapping[str, Pixels]) -> ShownSample:
    told = {name: value for name, value in facts.items() if name != "restores"}
    name = told["condition"]
    return ShownSample(
        **told, shown=arrays[f"{name}/shown"], restored=arrays[f"{name}/restored"] if facts["restores"] else None
    )
