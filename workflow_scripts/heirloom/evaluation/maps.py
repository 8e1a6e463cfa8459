"""Models looking at one part's images under one condition: what they say, their maps, how dense these are where."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from heirloom.config.models import MapKind
from heirloom.data.augment import centre
from heirloom.data.resident import Images
from heirloom.data.store import Box
from heirloom.defects.show import LoadedTrigger, evaluation_regions
from heirloom.evaluation.attention import density, look, resized, stride_of
from heirloom.evaluation.regions import box_masks, object_boxes
from heirloom.models.classifier import Classifier
from heirloom.models.conditions import CLEAN, Condition, StudentName
from heirloom.models.verdicts import named
from heirloom.runtime.progress import Progress
from heirloom.runtime.seeds import derive_seed

OBJECT, TRIGGER = "object", "trigger"
Floats = NDArray[np.float32]


class Region(NamedTuple):
    """What a density is of: the object without a trigger's square ("": the whole object), or that square."""

    kind: str
    what: str
    trigger: str


@dataclass(frozen=True, eq=False)
class Looked:
    """What one model did with N images under one condition.

    `labels`: predicted, int64 (N,). `maps`: by kind, float32 (N, h, w) in [0, 1]. `densities`: by region, float32 (N,),
    NaN where an image has no such region.
    """

    labels: NDArray[np.int64]
    maps: Mapping[str, Floats]
    densities: Mapping[Region, Floats]


@dataclass(frozen=True, eq=False)
class ShownBatch:
    """A batch as models see it: rows in the part (B,), images (B, 3, H, W), regions without their kind (B, H, W)."""

    rows: NDArray[np.int64]
    images: Tensor
    regions: Mapping[tuple[str, str], Tensor]


@dataclass(frozen=True, eq=False)
class MapSubject:
    """The images that are looked at: some `rows` (N,), sorted, of a part, with its triggers.

    Batches are cut from the whole part as in the evaluation, so that random places are those of the evaluation, which
    draws them batch by batch.
    """

    images: Images
    rows: NDArray[np.int64]
    triggers: Mapping[str, LoadedTrigger]
    kinds: Sequence[MapKind]
    batch_size: int
    stage: int | None = None
    seed: int = 0

    @cached_property
    def _boxes(self) -> list[Box | None]:
        return object_boxes(self.images.part)

    def looked(
        self, models: Sequence[Classifier], names: Sequence[StudentName], condition: Condition, progress: Progress
    ) -> list[Looked]:
        """Return what each model does with the images under a condition that is the same for all of them.

        `names` tell the models apart in a PredictionError, where one answers with what is no number.
        """
        answers = [_Answers() for _ in models]
        for shown in self.shown(condition, models[0]):
            for name, model, own in zip(names, models, answers, strict=True):
                with named(str(name), dataset=self.images.part.dataset, condition=str(condition)):
                    own.add(model, shown, self)
                progress.advance(len(shown.rows))
        return [own.joined() for own in answers]

    def shown(self, condition: Condition, model: Classifier) -> Iterator[ShownBatch]:
        """Yield the images under a condition, batch by batch; `model` is one of those that look."""
        part, transform = self.images.part, condition.shown_to(model)
        names = [condition.name] if condition.name in self.triggers else list(self.triggers)
        places = {name: evaluation_regions(self.triggers[name], name, self.seed) for name in names}
        for first in range(0, len(part), self.batch_size):
            rows = np.arange(first, min(first + self.batch_size, len(part)))
            images = centre(self.images.batch(rows)[0], part.crop)
            images = images if transform is None else transform(images, rows)
            squares = {name: place(len(rows), part.crop) for name, place in places.items()}
            mine = np.flatnonzero(np.isin(rows, self.rows))
            if len(mine):
                found = {name: square[mine] for name, square in squares.items()}
                yield ShownBatch(rows[mine], images[mine], self._regions(rows[mine], found))

    def _regions(self, rows: NDArray[np.int64], squares: Mapping[str, Tensor]) -> dict[tuple[str, str], Tensor]:
        """Return the regions of some images: each trigger's square and the object without it."""
        device, side = self.images.device, self.images.part.crop
        boxes = [self._boxes[row] for row in rows]
        whole = box_masks(boxes, side) if any(self._boxes) else None
        found = {(TRIGGER, name): square for name, square in squares.items()}
        if whole is not None:
            found |= {(OBJECT, name): whole * (1 - square) for name, square in squares.items()} or {(OBJECT, ""): whole}
        return {key: region.to(device) for key, region in found.items()}


@dataclass(eq=False)
class _Answers:
    """What one model said so far, batch by batch."""

    labels: list[Tensor] = field(default_factory=list)
    maps: dict[str, list[Tensor]] = field(default_factory=dict)
    densities: dict[Region, list[Tensor]] = field(default_factory=dict)

    def add(self, model: Classifier, shown: ShownBatch, subject: MapSubject) -> None:
        """Let a model look at one batch."""
        found = look(model, shown.images, kinds=subject.kinds, stage=subject.stage)
        self.labels.append(found.labels.cpu())
        for kind, maps in found.maps.items():
            self.maps.setdefault(kind, []).append(maps.cpu())
            large = resized(maps, shown.images.shape[-1], stride_of(model, subject.stage))
            for key, region in shown.regions.items():
                self.densities.setdefault(Region(kind, *key), []).append(density(large, region).cpu())

    def joined(self) -> Looked:
        """Return it as arrays over all images."""
        return Looked(
            labels=torch.cat(self.labels).numpy(),
            maps={kind: torch.cat(parts).numpy() for kind, parts in self.maps.items()},
            densities={region: torch.cat(parts).numpy() for region, parts in self.densities.items()},
        )


def measured_rows(count: int, wanted: int | None, seed: int) -> NDArray[np.int64]:
    """Choose which of `count` images are looked at, by seed; sorted. A smaller choice is part of a larger one."""
    order = np.random.default_rng(derive_seed(seed, "attention images")).permutation(count)
    return np.sort(order[:wanted]).astype(np.int64)


def clean_first(conditions: Sequence[Condition]) -> list[Condition]:
    """Return the conditions with the clean images first, with which the others are compared."""
    return sorted(conditions, key=lambda condition: (condition.name != CLEAN, condition.name))
