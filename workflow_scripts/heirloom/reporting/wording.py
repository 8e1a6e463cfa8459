"""How numbers read in every table, figure and sentence: percentages with one decimal, intervals, counts, p-values."""

from __future__ import annotations

from collections.abc import Sequence

from heirloom.evaluation.metrics import TEACHER
from heirloom.reporting.tables import COUNTS, Row

NOTHING = "-"
SIGNIFICANT = 0.05
METRIC_TITLES = {
    "accuracy": "accuracy",
    "targeted_success": "sent to the target",
    "untargeted_success": "prediction changed",
    "collapse": "sent to one wrong class",
}


def method_title(method: str) -> str:
    """Name a method in a table or figure."""
    return "the teacher itself" if method == TEACHER else method


def number(rate: float | None, *, sign: bool = False) -> str:
    """Write a rate in [0, 1] as percent without the unit: 0.971 -> 97.1, with `sign` +97.1; null as a hyphen."""
    if rate is None:
        return NOTHING
    rounded = round(100 * rate, 1) + 0.0  # no "-0.0"
    return f"{rounded:+.1f}" if sign else f"{rounded:.1f}"


def percent(rate: float | None) -> str:
    """Write a rate with its unit: 97.1 %."""
    return NOTHING if rate is None else f"{number(rate)} %"


def span(low: float | None, high: float | None, *, sign: bool = False) -> str:
    """Write an interval of rates in percent: 94.0-98.6, with `sign` +90.1 to +97.0; nothing where there is none."""
    if low is None or high is None:
        return ""
    return f"{number(low, sign=sign)}{' to ' if sign else '-'}{number(high, sign=sign)}"


def count(row: Row) -> str:
    """Write the denominator of a row: 239, or 230-239 where seeds differ."""
    smallest, largest = row[COUNTS]
    return str(smallest) if smallest == largest else f"{smallest}-{largest}"


def counts(rows: Sequence[Row]) -> str:
    """Write the smallest to the largest denominator among rows."""
    found = [bound for row in rows for bound in row[COUNTS]]
    return count({COUNTS: (min(found), max(found))}) if found else "0"


def p_value(value: float | None) -> str:
    """Write a p-value with three decimals, or as less than 0.001."""
    if value is None:
        return NOTHING
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def detectable(row: Row) -> bool:
    """Tell whether a row differs from its control: adjusted p below 0.05 and 0 outside the difference's interval."""
    if row["p_value"] is None or row["p_value"] >= SIGNIFICANT:
        return False
    return bool(row["difference_low"] > 0 or row["difference_high"] < 0)


def title(metric: str) -> str:
    """Name a metric in words."""
    return METRIC_TITLES.get(metric, metric.replace("_", " "))


def contact_sheet_caption(*, triggered: bool, target: bool) -> str:
    """Say by which rule a contact sheet's images were chosen, and what its columns show."""
    classes = "the first six classes other than the target's" if target else "the first six classes"
    shown = "the first test image, clean and as every evaluation shows it with the trigger; and " if triggered else ""
    learned = "the first training image that carries the defect, as stored and on one augmented visit of the training"
    return f"Of {classes}: {shown}{learned}, with its own label and the one it was taught."
