"""A part's images where a model can see them: on the GPU when they fit, else read batch by batch."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from heirloom.data.store import Part

_SHARE_OF_FREE_MEMORY = 0.5


class Images:
    """A part's images as uint8 tensors (B, H, W, 3) on a device.

    On a GPU they are kept there when they fit; on the CPU the memory map is as near as they can be.
    """

    def __init__(self, part: Part, device: torch.device) -> None:
        self.part = part
        self.device = device
        self._resident: Tensor | None = None
        if device.type == "cuda" and _fits(part, device):
            self._resident = torch.from_numpy(part.batch(np.arange(len(part)))).to(device)
        self._labels = torch.from_numpy(np.asarray(part.labels, dtype=np.int64)).to(device)

    def batch(self, rows: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Return images (B, H, W, 3) and labels (B,) of some rows."""
        indices = torch.from_numpy(rows).to(self.device)
        if self._resident is not None:
            return self._resident[indices], self._labels[indices]
        return torch.from_numpy(self.part.batch(rows)).to(self.device), self._labels[indices]


def _fits(part: Part, device: torch.device) -> bool:
    """Tell whether a part's images leave the larger share of the device's free memory to the model."""
    size = len(part) * int(np.prod(part.stored.shape[1:]))
    return size < _SHARE_OF_FREE_MEMORY * torch.cuda.mem_get_info(device)[0]
