"""AutoAttack on the attacked model, by pyautoattack (Croce and Hein, ICML 2020).

pyautoattack 0.2 takes logits and images in [0, 1], draws from torch's global generator after seeding it with the given
seed before each of its attacks, and asks for 9 target classes however few there are. It draws for a whole batch at
once, so its draws depend on the batch that an image comes in. On CUDA its cumulative sums have no deterministic
version.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

from pydantic import Field

from heirloom.config.attacks import Looks, PixelSearch
from heirloom.runtime.seeds import derive_seed

if TYPE_CHECKING:
    from torch import Tensor

    from heirloom.attacks.search import SearchBatch
    from heirloom.data.store import Part
    from heirloom.models.classifier import Classifier
    from heirloom.models.conditions import Condition

LIBRARY = "pyautoattack"
ENSEMBLE = True
_STANDARD = ("apgd-ce", "apgd-t", "fab-t", "square")
_MOST_TARGETS = 9


class AutoAttack(PixelSearch):
    """The standard ensemble on the model itself (Croce and Hein, ICML 2020)."""

    uncounted: ClassVar[str] = "AutoAttack after its first attack (it runs on what that leaves)"
    flagged: ClassVar[bool] = True

    kind: Literal["autoattack"]
    norm: Literal["Linf", "L2"] = Field("Linf", description="what epsilon bounds")

    def looks(self) -> Looks:
        """Count its first attack: the later ones run on what that leaves."""
        return Looks(gradients=100)


class Ensemble(NamedTuple):
    """Which attacks run, and how many wrong classes the targeted ones try."""

    attacks: tuple[str, ...]
    target_classes: int


def suite_for(classes: int) -> Ensemble:
    """Return the standard ensemble, or what of it a small number of classes allows.

    The targeted attacks try every wrong class where there are fewer than 9. apgd-t's loss compares the four largest
    logits: at 3 classes the untargeted apgd-dlr, which needs three, takes its place, and at 2 nothing does.
    """
    targets = min(_MOST_TARGETS, classes - 1)
    if classes >= 4:
        return Ensemble(_STANDARD, targets)
    stand_in = ("apgd-dlr",) if classes == 3 else ()
    return Ensemble(("apgd-ce", *stand_in, "fab-t", "square"), targets)


def queries(_facts: Mapping[str, Any]) -> float:
    """Return how often Square, its last attack, asks about an image."""
    return 5000.0


def attack(name: str, settings: AutoAttack, part: Part) -> Condition:
    """Attack each image with the whole ensemble: shown as the first attack that fools the model left it, or clean."""
    from heirloom.attacks.search import condition

    suite = suite_for(len(part.classes))
    search = partial(_ensemble, settings=settings, suite=suite)
    return condition(name, settings, part, search, library=LIBRARY, whole=True, **suite._asdict())


def _ensemble(source: Classifier, batch: SearchBatch, *, settings: AutoAttack, suite: Ensemble) -> Tensor:
    from pyautoattack import AutoAttack as Ensemble

    logging.getLogger("auto-attack").setLevel(logging.WARNING)  # it announces itself to every batch
    seed = derive_seed(settings.seed, "autoattack", int(batch.rows[0]))
    ensemble = Ensemble(source, norm=settings.norm, eps=settings.epsilon, seed=seed, device=batch.images.device)
    ensemble.attacks_to_run = list(suite.attacks)
    ensemble.apgd_targeted.n_target_classes = ensemble.fab.n_target_classes = suite.target_classes
    found: Tensor
    found, _ = ensemble.run_standard_evaluation(batch.images, batch.labels, batch_size=len(batch.images))
    return found
