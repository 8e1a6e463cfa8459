"""Drops of water or mud on the lens."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from heirloom.evaluation.corruptions import filters
from heirloom.evaluation.corruptions.draws import Draws
from heirloom.evaluation.corruptions.levels import Levels

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
_FAR = 20  # pixels: drops look alike farther from their edge
_LIGHT = ((-2.0, -1.0, 0.0), (-1.0, 1.0, 1.0), (0.0, 1.0, 2.0))  # relief lit from the upper left


def spatter(images: Tensor, severity: int, draws: Draws) -> Tensor:
    """Spatter the lens: water lightens the image by the relief of its drops, mud hides it."""
    (mean, deviation, blur, threshold, strength, muddy), scale = _SPATTER.at(images, severity)
    side = images.shape[-1]
    noise = (mean + deviation * draws.normal(1, side, side)).to(images.device)
    liquid = filters.gaussian(noise, blur * scale)
    liquid = liquid.masked_fill(liquid < threshold, 0)
    if muddy:
        cover = filters.gaussian((liquid > threshold).to(images), strength * scale)
        cover = cover.masked_fill(cover < _COVERED, 0)
        return images * (1 - cover) + cover * images.new_tensor(_MUD).view(1, 3, 1, 1)
    glow = liquid * _relief(liquid)
    brightest = glow.amax(dim=(1, 2, 3), keepdim=True).clamp_min(1e-12)
    return images + strength * glow / brightest * images.new_tensor(_WATER).view(1, 3, 1, 1)


def _relief(liquid: Tensor) -> Tensor:
    """Light drops (B, 1, S, S) by how far each point lies from an edge: values from 0 to 255.

    As published but for two libraries' functions: edges are a drop's outermost pixels and not Canny's, distances exact.
    """
    near = _distance(_edges(liquid > 0)).clamp(max=_FAR)
    even = _equalised((_box(near) + 1e-4).floor())  # a mean of whole numbers may lie a little below one
    lit = filters.correlated(even, torch.tensor(_LIGHT)).clamp(0, 255)
    return _box(lit).round()


def _edges(drops: Tensor) -> Tensor:
    """Tell which pixels of drops have a neighbour above, below, left or right that is dry."""
    dry = functional.pad((~drops).float(), (1, 1, 1, 1), mode="replicate")
    around = torch.stack([dry[..., :-2, 1:-1], dry[..., 2:, 1:-1], dry[..., 1:-1, :-2], dry[..., 1:-1, 2:]])
    return drops & (around.amax(dim=0) > 0)


def _distance(marked: Tensor) -> Tensor:
    """Return each pixel's distance to the nearest marked one, exact up to _FAR and no less than that beyond."""
    squares = torch.where(marked, 0.0, 2.0 * _FAR**2)
    for dim in (2, 3):
        squares = _nearest(squares, dim)
    return squares.sqrt()


def _nearest(squares: Tensor, dim: int) -> Tensor:
    """Let each point take the least of its row's or column's squares, each with the way there squared."""
    side, found = squares.shape[dim], squares.clone()
    for step in range(1, min(_FAR, side - 1) + 1):
        before, after = (0, side - step), (step, side - step)
        for here, there in ((before, after), (after, before)):
            part = found.narrow(dim, *here)
            torch.minimum(part, squares.narrow(dim, *there) + step**2, out=part)
    return found


def _box(planes: Tensor) -> Tensor:
    """Return the mean of each pixel and its eight neighbours."""
    return filters.correlated(planes, torch.full((3, 3), 1 / 9))


def _equalised(planes: Tensor) -> Tensor:
    """Spread whole numbers from 0 to 255 so that each plane's are as many below as above any level: (B, 1, S, S)."""
    values = planes.flatten(1).long()
    counts = torch.zeros(len(values), 256, dtype=planes.dtype, device=planes.device)
    counts.scatter_add_(1, values, torch.ones_like(values, dtype=planes.dtype))
    below = counts.cumsum(dim=1)
    lowest = below.gather(1, values.amin(dim=1, keepdim=True))
    spread = 255 * (below - lowest) / (below[:, -1:] - lowest).clamp_min(1)
    return spread.round().clamp(0, 255).gather(1, values).view(planes.shape)
