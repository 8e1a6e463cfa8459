"""Adversarial weight perturbation: adversarial training against the worst weights nearby (Wu et al., NeurIPS 2020).

    min_w  max_{||v_l|| <= gamma ||w_l||}  E  max_{|d| <= eps} CE(f_{w + v}(x + d), y)
    v_l = gamma ||w_l|| g_l / ||g_l||,   g the gradient of the attacked batch's loss at w, layer l by layer

Settled by the definition: images are attacked at w, the gradient that trains is taken at w + v, and v is found in one
step. Settled by the authors' code: weights of at least two dimensions are perturbed, so neither biases nor batch
normalisation; the search for v leaves batch statistics as they were, the step at w + v moves them. Departure: the
optimiser acts on w, put back bit for bit; in the authors' code on w + v, from which v is then subtracted, so that
weight decay sees w + v and rounding stays behind.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from heirloom.config.robust import SteppedTraining, WeightPerturbation
from heirloom.models.classifier import Classifier
from heirloom.training.phases import Loss, StepHook, supervised_phase
from heirloom.training.robust.crafting import PHASE, Attacker, InPlace, Plan

_TINY = 1e-20  # a layer without gradient stays where it is


def plan(objective: WeightPerturbation, training: SteppedTraining, attacker: Attacker) -> Plan:
    """Return the plan of adversarial training with AWP; the history's train_accuracy is that of attacked images."""
    first = round(objective.start * training.iterations)
    hook = WorstWeights(attacker.model, gamma=objective.gamma, first=first)
    return Plan(InPlace(attacker), supervised_phase(training, name=PHASE, hooks=(hook,)))


class WorstWeights(StepHook):
    """Lets the gradient be taken by perturbed weights, from iteration `first` on."""

    def __init__(self, model: nn.Module, *, gamma: float, first: int) -> None:
        self._weights = [weight for weight in model.parameters() if weight.ndim > 1]
        self._gamma = gamma
        self._first = first
        self._kept: list[Tensor] = []

    def before_gradient(self, model: Classifier, iteration: int, loss: Loss) -> None:
        """Move each layer up the loss by gamma times its norm; batch statistics stay."""
        if iteration < self._first:
            return
        statistics = [(buffer, buffer.clone()) for buffer in model.buffers()]
        gradients = torch.autograd.grad(loss(), self._weights)
        with torch.no_grad():
            for buffer, before in statistics:
                buffer.copy_(before)
            self._kept = [weight.clone() for weight in self._weights]
            for weight, gradient in zip(self._weights, gradients, strict=True):
                weight.add_(gradient * (self._gamma * weight.norm() / (gradient.norm() + _TINY)))

    def before_step(self, model: Classifier, iteration: int) -> None:  # noqa: ARG002 - every hook is called alike
        """Put the weights back as they were, to the bit."""
        with torch.no_grad():
            for weight, before in zip(self._weights, self._kept, strict=bool(self._kept)):
                weight.copy_(before)
        self._kept = []
