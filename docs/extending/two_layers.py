"""A body: two strided convolutions, each a stage, and a head."""

from __future__ import annotations

from heirloom.models.body import BodySpec

TWO_LAYERS = BodySpec(
    "docs/extending/two_layers.py:build",  # from the folder in which Snakemake runs
    stages=("first", "second"),
    features="head",
    head="head",
    options={"width": 8},
)


def build(*, num_classes, width):
    """Build it with weights drawn by torch."""
    from collections import OrderedDict

    from torch import nn

    def stage(before, after):
        convolution = nn.Conv2d(before, after, kernel_size=3, stride=2, padding=1, bias=False)
        return nn.Sequential(convolution, nn.BatchNorm2d(after), nn.ReLU())

    layers = OrderedDict(first=stage(3, width), second=stage(width, 2 * width))
    layers |= OrderedDict(pool=nn.AdaptiveAvgPool2d(1), flat=nn.Flatten(), head=nn.Linear(2 * width, num_classes))
    return nn.Sequential(layers)
