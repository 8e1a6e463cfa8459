"""Triggers ready to be shown, after crop and flip and before normalisation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor

from heirloom.config.kinds import TRIGGERS
from heirloom.config.models import TriggerSettings
from heirloom.runtime.seeds import derive_seed


class LoadedTrigger(ABC):
    """A trigger with all it is made of in memory."""

    @abstractmethod
    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Show it on images, float (B, 3, H, W) in [0, 1]: a new tensor of the same shape, type, range and device.

        What differs from image to image is drawn from the generator alone, so that equal ones show the same.
        """

    def region(self, count: int, side: int, _generator: torch.Generator) -> Tensor:
        """Return where it lies on `count` square images: float32 (B, side, side), 1 there and 0 elsewhere.

        Draws what showing it on as many images draws. A trigger that does not say otherwise lies everywhere.
        """
        return torch.ones(count, side, side)


def load_triggers(triggers: Mapping[str, TriggerSettings], files: Sequence[Path]) -> dict[str, LoadedTrigger]:
    """Load triggers, by name; `files`: those of all triggers in their order. Raises DataError, ValueError."""
    waiting = iter(files)
    found = {name: _load(settings, list(islice(waiting, len(settings.files())))) for name, settings in triggers.items()}
    if left := list(waiting):
        raise ValueError(f"no trigger has the files {', '.join(map(str, left))}")
    return found


def _load(settings: TriggerSettings, files: Sequence[Path]) -> LoadedTrigger:
    loaded: LoadedTrigger = TRIGGERS.load(settings.kind).load(settings, files)
    return loaded


def evaluation_trigger(trigger: LoadedTrigger, name: str, seed: int = 0) -> Callable[[Tensor], Tensor]:
    """Return what shows a trigger on each batch of a test part in its order; for equal names and seeds the same.

    What is random is drawn from `seed` and the trigger's name, so it is the same for every model.
    """
    return partial(trigger, generator=_evaluation_draws(name, seed))


def evaluation_regions(trigger: LoadedTrigger, name: str, seed: int = 0) -> Callable[[int, int], Tensor]:
    """Return what gives, batch after batch, where `evaluation_trigger` shows a trigger with the same arguments.

    Asked for a number of images and their side, it gives float32 (B, side, side).
    """
    draws = _evaluation_draws(name, seed)
    return lambda count, side: trigger.region(count, side, draws)


def _evaluation_draws(name: str, seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(derive_seed(seed, "trigger", name))
