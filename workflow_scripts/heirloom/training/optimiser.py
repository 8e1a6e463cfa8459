"""What makes a step of the weights: a small registry, and stochastic gradient descent of our own.

torch.optim.SGD imports torch's compiler when it is built, which costs each training job 3.7 s of CPU time (torch 2.13),
more than many a small training takes. SGD here does the same operations in the same order, held to it by a test. Adam
and Adamax are torch's own: a training that names them pays for the import.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor, nn

from heirloom.config.models import Training
from heirloom.config.robust_training import SteppedTraining
from heirloom.runtime.registry import known, resolve

if TYPE_CHECKING:
    from torch.optim import Optimizer

# Parameters, and a factor on the learning rate for them; those that need no gradient are left out.
Groups = Sequence[tuple[Sequence[nn.Parameter], float]]

# An entry is called as function(groups, training) and returns an Optimiser.
OPTIMISERS: Mapping[str, str] = MappingProxyType(
    {
        "sgd": "heirloom.training.optimiser:sgd",
        "adam": "heirloom.training.optimiser:adam",
        "adamax": "heirloom.training.optimiser:adamax",
    }
)


class Optimiser(Protocol):
    """Moves parameters by their gradients; one that got none at a step stays as it is in that step."""

    def zero_grad(self) -> None:
        """Forget the gradients."""

    def step(self, rate: float) -> None:
        """Move every parameter, at this learning rate times the factor of its group."""

    def state(self) -> dict[str, Any]:
        """Return what `restore` needs, in plain tensors, numbers, strings, lists and dicts."""

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what `state` returned, onto the parameters' device; steps then go on to the same bits."""


def optimiser_of(training: Training, groups: Groups) -> Optimiser:
    """Build the optimiser that a recipe names; raises ConfigError for one that OPTIMISERS does not have."""
    name = training.optimiser if isinstance(training, SteppedTraining) else "sgd"
    function: Callable[[Groups, Training], Optimiser] = resolve(known(OPTIMISERS, name, kind="optimiser"))
    return function(groups, training)


def sgd(groups: Groups, training: Training) -> Optimiser:
    """Return stochastic gradient descent with the recipe's momentum and weight decay."""
    return SGD(groups, momentum=training.momentum, weight_decay=training.weight_decay)


def adam(groups: Groups, training: Training) -> Optimiser:
    """Return Adam (Kingma and Ba, ICLR 2015) as torch has it; weight decay is added to the gradient."""
    from torch.optim import Adam

    return OfTorch(Adam, groups, weight_decay=training.weight_decay)


def adamax(groups: Groups, training: Training) -> Optimiser:
    """Return Adamax (the same paper, section 7.1) as torch has it; weight decay is added to the gradient."""
    from torch.optim import Adamax

    return OfTorch(Adamax, groups, weight_decay=training.weight_decay)


class SGD:
    """v <- momentum v + (g + weight_decay w);  w <- w - rate v, per group of parameters with a factor on the rate.

    `groups`: (parameters, factor). Parameters that need no gradient are left out; one that got none at a step stays as
    it is in that step.
    """

    def __init__(self, groups: Groups, *, momentum: float, weight_decay: float) -> None:
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


class OfTorch:
    """One of torch's optimisers, with everything but the rate and the weight decay as torch has it by default."""

    def __init__(self, kind: Callable[..., Optimizer], groups: Groups, *, weight_decay: float) -> None:
        chosen = [
            {"params": [weight for weight in weights if weight.requires_grad], "factor": factor}
            for weights, factor in groups
        ]
        self._torch = kind(chosen, weight_decay=weight_decay)

    def zero_grad(self) -> None:
        """Forget the gradients."""
        self._torch.zero_grad(set_to_none=True)

    def step(self, rate: float) -> None:
        """Move every parameter by its gradient."""
        for group in self._torch.param_groups:
            group["lr"] = rate * group["factor"]
        self._torch.step()

    def state(self) -> dict[str, Any]:
        """Return what torch remembers of each parameter, by its position; rates and factors are the recipe's."""
        return dict(self._torch.state_dict()["state"])

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what `state` returned, onto the parameters' device."""
        groups = self._torch.state_dict()["param_groups"]
        self._torch.load_state_dict({"state": state, "param_groups": groups})
