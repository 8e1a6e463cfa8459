"""JSMA, the saliency map attack, by ART (Papernot et al., EuroS&P 2016)."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from heirloom.config.attacks import Looks, SmallestChange
from heirloom.config.models import Ratio, Share
from heirloom.runtime.seeds import derive_seed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from heirloom.attacks.search import SearchBatch
    from heirloom.data.store import Part
    from heirloom.models.classifier import Classifier
    from heirloom.models.conditions import Condition

LIBRARY = "adversarial-robustness-toolbox"
_VALUES = 3 * 64 * 64  # of an image of MNIST or SVHN as FPD resizes them


class SaliencyMap(SmallestChange):
    """JSMA: raises two values a step towards a wrong class drawn by seed (Papernot et al., EuroS&P 2016)."""

    kind: Literal["jsma"]
    norm: Literal["L0"] = Field("L0", description="what it makes small: epsilon is a share of an image's values")
    step: Ratio = Field(1.0, gt=0, le=1, description="theta: what a value is raised by, each time it is chosen")
    share: Share = Field(0.145, gt=0, description="gamma: share of the values that may change; the paper's is .145")

    def looks(self) -> Looks:
        """Count a gradient for two values, each raised until it is 1, in an image of 64 pixels."""
        return Looks(gradients=math.ceil(self.share * _VALUES / 2 / self.step), forwards=1)


def attack(name: str, settings: SaliencyMap, part: Part) -> Condition:
    """Raise values towards a wrong class, another one for each image.

    ART ranks values by the gradient of that class alone, where the paper weighs it against the other classes'.
    """
    from heirloom.attacks.search import condition

    return condition(name, settings, part, partial(_raised, settings=settings), library=LIBRARY)


def _raised(source: Classifier, batch: SearchBatch, *, settings: SaliencyMap) -> Tensor:
    from heirloom.attacks.compat import art
    from heirloom.attacks.search import near
    from heirloom.attacks.toolbox import array_of, estimator, like

    method = art("attacks.evasion").SaliencyMapMethod(
        estimator(source, batch.images),
        theta=settings.step,
        gamma=settings.share,
        batch_size=len(batch.images),
        verbose=False,
    )
    targets = _wrong_classes(batch, source.classes, settings.seed)
    found = like(batch.images, method.generate(array_of(batch.images), targets))
    return near(batch.images, found, norm="L0", epsilon=settings.epsilon)


def _wrong_classes(batch: SearchBatch, classes: int, seed: int) -> NDArray[np.int64]:
    """Draw a class other than its own for each image: (B,)."""
    import numpy as np

    draws = [np.random.default_rng(derive_seed(seed, "jsma", int(row))).integers(1, classes) for row in batch.rows]
    return (batch.labels.cpu().numpy() + np.array(draws)) % classes
