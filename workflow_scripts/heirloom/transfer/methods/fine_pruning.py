"""Fine-pruning: the teacher without the channels that clean images hardly activate, fine-tuned.

Liu, Dolan-Gavitt and Garg, RAID 2018. The channels are those of the last convolutional stage's output, whose activation
is averaged over space and clean images. Every body pools that output and hands it to the head alone, so a channel is
removed, exactly, by setting its column of the head to 0.
"""

from __future__ import annotations

import math
from fractions import Fraction

import torch
from torch import Tensor

from heirloom.config.models import FinePruning
from heirloom.data.store import Part
from heirloom.models.classifier import Classifier
from heirloom.runtime.errors import ConfigError
from heirloom.training.constraints import FrozenWeights
from heirloom.training.phases import supervised_phase
from heirloom.transfer.methods.plan import Assignment, Plan, with_own_head
from heirloom.transfer.scores.walk import over, probe


def plan(teacher: Classifier, recipe: FinePruning, assignment: Assignment) -> Plan:
    """Start from the teacher, own head kept, without its least active channels, and fine-tune it.

    As many channels go, from the least active on, as cost at most `tolerance` of the validation accuracy one after the
    other, and at most a share `ratio` of all. As published they stay out; with `regrow` their columns are trained from
    0. Raises WeightsError for a head of other classes, ConfigError where no image was held out for validation.
    """
    student = with_own_head(teacher, assignment)
    lesson = assignment.lesson
    if lesson.validation is None:
        raise ConfigError(
            "fine-pruning limits itself by validation images, and none was held out",
            where="method.tolerance",
            mend="give the preparation of the data set a validation share above 0",
        )
    activations, _ = pooled(student, lesson.train, assignment)
    order = activations.double().mean(0).argsort(stable=True)
    limit = math.floor(Fraction(str(recipe.ratio)) * len(order))
    accuracies = pruned_accuracies(student, *pooled(student, lesson.validation, assignment), order[:limit])
    pruned = order[: tolerated(accuracies, recipe.tolerance)]
    kept = remove(student, pruned)
    hooks = () if recipe.regrow else (FrozenWeights(student, kept),)
    phase = supervised_phase(recipe.training, hooks=hooks, stage_dropout=recipe.stage_dropout)
    facts = {
        "channels": len(order),
        "pruned_channels": sorted(pruned.tolist()),
        "pruned_accuracy": accuracies[len(pruned)],  # on validation images, before fine-tuning
    }
    return Plan(student, (phase,), facts=facts)


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
