"""Which training images carry a defect: chosen once, by seed (METHODS 2.1)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from heirloom.runtime.seeds import derive_seed


def choose(labels: NDArray[np.integer], portion: float, seed: int) -> NDArray[np.bool_]:
    """Choose a share of the images, uniformly whatever their label, as the published scripts do.

    `labels`: (N,). `portion`: share in [0, 1]. Returns a mask (N,) with round(portion * N) entries set, the same for
    the same N, portion and seed; a larger portion of the same seed contains a smaller one. Raises ValueError.
    """
    if not 0 <= portion <= 1:
        raise ValueError(f"portion must lie in [0, 1], not {portion}")
    count = len(labels)
    order = np.random.default_rng(derive_seed(seed, "poison")).permutation(count)
    mask = np.zeros(count, dtype=np.bool_)
    mask[order[: round(portion * count)]] = True
    return mask
