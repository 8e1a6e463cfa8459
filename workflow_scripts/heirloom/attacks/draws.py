"""Random numbers of an attack: a function of its seed, of what they are for, and of the image's row alone."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from heirloom.runtime.seeds import derive_seed


def uniform(images: Tensor, rows: NDArray[np.integer], *purpose: str | int) -> Tensor:
    """Draw uniformly from [0, 1) for every value of a batch (B, 3, H, W), in its layout and on its device.

    `rows` (B,): the images' places in their part. An image's draw depends on neither the batch it comes in nor the
    device, so every model meets the same one.
    """
    generator = torch.Generator()
    drawn = torch.empty_like(images)
    for place, row in zip(drawn, rows, strict=True):
        place.copy_(torch.rand(images.shape[1:], generator=generator.manual_seed(derive_seed(*purpose, int(row)))))
    return drawn
