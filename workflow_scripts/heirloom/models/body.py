"""What a body says of itself, and how it is built: by "module:function"(num_classes=..., **options).

Planning a study reads this, so it imports no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from heirloom.config.kinds import BODIES
from heirloom.config.models import Body
from heirloom.runtime.errors import ConfigError
from heirloom.runtime.registry import resolve

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class BodySpec:
    """A body's builder and the names of its parts.

    `stages`: modules whose outputs are the stages S_l of docs/definitions.md#notation. `features`: the module whose
    input is the pooled penultimate feature, before any dropout of the head. `head`: the last linear layer. `options`:
    what the builder takes, with defaults. `reader`: called with the path of a weight file that somebody else wrote,
    returns its state dict; one file never fits two bodies whose layers only look alike.
    """

    builder: str
    stages: tuple[str, ...]
    features: str
    head: str
    options: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    reader: str = "heirloom.models.weights:read_foreign"


RESNET_STAGES = ("layer1", "layer2", "layer3", "layer4")


def spec_of(body: Body) -> BodySpec:
    """Return what a body's family says of it. Raises ConfigError for an unknown body."""
    spec: BodySpec = BODIES.member(body.name)
    return spec


def build_body(body: Body, *, classes: int) -> nn.Module:
    """Build a body with a head for `classes`; its weights are whatever the builder draws.

    Raises ConfigError for an unknown body or option.
    """
    spec = spec_of(body)
    strange = sorted(body.options.keys() - spec.options.keys())
    if strange:
        mend = f"it takes {', '.join(spec.options)}" if spec.options else "it takes none"
        raise ConfigError(f"body {body.name} has no option {', '.join(strange)}", where="body.options", mend=mend)
    module: nn.Module = resolve(spec.builder)(num_classes=classes, **{**spec.options, **body.options})
    return module
