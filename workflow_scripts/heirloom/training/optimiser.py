"""Stochastic gradient descent with momentum, as torch.optim.SGD computes it.

torch.optim.SGD imports torch's compiler when it is built, which costs each training job 3.7 s of CPU time (torch 2.13),
more than many a small training takes. These are the same operations in the same order, held to it by a test.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn


class SGD:
    """v <- momentum v + (g + weight_decay w);  w <- w - rate v, per group of parameters with a factor on the rate.

    `groups`: (parameters, factor). Parameters that need no gradient are left out; one that got none at a step stays as
    it is in that step.
    """

    def __init__(
        self, groups: Sequence[tuple[Sequence[nn.Parameter], float]], *, momentum: float, weight_decay: float
    ) -> None:
        self._groups = [([weight for weight in weights if weight.requires_grad], factor) for weights, factor in groups]
        self._momentum = momentum
        self._weight_decay = weight_decay
        self._velocity: dict[Tensor, Tensor] = {}

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for weights, _ in self._groups:
            for weight in weights:
                weight.grad = None

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Move every parameter by its gradient."""
        for weights, factor in self._groups:
            moved: list[Tensor] = [weight for weight in weights if weight.grad is not None]
            if moved:
                torch._foreach_add_(moved, self._directions(moved), alpha=-rate * factor)

    def _directions(self, weights: list[Tensor]) -> list[Tensor]:
        """Return what is subtracted from each weight, before the rate."""
        directions = [weight.grad for weight in weights if weight.grad is not None]
        if self._weight_decay:
            directions = list(torch._foreach_add(directions, weights, alpha=self._weight_decay))
        if not self._momentum:
            return directions
        new = {weight for weight in weights if weight not in self._velocity}
        pairs = dict(zip(weights, directions, strict=True))
        self._velocity |= {weight: pairs.pop(weight).clone() for weight in new}
        if pairs:
            velocities = [self._velocity[weight] for weight in pairs]
            torch._foreach_mul_(velocities, self._momentum)
            torch._foreach_add_(velocities, list(pairs.values()))
        return [self._velocity[weight] for weight in weights]

    def state(self) -> dict[str, Any]:
        """Return what `restore` needs: the velocities by position, those of unmoved parameters left out."""
        weights = [weight for group, _ in self._groups for weight in group]
        return {str(place): self._velocity[weight] for place, weight in enumerate(weights) if weight in self._velocity}

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what `state` returned, onto the parameters' device and memory format."""
        weights = [weight for group, _ in self._groups for weight in group]
        self._velocity = {
            weights[int(place)]: torch.empty_like(weights[int(place)], requires_grad=False).copy_(value)
            for place, value in state.items()
        }
