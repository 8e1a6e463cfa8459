"""advertorch 0.2.3 on a torch of today: one function that it imports is gone since torch 1.9."""

from __future__ import annotations

import importlib
from types import ModuleType

from torch import Tensor


def advertorch_attacks() -> ModuleType:
    """Import `advertorch.attacks`; torch lends it the missing `zero_gradients` for the import and is then as before."""
    # "import torch.autograd.gradcheck as ..." would bind the function of that name, not the module
    lender = importlib.import_module("torch.autograd.gradcheck")
    if hasattr(lender, "zero_gradients"):
        return importlib.import_module("advertorch.attacks")
    vars(lender)["zero_gradients"] = _zero_gradients
    try:
        return importlib.import_module("advertorch.attacks")
    finally:
        del vars(lender)["zero_gradients"]


def _zero_gradients(tensor: Tensor) -> None:
    """Forget the gradient that a tensor has gathered."""
    if tensor.grad is not None:
        tensor.grad = tensor.grad.detach().zero_()
