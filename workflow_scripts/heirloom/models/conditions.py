"""Judging a model under named conditions: clean images, triggers, crafted attacks and noise are one kind of thing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from heirloom.data.resident import Images
from heirloom.data.store import Part
from heirloom.models.classifier import Classifier
from heirloom.models.predictions import ImageTransform, Predictions, predict
from heirloom.models.verdicts import named
from heirloom.models.weights import load_classifier
from heirloom.runtime.errors import WeightsError
from heirloom.runtime.files import read_card, write_table
from heirloom.runtime.progress import Progress

CLEAN = "none"


@dataclass(frozen=True, order=True)
class StudentName:
    """What tells a model from the others of its evaluation."""

    method: str
    seed: int

    def __str__(self) -> str:
        return f"{self.method} (seed {self.seed})"


@dataclass(frozen=True, eq=False)
class Condition:
    """One way a part's images are shown.

    `budget`: JSON, what the attacker may do. `variant` is the column `condition`: what else varies, such as a
    corruption and its severity. `transform` gives, for a model, what is shown to it instead of the part's images; it is
    asked anew for each model, so that each meets the same draws.
    """

    name: str
    budget: str = "{}"
    transform: Callable[[Classifier], ImageTransform] | None = None
    variant: str = ""

    def __str__(self) -> str:
        return " ".join(filter(None, [self.name, self.variant]))

    def shown_to(self, model: Classifier) -> ImageTransform | None:
        """Return the transform for a model; None shows it the images as they are."""
        return None if self.transform is None else self.transform(model)


def load_model(weights: Path, card: Path, part: Part, *, dataset: str = "") -> Classifier:
    """Load a model whose head knows the part's classes, in their order; raises WeightsError otherwise.

    A fetched teacher's classes have no names: there it counts that the catalogue names `dataset`, the part's data set,
    as theirs, and that there are as many.
    """
    facts = read_card(card)
    if _knows(facts, part, dataset):
        return load_classifier(weights, card)
    names = facts.get("class_names")
    known = f"{len(names)} other classes" if names else "no named classes"
    if names is None and facts.get("dataset"):
        known = f"{facts.get('classes')} classes of {facts['dataset']}"
    mend = "evaluate it on the data set it was trained on"
    raise WeightsError(f"the model knows {known}, not the data set's {len(part.classes)}", where=str(card), mend=mend)


def _knows(facts: Mapping[str, Any], part: Part, dataset: str) -> bool:
    """Tell whether the classes of a model's head are a part's, by what its card says."""
    names = facts.get("class_names")
    if names is not None:
        return list(names) == list(part.classes)
    return bool(dataset) and facts.get("dataset") == dataset and facts.get("classes") == len(part.classes)


def judged(
    name: StudentName,
    model: Classifier,
    condition: Condition,
    images: Images,
    *,
    batch_size: int,
    progress: Progress | None = None,
) -> pa.Table:
    """Return one model's predictions under one condition, a row an image in the order of the part.

    Raises PredictionError, which names model, data set and condition, where it answers with what is no number.
    """
    transform = condition.shown_to(model)
    with named(str(name), dataset=images.part.dataset, condition=str(condition)):
        found = predict(model, images, batch_size=batch_size, transform=transform, progress=progress)
    return table_of(name, condition, images.part, found)


def write_predictions(path: Path, tables: Sequence[pa.Table]) -> None:
    """Write what models predicted under all conditions as one table."""
    write_table(path, pa.concat_tables(tables), metadata={"kind": "predictions", "version": 1})


def table_of(name: StudentName, condition: Condition, part: Part, found: Predictions) -> pa.Table:
    """Return a model's predictions under a condition as a table, a row an image."""
    count = len(part)
    return pa.table(
        {
            "method": pa.array([name.method] * count, pa.string()),
            "seed": pa.array([name.seed] * count, pa.int32()),
            "attack": pa.array([condition.name] * count, pa.string()),
            "budget": pa.array([condition.budget] * count, pa.string()),
            "condition": pa.array([condition.variant] * count, pa.string()),
            "sample": pa.array(part.samples, pa.string()),
            "label": pa.array(part.labels, pa.int32()),
            "prediction": pa.array(found.label, pa.int32()),
            "confidence": pa.array(found.confidence, pa.float32()),
        }
    )
