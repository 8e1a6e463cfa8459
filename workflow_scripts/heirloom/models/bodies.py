"""The bodies a study may name, and where their stages, features and heads are.

A body is built by "module:function"(num_classes=..., **options). Planning a study reads this table, so it imports no
torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from heirloom.config.models import Body
from heirloom.config.names import RESTORED
from heirloom.runtime.errors import ConfigError
from heirloom.runtime.registry import known, resolve

if TYPE_CHECKING:
    from torch import nn  # the Snakefile reads this registry and must not pay for torch


@dataclass(frozen=True)
class BodySpec:
    """A body's builder and the names of its parts.

    `stages`: modules whose outputs are the stages S_l of METHODS 1.2. `features`: the module whose input is the pooled
    penultimate feature, before any dropout of the head (METHODS 1.5). `head`: the last linear layer. `options`: what
    the builder takes, with defaults. `reader`: called with the path of a weight file that somebody else wrote, returns
    its state dict; one file never fits two bodies whose layers only look alike.
    """

    builder: str
    stages: tuple[str, ...]
    features: str
    head: str
    options: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    reader: str = "heirloom.models.weights:read_foreign"


_RESNET_STAGES = ("layer1", "layer2", "layer3", "layer4")


def _torchvision_resnet(name: str) -> BodySpec:
    return BodySpec(f"heirloom.models.torchvision_bodies:{name}", stages=_RESNET_STAGES, features="fc", head="fc")


def _small_resnet(name: str, stages: int) -> BodySpec:
    return BodySpec(
        f"heirloom.models.small_resnet:{name}",
        stages=tuple(f"layer{index + 1}" for index in range(stages)),
        features="fc",
        head="fc",
        options=MappingProxyType({"width": 64, "stem_stride": 1}),
    )


def _cifar_resnet(name: str) -> BodySpec:
    return BodySpec(
        f"heirloom.models.cifar_resnet:{name}",
        stages=_RESNET_STAGES,
        features="linear",
        head="linear",
        options=MappingProxyType({"width": 64, "pooled_side": 1}),
    )


def _elu_resnet(name: str) -> BodySpec:
    return BodySpec(
        f"heirloom.models.elu_resnet:{name}",
        stages=_RESNET_STAGES,
        features="fc",
        head="fc",
        options=MappingProxyType({"width": 64}),
        reader="heirloom.models.elu_resnet:read",
    )


def _feature_pyramid_decoder(name: str, *, lateral: int) -> BodySpec:
    """Describe FPD around an ELU body; its one stage is the restored image, (B, 3, H, W) in normalised units."""
    switches = {"front_denoising": 1, "back_denoising": 1, "restoration": 1, "bounded": 1, "own_statistics": 1}
    return BodySpec(
        f"heirloom.models.pyramid:{name}",
        stages=(RESTORED,),
        features="dropout",
        head="fc",
        options=MappingProxyType({"width": 64, "lateral": lateral, **switches, "dropout": 50}),
        reader="heirloom.models.pyramid:read",
    )


BODIES: Mapping[str, BodySpec] = MappingProxyType(
    {
        "resnet18": _torchvision_resnet("resnet18"),
        "resnet34": _torchvision_resnet("resnet34"),
        "resnet50": _torchvision_resnet("resnet50"),
        "resnet101": _torchvision_resnet("resnet101"),
        "mobilenet_v2": BodySpec(
            "heirloom.models.torchvision_bodies:mobilenet_v2",
            # METHODS 1.2: features[0:4], [4:7], [7:11], [11:17], [17:19]
            stages=("features.3", "features.6", "features.10", "features.16", "features.18"),
            features="classifier",
            head="classifier.1",
        ),
        "vggface2-resnet50": BodySpec(
            "heirloom.models.vggface2:resnet50",
            stages=_RESNET_STAGES,
            features="fc",
            head="fc",
            options=MappingProxyType({"width": 64}),
            reader="heirloom.models.vggface2:read",
        ),
        "resnet8-small": _small_resnet("resnet8", 3),
        "resnet18-small": _small_resnet("resnet18", 4),
        "resnet34-small": _small_resnet("resnet34", 4),
        "cifar-resnet18": _cifar_resnet("resnet18"),
        "cifar-resnet34": _cifar_resnet("resnet34"),
        "wide-resnet": BodySpec(
            "heirloom.models.wide_resnet:wide_resnet",
            stages=("block1", "block2", "block3"),
            features="fc",
            head="fc",
            options=MappingProxyType({"depth": 34, "width": 10, "pooled_side": 1}),
            reader="heirloom.models.wide_resnet:read",
        ),
        "elu-resnet18": _elu_resnet("resnet18"),
        "elu-resnet50": _elu_resnet("resnet50"),
        "elu-resnet101": _elu_resnet("resnet101"),
        "elu-resnext50": _elu_resnet("resnext50"),
        # channels of the pyramid as published: 128 around ResNet-50 and ResNeXt-50
        "fpd-resnet18": _feature_pyramid_decoder("resnet18", lateral=256),
        "fpd-resnet50": _feature_pyramid_decoder("resnet50", lateral=128),
        "fpd-resnet101": _feature_pyramid_decoder("resnet101", lateral=256),
        "fpd-resnext50": _feature_pyramid_decoder("resnext50", lateral=128),
    }
)


def build_body(body: Body, *, classes: int) -> nn.Module:
    """Build a body with a head for `classes`; its weights are whatever the builder draws.

    Raises ConfigError for an unknown body or option.
    """
    spec = known(BODIES, body.name, kind="body")
    strange = sorted(body.options.keys() - spec.options.keys())
    if strange:
        mend = f"it takes {', '.join(spec.options)}" if spec.options else "it takes none"
        raise ConfigError(f"body {body.name} has no option {', '.join(strange)}", where="body.options", mend=mend)
    module: nn.Module = resolve(spec.builder)(num_classes=classes, **{**spec.options, **body.options})
    return module
