"""The gradient of the student's task at the teacher's weights.

The loss is the plain cross-entropy of the fresh head, over the training images once and as they are. No optimiser moves
anything.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from heirloom.models.classifier import Classifier, conv_weights
from heirloom.transfer.plan import Assignment
from heirloom.transfer.walk import batches, probe


def saliences(student: Classifier, assignment: Assignment) -> dict[str, Tensor]:
    """Return g w by conv parameter name, g the gradient of the mean loss over all training images."""
    count = len(assignment.lesson.train)
    gradients = total_gradients(student, assignment, lambda gradient, size: gradient * (size / count))
    return {name: gradients[name] * weight.detach() for name, weight in conv_weights(student).items()}


def total_gradients(
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
