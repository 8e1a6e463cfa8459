"""Map where every student of one teacher, injection and data set looks, clean and attacked, and how densely."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from heirloom.config.models import MapKind
from heirloom.config.names import TEACHER
from heirloom.config.study import ControlAttack, TeacherAttack, Trigger
from heirloom.data.resident import Images
from heirloom.data.store import Part, open_part
from heirloom.evaluation.attention import overlap
from heirloom.evaluation.attention_choice import Answers, Sheet, choose
from heirloom.evaluation.files import EvaluationFiles
from heirloom.evaluation.maps import TRIGGER, Looked, MapSubject, Region, clean_first, measured_rows
from heirloom.evaluation.measures import write_measures
from heirloom.evaluation.panels import Gatherer, Panel, write_panels
from heirloom.evaluation.regions import object_name
from heirloom.models.classifier import Classifier, placed
from heirloom.models.conditions import CLEAN, Condition, StudentName, load_model
from heirloom.runtime.devices import compute
from heirloom.runtime.files import read_card
from heirloom.runtime.progress import Progress

Inputs = EvaluationFiles


@dataclass(frozen=True)
class Outputs:
    """A row per model, condition, region and measured image; what the figures show of them, with its card."""

    measures: Path
    panels: Path
    card: Path


@dataclass(frozen=True)
class Recipe:
    """How attention is measured: kinds of map, the stage, the images chosen by seed, whether regions name triggers."""

    maps: list[MapKind]
    stage: int | None
    images: int | None
    seed: int
    named: bool


def run(
    *,
    inputs: Inputs,
    outputs: Outputs,
    students: list[StudentName],
    triggers: dict[str, Trigger],
    feature_attacks: dict[str, TeacherAttack],
    noise: dict[str, ControlAttack],
    recipe: Recipe,
    sheets: dict[str, Sheet],
    batch_size: int,
    threads: int,
) -> None:
    """Write the densities and overlaps of all models' maps, float32, in eval mode, and the panels of the `sheets`.

    What models are shown, and where triggers lie, is what evaluate_students shows with the same `batch_size`; on clean
    images a trigger's region is where it would be pasted. A teacher among the inputs is mapped too, as method "teacher"
    and seed 0. `sheets`: by experiment. Reads uint8 images (N, H, W, 3). Raises DamagedFileError, DataError and
    WeightsError. Method: docs/methods.md#where-models-look.
    """
    part = open_part(inputs.images, inputs.index, inputs.card)
    conditions = clean_first(
        inputs.conditions(part, triggers=triggers, feature_attacks=feature_attacks, noise=noise, seed=0)
    )
    names, dataset = inputs.models(students), read_card(inputs.card)["dataset"]
    rows = measured_rows(len(part), recipe.images, recipe.seed)
    with compute(threads, "fp32") as resources:
        models = [
            placed(load_model(weights, card, part, dataset=dataset), resources.device) for _, card, weights in names
        ]
        images = Images(part, resources.device)
        subject = MapSubject(images, rows, inputs.loaded(triggers), recipe.maps, batch_size, stage=recipe.stage)
        answers = _answers(subject, models, [name for name, _, _ in names], conditions)
        found = _rows(answers, conditions, part.take(rows), named=recipe.named)
        write_measures(outputs.measures, list(found))
        panels = {
            experiment: _panel(sheet, subject, models[0], conditions, answers) for experiment, sheet in sheets.items()
        }
    write_panels(outputs.panels, outputs.card, panels, stage=recipe.stage, measured=len(rows), images=len(part))


def _answers(
    subject: MapSubject, models: Sequence[Classifier], names: Sequence[StudentName], conditions: Sequence[Condition]
) -> dict[tuple[StudentName, str], Looked]:
    """Let all models look at the images under all conditions."""
    total = len(subject.rows) * len(models) * len(conditions)
    found: dict[tuple[StudentName, str], Looked] = {}
    with Progress(total, "looking", "images") as progress:
        for condition in conditions:
            looked = subject.looked(models, names, condition, progress)
            found |= {(name, condition.name): own for name, own in zip(names, looked, strict=True)}
    return found


def _rows(answers: Answers, conditions: Sequence[Condition], part: Part, *, named: bool) -> Iterator[dict[str, Any]]:
    """Yield the rows of the table of measures; a region that an image lacks has no row."""
    budgets = {condition.name: condition.budget for condition in conditions}
    thing, samples = object_name(part), part.samples
    for (name, attack), found in answers.items():
        setting = {"method": name.method, "seed": name.seed, "attack": attack, "budget": budgets[attack]}
        for region, values in found.densities.items():
            own = setting | {"condition": region_text(region, thing, named=named), "metric": "attention_density"}
            yield from (own | pair for pair in _values(samples, values))
        if attack != CLEAN:
            clean = answers[name, CLEAN]
            for kind, maps in found.maps.items():
                shared = overlap(torch.from_numpy(clean.maps[kind]), torch.from_numpy(maps)).numpy()
                own = setting | {"condition": kind, "metric": "attention_overlap"}
                yield from (own | pair for pair in _values(samples, shared))


def _values(samples: Sequence[str], values: Any) -> Iterator[dict[str, Any]]:
    """Yield each image's value, where it has one."""
    for sample, value in zip(samples, values.tolist(), strict=True):
        if np.isfinite(value):
            yield {"sample": sample, "value": value}


def region_text(region: Region, thing: str | None, *, named: bool) -> str:
    """Name a region in the tables: "activation: sign", or "activation: sign, pinwheel" where triggers are `named`."""
    what = TRIGGER if region.what == TRIGGER else str(thing)
    return f"{region.kind}: {what}" + (f", {region.trigger}" if named and region.trigger else "")


def _panel(
    sheet: Sheet, subject: MapSubject, model: Classifier, conditions: Sequence[Condition], answers: Answers
) -> Panel:
    """Choose an experiment's images and gather what its figure shows of them."""
    labels = subject.images.part.labels[subject.rows]
    choice = choose(answers, sheet, labels=labels, triggers=subject.triggers, kind=subject.kinds[0])
    teachers = sorted({name for name, _ in answers if name.method == TEACHER})
    named = {condition.name: condition for condition in conditions}
    shown = [named[name] for name in (CLEAN, *sheet.attacks)]
    return Gatherer(sheet, choice, [*teachers, *sheet.students], shown, subject, answers).panel(model)
