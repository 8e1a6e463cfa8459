"""Residual networks for images of 32 to 64 pixels: 3x3 stem and no max-pool (He et al. 2016, section 4.2).

Module names are torchvision's (`layer2.1.conv2`, `layer2.0.downsample.0`, `fc`), so that whatever addresses a module by
name works on both families.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn


def _conv3x3(channels_in: int, channels_out: int, stride: int) -> nn.Conv2d:
    return nn.Conv2d(channels_in, channels_out, kernel_size=3, stride=stride, padding=1, bias=False)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut, which is a strided 1x1 convolution where the shape changes."""

    def __init__(self, channels_in: int, channels_out: int, *, stride: int) -> None:
        super().__init__()
        self.conv1 = _conv3x3(channels_in, channels_out, stride)
        self.bn1 = nn.BatchNorm2d(channels_out)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = _conv3x3(channels_out, channels_out, 1)
        self.bn2 = nn.BatchNorm2d(channels_out)
        self.downsample: nn.Module | None = None
        if stride != 1 or channels_in != channels_out:
            shortcut = nn.Conv2d(channels_in, channels_out, kernel_size=1, stride=stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(channels_out))

    def forward(self, images: Tensor) -> Tensor:
        """Map (B, C_in, H, W) to (B, C_out, H / stride, W / stride)."""
        shortcut = images if self.downsample is None else self.downsample(images)
        hidden: Tensor = self.relu(self.bn1(self.conv1(images)))
        hidden = self.bn2(self.conv2(hidden))
        hidden += shortcut
        result: Tensor = self.relu(hidden)
        return result


class SmallResNet(nn.Module):
    """Stem, one stage per entry of `blocks`, pool, head; each stage but the first halves the side, doubles channels.

    `stem_stride` 2 halves the side at once, for a quarter of the work.
    """

    def __init__(self, blocks: Sequence[int], *, num_classes: int, width: int, stem_stride: int) -> None:
        super().__init__()
        self.conv1 = _conv3x3(3, width, stem_stride)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        channels = width
        self.stages = len(blocks)
        for index, depth in enumerate(blocks):
            out = width * 2**index
            layers = [BasicBlock(channels, out, stride=1 if index == 0 else 2)]
            layers += [BasicBlock(out, out, stride=1) for _ in range(depth - 1)]
            self.add_module(f"layer{index + 1}", nn.Sequential(*layers))
            channels = out
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(channels, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Map normalised images (B, 3, H, W) to logits (B, num_classes)."""
        hidden: Tensor = self.relu(self.bn1(self.conv1(images)))
        for index in range(self.stages):
            hidden = self.get_submodule(f"layer{index + 1}")(hidden)
        logits: Tensor = self.fc(self.avgpool(hidden).flatten(1))
        return logits


def resnet8(*, num_classes: int, width: int, stem_stride: int) -> SmallResNet:
    """Three stages of one block: at 32 pixels the last stage has 8x8 positions."""
    return SmallResNet([1, 1, 1], num_classes=num_classes, width=width, stem_stride=stem_stride)


def resnet18(*, num_classes: int, width: int, stem_stride: int) -> SmallResNet:
    """Four stages of two blocks; width 64 is the network of the RiFT and CIFAR literature."""
    return SmallResNet([2, 2, 2, 2], num_classes=num_classes, width=width, stem_stride=stem_stride)


def resnet34(*, num_classes: int, width: int, stem_stride: int) -> SmallResNet:
    """Four stages of 3, 4, 6 and 3 blocks."""
    return SmallResNet([3, 4, 6, 3], num_classes=num_classes, width=width, stem_stride=stem_stride)
