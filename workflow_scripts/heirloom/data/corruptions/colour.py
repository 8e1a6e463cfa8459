"""Changes of light and colour."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from heirloom.data.distortion.levels import Levels

if TYPE_CHECKING:
    from torch import Tensor

    from heirloom.data.distortion.corrupt import Corruption
    from heirloom.data.distortion.draws import Draws

_BRIGHTNESS = Levels((0.05, 0.1, 0.15, 0.2, 0.3), (0.1, 0.2, 0.3, 0.4, 0.5), (0.1, 0.2, 0.3, 0.4, 0.5))
_CONTRAST = Levels((0.75, 0.5, 0.4, 0.3, 0.15), (0.4, 0.3, 0.2, 0.1, 0.05), (0.4, 0.3, 0.2, 0.1, 0.05))
# factor on the saturation, and what is added to it
_SATURATE = Levels(
    ((0.3, 0.0), (0.1, 0.0), (1.5, 0.0), (2.0, 0.1), (2.5, 0.2)),
    ((0.3, 0.0), (0.1, 0.0), (2.0, 0.0), (5.0, 0.1), (30.0, 0.2)),
    ((0.3, 0.0), (0.1, 0.0), (2.0, 0.0), (5.0, 0.1), (20.0, 0.2)),
)


def brightness(images: Tensor, severity: int, draws: Draws) -> Tensor:  # noqa: ARG001 - called like the others
    """Add to the value of HSV; hue and saturation stay, so all three colours are multiplied alike."""
    import torch

    added, _ = _BRIGHTNESS.at(images, severity)
    value = images.amax(dim=1, keepdim=True)
    raised = (value + added).clamp(max=1)
    return torch.where(value > 0, images * (raised / value.clamp_min(1e-12)), raised)


def contrast(images: Tensor, severity: int, draws: Draws) -> Tensor:  # noqa: ARG001
    """Bring every value nearer to its colour's mean over the image."""
    factor, _ = _CONTRAST.at(images, severity)
    mean = images.mean(dim=(2, 3), keepdim=True)
    return (images - mean) * factor + mean


def saturate(images: Tensor, severity: int, draws: Draws) -> Tensor:  # noqa: ARG001
    """Change the saturation of HSV; grey has the hue of red there, so what is added to it makes it reddish."""
    import torch

    (factor, added), _ = _SATURATE.at(images, severity)
    value = images.amax(dim=1, keepdim=True)
    spread = value - images.amin(dim=1, keepdim=True)
    saturation = spread / value.clamp_min(1e-12)
    wanted = (saturation * factor + added).clamp(0, 1)
    red = torch.tensor([0.0, 1.0, 1.0], dtype=images.dtype, device=images.device).view(1, 3, 1, 1)
    missing = torch.where(spread > 0, (value - images) / spread.clamp_min(1e-12), red)  # of each colour, in [0, 1]
    return value - value * wanted * missing


MEMBERS: Mapping[str, Corruption] = MappingProxyType(
    {
        "brightness": brightness,
        "contrast": contrast,
        "saturate": saturate,
    }
)
