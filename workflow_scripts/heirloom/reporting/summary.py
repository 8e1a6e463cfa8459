"""The summary: rates over seeds, each beside its control, means over data sets, and verdicts on published numbers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import fmean, stdev

from heirloom.evaluation.credibility import all_credible
from heirloom.evaluation.measures import MEASURES, SHARES
from heirloom.evaluation.metrics import EvaluationFacts, Outcome, PredictionTable
from heirloom.evaluation.statistics import Comparison, Pair, mean_interval, t_interval
from heirloom.reporting.comparisons import (
    Compared,
    Judged,
    MetricRate,
    Place,
    averaged_datasets,
    common_budget,
    compared,
    control_place,
    paired,
    place_of,
)
from heirloom.reporting.measure_rows import compared_with_controls
from heirloom.reporting.tables import (
    COUNTS,
    MEAN,
    SPLIT,
    SUMMARY,
    SUMMARY_KEYS,
    Row,
    attack_facts,
    ordered,
)
from heirloom.runtime.errors import ConfigError, DataError


@dataclass(frozen=True)
class PublishedNumber:
    """A published rate in [0, 1] and the rows it belongs to.

    `tolerance` is how far a mean may lie from it and still agree; `incomparable` says why no row can be held to it.
    """

    study: str
    experiment: str
    teacher: str
    injection: str
    dataset: str
    method: str
    attack: str
    metric: str
    value: float
    source: str
    condition: str = ""
    tolerance: float | None = None
    incomparable: str = ""


_PUBLISHED_KEYS = ("experiment", "teacher", "injection", "dataset", "method", "attack", "condition", "metric")


def check_controls(evaluations: Sequence[EvaluationFacts], predictions: Sequence[PredictionTable]) -> None:
    """Raise where a control is not evaluated (ConfigError) or was not judged as what it controls was (DataError).

    Nor may an attack have one budget for one model and another for the next.
    """
    found = {place_of(evaluation): judged for evaluation, judged in zip(evaluations, predictions, strict=True)}
    for evaluation in evaluations:
        mine, control = found[place_of(evaluation)], control_place(evaluation)
        _check_budgets(mine)
        if control is not None:
            _check_samples(evaluation, mine, found.get(control))
            _check_budgets(mine, found[control])  # there is one: that has just been checked
        for name, attack in evaluation.attacks.items():
            if attack.control is not None:
                _check_noise(mine, name, attack.control)


def _check_samples(evaluation: EvaluationFacts, mine: PredictionTable, other: PredictionTable | None) -> None:
    """Check that a model and its control judged the same images: their outcomes could not be paired otherwise."""
    if other is None:
        raise ConfigError(
            f'the control "{evaluation.control}" of "{evaluation.injection}" is not evaluated',
            where=f"teacher {evaluation.teacher}, data set {evaluation.dataset}",
            mend="add the control's evaluation to the study",
        )
    if mine.samples != other.samples or (mine.labels != other.labels).any():
        raise DataError(
            "a model and its control judged other images",
            where=f"{mine.where}, {other.where}",
            mend="delete both files and run again",
        )


def _check_budgets(*sides: PredictionTable) -> None:
    """Check that an attack's name stands for one budget, or models would silently not be compared."""
    budgets: dict[str, tuple[str, str]] = {}
    for side in sides:
        for setting in side.settings:
            if setting.is_corrupted:  # two suites may know a corruption by one name; their budgets tell them apart
                continue
            budget, where = budgets.setdefault(setting.attack, (setting.budget, side.where))
            if budget != setting.budget:
                raise DataError(
                    f'models that are compared saw the attack "{setting.attack}" with two budgets: {budget} and'
                    f" {setting.budget}",
                    where=", ".join(dict.fromkeys((where, side.where))),
                    mend="delete the older predictions and run again",
                )


def _check_noise(predictions: PredictionTable, attack: str, control: str) -> None:
    """Check that whoever saw a feature attack saw the noise of its size."""
    seen = {setting[:2] for setting in predictions.settings if setting.attack == control}
    lacking = [setting for setting in predictions.settings if setting.attack == attack and setting[:2] not in seen]
    if lacking:
        raise DataError(
            f'"{lacking[0].method}" seed {lacking[0].seed} saw the attack "{attack}" but not its control "{control}"',
            where=predictions.where,
            mend="delete the file and run again",
        )


