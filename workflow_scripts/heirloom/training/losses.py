"""What a training minimises: a weighted sum of named terms (docs/definitions.md#training-objective)."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from heirloom.config.models import Training
from heirloom.models.classifier import Classifier, placed
from heirloom.runtime.errors import ConfigError


class Batch(NamedTuple):
    """What a step shows the model: images (B, 3, H, W) in [0, 1], or near it, and their labels (B,).

    `wanted` (B, 3, H, W): what each image is to be restored to by a model that restores images; None: the image itself.
    """

    images: Tensor
    labels: Tensor
    wanted: Tensor | None = None


@dataclass(frozen=True)
class Step:
    """What a term may look at: one batch and what the model made of it.

    `images` (B, 3, H, W) in [0, 1], `labels` (B,) int64, some perhaps UNLABELLED, `logits` (B, K) float32, `stages` the
    stages' outputs, first stage first (empty unless a term of the objective asks for them), `wanted` as in Batch.
    """

    model: Classifier
    images: Tensor
    labels: Tensor
    logits: Tensor
    stages: Sequence[Tensor]
    wanted: Tensor | None = None


TermFunction = Callable[..., Tensor]  # called as function(step, **settings), returns a scalar

UNLABELLED = -100  # what an image is called that has no label: it counts neither in cross-entropy nor in accuracy


@dataclass(frozen=True)
class Term:
    """One term of an objective: its name in histories, its function, weight and settings; whether it looks at stages.

    Raises ConfigError for a negative weight: it would drive the student away from what it is held to
    (docs/definitions.md#b13).
    """

    name: str
    function: TermFunction
    weight: float = 1.0
    settings: Mapping[str, Any] = field(default_factory=dict)
    needs_stages: bool = False

    def __post_init__(self) -> None:
        if not self.weight >= 0:
            raise ConfigError(
                f"the weight of the term {self.name} is {self.weight:g}", mend="give it a weight of 0 or more"
            )


class Objective:
    """The weighted sum of terms."""

    def __init__(self, terms: Sequence[Term]) -> None:
        self.names = [term.name for term in terms]
        self.needs_stages = any(term.needs_stages for term in terms)
        self.weights = [term.weight for term in terms]
        self._functions: list[TermFunction] = [partial(term.function, **term.settings) for term in terms]

    def __call__(self, step: Step) -> Tensor:
        """Return every weighted term, in the order of `names`, as one tensor (terms,); its sum is the loss."""
        values = [weight * term(step) for weight, term in zip(self.weights, self._functions, strict=True)]
        return torch.stack(values)


def supervised_terms(training: Training) -> tuple[Term, ...]:
    """Return the terms every method has: cross-entropy and, unless its weight is 0, the head's penalty."""
    settings = {"smoothing": training.label_smoothing}
    return Term("cross-entropy", cross_entropy, settings=settings), *penalty_terms(training)


def penalty_terms(training: Training) -> tuple[Term, ...]:
    """Return the head's penalty, unless its weight is 0."""
    return (Term("head-penalty", head_penalty, weight=training.head_penalty),) if training.head_penalty > 0 else ()


def cross_entropy(step: Step, *, smoothing: float) -> Tensor:
    """Return the mean cross-entropy of the batch's labelled images.

    A share `smoothing` of each label is spread over all classes.
    """
    return functional.cross_entropy(step.logits, step.labels, label_smoothing=smoothing, ignore_index=UNLABELLED)


def share_right(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the share (scalar) of the labelled images that are classified correctly."""
    return (logits.argmax(dim=1) == labels).sum() / (labels != UNLABELLED).sum()


def head_penalty(step: Step) -> Tensor:
    """Return half the squared norm of the head, weight and bias; its weight is beta."""
    head = step.model.head
    return 0.5 * (head.weight.square().sum() + head.bias.square().sum())


def start_term(student: Classifier, strength: float) -> Term:
    """Return L2-SP's term: the squared distance to the body's weights and biases as they are now."""
    head = set(student.head.parameters())
    start = {name: weight.detach().clone() for name, weight in student.named_parameters() if weight not in head}
    return Term("distance-to-start", distance_to_start, weight=strength, settings={"start": start})


def distance_to_start(step: Step, *, start: Mapping[str, Tensor]) -> Tensor:
    """Return ||w - w0||^2 over the named parameters, batch normalisation's among them (Li et al., ICML 2018)."""
    weights = dict(step.model.named_parameters())
    moved = torch._foreach_sub([weights[name] for name in start], list(start.values()))
    return torch.stack(torch._foreach_norm(moved)).square().sum()


def distillation_term(teacher: Classifier | None, weight: float, device: torch.device) -> Term:
    """Return DELTA's term, which looks at a frozen copy of the teacher in eval mode on the device.

    Raises ConfigError without a teacher: the term would silently vanish, as in a published script.
    """
    if teacher is None:
        raise ConfigError(
            f"feature distillation with weight {weight:g} has no teacher", mend="give a teacher, or no feature_weight"
        )
    model = placed(copy.deepcopy(teacher), device).eval().requires_grad_(False)
    return Term(
        "feature-distillation", feature_distillation, weight=weight, settings={"teacher": model}, needs_stages=True
    )


def feature_distillation(step: Step, *, teacher: Classifier) -> Tensor:
    """Return the sum over stages of the mean squared distance to the teacher's, on the same images.

    The student's stages are taken before their dropout. Source: Li et al., ICLR 2019, without its channel attention.
    """
    with torch.no_grad():
        wanted = teacher.stages(step.images)
    pairs = zip(step.stages, wanted, strict=True)
    return torch.stack([functional.mse_loss(mine.float(), theirs.float()) for mine, theirs in pairs]).sum()
