"""One way to call any corruption."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from heirloom.config.kinds import CORRUPTIONS
from heirloom.data.distortion.draws import Draws
from heirloom.data.distortion.levels import SEVERITIES

Corruption = Callable[[Tensor, int, Draws], Tensor]


def corrupt(images: Tensor, kind: str, severity: int, draws: Draws) -> Tensor:
    """Corrupt a batch of images, float32 (B, 3, S, S) in [0, 1], and return as many of the same range.

    `severity`: from 1, the least, to 5. Raises ConfigError for a kind that there is not and ValueError for another
    severity or shape.
    """
    if images.ndim != 4 or images.shape[1] != 3 or images.shape[2] != images.shape[3]:
        raise ValueError(f"images must be square, (B, 3, S, S), not {tuple(images.shape)}")
    if not 1 <= severity <= SEVERITIES:
        raise ValueError(f"a severity is from 1 to {SEVERITIES}, not {severity}")
    change: Corruption = CORRUPTIONS.member(kind)
    corrupted = change(images.contiguous(), severity, draws)
    return corrupted.clamp(0, 1)


def corrupt_pixels(images: Tensor, kind: str, severity: int, *, seed: int, samples: Sequence[str]) -> NDArray[np.uint8]:
    """Corrupt images (B, 3, S, S) in [0, 1] that the data set calls `samples`: uint8 (B, S, S, 3), rounded.

    What an image becomes depends on the seed, its name, the kind and the severity, not on the images beside it.
    """
    with torch.inference_mode():
        corrupted = corrupt(images, kind, severity, Draws.of(seed, kind, samples))
        return (corrupted * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()
