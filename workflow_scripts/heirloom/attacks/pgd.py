"""Projected gradient ascent: one loop for every norm, objective and unit (Madry et al., ICLR 2018)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Protocol

import torch
from torch import Tensor, nn

from heirloom.config.attacks import Interval, Norm
from heirloom.models.modes import evaluating, frozen

# Points (B, 3, H, W) in the attack's units to values (B,): the larger, the better for the attacker.
Objective = Callable[[Tensor], Tensor]


class Geometry(Protocol):
    """Where a search begins, how it steps and what it is held to; a norm is one such object."""

    def start(self, draw: Tensor) -> Tensor:
        """Turn a uniform draw from [0, 1) (B, 3, H, W) into a random change."""

    def move(self, gradient: Tensor) -> Tensor:
        """Turn the objective's gradient (B, 3, H, W) into one step of the change."""

    def project(self, change: Tensor, centre: Tensor) -> Tensor:
        """Return the nearest allowed change (B, 3, H, W) of the points `centre`."""


@dataclass(frozen=True, kw_only=True)
class LInf:
    """Each value changes by at most `epsilon`, then its point is clipped; steps follow the gradient's sign.

    The clip comes last, as published: a point that lies outside it by more than epsilon is moved by more
    (docs/definitions.md#b5).
    """

    epsilon: float
    step: float
    clip: Interval

    def start(self, draw: Tensor) -> Tensor:
        """Anywhere in the ball, uniformly."""
        return (2 * draw - 1) * self.epsilon

    def move(self, gradient: Tensor) -> Tensor:
        """One step towards the gradient's corner."""
        return gradient.sign() * self.step

    def project(self, change: Tensor, centre: Tensor) -> Tensor:
        """Cut to the ball, then to the clip."""
        return (centre + change.clamp(-self.epsilon, self.epsilon)).clamp(*self.clip) - centre


@dataclass(frozen=True, kw_only=True)
class Ball:
    """The norm `order` of an image's whole change is at most `epsilon`; steps follow the gradient, `step` long in it.

    A change is clipped and then shrunk, so that it is within both for an image within the clip. In L2 this gives the
    nearest point of the ball; in L1 a change is shrunk alike, which a single step needs no better.
    """

    epsilon: float
    step: float
    clip: Interval
    order: int

    def start(self, draw: Tensor) -> Tensor:
        """On the ball's surface, in a random direction: in so many dimensions nearly all of it lies there."""
        return self._of_length(2 * draw - 1, self.epsilon)

    def move(self, gradient: Tensor) -> Tensor:
        """One step along the gradient; none where it is 0."""
        return self._of_length(gradient, self.step)

    def project(self, change: Tensor, centre: Tensor) -> Tensor:
        """Cut to the clip, then shrink to the ball."""
        clipped = (centre + change).clamp(*self.clip) - centre
        return clipped * (self.epsilon / self._length(clipped).clamp(min=self.epsilon))

    def _of_length(self, direction: Tensor, length: float) -> Tensor:
        # first to a largest value of 1: squares of gradients of 1e-23 and below are 0
        largest = direction.flatten(1).abs().amax(dim=1).clamp(min=torch.finfo(direction.dtype).tiny)
        scaled = direction / largest.view(-1, 1, 1, 1)
        return scaled * (length / self._length(scaled).clamp(min=1))

    def _length(self, change: Tensor) -> Tensor:
        length: Tensor = torch.linalg.vector_norm(change.flatten(1), ord=self.order, dim=1)
        return length.view(-1, 1, 1, 1)


class _MakeGeometry(Protocol):
    def __call__(self, *, epsilon: float, step: float, clip: Interval) -> Geometry: ...


GEOMETRIES: Mapping[Norm, _MakeGeometry] = MappingProxyType(
    {"Linf": LInf, "L2": partial(Ball, order=2), "L1": partial(Ball, order=1)}
)


def ascend(
    objective: Objective, centre: Tensor, geometry: Geometry, *, steps: int, change: Tensor | None = None
) -> Tensor:
    """Return the change (B, 3, H, W) of `centre` after so many steps up the objective.

    `change` is the start, zero when None. Each image is on its own, since values add up over a batch. Gradients are
    asked for by name (`torch.autograd.grad`), so no parameter's `.grad` is written. Raises ValueError for points other
    than float32.
    """
    if centre.dtype != torch.float32:
        raise ValueError(f"attacks compute in float32, not in {centre.dtype}")
    change = geometry.project(torch.zeros_like(centre) if change is None else change, centre)
    for _ in range(steps):
        change = geometry.project(change + geometry.move(_gradient(objective, centre + change)), centre)
    return change


def _gradient(objective: Objective, points: Tensor) -> Tensor:
    leaf = points.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(objective(leaf).sum(), leaf)
    return gradient


@contextmanager
def attacking(model: nn.Module) -> Iterator[None]:
    """Hold a model as every attack needs it: eval mode, float32 without autocast, no gradient to its parameters.

    Modes and flags are put back; gradients that a training has gathered are left alone.
    """
    device = next(model.parameters()).device
    with evaluating(model), frozen(model), torch.enable_grad(), torch.autocast(device.type, enabled=False):
        yield
