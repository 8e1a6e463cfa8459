"""Snow, frost and fog."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from heirloom.data.distortion.levels import Levels

if TYPE_CHECKING:
    from torch import Tensor

    from heirloom.data.distortion.corrupt import Corruption
    from heirloom.data.distortion.draws import Draws

GREY = (0.299, 0.587, 0.114)  # of R, G, B: ITU-R BT.601
# flakes: mean and deviation of the noise, zoom, threshold; radius and deviation of the smear; share of the image left
_SNOW = Levels(
    (
        (0.1, 0.2, 1.0, 0.6, 8.0, 3.0, 0.95),
        (0.1, 0.2, 1.0, 0.5, 10.0, 4.0, 0.9),
        (0.15, 0.3, 1.75, 0.55, 10.0, 4.0, 0.9),
        (0.25, 0.3, 2.25, 0.6, 12.0, 6.0, 0.85),
        (0.3, 0.3, 1.25, 0.65, 14.0, 12.0, 0.8),
    ),
    (
        (0.1, 0.2, 1.0, 0.6, 8.0, 3.0, 0.8),
        (0.1, 0.2, 1.0, 0.5, 10.0, 4.0, 0.8),
        (0.15, 0.3, 1.75, 0.55, 10.0, 4.0, 0.7),
        (0.25, 0.3, 2.25, 0.6, 12.0, 6.0, 0.65),
        (0.3, 0.3, 1.25, 0.65, 14.0, 12.0, 0.6),
    ),
    (
        (0.1, 0.3, 3.0, 0.5, 10.0, 4.0, 0.8),
        (0.2, 0.3, 2.0, 0.5, 12.0, 4.0, 0.7),
        (0.55, 0.3, 4.0, 0.9, 12.0, 8.0, 0.7),
        (0.55, 0.3, 4.5, 0.85, 12.0, 8.0, 0.65),
        (0.55, 0.3, 2.5, 0.85, 12.0, 12.0, 0.55),
    ),
)
# share of the image, share of the frost
_FROST = Levels(
    ((1.0, 0.2), (1.0, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45)),
    ((1.0, 0.3), (0.9, 0.4), (0.8, 0.45), (0.75, 0.5), (0.7, 0.55)),
    ((1.0, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75)),
)
_ICE = (0.82, 0.92, 1.0)  # R, G, B
# thickness, decay of the map
_FOG = Levels(
    ((0.2, 3.0), (0.5, 3.0), (0.75, 2.5), (1.0, 2.0), (1.5, 1.75)),
    ((0.4, 3.0), (0.7, 3.0), (1.0, 2.5), (1.5, 2.0), (2.0, 1.75)),
    ((1.5, 2.0), (2.0, 2.0), (2.5, 1.7), (2.5, 1.5), (3.0, 1.4)),
)


def snow(images: Tensor, severity: int, draws: Draws) -> Tensor:
    """Let smeared flakes fall in two directions before an image that pales."""
    import torch

    from heirloom.data.distortion import filters

    (mean, deviation, zoom, threshold, radius, sigma, left), scale = _SNOW.at(images, severity)
    side = images.shape[-1]
    noise = (mean + deviation * draws.normal(1, side, side)).to(images.device)
    flakes = filters.zoomed(noise, zoom)
    flakes = flakes.masked_fill(flakes < threshold, 0).clamp(0, 1)
    fallen = filters.motion(flakes, radius * scale, sigma * scale, draws.uniform(low=-135, high=-45))
    grey = (images * images.new_tensor(GREY).view(1, 3, 1, 1)).sum(dim=1, keepdim=True)
    pale = left * images + (1 - left) * torch.maximum(images, 1.5 * grey + 0.5)
    return pale + fallen + fallen.flip(2, 3)


def frost(images: Tensor, severity: int, draws: Draws) -> Tensor:
    """Lay ice over the image. The originals lay photographs of frost, which cannot be given on; this ice is drawn."""
    (kept, added), _ = _FROST.at(images, severity)
    return kept * images + added * _ice(images, draws)


def _ice(images: Tensor, draws: Draws) -> Tensor:
    """Draw ice (B, 3, S, S) in [0, 1]: a bluish crust of uneven thickness, with bright veins where maps cross 1/2."""
    import torch

    crust, *veins = (_map(images, draws, decay) for decay in (2.2, 1.7, 1.7))
    ridges = torch.stack([(1 - (2 * vein - 1).abs()) ** 4 for vein in veins]).amax(dim=0)
    return (0.25 + 0.4 * crust + 0.35 * ridges) * images.new_tensor(_ICE).view(1, 3, 1, 1)


def fog(images: Tensor, severity: int, draws: Draws) -> Tensor:
    """Add a cloudy map and dim the sum, so that the brightest pixel there was stays the brightest there may be."""
    (thickness, decay), _ = _FOG.at(images, severity)
    brightest = images.amax(dim=(1, 2, 3), keepdim=True)
    return (images + thickness * _map(images, draws, decay)) * brightest / (brightest + thickness)


def _map(images: Tensor, draws: Draws, decay: float) -> Tensor:
    """Draw a cloudy map for each image: (B, 1, S, S) in [0, 1]."""
    from heirloom.data.distortion.fractal import clouds, map_side

    side = images.shape[-1]
    whole = map_side(side)
    return clouds(draws.uniform(whole, whole, low=-1), decay)[:, None, :side, :side].to(images)


MEMBERS: Mapping[str, Corruption] = MappingProxyType({"snow": snow, "frost": frost, "fog": fog})
