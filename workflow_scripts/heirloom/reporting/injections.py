"""Injections against the experiment's baseline injection, in generated sentences."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from heirloom.reporting.tables import Row, of_injections
from heirloom.reporting.wording import difference, differs, method_title, percent, place

HEADLINES = {  # by how directly they answer
    "targeted_success": "the share that the {attack} trigger sends to the target",
    "untargeted_success": "the share of predictions that the {attack} trigger changes",
    "accuracy": "accuracy",
}
SAME = "no detectable difference"


def injection_paragraphs(comparisons: Sequence[Row]) -> list[str]:
    """Say how each injection's models differ from those of the baseline injection: a paragraph a teacher and data set.

    The metric is the first of `HEADLINES` that was compared there. What rises, falls or does not differ is worded by
    the tests alone.
    """
    mine = sorted(filter(of_injections, comparisons), key=_place)
    return [_paragraph(list(rows)) for _, rows in groupby(mine, key=_place)]


def _place(row: Row) -> tuple[str, ...]:
    return row["teacher"], row["dataset"], row["baseline_injection"]


def _paragraph(rows: Sequence[Row]) -> str:
    """Tell one teacher and data set, injection by injection."""
    metric = next(name for name in (*HEADLINES, rows[0]["metric"]) if any(row["metric"] == name for row in rows))
    told = sorted((row for row in rows if row["metric"] == metric), key=lambda row: row["injection"])
    parts = [
        f"{injection}: {', '.join(map(_clause, group))}"
        for injection, group in groupby(told, key=lambda row: row["injection"])
    ]
    what = HEADLINES.get(metric, metric).format(attack=told[0]["attack"])
    return (
        f"{place(told[0], varied=('teacher',))}, {what}, against {told[0]['baseline_injection']}: {'; '.join(parts)}."
    )


def _clause(row: Row) -> str:
    """Tell one method: fine-tuning 50.9 % against 61.0 % (-10.1 points, -14.9 to -5.3, p < 0.001)."""
    change = difference(row) if differs(row["p_value"], row["low"], row["high"]) else SAME
    return f"{method_title(row['method'])} {percent(row['mean'])} against {percent(row['baseline_mean'])} ({change})"
