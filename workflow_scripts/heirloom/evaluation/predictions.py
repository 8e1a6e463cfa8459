"""What a classifier says about images, as evaluations and validations see it: eval mode, float32, centre crop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from heirloom.data.augment import centre
from heirloom.data.store import Part
from heirloom.models.classifier import Classifier

# Called with a batch (B, 3, crop, crop) in [0, 1], in the order of the part; returns what the model is shown instead.
ImageTransform = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Predictions:
    """A classifier's answer per image: `label` int32 (N,), and `confidence` float32 (N,), its softmax probability."""

    label: NDArray[np.int32]
    confidence: NDArray[np.float32]


def predict(
    model: Classifier,
    part: Part,
    *,
    device: torch.device,
    batch_size: int = 256,
    transform: ImageTransform | None = None,
) -> Predictions:
    """Classify every image of a part, in its order.

    The model must lie on `device`; its training mode is put back afterwards. Autocast is off.
    """
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode(), torch.autocast(device.type, enabled=False):
            answers = [
                _answer(model, _shown(part, first, batch_size=batch_size, device=device, transform=transform))
                for first in range(0, len(part), batch_size)
            ]
    finally:
        model.train(was_training)
    labels, confidences = zip(*answers, strict=True)
    return Predictions(
        label=torch.cat(labels).cpu().numpy().astype(np.int32), confidence=torch.cat(confidences).cpu().numpy()
    )


def accuracy(model: Classifier, part: Part, *, device: torch.device, batch_size: int = 256) -> float:
    """Return the share of a part's images that a classifier gets right."""
    found = predict(model, part, device=device, batch_size=batch_size)
    return float(np.mean(found.label == part.labels))


def _shown(
    part: Part, first: int, *, batch_size: int, device: torch.device, transform: ImageTransform | None
) -> Tensor:
    """Return what the model is shown of the batch that starts at `first`."""
    rows = np.arange(first, min(first + batch_size, len(part)))
    images = centre(torch.from_numpy(part.batch(rows)).to(device), part.crop)
    return images if transform is None else transform(images)


def _answer(model: Classifier, images: Tensor) -> tuple[Tensor, Tensor]:
    """Return labels (B,) and confidences (B,) of a batch."""
    confidence, label = model(images).softmax(dim=1).max(dim=1)
    return label, confidence
