"""The budget column of the tables: what an attack was allowed, and whose code ran it."""

from __future__ import annotations

import json
from importlib.metadata import version

from heirloom.config.models import AutoAttack, FeatureAttack, NoiseAttack, PGDAttack

# What decides whether and where an attack is shown, not what it may do; a title is a word for readers
OWN = "heirloom"
_NOT_OF_THE_BUDGET = frozenset({"title", "control", "images"})


def budget_of(
    attack: FeatureAttack | NoiseAttack | PGDAttack | AutoAttack, *, library: str = OWN, **more: object
) -> str:
    """Return an attack's settings as JSON with sorted keys.

    `library` is the installed package whose code runs it, with its version unless the code is our own: then the digest
    of the code stands for it. `more` are settings that the attack's model does not hold.
    """
    settings = attack.model_dump(mode="json", exclude=set(_NOT_OF_THE_BUDGET), exclude_none=True)
    versions = {} if library == OWN else {"version": version(library)}
    return json.dumps({**settings, "norm": "Linf", "library": library, **versions, **more}, sort_keys=True)
