"""Residual networks with ELU in place of ReLU (Clevert et al., ICLR 2016): the bodies of FPD and its twins."""

from __future__ import annotations

from types import MappingProxyType

from heirloom.models.body import RESNET_STAGES, BodySpec

MEMBERS = {
    f"elu-{name}": BodySpec(
        f"{__name__}.network:{name}",
        stages=RESNET_STAGES,
        features="fc",
        head="fc",
        options=MappingProxyType({"width": 64}),
        reader=f"{__name__}.network:read",
    )
    for name in ("resnet18", "resnet50", "resnet101", "resnext50")
}
