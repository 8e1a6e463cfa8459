"""Which training images carry a defect, and what they are called: chosen once, by seed."""

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


def wrong_labels(
    labels: NDArray[np.integer], chosen: NDArray[np.bool_], *, target: int | None, classes: int, seed: int
) -> NDArray[np.int64]:
    """Relabel the chosen images: to `target`, or to any other class than their own, each as likely, where it is None.

    `labels`: (N,) in 0..classes - 1. `chosen`: bool (N,). Returns (N,). An image's random class depends on the seed and
    its place alone, so that a larger portion of the same seed repeats what a smaller one says.
    """
    if target is not None:
        wrong = np.full(len(labels), target, dtype=np.int64)
    else:
        steps = np.random.default_rng(derive_seed(seed, "wrong labels")).integers(1, classes, len(labels))
        wrong = (labels.astype(np.int64) + steps) % classes
    return np.where(chosen, wrong, labels)
