"""What a robust training may minimise; planning a study reads this table, so it imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

# An entry is called as function(objective, training, attacker) with its settings of heirloom.config.robust, the recipe
# and a crafting.Attacker, and returns a crafting.Plan.
OBJECTIVES: Mapping[str, str] = MappingProxyType(
    {
        "adversarial-training": "heirloom.training.robust.adversarial_training:plan",
        "trades": "heirloom.training.robust.trades:plan",
        "mart": "heirloom.training.robust.mart:plan",
        "awp": "heirloom.training.robust.weight_perturbation:plan",
        "score": "heirloom.training.robust.score:plan",
        "cross-entropy": "heirloom.training.robust.cross_entropy:plan",
        "fpd": "heirloom.training.robust.pyramid:plan",
    }
)
