"""Readers of published on-disk layouts: each turns a folder into a `Listing` of samples, without opening a picture.

A reader is named as "module:function" and called as read(root); it finds its folder at or below `root`.
"""

from collections.abc import Mapping
from types import MappingProxyType

LAYOUTS: Mapping[str, str] = MappingProxyType(
    {
        "gtsrb": "heirloom.data.layouts.gtsrb:read",
        "tiny-imagenet": "heirloom.data.layouts.tiny_imagenet:read",
    }
)
