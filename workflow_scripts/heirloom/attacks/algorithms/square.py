"""Square, which asks for answers and no gradient, by pyautoattack (Andriushchenko et al., ECCV 2020)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from heirloom.config.attacks import Looks, PixelSearch
from heirloom.config.models import Count
from heirloom.runtime.seeds import derive_seed

if TYPE_CHECKING:
    from torch import Tensor

    from heirloom.attacks.search import SearchBatch
    from heirloom.data.store import Part
    from heirloom.models.classifier import Classifier
    from heirloom.models.conditions import Condition

LIBRARY = "pyautoattack"
_FIRST_SHARE = 0.8  # of the image that the first square covers, as in AutoAttack


class SquareAttack(PixelSearch):
    """Random squares, kept where they help: it asks for no gradient (Andriushchenko et al., ECCV 2020)."""

    kind: Literal["square"]
    norm: Literal["Linf", "L2"] = Field("Linf", description="what epsilon bounds")
    queries: Count = Field(5000, ge=1, description="how often it may ask the model about an image, each restart anew")
    restarts: Count = Field(1, ge=1, description="random starts; an image is fooled by any of them")

    def looks(self) -> Looks:
        """Count a look a query."""
        return Looks(forwards=self.restarts * self.queries + 1)


def queries(facts: Mapping[str, Any]) -> float:
    """Return how often it asks about an image, by what its budget says."""
    return float(facts["queries"])


def attack(name: str, settings: SquareAttack, part: Part) -> Condition:
    """Try squares of random signs, of falling size. The library draws for a whole batch at once."""
    from heirloom.attacks.search import condition

    return condition(name, settings, part, partial(_squares, settings=settings), library=LIBRARY)


def _squares(source: Classifier, batch: SearchBatch, *, settings: SquareAttack) -> Tensor:
    from pyautoattack.square import SquareAttack as Squares

    squares = Squares(
        source,
        norm=settings.norm,
        eps=settings.epsilon,
        n_queries=settings.queries,
        n_restarts=settings.restarts,
        p_init=_FIRST_SHARE,
        resc_schedule=True,  # the sizes fall over the queries there are, not over 10,000
        seed=derive_seed(settings.seed, "square", int(batch.rows[0])),
        device=batch.images.device,
    )
    found: Tensor = squares.perturb(batch.images, batch.labels)
    return found
