"""What a training minimises: a weighted sum of named terms (METHODS 1.2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from heirloom.config.models import Training
from heirloom.models.classifier import Classifier
from heirloom.runtime.registry import known, resolve


@dataclass(frozen=True)
class Step:
    """What a term may look at: one batch and what the model made of it.

    `images` (B, 3, H, W) in [0, 1], `labels` (B,) int64, `logits` (B, K) float32, `stages` the stages' outputs, first
    stage first (empty unless a term of the objective asks for them).
    """

    model: Classifier
    images: Tensor
    labels: Tensor
    logits: Tensor
    stages: Sequence[Tensor]


TermFunction = Callable[..., Tensor]

# A term is called as function(step, **settings) and returns a scalar.
TERMS: Mapping[str, str] = MappingProxyType(
    {
        "cross-entropy": "heirloom.training.objectives:cross_entropy",
        "head-penalty": "heirloom.training.objectives:head_penalty",
    }
)


@dataclass(frozen=True)
class Term:
    """One term of an objective: an entry of TERMS, its weight, its settings, and whether it looks at stages."""

    name: str
    weight: float = 1.0
    settings: Mapping[str, Any] = field(default_factory=dict)
    needs_stages: bool = False


class Objective:
    """The weighted sum of terms; raises ConfigError for a term that TERMS does not have."""

    def __init__(self, terms: Sequence[Term]) -> None:
        self.names = [term.name for term in terms]
        self.needs_stages = any(term.needs_stages for term in terms)
        self._weights = [term.weight for term in terms]
        self._functions: list[TermFunction] = [
            partial(resolve(known(TERMS, term.name, kind="objective term")), **term.settings) for term in terms
        ]

    def __call__(self, step: Step) -> Tensor:
        """Return every weighted term, in the order of `names`, as one tensor (terms,); its sum is the loss."""
        values = [weight * term(step) for weight, term in zip(self._weights, self._functions, strict=True)]
        return torch.stack(values)


def supervised_terms(training: Training) -> tuple[Term, ...]:
    """Return the terms every method has: cross-entropy and, unless its weight is 0, the head's penalty."""
    terms = [Term("cross-entropy", settings={"smoothing": training.label_smoothing})]
    if training.head_penalty > 0:
        terms.append(Term("head-penalty", weight=training.head_penalty))
    return tuple(terms)


def cross_entropy(step: Step, *, smoothing: float) -> Tensor:
    """Return the batch's mean cross-entropy; a share `smoothing` of each label is spread over all classes."""
    return functional.cross_entropy(step.logits, step.labels, label_smoothing=smoothing)


def head_penalty(step: Step) -> Tensor:
    """Return half the squared norm of the head, weight and bias; its weight is the beta of METHODS 1.2."""
    head = step.model.head
    return 0.5 * (head.weight.square().sum() + head.bias.square().sum())
