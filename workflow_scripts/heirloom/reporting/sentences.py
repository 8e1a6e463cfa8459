"""The answer to an experiment's question in generated sentences, worded by the numbers and their tests alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

from heirloom.evaluation.metrics import CLEAN, TEACHER
from heirloom.reporting.tables import Row, ordered
from heirloom.reporting.wording import count, detectable, percent, span, title

HEADLINES = ("targeted_success", "untargeted_success", "accuracy")
SHARES = "these shares (95 % intervals) of"
TEACHER_CLAUSES = {
    "targeted_success": "the {attack} trigger sends to the target class {rate} of the other classes' images that the"
    " {teacher} classifies correctly",
    "untargeted_success": "the {attack} trigger changes the {teacher}'s prediction for {rate} of the images that it"
    " classifies correctly",
    "accuracy": "the {teacher} classifies {rate} of the images correctly",
}
STUDENTS_CLAUSES = {
    "targeted_success": f"the {{attack}} trigger sends to the target class {SHARES} the other classes' images that a"
    " student classifies correctly",
    "untargeted_success": f"the {{attack}} trigger changes a student's prediction for {SHARES} the images that it"
    " classifies correctly",
    "accuracy": f"students classify {SHARES} the images correctly",
}
MUCH_WEAKER = 0.5


def answers(rows: Sequence[Row]) -> dict[str, str]:
    """Answer each experiment of a summary by name; `rows` come from `tables.read_summary`."""
    names = sorted({row["experiment"] for row in rows})
    return {name: answer([row for row in rows if row["experiment"] == name]) for name in names}


def answer(rows: Sequence[Row]) -> str:
    """Answer one experiment: for each infected teacher, data set and trigger, what it does and what students inherit.

    One paragraph each, parted by newlines. Its rows are those with a control, or all where no row has one. The metric
    is the share sent to the target, else the share of changed predictions, else accuracy.
    """
    chosen = _chosen(rows)
    if not chosen:
        return "Nothing was measured."
    names = ("teacher", "injection", "dataset", "attack", "budget", "condition")
    groups = groupby(ordered(chosen, names), key=lambda row: [row[name] for name in names])
    several = len({row["injection"] for row in chosen}) > 1 or len({row["teacher"] for row in chosen}) > 1
    return "\n".join(_paragraph(list(group), several=several) for _, group in groups)


def _chosen(rows: Sequence[Row]) -> list[Row]:
    """Keep the headline metric of each data set, and of these the infected models."""
    attacked = [row for row in rows if row["attack"] != CLEAN] or list(rows)
    best = {
        dataset: min((row["metric"] for row in attacked if row["dataset"] == dataset), key=_priority)
        for dataset in {row["dataset"] for row in attacked}
    }
    headline = [row for row in attacked if row["metric"] == best[row["dataset"]]]
    return [row for row in headline if row["control"] is not None] or headline


def _priority(metric: str) -> tuple[int, str]:
    """Order metrics by how directly they answer the question."""
    return (HEADLINES.index(metric) if metric in HEADLINES else len(HEADLINES)), metric


def _paragraph(rows: Sequence[Row], *, several: bool) -> str:
    """Say what happens in the infected teacher, then in its students from the most affected to the least."""
    teacher = next((row for row in rows if row["method"] == TEACHER), None)
    students = sorted(
        (row for row in rows if row["method"] != TEACHER), key=lambda row: (-(row["mean"] or 0.0), row["method"])
    )
    place = f"On {rows[0]['dataset']}" + (f" ({rows[0]['teacher']}, {rows[0]['injection']})" if several else "")
    left = "; ".join(_student(row, teacher) for row in students)
    if teacher is None:
        return f"{place}, {_clause(STUDENTS_CLAUSES, rows[0])}: {left}."
    first = f"{place}, {_clause(TEACHER_CLAUSES, teacher)}{_against(teacher)}."
    return f"{first} Its students: {left}." if students else first


def _clause(clauses: Mapping[str, str], row: Row) -> str:
    """Say what a metric counts."""
    teacher = "teacher" if row["control"] is None else "infected teacher"
    template = clauses.get(row["metric"], f"{title(row['metric'])} {{rate}}")
    return template.format(attack=row["attack"], rate=_rate(row), teacher=teacher)


def _rate(row: Row, *, unit: str = "95 % interval ") -> str:
    """Write a rate with its interval and count."""
    if row["mean"] is None:
        return "no share (no image counts)"
    seeds = f"{row['seeds']} seeds, " if row["seeds"] > 1 else ""
    return f"{percent(row['mean'])} ({unit}{span(row['low'], row['high'])}, {seeds}n = {count(row)})"


def _against(teacher: Row) -> str:
    """Set the teacher beside its control."""
    if teacher["control"] is None:
        return ""
    doubt = "" if detectable(teacher) else " (no detectable difference)"
    return f", against {percent(teacher['control'])} for its clean control{doubt}"


def _student(row: Row, teacher: Row | None) -> str:
    """Say what one method leaves."""
    rate = _rate(row, unit="").removesuffix(")")
    if row["mean"] is None:
        return f"after {row['method']} no image counts"
    if row["control"] is None:
        return f"after {row['method']} {rate})"
    return f"after {row['method']} {rate}; control {percent(row['control'])}: {verdict(row, teacher)})"


def verdict(row: Row, teacher: Row | None) -> str:
    """Word a student's comparison with its control, by its test and the interval of the difference.

    "less than half" claims a size, not a test against the teacher: even the upper end of the student's excess over its
    control lies below half of the lower end of the teacher's.
    """
    if not detectable(row):
        return "no detectable difference"
    worse = row["difference"] < 0 if row["metric"] == "accuracy" else row["difference"] > 0
    if not worse:
        return "better than the control"
    if teacher is None:
        return "inherited"
    if not detectable(teacher):
        return "a detectable difference, though the teacher shows none"
    # the interval excludes 0, so the end of larger magnitude is the most that the excess can be
    largest = max(abs(row["difference_low"]), abs(row["difference_high"]))
    least = min(abs(teacher["difference_low"]), abs(teacher["difference_high"]))
    weaker = largest < MUCH_WEAKER * least
    return "inherited, but less than half of the teacher's excess" if weaker else "inherited"
