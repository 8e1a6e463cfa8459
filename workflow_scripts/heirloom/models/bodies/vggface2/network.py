"""VGGFace2's ResNet-50 (Cao et al., FG 2018) and the file that holds it (docs/methods.md#vggface2s-network).

The layers and their names are those of torchvision's ResNet-50, so weights of either load into the other, and what is
then computed is wrong. Each body therefore has a reader of its own (`body.BodySpec.reader`).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from heirloom.runtime.pickles import Array, read_arrays

FIRST = "conv1.weight"
BLOCKS = (3, 4, 6, 3)


def resnet50(*, num_classes: int, width: int) -> nn.Module:
    """Build the network: torchvision's, with a block's stride in its first convolution and another max-pool.

    It follows the first ResNets in Caffe (He et al., 2016). `width`: channels within the blocks of the first stage,
    64 as published; those between blocks stay.
    """
    from torchvision.models.resnet import Bottleneck, ResNet

    network: nn.Module = ResNet(Bottleneck, list(BLOCKS), num_classes=num_classes, width_per_group=width)
    network.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=0, ceil_mode=True)
    for block in network.modules():
        if isinstance(block, Bottleneck):
            block.conv1.stride, block.conv2.stride = block.conv2.stride, block.conv1.stride
    return network


def read(path: Path) -> dict[str, Tensor]:
    """Read the weights that were converted from Caffe's into a pickle of NumPy arrays, names as torchvision's.

    The file's first convolution takes B, G, R; the one returned takes R, G, B. Whole numbers become int64, halves
    float32; other floats keep their precision. Raises WeightsError for a file that holds anything but arrays, nothing
    of which is run, and for one of torch's own files.
    """
    mend = (
        "the body vggface2-resnet50 takes resnet50_ft_weight.pkl as its converter offers it, and no other file: weights"
        " of torchvision's ResNet-50 have the same names and belong to another network, the body resnet50"
    )
    state = {name: _tensor(array) for name, array in read_arrays(path, mend=mend).items()}
    if FIRST in state and state[FIRST].ndim == 4:
        state[FIRST] = state[FIRST].flip(1)
    return state


def _tensor(array: Array) -> Tensor:
    """Copy an array of any byte order and layout."""
    kinds = {"f": np.float64 if array.dtype.itemsize == 8 else np.float32, "b": np.bool_}
    return torch.from_numpy(np.array(array, dtype=kinds.get(array.dtype.kind, np.int64), order="C"))
