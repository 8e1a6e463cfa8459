"""Carlini and Wagner's attack: in L2 by advertorch, in L-inf our own (IEEE S&P 2017)."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from heirloom.attacks.budget import OWN
from heirloom.attacks.compat import advertorch_attacks
from heirloom.attacks.crafting import Batch, condition, near
from heirloom.attacks.losses import margin
from heirloom.config.attacks import CarliniWagner
from heirloom.data.store import Part
from heirloom.evaluation.conditions import Condition
from heirloom.models.classifier import Classifier

LIBRARY = "advertorch"
_INSIDE = 0.99  # of the way to the border of the box, where tanh is flat: black and white pixels begin there


def carlini_wagner(name: str, attack: CarliniWagner, part: Part) -> Condition:
    """Drive the margin of the logits: with the smallest change (L2), or within epsilon (Linf)."""
    if attack.norm == "L2":
        return condition(name, attack, part, partial(_smallest, attack=attack), library=LIBRARY)
    return condition(name, attack, part, partial(_boxed, attack=attack), library=OWN)


def _smallest(source: Classifier, batch: Batch, *, attack: CarliniWagner) -> Tensor:
    """Search for the smallest change. It draws nothing at random."""
    adversary = advertorch_attacks().CarliniWagnerL2Attack(
        source,
        num_classes=source.classes,
        confidence=attack.confidence,
        learning_rate=attack.learning_rate,
        binary_search_steps=attack.searches,
        max_iterations=attack.steps,
        initial_const=attack.constant,
        abort_early=False,  # it would stop a whole batch by the sum of its images' losses
        clip_min=0.0,
        clip_max=1.0,
    )
    found = adversary.perturb(batch.images, batch.labels)
    return near(batch.images, found, norm="L2", epsilon=attack.epsilon)


def _boxed(source: Classifier, batch: Batch, *, attack: CarliniWagner) -> Tensor:
    """Search behind tanh, which keeps an image within epsilon and [0, 1], and keep what has the largest margin.

    Within epsilon as in ART 1.1, which FPD's scripts call, but by Adam and not by a line search. ART 1.20 looks for the
    smallest change, by a gradient that leaves out the constant that it searches for.
    """
    images, epsilon = batch.images, attack.epsilon
    assert epsilon is not None  # the model of the settings sees to it
    low, high = (images - epsilon).clamp(min=0), (images + epsilon).clamp(max=1)
    middle, half = (low + high) / 2, (high - low) / 2
    hidden = torch.atanh((images - middle) / half * _INSIDE).requires_grad_()
    adam = torch.optim.Adam([hidden], lr=attack.learning_rate)
    found, best = images.clone(), torch.full((len(images),), -torch.inf, device=images.device)
    for step in range(attack.steps + 1):
        shown = middle + half * torch.tanh(hidden)
        margins = margin(source(shown), batch.labels)
        better = margins.detach() > best
        found[better], best[better] = shown.detach()[better], margins.detach()[better]
        if step < attack.steps:
            (gradient,) = torch.autograd.grad(-margins.clamp(max=attack.confidence).sum(), hidden)
            hidden.grad = gradient
            adam.step()
    return found.clamp(low, high)
