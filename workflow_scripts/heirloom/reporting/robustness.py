"""Attacks that only want a student wrong, methods and attacks against a baseline, in generated sentences.

As everywhere, what falls, rises or does not differ is worded by the tests alone; the price in accuracy stands beside.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from heirloom.evaluation.metrics import CLEAN, TEACHER
from heirloom.reporting.tables import KIND, MEAN, Row, of_attacks, of_methods
from heirloom.reporting.views import by_effect, by_subject, shown
from heirloom.reporting.wording import detectable, difference, differs, listed, percent, place, rate, title

HEADLINE = "attack_success"
ROUNDING = 1e-9  # two ways to sum one mean
MEASURES = {
    "targeted_success": "the share sent to the target",
    "untargeted_success": "the share of changed predictions",
    "attack_success": "attack success",
    "accuracy": "accuracy",
}
NAMED = 3  # comparisons that a short answer names of each kind
FALLS, RISES, SAME, UNTESTED = "falls", "rises", "no detectable difference", "untested"
WORDS = {FALLS: FALLS, RISES: RISES, SAME: f"shows {SAME}", UNTESTED: "has no test below three seeds:"}

# comparisons.parquet by what they are about; a name stands for one budget
Comparisons = Mapping[tuple[str, ...], Row]


def fooled(rows: Sequence[Row]) -> list[Row]:
    """Return the attack successes of an experiment's rows, but those of controls."""
    return [row for row in shown(rows) if row["metric"] == HEADLINE]


def paragraphs(rows: Sequence[Row], comparisons: Sequence[Row]) -> list[str]:
    """Say what each attack does to the students of a teacher, injection and data set: one paragraph each.

    The baseline of the experiment comes first and the others are compared with it; without one the most affected comes
    first. Beside each rate stand that of noise of the same size, for a feature attack, and the clean accuracy. Where
    the experiment compares its attacks with one of them, a paragraph for each other attack follows.
    """
    mine = fooled(rows)
    varied = [name for name in ("teacher", "injection") if len({row[name] for row in mine}) > 1]
    accuracies = {_model(row): row for row in shown(rows) if row["metric"] == "accuracy"}
    baseline, found = _baseline(comparisons), _indexed(comparisons)
    told = [_paragraph(group, accuracies, found, baseline, varied) for _, group in by_subject(mine)]
    attacks = [row for row in comparisons if row["metric"] == HEADLINE and of_attacks(row)]
    return told + [_against_attack(group, mine, varied) for _, group in by_subject(attacks)]


def _baseline(comparisons: Sequence[Row]) -> str:
    """Return the baseline method of an experiment's comparisons."""
    return next((str(row["baseline"]) for row in comparisons if of_methods(row)), "")


def _model(row: Row) -> tuple[str, ...]:
    return tuple(row[name] for name in ("teacher", "injection", "dataset", "condition", "method"))


def _indexed(comparisons: Sequence[Row]) -> Comparisons:
    return {(*_model(row), row["attack"], row["metric"]): row for row in comparisons if of_methods(row)}


def _paragraph(
    rows: Sequence[Row],
    accuracies: Mapping[tuple[str, ...], Row],
    comparisons: Comparisons,
    baseline: str,
    varied: Sequence[str],
) -> str:
    """Say what one attack does."""
    where = f"{place(rows[0], varied=varied)}, of the images that a student classifies correctly when clean"
    start = f"{where}, the {rows[0]['attack']} attack fools it on"
    first = [row for row in rows if row["method"] == baseline]
    others = by_effect([row for row in rows if row["method"] != baseline])
    if not first:
        clauses = "; ".join(f"{_after(row)} {_with(row, accuracies)}" for row in others)
        return f"{start} these shares (95 % intervals): {clauses}."
    share, brackets = rate(first[0]).split(" (", 1)
    beside = _beside(first[0], accuracies, noise="noise of the same size:")
    inside = "; ".join([brackets.removesuffix(")"), *([beside] if beside else [])])
    told = f"{start} {share} after {baseline} ({inside})."
    untested = [f"{_after(row)} {_with(row, accuracies)}" for row in others if not _main(row, comparisons)]
    last = f" Not tested against it: {'; '.join(untested)}." if untested else ""
    return told + _against_sentence(others, comparisons, baseline) + last


