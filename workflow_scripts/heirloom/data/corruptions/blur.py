"""Blurs: a lens out of focus, a moving camera, a moving zoom."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from heirloom.data.distortion.levels import Levels

if TYPE_CHECKING:
    from torch import Tensor

    from heirloom.data.distortion.corrupt import Corruption
    from heirloom.data.distortion.draws import Draws

_GAUSSIAN = Levels((0.4, 0.6, 0.7, 0.8, 1.0), (0.5, 0.75, 1.0, 1.25, 1.5), (1.0, 2.0, 3.0, 4.0, 6.0))
# radius of the disk, deviation of its softening
_DEFOCUS = Levels(
    ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1.0, 0.2), (1.5, 0.1)),
    ((0.5, 0.6), (1.0, 0.1), (1.5, 0.1), (2.5, 0.01), (3.0, 0.1)),
    ((3.0, 0.1), (4.0, 0.5), (6.0, 0.5), (8.0, 0.5), (10.0, 0.5)),
)
# radius, deviation
_MOTION = Levels(
    ((6.0, 1.0), (6.0, 1.5), (6.0, 2.0), (8.0, 2.0), (9.0, 2.5)),
    ((10.0, 1.0), (10.0, 1.5), (10.0, 2.0), (10.0, 2.5), (12.0, 3.0)),
    ((10.0, 3.0), (15.0, 5.0), (15.0, 8.0), (15.0, 12.0), (20.0, 15.0)),
)
# end and step of the zoom factors, which start at 1
_ZOOM = Levels(
    ((1.06, 0.01), (1.11, 0.01), (1.16, 0.01), (1.21, 0.01), (1.26, 0.01)),
    ((1.06, 0.01), (1.11, 0.01), (1.16, 0.01), (1.21, 0.01), (1.26, 0.01)),
    ((1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03)),
)
_SLOPE = 45.0  # degrees, most of a motion to the right


def gaussian_blur(images: Tensor, severity: int, draws: Draws) -> Tensor:  # noqa: ARG001 - called like the others
    """Blur by a Gaussian."""
    from heirloom.data.distortion import filters

    sigma, scale = _GAUSSIAN.at(images, severity)
    return filters.gaussian(images, sigma * scale)


def defocus_blur(images: Tensor, severity: int, draws: Draws) -> Tensor:  # noqa: ARG001
    """Blur by a disk."""
    from heirloom.data.distortion import filters

    (radius, softening), scale = _DEFOCUS.at(images, severity)
    return filters.correlated(images, filters.disk(radius * scale, softening))


def motion_blur(images: Tensor, severity: int, draws: Draws) -> Tensor:
    """Smear to the right, up to 45 degrees up or down."""
    from heirloom.data.distortion import filters

    (radius, sigma), scale = _MOTION.at(images, severity)
    return filters.motion(images, radius * scale, sigma * scale, draws.uniform(low=-_SLOPE, high=_SLOPE))


def zoom_blur(images: Tensor, severity: int, draws: Draws) -> Tensor:  # noqa: ARG001
    """Average the image, counted once more, and it enlarged by rising factors."""
    from heirloom.data.distortion import filters

    (end, step), _ = _ZOOM.at(images, severity)
    factors = np.arange(1, end, step).tolist()  # as in the originals, rounding decides whether the end is among them
    total = images.clone()
    for factor in factors:
        total += filters.zoomed(images, factor)
    return total / (len(factors) + 1)


MEMBERS: Mapping[str, Corruption] = MappingProxyType(
    {
        "gaussian-blur": gaussian_blur,
        "defocus-blur": defocus_blur,
        "motion-blur": motion_blur,
        "zoom-blur": zoom_blur,
    }
)
