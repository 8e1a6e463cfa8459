"""Attacked images inside a training: who crafts them, and how a batch shows them to the objective.

Images are crafted in eval mode of batch normalisation (Pang et al., "Bag of Tricks for Adversarial Training", ICLR
2021), from a uniform start in the ball for every objective, and in the precision of the recipe: crafting is nearly all
of a robust training's work, and its images judge nothing. What chooses weights computes in float32
(docs/methods.md#arithmetic).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from heirloom.attacks.inner import ImageLoss, cross_entropy, perturbed
from heirloom.config.kinds import OBJECTIVES
from heirloom.config.robust_training import InnerAttack, ObjectiveSettings, SteppedTraining
from heirloom.models.classifier import Classifier
from heirloom.models.modes import evaluating
from heirloom.runtime.devices import Compute
from heirloom.runtime.errors import ConfigError
from heirloom.training.loop import BatchTransform
from heirloom.training.losses import UNLABELLED, Batch, Step, Term
from heirloom.training.phases import Phase

PHASE = "robust training"

# Logits of clean and of attacked images, (B, K) each, to a value an image (B,): how far the model's answer moved.
Divergence = Callable[[Tensor, Tensor], Tensor]


class RobustPlan(NamedTuple):
    """A robust training: what is done to each batch, and what is minimised."""

    transform: BatchTransform
    phase: Phase


@dataclass(frozen=True, eq=False)
class Attacker:
    """Attacks the model as it is at that moment of its training; without an attack it attacks nothing."""

    model: Classifier
    attack: InnerAttack | None
    compute: Compute

    def attacked(
        self, images: Tensor, labels: Tensor, generator: torch.Generator, loss: ImageLoss = cross_entropy
    ) -> Tensor:
        """Return attacked images (B, 3, H, W); the random start comes from the generator, which is on the CPU."""
        assert self.attack is not None
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

    `divergence` is what the attack makes large; None: the cross-entropy. `paired_phase` then gives clean and attacked
    images batch statistics of their own, as the authors' code of every such objective does.
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


@dataclass(frozen=True, eq=False)
class Both:
    """Shows attacked images behind the clean ones, all under their labels; a transform of the training loop.

    Images are attacked away from the model's own predictions, so that a change tells nothing of the label it is trained
    with. Without an attack the clean images stand alone. `noise`: uniform, at most this much, on the clean images;
    `target`: what attacked images are to be restored to by a model that restores images. Clean ones are
    restored to what they were without noise.
    """

    attacker: Attacker
    noise: float = 0.0
    target: Literal["clean", "adversarial"] = "clean"

    @property
    def passes(self) -> int:
        """In how many passes the batch is to go through the model, so that each kind has its own batch statistics."""
        return 1 if self.attacker.attack is None else 2

    def __call__(self, images: Tensor, labels: Tensor, _rows: NDArray[np.int64], generator: torch.Generator) -> Batch:
        """Return what is shown, its labels, and what it is to be restored to; the arguments stay as they are."""
        shown = self._noisy(images, generator) if self.noise else images
        if self.attacker.attack is None:
            return Batch(shown, labels, images)
        attacked = self.attacker.attacked(images, self.attacker.answers(images).argmax(dim=1), generator)
        wanted = images if self.target == "clean" else attacked
        return Batch(torch.cat([shown, attacked]), torch.cat([labels, labels]), torch.cat([images, wanted]))

    def _noisy(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Add uniform noise, drawn on the CPU, so that a GPU sees what a CPU does."""
        draw = torch.empty_like(images).copy_(torch.rand(images.shape, generator=generator))
        return images + (2 * draw - 1) * self.noise


def halves(step: Step) -> tuple[Tensor, Tensor]:
    """Return the logits of the clean and of the attacked images that `Beside` showed, (B, K) each."""
    clean, attacked = step.logits.chunk(2)
    return clean, attacked


def divergence(clean: Tensor, attacked: Tensor) -> Tensor:
    """Return KL(clean || attacked) of each image (B,) in nats, from logits (B, K)."""
    log_clean, log_attacked = clean.log_softmax(dim=1), attacked.log_softmax(dim=1)
    return functional.kl_div(log_attacked, log_clean, log_target=True, reduction="none").sum(dim=1)


def mean_divergence(step: Step) -> Tensor:
    """Return the mean divergence of attacked images from clean ones."""
    return divergence(*halves(step)).mean()


def clean_labels(step: Step) -> Tensor:
    """Return the labels (B,) of the images that `Beside` showed twice."""
    return step.labels[: len(step.labels) // 2]


def paired_phase(training: SteppedTraining, *terms: Term) -> Phase:
    """Return a phase that minimises terms of the clean and attacked images that `Beside` shows."""
    return Phase(PHASE, training, terms, passes=2)


def unsmoothed(training: SteppedTraining, name: str) -> None:
    """Refuse label smoothing with an objective that does not define it; raises ConfigError."""
    if training.label_smoothing > 0:
        what = f"the objective {name} has no label smoothing"
        raise ConfigError(what, where="training.label_smoothing", mend="leave it out")


def robust_plan(settings: ObjectiveSettings, training: SteppedTraining, attacker: Attacker) -> RobustPlan:
    """Return the plan of a robust training; raises ConfigError for an unknown objective."""
    plan: Callable[..., RobustPlan] = OBJECTIVES.load(settings.kind).plan
    return plan(settings, training, attacker)
