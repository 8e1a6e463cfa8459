"""The summary on a terminal: one aligned table per teacher, data set and attack, and each experiment's answer."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TextIO

from heirloom.evaluation.metrics import CLEAN
from heirloom.reporting import attack_suites, repairs
from heirloom.reporting.measure_table import measure_cells
from heirloom.reporting.sentences import answers, of_experiment
from heirloom.reporting.tables import COUNTS, Row, read_comparisons, read_summary
from heirloom.reporting.views import (
    attack_groups,
    attack_metric,
    attack_title,
    group_rows,
    has_noise,
    measures,
    model_names,
)
from heirloom.reporting.wording import DOUBTED, NOTHING, number, p_mark, span, title, verdicts

WIDTH = 110
GAP = 2
SHORTEST_NAME = 9
MODELS = 5  # beside each other
MOST_MEASURES = 25  # lines; what is longer is not read on a terminal
HEADS = {
    "accuracy": "accuracy, %",
    "targeted_success": "to the target, %",
    "collapse": "to one wrong class, %",
    "untargeted_success": "changed, %",
    "attack_success": "attack success, %",
    "robust_accuracy": "robust accuracy, %",
}
DIFFERENCE = "to control, points"
NOISE = "noise, %; p"
DOUBT = "!"


def print_summary(summary: Path, comparisons: Path, questions: Mapping[str, str], stream: TextIO) -> None:
    """Print summary.parquet: the rates in percent with 95 % intervals and counts, then each experiment's answer.

    `comparisons` are those of methods and attacks with a baseline, `questions` gives each experiment's question by
    name. Plain ASCII (names aside), at most 110 columns. Raises DamagedFileError when a table is none of ours.
    """
    rows, compared = read_summary(summary), read_comparisons(comparisons)
    answered = answers(rows, compared)
    for name in sorted(answered):
        mine, changes = of_experiment(name, rows, compared)
        print(f"{name}: {questions.get(name, '')}".rstrip(" :"), file=stream)
        for line in _lines(mine, changes):
            print(line, file=stream)
        print(file=stream)
        for paragraph in [*answered[name].splitlines(), verdicts(mine)]:
            if paragraph:
                print(textwrap.fill(paragraph, WIDTH, break_on_hyphens=False), file=stream)
        print(file=stream)
    if not answered:
        print("The study measured nothing.", file=stream)


def _lines(rows: Sequence[Row], comparisons: Sequence[Row]) -> Iterator[str]:
    """Yield the lines of one experiment's tables, whatever its models are."""
    if attack_suites.asked(rows):
        return _attacked(rows, comparisons)
    return _robust(rows, comparisons) if repairs.asked(rows) else _table(rows)


def _attacked(rows: Sequence[Row], comparisons: Sequence[Row]) -> Iterator[str]:
    """Yield the lines of the matrices of attacked models, and of what they restore."""
    for dataset, (names, numbers) in attack_suites.matrices(rows, comparisons, columns=MODELS):
        yield ""
        yield f"data set {dataset}, right under attack, %"
        yield from _aligned(names, numbers)
    yield from attack_suites.LEGEND
    yield from _measures(rows)


