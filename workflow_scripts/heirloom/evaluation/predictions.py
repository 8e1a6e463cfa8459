"""What a classifier says about images, as evaluations and validations see it: eval mode, float32, centre crop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from heirloom.data.augment import centre
from heirloom.data.resident import Images
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
    images: Images,
    *,
    batch_size: int = 256,
    transform: ImageTransform | None = None,
) -> Predictions:
    """Classify every image of a part, in its order.

    The model must lie on the images' device; each module's mode is put back afterwards. Autocast is off.
    """
    with _evaluating(model), torch.inference_mode(), torch.autocast(images.device.type, enabled=False):
        answers = [
            _answer(model, _shown(images, first, batch_size=batch_size, transform=transform))
            for first in range(0, len(images.part), batch_size)
        ]
    labels, confidences = zip(*answers, strict=True)
    return Predictions(
        label=torch.cat(labels).cpu().numpy().astype(np.int32), confidence=torch.cat(confidences).cpu().numpy()
    )


@contextmanager
def _evaluating(model: Classifier) -> Iterator[None]:
    """Put a model into eval mode and back: each module by itself, since a part of it may be frozen."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


def accuracy(model: Classifier, images: Images) -> float:
    """Return the share of a part's images that a classifier gets right."""
    return float(np.mean(predict(model, images).label == images.part.labels))


def _shown(images: Images, first: int, *, batch_size: int, transform: ImageTransform | None) -> Tensor:
    """Return what the model is shown of the batch that starts at `first`."""
    rows = np.arange(first, min(first + batch_size, len(images.part)))
    stored, _ = images.batch(rows)
    shown = centre(stored, images.part.crop)
    return shown if transform is None else transform(shown)


def _answer(model: Classifier, images: Tensor) -> tuple[Tensor, Tensor]:
    """Return labels (B,) and confidences (B,) of a batch."""
    confidence, label = model(images).softmax(dim=1).max(dim=1)
    return label, confidence
