"""Models under suites of attacks: what is left of each, in generated sentences and as a matrix for a terminal.

As everywhere, what rises, falls or does not differ is worded by the tests alone. Attacks are told together that may do
the same: those of one norm and epsilon.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from heirloom.evaluation.credibility import is_ensemble, queries_of
from heirloom.evaluation.metrics import CLEAN
from heirloom.reporting import repairs
from heirloom.reporting.measure_table import Cells
from heirloom.reporting.robustness import FALLS, NAMED, RISES, SAME, UNTESTED, direction
from heirloom.reporting.tables import Row, of_attacks, of_methods
from heirloom.reporting.wording import NOTHING, count, difference, differs, listed, number, percent, rate, title

ROBUST = "robust_accuracy"
KINDS = {
    "through": "attacks through the model",
    "adaptive": "adaptive ones, around a bounded head or denoising",
    "ensemble": "ensembles, in part without gradients",
    "gradient-free": "those that need no gradient",
}
WORDS = {FALLS: "falls to", RISES: "rises to", UNTESTED: "changes, untested, to"}
DOUBT, CLEAR = "!", "*"
LEGEND = (f"{DOUBT} not credible: {repairs.DOUBTED}", f"{CLEAR} differs detectably from the baseline")


def asked(rows: Sequence[Row]) -> bool:
    """Tell whether the rows of an experiment are about attacked models, which have no teacher."""
    return any(row["teacher"] == CLEAN for row in rows)


def kind_of(budget: str) -> str:
    """Tell by its budget (JSON) what an attack goes by: a model's gradient, one around its masks, none, or several."""
    facts = json.loads(budget)
    if queries_of(facts) is not None and not is_ensemble(facts):
        return "gradient-free"
    if facts.get("through", "model") != "model":
        return "adaptive"
    return "ensemble" if is_ensemble(facts) else "through"


def bound_of(budget: str) -> str:
    """Name what an attack may change: Linf 0.3 or Linf 8/255; "" where any change counts."""
    facts = json.loads(budget)
    if "epsilon" not in facts or "norm" not in facts:
        return ""
    units = "" if facts.get("units", "pixel") == "pixel" else f" {facts['units']}"
    return f"{facts['norm']} {_size(facts['epsilon'])}{units}"


def _size(epsilon: float) -> str:
    """Write a size as it is, or in steps of a byte where that is short and the number is not."""
    told, steps = f"{epsilon:.3g}", round(255 * epsilon)
    whole = steps and math.isclose(255 * epsilon, steps)
    return f"{steps}/255" if whole and float(told) != epsilon else told


# -- sentences ---------------------------------------------------------------------------------------------------------


def paragraphs(rows: Sequence[Row], comparisons: Sequence[Row]) -> list[str]:
    """Say of each model what each kind of attack leaves, then how it differs from the baseline and what to doubt.

    `rows` are an experiment's of the summary, `comparisons` its comparisons with the baselines.
    """
    mine = repairs.rates(rows)
    return [
        _paragraph(list(group), [row for row in comparisons if (row["dataset"], row["method"]) == key])
        for key, group in groupby(sorted(mine, key=_model), key=_model)
    ]


def _model(row: Row) -> tuple[str, str]:
    return row["dataset"], row["method"]


def _paragraph(rows: Sequence[Row], comparisons: Sequence[Row]) -> str:
    """Tell one model."""
    dataset, method = _model(rows[0])
    clean = [row for row in rows if row["attack"] == CLEAN]
    first = f"On {dataset}, {method} classifies correctly" + "".join(
        f" {rate(row, unit='')} of the clean images" for row in clean
    )
    parts = [_left_within(bound, mine) for bound, mine in _by_bound([row for row in rows if not row["condition"]])]
    parts += _shown_by_others([row for row in rows if row["condition"]])
    told = [f"{'; '.join([first, *parts])}."]
    told += _against_baseline([row for row in comparisons if of_methods(row)])
    told += _against_attack([row for row in comparisons if of_attacks(row)], rows)
    return " ".join([*told, *repairs.doubts(rows)])


