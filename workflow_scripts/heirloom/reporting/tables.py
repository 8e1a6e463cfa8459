"""The tables that users script against: measurements, summary and costs, with the columns of the table contract."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

import numpy as np

from heirloom.evaluation.metrics import Evaluation, Outcome, Predictions, Setting, outcomes
from heirloom.evaluation.statistics import Comparison, Pair, compare, holm, t_interval, wilson
from heirloom.runtime.errors import ConfigError, DamagedFileError, DataError
from heirloom.runtime.files import read_table, table_metadata, write_table
from heirloom.runtime.seeds import derive_seed

if TYPE_CHECKING:
    import pyarrow as pa

Row = dict[str, Any]

VERSION = 1
KEYS = {
    "study": "string",
    "experiment": "string",
    "teacher": "string",
    "injection": "string",
    "dataset": "string",
    "split": "string",
    "method": "string",
    "seed": "int32",
    "attack": "string",
    "budget": "string",
    "condition": "string",
}
MEASUREMENTS = KEYS | {
    "metric": "string",
    "value": "float64",
    "count": "int64",
    "low": "float64",
    "high": "float64",
    "credible": "bool",
    "config_digest": "string",
}
SUMMARY_KEYS = (*(name for name in KEYS if name != "seed"), "metric")
SUMMARY = dict.fromkeys(SUMMARY_KEYS, "string") | {
    "seeds": "int32",
    "mean": "float64",
    "sd": "float64",
    "low": "float64",
    "high": "float64",
    "control": "float64",
    "difference": "float64",
    "difference_low": "float64",
    "difference_high": "float64",
    "p_value": "float64",
    "credible": "bool",
    "published": "float64",
    "published_source": "string",
    "verdict": "string",
}
COSTS = KEYS | {"seconds": "float64", "peak_memory_bytes": "int64", "jobs": "int32"}
SPLIT = "test"
_COMPARED = tuple(name for name in SUMMARY_KEYS if name != "experiment")
COUNTS = "counts"


def write_rows(path: Path, rows: Sequence[Row], *, columns: Mapping[str, str], **metadata: object) -> None:
    """Write rows as parquet with exactly `columns` (names and Arrow types); `metadata` names the table's schema."""
    import pyarrow as pa

    typed = pa.schema([(name, pa.type_for_alias(alias)) for name, alias in columns.items()])
    table = pa.table({name: [row[name] for row in rows] for name in columns}, schema=typed)
    write_table(path, table, metadata={"version": VERSION, **metadata})


def read_rows(path: Path, *, columns: Mapping[str, str]) -> list[Row]:
    """Read a table that `write_rows` wrote. Raises DamagedFileError when its columns are others."""
    table: pa.Table = read_table(path)
    if table.column_names != list(columns):
        raise DamagedFileError(path, found="its columns are not those of this version")
    rows: list[Row] = table.to_pylist()
    return rows


def ordered(rows: Iterable[Row], names: Iterable[str]) -> list[Row]:
    """Sort rows by the named columns, null first."""
    columns = tuple(names)
    return sorted(rows, key=lambda row: [(row[name] is not None, row[name]) for name in columns])


# -- measurements ------------------------------------------------------------------------------------------------------


def measurement_rows(evaluation: Evaluation, predictions: Predictions, *, study: str, config_digest: str) -> list[Row]:
    """Return one row per model, attack, metric and experiment: the rate with Wilson's 95 % interval and its count.

    A rate without an image that counts is null with count 0. `credible` is null: no check of these rates is defined.
    """
    measured = [
        (setting, _place(evaluation, study=study) | setting._asdict() | {"metric": metric} | _rate(outcome))
        for setting, metric, outcome in outcomes(predictions, evaluation.targets)
    ]
    return [
        row | {"experiment": experiment, "credible": None, "config_digest": config_digest}
        for experiment, scope in evaluation.experiments.items()
        for setting, row in measured
        if scope.holds(setting)
    ]


def _place(evaluation: Evaluation, *, study: str) -> Row:
    """Return the columns that all rows of an evaluation share."""
    return {
        "study": study,
        "teacher": evaluation.teacher,
        "injection": evaluation.injection,
        "dataset": evaluation.dataset,
        "split": SPLIT,
    }


def _rate(outcome: Outcome) -> Row:
    """Return a rate's columns."""
    low, high = wilson(outcome.hits, outcome.count) if outcome.count else (None, None)
    return {"value": outcome.value, "count": outcome.count, "low": low, "high": high}


# -- summary -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Judged:
    """An evaluation with its outcomes by setting and metric."""

    evaluation: Evaluation
    outcomes: Mapping[tuple[Setting, str], Outcome]

    @classmethod
    def of(cls, evaluation: Evaluation, predictions: Predictions) -> Judged:
        """Judge the predictions of an evaluation."""
        found = {(setting, metric): outcome for setting, metric, outcome in outcomes(predictions, evaluation.targets)}
        return cls(evaluation, found)

    def of_seeds(self, row: Row) -> dict[int, Outcome]:
        """Return the outcomes behind a summary row by seed, those with a counted image alone."""
        wanted = {name: row[name] for name in Setting._fields if name != "seed"}
        return {
            setting.seed: outcome
            for (setting, metric), outcome in self.outcomes.items()
            if metric == row["metric"]
            and outcome.count
            and all(getattr(setting, name) == value for name, value in wanted.items())
        }


