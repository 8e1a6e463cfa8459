"""The relief of drops of water, lit from the upper left."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from heirloom.data.distortion import filters

_FAR = 20  # pixels: drops look alike farther from their edge
_LIGHT = ((-2.0, -1.0, 0.0), (-1.0, 1.0, 1.0), (0.0, 1.0, 2.0))


def relief(liquid: Tensor) -> Tensor:
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
