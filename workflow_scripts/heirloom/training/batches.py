"""Which images each step sees, as a function of the seed and the step alone."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from heirloom.data.store import Part
from heirloom.runtime.seeds import derive_seed

_SHARE_OF_FREE_MEMORY = 0.5


class RowStream:
    """Row numbers of `count` images in an endless stream: one permutation after the other, cut into equal batches.

    Batches run across the end of an epoch, so that all have the same size (a last batch of one image would break batch
    normalisation) and a data set smaller than a batch works.
    """

    def __init__(self, count: int, *, batch_size: int, seed: int) -> None:
        self._count = count
        self._batch_size = batch_size
        self._seed = seed
        self._epoch = -1
        self._order = np.empty(0, dtype=np.int64)

    def rows(self, iteration: int) -> NDArray[np.int64]:
        """Return the rows (batch_size,) of a step, counted from 0."""
        first = iteration * self._batch_size
        pieces: list[NDArray[np.int64]] = []
        missing = self._batch_size
        while missing:
            epoch, begin = divmod(first, self._count)
            piece = self._permutation(epoch)[begin : begin + missing]
            pieces.append(piece)
            first += len(piece)
            missing -= len(piece)
        return np.concatenate(pieces)

    def _permutation(self, epoch: int) -> NDArray[np.int64]:
        if epoch != self._epoch:
            generator = np.random.default_rng(derive_seed(self._seed, "order", epoch))
            self._order = generator.permutation(self._count)
            self._epoch = epoch
        return self._order


class Images:
    """A part's images as uint8 tensors (B, H, W, 3) on a device: kept there when they fit, else moved batch by batch."""

    def __init__(self, part: Part, device: torch.device) -> None:
        self._part = part
        self._device = device
        self._resident: Tensor | None = None
        if device.type == "cuda" and _fits(part, device):
            self._resident = torch.from_numpy(part.batch(np.arange(len(part)))).to(device)
        self._labels = torch.from_numpy(np.asarray(part.labels, dtype=np.int64)).to(device)

    def batch(self, rows: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Return images (B, H, W, 3) and labels (B,) of some rows."""
        indices = torch.from_numpy(rows).to(self._device)
        if self._resident is not None:
            return self._resident[indices], self._labels[indices]
        return torch.from_numpy(self._part.batch(rows)).to(self._device), self._labels[indices]


def _fits(part: Part, device: torch.device) -> bool:
    """Tell whether a part's images leave the larger share of the device's free memory to the model."""
    size = len(part) * int(np.prod(part.stored.shape[1:]))
    return size < _SHARE_OF_FREE_MEMORY * torch.cuda.mem_get_info(device)[0]
