"""Robust models before and after repairs: what changed, in generated sentences and as the cells of tables.

As everywhere, what rises, falls or does not change is worded by the tests alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from heirloom.config.names import UNREPAIRED
from heirloom.evaluation.metrics import CLEAN, CORRUPTION
from heirloom.reporting.robustness import NAMED, SAME, UNTESTED, against, direction
from heirloom.reporting.tables import Row, is_measured, of_methods
from heirloom.reporting.views import is_detail_row, of_robust_models
from heirloom.reporting.wording import (
    NOTHING,
    count,
    difference,
    differs,
    listed,
    number,
    p_mark,
    percent,
    rate,
    span,
    title,
)

METRICS = ("accuracy", CORRUPTION, "robust_accuracy")  # in the order of reading
UNCHANGED = "no detectable change"
CREDIBLE = {True: "yes", False: "no", None: NOTHING}
DOUBTED = "another attack of the same norm and no larger epsilon leaves less"


def asked(rows: Sequence[Row]) -> bool:
    """Tell whether the rows of an experiment are about robust models."""
    return bool(of_robust_models(rows))


def rates(rows: Sequence[Row]) -> list[Row]:
    """Keep accuracy, the mean accuracy under corruptions and robust accuracy, model by model in the order of reading.

    The rows are the summary's or those of comparisons; of each model the unrepaired one comes first.
    """
    mine = [row for row in rows if row["metric"] in METRICS and is_measured(row) and not is_detail_row(row)]
    return sorted(mine, key=lambda row: (*_model(row), *_shown(row), row["method"] != UNREPAIRED, row["method"]))


def _model(row: Row) -> tuple[str, str]:
    return row["dataset"], row["teacher"]


def _shown(row: Row) -> tuple[int, str, str, str]:
    """Name what was shown to a model, such that clean images come first and those of other models' attacks last."""
    return METRICS.index(row["metric"]), row["condition"], row["attack"], row["budget"]


def by_model(rows: Sequence[Row]) -> list[tuple[tuple[str, str], list[Row]]]:
    """Group the rates by data set and robust model."""
    return [(key, list(group)) for key, group in groupby(rates(rows), key=_model)]


def _compared(comparisons: Sequence[Row]) -> list[Row]:
    return rates([row for row in comparisons if of_methods(row)])


# -- sentences ---------------------------------------------------------------------------------------------------------


def paragraphs(rows: Sequence[Row], comparisons: Sequence[Row]) -> list[str]:
    """Say of each robust model what it gets right, then one sentence for each repair: what changed.

    `rows` are an experiment's of the summary, `comparisons` its comparisons with the baseline.
    """
    changes = dict(by_model(_compared(comparisons)))
    return [_paragraph(group, changes.get(model, [])) for model, group in by_model(rows)]


def _paragraph(rows: Sequence[Row], changes: Sequence[Row]) -> str:
    """Tell one robust model."""
    before = [row for row in rows if row["method"] == UNREPAIRED]
    ordered = sorted(changes, key=lambda row: row["method"])
    told = [_model_sentence(before)] if before else []
    told += [_repair_sentence(list(group)) for _, group in groupby(ordered, key=lambda row: row["method"])]
    return " ".join([*told, *doubts(rows)])


def _model_sentence(rows: Sequence[Row]) -> str:
    """Say what an unrepaired model gets right."""
    parts = [f"{rate(row, unit='')}{_under(row)}" for row in rows]
    return f"On {rows[0]['dataset']}, {rows[0]['teacher']} classifies correctly {listed(parts)}."


def _under(row: Row) -> str:
    """Say of what images a rate is."""
    if row["metric"] == CORRUPTION:
        return " of the corrupted images"
    return " of the clean images" if row["attack"] == CLEAN else f" under {row['attack']}"


def _repair_sentence(changes: Sequence[Row]) -> str:
    """Say what one repair changed, what is detectable first."""
    clear = [row for row in changes if direction(row) != SAME]
    parts = [_change(row) for row in clear]
    same = [f"{_rate_name(row)} ({_from_to(row)}: {difference(row)})" for row in changes if direction(row) == SAME]
    parts += [f"{UNCHANGED} in {listed(same)}"] if same else []
    method = changes[0]["method"]
    told = "Without a repair" if method == UNREPAIRED else f"After {method}"
    return f"{told}, against {changes[0]['baseline']}: {'; '.join(parts)}."


def _change(row: Row) -> str:
    """Word a change that is detectable, or that no test was made of."""
    kind = direction(row)
    words = f"changes, {UNTESTED}," if kind == UNTESTED else kind
    return f"{_rate_name(row)} {words} {_from_to(row)} ({difference(row)})"


def _rate_name(row: Row) -> str:
    return title(row["metric"]) + ("" if row["attack"] == CLEAN else f" under {row['attack']}")


def _from_to(row: Row) -> str:
    return f"from {percent(row['baseline_mean'])} to {percent(row['mean'])}"


