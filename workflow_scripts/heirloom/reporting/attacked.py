"""Models under suites of attacks: what is left of each, in generated sentences and as a matrix for a terminal.

As everywhere, what rises, falls or does not differ is worded by the tests alone. Attacks are told together that may do
the same: those of one norm and epsilon.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from heirloom.evaluation.credibility import GRADIENT_FREE
from heirloom.evaluation.metrics import CLEAN
from heirloom.reporting import repairs
from heirloom.reporting.measure_table import Cells
from heirloom.reporting.robustness import FALLS, NAMED, RISES, SAME, UNTESTED, direction
from heirloom.reporting.tables import Row, of_attacks, of_methods
from heirloom.reporting.wording import NOTHING, difference, differs, listed, number, percent, rate, title

ROBUST = "robust_accuracy"
KINDS = {
    "through": "attacks through the model",
    "adaptive": "adaptive ones, around its bounded head or denoising",
    "gradient-free": "those that need no gradient",
}
WORDS = {FALLS: "falls to", RISES: "rises to", UNTESTED: "changes, untested, to"}
DOUBT, CLEAR = "!", "*"
LEGEND = (f"{DOUBT} not credible: {repairs.DOUBTED}", f"{CLEAR} differs detectably from the baseline")


def asked(rows: Sequence[Row]) -> bool:
    """Tell whether the rows of an experiment are about attacked models, which have no teacher."""
    return any(row["teacher"] == CLEAN for row in rows)


def kind_of(budget: str) -> str:
    """Tell by its budget (JSON) what an attack goes by: a model's gradient, one around its masks, or none."""
    facts = json.loads(budget)
    if facts.get("kind") in GRADIENT_FREE:
        return "gradient-free"
    return "through" if facts.get("through", "model") == "model" else "adaptive"


def bound_of(budget: str) -> str:
    """Name what an attack may change: Linf 0.3; "" where any change counts."""
    facts = json.loads(budget)
    return f"{facts['norm']} {facts['epsilon']:.3g}" if "epsilon" in facts and "norm" in facts else ""


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
    told += _against_attack([row for row in comparisons if of_attacks(row)])
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


def _least(rows: Sequence[Row]) -> str:
    """Name the attack that leaves the least, and what that is."""
    least = min(rows, key=lambda row: (row["mean"], row["attack"]))
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


def _against_attack(changes: Sequence[Row]) -> Iterator[str]:
    """Say what attacks leave against the baseline attack, the largest change first."""
    mine = [row for row in changes if row["metric"] == ROBUST and not row["condition"]]
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
    """Return the parts of a short answer: comparisons with the baseline, else what the worst attack leaves of each."""
    compared = repairs.compared_parts(comparisons)
    if compared:
        return compared
    mine = [row for row in repairs.rates(rows) if row["metric"] == ROBUST and bound_of(row["budget"])]
    groups = groupby(sorted(mine, key=_model), key=_model)
    told = [f"{method}: {_least(list(group))}" for (_, method), group in groups]
    more = [f"{len(told) - NAMED} more"] if len(told) > NAMED else []
    return [f"no model is compared: {'; '.join([*told[:NAMED], *more])}"] if told else []


# -- matrix ------------------------------------------------------------------------------------------------------------


def matrices(rows: Sequence[Row], comparisons: Sequence[Row], *, columns: int) -> list[tuple[str, Cells]]:
    """Return, by data set, the rates in percent of some models at a time: a line for each thing shown.

    Names of the lines and numbers as `measure_table.Cells`; no more than `columns` models beside each other.
    """
    clear = {_cell_key(row) for row in comparisons if of_methods(row) and _is_clear(row)}
    found = []
    for dataset, group in groupby(repairs.rates(rows), key=lambda row: row["dataset"]):
        mine = {_cell_key(row): row for row in group}
        methods = sorted({row["method"] for row in mine.values()})
        parts = [methods[first : first + columns] for first in range(0, len(methods), columns)]
        found += [(dataset, _matrix(mine, part, clear)) for part in parts]
    return found


def _cell_key(row: Row) -> tuple[str, ...]:
    return row["dataset"], row["metric"], row["attack"], row["condition"], row["method"]


def _is_clear(row: Row) -> bool:
    return differs(row["p_value"], row["low"], row["high"])


def _matrix(rows: Mapping[tuple[str, ...], Row], methods: Sequence[str], clear: set[tuple[str, ...]]) -> Cells:
    """Return one matrix."""
    lines = dict.fromkeys(key[:-1] for key in rows)
    names, numbers = [["shown"]], [list(methods)]
    for line in lines:
        cells = [rows.get((*line, method)) for method in methods]
        shown = next(row for key, row in rows.items() if key[:-1] == line)
        names.append([repairs.label(shown, several=False)])
        numbers.append([_cell(row, clear) for row in cells])
    return names, numbers


def _cell(row: Row | None, clear: set[tuple[str, ...]]) -> str:
    """Write a rate: 53.6, 53.6! where it is not credible, 53.6* where it differs from the baseline's."""
    if row is None:
        return NOTHING
    marks = (DOUBT if row["credible"] is False else "") + (CLEAR if _cell_key(row) in clear else "")
    return f"{number(row['mean'])}{marks}"


def facts_of(budget: str) -> Mapping[str, Any]:
    """Return a budget as a mapping."""
    found: Mapping[str, Any] = json.loads(budget)
    return found
