"""FPD, the feature pyramid decoder, around an ELU body (Li et al., CVPR 2020).

Their one stage is the restored image, (B, 3, H, W) in normalised units.
"""

from __future__ import annotations

from types import MappingProxyType

from heirloom.config.names import RESTORED
from heirloom.models.body import BodySpec

_SWITCHES = {"front_denoising": 1, "back_denoising": 1, "restoration": 1, "bounded": 1, "own_statistics": 1}

MEMBERS = {
    f"fpd-{name}": BodySpec(
        f"{__name__}.network:{name}",
        stages=(RESTORED,),
        features="dropout",
        head="fc",
        options=MappingProxyType({"width": 64, "lateral": lateral, **_SWITCHES, "dropout": 50}),
        reader=f"{__name__}.network:read",
    )
    # channels of the pyramid as published: 128 around ResNet-50 and ResNeXt-50
    for name, lateral in (("resnet18", 256), ("resnet50", 128), ("resnet101", 256), ("resnext50", 128))
}
