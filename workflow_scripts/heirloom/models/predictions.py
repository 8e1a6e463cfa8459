"""What a classifier says about images, as evaluations and validations see it: eval mode, float32, centre crop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from heirloom.data.augment import centre
from heirloom.data.resident import Images
from heirloom.models.classifier import Classifier
from heirloom.models.modes import evaluating
from heirloom.models.verdicts import decided
from heirloom.runtime.progress import Progress

# Called with a batch (B, 3, crop, crop) in [0, 1] and its rows (B,) in the part, batch after batch in the part's order;
# returns what the model is shown instead. Gradients may be taken in it.
ImageTransform = Callable[[Tensor, NDArray[np.int64]], Tensor]
# What is asked of a batch as it is stored and as it is shown, both (B, 3, crop, crop): tensors of B rows each.
Question = Callable[[Tensor, Tensor], "Answer"]
Answer = tuple[Tensor, ...]


class Kept(Protocol):
    """Where the answers to batches are kept as they come, for a call that takes too long to be lost."""

    def known(self) -> Sequence[Answer]:
        """Return the answers to the first batches."""

    def add(self, answer: Answer) -> None:
        """Keep the answer to the next batch."""


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
    progress: Progress | None = None,
) -> Predictions:
    """Classify every image of a part, in its order.

    The model must lie on the images' device; each module's mode is put back afterwards. Autocast is off. `progress`
    counts the images. Raises PredictionError where the model answers with what is no number.
    """
    with evaluating(model):
        labels, confidences = asked(
            lambda _, shown: answer(model, shown),
            images,
            batch_size=batch_size,
            transform=transform,
            progress=progress,
        )
    return Predictions(label=labels.numpy().astype(np.int32), confidence=confidences.numpy())


def asked(
    question: Question,
    images: Images,
    *,
    batch_size: int,
    transform: ImageTransform | None = None,
    progress: Progress | None = None,
    kept: Kept | None = None,
) -> list[Tensor]:
    """Ask something of every batch of a part, in its order, and return the joined answers (N, ...) on the CPU.

    As `predict`, but the models that are asked must be in eval mode already. Batches whose answers `kept` knows are not
    shown again; they were of the same size.
    """
    answers = list(kept.known()) if kept is not None else []
    done = sum(len(first) for first, *_ in answers)
    if progress is not None and done:
        progress.advance(done)
    with torch.autocast(images.device.type, enabled=False):
        for first in range(done, len(images.part), batch_size):
            stored, shown = _shown(images, first, batch_size=batch_size, transform=transform)
            answers.append(question(stored, shown))
            if kept is not None:
                kept.add(answers[-1])
            if progress is not None:
                progress.advance(len(shown))
    return [torch.cat([each.cpu() for each in side]) for side in zip(*answers, strict=True)]


def accuracy(model: Classifier, images: Images) -> float:
    """Return the share of a part's images that a classifier gets right."""
    return float(np.mean(predict(model, images).label == images.part.labels))


def _shown(images: Images, first: int, *, batch_size: int, transform: ImageTransform | None) -> tuple[Tensor, Tensor]:
    """Return the batch that starts at `first`, and what the model is shown of it."""
    rows = np.arange(first, min(first + batch_size, len(images.part)))
    stored, _ = images.batch(rows)
    clean = centre(stored, images.part.crop)
    return clean, clean if transform is None else transform(clean, rows)


@torch.inference_mode()
def answer(model: Classifier, images: Tensor) -> tuple[Tensor, Tensor]:
    """Return labels (B,) and confidences (B,), softmax probabilities, of a batch; raises PredictionError."""
    return decided(model(images))
