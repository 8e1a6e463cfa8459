"""DeepFool, by ART (Moosavi-Dezfooli et al., CVPR 2016)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal

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


class DeepFool(SmallestChange):
    """Steps to the nearest linearised boundary, in L2 (Moosavi-Dezfooli et al., CVPR 2016)."""

    kind: Literal["deepfool"]
    norm: Literal["L2"] = Field("L2", description="what it makes small")
    steps: Steps = Field(50, ge=1, description="steps at most; it stops where the answer changes")
    overshoot: float = Field(0.02, ge=0, description="share by which the found change is made larger")
    candidates: Count = Field(10, ge=2, description="classes whose boundaries it looks at, the likeliest")

    def looks(self) -> Looks:
        """Count a gradient a class and step, one of each before the first, and a look a step."""
        return Looks(gradients=(self.steps + 1) * self.candidates, forwards=self.steps + 1)


def attack(name: str, settings: DeepFool, part: Part) -> Condition:
    """Step to the nearest linearised boundary. It draws nothing at random."""
    from heirloom.attacks.search import condition

    return condition(name, settings, part, partial(_nearest, settings=settings), library=LIBRARY)


def _nearest(source: Classifier, batch: SearchBatch, *, settings: DeepFool) -> Tensor:
    import torch

    from heirloom.attacks.compat import art
    from heirloom.attacks.search import near
    from heirloom.attacks.toolbox import array_of, estimator, like, pieces

    method = art("attacks.evasion").DeepFool(
        estimator(source, batch.images),
        max_iter=settings.steps,
        epsilon=settings.overshoot,
        nb_grads=settings.candidates,
        batch_size=len(batch.images),
        verbose=False,
    )
    # of some classes alone ART takes the likeliest of all images together, and holds a gradient of each
    together = len(batch.images) if source.classes <= settings.candidates else 1
    found = torch.cat([like(piece, method.generate(array_of(piece))) for piece in pieces(batch.images, together)])
    return near(batch.images, found, norm="L2", epsilon=settings.epsilon)
