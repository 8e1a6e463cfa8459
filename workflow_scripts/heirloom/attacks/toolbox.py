"""ART, the Adversarial Robustness Toolbox (1.20), as DeepFool, JSMA, HopSkipJump and ZOO call it.

ART works on numpy arrays and draws from numpy's global generator, or from one that it seeds from the system. Here it is
given the start, the target or the seed of each image, so that an image's draws depend on its row and the attack's seed
alone. What it does differently from the papers stands with each attack and in docs/fpd.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from heirloom.attacks.compat import art
from heirloom.attacks.search import SearchBatch
from heirloom.models.classifier import Classifier
from heirloom.runtime.seeds import derive_seed

_ASKED_AT_ONCE = 128  # images a forward pass


def estimator(source: Classifier, images: Tensor) -> Any:
    """Return a network as ART knows one, for images like these (B, 3, H, W)."""
    known = art("estimators.classification").PyTorchClassifier(
        model=source,
        loss=nn.CrossEntropyLoss(),
        input_shape=tuple(images.shape[1:]),
        nb_classes=source.classes,
        clip_values=(0.0, 1.0),
        device_type="gpu" if images.is_cuda else "cpu",
    )
    # its own asks image by image where an attack has batches of one, and refuses the float64 that HopSkipJump hands it
    known.predict = lambda shown, **_batches: _answers(source, like(images, shown))
    return known


def _answers(source: Classifier, images: Tensor) -> NDArray[np.float32]:
    """Return the logits (B, classes) of images (B, 3, H, W)."""
    with torch.no_grad():
        return array_of(torch.cat([source(piece) for piece in pieces(images, _ASKED_AT_ONCE)]))


def pieces(images: Tensor, size: int) -> Iterator[Tensor]:
    """Give images (N, 3, H, W) in batches of so many."""
    for first in range(0, len(images), size):
        yield images[first : first + size]


def each_of(batch: SearchBatch, seed: int, purpose: str) -> Iterator[tuple[int, Tensor, Tensor]]:
    """Give each image's place, the image (1, 3, H, W) and its label (1,), numpy's global generator seeded for it."""
    for place, row in enumerate(batch.rows):
        np.random.seed(derive_seed(seed, purpose, int(row)) % 2**32)  # noqa: NPY002 - ART draws from this one
        yield place, batch.images[place : place + 1], batch.labels[place : place + 1]


def array_of(tensor: Tensor) -> NDArray[Any]:
    """Return a tensor as ART takes it."""
    array: NDArray[Any] = tensor.detach().contiguous().cpu().numpy()
    return array


def like(images: Tensor, array: NDArray[Any]) -> Tensor:
    """Bring an array of ART's to where images are, float32."""
    return torch.from_numpy(np.asarray(array)).to(images)
