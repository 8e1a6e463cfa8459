"""HopSkipJump, which asks for answers alone, by ART (Chen, Jordan and Wainwright, IEEE S&P 2020)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, model_validator

from heirloom.config.attacks import Looks, SmallestChange
from heirloom.config.models import Count, Steps

if TYPE_CHECKING:
    from torch import Tensor

    from heirloom.attacks.search import SearchBatch
    from heirloom.data.store import Part
    from heirloom.models.classifier import Classifier
    from heirloom.models.conditions import Condition

LIBRARY = "adversarial-robustness-toolbox"


class HopSkipJump(SmallestChange):
    """Walks along the boundary, asking for answers alone (Chen, Jordan and Wainwright, IEEE S&P 2020)."""

    kind: Literal["hopskipjump"]
    norm: Literal["L2", "Linf"] = Field("L2", description="what it makes small")
    steps: Steps = Field(50, ge=1, description="steps along the boundary")
    evaluations: Count = Field(10_000, ge=1, description="answers asked for in one step, at most")
    first_evaluations: Count = Field(100, ge=1, description="in the first step; they grow with the root of the step")
    starts: Count = Field(100, ge=1, description="random images tried for one that is answered wrong")

    def looks(self) -> Looks:
        """Count the answers asked for, the halvings of a search (about 20) among them."""
        steps = range(1, self.steps + 1)
        asked = sum(min(self.evaluations, self.first_evaluations * math.sqrt(step)) for step in steps)
        return Looks(forwards=asked + 20 * self.steps + self.starts)

    @model_validator(mode="after")
    def _grows(self) -> Self:
        if self.first_evaluations > self.evaluations:
            raise ValueError("first_evaluations may be at most evaluations")
        return self


def queries(facts: Mapping[str, Any]) -> float:
    """Return how often it asks about an image, by what its budget says."""
    return float(facts["steps"] * facts["first_evaluations"])


def attack(name: str, settings: HopSkipJump, part: Part) -> Condition:
    """Walk along the boundary from a random image that the model answers otherwise."""
    from heirloom.attacks.search import condition

    return condition(name, settings, part, partial(_walked, settings=settings), library=LIBRARY)


def _walked(source: Classifier, batch: SearchBatch, *, settings: HopSkipJump) -> Tensor:
    import numpy as np

    from heirloom.attacks.compat import art
    from heirloom.attacks.search import near
    from heirloom.attacks.toolbox import array_of, each_of, estimator, like

    method = art("attacks.evasion").HopSkipJump(
        estimator(source, batch.images),
        norm=2 if settings.norm == "L2" else np.inf,
        max_iter=settings.steps,
        max_eval=settings.evaluations,
        init_eval=settings.first_evaluations,
        verbose=False,
    )
    found = batch.images.clone()
    for place, image, label in each_of(batch, settings.seed, "hopskipjump"):
        start = _wrong_image(source, image, label, settings)
        if start is not None:
            made = method.generate(array_of(image), array_of(label), x_adv_init=array_of(start))
            found[place] = like(image, made)
    return near(batch.images, found, norm=settings.norm, epsilon=settings.epsilon)


def _wrong_image(source: Classifier, image: Tensor, label: Tensor, settings: HopSkipJump) -> Tensor | None:
    """Draw images like (1, 3, H, W) from numpy's global generator until the model answers one otherwise.

    ART would draw them from a generator that nobody can seed. None: it answered them all alike.
    """
    import numpy as np
    import torch

    from heirloom.attacks.toolbox import like

    for _ in range(settings.starts):
        drawn = like(image, np.random.uniform(size=tuple(image.shape)))  # noqa: NPY002 - seeded by each_of
        with torch.no_grad():
            if source(drawn).argmax(dim=1) != label:
                return drawn
    return None
