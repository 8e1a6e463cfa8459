"""The units an attack counts in: pixels, or what lies behind a model's first layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from heirloom.config.attacks import Interval
from heirloom.config.models import Normalisation


class Limits(Protocol):
    """Where an attacked image may lie; every attack with a ball says so (heirloom.config.attacks)."""

    @property
    def units(self) -> Literal["pixel", "normalised"]:
        """What epsilon and clip are measured in."""

    @property
    def epsilon(self) -> float:
        """Largest change of a pixel's channel."""

    @property
    def clip(self) -> Interval:
        """Smallest and largest value of a pixel's channel."""


@dataclass(frozen=True, eq=False)
class Units:
    """point = (image - mean) / std per channel: the identity, to the bit, for pixels.

    An attacked image may lie outside [0, 1]: nothing clips it but the attack's own clip, in the attack's units
    (docs/definitions.md#b5).
    """

    mean: Tensor
    std: Tensor

    @classmethod
    def of(cls, limits: Limits, normalisation: Normalisation, device: torch.device) -> Units:
        """Return an attack's units on a device; `normalisation` is the attacked model's."""
        pixel = limits.units == "pixel"
        mean, std = ((0.0,) * 3, (1.0,) * 3) if pixel else (normalisation.mean, normalisation.std)
        return cls(*(torch.tensor(values, device=device).view(3, 1, 1) for values in (mean, std)))

    def points(self, images: Tensor) -> Tensor:
        """Turn images (B, 3, H, W), [0, 1] when clean, into the attack's units."""
        return (images - self.mean) / self.std

    def images(self, points: Tensor) -> Tensor:
        """Turn points in the attack's units (B, 3, H, W) into what a model is shown."""
        return points * self.std + self.mean


def perturbed(images: Tensor, change: Tensor, limits: Limits, units: Units) -> Tensor:
    """Return the attacked images clip(x + change), the sum and the clip in the attack's units; all (B, 3, H, W)."""
    return units.images((units.points(images) + change).clamp(*limits.clip))