def summary_rows(
    measurements: Sequence[Row],
    judged: Sequence[Judged],
    *,
    seed: int,
    published: Sequence[PublishedNumber] = (),
) -> list[Row]:
    """Return one row per model, attack and metric: mean over seeds, interval, and the comparison with its control.

    low and high: t interval over seeds, a rate's cut to [0, 1], or a single seed's own (Wilson's for a rate).
    `difference` is the mean over the seeds that both have; `statistics.compare` and `compare_values` say how its
    interval and test come about. `p_value` is Holm-adjusted over the study's comparisons of the same metric, each
    comparison once however many experiments list it; the raw p-value is not stored. The control of a feature attack is
    noise of the same size, shown to the same student; noise and white-box attacks have none. For clean images, triggers
    and measures it is the same model from the control injection, for an infected teacher (method "teacher") the control
    teacher itself.

    Experiments that ask for it have further rows with the data set "mean", without a control. Published numbers whose
    model was not measured come last, with null for what was not measured. Each row also carries `counts`, `kind`,
    `title` and `aside` (`tables`), which are no columns.
    """
    rows = [_over_seeds(list(group)) for group in _grouped([*measurements, *mean_measurements(measurements, judged)])]
    controls = _compared_with_controls(rows, judged, seed=seed) | compared_with_controls(judged)
    rows = [row | _columns(controls.get(_subject(row))) for row in rows]
    rows = [found for part in _with_published(rows, published) for found in part]
    evaluations = [entry.evaluation for entry in judged]
    attacks = {name: (facts.kind, facts.title) for each in evaluations for name, facts in each.attacks.items()}
    asides = {
        (experiment, name)
        for each in evaluations
        for experiment, scope in each.experiments.items()
        for name in each.controls(scope)
    }
    return [row | attack_facts(row, attacks, asides) for row in rows]


def _grouped(measurements: Sequence[Row]) -> Iterable[Iterable[Row]]:
    """Group measurements over seeds, in the order of the keys."""
    rows = ordered(measurements, (*SUMMARY_KEYS, "seed"))
    return (group for _, group in groupby(rows, key=lambda row: [row[name] for name in SUMMARY_KEYS]))


def _over_seeds(rows: Sequence[Row]) -> Row:
    """Summarise one model's measurements over its seeds; seeds without a counted image are left out."""
    known = [row for row in rows if row["value"] is not None]
    values = [row["value"] for row in known]
    low, high = (known[0]["low"], known[0]["high"]) if len(known) == 1 else (None, None)
    if len(values) > 1:
        low, high = t_interval(values)
        if rows[0]["metric"] not in MEASURES or rows[0]["metric"] in SHARES:
            low, high = max(0.0, low), min(1.0, high)
    counts = [row["count"] for row in known] or [0]
    return {name: rows[0][name] for name in SUMMARY_KEYS} | {
        "seeds": len(values),
        "mean": fmean(values) if values else None,
        "sd": stdev(values) if len(values) > 1 else None,
        "low": low,
        "high": high,
        "credible": all_credible({row["credible"] for row in rows}),
        COUNTS: (min(counts), max(counts)),
    }


# -- controls ----------------------------------------------------------------------------------------------------------


def _subject(row: Row) -> Compared:
    """Name the comparison of a row with its control."""
    rate = MetricRate(*(row[name] for name in MetricRate._fields))
    return Compared(row["teacher"], row["injection"], row["dataset"], "", "", "", rate)


def _compared_with_controls(rows: Sequence[Row], judged: Sequence[Judged], *, seed: int) -> dict[Compared, Comparison]:
    """Compare every row that has a control with it, over the seeds that both have."""
    entries = {place_of(entry.evaluation): entry for entry in judged}
    subjects = {_subject(row): None for row in rows if row["dataset"] != MEAN and row["metric"] not in MEASURES}
    pairs: dict[Compared, dict[str, Pair]] = {}
    for subject in subjects:
        mine = entries[subject[:3]]
        pair = paired(mine.of_seeds(subject.rate), _control(mine, subject.rate, entries))
        if pair is not None:
            pairs[subject] = {subject.dataset: pair}
    return compared(pairs, seed=seed, purpose="bootstrap")


def _control(mine: Judged, rate: MetricRate, entries: Mapping[Place, Judged]) -> Mapping[int, Outcome]:
    """Return the outcomes that a rate is compared with, by seed; empty where it has no control."""
    attack = mine.evaluation.attacks.get(rate.attack)
    if attack is None or attack.kind == "trigger":
        place = control_place(mine.evaluation)
        return {} if place is None else entries[place].of_seeds(rate)
    return {} if attack.control is None else mine.under(attack.control, rate)


