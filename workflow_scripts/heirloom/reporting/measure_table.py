"""Measures that are no rates, as the cells of one table of an experiment, on a terminal and in the report."""

from __future__ import annotations

from collections.abc import Sequence

from heirloom.evaluation.metrics import CLEAN
from heirloom.reporting.tables import Row
from heirloom.reporting.views import measures
from heirloom.reporting.wording import NOTHING, amount, amounts, count, method_title, p_value, title

NAMES = {"teacher": "teacher", "dataset": "data set", "injection": "injection", "method": "method", "attack": "shown"}
NAMES |= {"condition": "of", "metric": "measure"}
NUMBERS = ("value", "n", "control", "difference", "p (Holm)")
COMPARED = ("value", "baseline", "its value", "difference", "p (Holm)")


Cells = tuple[list[list[str]], list[list[str]]]


def measure_cells(rows: Sequence[Row]) -> Cells:
    """Return the names and the numbers of an experiment's measures, line by line, heads first; heads alone if none.

    Where some have a control, the controls stand beside these and not on lines of their own. A column of names that is
    the same in every line is left out, but the method's.
    """
    found = measures(rows)
    mine = [row for row in found if row["control"] is not None] or found
    return _names(mine), [list(NUMBERS), *map(_numbers, mine)]


def compared_cells(comparisons: Sequence[Row]) -> Cells:
    """Return the same of comparisons of methods by such measures."""
    return _names(comparisons), [list(COMPARED), *map(_compared, comparisons)]


def _names(rows: Sequence[Row]) -> list[list[str]]:
    varied = [name for name in NAMES if name == "method" or len({row[name] for row in rows}) > 1]
    return [[NAMES[name] for name in varied], *([_named(row, name) for name in varied] for row in rows)]


def _named(row: Row, name: str) -> str:
    """Write one cell that names a row."""
    if name == "attack":
        return "clean" if row[name] == CLEAN else str(row[name])
    words = {"method": method_title, "metric": title}.get(name, str)
    return words(row[name]) or NOTHING


def _numbers(row: Row) -> list[str]:
    """Write the cells that measure a row: 2.31 (2.10 to 2.52), 180, 1.02, +1.29 (+1.10 to +1.48), <0.001."""
    interval = amounts(row["low"], row["high"])
    change = amounts(row["difference_low"], row["difference_high"], sign=True)
    return [
        f"{amount(row['mean'])} ({interval})" if interval else amount(row["mean"]),
        count(row),
        amount(row["control"]),
        f"{amount(row['difference'], sign=True)} ({change})" if change else amount(row["difference"], sign=True),
        p_value(row["p_value"]),
    ]


def _compared(row: Row) -> list[str]:
    """Write the cells that compare a row of comparisons."""
    change = amounts(row["low"], row["high"], sign=True)
    told = amount(row["difference"], sign=True)
    return [
        amount(row["mean"]),
        row["baseline"],
        amount(row["baseline_mean"]),
        f"{told} ({change})" if change else told,
        p_value(row["p_value"]),
    ]
