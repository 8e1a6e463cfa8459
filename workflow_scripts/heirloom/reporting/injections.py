"""Injections against the experiment's baseline injection, in generated sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

from heirloom.evaluation.metrics import CLEAN
from heirloom.reporting.tables import Row, of_injections
from heirloom.reporting.wording import difference, differs, method_title, percent, place

HEADLINES = {  # by how directly they answer
    "targeted_success": "the share that the {attack} trigger sends to the target",
    "untargeted_success": "the share of predictions that the {attack} trigger changes",
    "accuracy": "accuracy",
}
SAME = "no detectable difference"
ONE_TEACHER = " Each injection was trained once: the tests say nothing of another training of it."

Controls = Mapping[tuple[str, ...], float | None]


def injection_paragraphs(comparisons: Sequence[Row], rows: Sequence[Row]) -> list[str]:
    """Say how each injection's models differ from those of the baseline injection: one paragraph a place and trigger.

    The metric is the first of `HEADLINES` that was compared there; accuracy is told where no trigger was shown to both.
    `rows` are the summary's, whose controls stand beside the rates. What rises, falls or does not differ is worded by
    the tests alone, and these are about two trained teachers: another training of the same injections may differ.
    """
    mine = sorted(filter(of_injections, comparisons), key=_place)
    controls = {_model(row, row["injection"]): row["control"] for row in rows}
    told = [
        _paragraph(list(group), controls)
        for _, found in groupby(mine, key=lambda row: _place(row)[:3])
        for _, group in groupby(_by_trigger(list(found)), key=_place)
    ]
    return [*told[:-1], told[-1] + ONE_TEACHER] if told else []


def _place(row: Row) -> tuple[str, ...]:
    return row["teacher"], row["dataset"], row["baseline_injection"], row["attack"]


def _model(row: Row, injection: str) -> tuple[str, ...]:
    return injection, *(row[name] for name in ("teacher", "dataset", "method", "attack", "condition", "metric"))


def _by_trigger(rows: Sequence[Row]) -> list[Row]:
    """Leave accuracy out for the injections of which a trigger's rates are told."""
    attacked = {row["injection"] for row in rows if row["attack"] != CLEAN}
    return [row for row in rows if row["attack"] != CLEAN or row["injection"] not in attacked]


def _paragraph(rows: Sequence[Row], controls: Controls) -> str:
    """Tell one teacher, data set and trigger, injection by injection."""
    metric = next(name for name in (*HEADLINES, rows[0]["metric"]) if any(row["metric"] == name for row in rows))
    told = sorted((row for row in rows if row["metric"] == metric), key=lambda row: row["injection"])
    parts = [
        f"{injection}: {', '.join(_clause(row, controls) for row in group)}"
        for injection, group in groupby(told, key=lambda row: row["injection"])
    ]
    what = HEADLINES.get(metric, metric).format(attack=told[0]["attack"])
    return (
        f"{place(told[0], varied=('teacher',))}, {what}, against {told[0]['baseline_injection']}: {'; '.join(parts)}."
    )


def _clause(row: Row, controls: Controls) -> str:
    """Tell one method: fine-tuning 50.9 % against 61.0 % (controls 0.2 % and 0.0 %; -10.1 points, ...)."""
    change = difference(row) if differs(row["p_value"], row["low"], row["high"]) else SAME
    both = [controls.get(_model(row, row[name])) for name in ("injection", "baseline_injection")]
    beside = "" if None in both else f"controls {percent(both[0])} and {percent(both[1])}; "
    rates = f"{percent(row['mean'])} against {percent(row['baseline_mean'])}"
    return f"{method_title(row['method'])} {rates} ({beside}{change})"