def check_samples(evaluations: Sequence[Evaluation], predictions: Sequence[Predictions]) -> None:
    """Raise DataError when a model and its control judged other images: their outcomes could not be paired."""
    found = {_name(evaluation): judged for evaluation, judged in zip(evaluations, predictions, strict=True)}
    for evaluation in evaluations:
        if evaluation.control is None:
            continue
        mine, other = found[_name(evaluation)], found.get(_control_name(evaluation))
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


def _name(evaluation: Evaluation) -> tuple[str, str, str]:
    return evaluation.teacher, evaluation.injection, evaluation.dataset


def _control_name(evaluation: Evaluation) -> tuple[str, str, str]:
    return evaluation.teacher, evaluation.control or "", evaluation.dataset


def summary_rows(measurements: Sequence[Row], judged: Sequence[Judged], *, seed: int) -> list[Row]:
    """Return one row per model, attack and metric: mean over seeds, interval, and the comparison with its control.

    low and high: t interval over seeds, cut to [0, 1], or Wilson's for a single seed. `difference` is the mean over the
    seeds that both have; `statistics.compare` says how its interval and test come about. `p_value` is Holm-adjusted
    over the study's comparisons of the same metric, each comparison once however many experiments list it; the raw
    p-value is not stored. The control of an infected teacher (method "teacher") is the control teacher itself.

    Each row also carries `counts`, the smallest and largest denominator among its seeds, which is no column.
    """
    rows = [_over_seeds(list(group)) for group in _grouped(measurements)]
    comparisons = _comparisons(rows, judged, seed=seed)
    return [row | _compared(comparisons.get(_comparison_key(row))) | _published(row) for row in rows]


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
        low, high = (min(1.0, max(0.0, end)) for end in t_interval(values))
    counts = [row["count"] for row in known] or [0]
    checks = {row["credible"] for row in rows}
    return {name: rows[0][name] for name in SUMMARY_KEYS} | {
        "seeds": len(values),
        "mean": fmean(values) if values else None,
        "sd": stdev(values) if len(values) > 1 else None,
        "low": low,
        "high": high,
        "credible": None if checks == {None} else False not in checks,
        COUNTS: (min(counts), max(counts)),
    }


def _comparison_key(row: Row) -> tuple[str, ...]:
    """Name a comparison without its experiment, for experiments may share it."""
    return tuple(row[name] for name in _COMPARED)


def _comparisons(rows: Sequence[Row], judged: Sequence[Judged], *, seed: int) -> dict[tuple[str, ...], Comparison]:
    """Compare every row with its control, data set by data set, and adjust the p-values metric by metric."""
    pairs = _pairs(rows, {_name(entry.evaluation): entry for entry in judged})
    raw: dict[tuple[str, ...], Comparison] = {}
    for dataset in sorted({_dataset(key) for key in pairs}):
        keys = [key for key in pairs if _dataset(key) == dataset]
        found = compare([pairs[key] for key in keys], seed=derive_seed(seed, "bootstrap", dataset))
        raw.update(zip(keys, found, strict=True))
    return _adjusted(raw)


def _dataset(key: tuple[str, ...]) -> str:
    """Return the data set of a comparison's key."""
    return key[_COMPARED.index("dataset")]


def _adjusted(raw: Mapping[tuple[str, ...], Comparison]) -> dict[tuple[str, ...], Comparison]:
    """Replace raw p-values by Holm's; a family is all comparisons of one metric (the last part of the key)."""
    adjusted: dict[tuple[str, ...], Comparison] = {}
    for metric in sorted({key[-1] for key in raw}):
        family = [key for key in raw if key[-1] == metric]
        for key, p_value in zip(family, holm([raw[key].p_value for key in family]), strict=True):
            adjusted[key] = Comparison(**{**vars(raw[key]), "p_value": p_value})
    return adjusted


def _pairs(rows: Sequence[Row], judged: Mapping[tuple[str, str, str], Judged]) -> dict[tuple[str, ...], Pair]:
    """Pair each row that has a control with it, over the seeds that both have."""
    pairs: dict[tuple[str, ...], Pair] = {}
    for row in rows:
        mine = judged[row["teacher"], row["injection"], row["dataset"]]
        if mine.evaluation.control is None or _comparison_key(row) in pairs:
            continue
        pair = _pair(mine.of_seeds(row), judged[_control_name(mine.evaluation)].of_seeds(row))
        if pair is not None:
            pairs[_comparison_key(row)] = pair
    return pairs


