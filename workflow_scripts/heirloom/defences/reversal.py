"""Reversed triggers: what, pasted on any image, sends it to a class; in memory, on images and on disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from heirloom.runtime.errors import DamagedFileError, DataError
from heirloom.runtime.files import atomic_path, verify_card


@dataclass(frozen=True, eq=False)
class Reversed:
    """One class's trigger: `picture` float32 (4, H, W), R, G, B and the mask, all in [0, 1].

    `success`: share of the images of other classes that it sends to the class.
    """

    picture: Tensor
    success: float

    @property
    def norm(self) -> float:
        """L1 norm of the mask: how many pixels it covers."""
        return float(self.picture[3].double().sum())


def blended(images: Tensor, picture: Tensor) -> Tensor:
    """Paste a trigger (4, H, W) on images (B, 3, H, W) in [0, 1]: (1 - mask) * image + mask * colours."""
    mask = picture[3:]
    return images * (1 - mask) + mask * picture[:3]


def write_reversed(path: Path, found: Sequence[Reversed]) -> None:
    """Write the triggers of all classes as one array, float32 (K, 4, H, W); (0, 4, 0, 0) where there is none."""
    stacked = [each.picture.cpu().numpy() for each in found]
    with atomic_path(path) as partial, partial.open("wb") as file:
        np.save(file, np.stack(stacked) if stacked else np.zeros((0, 4, 0, 0), dtype=np.float32))


def read_reversed(path: Path, card: Path, *, label: int, classes: int, crop: int) -> Tensor:
    """Read the trigger (4, crop, crop) of one class, a label from 0 to `classes` - 1.

    Raises DamagedFileError when the file is not what its card says, DataError when it is of other classes or images.
    """
    verify_card(card, path.name)
    try:
        stored: NDArray[np.float32] = np.load(path, mmap_mode="r", allow_pickle=False)
    except ValueError as error:
        raise DamagedFileError(path, found=str(error)) from error
    expected = (classes, 4, crop, crop)
    if stored.shape != expected:
        raise DataError(
            f"the reversed triggers are {stored.shape}, not {expected}: they are of other classes or images",
            where=str(path),
            mend="delete the folder and run again: detect_backdoor makes it anew",
        )
    return torch.from_numpy(stored[label].copy())
