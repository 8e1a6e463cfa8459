"""The methods that make a student out of a teacher, by the names a study gives them (METHODS 1.2)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

# Each is plan(teacher, recipe, assignment) -> Plan, with the classes of heirloom.transfer.methods.plan; the recipe is
# the model of heirloom.config.models.Method that has the same name
METHODS: Mapping[str, str] = MappingProxyType(
    {
        "delta": "heirloom.transfer.methods.delta:plan",
        "delta-r": "heirloom.transfer.methods.delta_r:plan",
        "fine-pruning": "heirloom.transfer.methods.fine_pruning:plan",
        "fine-tuning": "heirloom.transfer.methods.fine_tuning:plan",
        "l2-sp": "heirloom.transfer.methods.l2_sp:plan",
        "linear-probe": "heirloom.transfer.methods.linear_probe:plan",
        "pruning": "heirloom.transfer.methods.pruning:plan",
        "re-training": "heirloom.transfer.methods.re_training:plan",
        "renofeation": "heirloom.transfer.methods.renofeation:plan",
        "unlearning": "heirloom.transfer.methods.unlearning:plan",
    }
)
