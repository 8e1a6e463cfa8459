"""What a figure of attention shows of one evaluation, on disk: chosen images, maps, and the words below them.

panels.safetensors  per experiment <name>: <name>/pictures uint8 (C, I, H, W, 3),
                    <name>/maps float32 (K, M, C, I, h, w), <name>/squares bool (C, I, H, W), where a trigger is or
                    would be, <name>/object bool (I, H, W)
card.json           per experiment: kinds (K), models (M), conditions (C), images (I) with their rows in the test set
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heirloom.evaluation.attention import overlap, stride_of
from heirloom.evaluation.attention_choice import Answers, ImageChoice, Sheet, attends_to_trigger
from heirloom.evaluation.maps import OBJECT, Looked, MapSubject
from heirloom.evaluation.regions import object_name
from heirloom.models.classifier import Classifier
from heirloom.models.conditions import CLEAN, Condition, StudentName
from heirloom.runtime.errors import DamagedFileError
from heirloom.runtime.files import read_arrays, verify_card, write_arrays, write_card

ARRAYS = ("pictures", "maps", "squares", "object")


@dataclass(frozen=True, eq=False)
class Panel:
    """One block of a figure: `facts` as plain values (`Gatherer.facts`), `arrays` by the names of the file."""

    facts: Mapping[str, Any]
    arrays: Mapping[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Gatherer:
    """Gathers a panel from what all models did with all measured images."""

    sheet: Sheet
    choice: ImageChoice
    models: Sequence[StudentName]
    conditions: Sequence[Condition]
    subject: MapSubject
    answers: Answers

    def panel(self, model: Classifier) -> Panel:
        """Return the panel; `model` is one of those that look."""
        stride = stride_of(model, self.subject.stage)
        return Panel(self.facts() | {"stride": stride}, self._arrays(model))

    def facts(self) -> dict[str, Any]:
        """Say what is shown: the images with their rows in the test set, and each model's answer on each of them."""
        part, choice = self.subject.images.part, self.choice
        images = [
            {
                "class_name": part.classes[part.labels[row]],
                "demands_met": int(choice.met[place]),
                "row": int(row),
                "sample": part.samples[row],
            }
            for place, row in zip(choice.places, self.subject.rows[choice.places], strict=True)
        ]
        return {
            "attends_to_trigger": [self._attending(name) for name in self.models],
            "candidates": int(choice.candidates.sum()),
            "cells": [
                [self._cells(self.answers[name, each.name], name) for each in self.conditions] for name in self.models
            ],
            "complete": choice.complete,
            "conditions": [condition.name for condition in self.conditions],
            "defences": self.sheet.defences,
            "demands": choice.demands,
            "flat": {kind: self._flat(kind) for kind in self.subject.kinds},
            "images": images,
            "kinds": list(self.subject.kinds),
            "models": [vars(name) for name in self.models],
            "object": object_name(part),
            "object_density": self.sheet.object_density,
            "trigger_density": self.sheet.trigger_density,
            "triggers": [name for name in self.sheet.attacks if name in self.subject.triggers],
        }

    def _flat(self, kind: str) -> float:
        """Return the share of all maps of the models shown that have no contrast."""
        maps = [self.answers[name, each.name].maps[kind] for name in self.models for each in self.conditions]
        return float(np.mean([np.ptp(each, axis=(1, 2)) == 0 for each in maps]))

    def _attending(self, name: StudentName) -> dict[str, dict[str, float]]:
        """Return the share of all candidates on which a model attends to each trigger, by condition."""
        counted, kind = self.choice.candidates, self.subject.kinds[0]
        if not counted.any():
            return {}
        return {
            trigger: {
                condition: float(
                    attends_to_trigger(self.answers[name, condition], self.sheet, kind=kind, trigger=trigger)[
                        counted
                    ].mean()
                )
                for condition in (CLEAN, trigger)
            }
            for trigger in self.sheet.attacks
            if trigger in self.subject.triggers
        }

    def _cells(self, found: Looked, name: StudentName) -> list[dict[str, Any]]:
        """Return what one model says of each chosen image under one condition."""
        part, clean = self.subject.images.part, self.answers[name, CLEAN]
        shared = {kind: overlap(*_tensors(clean.maps[kind], maps)) for kind, maps in found.maps.items()}
        return [
            {
                "densities": _densities(found, place, self.sheet.attacks),
                "overlap": {} if found is clean else {kind: float(each[place]) for kind, each in shared.items()},
                "right": bool(found.labels[place] == part.labels[self.subject.rows[place]]),
                "says": part.classes[found.labels[place]],
            }
            for place in self.choice.places
        ]

    def _arrays(self, model: Classifier) -> dict[str, NDArray[Any]]:
        """Return the pictures, the maps and the outlines."""
        shown = [self._shown(condition, model) for condition in self.conditions]
        places = self.choice.places
        maps = [
            [[self.answers[name, each.name].maps[kind][places] for each in self.conditions] for name in self.models]
            for kind in self.subject.kinds
        ]
        return {
            "maps": np.asarray(maps, dtype=np.float32),
            "object": shown[0][2],
            "pictures": np.stack([pictures for pictures, _, _ in shown]),
            "squares": np.stack([squares for _, squares, _ in shown]),
        }

    def _shown(self, condition: Condition, model: Classifier) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Return the chosen images under a condition (I, H, W, 3), its trigger's squares and the object (I, H, W)."""
        chosen = self.subject.rows[self.choice.places]
        part, order = self.subject.images.part, np.argsort(np.argsort(chosen))
        pictures = np.zeros((len(chosen), part.crop, part.crop, 3), dtype=np.uint8)
        squares, objects = (np.zeros((len(chosen), part.crop, part.crop), dtype=np.bool_) for _ in range(2))
        first = 0
        for shown in replace(self.subject, rows=np.sort(chosen)).shown(condition, model):
            last = first + len(shown.rows)
            pictures[first:last] = (shown.images.clamp(0, 1) * 255).round().permute(0, 2, 3, 1).cpu().numpy()
            for (what, trigger), region in shown.regions.items():
                if what == OBJECT:
                    objects[first:last] |= (region > 0.5).cpu().numpy()
                elif trigger in self.sheet.attacks:
                    squares[first:last] |= (region > 0.5).cpu().numpy()
            first = last
        return pictures[order], squares[order], objects[order]


