"""Craft the feature attack on a teacher, once for all students it will be shown to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from heirloom.attacks.perturbations import quantised, write_perturbations
from heirloom.config.attacks import OnTeacher
from heirloom.config.kinds import ATTACKS
from heirloom.config.names import TEACHER
from heirloom.config.study import TeacherAttack
from heirloom.data.augment import centre
from heirloom.data.resident import Images
from heirloom.data.store import open_part
from heirloom.models.classifier import Classifier, placed
from heirloom.models.conditions import CLEAN
from heirloom.models.verdicts import decided, named
from heirloom.models.weights import load_classifier
from heirloom.runtime.devices import compute
from heirloom.runtime.errors import WeightsError
from heirloom.runtime.files import read_card
from heirloom.runtime.progress import Progress


@dataclass(frozen=True)
class Inputs:
    """The test part, the teacher, whose head need not know the part's classes, and a slice of it that is known."""

    card: Path
    images: Path
    index: Path
    teacher_card: Path
    teacher_weights: Path
    slice_card: list[Path] = field(default_factory=list)
    slice_weights: list[Path] = field(default_factory=list)


@dataclass(frozen=True)
class Outputs:
    """The perturbations of all test images, and the card that says whose they are."""

    card: Path
    perturbations: Path


def run(*, inputs: Inputs, outputs: Outputs, attack: TeacherAttack, batch_size: int, threads: int) -> None:
    """Write the change of every test image that drives the teacher's features, float32, in eval mode.

    Reads uint8 images (N, H, W, 3); memory holds one batch of them. An attacker who knows a slice drives its features
    too; its card names the method as `slice`. Raises DamagedFileError, WeightsError and PredictionError (features of
    images that are no numbers). Method: docs/definitions.md#feature-attack.
    """
    part = open_part(inputs.images, inputs.index, inputs.card)
    _check_slice(inputs.slice_card, attack)
    files = [(inputs.teacher_weights, inputs.teacher_card), *zip(inputs.slice_weights, inputs.slice_card, strict=True)]
    with compute(threads, "fp32") as resources:
        models = [placed(load_classifier(*pair), resources.device) for pair in files]
        write_perturbations(
            outputs.perturbations,
            outputs.card,
            _batches(models, Images(part, resources.device), attack, batch_size),
            part=part,
            data_card=inputs.card,
            attack=attack,
            model=models[0],
            weights=inputs.teacher_weights,
        )


def _check_slice(cards: Sequence[Path], attack: OnTeacher) -> None:
    """Refuse another slice than the one that the attacker knows, or none."""
    found = [read_card(card).get("slice") for card in cards]
    known = [attack.knows_slice_of] if attack.knows_slice_of else []
    if found != known:
        raise WeightsError(
            f"the attacker knows the slice of {_named(known)}, given is that of {_named(found)}",
            where=", ".join(map(str, cards)),
            mend="give the attack the slice that knows_slice_of names",
        )


def _named(slices: Sequence[str | None]) -> str:
    return ", ".join(str(name) for name in slices) or "no method"


def _batches(
    models: Sequence[Classifier], images: Images, attack: OnTeacher, batch_size: int
) -> Iterator[NDArray[np.int8]]:
    """Craft batch by batch, in the order of the part."""
    count, craft = len(images.part), ATTACKS.load(attack.kind).craft
    with Progress(count, "crafting", "images") as progress:
        for first in range(0, count, batch_size):
            rows = np.arange(first, min(first + batch_size, count))
            clean = centre(images.batch(rows)[0], images.part.crop)
            with named(TEACHER, dataset=images.part.dataset, condition=CLEAN), torch.inference_mode():
                decided(models[0](clean))  # features that are no numbers would give a change that is none
            yield quantised(craft(models, clean, rows, attack), attack.epsilon)
            progress.advance(len(rows))
