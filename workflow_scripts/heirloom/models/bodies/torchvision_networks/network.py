"""torchvision's networks, built by torchvision's own functions; imported when built, since that takes 3 s."""

from __future__ import annotations

from functools import partial

from torch import nn


def _build(name: str, *, num_classes: int) -> nn.Module:
    """Build torchvision's network of a name with random weights."""
    from torchvision import models

    network: nn.Module = models.get_model(name, weights=None, num_classes=num_classes)
    return network


resnet18 = partial(_build, "resnet18")
resnet34 = partial(_build, "resnet34")
resnet50 = partial(_build, "resnet50")
resnet101 = partial(_build, "resnet101")
mobilenet_v2 = partial(_build, "mobilenet_v2")
