"""Registries are tables from a name to a "package.module:function" string, resolved when the entry is used.

Strings keep planning light (nothing is imported for an entry nobody uses) and reruns narrow (the code digest follows
imports, not strings, so a line in one method's module concerns that method alone).
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from typing import Any, TypeVar

from heirloom.runtime import own
from heirloom.runtime.errors import ConfigError

Entry = TypeVar("Entry")


def resolve(reference: str) -> Any:
    """Import what "package.module:function" names; raises ConfigError when there is no such module or attribute.

    A file of a user's own may stand for the module (heirloom.runtime.own).
    """
    module_name, colon, attribute = reference.partition(":")
    if not (module_name and colon and attribute.isidentifier()):
        raise ConfigError(f"{reference!r} is no reference", mend='write it as "package.module:function"')
    try:
        module = own.load(module_name) if module_name.endswith(own.FILE) else importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise  # the module exists, and something that it imports does not
        raise ConfigError(f"there is no module {error.name}", where=reference) from error
    if not hasattr(module, attribute):
        near = _nearest(attribute, [name for name in vars(module) if not name.startswith("_")])
        raise ConfigError(f"module {module_name} has no {attribute!r}", where=reference, mend=near)
    return getattr(module, attribute)


def known(registry: Mapping[str, Entry], name: str, *, kind: str = "name") -> Entry:
    """Return the entry of a name; raises ConfigError that names the nearest entries when there is none."""
    if name in registry:
        return registry[name]
    raise ConfigError(f"there is no {kind} {name!r}", mend=_nearest(name, list(registry)))


def _nearest(name: str, names: list[str]) -> str:
    """Say which names resemble one; all of them when none does."""
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    if near:
        return f"did you mean {' or '.join(near)}?"
    return f"choose one of {', '.join(sorted(names))}" if names else ""
