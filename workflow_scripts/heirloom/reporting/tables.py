"""The tables that users script against: their columns, the table contract's, and how they are written and read."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from heirloom.evaluation import credibility
from heirloom.evaluation.metrics import EvaluationFacts, Outcome, PredictionTable, outcomes
from heirloom.evaluation.statistics import wilson
from heirloom.runtime.errors import ConfigError, DamagedFileError
from heirloom.runtime.files import read_table, table_metadata, write_table

if TYPE_CHECKING:
    import pyarrow as pa

Row = dict[str, Any]

VERSION = 1
# 2: attacks are compared with an attack, means over data sets with means; 3: injections are with an injection
COMPARISONS_VERSION = 3
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
COMPARISONS = {
    **dict.fromkeys(
        ("study", "experiment", "teacher", "injection", "baseline_injection", "dataset", "split", "method", "baseline"),
        "string",
    ),
    **dict.fromkeys(("attack", "baseline_attack", "budget", "condition", "metric"), "string"),
    "seeds": "int32",
    **dict.fromkeys(("mean", "baseline_mean", "difference", "low", "high", "p_value"), "float64"),
}
SPLIT = "test"
MEAN = "mean"  # the data set of rates averaged over an experiment's data sets

# What a row of the summary carries beside its columns; the file's metadata keep it.
COUNTS = "counts"  # smallest and largest denominator among its seeds
KIND = "kind"  # of its attack: trigger, feature, noise or white-box; empty for clean images
TITLE = "title"  # of its attack
ASIDE = "aside"  # whether its attack is but the control of another attack of its experiment


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


def measurement_rows(
    evaluation: EvaluationFacts, predictions: PredictionTable, *, study: str, config_digest: str
) -> list[Row]:
    """Return one row per model, attack, metric and experiment: the rate with Wilson's 95 % interval and its count.

    A rate without an image that counts is null with count 0. `credible` is that of `evaluation.credibility` for the
    robust accuracy under an attack on the model itself, whichever experiments list the attacks it is held against, and
    null elsewhere.
    """
    checks = credibility.credible(predictions, evaluation.attacks)
    measured = [
        (setting, place_columns(evaluation, study=study) | setting._asdict() | {"metric": metric} | _rate(outcome))
        for setting, metric, outcome in outcomes(predictions, evaluation.attacks)
    ]
    checked = [
        (setting, row | {"credible": checks.get(setting) if row["metric"] == credibility.METRIC else None})
        for setting, row in measured
    ]
    return [
        row | {"experiment": experiment, "config_digest": config_digest}
        for experiment, scope in evaluation.experiments.items()
        for setting, row in checked
        if scope.holds(setting)
    ]


def place_columns(evaluation: EvaluationFacts, *, study: str) -> Row:
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


def is_measured(row: Row) -> bool:
    """Tell a measured row from one that stands in the summary for its published number alone."""
    return row["budget"] is not None


def write_summary(path: Path, rows: Sequence[Row], *, study: str) -> None:
    """Write the summary; its metadata keeps the counts behind each row, in the rows' order, and what attacks are."""
    counts = [row[COUNTS] for row in rows]
    attacks = {row["attack"]: [row[KIND], row[TITLE]] for row in rows if row[KIND]}
    controls = sorted({(row["experiment"], row["attack"]) for row in rows if row[ASIDE]})
    facts = {COUNTS: counts, "attacks": attacks, "controls": controls}
    write_rows(path, rows, columns=SUMMARY, schema="summary", study=study, **facts)


def read_summary(path: Path) -> list[Row]:
    """Read the rows of a summary with their `counts`, `kind`, `title` and `aside`. Raises DamagedFileError."""
    rows = read_rows(path, columns=SUMMARY)
    facts = table_metadata(path)
    counts, attacks, controls = (facts.get(name) for name in (COUNTS, "attacks", "controls"))
    if attacks is None or controls is None or counts is None or len(counts) != len(rows):
        raise DamagedFileError(path, found="it lacks the counts of its rows, or what its attacks are")
    asides = {tuple(pair) for pair in controls}
    return [
        row | attack_facts(row, attacks, asides) | {COUNTS: tuple(pair)} for row, pair in zip(rows, counts, strict=True)
    ]


def attack_facts(row: Row, attacks: Mapping[str, Sequence[str]], controls: Collection[tuple[str, str]]) -> Row:
    """Return what a row says of its attack; nothing for clean images.

    `attacks` gives (kind, title) by name, `controls` the pairs of an experiment and an attack that is but a control.
    """
    kind, title = attacks.get(row["attack"], ("", ""))
    return {KIND: kind, TITLE: title, ASIDE: (row["experiment"], row["attack"]) in controls}


def write_comparisons(path: Path, rows: Sequence[Row], *, study: str) -> None:
    """Write the planned comparisons of methods and attacks with a baseline."""
    facts = {"schema": "comparisons", "version": COMPARISONS_VERSION}
    write_rows(path, rows, columns=COMPARISONS, study=study, **facts)


def read_comparisons(path: Path) -> list[Row]:
    """Read the planned comparisons. Raises DamagedFileError."""
    return read_rows(path, columns=COMPARISONS)


def of_attacks(row: Row) -> bool:
    """Tell a comparison of two attacks on the same student."""
    return bool(row["baseline_attack"] != row["attack"])


def of_injections(row: Row) -> bool:
    """Tell a comparison of two injections, followed by the same method."""
    return bool(row["baseline_injection"] != row["injection"])


def of_methods(row: Row) -> bool:
    """Tell a comparison of two methods after the same injection and under the same attack."""
    return not of_attacks(row) and not of_injections(row)


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
