"""Paired comparisons: models with their controls, and methods with an experiment's baseline (METHODS 5)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from heirloom.evaluation.metrics import TEACHER, Evaluation, Outcome, Predictions, Scope, outcomes
from heirloom.evaluation.statistics import Comparison, Pair, compare, holm
from heirloom.reporting.tables import SPLIT, Row
from heirloom.runtime.seeds import derive_seed

Place = tuple[str, str, str]


class Rate(NamedTuple):
    """One metric of one method under one attack, over all its seeds."""

    method: str
    attack: str
    budget: str
    condition: str
    metric: str


class Compared(NamedTuple):
    """What a comparison is about, whichever experiments list it; `baseline` is empty where a control is meant."""

    teacher: str
    injection: str
    dataset: str
    baseline: str
    rate: Rate


@dataclass(frozen=True)
class Judged:
    """An evaluation with the outcomes of each rate by seed, those without a counted image left out."""

    evaluation: Evaluation
    outcomes: Mapping[Rate, Mapping[int, Outcome]]

    @classmethod
    def of(cls, evaluation: Evaluation, predictions: Predictions) -> Judged:
        """Judge the predictions of an evaluation."""
        found: dict[Rate, dict[int, Outcome]] = {}
        for setting, metric, outcome in outcomes(predictions, evaluation.attacks):
            rate = Rate(setting.method, setting.attack, setting.budget, setting.condition, metric)
            seeds = found.setdefault(rate, {})
            if outcome.count:
                seeds[setting.seed] = outcome
        return cls(evaluation, found)

    def of_seeds(self, rate: Rate) -> Mapping[int, Outcome]:
        """Return the outcomes of a rate by seed."""
        return self.outcomes.get(rate, {})

    def under(self, attack: str, rate: Rate) -> Mapping[int, Outcome]:
        """Return the outcomes of the same rate under another attack, whatever that one's budget."""
        same = rate._replace(attack=attack, budget="")
        return next((seeds for found, seeds in self.outcomes.items() if found._replace(budget="") == same), {})


def place_of(evaluation: Evaluation) -> Place:
    """Name an evaluation."""
    return evaluation.teacher, evaluation.injection, evaluation.dataset


def control_place(evaluation: Evaluation) -> Place | None:
    """Name the evaluation of the control injection; None where there is none."""
    if evaluation.control is None:
        return None
    return evaluation.teacher, evaluation.control, evaluation.dataset


def paired(model: Mapping[int, Outcome], other: Mapping[int, Outcome]) -> Pair | None:
    """Stack the outcomes of the seeds that two models share; None where they share none."""
    seeds = sorted(model.keys() & other.keys())
    if not seeds:
        return None
    return Pair(
        counted=np.stack([model[seed].counted for seed in seeds]),
        hit=np.stack([model[seed].hit for seed in seeds]),
        control_counted=np.stack([other[seed].counted for seed in seeds]),
        control_hit=np.stack([other[seed].hit for seed in seeds]),
    )


def compared(pairs: Mapping[Compared, Pair], *, seed: int, purpose: str) -> dict[Compared, Comparison]:
    """Compare each pair, data set by data set, and adjust the p-values by Holm; a family is all of one metric.

    `seed` and `purpose` give the bootstrap's draws, the same for all pairs of a data set.
    """
    raw: dict[Compared, Comparison] = {}
    for dataset in sorted({key.dataset for key in pairs}):
        keys = [key for key in pairs if key.dataset == dataset]
        found = compare([pairs[key] for key in keys], seed=derive_seed(seed, purpose, dataset))
        raw.update(zip(keys, found, strict=True))
    return _adjusted(raw)


def _adjusted(raw: Mapping[Compared, Comparison]) -> dict[Compared, Comparison]:
    """Replace raw p-values by Holm's, metric by metric."""
    adjusted: dict[Compared, Comparison] = {}
    for metric in sorted({key.rate.metric for key in raw}):
        family = [key for key in raw if key.rate.metric == metric]
        for key, p_value in zip(family, holm([raw[key].p_value for key in family]), strict=True):
            adjusted[key] = Comparison(**{**vars(raw[key]), "p_value": p_value})
    return adjusted


# -- method against method ---------------------------------------------------------------------------------------------


def comparison_rows(judged: Sequence[Judged], *, study: str, seed: int) -> list[Row]:
    """Return the planned comparisons of an experiment's methods with its baseline (`tables.COMPARISONS`).

    Both students have the same teacher, injection, data set, seeds and test images. What is itself a control, the
    students of a control injection and answers to noise, asks no question of its own and stays out. `mean` and
    `baseline_mean` are over the seeds that both have. Of attack_success each student has its own denominator, the
    images that it classifies correctly: the interval is of the difference of these two rates, McNemar's test sees the
    images that count for both. The p-value is Holm-adjusted over the study's comparisons of the metric, each once.
    """
    controls = {control_place(entry.evaluation) for entry in judged}
    planned = [
        (name, key, pair)
        for entry in judged
        if place_of(entry.evaluation) not in controls
        for name, scope in sorted(entry.evaluation.experiments.items())
        for key, pair in _planned(entry, scope)
    ]
    found = compared({key: pair for _, key, pair in planned}, seed=seed, purpose="baseline")
    rows = [_row(key, pair, found[key], study=study, experiment=name) for name, key, pair in planned]
    return sorted(rows, key=lambda row: [row[name] for name in _ORDER])


_ORDER = ("experiment", "teacher", "injection", "dataset", "method", "attack", "budget", "condition", "metric")


def _planned(entry: Judged, scope: Scope) -> Iterator[tuple[Compared, Pair]]:
    """Pair every rate of an experiment in one evaluation with the baseline's."""
    noise = {name for name, attack in entry.evaluation.attacks.items() if attack.kind == "noise"}
    if scope.baseline is None:
        return
    for rate, seeds in entry.outcomes.items():
        asked = scope.covers(rate.method, rate.attack) and rate.attack not in noise
        if not asked or rate.method in (TEACHER, scope.baseline):
            continue
        pair = paired(seeds, entry.of_seeds(rate._replace(method=scope.baseline)))
        if pair is not None:
            yield Compared(*place_of(entry.evaluation), scope.baseline, rate), pair


def _row(key: Compared, pair: Pair, found: Comparison, *, study: str, experiment: str) -> Row:
    """Return the columns of one comparison."""
    return (
        key._asdict()
        | key.rate._asdict()
        | {
            "study": study,
            "experiment": experiment,
            "split": SPLIT,
            "seeds": len(pair.counted),
            "mean": float(pair.rates.mean()),
            "baseline_mean": found.control,
            "difference": found.difference,
            "low": found.low,
            "high": found.high,
            "p_value": found.p_value,
        }
    )
