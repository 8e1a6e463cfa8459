"""The answer to an experiment's question in generated sentences, worded by the numbers and their tests alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from heirloom.evaluation.metrics import CLEAN, TEACHER
from heirloom.reporting import attack_suites, attention, detection, repairs, robustness
from heirloom.reporting.injections import injection_paragraphs
from heirloom.reporting.tables import KIND, Row, is_measured
from heirloom.reporting.views import TRIGGER, by_effect, by_subject, shown, subject
from heirloom.reporting.wording import detectable, difference, listed, percent, place, rate, title

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
COLLAPSE = "collapse"
INHERITED, WEAKER, FOREIGN, BETTER, NO_DIFFERENCE = (
    "inherited",
    "inherited, but less than half of the teacher's {measure}",
    "a detectable difference, though the teacher shows none",
    "better than the control",
    "no detectable difference",
)
# what one student does, what several do
SHORT = {
    INHERITED: ("inherits it", "inherit it"),
    WEAKER: ("inherits less than half of the teacher's {measure}", "inherit less than half of the teacher's {measure}"),
    FOREIGN: (
        "differs from its control though the teacher does not",
        "differ from their controls, the teacher does not",
    ),
    BETTER: ("does better than its control", "do better than their controls"),
    NO_DIFFERENCE: (
        "shows no detectable difference from its control",
        "show no detectable difference from their controls",
    ),
}
NAMED = 3  # students that a short answer names of each kind


def answers(rows: Sequence[Row], comparisons: Sequence[Row] = ()) -> dict[str, str]:
    """Answer each experiment of a summary by name; the rows come from `tables.read_summary` and `read_comparisons`."""
    return {name: answer(*of_experiment(name, rows, comparisons)) for name in experiment_names(rows)}


def short_answers(rows: Sequence[Row], comparisons: Sequence[Row] = ()) -> dict[str, str]:
    """Answer each experiment by name in one sentence; the rows are those of `answers`."""
    return {name: short_answer(*of_experiment(name, rows, comparisons)) for name in experiment_names(rows)}


def experiment_names(rows: Sequence[Row]) -> list[str]:
    """Return the experiments of a summary of which anything was measured, sorted."""
    return sorted({row["experiment"] for row in rows if is_measured(row)})


def of_experiment(name: str, *tables: Sequence[Row]) -> list[list[Row]]:
    """Return each table's rows of one experiment."""
    return [[row for row in rows if row["experiment"] == name] for rows in tables]


def answer(rows: Sequence[Row], comparisons: Sequence[Row] = ()) -> str:
    """Answer one experiment: for each infected teacher, data set and trigger, what it does and what students inherit.

    One paragraph each, parted by newlines. Its rows are those with a control, or all where no row has one. The metric
    is the share sent to the target, else the share of changed predictions (with the share sent to one wrong class),
    else accuracy. Then, for each attack that only wants students wrong, what `robustness.paragraphs` says, how
    injections differ from the baseline injection, and what detectors found (`detection.paragraphs`) and where models
    look (`attention.paragraphs`). Of robust models what `repairs.paragraphs` says, alone, of attacked ones what
    `attack_suites.paragraphs` says.
    """
    if attack_suites.asked(rows):
        return "\n".join(attack_suites.paragraphs(rows, comparisons)) or "Nothing was measured."
    if repairs.asked(rows):
        return "\n".join(repairs.paragraphs(rows, comparisons)) or "Nothing was measured."
    chosen = _chosen(rows)
    several = len({row["injection"] for row in chosen}) > 1 or len({row["teacher"] for row in chosen}) > 1
    found = []
    for key, group in by_subject(chosen):
        collapsed = [row for row in rows if row["metric"] == COLLAPSE and subject(row) == key]
        against = robustness.against_baseline(group, comparisons)
        found.append(_paragraph(group, collapsed, several=several) + against)
    found += robustness.paragraphs(rows, comparisons) + injection_paragraphs(comparisons, rows)
    found += detection.paragraphs(rows) + attention.paragraphs(rows)
    return "\n".join(found) or "Nothing was measured."


