"""Slicing: which of a teacher's convolution weights a student starts without."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from heirloom.config.kinds import SCORES
from heirloom.config.models import ScoreSettings
from heirloom.models.classifier import Classifier, conv_weights
from heirloom.models.ranks import lowest
from heirloom.runtime.errors import ConfigError, TrainingError
from heirloom.transfer.plan import Assignment


class Scored(NamedTuple):
    """The student to prune, and its conv weights' scores by parameter name, each of its weight's shape."""

    student: Classifier
    scores: dict[str, Tensor]


def scored(student: Classifier, settings: ScoreSettings, assignment: Assignment) -> Scored:
    """Score a student's conv weights.

    Raises ConfigError for an unknown kind, and TrainingError that names a layer whose scores hold a
    NaN: sorting would put it at one end of the ranking without a word.
    """
    score: Callable[..., Scored] = SCORES.load(settings.kind).score
    found = score(student, settings, assignment)
    for name, values in found.scores.items():
        if bool(values.isnan().any()):
            what = f"the score {settings.kind} of {name.removesuffix('.weight')} is no number"
            raise TrainingError(what, where="method.score", mend="check the teacher's weights, or lower a trial's rate")
    return found


def prune(
    model: Classifier, scores: Mapping[str, Tensor], ratio: float, *, end: Literal["lowest", "highest"] = "lowest"
) -> dict[str, Tensor]:
    """Set the `ratio` lowest (or highest) scored conv weights of a model to 0, all layers ranked together, in place.

    `scores`: by parameter name, each of its weight's shape. Returns what was kept (bool, by parameter name). Raises
    ConfigError, before anything is changed, that names a layer of which nothing would be left.
    """
    pruned = lowest(scores if end == "lowest" else {name: -values for name, values in scores.items()}, ratio)
    emptied = [name.removesuffix(".weight") for name, mask in pruned.items() if bool(mask.all())]
    if emptied:
        what = f"at ratio {ratio:g} nothing is left of {', '.join(emptied)}"
        raise ConfigError(what, where="method.ratio", mend="choose a smaller ratio")
    with torch.no_grad():
        for name, weight in conv_weights(model).items():
            weight.masked_fill_(pruned[name].to(weight.device), 0)
    return {name: ~mask for name, mask in pruned.items()}
