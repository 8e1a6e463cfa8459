"""Scores from the gradient of the student's task at the teacher's weights (METHODS 1.3).

The loss is the plain cross-entropy of the fresh head, over the training images once and as they are. No optimiser moves
anything.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from heirloom.config.models import AccumulatedGradient, Snip, Taylor
from heirloom.models.classifier import Classifier, conv_weights
from heirloom.transfer.methods.plan import Assignment
from heirloom.transfer.scores.scored import Scored
from heirloom.transfer.scores.walk import batches, probe


def snip(student: Classifier, settings: Snip, assignment: Assignment) -> Scored:  # noqa: ARG001 - as all scores
    """Return |g w| with the gradient g of the whole set's mean loss (Lee et al., ICLR 2019, who take one batch's)."""
    return Scored(student, {name: salience.abs() for name, salience in _saliences(student, assignment).items()})


def taylor(student: Classifier, settings: Taylor, assignment: Assignment) -> Scored:  # noqa: ARG001 - as all scores
    """Return |sum of g w over a filter| for each of its weights, g as for SNIP (Molchanov et al., ICLR 2017).

    For a convolution without bias that sum is the one over its output map of gradient times activation, of which the
    source takes the absolute value image by image, and which it scales in each layer.
    """
    sums = {name: filters.sum((1, 2, 3), keepdim=True) for name, filters in _saliences(student, assignment).items()}
    weights = conv_weights(student)
    return Scored(student, {name: total.abs().expand(weights[name].shape) for name, total in sums.items()})


def accumulated(student: Classifier, settings: AccumulatedGradient, assignment: Assignment) -> Scored:  # noqa: ARG001
    """Return the sum over batches of |g|, g the gradient of a batch's mean loss."""
    return Scored(student, _total_gradients(student, assignment, lambda gradient, _: gradient.abs()))


def _saliences(student: Classifier, assignment: Assignment) -> dict[str, Tensor]:
    """Return g w by conv parameter name, g the gradient of the mean loss over all training images."""
    count = len(assignment.lesson.train)
    gradients = _total_gradients(student, assignment, lambda gradient, size: gradient * (size / count))
    return {name: gradients[name] * weight.detach() for name, weight in conv_weights(student).items()}


def _total_gradients(
    student: Classifier, assignment: Assignment, share: Callable[[Tensor, int], Tensor]
) -> dict[str, Tensor]:
    """Sum over the batches what `share` makes of the gradient of a batch's mean loss and of the batch's size."""
    model = probe(student)
    weights = conv_weights(model)
    totals = {name: torch.zeros_like(weight, requires_grad=False) for name, weight in weights.items()}
    for images, labels in batches(assignment, "gradients"):
        loss = functional.cross_entropy(model(images), labels)
        for total, gradient in zip(totals.values(), torch.autograd.grad(loss, list(weights.values())), strict=True):
            total += share(gradient, len(labels))
    return totals
