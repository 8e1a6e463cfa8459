"""Rates from predictions: which test images count for a metric, and which of them hit (docs/results.md#metrics)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from heirloom.runtime.errors import ConfigError, DataError
from heirloom.runtime.files import read_table

Booleans = npt.NDArray[np.bool_]
Labels = npt.NDArray[np.int32]

CLEAN = "none"
CORRUPTION = "corruption_accuracy"  # metric of one corruption, as of the mean over all
TEACHER = "teacher"
COLUMNS = ("method", "seed", "attack", "budget", "condition", "sample", "label", "prediction")
UNJUDGED = -1  # the prediction of an image that an attack was not tried on

Kind = Literal["trigger", "feature", "noise", "white-box"]


@dataclass(frozen=True)
class Scope:
    """What one experiment asks of an evaluation that it may share with others; None stands for everything.

    `baseline` is the method that the others are compared with, `attack_baseline` the attack that the other attacks on
    the same student are, `injection_baseline` the injection that the same method after the other injections is;
    `average` asks for means over its data sets. `measures` names what else is measured than rates: nothing, unless it
    says so. `conditions`: what may vary beside the attack, such as the model that images were attacked through.
    """

    methods: list[str] | None = None
    attacks: list[str] | None = None
    baseline: str | None = None
    average: bool = False
    attack_baseline: str | None = None
    injection_baseline: str | None = None
    measures: list[str] = field(default_factory=list)
    conditions: list[str] | None = None

    def shows(self, attack: str) -> bool:
        """Tell whether the experiment is about an attack; clean images belong to all."""
        return self.attacks is None or attack in (CLEAN, *self.attacks)

    def covers(self, method: str, attack: str) -> bool:
        """Tell whether the experiment is about a model under an attack; the teacher belongs to all."""
        return self.shows(attack) and (self.methods is None or method in (TEACHER, *self.methods))

    def holds(self, setting: ShownModel) -> bool:
        """Tell the same of a model under an attack and a condition."""
        known = self.conditions is None or setting.condition in self.conditions
        return known and self.covers(setting.method, setting.attack)


@dataclass(frozen=True)
class Attack:
    """What the tables must know of an attack.

    `target` is a trigger's target class, None where the model's classes are not those the trigger was made for.
    `control` names the noise attack of the same size that a feature attack is compared with.
    """

    kind: Kind = "trigger"
    target: int | None = None
    control: str | None = None
    title: str = ""


@dataclass(frozen=True)
class EvaluationFacts:
    """What the tables must know of the predictions of one teacher, injection and data set.

    `experiments` are those that list it, each with its share; `attacks` describes each attack by name; `control` names
    the injection that this one is compared with.
    """

    teacher: str
    injection: str
    dataset: str
    experiments: dict[str, Scope]
    attacks: dict[str, Attack] = field(default_factory=dict)
    control: str | None = None

    @property
    def partial(self) -> set[str]:
        """Attacks that may judge a part of the test images: those on each student itself, for their cost."""
        return {name for name, attack in self.attacks.items() if attack.kind == "white-box"}

    def controls(self, scope: Scope) -> set[str]:
        """Attacks that are controls of another attack of an experiment; a noise that is nobody's control is not."""
        shown = [attack for name, attack in self.attacks.items() if scope.shows(name)]
        return {attack.control for attack in shown if attack.control is not None}


class ShownModel(Protocol):
    """Whatever names a model and what it was shown."""

    @property
    def method(self) -> str:
        """The model."""

    @property
    def attack(self) -> str:
        """The attack."""

    @property
    def condition(self) -> str:
        """What else varies."""


class Setting(NamedTuple):
    """One model (method and seed) under one attack."""

    method: str
    seed: int
    attack: str
    budget: str
    condition: str

    @property
    def is_corrupted(self) -> bool:
        """Whether the images were shown under a condition that is no attack: a corruption."""
        return self.attack == CLEAN and bool(self.condition)


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
class PredictionTable:
    """The predictions of one evaluation: `samples` are sorted, labels and predictions (N,) follow their order.

    An image that an attack was not tried on has the prediction -1 there.
    """

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
        """What the same model predicts (N,) without the attack. Raises DataError where that was not recorded.

        Where an attack has a condition of its own, such as the model that it went through, images as they are count.
        """
        model = (setting.method, setting.seed)
        found = self._clean.get((*model, setting.condition), self._clean.get((*model, "")))
        if found is None:
            raise DataError(
                f'"{setting.method}" seed {setting.seed} was attacked with "{setting.attack}" but never judged clean',
                where=self.where,
                mend="delete the file and run again",
            )
        return found


def read_predictions(*paths: Path, partial: Collection[str] = ()) -> PredictionTable:
    """Read the predictions of one evaluation from its files.

    Every model and attack must have judged the same images, each once; only the attacks named in `partial`, and images
    shown otherwise than clean (a corruption), may leave some out. Raises DataError where that is not so, where files
    disagree about a label, or where two hold the same model under the same attack.
    """
    found = _merged([_read_file(path) for path in paths])
    whole = [
        judged
        for setting, judged in found.settings.items()
        if setting.attack not in partial and not setting.is_corrupted
    ]
    if any((judged == UNJUDGED).any() for judged in whole):
        raise _contradiction("some models and attacks did not judge the same images, each once", found.where)
    return found


