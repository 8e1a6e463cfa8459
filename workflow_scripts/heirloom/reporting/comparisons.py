"""Paired comparisons: models with their controls, methods and attacks with an experiment's baselines."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import NamedTuple

import numpy as np

from heirloom.evaluation.measures import Measured
from heirloom.evaluation.metrics import TEACHER, EvaluationFacts, Outcome, PredictionTable, outcomes
from heirloom.evaluation.statistics import Comparison, Pair, average, compare, holm
from heirloom.reporting.tables import MEAN, SPLIT, Row, of_methods
from heirloom.runtime.seeds import derive_seed

Place = tuple[str, str, str]

ROBUSTNESS = ("attack_success", "robust_accuracy")


class MetricRate(NamedTuple):
    """One metric of one method under one attack, over all its seeds."""

    method: str
    attack: str
    budget: str
    condition: str
    metric: str


class Compared(NamedTuple):
    """What a comparison is about, whichever experiments list it.

    It is with the rate of the method `baseline` under `baseline_attack` after `baseline_injection`; all three are empty
    where a control is meant. `averaged` names the data sets of a mean over data sets.
    """

    teacher: str
    injection: str
    dataset: str
    baseline_injection: str
    baseline: str
    baseline_attack: str
    rate: MetricRate
    averaged: tuple[str, ...] = ()


@dataclass(frozen=True)
class Judged:
    """An evaluation with its measures and the outcomes of each rate by seed, those without a counted image left out."""

    evaluation: EvaluationFacts
    outcomes: Mapping[MetricRate, Mapping[int, Outcome]]
    measured: Measured = field(default_factory=dict)

    @classmethod
    def of(cls, evaluation: EvaluationFacts, predictions: PredictionTable, measured: Measured | None = None) -> Judged:
        """Judge the predictions of an evaluation."""
        found: dict[MetricRate, dict[int, Outcome]] = {}
        for setting, metric, outcome in outcomes(predictions, evaluation.attacks):
            rate = MetricRate(setting.method, setting.attack, setting.budget, setting.condition, metric)
            seeds = found.setdefault(rate, {})
            if outcome.count:
                seeds[setting.seed] = outcome
        return cls(evaluation, found, measured or {})

    def of_seeds(self, rate: MetricRate) -> Mapping[int, Outcome]:
        """Return the outcomes of a rate by seed."""
        return self.outcomes.get(rate, {})

    def under(self, attack: str, rate: MetricRate) -> Mapping[int, Outcome]:
        """Return the outcomes of the same rate under another attack, whatever that one's budget."""
        same = rate._replace(attack=attack, budget="")
        return next((seeds for found, seeds in self.outcomes.items() if found._replace(budget="") == same), {})


def place_of(evaluation: EvaluationFacts) -> Place:
    """Name an evaluation."""
    return evaluation.teacher, evaluation.injection, evaluation.dataset


def control_place(evaluation: EvaluationFacts) -> Place | None:
    """Name the evaluation of the control injection; None where there is none."""
    if evaluation.control is None:
        return None
    return evaluation.teacher, evaluation.control, evaluation.dataset


def paired(model: Mapping[int, Outcome], other: Mapping[int, Outcome]) -> Pair | None:
    """Stack the outcomes of the seeds that two models share; None where they share none."""
    seeds = model.keys() & other.keys()
    return _stacked(model, other, seeds) if seeds else None


def _stacked(model: Mapping[int, Outcome], other: Mapping[int, Outcome], shared: Collection[int]) -> Pair:
    """Stack the outcomes of some seeds, at least one, that two models share."""
    seeds = sorted(shared)
    return Pair(
        counted=np.stack([model[seed].counted for seed in seeds]),
        hit=np.stack([model[seed].hit for seed in seeds]),
        control_counted=np.stack([other[seed].counted for seed in seeds]),
        control_hit=np.stack([other[seed].hit for seed in seeds]),
    )


def compared(pairs: Mapping[Compared, Mapping[str, Pair]], *, seed: int, purpose: str) -> dict[Compared, Comparison]:
    """Compare pairs, given by data set and averaged over several; adjust p by Holm (`adjusted`).

    `seed` and `purpose` give the bootstrap's draws, the same for all pairs of a data set.
    """
    parts: dict[tuple[Compared, str], Comparison] = {}
    for dataset in sorted({dataset for found in pairs.values() for dataset in found}):
        keys = [key for key, found in pairs.items() if dataset in found]
        judged = compare([pairs[key][dataset] for key in keys], seed=derive_seed(seed, purpose, dataset))
        parts.update(zip([(key, dataset) for key in keys], judged, strict=True))
    raw = {}
    for key, found in pairs.items():
        each = [parts[key, dataset] for dataset in found]
        raw[key] = average(list(found.values()), each) if len(each) > 1 else each[0]
    return adjusted(raw)


