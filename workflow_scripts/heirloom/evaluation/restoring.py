"""Models that restore their image before they classify it: what they restore, and how far it is from the clean one.

Of FPD's bodies the stage "restored" passes on the restored image (METHODS 4).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from heirloom.config.names import RESTORED
from heirloom.data.augment import centre
from heirloom.data.resident import Images
from heirloom.evaluation.conditions import CLEAN, Condition
from heirloom.models.classifier import Classifier
from heirloom.models.modes import evaluating
from heirloom.runtime.errors import DamagedFileError
from heirloom.runtime.files import verify_card, write_arrays

METRIC = "reconstruction_error"
MEASURED = 1000  # images that the error is stored of, under each condition
Pixels = NDArray[np.uint8]


@torch.inference_mode()
def looked(model: Classifier, clean: Tensor, shown: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return labels (B,), confidences (B,) and reconstruction errors (B,) of images (B, 3, H, W) in [0, 1].

    The error is the mean squared difference, over pixels in [0, 1], between what the model restores of the image that
    it is shown and the clean image; NaN of a model that restores nothing.
    """
    logits, restored = answered(model, shown)
    confidence, label = logits.softmax(dim=1).max(dim=1)
    error = torch.full_like(confidence, torch.nan) if restored is None else (restored - clean).square().mean((1, 2, 3))
    return label, confidence, error


def answered(model: Classifier, shown: Tensor) -> tuple[Tensor, Tensor | None]:
    """Return logits (B, classes) and the restored images (B, 3, H, W), in units of pixels but not cut to [0, 1]."""
    with model.listening() as heard:
        logits = model(shown)
    stages = list(model.spec.stages)
    if RESTORED not in stages or not heard:  # a body whose restoration is switched off passes nothing there
        return logits, None
    return logits, heard[stages.index(RESTORED)] * model.normalise.std + model.normalise.mean


# -- pictures ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Sample:
    """A few test images under one condition: as shown and as restored, uint8 (I, H, W, 3), and what the model says.

    `restored` is None for a model that restores nothing. `labels` and `says` (I,) are class names.
    """

    condition: str
    shown: Pixels
    restored: Pixels | None
    samples: Sequence[str]
    labels: Sequence[str]
    says: Sequence[str]

    @property
    def facts(self) -> dict[str, Any]:
        """What is no picture, as plain values."""
        names = ("condition", "samples", "labels", "says")
        return {**{name: getattr(self, name) for name in names}, "restores": self.restored is not None}


def sample_of(model: Classifier, condition: Condition, images: Images) -> Sample:
    """Show a model a part's images, all at once, under a condition; eval mode, float32."""
    part = images.part
    rows = np.arange(len(part))
    with evaluating(model), torch.autocast(images.device.type, enabled=False):
        clean = centre(images.batch(rows)[0], part.crop)
        transform = condition.shown_to(model)
        shown = clean if transform is None else transform(clean, rows)
        with torch.inference_mode():
            logits, restored = answered(model, shown)
    return Sample(
        condition=condition.name,
        shown=_pixels(shown),
        restored=None if restored is None else _pixels(restored),
        samples=part.samples,
        labels=[part.classes[label] for label in part.labels],
        says=[part.classes[label] for label in logits.argmax(dim=1).tolist()],
    )


def _pixels(images: Tensor) -> Pixels:
    pixels: Pixels = (images.clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
    return pixels


def write_samples(path: Path, samples: Sequence[Sample]) -> dict[str, Any]:
    """Write the pictures of several conditions as one file; return what a card must say of them."""
    arrays = {f"{each.condition}/shown": each.shown for each in samples}
    arrays |= {f"{each.condition}/restored": each.restored for each in samples if each.restored is not None}
    write_arrays(path, arrays)
    return {"pictures": [each.facts for each in samples]}


def read_samples(path: Path, card: Path) -> list[Sample]:
    """Read what `write_samples` wrote, clean images first; raises DamagedFileError."""
    facts = verify_card(card, path.name)
    try:
        with np.load(path, allow_pickle=False) as arrays:
            found = [_sample(each, arrays) for each in facts["pictures"]]
    except (KeyError, ValueError, OSError) as error:
        raise DamagedFileError(path, found=f"its pictures are not those of its card: {error}") from error
    return sorted(found, key=lambda sample: sample.condition != CLEAN)


def _sample(facts: Mapping[str, Any], arrays: Mapping[str, Pixels]) -> Sample:
    told = {name: value for name, value in facts.items() if name != "restores"}
    name = told["condition"]
    return Sample(
        **told, shown=arrays[f"{name}/shown"], restored=arrays[f"{name}/restored"] if facts["restores"] else None
    )
