"""Readers of published on-disk layouts: each turns a folder into a `Listing` of samples, without opening a picture.

A reader is named as "module:function" and called as read(root); it finds its folder at or below `root`.
"""

from collections.abc import Mapping
from types import MappingProxyType

LAYOUTS: Mapping[str, str] = MappingProxyType(
    {
        "cub200": "heirloom.data.layouts.cub200:read",
        "flowers102": "heirloom.data.layouts.flowers102:read",
        "folder": "heirloom.data.layouts.folder:read",
        "gtsrb": "heirloom.data.layouts.gtsrb:read",
        "mit67": "heirloom.data.layouts.mit67:read",
        "pubfig83": "heirloom.data.layouts.pubfig83:read",
        "stanford-dogs": "heirloom.data.layouts.stanford_dogs:read",
        "stanford40": "heirloom.data.layouts.stanford40:read",
        "tiny-imagenet": "heirloom.data.layouts.tiny_imagenet:read",
        "vggface2": "heirloom.data.layouts.vggface2:read",
    }
)
