"""An attack that asks the model nothing: upright stripes, epsilon lighter and epsilon darker in turn."""

from __future__ import annotations

from functools import partial

from pydantic import Field

from heirloom.config.attacks import AttackControl


class Stripes(AttackControl):
    """Stripes of a width in pixels."""

    width: int = Field(2, ge=1, le=1000, description="pixels of a stripe")


def attack(name, settings):
    """Return how the tables call it, with its budget, and what shows it on a batch of images (B, 3, H, W)."""
    from heirloom.attacks.budget import budget_of
    from heirloom.models.conditions import Condition

    return Condition(name, budget_of(settings), lambda model: partial(striped, settings=settings, model=model))


def striped(images, rows, *, settings, model):
    """Change every row of pixels alike, in the attack's units, and clip."""
    import torch

    from heirloom.attacks.units import Units, perturbed

    columns = torch.arange(images.shape[-1], device=images.device) // settings.width % 2
    change = ((2 * columns - 1) * settings.epsilon).expand_as(images).contiguous()
    return perturbed(images, change, settings, Units.of(settings, model.normalisation, images.device))
