"""Attacked images inside a training: who crafts them, and how a batch shows them to the objective.

Images are crafted in eval mode of batch normalisation (Pang et al., "Bag of Tricks for Adversarial Training", ICLR
2021), from a uniform start in the ball for every objective, and in the precision of the recipe: crafting is nearly all
of a robust training's work, and its images judge nothing. What chooses weights computes in float32 (DESIGN 6).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from heirloom.attacks.inner import ImageLoss, cross_entropy, perturbed
from heirloom.config.robust import InnerAttack, RobustObjective, SteppedTraining
from heirloom.models.classifier import Classifier
from heirloom.models.modes import evaluating
from heirloom.runtime.devices import Compute
from heirloom.runtime.errors import ConfigError
from heirloom.runtime.registry import known, resolve
from heirloom.training.loop import BatchTransform
from heirloom.training.objectives import UNLABELLED, Step, Term, supervised_terms
from heirloom.training.phases import Phase
from heirloom.training.robust import OBJECTIVES

PHASE = "robust training"
TWO_PASSES = 2  # clean images, then attacked ones

# Logits of clean and of attacked images, (B, K) each, to a value an image (B,): how far the model's answer moved.
Divergence = Callable[[Tensor, Tensor], Tensor]


class Plan(NamedTuple):
    """A robust training: what is done to each batch, and what is minimised."""

    transform: BatchTransform
    phase: Phase


@dataclass(frozen=True, eq=False)
class Attacker:
    """Attacks the model as it is at that moment of its training."""

    model: Classifier
    attack: InnerAttack
    compute: Compute

    def attacked(
        self, images: Tensor, labels: Tensor, generator: torch.Generator, loss: ImageLoss = cross_entropy
    ) -> Tensor:
        """Return attacked images (B, 3, H, W); the random start comes from the generator, which is on the CPU."""
        # drawn on the CPU, so that a GPU starts where a CPU does
        draw = torch.empty_like(images).copy_(torch.rand(images.shape, generator=generator))
        return perturbed(
            self.model, images, labels, self.attack, draw=draw, objective=loss, autocast=self.compute.autocast
        )

    @torch.no_grad()
    def answers(self, images: Tensor) -> Tensor:
        """Return the logits (B, K), float32, of clean images in eval mode."""
        with evaluating(self.model), self.compute.autocast():
            logits: Tensor = self.model(images).float()
        return logits


@dataclass(frozen=True, eq=False)
class InPlace:
    """Shows attacked images in place of the clean ones, under their labels; a transform of the training loop."""

    attacker: Attacker

    def __call__(
        self, images: Tensor, labels: Tensor, _rows: NDArray[np.int64], generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Return attacked images and the labels; the arguments stay as they are."""
        return self.attacker.attacked(images, labels, generator), labels


@dataclass(frozen=True, eq=False)
class Beside:
    """Shows attacked images, UNLABELLED, behind the clean ones; a transform of the training loop.

    `divergence` is what the attack makes large; None: the cross-entropy. A phase of two passes (`TWO_PASSES`) then
    gives clean and attacked images batch statistics of their own, as the authors' code of every such objective does.
    """

    attacker: Attacker
    divergence: Divergence | None = None

    def __call__(
        self, images: Tensor, labels: Tensor, _rows: NDArray[np.int64], generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Return the batch and its attacked copies after it; the arguments stay as they are."""
        attacked = self.attacker.attacked(images, labels, generator, self._loss(images))
        return torch.cat([images, attacked]), torch.cat([labels, torch.full_like(labels, UNLABELLED)])

    def _loss(self, images: Tensor) -> ImageLoss:
        divergence = self.divergence
        if divergence is None:
            return cross_entropy
        clean = self.attacker.answers(images)
        return lambda logits, _labels: divergence(clean, logits)


def halves(step: Step) -> tuple[Tensor, Tensor]:
    """Return the logits of the clean and of the attacked images that `Beside` showed, (B, K) each."""
    clean, attacked = step.logits.chunk(2)
    return clean, attacked


def clean_labels(step: Step) -> Tensor:
    """Return the labels (B,) of the images that `Beside` showed twice."""
    return step.labels[: len(step.labels) // 2]


def paired_phase(training: SteppedTraining, *terms: Term) -> Phase:
    """Return a phase in two passes whose terms stand in the place of the cross-entropy."""
    _, *penalties = supervised_terms(training)
    return Phase(PHASE, training, (*terms, *penalties), passes=TWO_PASSES)


def unsmoothed(training: SteppedTraining, name: str) -> None:
    """Refuse label smoothing with an objective that does not define it; raises ConfigError."""
    if training.label_smoothing > 0:
        what = f"the objective {name} has no label smoothing"
        raise ConfigError(what, where="training.label_smoothing", mend="leave it out")


def robust_plan(objective: RobustObjective, training: SteppedTraining, attacker: Attacker) -> Plan:
    """Return the plan of a robust training; raises ConfigError for an objective that OBJECTIVES does not have."""
    function: Callable[[RobustObjective, SteppedTraining, Attacker], Plan] = resolve(
        known(OBJECTIVES, objective.objective, kind="robust objective")
    )
    return function(objective, training, attacker)
