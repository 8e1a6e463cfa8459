"""Cloudy maps by the diamond-square algorithm (Fournier, Fussell and Carpenter, 1982), for whole batches."""

from __future__ import annotations

import torch
from torch import Tensor


def clouds(noise: Tensor, decay: float) -> Tensor:
    """Return maps (B, N, N) in [0, 1], whose opposite edges fit together.

    `noise` (B, N, N) in [-1, 1): what each point is moved by from the mean of its four neighbours, N a power of two.
    `decay`: twice for every halving of the distance the moves are divided by it.
    """
    heights = torch.zeros_like(noise)
    step, size = noise.shape[-1], 1.0
    while step >= 2:
        half = step // 2
        corners = heights[:, ::step, ::step]
        rows = corners + corners.roll(-1, dims=1)
        centres = (rows + rows.roll(-1, dims=2)) / 4 + size * noise[:, half::step, half::step]
        heights[:, half::step, half::step] = centres
        flat = centres + centres.roll(1, dims=1) + corners + corners.roll(-1, dims=2)
        heights[:, ::step, half::step] = flat / 4 + size * noise[:, ::step, half::step]
        steep = centres + centres.roll(1, dims=2) + rows
        heights[:, half::step, ::step] = steep / 4 + size * noise[:, half::step, ::step]
        step, size = half, size / decay**2
    low, high = heights.amin(dim=(1, 2), keepdim=True), heights.amax(dim=(1, 2), keepdim=True)
    return (heights - low) / (high - low)


def map_side(side: int) -> int:
    """Return the side of the smallest map that covers an image."""
    return 1 << (side - 1).bit_length()
