"""torchvision's ResNets (He et al., CVPR 2016) and MobileNetV2 (Sandler et al., CVPR 2018)."""

from __future__ import annotations

from heirloom.models.body import RESNET_STAGES, BodySpec

_NETWORK = f"{__name__}.network"

MEMBERS = {
    **{
        name: BodySpec(f"{_NETWORK}:{name}", stages=RESNET_STAGES, features="fc", head="fc")
        for name in ("resnet18", "resnet34", "resnet50", "resnet101")
    },
    "mobilenet_v2": BodySpec(
        f"{_NETWORK}:mobilenet_v2",
        # docs/definitions.md#notation: features[0:4], [4:7], [7:11], [11:17], [17:19]
        stages=("features.3", "features.6", "features.10", "features.16", "features.18"),
        features="classifier",
        head="classifier.1",
    ),
}
