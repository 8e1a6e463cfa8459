"""What convolution weights are ranked by before some are set to 0, by name (METHODS 1.3, 1.4)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

# Each is score(student, settings, assignment) -> (student to prune, scores): `student` at the teacher's weights with a
# fresh head, the settings of the same kind in heirloom.config.models.Score, scores by conv parameter name, each of its
# weight's shape. The student comes back as it was, unless the settings ask for the published no-op.
SCORES: Mapping[str, str] = MappingProxyType(
    {
        "change": "heirloom.transfer.scores.change:change",
        "coverage": "heirloom.transfer.scores.coverage:score",
        "gradient": "heirloom.transfer.scores.gradients:accumulated",
        "magnitude": "heirloom.transfer.scores.magnitude:score",
        "random": "heirloom.transfer.scores.uniform:score",
        "relative-change": "heirloom.transfer.scores.change:relative_change",
        "scaled-change": "heirloom.transfer.scores.change:scaled_change",
        "snip": "heirloom.transfer.scores.gradients:snip",
        "taylor": "heirloom.transfer.scores.gradients:taylor",
    }
)
