"""What holds a training's weights: masks that freeze single ones, and batch normalisation with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import torch
from torch import Tensor, nn

from heirloom.models.classifier import Classifier, conv_weights
from heirloom.models.ranks import lowest
from heirloom.runtime.registry import known, resolve
from heirloom.training.phases import StepHook

# A mask is called as function(model, ratio) with an update ratio in [0, 1] and returns a Constraint.
MASKS: Mapping[str, str] = MappingProxyType(
    {
        "conv": "heirloom.training.constraints:conv",
        "conv+norm": "heirloom.training.constraints:conv_and_norm",
        "conv-gradient": "heirloom.training.constraints:conv_gradient",
    }
)


@dataclass(frozen=True)
class Constraint:
    """What a mask does to a training. Whatever it does not name is trained.

    `hook` acts on the `masked` conv weights that lie below the update ratio's quantile. `still`: submodules that
    neither learn nor measure statistics, as a phase takes them.
    """

    hook: StepHook
    masked: int
    still: tuple[str, ...] = ()


def constraint(name: str, model: nn.Module, ratio: float) -> Constraint:
    """Return the named mask for a model, which already lies on the training's device, and an update ratio in [0, 1].

    Raises ConfigError for a mask that MASKS does not have.
    """
    function: Callable[[nn.Module, float], Constraint] = resolve(known(MASKS, name, kind="mask"))
    return function(model, ratio)


def conv(model: nn.Module, ratio: float) -> Constraint:
    """Hold the conv weights below the quantile bit for bit; batch normalisation and the head are trained."""
    hook = FrozenWeights(model, conv_mask(model, ratio))
    return Constraint(hook, masked=hook.frozen)


def conv_and_norm(model: nn.Module, ratio: float) -> Constraint:
    """Hold batch normalisation too, scale, shift and running statistics, bit for bit; the head is trained.

    The layers normalise by their running statistics in training as well, so that the network that is trained is the
    one that is evaluated.
    """
    names = [name for name, module in model.named_modules() if isinstance(module, nn.BatchNorm2d)]
    return replace(conv(model, ratio), still=tuple(names))


def conv_gradient(model: nn.Module, ratio: float) -> Constraint:
    """Take only the gradient of the conv weights below the quantile, as published (docs/definitions.md#b12).

    They still decay. It exists to ask whether the update ratio matters once the mask really freezes
    (docs/definitions.md#open-questions).
    """
    trainable = conv_mask(model, ratio)
    return Constraint(MaskedGradients(model, trainable), masked=_count(trainable))


def conv_mask(model: nn.Module, ratio: float) -> dict[str, Tensor]:
    """Say which conv weights lie above the `ratio`-quantile of |w| over all N of them together (bool, by name).

    Exactly N - floor(ratio * N) weights do (`ranks.lowest`).
    """
    magnitudes = {name: weight.detach().abs() for name, weight in conv_weights(model).items()}
    return {name: ~frozen for name, frozen in lowest(magnitudes, ratio).items()}


def _count(trainable: Mapping[str, Tensor]) -> int:
    """Count the weights that a mask does not let train."""
    return sum(int((~mask).sum()) for mask in trainable.values())


class FrozenWeights(StepHook):
    """Puts frozen weights back after each step, bit for bit.

    A zeroed gradient would not hold them: weight decay and momentum move a weight without one
    (docs/definitions.md#b12). Build it before training starts; it remembers the weights as they are then.
    """

    def __init__(self, model: nn.Module, trainable: Mapping[str, Tensor]) -> None:
        parameters = dict(model.named_parameters())
        self.frozen = _count(trainable)
        self._held = [
            (parameters[name], mask.to(parameters[name].device), parameters[name].detach().clone())
            for name, mask in trainable.items()
            if not bool(mask.all())
        ]

    def after_step(self, model: Classifier, iteration: int) -> None:  # noqa: ARG002 - every hook is called alike
        """Restore what is frozen."""
        with torch.no_grad():
            for position, (parameter, mask, start) in enumerate(self._held):
                if start.device != parameter.device:
                    mask, start = mask.to(parameter.device), start.to(parameter.device)
                    self._held[position] = (parameter, mask, start)
                parameter.copy_(torch.where(mask, parameter, start))


class MaskedGradients(StepHook):
    """Takes the gradient of masked weights away before each step; weight decay and momentum go on moving them.

    A masked weight follows v <- momentum v + weight_decay w;  w <- w - rate v.
    """

    def __init__(self, model: nn.Module, trainable: Mapping[str, Tensor]) -> None:
        parameters = dict(model.named_parameters())
        self._masked = [
            (parameters[name], (~mask).to(parameters[name].device))
            for name, mask in trainable.items()
            if not bool(mask.all())
        ]

    def before_step(self, model: Classifier, iteration: int) -> None:  # noqa: ARG002 - every hook is called alike
        """Zero what is masked."""
        for parameter, masked in self._masked:
            if parameter.grad is not None:
                parameter.grad.masked_fill_(masked, 0)
