"""What each body costs: the facts an estimate needs before anything is built, held to torch's own count by a test.

No training depends on them, so they stand apart from the registry of bodies, whose code is part of every training.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType

from heirloom.config.models import Body
from heirloom.runtime.errors import ConfigError

SIDE = 224  # pixels of the images that the facts are about


@dataclass(frozen=True)
class Cost:
    """A forward pass of one image, and the weights behind it, all without the head.

    `macs`: multiply-adds. `activations`: numbers that convolutions put out, which stand for the memory traffic.
    `features`: width of the head's input.
    """

    macs: float
    activations: float
    parameters: int
    features: int

    def at(self, side: int) -> Cost:
        """Scale from images of 224 pixels to another side: everything spatial goes with the area."""
        share = (side / SIDE) ** 2
        return replace(self, macs=self.macs * share, activations=self.activations * share)

    def weights(self, classes: int) -> int:
        """Return the number of parameters with a head for `classes`."""
        return self.parameters + (self.features + 1) * classes


CostOf = Callable[[Mapping[str, int]], Cost]


def cost_of(body: Body) -> Cost:
    """Return a body's cost at 224 pixels; raises ConfigError for a body that nobody counted."""
    if body.name not in COSTS:
        raise ConfigError(f"the body {body.name} has no cost", mend="add it to COSTS in heirloom/config/costs.py")
    return COSTS[body.name](body.options)


def _fixed(macs: float, activations: float, parameters: int, features: int) -> CostOf:
    return lambda _options: Cost(macs, activations, parameters, features)


def _small_resnet(blocks: Sequence[int], options: Mapping[str, int]) -> Cost:
    """Count the layers of heirloom.models.small_resnet: a 3x3 stem, then stages that halve the side."""
    width = options.get("width", 64)
    side = SIDE / options.get("stem_stride", 1)
    convolutions = [(27, width, side**2)]  # (inputs of one output, channels, positions)
    channels = width
    for stage, depth in enumerate(blocks):
        out = width * 2**stage
        positions = (side / 2**stage) ** 2
        convolutions += [(9 * channels, out, positions)] + [(9 * out, out, positions)] * (2 * depth - 1)
        convolutions += [(channels, out, positions)] * (stage > 0)
        channels = out
    return _counted(convolutions, features=channels)


def _counted(convolutions: Sequence[tuple[int, int, float]], *, features: int) -> Cost:
    """Add up convolutions, each with batch norm behind it: inputs of one output, channels, positions."""
    return Cost(
        macs=sum(inputs * out * positions for inputs, out, positions in convolutions),
        activations=sum(out * positions for _, out, positions in convolutions),
        parameters=sum((inputs + 2) * out for inputs, out, _ in convolutions),  # 2: batch norm's scale and shift
        features=features,
    )


def _vggface2_resnet50(options: Mapping[str, int]) -> Cost:
    """Count the layers of heirloom.models.vggface2: a stem that quarters the side, then blocks of three convolutions.

    The first convolution of a stage's first block halves the side, so all three run on the smaller one.
    """
    convolutions = [(147, 64, (SIDE / 2) ** 2)]  # (inputs of one output, channels, positions)
    channels = 64
    for stage, depth in enumerate((3, 4, 6, 3)):
        inner, out = options.get("width", 64) * 2**stage, 256 * 2**stage
        positions = (SIDE / 4 / 2**stage) ** 2
        convolutions.append((channels, out, positions))  # the shortcut
        for entering in (channels, *[out] * (depth - 1)):
            convolutions += [(entering, inner, positions), (9 * inner, inner, positions), (inner, out, positions)]
        channels = out
    return _counted(convolutions, features=channels)


def _cifar_resnet(blocks: Sequence[int], options: Mapping[str, int]) -> Cost:
    """Count the layers of heirloom.models.cifar_resnet: those of a small ResNet, and a head that may see a grid."""
    cost = _small_resnet(blocks, options)
    return replace(cost, features=cost.features * options.get("pooled_side", 1) ** 2)


def _wide_resnet(options: Mapping[str, int]) -> Cost:
    """Count the layers of heirloom.models.wide_resnet; batch norm stands before convolutions, none behind shortcuts."""
    width, depth = options.get("width", 10), (options.get("depth", 34) - 4) // 6
    convolutions = [(27, 16, SIDE**2)]  # (inputs of one output, channels, positions)
    channels, normalised = 16, 64 * width
    for stage in range(3):
        out = 16 * width * 2**stage
        positions = (SIDE / 2**stage) ** 2
        convolutions += [(channels, out, positions)] * (channels != out)
        for entering in (channels, *[out] * (depth - 1)):
            convolutions += [(9 * entering, out, positions), (9 * out, out, positions)]
            normalised += entering + out
        channels = out
    weights = sum(inputs * out for inputs, out, _ in convolutions)
    features = channels * options.get("pooled_side", 1) ** 2
    return replace(_counted(convolutions, features=features), parameters=weights + 2 * normalised)


COSTS: Mapping[str, CostOf] = MappingProxyType(
    {
        "resnet18": _fixed(1_813_561_344, 2_483_712, 11_176_512, 512),
        "resnet34": _fixed(3_663_249_408, 3_738_112, 21_284_672, 512),
        "resnet50": _fixed(4_087_136_256, 11_113_984, 23_508_032, 2048),
        "resnet101": _fixed(7_799_357_440, 16_231_936, 42_500_160, 2048),
        "mobilenet_v2": _fixed(299_494_272, 6_678_112, 2_223_872, 1280),
        "vggface2-resnet50": _vggface2_resnet50,
        "resnet8-small": partial(_small_resnet, (1, 1, 1)),
        "resnet18-small": partial(_small_resnet, (2, 2, 2, 2)),
        "resnet34-small": partial(_small_resnet, (3, 4, 6, 3)),
        "cifar-resnet18": partial(_cifar_resnet, (2, 2, 2, 2)),
        "cifar-resnet34": partial(_cifar_resnet, (3, 4, 6, 3)),
        "wide-resnet": _wide_resnet,
    }
)

# Pixels from one position of a stage to the next, without the option `stem_stride`.
