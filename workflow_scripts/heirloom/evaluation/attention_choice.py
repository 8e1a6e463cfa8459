"""Which images an attention figure shows, by a rule over all models and images (docs/methods.md#where-models-look)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from heirloom.evaluation.maps import OBJECT, TRIGGER, Looked, Region
from heirloom.models.conditions import CLEAN, StudentName

Booleans = NDArray[np.bool_]
Answers = Mapping[tuple[StudentName, str], Looked]  # of each model under each condition's name


@dataclass(frozen=True)
class Sheet:
    """What an experiment's figure shows of an evaluation, and by which thresholds its images are chosen.

    `methods` of one `seed`, top down; `attacks`: triggers and feature attacks, after the clean images; `targets`:
    labels that a trigger leads to, whose images are not shown; `defences`: methods expected to hold against an attack;
    `count`: images. A map attends to a region above its density, if it is denser there than on the other region.
    """

    methods: list[str]
    seed: int
    attacks: list[str]
    targets: list[int]
    defences: list[str]
    count: int
    object_density: float
    trigger_density: float

    @property
    def students(self) -> list[StudentName]:
        """The students shown."""
        return [StudentName(method, self.seed) for method in self.methods]


@dataclass(frozen=True, eq=False)
class ImageChoice:
    """The images chosen, of N that were looked at.

    `places`: among the N, in the order shown. `met`: demands (N,) that each image meets, of `demands`. `candidates`
    (N,): those that are not of a target class.
    """

    places: NDArray[np.int64]
    met: NDArray[np.int64]
    demands: int
    candidates: Booleans

    @property
    def complete(self) -> int:
        """How many candidates meet every demand."""
        return int((self.candidates & (self.met == self.demands)).sum())


def choose(
    answers: Answers, sheet: Sheet, *, labels: NDArray[np.int64], triggers: Collection[str], kind: str
) -> ImageChoice:
    """Choose the images that meet the most demands, among these the first in the test set's order.

    `labels` (N,) are the images' own; `kind` is the map by which they are chosen. The demands of each student: it is
    right on the clean image and attends to the object there, outside the place of each trigger; on a triggered image it
    attends to the trigger, a defence still to the object; an attack changes what it says, not what a defence says.
    Where no object is marked, not to attend to the trigger takes its place.
    """
    asked = list(_demands(answers, sheet, labels, triggers, kind))
    met = np.stack(asked).astype(np.int64).sum(axis=0)
    candidates = ~np.isin(labels, sheet.targets)
    places = np.flatnonzero(candidates)
    best = places[np.argsort(-met[places], kind="stable")][: sheet.count]
    return ImageChoice(best, met, len(asked), candidates)


def _demands(
    answers: Answers, sheet: Sheet, labels: NDArray[np.int64], triggers: Collection[str], kind: str
) -> Iterator[Booleans]:
    """Yield, of each student and condition, which images meet what is asked of them."""
    shown = [name for name in sheet.attacks if name in triggers]
    for student in sheet.students:
        clean, holds = answers[student, CLEAN], student.method in sheet.defences
        looks = [attends_to_object(clean, sheet, kind=kind, trigger=name) for name in shown or [""]]
        yield (clean.labels == labels) & np.all(looks, axis=0)
        for name in sheet.attacks:
            found = answers[student, name]
            if name in triggers:
                attends = attends_to_object if holds else attends_to_trigger
                yield attends(found, sheet, kind=kind, trigger=name)
            else:
                yield (found.labels == clean.labels) == holds


def attends_to_trigger(found: Looked, sheet: Sheet, *, kind: str, trigger: str) -> Booleans:
    """Tell for each image whether the map is denser on a trigger's square than on the object and the threshold."""
    own, other = _densities(found, kind, trigger)
    return own > np.maximum(0.0 if other is None else other, sheet.trigger_density)


def attends_to_object(found: Looked, sheet: Sheet, *, kind: str, trigger: str = "") -> Booleans:
    """Tell for each image whether the map is denser on the object than on a trigger's square and the threshold.

    Where no object is marked, whether it does not attend to the trigger.
    """
    square, own = _densities(found, kind, trigger)
    if own is None:
        return ~attends_to_trigger(found, sheet, kind=kind, trigger=trigger)
    return own > np.maximum(square, sheet.object_density)


def _densities(found: Looked, kind: str, trigger: str) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """Return the densities of a square (N,), 0 where there is no trigger, and of the object, None where none is marked.

    An image without the region has the density 0 there.
    """
    nothing = np.zeros(len(found.labels), dtype=np.float32)
    square = found.densities.get(Region(kind, TRIGGER, trigger), nothing)
    objects = {key.trigger: values for key, values in found.densities.items() if key[:2] == (kind, OBJECT)}
    own = objects.get(trigger, next(iter(objects.values()), None))
    return np.nan_to_num(square), None if own is None else np.nan_to_num(own)