def _tensors(*arrays: NDArray[Any]) -> list[Any]:
    import torch

    return [torch.from_numpy(array) for array in arrays]


def _densities(found: Looked, place: int, shown: Collection[str]) -> dict[str, dict[str, float]]:
    """Return the densities on one image by kind of map, then by region; of several shown triggers the first's."""
    told: dict[str, dict[str, float]] = {}
    for region, values in found.densities.items():
        if np.isfinite(values[place]) and region.trigger in ("", *shown):
            told.setdefault(region.kind, {}).setdefault(region.what, float(values[place]))
    return told


def write_panels(file: Path, card: Path, panels: Mapping[str, Panel], **facts: object) -> None:
    """Write the panels of all experiments and the card that vouches for them; equal panels give equal bytes."""
    arrays = {f"{name}/{key}": panel.arrays[key] for name, panel in sorted(panels.items()) for key in ARRAYS}
    write_arrays(file, arrays)
    told = {name: dict(panel.facts) for name, panel in panels.items()}
    write_card(card, kind="attention", files={file.name: file}, experiments=told, **facts)


def read_panel(file: Path, card: Path, experiment: str) -> Panel:
    """Read one experiment's panel; raises DamagedFileError when the file is not what its card says."""
    facts, stored = verify_card(card, file.name), read_arrays(file)
    try:
        arrays = {key: stored[f"{experiment}/{key}"] for key in ARRAYS}
        return Panel(facts["experiments"][experiment], arrays)
    except KeyError as error:
        raise DamagedFileError(file, found=f"no panel of {experiment}: {error}") from error