def doubts(rows: Sequence[Row]) -> Iterator[str]:
    """Name the attacks whose robust accuracy cannot be believed, those of the same models in one sentence."""
    found: dict[str, dict[str, None]] = {}
    doubted = [row for row in rows if row["credible"] is False]
    for row in sorted(doubted, key=lambda row: (row["attack"], row["method"])):
        found.setdefault(row["attack"], {})[row["method"]] = None
    attacks: dict[tuple[str, ...], list[str]] = {}
    for attack, methods in found.items():
        attacks.setdefault(tuple(methods), []).append(attack)
    for named, mine in attacks.items():
        yield f"Not credible under {listed(mine)} ({', '.join(named)}): {DOUBTED}."


def short_parts(rows: Sequence[Row], comparisons: Sequence[Row]) -> list[str]:
    """Return the parts of a short answer: by metric, how many comparisons change how; else what models get right."""
    return compared_parts(comparisons) or _unrepaired_parts(rows)


def compared_parts(comparisons: Sequence[Row]) -> list[str]:
    """Say by metric how many comparisons with the baseline change how."""
    compared = _compared(comparisons)
    found = [(metric, [row for row in compared if row["metric"] == metric]) for metric in METRICS]
    return [against(metric, mine, {}) for metric, mine in found if mine]


def _unrepaired_parts(rows: Sequence[Row]) -> list[str]:
    """Say what the first models get right."""
    found = by_model([row for row in rows if row["method"] == UNREPAIRED])
    told = [f"{teacher} ({', '.join(map(_told, mine))})" for (_, teacher), mine in found[:NAMED]]
    told += [f"{len(found) - NAMED} more"] if len(found) > NAMED else []
    return [f"no repair is compared: {', '.join(told)}"] if told else []


def _told(row: Row) -> str:
    return f"{_rate_name(row)} {percent(row['mean'])}"


# -- tables ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Entry:
    """A line of a table: names, numbers, and whether its difference from the baseline is detectable."""

    names: tuple[str, ...]
    numbers: tuple[str, ...]
    clear: bool = False


@dataclass(frozen=True)
class ModelTable:
    """The rates of one robust model and its repairs; `head` names the columns."""

    title: str
    head: Entry
    entries: tuple[Entry, ...]
    doubted: bool


def tables(rows: Sequence[Row], comparisons: Sequence[Row]) -> list[ModelTable]:
    """Return a table for each robust model of an experiment: a line for each thing shown and each method."""
    changes = {_key(row): row for row in _compared(comparisons)}
    return [_table(model, group, changes) for model, group in by_model(rows)]


def _key(row: Row) -> tuple[object, ...]:
    return (*_model(row), *_shown(row), row["method"])


def _table(model: tuple[str, str], rows: Sequence[Row], changes: Mapping[tuple[object, ...], Row]) -> ModelTable:
    """Return one model's table; the columns that say nothing are left out."""
    mine = [changes[_key(row)] for row in rows if _key(row) in changes]
    compared, checked = bool(mine), any(row["credible"] is not None for row in rows)
    several = several_sources(rows)
    head = ["right, %", "n"]
    head += [f"to {change['baseline']}, points" for change in mine[:1]] + ["credible"] * checked
    entries = []
    for row in rows:
        change = changes.get(_key(row))
        cells = [_cell(row), count(row)] + [_points(change)] * compared + [CREDIBLE[row["credible"]]] * checked
        clear = change is not None and differs(change["p_value"], change["low"], change["high"])
        entries.append(Entry((label(row, several=several), row["method"]), tuple(cells), clear))
    dataset, teacher = model
    doubted = any(row["credible"] is False for row in rows)
    return ModelTable(
        model_title(dataset, teacher),
        Entry(("shown", "method"), tuple(head)),
        tuple(entries),
        doubted,
    )


def model_title(dataset: str, teacher: str) -> str:
    """Name the robust model of a table; where attacked models stand side by side, there is no single one."""
    return f"data set {dataset}" if teacher == CLEAN else f"robust model {teacher}, data set {dataset}"


def several_sources(rows: Sequence[Row]) -> bool:
    """Tell whether images of one data set were corrupted by several hands."""
    return len({row["budget"] for row in rows if row["metric"] == CORRUPTION}) > 1


def label(row: Row, *, several: bool) -> str:
    """Name what was shown; corrupted images by their source where there are `several`."""
    if row["metric"] == CORRUPTION:
        return f"corrupted ({_source_of(row['budget'])})" if several else "corrupted"
    if row["attack"] == CLEAN:
        return "clean"
    return f"{row['attack']} {row['condition']}".rstrip()


def _source_of(budget: str) -> str:
    """Say in a word who corrupted images: computed here, or the data set whose files they are."""
    return str(json.loads(budget).get("source", ""))


def _cell(row: Row) -> str:
    """Write a rate with its interval: 53.6 (52.6-54.6)."""
    interval = span(row["low"], row["high"])
    return f"{number(row['mean'])} ({interval})" if interval else number(row["mean"])


def _points(change: Row | None) -> str:
    """Write the paired difference to the baseline: +2.0 (+1.4 to +2.5) p<0.001."""
    if change is None:
        return NOTHING
    interval = span(change["low"], change["high"], sign=True)
    return f"{number(change['difference'], sign=True)} ({interval}) {p_mark(change['p_value'])}".rstrip()