def _table(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the lines of one experiment's tables."""
    for group in attack_groups(rows):
        teacher, dataset, _, _, condition = group
        mine = group_rows(rows, group)
        heads = [f"teacher {teacher}", f"data set {dataset}", attack_title(group, mine, long=True), condition]
        yield ""
        yield from textwrap.wrap(", ".join(head for head in heads if head), WIDTH)
        yield from _aligned(*_cells(mine))
        if any(row["credible"] is False for row in mine):
            yield f"{DOUBT} {DOUBTED}: {repairs.DOUBTED}"
    yield from _measures(rows)


def _robust(rows: Sequence[Row], comparisons: Sequence[Row]) -> Iterator[str]:
    """Yield the lines of the tables of robust models, and where it stands how critical their modules are."""
    tables = repairs.tables(rows, comparisons)
    for table in tables:
        yield ""
        yield from textwrap.wrap(table.title, WIDTH)
        lines = [table.head, *table.entries]
        yield from _aligned([line.names for line in lines], [line.numbers for line in lines])
    if any(table.doubted for table in tables):
        yield f"credible no: {repairs.DOUBTED}"
    yield from _measures([row for row in rows if row["metric"] not in repairs.METRICS], most=0)


def _measures(rows: Sequence[Row], *, most: int = MOST_MEASURES) -> Iterator[str]:
    """Yield the lines of an experiment's measures that are no rates, or where they stand if they are more than so."""
    names, numbers = measure_cells(rows)
    told = ", ".join(sorted({title(row["metric"]) for row in measures(rows)}))
    if 1 < len(numbers) <= most:
        yield from ("", told)
        yield from _aligned(names, numbers)
    elif told:
        yield from ("", f"{told}: {len(numbers) - 1} rows in the report and in summary.csv")


def _cells(rows: Sequence[Row]) -> tuple[list[list[str]], list[list[str]]]:
    """Return the names and the rates of one table, line by line, heads first.

    Names: method and, unless nothing was done to any teacher, injection. Rates: a cell per metric and what it compares
    with.
    """
    metrics = [metric for metric in HEADS if any(row["metric"] == metric for row in rows)]
    headline = attack_metric(rows)
    compared = not headline and any(row["control"] is not None for row in rows)
    noise = has_noise(rows)
    named = 1 if {row["injection"] for row in rows} == {CLEAN} else 2
    names = [["method", "injection"][:named]]
    rates = [[*(HEADS[metric] for metric in metrics), *[DIFFERENCE] * compared, *[NOISE] * noise]]
    for method, injection in model_names(rows):
        mine = {row["metric"]: row for row in rows if (row["method"], row["injection"]) == (method, injection)}
        names.append([method, injection][:named])
        rates.append([_cell(mine.get(metric)) for metric in metrics])
        rates[-1] += [_change(mine.get("accuracy"))] * compared + [_noise(mine.get(headline))] * noise
    return names, rates


def _change(row: Row | None) -> str:
    """Write the paired difference to the control where nothing attacks: -5.0 (-7.1 to -2.9) p=0.002."""
    if row is None or row["difference"] is None:
        return NOTHING
    interval = span(row["difference_low"], row["difference_high"], sign=True)
    return f"{number(row['difference'], sign=True)} ({interval}) {p_mark(row['p_value'])}".rstrip()


def _noise(row: Row | None) -> str:
    """Write what noise of a feature attack's size does, and the test of the attack against it: 2.5 p<0.001."""
    if row is None or row["control"] is None:
        return NOTHING
    return f"{number(row['control'])} {p_mark(row['p_value'])}".rstrip()


def _aligned(names: Sequence[Sequence[str]], rates: Sequence[Sequence[str]]) -> Iterator[str]:
    """Align cells in columns: names to the left and cut where they would not fit, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rates, strict=True)]
    room = WIDTH - sum(width + GAP for width in widths) - GAP * (len(names[0]) - 1)
    wanted = [max(map(len, column)) for column in zip(*names, strict=True)]
    share = room // len(wanted)
    # a column that needs less than its share of the room leaves the rest to the other
    given = [min(own, max(share, room - (sum(wanted) - own), SHORTEST_NAME)) for own in wanted]
    for words, cells in zip(names, rates, strict=True):
        left = [_cut(word, width).ljust(width) for word, width in zip(words, given, strict=True)]
        right = [cell.rjust(width) for cell, width in zip(cells, widths, strict=True)]
        yield (" " * GAP).join([*left, *right]).rstrip()


def _cut(name: str, width: int) -> str:
    """Shorten a name to its column in the middle, since names often differ at their ends; the tilde says so."""
    end = width // 2
    return name if len(name) <= width else f"{name[: width - 1 - end]}~{name[-end:]}"


def _cell(row: Row | None) -> str:
    """Write a rate with its interval and count, the smallest one where seeds differ: 97.1 (94.0-98.6) n=239."""
    if row is None:
        return "-"
    smallest, largest = row[COUNTS]
    interval = span(row["low"], row["high"])
    parts = [
        number(row["mean"]),
        f"({interval})" if interval else "",
        f"n{'=' if smallest == largest else '>='}{smallest}",
        DOUBT if row["credible"] is False else "",
    ]
    return " ".join(part for part in parts if part)
