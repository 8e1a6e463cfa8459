"""Defences that look at a teacher itself: detectors of backdoors, by the kinds that the catalogue names."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

# Each is detect(model, part, settings, checkpoint) -> list of heirloom.defences.reversed.Reversed, one a class in their
# order. `model` lies on its device, `part` holds clean images, `settings` is the config's Detector of the same kind
DETECTORS: Mapping[str, str] = MappingProxyType(
    {
        "neural-cleanse": "heirloom.defences.neural_cleanse:detect",
    }
)
