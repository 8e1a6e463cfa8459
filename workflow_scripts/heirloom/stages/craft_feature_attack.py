"""Craft the feature attack on a teacher, once for all students it will be shown to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from heirloom.attacks.feature_space import craft
from heirloom.attacks.perturbations import quantised, write_perturbations
from heirloom.config.models import FeatureAttack
from heirloom.data.augment import centre
from heirloom.data.resident import Images
from heirloom.data.store import open_part
from heirloom.models.classifier import Classifier
from heirloom.models.weights import load_classifier
from heirloom.runtime.devices import compute
from heirloom.runtime.errors import WeightsError
from heirloom.runtime.files import read_card
from heirloom.runtime.progress import Progress


@dataclass(frozen=True)
class Inputs:
    """The test part and the teacher; its head need not know the part's classes."""

    card: Path
    images: Path
    index: Path
    teacher_card: Path
    teacher_weights: Path


@dataclass(frozen=True)
class Outputs:
    """The perturbations of all test images, and the card that says whose they are."""

    card: Path
    perturbations: Path


def run(*, inputs: Inputs, outputs: Outputs, attack: FeatureAttack, batch_size: int, threads: int) -> None:
    """Write the change of every test image that drives the teacher's features, float32, in eval mode.

    Reads uint8 images (N, H, W, 3); memory holds one batch of them. An attacker who knows the slice drives the features
    of a teacher whose card names it as `slice`. Raises DamagedFileError and WeightsError. Method: METHODS 1.5.
    """
    part = open_part(inputs.images, inputs.index, inputs.card)
    _check_slice(inputs.teacher_card, attack)
    model = load_classifier(inputs.teacher_weights, inputs.teacher_card)
    with compute(threads, "fp32") as resources:
        model = model.to(device=resources.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        write_perturbations(
            outputs.perturbations,
            outputs.card,
            _batches(model, Images(part, resources.device), attack, batch_size),
            part=part,
            data_card=inputs.card,
            attack=attack,
            model=model,
            weights=inputs.teacher_weights,
        )


def _check_slice(card: Path, attack: FeatureAttack) -> None:
    """Refuse a whole teacher where the attack needs a sliced one, and the other way round."""
    found = read_card(card).get("slice")
    if found != attack.knows_slice_of:
        raise WeightsError(
            f"the attack drives the features of {_teacher(attack.knows_slice_of)}, these are of {_teacher(found)}",
            where=str(card),
            mend="give the attack the teacher that knows_slice_of names",
        )


def _teacher(slice_of: str | None) -> str:
    return f'a teacher sliced as by "{slice_of}"' if slice_of else "the whole teacher"


def _batches(model: Classifier, images: Images, attack: FeatureAttack, batch_size: int) -> Iterator[NDArray[np.int8]]:
    """Craft batch by batch, in the order of the part."""
    count = len(images.part)
    with Progress(count, "crafting", "images") as progress:
        for first in range(0, count, batch_size):
            rows = np.arange(first, min(first + batch_size, count))
            clean = centre(images.batch(rows)[0], images.part.crop)
            yield quantised(craft(model, clean, rows, attack), attack.epsilon)
            progress.advance(len(rows))
