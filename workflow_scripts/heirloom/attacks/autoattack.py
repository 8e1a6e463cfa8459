"""AutoAttack on the attacked model, by pyautoattack (Croce and Hein, ICML 2020).

pyautoattack 0.2 takes logits and images in [0, 1], draws from torch's global generator after seeding it with the given
seed before each of its attacks, and asks for 9 target classes however few there are.
"""

from __future__ import annotations

import copy
import logging
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from heirloom.attacks.budget import budget_of
from heirloom.attacks.pgd import attacking
from heirloom.config.attacks import AutoAttack
from heirloom.data.store import Part
from heirloom.evaluation.conditions import Condition
from heirloom.models.classifier import Classifier
from heirloom.runtime.devices import relaxed
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
    """Attack each image of a part through the model that looks at it, with the whole ensemble."""
    suite = suite_for(len(part.classes))
    budget = budget_of(attack, library=LIBRARY, **suite._asdict())
    return Condition(name, budget, partial(_Ensemble, labels=part.labels, attack=attack, suite=suite))


@dataclass(frozen=True, eq=False)
class _Ensemble:
    """Gives each image as the first attack of the ensemble that fools the model left it, or clean. `labels` by row.

    The library draws for a whole batch at once, so its draws depend on the batch that an image comes in. On CUDA its
    cumulative sums have no deterministic version: there, and there alone, two runs may differ in a few images.
    """

    model: Classifier
    labels: NDArray[np.int64]
    attack: AutoAttack
    suite: Suite

    def __call__(self, images: Tensor, rows: NDArray[np.int64]) -> Tensor:
        """Return the attacked images (B, 3, H, W) of clean ones and their rows (B,)."""
        from pyautoattack import AutoAttack as Ensemble

        logging.getLogger("auto-attack").setLevel(logging.WARNING)  # it announces itself to every batch
        truth = torch.from_numpy(self.labels[rows]).to(images.device)
        # pyautoattack flattens gradients by view(), which a channels_last layout refuses
        model = copy.deepcopy(self.model).to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        seed = derive_seed(self.attack.seed, "autoattack", int(rows[0]))
        with attacking(model), relaxed(), torch.random.fork_rng(devices=[]):
            ensemble = Ensemble(model, norm="Linf", eps=self.attack.epsilon, seed=seed, device=images.device)
            ensemble.attacks_to_run = list(self.suite.attacks)
            ensemble.apgd_targeted.n_target_classes = ensemble.fab.n_target_classes = self.suite.target_classes
            found: Tensor
            found, _ = ensemble.run_standard_evaluation(images.contiguous(), truth, batch_size=len(images))
        return found
