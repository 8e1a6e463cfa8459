"""How numbers read in every table, figure and sentence: percentages with one decimal, intervals, counts, p-values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from heirloom.config.models import InjectionSettings
from heirloom.evaluation.measures import MEASURES
from heirloom.evaluation.metrics import TEACHER
from heirloom.reporting.tables import COUNTS, MEAN, Row

NOTHING = "-"
SIGNIFICANT = 0.05
VERDICTS = ("reproduced", "within tolerance", "contradicted", "not comparable")
METRIC_TITLES = {
    "accuracy": "accuracy",
    "targeted_success": "sent to the target",
    "untargeted_success": "prediction changed",
    "collapse": "sent to one wrong class",
    "attack_success": "attack success",
    "robust_accuracy": "robust accuracy",
}
DOUBTED = "not credible"


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


def amount(value: float | None, *, sign: bool = False) -> str:
    """Write a measure in its own unit with two decimals: 2.31, with `sign` +2.31; null as a hyphen."""
    if value is None:
        return NOTHING
    rounded = round(value, 2) + 0.0  # no "-0.00"
    return f"{rounded:+.2f}" if sign else f"{rounded:.2f}"


def amounts(low: float | None, high: float | None, *, sign: bool = False) -> str:
    """Write an interval of a measure: 2.10 to 2.52; nothing where there is none."""
    return "" if low is None or high is None else f"{amount(low, sign=sign)} to {amount(high, sign=sign)}"


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


def differs(p: float | None, low: float | None, high: float | None) -> bool:
    """Tell whether a difference is detectable: adjusted p below 0.05 and 0 outside its interval."""
    if p is None or low is None or high is None or p >= SIGNIFICANT:
        return False
    return low > 0 or high < 0


def detectable(row: Row) -> bool:
    """Tell whether a row of the summary differs from its control."""
    return differs(row["p_value"], row["difference_low"], row["difference_high"])


def difference(row: Row) -> str:
    """Write a comparison with its interval and p-value, if it has one: -5.0 points, -7.1 to -2.9, p = 0.002.

    `row` is one of comparisons.parquet.
    """
    told = f"{number(row['difference'], sign=True)} points, {span(row['low'], row['high'], sign=True)}"
    return told if row["p_value"] is None else f"{told}, {p_told(row['p_value'])}"


def p_told(p: float) -> str:
    """Write a p-value in a sentence: p = 0.002 or p < 0.001."""
    found = p_value(p)
    return f"p < {found[1:]}" if found.startswith("<") else f"p = {found}"


def p_mark(p: float | None) -> str:
    """Write a p-value behind the number that it belongs to: p=0.002 or p<0.001; nothing where there is none."""
    found = p_value(p)
    return "" if p is None else f"p{'' if found.startswith('<') else '='}{found}"


def rate(row: Row, *, unit: str = "95 % interval ") -> str:
    """Write a rate with its interval and count."""
    if row["mean"] is None:
        return "no share (no image counts)"
    seeds = f"{row['seeds']} seeds, " if row["seeds"] > 1 else ""
    return f"{percent(row['mean'])} ({unit}{span(row['low'], row['high'])}, {seeds}n = {count(row)})"


def place(row: Row, *, varied: Sequence[str] = ()) -> str:
    """Say where something was measured: On signs (net, infected); `varied` names the columns in the brackets."""
    where = "On average over the data sets" if row["dataset"] == MEAN else f"On {row['dataset']}"
    return where + (f" ({', '.join(row[name] for name in varied)})" if varied else "")


def listed(parts: Sequence[str]) -> str:
    """Join parts as in a sentence: a, b and c."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else "".join(parts)


def verdicts(rows: Sequence[Row]) -> str:
    """Count the verdicts on the published numbers among rows: Published numbers: 3 reproduced, 2 contradicted."""
    found = Counter(row["verdict"].split(" ")[0].replace("_", " ") for row in rows if row["published"] is not None)
    told = ", ".join(f"{found[name]} {name}" for name in VERDICTS if found[name])
    return f"Published numbers: {told}." if told else ""


def title(metric: str) -> str:
    """Name a metric in words."""
    return (METRIC_TITLES | MEASURES).get(metric, metric.replace("_", " "))


def contact_sheet_caption(injection: InjectionSettings) -> str:
    """Say by which rule a contact sheet's images were chosen, and what its columns show."""
    classes = "the first six classes" if injection.aim is None else "the first six classes other than the target's"
    evaluated = "the first test image, clean and as every evaluation shows it with the trigger; and "
    shown = evaluated if injection.triggers else ""
    learned = "the first training image that carries the defect, as stored and on one augmented visit of the training"
    return f"Of {classes}: {shown}{learned}, with its own label and {injection.taught}."
