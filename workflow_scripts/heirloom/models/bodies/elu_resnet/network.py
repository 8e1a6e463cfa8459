"""Residual networks with ELU in place of ReLU (Clevert et al., ICLR 2016): the bodies of FPD and its twins.

Layers and their names are torchvision's (`layer2.1.conv2`, `layer2.0.downsample.0`, `fc`), so that whatever addresses a
module by name works. Weights of torchvision's networks therefore fit, and what is then computed is wrong: a state dict
does not tell its activation. `read` takes none but those that this project wrote for such a body.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from heirloom.models.weights import read_foreign, written_for
from heirloom.runtime.errors import ConfigError, WeightsError

FAMILY = "elu-"  # how the names of these bodies begin


@dataclass(frozen=True)
class Shape:
    """The residual blocks of a network: how many a stage has, and of which kind.

    A bottleneck narrows inside (1x1, 3x3, 1x1) and gives four times the channels of its stage. Where it is grouped, its
    3x3 convolution has groups of four channels in the first stage, twice as large in each further one: 32 of them at
    width 64 (ResNeXt 32x4d; Xie et al., CVPR 2017), fewer in a narrower network.
    """

    blocks: tuple[int, ...]
    bottleneck: bool
    grouped: bool = False

    @property
    def expansion(self) -> int:
        """Output channels of a block over the channels of its stage."""
        return 4 if self.bottleneck else 1

    def block(self, channels_in: int, channels: int, *, stride: int, width: int) -> nn.Module:
        """Build a block of a stage of `channels`, in a network whose stem has `width`."""
        if not self.bottleneck:
            return BasicBlock(channels_in, channels, stride=stride)
        groups = max(1, width // 2) if self.grouped else 1
        inner = 2 * channels // groups * groups if self.grouped else channels
        return Bottleneck(channels_in, inner, self.expansion * channels, stride=stride, groups=groups)


RESNET18 = Shape((2, 2, 2, 2), bottleneck=False)
RESNET50 = Shape((3, 4, 6, 3), bottleneck=True)
RESNET101 = Shape((3, 4, 23, 3), bottleneck=True)
RESNEXT50 = Shape((3, 4, 6, 3), bottleneck=True, grouped=True)


def _conv3x3(channels_in: int, channels_out: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(channels_in, channels_out, kernel_size=3, stride=stride, padding=1, groups=groups, bias=False)


def _conv1x1(channels_in: int, channels_out: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(channels_in, channels_out, kernel_size=1, stride=stride, bias=False)


def _shortcut(channels_in: int, channels_out: int, stride: int) -> nn.Module | None:
    """Build the strided 1x1 convolution beside a block that changes the shape; None where it does not."""
    if stride == 1 and channels_in == channels_out:
        return None
    return nn.Sequential(_conv1x1(channels_in, channels_out, stride), nn.BatchNorm2d(channels_out))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut."""

    def __init__(self, channels_in: int, channels: int, *, stride: int) -> None:
        super().__init__()
        self.conv1 = _conv3x3(channels_in, channels, stride)
        self.bn1 = nn.BatchNorm2d(channels)
        self.elu = nn.ELU(inplace=True)
        self.conv2 = _conv3x3(channels, channels)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample = _shortcut(channels_in, channels, stride)

    def forward(self, images: Tensor) -> Tensor:
        """Map (B, C_in, H, W) to (B, C, H / stride, W / stride)."""
        shortcut = images if self.downsample is None else self.downsample(images)
        hidden = self.elu(self.bn1(self.conv1(images)))
        hidden = self.bn2(self.conv2(hidden))
        result: Tensor = self.elu(hidden + shortcut)
        return result


class Bottleneck(nn.Module):
    """1x1, 3x3 (grouped in a ResNeXt, the stride here) and 1x1 convolutions beside a shortcut."""

    def __init__(self, channels_in: int, inner: int, channels: int, *, stride: int, groups: int) -> None:
        super().__init__()
        self.conv1 = _conv1x1(channels_in, inner)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = _conv3x3(inner, inner, stride, groups)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3 = _conv1x1(inner, channels)
        self.bn3 = nn.BatchNorm2d(channels)
        self.elu = nn.ELU(inplace=True)
        self.downsample = _shortcut(channels_in, channels, stride)

    def forward(self, images: Tensor) -> Tensor:
        """Map (B, C_in, H, W) to (B, C, H / stride, W / stride)."""
        shortcut = images if self.downsample is None else self.downsample(images)
        hidden = self.elu(self.bn1(self.conv1(images)))
        hidden = self.elu(self.bn2(self.conv2(hidden)))
        hidden = self.bn3(self.conv3(hidden))
        result: Tensor = self.elu(hidden + shortcut)
        return result


