"""Readers of published on-disk layouts: each turns a folder into a `Listing` of samples, without opening a picture.

A reader is named as "module:function" and called as read(root); it finds its folder at or below `root`.
"""

from collections.abc import Mapping
from types import MappingProxyType

LAYOUTS: Mapping[str, str] = MappingProxyType(
    {
        "caltech101": "heirloom.data.layouts.caltech:read_101",
        "caltech256": "heirloom.data.layouts.caltech:read_256",
        "cifar10": "heirloom.data.layouts.cifar:read_cifar10",
        "cifar100": "heirloom.data.layouts.cifar:read_cifar100",
        "cub200": "heirloom.data.layouts.cub200:read",
        "flowers102": "heirloom.data.layouts.flowers102:read",
        "folder": "heirloom.data.layouts.folder:read",
        "gtsrb": "heirloom.data.layouts.gtsrb:read",
        "mit67": "heirloom.data.layouts.mit67:read",
        "mnist": "heirloom.data.layouts.mnist:read",
        "pubfig83": "heirloom.data.layouts.pubfig83:read",
        "stanford-dogs": "heirloom.data.layouts.stanford_dogs:read",
        "stanford40": "heirloom.data.layouts.stanford40:read",
        "svhn": "heirloom.data.layouts.svhn:read",
        "tiny-imagenet": "heirloom.data.layouts.tiny_imagenet:read",
        "vggface2": "heirloom.data.layouts.vggface2:read",
    }
)
"""Data sets that can be prepared."""

TEST_SHARES: Mapping[str, float] = MappingProxyType(
    {
        "caltech101": 0.1,  # the last ones in name order, as published (METHODS 4)
        "caltech256": 0.05,
        "folder": 0.2,  # chosen by seed
        "pubfig83": 0.2,
    }
)
"""Share of each class that a reader makes the test part, by layout, where the owner made none."""

CORRUPTED_LAYOUTS: Mapping[str, str] = MappingProxyType(
    {
        "cifar-c": "heirloom.data.layouts.cifar_c:read",
        "tiny-imagenet-c": "heirloom.data.layouts.tiny_imagenet_c:read",
    }
)
"""Corrupted test images of other data sets, which stand beside these and are not prepared.

A reader is called as read(root, kinds=..., test=...); see heirloom.data.layouts.corrupted.
"""
