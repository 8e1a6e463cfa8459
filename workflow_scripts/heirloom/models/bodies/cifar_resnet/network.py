"""Residual networks for CIFAR as the robustness literature writes them (He et al., CVPR 2016).

They compute what the small ResNets do with a stem of stride 1. What differs are names: a block's shortcut is
`shortcut` and the head `linear`, as in the CIFAR code that most public checkpoints come from, so that those load and
a published module such as `layer2.1.conv2` is found by its name.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

from heirloom.runtime.errors import ConfigError


def conv3x3(channels_in: int, channels_out: int, stride: int) -> nn.Conv2d:
    """Build a 3x3 convolution without bias that keeps the side, or divides it by the stride."""
    return nn.Conv2d(channels_in, channels_out, kernel_size=3, stride=stride, padding=1, bias=False)


def pooled(hidden: Tensor, side: int) -> Tensor:
    """Average a map (B, C, H, H) over the cells of a grid of side x side: (B, C * side * side), channel by channel.

    Side 1 averages over all positions. Published code pools by a fixed size, which leaves a grid of 2 x 2 on images of
    64 pixels: its checkpoints for Tiny-ImageNet have heads for that. Raises ConfigError when the cells are no whole
    positions.
    """
    if side == 1:
        return hidden.mean(dim=(2, 3))
    if hidden.shape[2] % side:
        what = f"a map of {hidden.shape[2]} positions cannot be cut into {side}"
        raise ConfigError(what, where="body.options.pooled_side", mend="set it to 1, or change the size of the images")
    return functional.avg_pool2d(hidden, hidden.shape[2] // side).flatten(1)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut, which is a strided 1x1 convolution where the shape changes."""

    def __init__(self, channels_in: int, channels_out: int, *, stride: int) -> None:
        super().__init__()
        self.conv1 = conv3x3(channels_in, channels_out, stride)
        self.bn1 = nn.BatchNorm2d(channels_out)
        self.conv2 = conv3x3(channels_out, channels_out, 1)
        self.bn2 = nn.BatchNorm2d(channels_out)
        self.shortcut = nn.Sequential()
        if stride != 1 or channels_in != channels_out:
            projection = nn.Conv2d(channels_in, channels_out, kernel_size=1, stride=stride, bias=False)
            self.shortcut = nn.Sequential(projection, nn.BatchNorm2d(channels_out))

    def forward(self, images: Tensor) -> Tensor:
        """Map (B, C_in, H, W) to (B, C_out, H / stride, W / stride)."""
        hidden = functional.relu(self.bn1(self.conv1(images)), inplace=True)
        return functional.relu(self.bn2(self.conv2(hidden)) + self.shortcut(images), inplace=True)


class CifarResNet(nn.Module):
    """A 3x3 stem without max-pool, four stages, pool, head; each stage but the first halves the side.

    `pooled_side`: see `pooled`.
    """

    def __init__(self, blocks: Sequence[int], *, num_classes: int, width: int, pooled_side: int) -> None:
        super().__init__()
        self.conv1 = conv3x3(3, width, 1)
        self.bn1 = nn.BatchNorm2d(width)
        channels = [width, *(width * 2**index for index in range(len(blocks)))]
        for index, depth in enumerate(blocks):
            out = channels[index + 1]
            layers = [BasicBlock(channels[index], out, stride=1 if index == 0 else 2)]
            layers += [BasicBlock(out, out, stride=1) for _ in range(depth - 1)]
            self.add_module(f"layer{index + 1}", nn.Sequential(*layers))
        self.stages = len(blocks)
        self.pooled_side = pooled_side
        self.linear = nn.Linear(channels[-1] * pooled_side**2, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Map normalised images (B, 3, H, W) to logits (B, num_classes)."""
        hidden = functional.relu(self.bn1(self.conv1(images)), inplace=True)
        for index in range(self.stages):
            hidden = self.get_submodule(f"layer{index + 1}")(hidden)
        logits: Tensor = self.linear(pooled(hidden, self.pooled_side))
        return logits


def resnet18(*, num_classes: int, width: int, pooled_side: int) -> CifarResNet:
    """Four stages of two blocks; 11.17 million weights at width 64."""
    return CifarResNet([2, 2, 2, 2], num_classes=num_classes, width=width, pooled_side=pooled_side)


def resnet34(*, num_classes: int, width: int, pooled_side: int) -> CifarResNet:
    """Four stages of 3, 4, 6 and 3 blocks; 21.28 million weights at width 64."""
    return CifarResNet([3, 4, 6, 3], num_classes=num_classes, width=width, pooled_side=pooled_side)
