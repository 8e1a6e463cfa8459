"""The budget column of the tables: what an attack was allowed, and whose code ran it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.metadata import version
from types import MappingProxyType

from heirloom.config.attacks import AttackSettings

# What decides whether and where an attack is shown, not what it may do; a title is a word for readers
OWN = "heirloom"
_NOT_OF_THE_BUDGET = frozenset({"title", "control", "images"})
# What every attack does unless it says otherwise: said only then
_UNSAID: Mapping[str, str] = MappingProxyType({"loss": "cross-entropy", "start": "random", "through": "model"})


def budget_of(attack: AttackSettings, *, library: str = OWN, **more: object) -> str:
    """Return an attack's settings as JSON with sorted keys.

    `library` is the installed package whose code runs it, with its version unless the code is our own: then the digest
    of the code stands for it. `more` are settings that the attack's model does not hold.
    """
    settings = attack.model_dump(mode="json", exclude=set(_NOT_OF_THE_BUDGET), exclude_none=True)
    settings = {key: value for key, value in settings.items() if _UNSAID.get(key) != value}
    versions = {} if library == OWN else {"version": version(library)}
    return json.dumps({"norm": "Linf", **settings, "library": library, **versions, **more}, sort_keys=True)
