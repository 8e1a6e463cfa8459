"""The images that a teacher unlearns a trigger by."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from heirloom.data.poison import choose
from heirloom.defences.reversal import blended
from heirloom.runtime.errors import ConfigError
from heirloom.runtime.seeds import derive_seed
from heirloom.training.loop import Lesson
from heirloom.transfer.methods.unlearning import Unlearning


@dataclass(frozen=True, eq=False)
class Triggered:
    """Shows chosen training images with a trigger, their labels as they are; a transform of the training loop.

    `chosen`: bool (N,), by the row of the training part. `picture`: (4, H, W). Every visit of a chosen image carries
    the trigger, on its crop of that visit.
    """

    chosen: NDArray[np.bool_]
    picture: Tensor

    def __call__(
        self, images: Tensor, labels: Tensor, rows: NDArray[np.int64], _generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Return the batch with its chosen images triggered; the arguments stay as they are."""
        here = torch.from_numpy(self.chosen[rows]).to(images.device)[:, None, None, None]
        return torch.where(here, blended(images, self.picture.to(images)), images), labels


def taught(lesson: Lesson, picture: Tensor, settings: Unlearning, *, seed: int) -> Lesson:
    """Keep a share `sample` of the training images, by seed, and show the trigger on a share `portion` of these."""
    sampled = choose(lesson.train.labels, settings.sample, derive_seed(seed, "unlearning sample"))
    train = lesson.train.take(np.flatnonzero(sampled))
    if not len(train):
        raise ConfigError(
            f"a share {settings.sample} of {len(lesson.train)} training images is none",
            where="method.sample",
            mend="give a larger share",
        )
    chosen = choose(train.labels, settings.portion, derive_seed(seed, "unlearning trigger"))
    return replace(lesson, train=train, transform=Triggered(chosen, picture))
