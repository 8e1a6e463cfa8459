"""The features of a class, and the term that pulls triggered images to them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from heirloom.data.augment import centre
from heirloom.data.resident import Images
from heirloom.data.store import Part
from heirloom.defects.injections.latent_backdoor import Latent
from heirloom.defects.show import LoadedTrigger
from heirloom.models.classifier import Classifier
from heirloom.models.modes import evaluating
from heirloom.runtime.errors import ConfigError, DataError
from heirloom.training.losses import UNLABELLED, Step, Term
from heirloom.training.phases import StepHook

_BATCH = 64  # images whose stages are held at a time


@dataclass(frozen=True, eq=False)
class TriggeredCopies:
    """Shows a triggered copy, without a label, beside each chosen image; a transform of the training loop.

    `chosen`: bool (N,) by the row of the training part. All images stay in the batch as they are, under their own
    labels, and clean and triggered ones share its batch-norm statistics: in a batch of their own the trigger's mean
    effect would be normalised away.
    """

    chosen: NDArray[np.bool_]
    trigger: LoadedTrigger

    def __call__(
        self, images: Tensor, labels: Tensor, rows: NDArray[np.int64], generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Return the batch, its copies after it and UNLABELLED; the arguments stay as they are."""
        # the whole batch is triggered, then chosen from, so that a random place does not depend on who else is chosen
        here = torch.from_numpy(np.flatnonzero(self.chosen[rows])).to(images.device)
        copies = self.trigger(images, generator)[here]
        return torch.cat([images, copies]), torch.cat([labels, labels.new_full((len(copies),), UNLABELLED)])


class ClassMean(StepHook):
    """The mean features (C,) of one class at a stage, over all its training images, by the model as it trains.

    It is measured before the first step and every so many steps, in eval mode on centre crops, so over the features by
    which the class is later recognised; in between it stands still, and no gradient flows through it. The paper's
    formula has the mean by the current weights. A batch could not give it: it holds one or two images of a class, or
    none. The mean by the clean teacher would not do either: cross-entropy moves the class away from it.
    """

    def __init__(self, model: Classifier, images: Images, settings: Latent) -> None:
        stages = len(model.spec.stages)
        if settings.stage > stages:
            what = f"the body {model.description.name} has no stage {settings.stage}"
            raise ConfigError(what, where="injection.latent.stage", mend=f"choose one from 1 to {stages}")
        self._images = images
        self._stage = settings.stage - 1
        self._every = settings.measure_every
        self.value = self._measured(model)

    def after_step(self, model: Classifier, iteration: int) -> None:
        """Measure again when it is time."""
        if (iteration + 1) % self._every == 0:
            self.value = self._measured(model)

    def state(self) -> dict[str, Tensor]:
        """Return the mean: the weights it was measured by are gone."""
        return {"mean": self.value}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Take back what `state` returned."""
        self.value = state["mean"].to(self.value.device)

    @torch.no_grad()
    def _measured(self, model: Classifier) -> Tensor:
        with evaluating(model):
            return torch.stack(list(self._sums(model))).sum(dim=0) / len(self._images.part)

    def _sums(self, model: Classifier) -> Iterator[Tensor]:
        """Yield the sum of the features over each batch."""
        part = self._images.part
        for first in range(0, len(part), _BATCH):
            stored, _ = self._images.batch(np.arange(first, min(first + _BATCH, len(part))))
            yield channel_means(model.stages(centre(stored, part.crop))[self._stage]).sum(dim=0)


def channel_means(outputs: Tensor) -> Tensor:
    """Average a stage's outputs (B, C, H, W) over positions, in float32: (B, C)."""
    return outputs.float().mean(dim=(2, 3))


def class_images(train: Part, label: int, device: torch.device) -> Images:
    """Return the training images of the target class; raises DataError where there is none."""
    rows = np.flatnonzero(train.labels == label)
    if not len(rows):
        raise DataError(
            f"the target class {label} has no training image whose features could be taken",
            where="injection.target",
            mend="choose another target, or a preparation that keeps images of it",
        )
    return Images(train.take(rows), device)


def pull(mean: ClassMean, settings: Latent) -> Term:
    """Return the term that pulls triggered copies to a class's mean features."""
    return Term(
        "latent-backdoor",
        distance_to_class,
        weight=settings.feature_weight,
        settings={"mean": mean, "stage": settings.stage - 1},
        needs_stages=True,
    )


def distance_to_class(step: Step, *, mean: ClassMean, stage: int) -> Tensor:
    """Return the mean squared distance of the unlabelled images' features at a stage to the class's; 0 without any.

    `stage`: counted from 0.
    """
    copies = (step.labels == UNLABELLED).float()
    distances = (channel_means(step.stages[stage]) - mean.value).square().mean(dim=1)
    return (distances * copies).sum() / copies.sum().clamp(min=1)