def short_answer(rows: Sequence[Row], comparisons: Sequence[Row] = ()) -> str:
    """Answer one experiment in one sentence: how many students differ from their controls, and the first of each kind.

    Worded by the same tests as `answer`. Students without a control are counted as such, no more.
    """
    if attack_suites.asked(rows):
        return _sentence(attack_suites.short_parts(rows, comparisons)) or "Nothing was measured."
    if repairs.asked(rows):
        return _sentence(repairs.short_parts(rows, comparisons)) or "Nothing was measured."
    chosen = _chosen(rows)
    verdicts: dict[tuple[str, str], list[Row]] = {}
    for _, group in by_subject(chosen):
        teacher = _teacher(group)
        for row in group:
            if row["method"] != TEACHER and row["control"] is not None:
                verdicts.setdefault((row["metric"], _kind(row, teacher)), []).append(row)
    metrics = sorted({metric for metric, _ in verdicts}, key=_priority)
    parts = [_short(metric, verdicts, chosen) for metric in metrics]
    parts += robustness.short_parts([*chosen, *robustness.fooled(rows)], comparisons)
    if not parts:
        return "No model was compared with a control." if shown(rows) else "Nothing was measured."
    return _sentence(parts)


def _sentence(parts: Sequence[str]) -> str:
    """Join parts to one sentence; "" without any."""
    told = "; ".join(parts)
    return f"{told[0].upper()}{told[1:]}." if told else ""


def _short(metric: str, verdicts: Mapping[tuple[str, str], Sequence[Row]], chosen: Sequence[Row]) -> str:
    """Word the part of a short answer that one metric gives, from the most affected students to the least."""
    found = [(kind, verdicts[metric, kind]) for kind in SHORT if (metric, kind) in verdicts]
    total = sum(len(rows) for _, rows in found)
    parts = []
    for kind, rows in found:
        words = SHORT[kind][len(rows) > 1].format(measure=_measure(metric))
        who = len(rows) if len(rows) < total else _all(total)
        parts.append(f"{who} {words} ({_members(rows, chosen)})")
    whole = f"of {total} students, " if len(found) > 1 else ""
    return f"{title(metric)}: {whole}{listed(parts)}"


def _all(students: int) -> str:
    """Name all of some students."""
    return {1: "the one student", 2: "both students"}.get(students, f"all {students} students")


def _members(rows: Sequence[Row], chosen: Sequence[Row]) -> str:
    """Name the first students of a kind, each with its rate and its control's."""
    varied = [name for name in ("teacher", "injection", "dataset") if len({row[name] for row in chosen}) > 1]
    told = []
    for row in by_effect(rows)[:NAMED]:
        where = ", ".join(row[name] for name in varied)
        name = f"{row['method']}, {where}:" if where else row["method"]
        told.append(f"{name} {percent(row['mean'])} against {percent(row['control'])}")
    more = [f"{len(rows) - NAMED} more"] if len(rows) > NAMED else []
    return "; ".join(told + more) if varied else ", ".join(told + more)


def _teacher(rows: Sequence[Row]) -> Row | None:
    """Return the row of the teacher itself."""
    return next((row for row in rows if row["method"] == TEACHER), None)


def _chosen(rows: Sequence[Row]) -> list[Row]:
    """Keep the headline metric of each data set and injection, and of these the infected models.

    Other attacks than triggers are told elsewhere; beside them, accuracy without a control asks no question.
    """
    mine = [row for row in shown(rows) if row[KIND] in ("", TRIGGER)]
    infected = [row for row in mine if row["control"] is not None]
    if not infected and not (robustness.fooled(rows) and all(row["attack"] == CLEAN for row in mine)):
        infected = mine
    places: dict[tuple[str, str], list[Row]] = {}
    for row in infected:
        places.setdefault((row["dataset"], row["injection"]), []).append(row)
    chosen: list[Row] = []
    for mine in places.values():
        attacked = [row for row in mine if row["attack"] != CLEAN] or mine
        best = min((row["metric"] for row in attacked), key=_priority)
        chosen += [row for row in attacked if row["metric"] == best]
    return chosen


