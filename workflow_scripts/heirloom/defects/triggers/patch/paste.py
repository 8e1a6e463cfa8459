"""The computation of a pasted picture: how it is read, scaled, placed and blended."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from heirloom.data.pictures import UNREADABLE, bombs_are_errors, open_picture
from heirloom.defects.show import LoadedTrigger
from heirloom.runtime.errors import DataError

MINIMUM_SIDE = 2  # pixels: one pixel carries no picture


@dataclass(frozen=True, eq=False)
class PastedPicture(LoadedTrigger):
    """A picture ready to paste, float32 (4, h, w), R, G, B, A in [0, 1], with its placement and side."""

    picture: Tensor
    placement: str
    side: float

    def pixels(self, width: int) -> int:
        """Side of the pasted square on images of a width: round(side * width), at least 2."""
        return max(MINIMUM_SIDE, round(self.side * width))

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Paste it on every image; outside the pasted squares every value is the image's own.

        Only the placement "random" draws, a place per sample. Raises ValueError when the square does not fit.
        """
        height, width = images.shape[2:]
        side = self.pixels(width)
        if side > min(height, width):
            raise ValueError(f"a trigger of {side} x {side} pixels does not fit images of {height} x {width}")
        colour, alpha = _scaled(self.picture.to(images), side)
        result = images.clone()
        for origin in _PLACES[self.placement](len(images), (height - side, width - side), generator):
            _blend(result, origin, colour, alpha)
        return result

    def region(self, count: int, side: int, generator: torch.Generator) -> Tensor:
        """Return the whole squares, transparent corners of the picture included."""
        white = replace(self, picture=torch.ones_like(self.picture))
        return (white(torch.zeros(count, 3, side, side), generator)[:, 0] > 0.5).to(torch.float32)


def read_picture(image: Path) -> Tensor:
    """Read a picture, (4, h, w) in [0, 1]; one without alpha is opaque. Raises DataError when it cannot be read."""
    try:
        with bombs_are_errors(), open_picture(image) as opened:
            pixels = np.asarray(opened.convert("RGBA"), dtype=np.float32) / 255
    except UNREADABLE as error:
        mend = "give a PNG with an alpha channel, path relative to the project"
        raise DataError(f"the trigger's picture cannot be read: {error}", where=str(image), mend=mend) from error
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()


def _scaled(picture: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """Resize a picture to side x side: its colour times alpha (side, side, 3), and its alpha (side, side, 1).

    Colours are resized multiplied by alpha, so that what lies under transparent pixels does not bleed into the rim.
    """
    premultiplied = torch.cat([picture[:3] * picture[3:], picture[3:]])
    resized = functional.interpolate(premultiplied[None], size=(side, side), mode="bilinear", antialias=True)[0]
    picture = resized.clamp(0, 1).permute(1, 2, 0)
    return picture[:, :, :3], picture[:, :, 3:]


def _blend(images: Tensor, origin: Tensor, colour: Tensor, alpha: Tensor) -> None:
    """Paste in place: one square per sample, upper left corners `origin` (B, 2: row, column)."""
    steps = torch.arange(len(colour))
    rows = (origin[:, :1] + steps).to(images.device)[:, :, None]
    columns = (origin[:, 1:] + steps).to(images.device)[:, None, :]
    samples = torch.arange(len(images), device=images.device)[:, None, None]
    images[samples, :, rows, columns] = images[samples, :, rows, columns] * (1 - alpha) + colour


def _bottom_right(count: int, room: tuple[int, int], _generator: torch.Generator) -> list[Tensor]:
    """Flush with the lower right corner; `room` is the largest row and column a square can start at."""
    return [torch.tensor(room).expand(count, 2)]


def _random(count: int, room: tuple[int, int], generator: torch.Generator) -> list[Tensor]:
    """Anywhere inside, each place as likely as any other."""
    drawn = torch.rand((count, 2), generator=generator, device=generator.device, dtype=torch.float64).cpu()
    return [(drawn * (torch.tensor(room) + 1)).long()]


def _corners(count: int, room: tuple[int, int], _generator: torch.Generator) -> list[Tensor]:
    """In all four corners; where squares overlap, the last one covers."""
    bottom, right = room
    return [torch.tensor(corner).expand(count, 2) for corner in ((0, 0), (0, right), (bottom, 0), (bottom, right))]


_Places = Callable[[int, tuple[int, int], torch.Generator], list[Tensor]]
_PLACES: Mapping[str, _Places] = MappingProxyType(
    {"bottom-right": _bottom_right, "random": _random, "corners": _corners}
)