def _against_attack(compared: Sequence[Row], rates: Sequence[Row], varied: Sequence[str]) -> str:
    """Say on which students one attack does more or less than the baseline attack, the largest change first."""
    found = {(*_model(row), row["attack"]): row for row in rates}
    clauses: list[str] = []
    for row in sorted(compared, key=lambda row: (direction(row) == SAME, -abs(row["difference"]), row["method"])):
        own = found.get((*_model(row), row["attack"]))
        # where the baseline attack judged fewer images, or fewer seeds, the rate compared is another
        whole = own is not None and own["mean"] is not None and abs(own["mean"] - row["mean"]) < ROUNDING
        share = rate(own, unit="") if own is not None and whole else f"{percent(row['mean'])} of what both judged"
        change = SAME if direction(row) == SAME else difference(row)
        fools = "" if clauses else f" the attack {row['attack']} fools the student on"
        under = "" if clauses else f" under {row['baseline_attack']}"
        clauses.append(f"{_after(row)}{fools} {share}, against {percent(row['baseline_mean'])}{under} ({change})")
    return f"{place(compared[0], varied=varied)}, {'; '.join(clauses)}."


def _after(row: Row) -> str:
    """Name a student by its method, or the teacher."""
    return "in the teacher itself" if row["method"] == TEACHER else f"after {row['method']}"


def _beside(row: Row, accuracies: Mapping[tuple[str, ...], Row], *, noise: str = "noise") -> str:
    """Return what stands beside a rate: noise of the same size, and the accuracy on clean images."""
    parts = []
    if row["control"] is not None:
        parts.append(f"{noise} {percent(row['control'])}" + ("" if detectable(row) else f", {SAME}"))
    if _model(row) in accuracies:
        parts.append(f"accuracy {percent(accuracies[_model(row)]['mean'])}")
    return "; ".join(parts)


def _with(row: Row, accuracies: Mapping[tuple[str, ...], Row]) -> str:
    """Write a rate with what stands beside it in its brackets."""
    told, extra = rate(row, unit=""), _beside(row, accuracies)
    return f"{told.removesuffix(')')}; {extra})" if extra else told


def against_baseline(rows: Sequence[Row], comparisons: Sequence[Row]) -> str:
    """Compare the students of one paragraph with the baseline, as a sentence to put behind it; "" without one."""
    students = [row for row in by_effect(rows) if row["method"] != TEACHER]
    return _against_sentence(students, _indexed(comparisons), _baseline(comparisons))


def _against_sentence(rows: Sequence[Row], comparisons: Comparisons, baseline: str) -> str:
    """Say after which methods a rate falls, rises or does not differ from the baseline's, with the price in accuracy.

    Differences are told where the test finds one; the tables hold the others.
    """
    compared = [(row, main) for row in rows if (main := _main(row, comparisons))]
    parts = []
    for kind, words in WORDS.items():
        clauses = [_clause(row, main, comparisons) for row, main in compared if direction(main) == kind]
        parts += [f"{words} {'; '.join(clauses)}"] if clauses else []
    if not parts:
        return ""
    metric = compared[0][1]["metric"]
    return f" Against {baseline}, {MEASURES.get(metric, title(metric))} {'; it '.join(parts)}."


def _main(row: Row, comparisons: Comparisons) -> Row | None:
    """Return the comparison of a rate with the baseline's; the teacher itself has none."""
    return comparisons.get((*_model(row), row["attack"], row["metric"]))


def _clause(row: Row, main: Row, comparisons: Comparisons) -> str:
    """Word one comparison: after renofeation to 8.0 % (-54.1 points, ...; noise 2.0 %; accuracy 69.1 %, ...)."""
    kind = direction(main)
    parts = [difference(main)] if kind != SAME else []
    if row[KIND] == "feature" and row["control"] is not None:
        parts.append(f"noise {percent(row['control'])}" + ("" if detectable(row) else f", {SAME}"))
    price = comparisons.get((*_model(row), CLEAN, "accuracy"))
    if price is not None and row["metric"] != "accuracy":
        change = difference(price) if direction(price) != SAME else SAME
        parts.append(f"accuracy {percent(price['mean'])}, {change}")
    beside = f" ({'; '.join(parts)})" if parts else ""
    link = {SAME: ",", UNTESTED: ""}.get(kind, " to")
    return f"{_after(row)}{link} {percent(main['mean'])}{beside}"


