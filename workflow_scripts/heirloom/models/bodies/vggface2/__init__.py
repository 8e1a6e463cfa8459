"""The ResNet-50 of VGGFace2 (Cao et al., FG 2018), with its strides and its reader of converted weights."""

from __future__ import annotations

from types import MappingProxyType

from heirloom.models.body import RESNET_STAGES, BodySpec

MEMBERS = {
    "vggface2-resnet50": BodySpec(
        f"{__name__}.network:resnet50",
        stages=RESNET_STAGES,
        features="fc",
        head="fc",
        options=MappingProxyType({"width": 64}),
        reader=f"{__name__}.network:read",
    )
}
