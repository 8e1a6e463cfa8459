"""Noise on single values."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from heirloom.data.distortion.levels import Levels

if TYPE_CHECKING:
    from torch import Tensor

    from heirloom.data.distortion.corrupt import Corruption
    from heirloom.data.distortion.draws import Draws

_GAUSSIAN = Levels((0.04, 0.06, 0.08, 0.09, 0.10), (0.04, 0.08, 0.12, 0.15, 0.18), (0.08, 0.12, 0.18, 0.26, 0.38))
_SHOT = Levels((500, 250, 100, 75, 50), (250, 100, 50, 30, 15), (60, 25, 12, 5, 3))
_SPECKLE = Levels((0.06, 0.1, 0.12, 0.16, 0.2), (0.15, 0.2, 0.25, 0.3, 0.35), (0.15, 0.2, 0.35, 0.45, 0.6))
_IMPULSE = Levels((0.01, 0.02, 0.03, 0.05, 0.07), (0.01, 0.02, 0.05, 0.08, 0.14), (0.03, 0.06, 0.09, 0.17, 0.27))


def gaussian_noise(images: Tensor, severity: int, draws: Draws) -> Tensor:
    """Add normal noise of one standard deviation."""
    deviation, _ = _GAUSSIAN.at(images, severity)
    return images + deviation * draws.normal(*images.shape[1:]).to(images.device)


def shot_noise(images: Tensor, severity: int, draws: Draws) -> Tensor:
    """Count photons: each value is a Poisson draw of so many at full light."""
    photons, _ = _SHOT.at(images, severity)
    return draws.poisson(images * photons).to(images.device) / photons


def speckle_noise(images: Tensor, severity: int, draws: Draws) -> Tensor:
    """Add normal noise in proportion to each value."""
    deviation, _ = _SPECKLE.at(images, severity)
    return images + images * deviation * draws.normal(*images.shape[1:]).to(images.device)


def impulse_noise(images: Tensor, severity: int, draws: Draws) -> Tensor:
    """Set a share of the values to 0 or 1, either as likely."""
    share, _ = _IMPULSE.at(images, severity)
    hit = draws.uniform(*images.shape[1:]).to(images.device) < share
    white = draws.uniform(*images.shape[1:]).to(images.device) < 0.5
    return images.masked_fill(hit & white, 1.0).masked_fill(hit & ~white, 0.0)


MEMBERS: Mapping[str, Corruption] = MappingProxyType(
    {
        "gaussian-noise": gaussian_noise,
        "shot-noise": shot_noise,
        "speckle-noise": speckle_noise,
        "impulse-noise": impulse_noise,
    }
)