def direction(row: Row) -> str:
    """Tell whether a rate falls, rises or does not differ from the baseline's, or that no test says so."""
    if row["p_value"] is None:
        return UNTESTED
    if not differs(row["p_value"], row["low"], row["high"]):
        return SAME
    return FALLS if row["difference"] < 0 else RISES


# -- one sentence ------------------------------------------------------------------------------------------------------


def short_parts(rows: Sequence[Row], comparisons: Sequence[Row]) -> list[str]:
    """Return the parts of a short answer, metric by metric: against the baseline, else against noise; then the attacks.

    `rows` are the headline rows of an experiment. Means over data sets repeat what the data sets say and do not count.
    """
    found = _indexed(comparisons)
    keys = [(*_model(row), row["attack"], row["metric"]) for row in rows if row["dataset"] != MEAN]
    asked = [found[key] for key in keys if key in found]
    metrics = list(dict.fromkeys(row["metric"] for row in asked))
    parts = [against(metric, [row for row in asked if row["metric"] == metric], found) for metric in metrics]
    if HEADLINE not in metrics:
        parts += _against_noise([row for row in rows if row["metric"] == HEADLINE and row["control"] is not None])
    attacks = [row for row in comparisons if row["metric"] == HEADLINE and of_attacks(row)]
    return parts + ([against(HEADLINE, attacks, {})] if attacks else [])


def against(metric: str, rows: Sequence[Row], comparisons: Comparisons) -> str:
    """Count the comparisons of one metric by what it does, and name the first of each kind."""
    total, parts = len(rows), []
    for kind in (FALLS, RISES, SAME):
        mine = sorted((row for row in rows if direction(row) == kind), key=lambda row: -abs(row["difference"]))
        words = SAME if kind == SAME else f"it {kind}"
        told = f" ({_named(mine, rows, comparisons)})" if kind != SAME or len(mine) == total else ""
        parts += [f"in {len(mine)} {words}{told}"] if mine else []
    compared = "the one comparison" if total == 1 else f"{total} comparisons"
    if len(parts) == 1:
        parts = [parts[0].replace(f"in {total} ", "" if total == 1 else "in all ", 1)]
    attack = f"{rows[0]['baseline_attack']} on the same student"
    other = rows[0]["baseline"] if of_methods(rows[0]) else attack
    return f"{title(metric)}: of {compared} with {other}, {listed(parts)}"


def _named(rows: Sequence[Row], among: Sequence[Row], comparisons: Comparisons) -> str:
    """Name the first comparisons of a kind, each with both rates and both accuracies."""
    told = []
    for row in rows[:NAMED]:
        clean = comparisons.get((*_model(row), CLEAN, "accuracy")) if row["metric"] != "accuracy" else None
        price = f", accuracy {_both(clean)}" if clean else ""
        told.append(f"{_name(row, among)}{_both(row)}{price}")
    return "; ".join(told + ([f"{len(rows) - NAMED} more"] if len(rows) > NAMED else []))


def _both(row: Row) -> str:
    return f"{percent(row['mean'])} against {percent(row['baseline_mean'])}"


def _name(row: Row, among: Sequence[Row]) -> str:
    """Name a row by its method and by what else varies among the rows told together."""
    varied = ("teacher", "injection", "dataset", "attack", "condition")
    where = [row[name] for name in varied if row[name] and len({other[name] for other in among}) > 1]
    return f"{', '.join([row['method'], *where])}: " if where else f"{row['method']} "


def _against_noise(rows: Sequence[Row]) -> list[str]:
    """Count the students that a feature attack fools more than noise of the same size."""
    rows = [row for row in rows if row["dataset"] != MEAN]
    if not rows:
        return []
    more = by_effect([row for row in rows if detectable(row) and row["difference"] > 0])
    told = [f"{_name(row, rows)}{percent(row['mean'])} against {percent(row['control'])}" for row in more[:NAMED]]
    told += [f"{len(more) - NAMED} more"] if len(more) > NAMED else []
    named = f" ({'; '.join(told)})" if told else ""
    return [f"{title(HEADLINE)}: above that of noise of the same size in {len(more)} of {len(rows)} cases{named}"]