class EluResNet(nn.Module):
    """Stem (7x7, stride 2, and max-pool), four stages, adaptive pool, head, at any input side.

    The first stage has a quarter of the side, each further one half of the side before, rounded up. In training mode
    torch's batch norm needs two images where the last stage has one position (a side of 32 or less). Raises ConfigError
    for a width below 1.
    """

    def __init__(self, shape: Shape, *, num_classes: int, width: int) -> None:
        super().__init__()
        if width < 1:
            raise ConfigError(f"a network of width {width} has no channels", where="body.options.width", mend="use 64")
        self.conv1 = nn.Conv2d(3, width, kernel_size=7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.elu = nn.ELU(inplace=True)
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        self.channels = tuple(width * 2**stage * shape.expansion for stage in range(4))
        before = (width, *self.channels)
        self.layer1 = _stage(shape, 0, before[0], width)
        self.layer2 = _stage(shape, 1, before[1], width)
        self.layer3 = _stage(shape, 2, before[2], width)
        self.layer4 = _stage(shape, 3, before[3], width)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(self.channels[-1], num_classes)

    def stem(self, images: Tensor) -> Tensor:
        """Map images (B, 3, H, W) to (B, width, H / 4, W / 4), sides rounded up twice."""
        hidden: Tensor = self.maxpool(self.elu(self.bn1(self.conv1(images))))
        return hidden

    def pooled(self, hidden: Tensor) -> Tensor:
        """Average the last stage's map (B, C, H, W) over its positions: (B, C)."""
        features: Tensor = self.avgpool(hidden).flatten(1)
        return features

    def forward(self, images: Tensor) -> Tensor:
        """Map normalised images (B, 3, H, W) to logits (B, num_classes)."""
        hidden = self.layer4(self.layer3(self.layer2(self.layer1(self.stem(images)))))
        logits: Tensor = self.fc(self.pooled(hidden))
        return logits


def _stage(shape: Shape, stage: int, channels_in: int, width: int) -> nn.Sequential:
    """Build one stage; all but the first halve the side in their first block."""
    channels = width * 2**stage
    blocks: list[nn.Module] = []
    for index in range(shape.blocks[stage]):
        stride = 2 if stage and not index else 1
        blocks.append(shape.block(channels_in, channels, stride=stride, width=width))
        channels_in = channels * shape.expansion
    return nn.Sequential(*blocks)


def resnet18(*, num_classes: int, width: int) -> EluResNet:
    """Four stages of two blocks; at width 64 torchvision's ResNet-18 but for its activations."""
    return EluResNet(RESNET18, num_classes=num_classes, width=width)


def resnet50(*, num_classes: int, width: int) -> EluResNet:
    """Bottlenecks in stages of 3, 4, 6 and 3."""
    return EluResNet(RESNET50, num_classes=num_classes, width=width)


def resnet101(*, num_classes: int, width: int) -> EluResNet:
    """Bottlenecks in stages of 3, 4, 23 and 3."""
    return EluResNet(RESNET101, num_classes=num_classes, width=width)


def resnext50(*, num_classes: int, width: int) -> EluResNet:
    """Bottlenecks with grouped convolutions, 32 groups of 4 channels at width 64, in stages of 3, 4, 6 and 3."""
    return EluResNet(RESNEXT50, num_classes=num_classes, width=width)


def read(path: Path) -> dict[str, Tensor]:
    """Read a state dict of one of these bodies; see `read_own`."""
    return read_own(path, FAMILY)


def read_own(path: Path, family: str) -> dict[str, Tensor]:
    """Read a state dict that this project wrote (`save_classifier`) for a body whose name begins with `family`.

    Raises WeightsError for any other file: torchvision's networks, and the plain ones that the authors of FPD published
    (models.py of their repository), have ReLU under names that fit these, and a state dict cannot tell.
    """
    body = written_for(path)
    if body is not None and body.name.startswith(family):
        return read_foreign(path)
    found = "names no body" if body is None else f"was written for the body {body.name}"
    raise WeightsError(
        f"this file {found}, and no state dict tells whether its network has ELU, as {family} bodies do, or ReLU, as"
        " torchvision's with the same names",
        where=str(path),
        mend="train the body with train_robust; or load weights that you know to be its own into a Classifier of it,"
        " write that with save_classifier, and name the file",
    )
