"""Which images each step sees, as a function of the seed and the step alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from heirloom.runtime.seeds import derive_seed


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
