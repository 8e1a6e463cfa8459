"""Attack libraries whose import needs a hand: advertorch 0.2.3 and ART 1.20."""

from __future__ import annotations

import importlib
import logging.config
import os
import sys
import tempfile
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from torch import Tensor


def advertorch_attacks() -> ModuleType:
    """Import `advertorch.attacks`; torch lends it the missing `zero_gradients` for the import and is then as before.

    torch has had none since 1.9.
    """
    # "import torch.autograd.gradcheck as ..." would bind the function of that name, not the module
    lender = importlib.import_module("torch.autograd.gradcheck")
    if hasattr(lender, "zero_gradients"):
        return importlib.import_module("advertorch.attacks")
    with _lent(vars(lender), zero_gradients=_zero_gradients):
        return importlib.import_module("advertorch.attacks")


def art(name: str) -> Any:
    """Import a module of ART, such as "attacks.evasion", without what its first import does besides.

    It would make a folder ~/.art, and configure logging, which closes every handler that is there.
    """
    if "art" not in sys.modules:
        configuring = vars(logging.config)
        with tempfile.TemporaryDirectory() as home, _lent(os.environ, HOME=home), _lent(configuring, dictConfig=_keep):
            importlib.import_module("art")
    return importlib.import_module(f"art.{name}")


@contextmanager
def _lent(names: MutableMapping[str, Any], **values: Any) -> Iterator[None]:
    """Let names have other values for a while."""
    before = {name: names[name] for name in values if name in names}
    names.update(values)
    try:
        yield
    finally:
        for name in values:
            del names[name]
        names.update(before)


def _keep(_settings: object) -> None:
    """Leave logging as it is."""


def _zero_gradients(tensor: Tensor) -> None:
    """Forget the gradient that a tensor has gathered."""
    if tensor.grad is not None:
        tensor.grad = tensor.grad.detach().zero_()
