"""Distortion, coarse pixels and JPEG."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from heirloom.data.distortion.levels import Levels

if TYPE_CHECKING:
    from torch import Tensor

    from heirloom.data.distortion.corrupt import Corruption
    from heirloom.data.distortion.draws import Draws

# in pixels: strength and blur of the displacements, most that a corner of the affine map moves
_ELASTIC = Levels(
    ((0.0, 0.0, 2.56), (1.6, 6.4, 2.24), (2.56, 1.92, 1.92), (3.2, 1.28, 1.6), (3.2, 0.96, 0.96)),
    ((0.0, 0.0, 5.12), (3.2, 19.2, 3.84), (6.4, 5.12, 3.84), (6.4, 1.92, 1.92), (10.24, 1.92, 1.28)),
    # of 244 pixels, as its authors wrote it
    ((488.0, 170.8, 24.4), (488.0, 19.52, 48.8), (12.2, 2.44, 4.88), (17.08, 2.44, 4.88), (29.28, 2.44, 4.88)),
)
_PIXELATE = Levels((0.95, 0.9, 0.85, 0.75, 0.65), (0.9, 0.8, 0.7, 0.6, 0.5), (0.6, 0.5, 0.4, 0.3, 0.25))
_JPEG = Levels((80, 65, 58, 50, 40), (65, 58, 50, 40, 25), (25, 18, 15, 10, 7))


def elastic_transform(images: Tensor, severity: int, draws: Draws) -> Tensor:
    """Move three corners of a square (an affine map), then every pixel by smooth noise."""
    import torch

    from heirloom.data.distortion import filters

    (strength, blur, reach), scale = _ELASTIC.at(images, severity)
    bent = _affine(images, draws.uniform(3, 2, low=-1) * (reach * scale))
    side = images.shape[-1]
    moves = filters.gaussian(draws.uniform(2, side, side, low=-1), blur * scale, border="reflect", truncate=3.0)
    moves = moves * (strength * scale)
    places = torch.arange(side, dtype=moves.dtype)
    return filters.sampled(bent, places + moves[:, 0], places[:, None] + moves[:, 1], centred=False)


def _affine(images: Tensor, moves: Tensor) -> Tensor:
    """Map each image so that three points about its middle move by `moves` (B, 3, 2: x, y), in pixels."""
    import torch

    from heirloom.data.distortion import filters

    side = images.shape[-1]
    middle, third = side // 2, side // 3
    low, high = middle - third, middle + third
    before = torch.tensor([(high, high), (high, low), (low, low)], dtype=torch.float64)
    after = torch.cat([before + moves.double(), torch.ones(len(moves), 3, 1, dtype=torch.float64)], dim=2)
    backwards = torch.linalg.solve(after, before.expand(len(moves), 3, 2))  # takes (x, y, 1) to where it came from
    places = torch.arange(side, dtype=torch.float64)
    grid = torch.stack([*torch.meshgrid(places, places, indexing="xy"), torch.ones(side, side)], dim=-1)
    across, down = (grid.view(1, -1, 3) @ backwards).view(len(moves), side, side, 2).unbind(dim=-1)
    return filters.sampled(images, across.to(images), down.to(images), centred=True)


def pixelate(images: Tensor, severity: int, draws: Draws) -> Tensor:  # noqa: ARG001 - called like the others
    """Shrink by averaging, and enlarge by repeating; by Pillow."""
    share, _ = _PIXELATE.at(images, severity)
    side = images.shape[-1]
    small = int(side * share)

    def change(picture: Image.Image) -> Image.Image:
        coarse = picture.resize((small, small), Image.Resampling.BOX)
        return coarse.resize((side, side), Image.Resampling.BOX)

    return _each(images, change)


def jpeg_compression(images: Tensor, severity: int, draws: Draws) -> Tensor:  # noqa: ARG001
    """Write each image as JPEG of a low quality and read it again, by Pillow."""
    quality, _ = _JPEG.at(images, severity)

    def change(picture: Image.Image) -> Image.Image:
        content = io.BytesIO()
        picture.save(content, format="JPEG", quality=quality)
        return Image.open(content)

    return _each(images, change)


def _each(images: Tensor, change: Callable[[Image.Image], Image.Image]) -> Tensor:
    """Change images one by one as 8-bit pictures."""
    import torch

    plain = (images * 255).round().to("cpu", torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()
    changed = np.stack([np.asarray(change(Image.fromarray(pixels))) for pixels in plain])
    return torch.from_numpy(changed).permute(0, 3, 1, 2).to(images) / 255


MEMBERS: Mapping[str, Corruption] = MappingProxyType(
    {
        "elastic-transform": elastic_transform,
        "pixelate": pixelate,
        "jpeg-compression": jpeg_compression,
    }
)
