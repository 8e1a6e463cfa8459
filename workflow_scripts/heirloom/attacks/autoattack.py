"""AutoAttack on the attacked model, by pyautoattack (Croce and Hein, ICML 2020).

pyautoattack 0.2 takes logits and images in [0, 1], draws from torch's global generator after seeding it with the given
seed before each of its attacks, and asks for 9 target classes however few there are. It draws for a whole batch at
once, so its draws depend on the batch that an image comes in. On CUDA its cumulative sums have no deterministic
version.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import NamedTuple

from torch import Tensor

from heirloom.attacks.crafting import Batch, condition
from heirloom.config.attacks import AutoAttack
from heirloom.data.store import Part
from heirloom.evaluation.conditions import Condition
from heirloom.models.classifier import Classifier
from heirloom.runtime.seeds import derive_seed

LIBRARY = "pyautoattack"
_STANDARD = ("apgd-ce", "apgd-t", "fab-t", "square")
_MOST_TARGETS = 9


class Suite(NamedTuple):
    """Which attacks run, and how many wrong classes the targeted ones try."""

    attacks: tuple[str, ...]
    target_classes: int


def suite_for(classes: int) -> Suite:
    """Return the standard ensemble, or what of it a small number of classes allows.

    The targeted attacks try every wrong class where there are fewer than 9. apgd-t's loss compares the four largest
    logits: at 3 classes the untargeted apgd-dlr, which needs three, takes its place, and at 2 nothing does.
    """
    targets = min(_MOST_TARGETS, classes - 1)
    if classes >= 4:
        return Suite(_STANDARD, targets)
    stand_in = ("apgd-dlr",) if classes == 3 else ()
    return Suite(("apgd-ce", *stand_in, "fab-t", "square"), targets)


def autoattack(name: str, attack: AutoAttack, part: Part) -> Condition:
    """Attack each image with the whole ensemble: shown as the first attack that fools the model left it, or clean."""
    suite = suite_for(len(part.classes))
    search = partial(_ensemble, attack=attack, suite=suite)
    return condition(name, attack, part, search, library=LIBRARY, whole=True, **suite._asdict())


def _ensemble(source: Classifier, batch: Batch, *, attack: AutoAttack, suite: Suite) -> Tensor:
    from pyautoattack import AutoAttack as Ensemble

    logging.getLogger("auto-attack").setLevel(logging.WARNING)  # it announces itself to every batch
    seed = derive_seed(attack.seed, "autoattack", int(batch.rows[0]))
    ensemble = Ensemble(source, norm=attack.norm, eps=attack.epsilon, seed=seed, device=batch.images.device)
    ensemble.attacks_to_run = list(suite.attacks)
    ensemble.apgd_targeted.n_target_classes = ensemble.fab.n_target_classes = suite.target_classes
    found: Tensor
    found, _ = ensemble.run_standard_evaluation(batch.images, batch.labels, batch_size=len(batch.images))
    return found
