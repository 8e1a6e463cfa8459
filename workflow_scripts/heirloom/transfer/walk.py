"""One walk over the images a student is to learn, as the scores that look at them take it."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import numpy as np
from torch import Tensor

from heirloom.data.augment import centre
from heirloom.data.resident import Images
from heirloom.data.store import Part
from heirloom.models.classifier import Classifier
from heirloom.runtime.progress import Progress
from heirloom.transfer.plan import Assignment

# That of the published trainings (docs/definitions.md#published-transfer-recipes). It is no setting: the accumulated
# gradient alone depends on it.
BATCH_SIZE = 64


def probe(student: Classifier) -> Classifier:
    """Copy a student to be looked into, in eval mode and with gradients: the student keeps its own, hooks and mode.

    Eval mode, because a score speaks of the network as it was downloaded. In training mode an image's gradient and
    activations would depend on which others share its batch, and the mean of the batches' gradients would be that of no
    loss over the whole set.
    """
    return copy.deepcopy(student).eval().requires_grad_(True)


def batches(assignment: Assignment, description: str) -> Iterator[tuple[Tensor, Tensor]]:
    """Give every training image once, in the order it is stored in, and show how far the walk is.

    Each batch: float32 (B, 3, crop, crop) in [0, 1], centre crops without augmentation, and labels int64 (B,), both on
    the assignment's device. Neither validation nor test images are among them.
    """
    yield from over(assignment.lesson.train, assignment, description)


def over(part: Part, assignment: Assignment, description: str) -> Iterator[tuple[Tensor, Tensor]]:
    """Give every image of a part in the same way."""
    images = Images(part, assignment.compute.device)
    count = len(images.part)
    with Progress(count, description, "images") as progress:
        for first in range(0, count, BATCH_SIZE):
            stored, labels = images.batch(np.arange(first, min(first + BATCH_SIZE, count)))
            yield centre(stored, images.part.crop), labels
            progress.advance(len(labels))
