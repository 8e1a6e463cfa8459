"""Filters of batches (B, C, S, S): each is one of the published generation's libraries, put in batched form.

Sums whose order a library may choose by the size of the batch are made here, or in float64: rounded to 8 bits, an image
then is the same in any company.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import ceil, exp
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

_Fold = Callable[[NDArray[np.int64], int], NDArray[np.int64]]


def _mirrored(places: NDArray[np.int64], side: int) -> NDArray[np.int64]:
    """Fold places back at the border, whose pixel is repeated: 1 0 | 0 1 2 3 | 3 2."""
    folded = places % (2 * side)
    return np.minimum(folded, 2 * side - 1 - folded)


_BORDERS: Mapping[str, _Fold] = MappingProxyType(
    {"nearest": lambda places, side: places.clip(0, side - 1), "reflect": _mirrored}
)


def gaussian(images: Tensor, sigma: float, *, border: str = "nearest", truncate: float = 4.0) -> Tensor:
    """Blur by a Gaussian that is cut at `truncate` deviations, as scipy.ndimage.gaussian_filter does.

    `border`: "nearest" repeats the outermost pixel, "reflect" all of them backwards.
    """
    if sigma <= 0:
        return images
    blur = _gaussian_matrix(images.shape[-1], sigma, border, truncate).to(images.device)
    return (blur @ images.double() @ blur.T).to(images.dtype)


def _gaussian_matrix(side: int, sigma: float, border: str, truncate: float) -> Tensor:
    """Return what blurs a column of pixels: (side, side), every row's sum 1."""
    radius = int(truncate * sigma + 0.5)
    steps = np.arange(-radius, radius + 1)
    weights = np.exp(-0.5 * (steps / sigma) ** 2)
    places = _BORDERS[border](np.arange(side)[:, None] + steps, side)
    matrix = np.zeros((side, side))
    np.add.at(matrix, (np.arange(side)[:, None], places), weights / weights.sum())
    return torch.from_numpy(matrix)


def disk(radius: float, softening: float) -> Tensor:
    """Return a lens's kernel (K, K), its sum about 1: a disk, its edge softened by a small Gaussian."""
    reach = 8 if radius <= 8 else ceil(radius)
    steps = torch.arange(-reach, reach + 1, dtype=torch.float64)
    inside = (steps[:, None] ** 2 + steps**2 <= radius**2).double()
    width = 3 if radius <= 8 else 5
    line = torch.tensor([exp(-((step - width // 2) ** 2) / (2 * softening**2)) for step in range(width)]).double()
    soft = correlated((inside / inside.sum())[None, None], torch.outer(line, line) / line.sum() ** 2)[0, 0]
    return _trimmed(soft)


def _trimmed(kernel: Tensor) -> Tensor:
    """Leave out the rows and columns of zeros round a symmetric kernel."""
    used = torch.nonzero(kernel.amax(dim=0) > 0)
    margin = int(used.min())
    return kernel[margin : len(kernel) - margin, margin : len(kernel) - margin]


def correlated(images: Tensor, kernel: Tensor) -> Tensor:
    """Correlate each plane with a kernel (K, K); beyond the border pixels are reflected, the outermost not repeated."""
    reach, side = kernel.shape[-1] // 2, images.shape[-1]
    wide = functional.pad(images, (reach,) * 4, mode="reflect")
    total = torch.zeros_like(images)
    for row, weights in enumerate(kernel.tolist()):
        for column, weight in enumerate(weights):
            if weight:
                total.add_(wide[..., row : row + side, column : column + side], alpha=weight)
    return total


def motion(images: Tensor, radius: float, sigma: float, angles: Tensor) -> Tensor:
    """Smear each image in a direction of its own, as ImageMagick's motion blur does.

    `angles` (B,): degrees, 0 to the right, 90 down. A pixel becomes the weighted mean of the 2 * ceil(radius) + 1 that
    lie in that direction, itself the first; the weights are one half of a Gaussian. Beyond the border the outermost
    pixel is repeated.
    """
    taps = torch.arange(2 * ceil(radius) + 1, dtype=torch.float64)
    weights = torch.exp(-(taps**2) / (2 * sigma**2))
    turned = torch.deg2rad(angles.double())[:, None] * torch.ones_like(taps)
    across, down = (torch.ceil(taps * part - 0.5).long().to(images.device) for part in (turned.cos(), turned.sin()))
    side = images.shape[-1]
    places = torch.arange(side, device=images.device)
    planes, smeared = images.flatten(2), torch.zeros_like(images).flatten(2)
    for tap, weight in enumerate((weights / weights.sum()).tolist()):
        rows = (places + down[:, tap, None]).clamp(0, side - 1)
        columns = (places + across[:, tap, None]).clamp(0, side - 1)
        index = (rows[:, :, None] * side + columns[:, None, :]).flatten(1)[:, None].expand_as(planes)
        smeared.add_(planes.gather(2, index), alpha=weight)
    return smeared.view(images.shape)


def zoomed(images: Tensor, factor: float) -> Tensor:
    """Enlarge the middle of each image to its whole size, bilinearly."""
    side = images.shape[-1]
    window = ceil(side / factor)
    top = (side - window) // 2
    large = round(window * factor)
    middle = images[..., top : top + window, top : top + window]
    whole = functional.interpolate(middle, size=(large, large), mode="bilinear", align_corners=True)
    edge = (large - side) // 2
    return whole[..., edge : edge + side, edge : edge + side]


def sampled(images: Tensor, across: Tensor, down: Tensor, *, centred: bool) -> Tensor:
    """Read each image (B, C, S, S) at places in pixels, each (B, S, S), bilinearly.

    Beyond the border pixels are reflected, at the centre of the outermost one or, not `centred`, at its edge.
    """
    side = images.shape[-1]
    if centred:
        grid = torch.stack([across, down], dim=-1) * (2 / (side - 1)) - 1
    else:
        grid = (torch.stack([across, down], dim=-1) * 2 + 1) / side - 1
    return functional.grid_sample(images, grid.to(images), padding_mode="reflection", align_corners=centred)