def _by_bound(rows: Sequence[Row]) -> Iterator[tuple[str, list[Row]]]:
    """Group attacks that may do the same; those that may change anything are left to the tables."""
    attacked = sorted((row for row in rows if row["metric"] == ROBUST), key=lambda row: bound_of(row["budget"]))
    for bound, group in groupby(attacked, key=lambda row: bound_of(row["budget"])):
        if bound:
            yield bound, list(group)


def _left_within(bound: str, rows: Sequence[Row]) -> str:
    """Say what the strongest attack of each kind leaves within one bound."""
    found = {kind: [row for row in rows if kind_of(row["budget"]) == kind] for kind in KINDS}
    parts = [f"of {words} {_least(found[kind])}" for kind, words in KINDS.items() if found[kind]]
    return f"within {bound}, {listed(parts)}"


def _strongest(rows: Sequence[Row]) -> Row:
    return min(rows, key=lambda row: (row["mean"], row["attack"]))


def _least(rows: Sequence[Row]) -> str:
    """Name the attack that leaves the least, and what that is."""
    least = _strongest(rows)
    only = "alone leaves" if len(rows) == 1 else f"({len(rows)}) leaves the least,"
    return f"{least['attack']} {only} {rate(least, unit='')}"


def _shown_by_others(rows: Sequence[Row]) -> Iterator[str]:
    """Say what the strongest images leave that a substitute was attacked for."""
    attacked = sorted((row for row in rows if row["metric"] == ROBUST), key=lambda row: row["condition"])
    for condition, group in groupby(attacked, key=lambda row: row["condition"]):
        yield f"of images {condition.replace('-', ' ', 1)}, {_least(list(group))}"


def _against_baseline(changes: Sequence[Row]) -> Iterator[str]:
    """Say how a model differs from the baseline: by its accuracy, and under how many attacks."""
    if not changes:
        return
    clean = [f"accuracy {_changed(row)}" for row in changes if row["metric"] == "accuracy"]
    attacked = [row for row in changes if row["metric"] == ROBUST]
    yield f"Against {changes[0]['baseline']}: {'; '.join([*clean, *_counted(attacked)])}."


def _against_attack(changes: Sequence[Row], rows: Sequence[Row]) -> Iterator[str]:
    """Say what other attacks within the same bound leave against the baseline attack, the largest change first."""
    bounds = {row["attack"]: bound_of(row["budget"]) for row in rows}
    mine = [row for row in changes if row["metric"] == ROBUST and not row["condition"]]
    mine = [row for row in mine if bounds.get(row["attack"]) == bounds.get(row["baseline_attack"])]
    clear = sorted((row for row in mine if direction(row) != SAME), key=lambda row: row["difference"])
    if clear:
        told = [f"{row['attack']} {_changed(row)}" for row in clear[:NAMED]]
        more = [f"{len(clear) - NAMED} more differ"] if len(clear) > NAMED else []
        yield f"Against {clear[0]['baseline_attack']} on the same model: {'; '.join([*told, *more])}."


def _changed(row: Row) -> str:
    """Word one comparison: falls to 8.0 % (-54.1 points, ...)."""
    kind, share = direction(row), percent(row["mean"])
    return f"does not differ detectably ({share})" if kind == SAME else f"{WORDS[kind]} {share} ({difference(row)})"


def _counted(rows: Sequence[Row]) -> list[str]:
    """Count the attacks by what becomes of robust accuracy under them."""
    words = {
        RISES: "rises under",
        FALLS: "falls under",
        SAME: "does not differ detectably under",
        UNTESTED: "has no test below three seeds under",
    }
    found = {kind: sum(direction(row) == kind for row in rows) for kind in words}
    parts = [f"{told} {found[kind]}" for kind, told in words.items() if found[kind]]
    return [f"of {len(rows)} attacks, {title(ROBUST)} {listed(parts)}"] if parts else []


