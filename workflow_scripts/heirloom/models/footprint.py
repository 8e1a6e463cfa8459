"""What a body costs, measured on torch's meta device, where nothing is computed.

As a program it takes requests as JSON from its input, [name, options, side] each, and prints what it measured as JSON.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from functools import cache
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from heirloom.config.models import Body
from heirloom.models.body import build_body, spec_of
from heirloom.runtime.errors import ConfigError

# what changes no shape and multiplies no matrix is left out: on the meta device it takes most of the time
_SAME_SHAPE = (nn.BatchNorm2d, nn.ReLU, nn.ELU)
LARGE = 2**16  # pixels of a side that is long enough for rounding at the border not to show


def measure(name: str, options: Mapping[str, int], side: int) -> dict[str, Any]:
    """Measure a forward pass of one image of `side` pixels: the facts of `Cost`, and each stage's positions a side.

    All without the head. Raises ConfigError for a body or options that cannot be built.
    """
    body = Body(name=name, options=dict(options))
    with torch.device("meta"):
        network = build_body(body, classes=1).eval()
    outputs, positions = list[int](), list[int]()
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            module.register_forward_hook(lambda _module, _inputs, output: outputs.append(output.numel()))
        elif isinstance(module, _SAME_SHAPE):
            module.forward = nn.Identity.forward.__get__(module)  # type: ignore[method-assign]
    for stage in spec_of(body).stages:
        network.get_submodule(stage).register_forward_hook(
            lambda _module, _inputs, output: positions.append(output.shape[-1])
        )
    head = network.get_submodule(spec_of(body).head)
    assert isinstance(head, nn.Linear)
    return {
        "macs": _multiply_adds(network, side, head.in_features),
        "activations": sum(outputs),
        "parameters": sum(weight.numel() for weight in network.parameters()) - head.in_features - 1,
        "features": head.in_features,
        "convolutions": len(outputs),
        "positions": positions,
    }


def stage_strides(body: Body) -> tuple[int, ...]:
    """Return how many pixels lie between two positions of each stage of a body, first stage first."""
    return _strides(body.name, tuple(sorted(body.options.items())))


@cache  # a job asks for each batch
def _strides(name: str, options: tuple[tuple[str, int], ...]) -> tuple[int, ...]:
    return tuple(round(LARGE / count) for count in measure(name, dict(options), LARGE)["positions"])


def _multiply_adds(network: nn.Module, side: int, features: int) -> int:
    """Run a network with a head of one class; count its multiply-adds, the head's `features` aside."""
    with FlopCounterMode(display=False) as counter:
        try:
            network(torch.empty(1, 3, side, side, device="meta"))
        except ConfigError:  # the cells of its last pool do not fit this side: all before the head has run
            features = 0
    return int(counter.get_total_flops()) // 2 - features


if __name__ == "__main__":
    json.dump([measure(*request) for request in json.load(sys.stdin)], sys.stdout)
