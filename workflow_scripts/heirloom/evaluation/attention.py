"""Where a classifier looks: activation attention and Grad-CAM of one stage, and how dense they are on a region.

Activation attention is the mean over channels of the absolute activation (Zagoruyko and Komodakis, ICLR
2017, with the exponent 1); Grad-CAM weights the channels by the mean gradient of a class's logit, here of the predicted
class, and keeps what speaks for it (Selvaraju et al., ICCV 2017). Both are min-max scaled per image.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor

from heirloom.config.models import MapKind
from heirloom.models.classifier import Classifier
from heirloom.models.footprint import stage_strides
from heirloom.models.modes import evaluating, frozen
from heirloom.models.verdicts import decided


@dataclass(frozen=True, eq=False)
class Look:
    """What a model says of a batch, `labels` int64 (B,), and where it looks: `maps` by kind (B, h, w) in [0, 1]."""

    labels: Tensor
    maps: Mapping[str, Tensor]


def look(model: Classifier, images: Tensor, *, kinds: Sequence[MapKind], stage: int | None = None) -> Look:
    """Classify images (B, 3, H, W) in [0, 1] and map what one stage of the body attends to, in eval mode and float32.

    `stage` counts from 1, None is the last. One forward pass serves all kinds; gradients reach back to the stage alone.
    """
    with evaluating(model), frozen(model), torch.autocast(images.device.type, enabled=False), torch.enable_grad():
        logits, features = _tapped(model, images, stage)
        labels, _ = decided(logits.detach())
        maps: dict[str, Tensor] = {kind: scaled(_MAPS[kind](logits, labels, features)).detach() for kind in kinds}
    return Look(labels, maps)


def _tapped(model: Classifier, images: Tensor, stage: int | None) -> tuple[Tensor, Tensor]:
    """Return logits (B, classes) and a stage's output (B, C, h, w), from which alone they are differentiable."""
    outputs: list[Tensor] = []

    def tap(_module: object, _inputs: object, output: Tensor) -> Tensor:
        outputs.append(output.detach().requires_grad_())
        return outputs[0]

    name = model.spec.stages[-1 if stage is None else stage - 1]
    handle = model.body.get_submodule(name).register_forward_hook(tap)
    try:
        return model(images), outputs[0]
    finally:
        handle.remove()


def _activation(_logits: Tensor, _labels: Tensor, features: Tensor) -> Tensor:
    return features.abs().mean(dim=1)


def _grad_cam(logits: Tensor, labels: Tensor, features: Tensor) -> Tensor:
    # in eval mode no image's logit depends on another image: the gradient of the sum is each one's own
    scores = logits.gather(1, labels[:, None]).sum()
    (gradients,) = torch.autograd.grad(scores, features)
    weights = gradients.mean(dim=(2, 3), keepdim=True)
    return (weights * features).sum(dim=1).relu()


_MAPS: Mapping[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = MappingProxyType(
    {"activation": _activation, "grad-cam": _grad_cam}
)


def stride_of(model: Classifier, stage: int | None) -> int:
    """Return how many pixels lie between two positions of a stage, counted from 1; None is the last."""
    return stage_strides(model.description)[-1 if stage is None else stage - 1]


def scaled(maps: Tensor) -> Tensor:
    """Scale each map of (B, h, w) from its minimum to its maximum; one without contrast is 1 everywhere."""
    low = maps.amin(dim=(1, 2), keepdim=True)
    span = maps.amax(dim=(1, 2), keepdim=True) - low
    return torch.where(span > 0, (maps - low) / span.clamp_min(torch.finfo(maps.dtype).tiny), 1.0)


def resized(maps: Tensor, side: int, stride: int) -> Tensor:
    """Resize maps (B, h, w) bilinearly to the images (B, side, side) that they are of, position on receptive field.

    Every layer of our bodies that halves the side centres its window on the even places, so position (i, j) of a stage
    sees what lies around pixel (i, j) * stride; what lies beyond the last position repeats it. Stretching a map over
    the image, each position a cell of its own, is usual, but moves it by (stride - 1) / 2 pixels towards the lower
    right: 15.5 of 224, nearly half of a trigger that lies there.
    """
    down, across = (_weights(count, side, stride).to(maps) for count in maps.shape[1:])
    return down @ maps @ across.T


def _weights(positions: int, side: int, stride: int) -> Tensor:
    """Return the share of each position in each pixel (side, positions); each pixel's shares add up to 1."""
    places = (torch.arange(side) / stride).clamp_max(positions - 1)
    return (1 - (places[:, None] - torch.arange(positions)).abs()).clamp_min(0)


def density(maps: Tensor, regions: Tensor) -> Tensor:
    """Return, per image, the share of a map's mass in a region over the region's share of the image: (B,).

    `maps` (B, H, W), not negative and nowhere 0 altogether; `regions` (B, H, W) in [0, 1], how much of each pixel lies
    inside. 1 is what an even map gives; NaN where the region is empty.
    """
    mass = (maps * regions).sum(dim=(1, 2)) / maps.sum(dim=(1, 2))
    return mass / regions.mean(dim=(1, 2))


def overlap(maps: Tensor, others: Tensor) -> Tensor:
    """Return, per image, the mass that two maps (B, h, w) share, each brought to a sum of 1: (B,), 1 if they agree."""
    first, second = (each / each.sum(dim=(1, 2), keepdim=True) for each in (maps, others))
    return torch.minimum(first, second).sum(dim=(1, 2))
