"""The region of a test image, as a model sees it, that its object fills."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from heirloom.data.store import Box, Part


def object_name(part: Part) -> str | None:
    """Name the region that a data set marks on its images, such as "sign"; None where it marks none."""
    return next(iter(sorted(part.regions)), None)


def object_boxes(part: Part) -> list[Box | None]:
    """Return each image's box (x1, y1, x2, y2) in pixels of its central crop, not cut there; None where it has none."""
    name = object_name(part)
    if name is None:
        return [None] * len(part)
    height, width = part.stored.shape[1:3]
    top, left = (height - part.crop) // 2, (width - part.crop) // 2
    boxes = part.regions[name]
    return [box and (box[0] - left, box[1] - top, box[2] - left, box[3] - top) for box in boxes]


def box_masks(boxes: Sequence[Box | None], side: int) -> Tensor:
    """Return how much of each pixel a box covers: float32 (B, side, side) in [0, 1], 0 where there is no box."""
    corners = torch.tensor([box or (0.0, 0.0, 0.0, 0.0) for box in boxes], dtype=torch.float32).reshape(-1, 4)
    x1, y1, x2, y2 = corners[:, :, None].unbind(dim=1)
    edges = torch.arange(side, dtype=torch.float32)
    across, down = (
        (torch.minimum(high, edges + 1) - torch.maximum(low, edges)).clamp_min(0) for low, high in ((x1, x2), (y1, y2))
    )
    return down[:, :, None] * across[:, None, :]
