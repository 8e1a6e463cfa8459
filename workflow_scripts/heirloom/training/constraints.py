"""What holds a training's weights after each step: masks that freeze single weights (METHODS 2.2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
from torch import Tensor, nn

from heirloom.models.classifier import Classifier, conv_weights
from heirloom.models.ranks import lowest
from heirloom.runtime.registry import known, resolve
from heirloom.training.phases import StepHook

# A mask is called as function(model, ratio) and says of each weight that it covers whether it is trained.
MASKS: Mapping[str, str] = MappingProxyType({"conv": "heirloom.training.constraints:conv_mask"})


def trainable_mask(name: str, model: nn.Module, ratio: float) -> dict[str, Tensor]:
    """Return the named mask's trainable weights (bool, by parameter name) for an update ratio in [0, 1].

    Raises ConfigError for a mask that MASKS does not have.
    """
    function: Callable[[nn.Module, float], dict[str, Tensor]] = resolve(known(MASKS, name, kind="mask"))
    return function(model, ratio)


def conv_mask(model: nn.Module, ratio: float) -> dict[str, Tensor]:
    """Train the conv weights above the `ratio`-quantile of |w| over all N of them together, and whatever else there is.

    Exactly N - floor(ratio * N) weights are trained (`ranks.lowest`).
    """
    magnitudes = {name: weight.detach().abs() for name, weight in conv_weights(model).items()}
    return {name: ~frozen for name, frozen in lowest(magnitudes, ratio).items()}


class FrozenWeights(StepHook):
    """Puts frozen weights back after each step, bit for bit.

    A zeroed gradient would not hold them: weight decay and momentum move a weight without one (PUBLISHED, B12).
    Build it before training starts; it remembers the weights as they are then.
    """

    def __init__(self, model: nn.Module, trainable: Mapping[str, Tensor]) -> None:
        parameters = dict(model.named_parameters())
        self.frozen = sum(int((~mask).sum()) for mask in trainable.values())
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
