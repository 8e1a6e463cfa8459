"""The summary on a terminal: one aligned table per teacher, data set and attack, and each experiment's answer."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TextIO

from heirloom.evaluation.metrics import CLEAN
from heirloom.reporting.sentences import answers
from heirloom.reporting.tables import Row, read_summary
from heirloom.reporting.views import attack_groups, group_rows, model_names
from heirloom.reporting.wording import count, number, span, title

WIDTH = 110
NAME_WIDTH = 19
CELL_WIDTH = 23
METRICS = ("accuracy", "targeted_success", "collapse", "untargeted_success")


def print_summary(summary: Path, questions: Mapping[str, str], stream: TextIO) -> None:
    """Print summary.parquet: the rates in percent with 95 % intervals and counts, then each experiment's answer.

    `questions` gives each experiment's question by name. Plain ASCII (names aside), at most 110 columns. Raises
    DamagedFileError when the summary is no summary.
    """
    rows = read_summary(summary)
    answered = answers(rows)
    for name in sorted(answered):
        mine = [row for row in rows if row["experiment"] == name]
        print(f"{name}: {questions.get(name, '')}".rstrip(" :"), file=stream)
        for line in _table(mine):
            print(line, file=stream)
        print(file=stream)
        print(textwrap.fill(answered[name], WIDTH, break_on_hyphens=False), file=stream)
        print(file=stream)
    if not answered:
        print("The study measured nothing.", file=stream)


def _table(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the lines of one experiment's tables."""
    for group in attack_groups(rows):
        teacher, dataset, attack, _, condition = group
        shown = group_rows(rows, group)
        metrics = [metric for metric in METRICS if any(row["metric"] == metric for row in shown)]
        yield ""
        yield ", ".join(
            part for part in (f"teacher {teacher}", f"data set {dataset}", _attack(attack), condition) if part
        )
        heads = [f"{title(metric)}, %" for metric in metrics]
        yield _line("method", "injection", heads)
        for method, injection in model_names(shown):
            mine = {r["metric"]: r for r in shown if (r["method"], r["injection"]) == (method, injection)}
            yield _line(method, injection, [_cell(mine.get(metric)) for metric in metrics])


def _attack(attack: str) -> str:
    """Say what is shown to the models."""
    return "" if attack == CLEAN else f"trigger {attack}"


def _line(method: str, injection: str, cells: Sequence[str]) -> str:
    """Align one line."""
    names = "  ".join(_cut(name).ljust(NAME_WIDTH) for name in (method, injection))
    return "  ".join([names, *(cell.rjust(CELL_WIDTH) for cell in cells)]).rstrip()


def _cut(name: str) -> str:
    """Shorten a name to its column; the tilde says so."""
    return name if len(name) <= NAME_WIDTH else f"{name[: NAME_WIDTH - 1]}~"


def _cell(row: Row | None) -> str:
    """Write a rate with its interval and count: 97.1 (94.0-98.6) n=239."""
    if row is None:
        return "-"
    if row["mean"] is None:
        return f"- n={count(row)}"
    interval = span(row["low"], row["high"])
    return f"{number(row['mean'])} ({interval}) n={count(row)}" if interval else f"{number(row['mean'])} n={count(row)}"
