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
    `features`: width of the head's input. `convolutions`: how many layers there are before it.
    """

    macs: float
    activations: float
    parameters: int
    features: int
    convolutions: int

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


def _fixed(macs: float, activations: float, parameters: int, features: int, convolutions: int) -> CostOf:
    return lambda _options: Cost(macs, activations, parameters, features, convolutions)


def _small_resnet(blocks: Sequence[int], options: Mapping[str, int]) -> Cost:
    """Count the layers of the bodies small_resnet: a 3x3 stem, then stages that halve the side."""
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


def _elu_resnet(blocks: Sequence[int], options: Mapping[str, int], *, inner: str = "") -> Cost:
    """Count the layers of the bodies elu_resnet; `inner` as `_elu_layers`."""
    layers = _elu_layers(blocks, options.get("width", 64), inner)
    return _counted(layers, features=layers[-1][1])


def _elu_layers(blocks: Sequence[int], width: int, inner: str) -> list[tuple[int, int, float]]:
    """Return convolutions (inputs of one output, channels, positions), the last of a block at its end.

    `inner`: how a bottleneck's 3x3 convolution is built, "plain" or "grouped"; "" for blocks of two 3x3 ones.
    """
    layers: list[tuple[int, int, float]] = [(147, width, (SIDE / 2) ** 2)]
    channels, before = width, (SIDE / 4) ** 2
    for stage, depth in enumerate(blocks):
        narrow = width * 2**stage
        out = 4 * narrow if inner else narrow
        after = (SIDE / 4 / 2**stage) ** 2
        layers += [(channels, out, after)] * (channels != out or before != after)  # the shortcut
        for _ in range(depth):
            layers += _elu_block(channels, narrow, out, before, after, groups=_groups(width, inner))
            channels, before = out, after
    return layers


def _groups(width: int, inner: str) -> int:
    """Return the groups of a bottleneck's 3x3 convolution; 0 where blocks have none."""
    return {"": 0, "plain": 1, "grouped": max(1, width // 2)}[inner]


def _elu_block(
    channels: int, narrow: int, out: int, before: float, after: float, *, groups: int
) -> list[tuple[int, int, float]]:
    """Return the convolutions of one block that goes from `before` positions to `after`."""
    if not groups:
        return [(9 * channels, out, after), (9 * out, out, after)]
    middle = 2 * narrow // groups * groups if groups > 1 else narrow
    return [(channels, middle, before), (9 * middle // groups, middle, after), (middle, out, after)]


def _pyramid(blocks: Sequence[int], options: Mapping[str, int], *, inner: str = "", lateral: int = 256) -> Cost:
    """Count the layers of the bodies pyramid: its body twice, its decoder and its denoising once."""
    width, lateral = options.get("width", 64), options.get("lateral", lateral)
    layers = _elu_layers(blocks, width, inner)
    body, first = _counted(layers, features=layers[-1][1]), (4 if inner else 1) * width
    restores, front, back = (options.get(name, 1) for name in ("restoration", "front_denoising", "back_denoising"))
    decoder = _decoder(first, lateral) if restores else []
    grams = [(width, (SIDE / 4) ** 2), (first, (SIDE / 4) ** 2)] * (restores * front + back) + [(3, SIDE**2)] * back
    passes = 1 + restores
    return Cost(
        macs=passes * body.macs
        + sum(inputs * out * positions for inputs, out, positions in decoder)
        + sum(2 * channels**2 * positions for channels, positions in grams),
        activations=passes * body.activations + sum(out * positions for _, out, positions in decoder),
        parameters=body.parameters + sum((inputs + 1) * out for inputs, out, _ in decoder) + _weights_shared(decoder),
        features=body.features,
        convolutions=passes * body.convolutions + len(decoder),
    )


def _decoder(first: int, lateral: int) -> list[tuple[int, int, float]]:
    """Return the convolutions with a bias that restore an image, the two that double the side before the last."""
    sides = [(SIDE / 4 / 2**stage) ** 2 for stage in range(4)]
    layers: list[tuple[int, int, float]] = [(first * 2**stage, lateral, sides[stage]) for stage in range(4)]
    inner = [min(channels, lateral) for channels in (64, 16)]
    layers += [(9 * lateral, lateral, sides[0]), (lateral, inner[0], 4 * sides[0]), (inner[0], inner[1], 16 * sides[0])]
    return [*layers, (inner[1], 3, 16 * sides[0])]


def _weights_shared(decoder: Sequence[tuple[int, int, float]]) -> int:
    """Count what is missing of weights when an output has one of the four that a doubled side has."""
    return sum(3 * inputs * out for inputs, out, _ in decoder[-3:-1])


def _counted(convolutions: Sequence[tuple[int, int, float]], *, features: int) -> Cost:
    """Add up convolutions, each with batch norm behind it: inputs of one output, channels, positions."""
    return Cost(
        macs=sum(inputs * out * positions for inputs, out, positions in convolutions),
        activations=sum(out * positions for _, out, positions in convolutions),
        parameters=sum((inputs + 2) * out for inputs, out, _ in convolutions),  # 2: batch norm's scale and shift
        features=features,
        convolutions=len(convolutions),
    )


def _vggface2_resnet50(options: Mapping[str, int]) -> Cost:
    """Count the layers of the bodies vggface2: a stem that quarters the side, then blocks of three convolutions.

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
    """Count the layers of the bodies cifar_resnet: those of a small ResNet, and a head that may see a grid."""
    cost = _small_resnet(blocks, options)
    return replace(cost, features=cost.features * options.get("pooled_side", 1) ** 2)


def _wide_resnet(options: Mapping[str, int]) -> Cost:
    """Count the layers of the bodies wide_resnet; batch norm stands before convolutions, none behind shortcuts."""
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
        "resnet18": _fixed(1_813_561_344, 2_483_712, 11_176_512, 512, 20),
        "resnet34": _fixed(3_663_249_408, 3_738_112, 21_284_672, 512, 36),
        "resnet50": _fixed(4_087_136_256, 11_113_984, 23_508_032, 2048, 53),
        "resnet101": _fixed(7_799_357_440, 16_231_936, 42_500_160, 2048, 104),
        "mobilenet_v2": _fixed(299_494_272, 6_678_112, 2_223_872, 1280, 52),
        "vggface2-resnet50": _vggface2_resnet50,
        "resnet8-small": partial(_small_resnet, (1, 1, 1)),
        "resnet18-small": partial(_small_resnet, (2, 2, 2, 2)),
        "resnet34-small": partial(_small_resnet, (3, 4, 6, 3)),
        "cifar-resnet18": partial(_cifar_resnet, (2, 2, 2, 2)),
        "cifar-resnet34": partial(_cifar_resnet, (3, 4, 6, 3)),
        "wide-resnet": _wide_resnet,
        "elu-resnet18": partial(_elu_resnet, (2, 2, 2, 2)),
        "elu-resnet50": partial(_elu_resnet, (3, 4, 6, 3), inner="plain"),
        "elu-resnet101": partial(_elu_resnet, (3, 4, 23, 3), inner="plain"),
        "elu-resnext50": partial(_elu_resnet, (3, 4, 6, 3), inner="grouped"),
        "fpd-resnet18": partial(_pyramid, (2, 2, 2, 2)),
        "fpd-resnet50": partial(_pyramid, (3, 4, 6, 3), inner="plain", lateral=128),
        "fpd-resnet101": partial(_pyramid, (3, 4, 23, 3), inner="plain"),
        "fpd-resnext50": partial(_pyramid, (3, 4, 6, 3), inner="grouped", lateral=128),
    }
)

# Pixels from one position of a stage to the next, without the option `stem_stride`.
