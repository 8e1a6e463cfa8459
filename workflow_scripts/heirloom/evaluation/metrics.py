"""Rates from predictions: which test images count for a metric, and which of them hit (METHODS 2.3 and 1.5)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from heirloom.runtime.errors import DataError
from heirloom.runtime.files import read_table

Booleans = npt.NDArray[np.bool_]
Labels = npt.NDArray[np.int32]

CLEAN = "none"
TEACHER = "teacher"
COLUMNS = ("method", "seed", "attack", "budget", "condition", "sample", "label", "prediction")


@dataclass(frozen=True)
class Scope:
    """What one experiment asks of an evaluation that it may share with others; None stands for everything."""

    methods: list[str] | None = None
    attacks: list[str] | None = None

    def holds(self, setting: Setting) -> bool:
        """Tell whether the experiment is about a model under an attack; the teacher belongs to all."""
        of_method = self.methods is None or setting.method in (TEACHER, *self.methods)
        of_attack = self.attacks is None or setting.attack in (CLEAN, *self.attacks)
        return of_method and of_attack


@dataclass(frozen=True)
class Evaluation:
    """What the tables must know of one predictions file.

    `experiments` are those that list it, each with its share; `targets` gives each attack's target class, or None where
    the model's classes are not those the attack was made for; `control` names the injection that this one is compared
    with.
    """

    teacher: str
    injection: str
    dataset: str
    experiments: dict[str, Scope]
    targets: dict[str, int | None] = field(default_factory=dict)
    control: str | None = None


class Setting(NamedTuple):
    """One model (method and seed) under one attack."""

    method: str
    seed: int
    attack: str
    budget: str
    condition: str


@dataclass(frozen=True)
class Outcome:
    """What one metric sees of each test image, in one order for all models of a data set.

    `counted` (N,): the image belongs to the denominator. `hit` (N,): it belongs to the numerator too.
    """

    counted: Booleans
    hit: Booleans

    @property
    def count(self) -> int:
        """The denominator."""
        return int(self.counted.sum())

    @property
    def hits(self) -> int:
        """The numerator."""
        return int(self.hit.sum())

    @property
    def value(self) -> float | None:
        """The rate in [0, 1]; None where no image counts."""
        return self.hits / self.count if self.count else None


@dataclass(frozen=True)
class Predictions:
    """The predictions of one file: `samples` are sorted, labels and predictions (N,) follow their order."""

    samples: tuple[str, ...]
    labels: Labels
    settings: dict[Setting, Labels]
    where: str = "predictions"

    @cached_property
    def _clean(self) -> dict[tuple[str, int, str], Labels]:
        """Predictions without an attack by method, seed and condition."""
        return {
            (setting.method, setting.seed, setting.condition): predicted
            for setting, predicted in self.settings.items()
            if setting.attack == CLEAN
        }

    def clean(self, setting: Setting) -> Labels:
        """What the same model predicts (N,) without the attack. Raises DataError where that was not recorded."""
        found = self._clean.get((setting.method, setting.seed, setting.condition))
        if found is None:
            raise DataError(
                f'"{setting.method}" seed {setting.seed} was attacked with "{setting.attack}" but never judged clean',
                where=self.where,
                mend="delete the file and run again",
            )
        return found


def read_predictions(path: Path) -> Predictions:
    """Read a predictions table. Every model and attack must have judged the same images, each once, or DataError."""
    table = read_table(path)
    absent = [name for name in COLUMNS if name not in table.column_names]
    if absent or not table.num_rows:
        what = f"predictions lack {', '.join(absent)}" if absent else "there is no prediction"
        raise DataError(what, where=str(path), mend="delete the file and run again")
    samples, sample_codes = _codes(table["sample"])
    settings, setting_codes = _settings(table)
    by_group = np.lexsort((sample_codes, setting_codes))
    expected = np.tile(np.arange(len(samples)), len(settings))
    if not np.array_equal(sample_codes[by_group], expected):
        raise DataError(
            "some models and attacks did not judge the same images, each once",
            where=str(path),
            mend="delete the file and run again",
        )
    shape = (len(settings), len(samples))
    labels = np.asarray(table["label"].to_numpy(), dtype=np.int32)[by_group].reshape(shape)
    if (labels != labels[0]).any():
        raise DataError("an image has two labels", where=str(path), mend="delete the file and run again")
    predicted = np.asarray(table["prediction"].to_numpy(), dtype=np.int32)[by_group].reshape(shape)
    return Predictions(tuple(samples), labels[0], dict(zip(settings, predicted, strict=True)), where=str(path))


def _codes(column: Any) -> tuple[list[Any], npt.NDArray[np.int64]]:
    """Return the sorted distinct values of a column and each row's place among them."""
    encoded = column.unify_dictionaries().combine_chunks()
    # a column may come as a dictionary already: its values are then encoded a second time, in order of appearance
    encoded = encoded.cast(encoded.type.value_type) if hasattr(encoded.type, "value_type") else encoded
    encoded = encoded.dictionary_encode()
    values = encoded.dictionary.to_pylist()
    order = sorted(range(len(values)), key=values.__getitem__)
    rank = np.empty(len(values), dtype=np.int64)
    rank[order] = np.arange(len(values))
    return [values[place] for place in order], rank[encoded.indices.to_numpy()]


