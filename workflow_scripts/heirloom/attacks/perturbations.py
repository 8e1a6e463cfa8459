"""Crafted attacks on disk: a byte per value, shown to every student of the teacher they were crafted on.

    card.json           the attack, the weights and the images it was crafted on, the file's sha256
    perturbations.npy   int8 (N, crop, crop, 3), R, G, B: the change of each test image in units of epsilon / 127

An attacked image is clip(x + d) with |d| <= epsilon, and the clip is a function of x + d alone. So d is enough, and
where the clip itself moves a pixel by more than epsilon, d cut to epsilon gives the same pixel again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from heirloom.attacks.budget import budget_of
from heirloom.attacks.units import Units, perturbed
from heirloom.config.attacks import OnTeacher
from heirloom.config.models import Normalisation
from heirloom.data.store import Part, write_images
from heirloom.models.classifier import Classifier
from heirloom.models.conditions import Condition
from heirloom.models.predictions import ImageTransform
from heirloom.runtime.errors import DamagedFileError, DataError
from heirloom.runtime.files import atomic_path, sha256_of, verify_card, write_card

LEVELS = 127  # of an int8 on either side of 0


@dataclass(frozen=True, eq=False)
class Perturbations:
    """The change of every image of a part: `levels` int8 (N, crop, crop, 3), memory-mapped, in units of epsilon / 127.

    `normalisation` is that of the model it was crafted on, which normalised units refer to.
    """

    levels: NDArray[np.int8]
    attack: OnTeacher
    normalisation: Normalisation

    def shown(self, images: Tensor, rows: NDArray[np.int64]) -> Tensor:
        """Return the attacked images (B, 3, crop, crop) of clean ones and their rows (B,) in the part."""
        levels = torch.from_numpy(np.take(self.levels, rows, axis=0)).to(images.device)
        change = levels.permute(0, 3, 1, 2).to(torch.float32) * (self.attack.epsilon / LEVELS)
        return perturbed(images, change, self.attack, Units.of(self.attack, self.normalisation, images.device))


def quantised(change: Tensor, epsilon: float) -> NDArray[np.int8]:
    """Round changes (B, 3, H, W) to the nearest of 255 levels between -epsilon and epsilon: int8 (B, H, W, 3)."""
    levels = (change / (epsilon / LEVELS)).round().clamp(-LEVELS, LEVELS)
    return levels.to(torch.int8).permute(0, 2, 3, 1).contiguous().cpu().numpy()


def write_perturbations(
    path: Path,
    card: Path,
    batches: Iterable[NDArray[np.int8]],
    *,
    part: Part,
    data_card: Path,
    attack: OnTeacher,
    model: Classifier,
    weights: Path,
) -> None:
    """Write the perturbations of a part, batch by batch as they come, and then the card that vouches for them.

    `batches`: int8 (B, crop, crop, 3) in the part's order. Raises ValueError when they are not as many as its images.
    """
    with atomic_path(path) as partial_path:
        write_images(partial_path, (image for batch in batches for image in batch), count=len(part), kind=np.int8)
    write_card(
        card,
        kind="perturbations",
        files={path.name: path},
        attack=_settings(attack),
        budget=budget_of(attack),
        data=sha256_of(data_card),
        images=len(part),
        crop=part.crop,
        scale=attack.epsilon / LEVELS,
        normalisation=model.normalisation.model_dump(mode="json"),
        teacher=sha256_of(weights),
    )


def open_perturbations(path: Path, card: Path, *, part: Part, data_card: Path, attack: OnTeacher) -> Perturbations:
    """Map a file that `write_perturbations` wrote for these images and this attack.

    Raises DamagedFileError when it is not the file its card names, DataError when it was made for something else.
    """
    facts = verify_card(card, path.name)
    _check_origin(facts, card, part=part, data_card=data_card, attack=attack)
    try:
        levels = np.load(path, mmap_mode="r", allow_pickle=False)
    except ValueError as error:
        raise DamagedFileError(path, found=str(error)) from error
    expected = (len(part), part.crop, part.crop, 3)
    if levels.dtype != np.int8 or levels.shape != expected:
        raise DamagedFileError(path, found=f"{levels.dtype} {levels.shape} instead of int8 {expected}")
    return Perturbations(levels, attack, Normalisation.model_validate(facts["normalisation"]))


def _settings(attack: OnTeacher) -> dict[str, Any]:
    """Return what decides the perturbations: all but words for readers and what they are compared with."""
    return attack.model_dump(mode="json", exclude={"title", "control"})


def _check_origin(facts: dict[str, Any], card: Path, *, part: Part, data_card: Path, attack: OnTeacher) -> None:
    """Compare a card with what the perturbations are to be used for."""
    missing = sorted({"attack", "crop", "data", "images", "normalisation"} - facts.keys())
    if missing:
        raise DamagedFileError(card, found=f"no {', '.join(missing)}")
    expected = {"attack": _settings(attack), "crop": part.crop, "data": sha256_of(data_card), "images": len(part)}
    for name, value in expected.items():
        if facts[name] != value:
            raise DataError(
                "these perturbations were crafted for other images or by another attack",
                where=f"{card}: its {name} is {facts[name]}, not {value}",
                mend="delete the folder and run again: craft_feature_attack makes it anew",
            )


def crafted(name: str, perturbations: Perturbations) -> Condition:
    """Show each image with the change that was crafted for it, whichever model looks."""
    return Condition(name, budget_of(perturbations.attack), partial(_shown, perturbations=perturbations))


def _shown(_model: Classifier, *, perturbations: Perturbations) -> ImageTransform:
    return perturbations.shown
