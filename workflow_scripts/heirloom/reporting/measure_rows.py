"""Measures that are no rates, in the tables: a row per model, comparisons with controls and baselines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from heirloom.evaluation.measures import Measured, Quantity, Values
from heirloom.evaluation.metrics import TEACHER, EvaluationFacts, Scope, Setting
from heirloom.evaluation.statistics import Comparison, compare_values
from heirloom.reporting.comparisons import (
    Compared,
    Judged,
    MetricRate,
    Place,
    adjusted,
    comparison_row,
    control_place,
    in_order,
    place_of,
)
from heirloom.reporting.tables import Row, place_columns
from heirloom.runtime.errors import DataError


@dataclass(frozen=True)
class MeasureComparison:
    """A comparison of `mean`, over its seeds, with something else."""

    comparison: Comparison
    seeds: int
    mean: float


def measured_rows(evaluation: EvaluationFacts, measured: Measured, *, study: str, config_digest: str) -> list[Row]:
    """Return one row per model, quantity and experiment that asks for it: the mean over samples, Student's interval.

    `count` is the number of samples; the interval is null where there is but one. `credible` is null.
    """
    return [
        place_columns(evaluation, study=study)
        | quantity.setting._asdict()
        | {"metric": quantity.metric, "value": values.mean, "count": values.count}
        | dict(zip(("low", "high"), values.interval or (None, None), strict=True))
        | {"experiment": experiment, "credible": None, "config_digest": config_digest}
        for experiment, scope in evaluation.experiments.items()
        for quantity, values in measured.items()
        if _asked(scope, quantity)
    ]


def _asked(scope: Scope, quantity: Quantity) -> bool:
    return quantity.metric in scope.measures and scope.holds(quantity.setting)


def compared_with_controls(judged: Sequence[Judged]) -> dict[Compared, Comparison]:
    """Compare each quantity with that of the same model from the control injection; p is Holm's over the metric.

    Raises DataError where the two were measured on other samples.
    """
    entries: Mapping[Place, Judged] = {place_of(entry.evaluation): entry for entry in judged}
    found = {}
    for entry in judged:
        place = control_place(entry.evaluation)
        other = entries[place].measured if place is not None else {}
        for rate, mine, control in _shared(entry.measured, other, rename={}):
            key = Compared(*place_of(entry.evaluation), "", "", "", rate)
            where = f"{rate.metric} of {rate.method}, {'/'.join(key[:3])}"
            found[key] = _compared(mine, control, where=where).comparison
    return adjusted(found)


def baseline_rows(judged: Sequence[Judged], *, study: str) -> list[Row]:
    """Return the comparisons of methods with the baseline of each experiment that has one and asks for a measure.

    Columns: `tables.COMPARISONS`. The p-value is Holm-adjusted over all of the study's rows of the metric, each once.
    """
    controls = {control_place(entry.evaluation) for entry in judged}
    planned: dict[tuple[str, Compared], MeasureComparison] = {}
    for entry in judged:
        if place_of(entry.evaluation) in controls:
            continue
        for name, scope in sorted(entry.evaluation.experiments.items()):
            students = {key: values for key, values in entry.measured.items() if key.setting.method != TEACHER}
            asked = {quantity: values for quantity, values in students.items() if _asked(scope, quantity)}
            for key, finding in _with_method(entry, asked, scope.baseline):
                planned[name, key] = finding
    tested = adjusted({key: finding.comparison for (_, key), finding in planned.items()})
    rows = [
        comparison_row(key, tested[key], seeds=finding.seeds, mean=finding.mean) | {"study": study, "experiment": name}
        for (name, key), finding in planned.items()
    ]
    return in_order(rows)


def _with_method(entry: Judged, asked: Measured, baseline: str | None) -> Iterator[tuple[Compared, MeasureComparison]]:
    """Yield the comparisons of an experiment's methods with its baseline."""
    if baseline is None:
        return
    for method in sorted({quantity.setting.method for quantity in asked} - {baseline}):
        mine = {quantity: values for quantity, values in asked.items() if quantity.setting.method == method}
        for rate, own, other in _shared(mine, asked, rename={method: baseline}):
            key = Compared(*place_of(entry.evaluation), entry.evaluation.injection, baseline, rate.attack, rate)
            yield key, _compared(own, other, where=f"{rate.metric} of {method} and {baseline}, {'/'.join(key[:3])}")


def _shared(
    mine: Measured, other: Measured, *, rename: Mapping[str, str]
) -> Iterator[tuple[MetricRate, list[Values], list[Values]]]:
    """Yield each quantity over the seeds that both sides have; `rename` names the other side's methods."""
    found: dict[MetricRate, list[tuple[Values, Values]]] = {}
    for (setting, metric), values in mine.items():
        twin = Quantity(setting._replace(method=rename.get(setting.method, setting.method)), metric)
        if twin in other:
            found.setdefault(_rate(setting, metric), []).append((values, other[twin]))
    for rate, pairs in found.items():
        yield rate, [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def _rate(setting: Setting, metric: str) -> MetricRate:
    return MetricRate(setting.method, setting.attack, setting.budget, setting.condition, metric)


def _compared(model: Sequence[Values], other: Sequence[Values], *, where: str) -> MeasureComparison:
    """Compare the seeds' values, all over the same samples."""
    if len({values.samples for values in (*model, *other)}) > 1:
        raise DataError("models that are compared were measured on other samples", where=where)
    own, control = (np.stack([values.values for values in side]) for side in (model, other))
    return MeasureComparison(compare_values(own, control), seeds=len(model), mean=float(own.mean()))
