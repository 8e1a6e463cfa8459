"""|w|: the smallest weights matter least (Han et al., NeurIPS 2015)."""

from __future__ import annotations

from heirloom.config.models import Magnitude
from heirloom.models.classifier import Classifier, conv_weights
from heirloom.transfer.methods.plan import Assignment
from heirloom.transfer.scores.scored import Scored


def score(student: Classifier, settings: Magnitude, assignment: Assignment) -> Scored:  # noqa: ARG001 - as all scores
    """Return the absolute values of all conv weights."""
    return Scored(student, {name: weight.detach().abs() for name, weight in conv_weights(student).items()})
