"""Narrow residual networks for small images: a 3x3 stem and as many stages as asked."""

from __future__ import annotations

from types import MappingProxyType

from heirloom.models.body import RESNET_STAGES, BodySpec

MEMBERS = {
    f"{name}-small": BodySpec(
        f"{__name__}.network:{name}",
        stages=RESNET_STAGES[:stages],
        features="fc",
        head="fc",
        options=MappingProxyType({"width": 64, "stem_stride": 1}),
    )
    for name, stages in (("resnet8", 3), ("resnet18", 4), ("resnet34", 4))
}