def _pair(model: Mapping[int, Outcome], control: Mapping[int, Outcome]) -> Pair | None:
    """Stack the outcomes of the seeds that a model and its control share."""
    seeds = sorted(model.keys() & control.keys())
    if not seeds:
        return None
    return Pair(
        counted=np.stack([model[seed].counted for seed in seeds]),
        hit=np.stack([model[seed].hit for seed in seeds]),
        control_counted=np.stack([control[seed].counted for seed in seeds]),
        control_hit=np.stack([control[seed].hit for seed in seeds]),
    )


def _compared(comparison: Comparison | None) -> Row:
    """Return the columns of a comparison, null where there is none."""
    names = {"control": "control", "difference": "difference", "p_value": "p_value"}
    names |= {"difference_low": "low", "difference_high": "high"}
    return {column: getattr(comparison, name, None) for column, name in names.items()}


def _published(row: Row) -> Row:
    """Return the columns of the published number: none is entered for these metrics."""
    verdict = judge(published=None, low=row["low"], high=row["high"], mean=row["mean"])
    return {"published": None, "published_source": None, "verdict": verdict}


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
    reproduced: the interval holds the published number. within_tolerance: it does not, but the mean lies at most
    `tolerance` away. contradicted: otherwise.
    """
    if published is None:
        return "no_target"
    if incomparable or mean is None:
        return f"not_comparable ({incomparable or 'nothing was measured'})"
    if low is not None and high is not None and low <= published <= high:
        return "reproduced"
    return "within_tolerance" if tolerance is not None and abs(mean - published) <= tolerance else "contradicted"


def write_summary(path: Path, rows: Sequence[Row], *, study: str) -> None:
    """Write the summary; its metadata keeps the counts behind each row, in the rows' order."""
    counts = [row[COUNTS] for row in rows]
    write_rows(path, rows, columns=SUMMARY, schema="summary", study=study, counts=counts)


def read_summary(path: Path) -> list[Row]:
    """Read the rows of a summary, each with its `counts` (smallest, largest). Raises DamagedFileError."""
    rows = read_rows(path, columns=SUMMARY)
    counts = table_metadata(path).get(COUNTS, [])
    if len(counts) != len(rows):
        raise DamagedFileError(path, found="it lacks the counts of its rows")
    return [row | {COUNTS: tuple(pair)} for row, pair in zip(rows, counts, strict=True)]


def write_csv(path: Path, rows: Sequence[Row], *, columns: Iterable[str]) -> None:
    """Write rows as comma-separated text at full precision, null as nothing (`path` is written as it stands)."""
    names = list(columns)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(names)
        writer.writerows([row[name] for name in names] for row in rows)


# -- costs -------------------------------------------------------------------------------------------------------------


def cost_rows(benchmarks: Mapping[str, Mapping[str, Any]], *, study: str) -> list[Row]:
    """Return what each kind of job took, from Snakemake's benchmark files by path and the keys they belong to.

    Keys are columns of the table, and `rule`, which stands in `condition`; those that a job lacks are null, the study
    is `study` where a job does not name another. Jobs with equal keys add up: seconds summed, peak memory in bytes the
    largest, `jobs` their number. Files that do not exist are left out: their jobs ran before benchmarks were kept.
    """
    measured = [
        _cost_key(keys, study=study, where=path) | cost
        for path, keys in benchmarks.items()
        if Path(path).is_file()
        for cost in read_benchmark(Path(path))
    ]
    groups = groupby(ordered(measured, KEYS), key=lambda row: [row[name] for name in KEYS])
    return [_total(list(group)) for _, group in groups]


def _cost_key(keys: Mapping[str, Any], *, study: str, where: str) -> Row:
    """Return the key columns of a job. Raises ConfigError for a key that is no column."""
    unknown = sorted(keys.keys() - {*KEYS, "rule"})
    if unknown:
        raise ConfigError(f"{', '.join(unknown)} is no column of costs", where=where, mend=f"use {', '.join(KEYS)}")
    row = dict.fromkeys(KEYS) | {"study": study} | {name: value for name, value in keys.items() if name != "rule"}
    return row | {"condition": keys.get("rule", row["condition"])}


def read_benchmark(path: Path) -> list[Row]:
    """Read a Snakemake benchmark file: a row per run with seconds and peak_memory_bytes (null for very short jobs).

    Its max_rss is in MiB. Raises DamagedFileError where there is no such table.
    """
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    try:
        return [{"seconds": float(row["s"]), "peak_memory_bytes": _bytes(row["max_rss"])} for row in rows]
    except (KeyError, TypeError, ValueError) as error:
        raise DamagedFileError(path, found=f"no benchmark: {error}") from error


def _bytes(mebibytes: str) -> int | None:
    """Read a memory field; Snakemake writes "-" or "NA" for what it could not sample."""
    return None if mebibytes in {"-", "NA", ""} else round(float(mebibytes) * 1024**2)


def _total(rows: Sequence[Row]) -> Row:
    """Add up jobs of equal keys."""
    peaks = [row["peak_memory_bytes"] for row in rows if row["peak_memory_bytes"] is not None]
    return {name: rows[0][name] for name in KEYS} | {
        "seconds": sum(row["seconds"] for row in rows),
        "peak_memory_bytes": max(peaks, default=None),
        "jobs": len(rows),
    }
