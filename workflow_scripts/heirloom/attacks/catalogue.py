"""White-box attacks by the kind a study's catalogue gives them. Planning a study reads this table: it imports no torch.

Each is attack(name, settings, part) -> heirloom.evaluation.conditions.Condition; the settings are the model of
heirloom.config.attacks.WhiteBox of that kind, the part holds the attacked images and their labels.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

WHITE_BOX: Mapping[str, str] = MappingProxyType(
    {
        "autoattack": "heirloom.attacks.autoattack:autoattack",
        "bim": "heirloom.attacks.white_box:bim",
        "carlini-wagner": "heirloom.attacks.carlini_wagner:carlini_wagner",
        "deepfool": "heirloom.attacks.toolbox:deepfool",
        "fgsm": "heirloom.attacks.white_box:fgsm",
        "hopskipjump": "heirloom.attacks.toolbox:hopskipjump",
        "jsma": "heirloom.attacks.toolbox:jsma",
        "pgd": "heirloom.attacks.white_box:pgd",
        "square": "heirloom.attacks.square:square",
        "zoo": "heirloom.attacks.toolbox:zoo",
    }
)

# The installed package whose code a kind runs, where it is not our own: its version is part of what a job depends on.
LIBRARIES: Mapping[str, str] = MappingProxyType(
    {
        "autoattack": "pyautoattack",
        "carlini-wagner": "advertorch",
        "deepfool": "adversarial-robustness-toolbox",
        "hopskipjump": "adversarial-robustness-toolbox",
        "jsma": "adversarial-robustness-toolbox",
        "square": "pyautoattack",
        "zoo": "adversarial-robustness-toolbox",
    }
)
