"""Adam, as torch.optim.Adam computes it (Kingma and Ba, ICLR 2015).

torch.optim.Adam imports torch's compiler when it is built, as torch.optim.SGD does (heirloom.training.optimiser). A
test holds this one to it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

STABLE = 1e-8  # torch's eps


class Adam:
    """Moves values (tensors of any shapes) against their gradients, in place.

    `betas`: how much of the running means of the gradient and of its square stays at a step.
    """

    def __init__(self, values: Sequence[Tensor], *, rate: float, betas: tuple[float, float]) -> None:
        self._values = list(values)
        self._rate = rate
        self._betas = betas
        self._steps = 0
        self._means = [torch.zeros_like(value, requires_grad=False) for value in values]
        self._squares = [torch.zeros_like(value, requires_grad=False) for value in values]

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor]) -> None:
        """Make one step; the gradients stand in the values' order."""
        self._steps += 1
        first, second = (1 - beta**self._steps for beta in self._betas)  # what the means lack of their full weight
        for value, gradient, mean, square in zip(self._values, gradients, self._means, self._squares, strict=True):
            mean.lerp_(gradient, 1 - self._betas[0])
            square.mul_(self._betas[1]).addcmul_(gradient, gradient, value=1 - self._betas[1])
            scale = (square.sqrt() / math.sqrt(second)).add_(STABLE)
            value.addcdiv_(mean, scale, value=-self._rate / first)
