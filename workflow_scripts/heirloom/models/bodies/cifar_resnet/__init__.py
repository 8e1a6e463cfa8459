"""Residual networks for CIFAR as the robustness literature writes them (He et al., CVPR 2016)."""

from __future__ import annotations

from types import MappingProxyType

from heirloom.models.body import RESNET_STAGES, BodySpec

MEMBERS = {
    f"cifar-{name}": BodySpec(
        f"{__name__}.network:{name}",
        stages=RESNET_STAGES,
        features="linear",
        head="linear",
        options=MappingProxyType({"width": 64, "pooled_side": 1}),
    )
    for name in ("resnet18", "resnet34")
}
