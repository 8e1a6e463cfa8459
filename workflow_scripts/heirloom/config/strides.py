"""Where the positions of a body's stages lie on an image: facts that attention maps depend on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType

from heirloom.config.models import Body
from heirloom.runtime.errors import ConfigError

STRIDES: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {
        **dict.fromkeys(("resnet18", "resnet34", "resnet50", "resnet101", "vggface2-resnet50"), (4, 8, 16, 32)),
        "mobilenet_v2": (4, 8, 16, 32, 32),
        "resnet8-small": (1, 2, 4),
        **dict.fromkeys(("resnet18-small", "resnet34-small", "cifar-resnet18", "cifar-resnet34"), (1, 2, 4, 8)),
        "wide-resnet": (1, 2, 4),
        **dict.fromkeys(("elu-resnet18", "elu-resnet50", "elu-resnet101", "elu-resnext50"), (4, 8, 16, 32)),
        **dict.fromkeys(("fpd-resnet18", "fpd-resnet50", "fpd-resnet101", "fpd-resnext50"), (1,)),  # the restored image
    }
)


def stage_strides(body: Body) -> tuple[int, ...]:
    """Return how many pixels lie between two positions of each stage of a body, first stage first.

    Raises ConfigError for a body that nobody counted.
    """
    if body.name not in STRIDES:
        raise ConfigError(
            f"the body {body.name} has no strides", mend="add it to STRIDES in heirloom/config/strides.py"
        )
    return tuple(stride * body.options.get("stem_stride", 1) for stride in STRIDES[body.name])


def stage_positions(body: Body, side: int) -> tuple[int, ...]:
    """Return how many positions along a side each stage has for images of `side` pixels: halving rounds up.

    But not in VGGFace2's max-pool, which has no padding.
    """
    if body.name == "vggface2-resnet50":
        side = 4 * (math.ceil(side / 2) // 2)
    return tuple(math.ceil(side / stride) for stride in stage_strides(body))
