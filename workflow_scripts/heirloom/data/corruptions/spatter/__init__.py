"""Drops of water or mud on the lens."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from heirloom.data.distortion.levels import Levels

if TYPE_CHECKING:
    from torch import Tensor

    from heirloom.data.distortion.corrupt import Corruption
    from heirloom.data.distortion.draws import Draws

# mean, deviation and blur of the noise, threshold of a drop, strength (water) or blur of its edge (mud), whether mud
_SPATTER = Levels(
    (
        (0.62, 0.1, 0.7, 0.7, 0.5, False),
        (0.65, 0.1, 0.8, 0.7, 0.5, False),
        (0.65, 0.3, 1.0, 0.69, 0.5, False),
        (0.65, 0.1, 0.7, 0.69, 0.6, True),
        (0.65, 0.1, 0.5, 0.68, 0.6, True),
    ),
    (
        (0.62, 0.1, 0.7, 0.7, 0.6, False),
        (0.65, 0.1, 0.8, 0.7, 0.6, False),
        (0.65, 0.3, 1.0, 0.69, 0.6, False),
        (0.65, 0.1, 0.7, 0.68, 0.6, True),
        (0.65, 0.1, 0.5, 0.67, 0.6, True),
    ),
    (
        (0.65, 0.3, 4.0, 0.69, 0.6, False),
        (0.65, 0.3, 3.0, 0.68, 0.6, False),
        (0.65, 0.3, 2.0, 0.68, 0.5, False),
        (0.65, 0.3, 1.0, 0.65, 1.5, True),
        (0.67, 0.4, 1.0, 0.65, 1.5, True),
    ),
)
_WATER, _MUD = (175 / 255, 238 / 255, 238 / 255), (63 / 255, 42 / 255, 20 / 255)
_COVERED = 0.8  # mud thinner than this is none


def spatter(images: Tensor, severity: int, draws: Draws) -> Tensor:
    """Spatter the lens: water lightens the image by the relief of its drops, mud hides it."""
    from heirloom.data.corruptions.spatter.relief import relief
    from heirloom.data.distortion import filters

    (mean, deviation, blur, threshold, strength, muddy), scale = _SPATTER.at(images, severity)
    side = images.shape[-1]
    noise = (mean + deviation * draws.normal(1, side, side)).to(images.device)
    liquid = filters.gaussian(noise, blur * scale)
    liquid = liquid.masked_fill(liquid < threshold, 0)
    if muddy:
        cover = filters.gaussian((liquid > threshold).to(images), strength * scale)
        cover = cover.masked_fill(cover < _COVERED, 0)
        return images * (1 - cover) + cover * images.new_tensor(_MUD).view(1, 3, 1, 1)
    glow = liquid * relief(liquid)
    brightest = glow.amax(dim=(1, 2, 3), keepdim=True).clamp_min(1e-12)
    return images + strength * glow / brightest * images.new_tensor(_WATER).view(1, 3, 1, 1)


MEMBERS: Mapping[str, Corruption] = MappingProxyType({"spatter": spatter})