def short_parts(rows: Sequence[Row], comparisons: Sequence[Row]) -> list[str]:
    """Return the parts of a short answer: what the strongest attacks leave, then comparisons with the baseline.

    The largest differences are those of attacks that fail for the wrong reason, so rates that are not credible are
    counted and not compared, nor are those under changes of any size.
    """
    rates = [row for row in repairs.rates(rows) if row["metric"] == ROBUST]
    doubted = {_cell_key(row) for row in rates if row["credible"] is False}
    judged = {_cell_key(row) for row in rates if not row["condition"]}
    told = [f"{len(doubted)} of {len(judged)} robust accuracies are not credible"]
    bounded = {_cell_key(row) for row in rates if bound_of(row["budget"])} - doubted
    compared = [
        row
        for row in comparisons
        if row["metric"] != ROBUST or {_cell_key(row), _cell_key(row, of=row["baseline"])} <= bounded
    ]
    return [*_worst_parts(rates), *(told if doubted else []), *repairs.compared_parts(compared)]


def _worst_parts(rates: Sequence[Row]) -> Iterator[str]:
    """Say what the strongest attack leaves of each model: within the bound of most attacks, then through others."""
    bounds = Counter(bound_of(row["budget"]) for row in rates if not row["condition"])
    most = max((bound for bound in bounds if bound), key=lambda bound: bounds[bound], default="")
    for condition in sorted({row["condition"] for row in rates}):
        mine = [row for row in rates if row["condition"] == condition]
        mine = mine if condition else [row for row in mine if most and bound_of(row["budget"]) == most]
        where = f"of images {condition.replace('-', ' ', 1)}" if condition else f"within {most}"
        groups = groupby(sorted(mine, key=_model), key=_model)
        left = [f"{method} {_left(list(group))}" for (_, method), group in groups]
        if left:
            yield f"{where}, the strongest attack leaves {', '.join(left)}"


def _left(rows: Sequence[Row]) -> str:
    """Say what the strongest attack leaves: 14.0 % (mnist-square, n = 1000)."""
    least = _strongest(rows)
    return f"{percent(least['mean'])} ({least['attack']}, n = {count(least)})"


# -- matrix ------------------------------------------------------------------------------------------------------------


def matrices(rows: Sequence[Row], comparisons: Sequence[Row], *, columns: int) -> list[tuple[str, Cells]]:
    """Return, by data set, the rates in percent of some models at a time: a line for each thing shown.

    Names of the lines and numbers as `measure_table.Cells`; no more than `columns` models beside each other.
    """
    clear = {_cell_key(row) for row in comparisons if of_methods(row) and is_clear(row)}
    found = []
    for dataset, group in groupby(repairs.rates(rows), key=lambda row: row["dataset"]):
        mine = {_cell_key(row): row for row in group}
        methods = sorted({row["method"] for row in mine.values()})
        parts = [methods[first : first + columns] for first in range(0, len(methods), columns)]
        found += [(dataset, _matrix(mine, part, clear)) for part in parts]
    return found


def _cell_key(row: Row, *, of: str = "") -> tuple[str, ...]:
    """Return the place of a rate, or of another model's rate under the same attack."""
    return row["dataset"], row["metric"], row["attack"], row["condition"], of or row["method"]


def is_clear(row: Row) -> bool:
    """Tell whether a comparison differs detectably."""
    return differs(row["p_value"], row["low"], row["high"])


def _matrix(rows: Mapping[tuple[str, ...], Row], methods: Sequence[str], clear: set[tuple[str, ...]]) -> Cells:
    """Return one matrix."""
    lines = dict.fromkeys(key[:-1] for key in rows)
    names, numbers = [["shown"]], [list(methods)]
    for line in lines:
        cells = [rows.get((*line, method)) for method in methods]
        shown = next(row for key, row in rows.items() if key[:-1] == line)
        names.append([repairs.label(shown, several=False)])
        numbers.append([cell(row, clear=row is not None and _cell_key(row) in clear) for row in cells])
    return names, numbers


def cell(row: Row | None, *, clear: bool) -> str:
    """Write a rate: 53.6, 53.6! where it is not credible, 53.6* where it is `clear` that the baseline's is another."""
    if row is None:
        return NOTHING
    marks = (DOUBT if row["credible"] is False else "") + (CLEAR if clear else "")
    return f"{number(row['mean'])}{marks}"


def facts_of(budget: str) -> Mapping[str, Any]:
    """Return a budget as a mapping."""
    found: Mapping[str, Any] = json.loads(budget)
    return found
