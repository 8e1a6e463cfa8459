"""The methods that make a student out of a teacher, by the names a study gives them (METHODS 1.2)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

# Each is plan(teacher, recipe, *, classes, seed) -> heirloom.transfer.methods.plan.Plan; the recipe is the model of
# heirloom.config.models.Method that has the same name
METHODS: Mapping[str, str] = MappingProxyType(
    {
        "fine-tuning": "heirloom.transfer.methods.fine_tuning:plan",
        "linear-probe": "heirloom.transfer.methods.linear_probe:plan",
        "magnitude-pruning": "heirloom.transfer.methods.magnitude_pruning:plan",
        "re-training": "heirloom.transfer.methods.re_training:plan",
    }
)
