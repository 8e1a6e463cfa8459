"""ZOO, Carlini and Wagner's attack by estimated gradients, by ART (Chen et al., AISec 2017)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from heirloom.config.attacks import Looks, SmallestChange
from heirloom.config.models import Count, Steps

if TYPE_CHECKING:
    from torch import Tensor

    from heirloom.attacks.search import SearchBatch
    from heirloom.data.store import Part
    from heirloom.models.classifier import Classifier
    from heirloom.models.conditions import Condition

LIBRARY = "adversarial-robustness-toolbox"


class ZOO(SmallestChange):
    """Carlini and Wagner's attack with gradients estimated from answers (Chen et al., AISec 2017)."""

    kind: Literal["zoo"]
    norm: Literal["L2"] = Field("L2", description="what it makes small")
    steps: Steps = Field(10, ge=1, description="steps of Adam, for each constant anew")
    searches: Count = Field(1, ge=1, description="constants c tried")
    constant: float = Field(1e-3, gt=0, description="the first c")
    learning_rate: float = Field(0.01, gt=0, description="of Adam")
    confidence: float = Field(0.0, ge=0, description="kappa: margin of the logits to be reached")
    coordinates: Count = Field(128, ge=1, description="values of an image that a step moves")
    difference: float = Field(1e-4, gt=0, description="how far a value is moved to estimate its gradient")
    resize: bool = Field(True, description="search on the image brought to 32 pixels a side first, as published")

    def looks(self) -> Looks:
        """Count two answers a coordinate and step."""
        return Looks(forwards=self.searches * self.steps * (2 * self.coordinates + 1))


def queries(facts: Mapping[str, Any]) -> float:
    """Return how often it asks about an image, by what its budget says."""
    return float(facts["searches"] * facts["steps"] * 2 * facts["coordinates"])


def attack(name: str, settings: ZOO, part: Part) -> Condition:
    """Estimate the gradients of some values at a time from the model's logits.

    ART clips the change itself to [0, 1], so that it only ever raises values.
    """
    from heirloom.attacks.search import condition

    return condition(name, settings, part, partial(_estimated, settings=settings), library=LIBRARY)


def _estimated(source: Classifier, batch: SearchBatch, *, settings: ZOO) -> Tensor:
    from heirloom.attacks.compat import art
    from heirloom.attacks.search import near
    from heirloom.attacks.toolbox import array_of, each_of, estimator, like

    found = batch.images.clone()
    for place, image, label in each_of(batch, settings.seed, "zoo"):
        # one image at a time, with an attack of its own: in a batch ART 1.20 moves the first image alone, and what it
        # learnt of one image stays for the next
        method = art("attacks.evasion").ZooAttack(
            estimator(source, image),
            confidence=settings.confidence,
            learning_rate=settings.learning_rate,
            max_iter=settings.steps,
            binary_search_steps=settings.searches,
            initial_const=settings.constant,
            use_resize=settings.resize,
            use_importance=settings.resize,
            nb_parallel=settings.coordinates,
            variable_h=settings.difference,
            batch_size=1,
            verbose=False,
        )
        found[place] = like(image, method.generate(array_of(image), array_of(label)))
    return near(batch.images, found, norm="L2", epsilon=settings.epsilon)