def adjusted(raw: Mapping[Compared, Comparison]) -> dict[Compared, Comparison]:
    """Replace raw p-values by Holm's, metric by metric; what has no test belongs to no family.

    Rates and measures come apart, so the accuracies under single corruptions, which are rates, many and asked by
    nobody, are no family with the mean over all.
    """
    adjusted = dict(raw)
    for metric in sorted({key.rate.metric for key in raw}):
        family = {key: p for key in raw if key.rate.metric == metric and (p := raw[key].p_value) is not None}
        for key, p_value in zip(family, holm(list(family.values())), strict=True):
            adjusted[key] = replace(raw[key], p_value=p_value)
    return adjusted


# -- means over data sets ----------------------------------------------------------------------------------------------


def averaged_datasets(judged: Sequence[Judged]) -> dict[str, list[str]]:
    """Return the data sets of each experiment that asks for means over two or more, sorted."""
    found: dict[str, set[str]] = {}
    for entry in judged:
        for name, scope in entry.evaluation.experiments.items():
            if scope.average:
                found.setdefault(name, set()).add(entry.evaluation.dataset)
    return {name: sorted(datasets) for name, datasets in found.items() if len(datasets) > 1}


def common_budget(budgets: Sequence[str]) -> str:
    """Return what several budgets (JSON) have in common."""
    first, *others = map(json.loads, budgets)
    shared = {name: value for name, value in first.items() if all(other.get(name) == value for other in others)}
    return json.dumps(shared, sort_keys=True)


# -- planned comparisons -----------------------------------------------------------------------------------------------


class Planned(NamedTuple):
    """A comparison that an experiment plans: the outcomes of both sides by seed."""

    experiment: str
    key: Compared
    model: Mapping[int, Outcome]
    other: Mapping[int, Outcome]


def comparison_rows(judged: Sequence[Judged], *, study: str, seed: int) -> list[Row]:
    """Return the planned comparisons with an experiment's baselines (`tables.COMPARISONS`).

    Methods with the baseline method: both students have the same teacher, injection, data set, seeds and test images.
    Of attack_success each student has its own denominator, the images that it classifies correctly: the interval is of
    the difference of these two rates, McNemar's test sees the images that count for both. Attacks with the baseline
    attack: on the same student, over the images that both judged. Injections with the baseline injection: the same
    method's students, and the teachers themselves, under a trigger that both know by the same name. Where an experiment
    averages over data sets, its methods are compared over all of them too (`statistics.average`).

    What is itself a control, the students of a control injection and the noise beside an attack, asks no question of
    its own and stays out. `mean` and `baseline_mean` are over the seeds that both have. The p-value is Holm-adjusted
    over all of the study's rows of the metric, each once; single corruptions are a family apart.
    """
    planned = list(_planned(judged))
    found: dict[tuple[str, Compared], dict[str, Pair]] = {}
    for plan in planned:
        pair = paired(plan.model, plan.other)
        if pair is not None:
            found[plan.experiment, plan.key] = {plan.key.dataset: pair}
    found |= dict(_means(planned, averaged_datasets(judged)))
    tested = compared({key: pairs for (_, key), pairs in found.items()}, seed=seed, purpose="baseline")
    rows = [
        _rate_row(key, pairs, tested[key]) | {"study": study, "experiment": name}
        for (name, key), pairs in found.items()
    ]
    return in_order(rows)


_ORDER = (
    *("experiment", "teacher", "injection", "baseline_injection", "dataset", "method", "attack", "baseline_attack"),
    *("budget", "condition", "metric"),
)


def in_order(rows: Sequence[Row]) -> list[Row]:
    """Sort rows of comparisons."""
    return sorted(rows, key=lambda row: [row[name] for name in _ORDER])


