"""Which class's reversed trigger is too small to be chance (Wang et al., Neural Cleanse, IEEE S&P 2019)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

CONSISTENCY = 1.4826  # makes the median absolute deviation of normal values estimate their standard deviation
CLOSEST = 1e-6  # pixels: a spread below this is none


def anomaly_indices(norms: Sequence[float]) -> NDArray[np.float64]:
    """Return how far each norm lies below the median of all, in consistent median absolute deviations.

    `norms` (K,): plain L1 norms of the masks, in pixels, as published; not their logarithms. Returns (K,): positive
    below the median, negative above, since a backdoor makes a trigger small: the test is one-sided.
    """
    values = np.asarray(norms, dtype=np.float64)
    below = np.median(values) - values
    spread = CONSISTENCY * np.median(np.abs(below))
    return np.asarray(below / max(spread, CLOSEST))
