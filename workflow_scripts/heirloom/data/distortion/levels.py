"""What the five severities of a corruption are at an image's size.

Hendrycks and Dietterich publish three sets of constants, in make_cifar_c.py, make_tinyimagenet_c.py and
make_imagenet_c.py of github.com/hendrycks/robustness, for images of 32, 64 and 224 pixels. An image takes the set whose
side is nearest as a ratio, and lengths in pixels (radii, widths of blurs, displacements) are scaled by its side over
that one: at 32, 64 and 224 pixels they are as published.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from torch import Tensor

SIDES = (32, 64, 224)
SEVERITIES = 5
Constants = TypeVar("Constants")


@dataclass(frozen=True)
class Levels(Generic[Constants]):
    """A corruption's constants for severities 1 to 5, at each of SIDES."""

    cifar: tuple[Constants, ...]
    tiny: tuple[Constants, ...]
    imagenet: tuple[Constants, ...]

    def at(self, images: Tensor, severity: int) -> tuple[Constants, float]:
        """Return the constants for images (B, 3, S, S), and what lengths in pixels are multiplied by."""
        side = nearest_side(images.shape[-1])
        table = dict(zip(SIDES, (self.cifar, self.tiny, self.imagenet), strict=True))[side]
        return table[severity - 1], images.shape[-1] / side


def nearest_side(side: int) -> int:
    """Return the one of SIDES that is nearest as a ratio."""
    return min(SIDES, key=lambda known: abs(log(known / side)))
