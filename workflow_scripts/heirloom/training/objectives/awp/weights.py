"""The worst weights nearby, layer by layer."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from heirloom.models.classifier import Classifier
from heirloom.training.phases import Loss, StepHook

_TINY = 1e-20  # a layer without gradient stays where it is


class WorstWeights(StepHook):
    """Lets the gradient be taken by perturbed weights, from iteration `first` on."""

    def __init__(self, *, gamma: float, first: int) -> None:
        self._gamma = gamma
        self._first = first
        self._kept: list[tuple[Tensor, Tensor]] = []

    def before_gradient(self, model: Classifier, iteration: int, loss: Loss) -> None:
        """Move each layer up the loss by gamma times its norm; batch statistics stay."""
        if iteration < self._first:
            return
        statistics = _copied(model.buffers())
        self._kept = _copied(weight for weight in model.parameters() if weight.ndim > 1 and weight.requires_grad)
        weights = [weight for weight, _ in self._kept]
        gradients = torch.autograd.grad(loss(), weights)
        _put_back(statistics)
        with torch.no_grad():
            for weight, gradient in zip(weights, gradients, strict=True):
                weight.add_(gradient * (self._gamma * weight.norm() / (gradient.norm() + _TINY)))

    def before_step(self, model: Classifier, iteration: int) -> None:  # noqa: ARG002 - every hook is called alike
        """Put the weights back as they were, to the bit."""
        _put_back(self._kept)
        self._kept = []


def _copied(tensors: Iterable[Tensor]) -> list[tuple[Tensor, Tensor]]:
    """Pair each tensor with a copy of what it holds."""
    return [(tensor, tensor.detach().clone()) for tensor in tensors]


@torch.no_grad()
def _put_back(pairs: Iterable[tuple[Tensor, Tensor]]) -> None:
    """Give each tensor what it held."""
    for tensor, before in pairs:
        tensor.copy_(before)