def _columns(comparison: Comparison | None) -> Row:
    """Return the columns of a comparison with a control, null where there is none."""
    names = {"control": "control", "difference": "difference", "p_value": "p_value"}
    names |= {"difference_low": "low", "difference_high": "high"}
    return {column: getattr(comparison, name, None) for column, name in names.items()}


# -- means over data sets ----------------------------------------------------------------------------------------------

_AVERAGED = ("experiment", "teacher", "injection", "method", "attack", "condition", "metric", "seed")


def mean_measurements(measurements: Sequence[Row], judged: Sequence[Judged]) -> Iterator[Row]:
    """Yield, for the experiments that ask for it, each seed's unweighted mean over the experiment's data sets.

    Only where every data set has a value, and there are at least two. low and high are the interval of the mean of
    independent rates (`statistics.mean_interval` of Wilson's limits), `count` the sum of the denominators, `budget`
    what the data sets' budgets have in common.
    """
    datasets = averaged_datasets(judged)
    rates = [row for row in measurements if row["metric"] not in MEASURES and row["value"] is not None]
    asked = [row for row in rates if row["experiment"] in datasets]
    for _, group in groupby(ordered(asked, (*_AVERAGED, "dataset")), key=lambda row: [row[n] for n in _AVERAGED]):
        rows = list(group)
        if [row["dataset"] for row in rows] == datasets[rows[0]["experiment"]]:
            yield _mean_measurement(rows)


def _mean_measurement(rows: Sequence[Row]) -> Row:
    """Average one seed's measurements over data sets."""
    values = [row["value"] for row in rows]
    low, high = mean_interval(values, [(row["low"], row["high"]) for row in rows])
    return rows[0] | {
        "dataset": MEAN,
        "budget": common_budget([row["budget"] for row in rows]),
        "value": fmean(values),
        "count": sum(row["count"] for row in rows),
        "low": low,
        "high": high,
        "credible": all_credible({row["credible"] for row in rows}),
    }


# -- published numbers -------------------------------------------------------------------------------------------------


def _with_published(rows: Sequence[Row], published: Sequence[PublishedNumber]) -> tuple[list[Row], list[Row]]:
    """Set each row beside its published number; return the rows, and those of numbers that nothing was measured for."""
    numbers = {tuple(getattr(number, name) for name in _PUBLISHED_KEYS): number for number in published}
    met: set[tuple[str, ...]] = set()
    judged = []
    for row in rows:
        key = tuple(row[name] for name in _PUBLISHED_KEYS)
        number = numbers.get(key)
        met |= {key} if number else set()
        judged.append(row | _verdict(row, number))
    return judged, [_unmeasured(number) for key, number in numbers.items() if key not in met]


def _verdict(row: Row, number: PublishedNumber | None) -> Row:
    """Return the columns of a published number."""
    verdict = judge(
        published=number.value if number else None,
        low=row["low"],
        high=row["high"],
        mean=row["mean"],
        tolerance=number.tolerance if number else None,
        incomparable=number.incomparable if number else "",
    )
    return {
        "published": number.value if number else None,
        "published_source": number.source if number else None,
        "verdict": verdict,
    }


def _unmeasured(number: PublishedNumber) -> Row:
    """Return the row of a published number that nothing here was measured for; its budget is null."""
    names = {name: value for name, value in vars(number).items() if name in SUMMARY}
    blank = dict.fromkeys(SUMMARY) | names | {"split": SPLIT, "seeds": 0, COUNTS: (0, 0)}
    return blank | _verdict(blank, number)


def judge(
    *,
    published: float | None,
    mean: float | None,
    low: float | None,
    high: float | None,
    tolerance: float | None = None,
    incomparable: str = "",
) -> str:
    """Judge a measured mean with its interval against a published number, all in the metric's unit.

    no_target: nothing is published. not_comparable (REASON): `incomparable` says why, or nothing was measured.
    reproduced: the interval holds the published number, and is at most `tolerance` wide on either side where there is
    one: an interval over few seeds that holds any number reproduces none. within_tolerance: the mean lies at most
    `tolerance` away. Else not_comparable where the interval holds the number but is too wide, contradicted where not.
    """
    if published is None:
        return "no_target"
    if incomparable or mean is None:
        return f"not_comparable ({incomparable or 'nothing was measured'})"
    close = tolerance is not None and abs(mean - published) <= tolerance
    if low is None or high is None or not low <= published <= high:
        return "within_tolerance" if close else "contradicted"
    if tolerance is None or (high - low) / 2 <= tolerance:
        return "reproduced"
    return "within_tolerance" if close else "not_comparable (the interval is wider than the tolerance)"
