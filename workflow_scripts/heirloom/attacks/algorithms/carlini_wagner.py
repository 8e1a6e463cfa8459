"""Carlini and Wagner's attack: in L2 by advertorch, in L-inf our own (IEEE S&P 2017)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, model_validator

from heirloom.config.attacks import Looks, SmallestChange
from heirloom.config.models import Count, Steps

if TYPE_CHECKING:
    from torch import Tensor

    from heirloom.attacks.search import SearchBatch
    from heirloom.data.store import Part
    from heirloom.models.classifier import Classifier
    from heirloom.models.conditions import Condition

LIBRARY = "advertorch"
_INSIDE = 0.99  # of the way to the border of the box, where tanh is flat: black and white pixels begin there


class CarliniWagner(SmallestChange):
    """The margin of the logits against the change's size (Carlini and Wagner, IEEE S&P 2017).

    L2: the smallest change, the constant c found by binary search. Linf: within epsilon from the start, as FPD's
    scripts run it.
    """

    kind: Literal["carlini-wagner"]
    norm: Literal["L2", "Linf"] = Field("L2", description="what epsilon bounds")
    steps: Steps = Field(1000, ge=1, description="steps of Adam, for each constant anew")
    learning_rate: float = Field(0.01, gt=0, description="of Adam, behind the change of variables")
    confidence: float = Field(0.0, ge=0, description="kappa: margin of the logits to be reached")
    searches: Count | None = Field(None, ge=1, description="constants c tried; L2 alone, and needed there")
    constant: float | None = Field(None, gt=0, description="the first c; L2 alone, and needed there")

    def looks(self) -> Looks:
        """Count a gradient a step."""
        return Looks(gradients=self.steps * (self.searches or 1), forwards=1)

    @model_validator(mode="after")
    def _suits_the_norm(self) -> Self:
        if self.norm == "L2" and (self.searches is None or self.constant is None):
            raise ValueError("carlini-wagner in L2 searches for its constant: give searches and constant")
        if self.norm == "Linf" and (self.searches is not None or self.constant is not None or self.epsilon is None):
            raise ValueError("carlini-wagner in Linf stays within epsilon: give that, and no searches nor constant")
        return self


def attack(name: str, settings: CarliniWagner, part: Part) -> Condition:
    """Drive the margin of the logits: with the smallest change (L2), or within epsilon (Linf)."""
    from heirloom.attacks.budget import OWN
    from heirloom.attacks.search import condition

    search, library = (_smallest, LIBRARY) if settings.norm == "L2" else (_boxed, OWN)
    return condition(name, settings, part, partial(search, settings=settings), library=library)


def _smallest(source: Classifier, batch: SearchBatch, *, settings: CarliniWagner) -> Tensor:
    """Search for the smallest change. It draws nothing at random."""
    from heirloom.attacks.compat import advertorch_attacks
    from heirloom.attacks.search import near

    adversary = advertorch_attacks().CarliniWagnerL2Attack(
        source,
        num_classes=source.classes,
        confidence=settings.confidence,
        learning_rate=settings.learning_rate,
        binary_search_steps=settings.searches,
        max_iterations=settings.steps,
        initial_const=settings.constant,
        abort_early=False,  # it would stop a whole batch by the sum of its images' losses
        clip_min=0.0,
        clip_max=1.0,
    )
    found = adversary.perturb(batch.images, batch.labels)
    return near(batch.images, found, norm="L2", epsilon=settings.epsilon)


def _boxed(source: Classifier, batch: SearchBatch, *, settings: CarliniWagner) -> Tensor:
    """Search behind tanh, which keeps an image within epsilon and [0, 1], and keep what has the largest margin.

    Within epsilon as in ART 1.1, which FPD's scripts call, but by Adam and not by a line search. ART 1.20 looks for the
    smallest change, by a gradient that leaves out the constant that it searches for.
    """
    import torch

    from heirloom.attacks.losses import margin

    images, epsilon = batch.images, settings.epsilon
    assert epsilon is not None  # the model of the settings sees to it
    low, high = (images - epsilon).clamp(min=0), (images + epsilon).clamp(max=1)
    middle, half = (low + high) / 2, (high - low) / 2
    hidden = torch.atanh((images - middle) / half * _INSIDE).requires_grad_()
    adam = torch.optim.Adam([hidden], lr=settings.learning_rate)
    found, best = images.clone(), torch.full((len(images),), -torch.inf, device=images.device)
    for step in range(settings.steps + 1):
        shown = middle + half * torch.tanh(hidden)
        margins = margin(source(shown), batch.labels)
        better = margins.detach() > best
        found[better], best[better] = shown.detach()[better], margins.detach()[better]
        if step < settings.steps:
            (gradient,) = torch.autograd.grad(-margins.clamp(max=settings.confidence).sum(), hidden)
            hidden.grad = gradient
            adam.step()
    return found.clamp(low, high)