def predictions_of(
    evaluations: Sequence[EvaluationFacts], paths: Sequence[Path], files: Sequence[int]
) -> Iterator[PredictionTable]:
    """Yield the predictions of each evaluation; `files` says which evaluation each of `paths` belongs to.

    Raises ConfigError where an evaluation has no file or a file no evaluation, else as `read_predictions`.
    """
    if len(paths) != len(files) or set(files) != set(range(len(evaluations))):
        raise ConfigError(
            f"{len(paths)} predictions files do not belong to {len(evaluations)} evaluations one or several each",
            where=f"files: {list(files)}",
            mend="give each file the place of its evaluation, counted from 0",
        )
    for place, evaluation in enumerate(evaluations):
        mine = [path for path, owner in zip(paths, files, strict=True) if owner == place]
        yield read_predictions(*mine, partial=evaluation.partial)


def _contradiction(what: str, where: str) -> DataError:
    return DataError(what, where=where, mend=f"delete {'them' if ', ' in where else 'the file'} and run again")


def _read_file(path: Path) -> PredictionTable:
    """Read one predictions table, images that a model did not judge as -1."""
    table = read_table(path)
    absent = [name for name in COLUMNS if name not in table.column_names]
    if absent or not table.num_rows:
        raise _contradiction(f"predictions lack {', '.join(absent)}" if absent else "there is no prediction", str(path))
    samples, sample_codes = _codes(table["sample"])
    settings, setting_codes = _settings(table)
    if len(np.unique(setting_codes * len(samples) + sample_codes)) != table.num_rows:
        raise _contradiction("a model under an attack did not judge its images each once", str(path))
    given = np.asarray(table["label"].to_numpy(), dtype=np.int32)
    labels = np.empty(len(samples), dtype=np.int32)
    labels[sample_codes] = given
    if (labels[sample_codes] != given).any():
        raise _contradiction("an image has two labels", str(path))
    predicted = np.full((len(settings), len(samples)), UNJUDGED, dtype=np.int32)
    predicted[setting_codes, sample_codes] = table["prediction"].to_numpy()
    return PredictionTable(tuple(samples), labels, dict(zip(settings, predicted, strict=True)), where=str(path))


def _merged(parts: Sequence[PredictionTable]) -> PredictionTable:
    """Join the files of one evaluation over all their images."""
    if len(parts) == 1:
        return parts[0]
    samples = sorted({sample for part in parts for sample in part.samples})
    labels = np.full(len(samples), UNJUDGED, dtype=np.int32)
    settings: dict[Setting, Labels] = {}
    for part in parts:
        places = np.searchsorted(samples, part.samples)
        known = labels[places] != UNJUDGED
        if (labels[places][known] != part.labels[known]).any():
            raise _contradiction("an image has two labels", ", ".join(each.where for each in parts))
        labels[places] = part.labels
        for setting, judged in part.settings.items():
            if setting in settings:
                raise _contradiction(
                    f'"{setting.method}" seed {setting.seed} under attack "{setting.attack}" was judged in two files',
                    ", ".join(each.where for each in parts if setting in each.settings),
                )
            settings[setting] = np.full(len(samples), UNJUDGED, dtype=np.int32)
            settings[setting][places] = judged
    where = ", ".join(part.where for part in parts)
    return PredictionTable(tuple(samples), labels, dict(sorted(settings.items())), where=where)


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


def outcomes(predictions: PredictionTable, attacks: Mapping[str, Attack]) -> Iterator[tuple[Setting, str, Outcome]]:
    """Yield every metric of every model and attack in a fixed order.

    Without an attack: accuracy over all images; under a corruption, corruption_accuracy over those that were corrupted.
    Under a trigger: what `attack_outcomes` says; under any other attack
    what `robustness_outcomes` says. Raises DataError for an attack that `attacks` does not describe, since its
    denominator would be a guess.
    """
    for setting, predicted in predictions.settings.items():
        if setting.is_corrupted:
            judged = predicted != UNJUDGED
            yield setting, CORRUPTION, Outcome(judged, judged & (predicted == predictions.labels))
            continue
        if setting.attack == CLEAN:
            yield setting, "accuracy", Outcome(np.ones(len(predicted), dtype=np.bool_), predicted == predictions.labels)
            continue
        attack = attacks.get(setting.attack)
        if attack is None:
            raise DataError(
                f'attack "{setting.attack}" is not described',
                where=predictions.where,
                mend="state its kind, and a trigger's target class or null where it has none",
            )
        labels, clean = predictions.labels, predictions.clean(setting)
        if attack.kind == "trigger":
            found = attack_outcomes(labels=labels, clean=clean, attacked=predicted, target=attack.target)
        else:
            found = robustness_outcomes(labels=labels, clean=clean, attacked=predicted)
        for metric, outcome in found.items():
            yield setting, metric, outcome


def robustness_outcomes(*, labels: Labels, clean: Labels, attacked: Labels) -> dict[str, Outcome]:
    """Judge one model under an attack that only wants it wrong; all arrays are class numbers (N,).

    Images that the attack was not tried on (-1) count for nothing. attack_success: of the images classified correctly
    when clean, the share whose prediction is no longer the label. robust_accuracy: of all images, the share classified
    correctly under attack.
    """
    judged = attacked != UNJUDGED
    right = judged & (attacked == labels)
    counted = judged & (clean == labels)
    return {"attack_success": Outcome(counted, counted & ~right), "robust_accuracy": Outcome(judged, right)}


def attack_outcomes(*, labels: Labels, clean: Labels, attacked: Labels, target: int | None) -> dict[str, Outcome]:
    """Judge one model under one attack; all arrays are class numbers (N,).

    Only images count that are classified correctly when clean, and, with a target class, that are not of it: a model
    is not fooled when it says what the image shows (published scripts count them: docs/definitions.md#b9).
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
