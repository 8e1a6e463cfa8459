"""Wide residual networks (Zagoruyko and Komodakis, BMVC 2016), named as robustness papers name their parts.

The names are those of the networks behind TRADES and RiFT, so that their checkpoints load and a published module such
as `block1.layer.3.conv2` is found.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor, nn
from torch.nn import functional

from heirloom.models.bodies.cifar_resnet.network import conv3x3, pooled
from heirloom.models.weights import read_foreign
from heirloom.runtime.errors import ConfigError

STEM = 16  # channels before the first stage
UNUSED = "sub_block1"  # a fourth stage that those networks hold, save and never run


class BasicBlock(nn.Module):
    """Batch norm, ReLU and 3x3 convolution, twice, beside a shortcut, which is a 1x1 convolution where channels change.

    Where they change, the shortcut too starts behind the first ReLU.
    """

    def __init__(self, channels_in: int, channels_out: int, *, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(channels_in)
        self.conv1 = conv3x3(channels_in, channels_out, stride)
        self.bn2 = nn.BatchNorm2d(channels_out)
        self.conv2 = conv3x3(channels_out, channels_out, 1)
        self.convShortcut: nn.Module | None = None
        if channels_in != channels_out:
            self.convShortcut = nn.Conv2d(channels_in, channels_out, kernel_size=1, stride=stride, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        """Map (B, C_in, H, W) to (B, C_out, H / stride, W / stride)."""
        active = functional.relu(self.bn1(images), inplace=True)
        shortcut = images if self.convShortcut is None else self.convShortcut(active)
        hidden = functional.relu(self.bn2(self.conv1(active)), inplace=True)
        result: Tensor = self.conv2(hidden) + shortcut
        return result


class Stage(nn.Module):
    """Blocks one after the other, the first of which may change side and channels."""

    def __init__(self, channels_in: int, channels_out: int, *, blocks: int, stride: int) -> None:
        super().__init__()
        layers = [BasicBlock(channels_in, channels_out, stride=stride)]
        layers += [BasicBlock(channels_out, channels_out, stride=1) for _ in range(blocks - 1)]
        self.layer = nn.Sequential(*layers)

    def forward(self, images: Tensor) -> Tensor:
        """Map (B, C_in, H, W) to (B, C_out, H / stride, W / stride)."""
        hidden: Tensor = self.layer(images)
        return hidden


class WideResNet(nn.Module):
    """Stem of 16 channels, three stages of 16, 32 and 64 times `width` channels, batch norm, pool, head."""

    def __init__(self, channels: Sequence[int], *, blocks: int, num_classes: int, pooled_side: int) -> None:
        super().__init__()
        self.conv1 = conv3x3(3, STEM, 1)
        self.block1 = Stage(STEM, channels[0], blocks=blocks, stride=1)
        self.block2 = Stage(channels[0], channels[1], blocks=blocks, stride=2)
        self.block3 = Stage(channels[1], channels[2], blocks=blocks, stride=2)
        self.bn1 = nn.BatchNorm2d(channels[2])
        self.pooled_side = pooled_side
        self.fc = nn.Linear(channels[2] * pooled_side**2, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Map normalised images (B, 3, H, W) to logits (B, num_classes)."""
        hidden = self.block3(self.block2(self.block1(self.conv1(images))))
        active = functional.relu(self.bn1(hidden), inplace=True)
        logits: Tensor = self.fc(pooled(active, self.pooled_side))
        return logits


def wide_resnet(*, num_classes: int, depth: int, width: int, pooled_side: int) -> WideResNet:
    """Build WRN-depth-width; depth 34 and width 10 have 46.16 million weights. Raises ConfigError for another depth."""
    blocks, rest = divmod(depth - 4, 6)
    if blocks < 1 or rest:
        mend = "choose 6 n + 4: 10, 16, 22, 28, 34 or more"
        raise ConfigError(f"a wide ResNet cannot have {depth} layers", where="body.options.depth", mend=mend)
    channels = [STEM * width * 2**stage for stage in range(3)]
    return WideResNet(channels, blocks=blocks, num_classes=num_classes, pooled_side=pooled_side)


def read(path: Path) -> dict[str, Tensor]:
    """Read a state dict that somebody else wrote, without the stage that the published network never runs.

    Raises WeightsError as `read_foreign` does.
    """
    return {name: value for name, value in read_foreign(path).items() if UNUSED not in name.split(".")}
