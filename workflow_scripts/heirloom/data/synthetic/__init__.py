"""Data sets drawn by the project itself, each written in the on-disk layout of a published one.

A writer is named as "module:function" and resolved when used, so that importing this package imports no drawing code.
"""

from collections.abc import Mapping
from types import MappingProxyType

WRITERS: Mapping[str, str] = MappingProxyType(
    {
        "signs": "heirloom.data.synthetic.signs:write",
        "objects": "heirloom.data.synthetic.objects:write",
        "rooms": "heirloom.data.synthetic.rooms:write",
        "birds": "heirloom.data.synthetic.birds:write",
        "faces": "heirloom.data.synthetic.faces:write",
        "identities": "heirloom.data.synthetic.faces:write_identities",
        "flowers": "heirloom.data.synthetic.flowers:write",
        "dogs": "heirloom.data.synthetic.dogs:write",
        "actions": "heirloom.data.synthetic.actions:write",
        "house-numbers": "heirloom.data.synthetic.house_numbers:write",
        "categories": "heirloom.data.synthetic.categories:write_101",
        "numbered-categories": "heirloom.data.synthetic.categories:write_256",
        "digits": "heirloom.data.synthetic.digits:write",
        "object-batches": "heirloom.data.synthetic.batches:write",
    }
)
