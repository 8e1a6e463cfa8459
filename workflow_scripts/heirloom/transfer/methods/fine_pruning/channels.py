"""Which channels clean images activate least, what the teacher is worth without them, and their removal."""

from __future__ import annotations

import torch
from torch import Tensor

from heirloom.data.store import Part
from heirloom.models.classifier import Classifier
from heirloom.transfer.plan import Assignment
from heirloom.transfer.walk import over, probe


@torch.no_grad()
def pooled(student: Classifier, part: Part, assignment: Assignment) -> tuple[Tensor, Tensor]:
    """Return each image's channel activations, averaged over space (N, C), and its label (N,), on the CPU."""
    model = probe(student)
    seen = [(model.features(images), labels) for images, labels in over(part, assignment, "activations")]
    features, labels = zip(*seen, strict=True)
    return torch.cat(features).cpu(), torch.cat(labels).cpu()


@torch.no_grad()
def pruned_accuracies(student: Classifier, features: Tensor, labels: Tensor, order: Tensor) -> list[float]:
    """Return the accuracy with none, one, two, ... of the channels in `order` (C',) removed, from features (N, C)."""
    weights, bias = (value.detach().cpu().double() for value in (student.head.weight, student.head.bias))
    values = features.double()
    logits = values @ weights.T + bias
    accuracies = [_accuracy(logits, labels)]
    for channel in order.tolist():
        logits -= values[:, channel, None] * weights[:, channel]
        accuracies.append(_accuracy(logits, labels))
    return accuracies


def _accuracy(logits: Tensor, labels: Tensor) -> float:
    return float((logits.argmax(dim=1) == labels).double().mean())


def tolerated(accuracies: list[float], tolerance: float) -> int:
    """Return how many channels go until one costs more than the tolerance: the first that does ends it, as published.

    `accuracies`: with none, one, two, ... removed, in [0, 1].
    """
    least = accuracies[0] - tolerance - 1e-9  # of the differences of two shares
    return next((count for count, found in enumerate(accuracies[1:]) if found < least), len(accuracies) - 1)


@torch.no_grad()
def remove(student: Classifier, channels: Tensor) -> dict[str, Tensor]:
    """Set the channels' columns of the head to 0 in place; return what is left (bool, by parameter name)."""
    weight = student.head.weight
    kept = torch.ones_like(weight, dtype=torch.bool)
    kept[:, channels.to(weight.device)] = False
    weight.mul_(kept)
    return {f"body.{student.spec.head}.weight": kept}