def _planned(judged: Sequence[Judged]) -> Iterator[Planned]:
    """Yield what each experiment plans on each data set."""
    controls = {control_place(entry.evaluation) for entry in judged}
    entries = {place_of(entry.evaluation): entry for entry in judged}
    for entry in judged:
        if place_of(entry.evaluation) in controls:
            continue
        for name, scope in sorted(entry.evaluation.experiments.items()):
            asides = entry.evaluation.controls(scope)
            shown = [rate for rate in entry.outcomes if rate.attack not in asides and scope.holds(rate)]
            asked = [rate for rate in shown if rate.method != TEACHER]
            if scope.injection_baseline not in (None, entry.evaluation.injection):
                place = (entry.evaluation.teacher, str(scope.injection_baseline), entry.evaluation.dataset)
                yield from _with_injection(entry, name, entries[place], shown)
            if scope.baseline is not None:
                yield from _with_method(entry, name, scope.baseline, asked)
            if scope.attack_baseline is not None:
                yield from _with_attack(entry, name, scope.attack_baseline, asked)


def _with_method(entry: Judged, experiment: str, baseline: str, rates: Sequence[MetricRate]) -> Iterator[Planned]:
    """Set each rate beside that of the baseline method."""
    for rate in rates:
        if rate.method != baseline:
            key = Compared(*place_of(entry.evaluation), entry.evaluation.injection, baseline, rate.attack, rate)
            yield Planned(experiment, key, entry.of_seeds(rate), entry.of_seeds(rate._replace(method=baseline)))


def _with_injection(entry: Judged, experiment: str, other: Judged, rates: Sequence[MetricRate]) -> Iterator[Planned]:
    """Set each rate beside that of the same method, or of the teacher itself, after the baseline injection."""
    baseline = other.evaluation.injection
    for rate in rates:
        key = Compared(*place_of(entry.evaluation), baseline, rate.method, rate.attack, rate)
        yield Planned(experiment, key, entry.of_seeds(rate), other.of_seeds(rate))


def _with_attack(entry: Judged, experiment: str, baseline: str, rates: Sequence[MetricRate]) -> Iterator[Planned]:
    """Set each rate of an attack that wants a student wrong beside that of the baseline attack."""
    for rate in rates:
        if rate.metric in ROBUSTNESS and rate.attack != baseline:
            key = Compared(*place_of(entry.evaluation), entry.evaluation.injection, rate.method, baseline, rate)
            yield Planned(experiment, key, *_of_both(entry.of_seeds(rate), entry.under(baseline, rate)))


def _of_both(*sides: Mapping[int, Outcome]) -> list[dict[int, Outcome]]:
    """Keep of one student's outcomes under two attacks the images that count for both: those that both judged."""
    model, other = sides
    both = {seed: model[seed].counted & other[seed].counted for seed in model.keys() & other.keys()}
    return [
        {seed: Outcome(counted, side[seed].hit & counted) for seed, counted in both.items() if counted.any()}
        for side in sides
    ]


def _means(
    planned: Sequence[Planned], datasets: Mapping[str, list[str]]
) -> Iterator[tuple[tuple[str, Compared], dict[str, Pair]]]:
    """Yield the methods' comparisons over all data sets of an experiment, over the seeds that all of them have."""
    groups: dict[tuple[str, Compared], list[Planned]] = {}
    for plan in planned:
        if plan.experiment in datasets and of_methods(plan.key._asdict() | plan.key.rate._asdict()):
            same = plan.key._replace(dataset=MEAN, rate=plan.key.rate._replace(budget=""))
            groups.setdefault((plan.experiment, same), []).append(plan)
    for (name, key), plans in groups.items():
        plans.sort(key=lambda plan: plan.key.dataset)
        seeds = set.intersection(*({*plan.model} & {*plan.other} for plan in plans))
        if [plan.key.dataset for plan in plans] == datasets[name] and seeds:
            budget = common_budget([plan.key.rate.budget for plan in plans])
            whole = key._replace(rate=key.rate._replace(budget=budget), averaged=tuple(datasets[name]))
            yield (name, whole), {plan.key.dataset: _stacked(plan.model, plan.other, seeds) for plan in plans}


def _rate_row(key: Compared, pairs: Mapping[str, Pair], found: Comparison) -> Row:
    """Return the columns of one comparison of rates."""
    mean = fmean(float(pair.rates.mean()) for pair in pairs.values())
    return comparison_row(key, found, seeds=len(next(iter(pairs.values())).counted), mean=mean)


def comparison_row(key: Compared, found: Comparison, *, seeds: int, mean: float) -> Row:
    """Return the columns of one comparison, study and experiment aside."""
    return (
        key._asdict()
        | key.rate._asdict()
        | {
            "split": SPLIT,
            "seeds": seeds,
            "mean": mean,
            "baseline_mean": found.control,
            "difference": found.difference,
            "low": found.low,
            "high": found.high,
            "p_value": found.p_value,
        }
    )