def _settings(table: Any) -> tuple[list[Setting], npt.NDArray[np.int64]]:
    """Return the distinct settings, sorted, and each row's place among them."""
    joint = np.zeros(table.num_rows, dtype=np.int64)
    for name in Setting._fields:
        values, codes = _codes(table[name])
        joint = joint * len(values) + codes
    _, first, codes = np.unique(joint, return_index=True, return_inverse=True)
    rows = table.select(list(Setting._fields)).take(first).to_pylist()
    return [Setting(**row) for row in rows], codes.astype(np.int64)


def outcomes(predictions: Predictions, targets: Mapping[str, int | None]) -> Iterator[tuple[Setting, str, Outcome]]:
    """Yield every metric of every model and attack in a fixed order.

    Without an attack: accuracy over all images. With one: what `attack_outcomes` says. Raises DataError for an attack
    that `targets` does not name, since its denominator would be a guess.
    """
    for setting, predicted in predictions.settings.items():
        if setting.attack == CLEAN:
            yield setting, "accuracy", Outcome(np.ones(len(predicted), dtype=np.bool_), predicted == predictions.labels)
            continue
        if setting.attack not in targets:
            raise DataError(
                f'no target is stated for attack "{setting.attack}"',
                where=predictions.where,
                mend="state its target class, or null where it has none",
            )
        found = attack_outcomes(
            labels=predictions.labels,
            clean=predictions.clean(setting),
            attacked=predicted,
            target=targets[setting.attack],
        )
        for metric, outcome in found.items():
            yield setting, metric, outcome


def attack_outcomes(*, labels: Labels, clean: Labels, attacked: Labels, target: int | None) -> dict[str, Outcome]:
    """Judge one model under one attack; all arrays are class numbers (N,).

    Only images count that are classified correctly when clean, and, with a target class, that are not of it: a model
    is not fooled when it says what the image shows (METHODS 2.1; published scripts count them, defect B9).
    untargeted_success: share whose prediction is no longer the label. With a target, targeted_success: share sent to
    it. Without one, collapse: share sent to the most frequent wrong class, the smallest such class where two tie.
    """
    correct = clean == labels
    counted = correct if target is None else correct & (labels != target)
    changed = counted & (attacked != labels)
    found = {"untargeted_success": Outcome(counted, changed)}
    if target is None:
        frequencies = np.bincount(attacked[changed]) if changed.any() else np.zeros(1, dtype=np.int64)
        found["collapse"] = Outcome(counted, changed & (attacked == frequencies.argmax()))
    else:
        found["targeted_success"] = Outcome(counted, counted & (attacked == target))
    return dict(sorted(found.items()))