def _priority(metric: str) -> tuple[int, str]:
    """Order metrics by how directly they answer the question."""
    return (HEADLINES.index(metric) if metric in HEADLINES else len(HEADLINES)), metric


def _paragraph(rows: Sequence[Row], collapsed: Sequence[Row], *, several: bool) -> str:
    """Say what happens in the infected teacher, then in its students from the most affected to the least."""
    teacher = _teacher(rows)
    students = by_effect([row for row in rows if row["method"] != TEACHER])
    where = place(rows[0], varied=("teacher", "injection") if several else ())
    left = "; ".join(_student(row, teacher) for row in students)
    to_one = "; ".join(_student(row, None) for row in by_effect(collapsed) if row["method"] != TEACHER)
    last = f" Sent to one wrong class: {to_one}." if to_one else ""
    if teacher is None:
        return f"{where}, {_clause(STUDENTS_CLAUSES, rows[0])}: {left}.{last}"
    first = f"{where}, {_clause(TEACHER_CLAUSES, teacher)}{_against(teacher)}."
    return f"{first} Its students: {left}.{last}" if students else first


def _clause(clauses: Mapping[str, str], row: Row) -> str:
    """Say what a metric counts."""
    teacher = "teacher" if row["control"] is None else "infected teacher"
    template = clauses.get(row["metric"], f"{title(row['metric'])} {{rate}}")
    return template.format(attack=row["attack"], rate=rate(row), teacher=teacher)


def _against(teacher: Row) -> str:
    """Set the teacher beside its control."""
    if teacher["control"] is None:
        return ""
    notes = [_difference(teacher)] if teacher["metric"] == "accuracy" else []
    notes += [] if detectable(teacher) else [NO_DIFFERENCE]
    return f", against {percent(teacher['control'])} for its clean control" + (
        f" ({'; '.join(notes)})" if notes else ""
    )


def _difference(row: Row) -> str:
    """Write the paired difference to the control, which is what accuracy is judged by."""
    if row["difference"] is None:
        return "no difference measured"
    return f"difference {difference(row | {'low': row['difference_low'], 'high': row['difference_high']})}"


def _student(row: Row, teacher: Row | None) -> str:
    """Say what one method leaves."""
    told = rate(row, unit="").removesuffix(")")
    if row["mean"] is None:
        return f"after {row['method']} no image counts"
    if row["control"] is None:
        return f"after {row['method']} {told})"
    control = f"control {percent(row['control'])}"
    control += f"; {_difference(row)}" if row["metric"] == "accuracy" else ""
    return f"after {row['method']} {told}; {control}: {verdict(row, teacher)})"


def verdict(row: Row, teacher: Row | None) -> str:
    """Word a student's comparison with its control, by its test and the interval of the difference.

    "less than half" claims a size, not a test against the teacher: even the upper end of the student's excess over its
    control (or loss of accuracy) lies below half of the lower end of the teacher's.
    """
    return _kind(row, teacher).format(measure=_measure(row["metric"]))


def _measure(metric: str) -> str:
    """Say what a defect costs: more attack success, or less accuracy."""
    return "loss" if metric == "accuracy" else "excess"


def _kind(row: Row, teacher: Row | None) -> str:
    """Judge a student against its control."""
    if not detectable(row):
        return NO_DIFFERENCE
    worse = row["difference"] < 0 if row["metric"] == "accuracy" else row["difference"] > 0
    if not worse:
        return BETTER
    if teacher is None:
        return INHERITED
    if not detectable(teacher):
        return FOREIGN
    # the interval excludes 0, so the end of larger magnitude is the most that the excess can be
    largest = max(abs(row["difference_low"]), abs(row["difference_high"]))
    least = min(abs(teacher["difference_low"]), abs(teacher["difference_high"]))
    return WEAKER if largest < MUCH_WEAKER * least else INHERITED
