"""What the report says: rows of the study's tables and facts of its cards, as texts in the order of reading."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from heirloom.evaluation.measures import MEASURES
from heirloom.evaluation.metrics import CLEAN
from heirloom.reporting import repairs
from heirloom.reporting.measure_table import compared_cells, measure_cells
from heirloom.reporting.sentences import answers, of_experiment, short_answers
from heirloom.reporting.tables import Row, of_attacks, of_injections, of_methods
from heirloom.reporting.views import (
    attack_groups,
    attack_metric,
    dataset_title,
    group_rows,
    group_title,
    has_noise,
    model_names,
)
from heirloom.reporting.wording import (
    DOUBTED,
    NOTHING,
    count,
    detectable,
    differs,
    method_title,
    number,
    p_value,
    span,
    title,
    verdicts,
)
from heirloom.runtime.errors import DamagedFileError

PNG = b"\x89PNG\r\n\x1a\n"
METRICS = ("accuracy", "targeted_success", "collapse", "untargeted_success", "attack_success", "robust_accuracy")
COPIES = {
    "repeated": "same split",
    "shared_with_train": "training",
    "shared_with_validation": "validation",
    "shared_with_test": "test",
    "shared_with_others": "other sets",
    "contradicted": "other label",
}


@dataclass(frozen=True)
class Line:
    """One row of a table; `clear`: it differs from what it is compared with."""

    cells: tuple[str, ...]
    clear: bool = False


@dataclass(frozen=True)
class Table:
    """A table: the first `texts` columns are words, the others numbers; `digest` is the column of long digests."""

    title: str
    head: tuple[str, ...]
    rows: tuple[Line, ...]
    texts: int
    digest: int | None = None


@dataclass(frozen=True)
class EmbeddedPicture:
    """A PNG inside the page: its size in pixels, and its content as a data URI."""

    name: str
    title: str
    caption: str
    width: int
    height: int
    source: str = field(repr=False)


@dataclass(frozen=True)
class ExperimentPage:
    """An experiment: its question, its answer in one sentence and in full, its tables."""

    anchor: str
    name: str
    question: str
    short_answer: str
    answer: tuple[str, ...]
    tables: tuple[Table, ...]


def experiments_of(
    rows: Sequence[Row], questions: Mapping[str, str], comparisons: Sequence[Row] = ()
) -> list[ExperimentPage]:
    """Return the experiments of a summary in the order of their names; `comparisons` are those with baselines."""
    full, short = answers(rows, comparisons), short_answers(rows, comparisons)
    return [
        ExperimentPage(
            anchor=f"experiment-{name}",
            name=name,
            question=questions.get(name, ""),
            short_answer=_unbroken(short[name]),
            answer=tuple(map(_unbroken, full[name].splitlines())),
            tables=tuple(_tables(*of_experiment(name, rows, comparisons))),
        )
        for name in sorted(full)
    ]


def published_tables(rows: Sequence[Row]) -> list[Table]:
    """Return one table per experiment of the numbers that others published, each beside what was measured."""
    names = sorted({row["experiment"] for row in rows if row["published"] is not None})
    return [_published_table(name, *of_experiment(name, rows)) for name in names]


def _published_table(name: str, rows: Sequence[Row]) -> Table:
    """Return the published numbers of one experiment."""
    mine = [row for row in rows if row["published"] is not None]
    head = ("teacher", "data set", "method", "attack", "metric", "verdict", "published, %", "measured, %")
    lines = [
        Line(
            (
                *(row["teacher"], dataset_title(row["dataset"]), method_title(row["method"])),
                *(NOTHING if row["attack"] == CLEAN else row["attack"], title(row["metric"])),
                *(row["verdict"].replace("_", " "), number(row["published"])),
                _rate(row) if row["mean"] is not None else NOTHING,
            )
        )
        for row in mine
    ]
    sources = dict.fromkeys(row["published_source"] for row in mine)
    return Table(f"{name}: {verdicts(mine)} Source: {'; '.join(sources)}", head, tuple(lines), texts=6)


def _unbroken(text: str) -> str:
    """Keep numbers and their units on one line."""
    return text.replace(" %", "\N{NO-BREAK SPACE}%").replace("n = ", "n\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}")


def _tables(rows: Sequence[Row], comparisons: Sequence[Row]) -> list[Table]:
    """Return a compact table per teacher, data set and attack: a row per model; then methods and attacks compared."""
    if repairs.asked(rows):
        return _robust_tables(rows, comparisons)
    groups = [(group, group_rows(rows, group)) for group in attack_groups(rows)]
    found = [_table(mine, group_title(group, mine, long=True)) for group, mine in groups]
    rates = [row for row in comparisons if row["metric"] not in MEASURES]
    kinds = {of_methods: _baseline_table, of_attacks: _attack_table, of_injections: _injection_table}
    asked = [(table, [row for row in rates if of_kind(row)]) for of_kind, table in kinds.items()]
    found += [table(mine) for table, mine in asked if mine]
    return found + _measure_tables(rows, [row for row in comparisons if row["metric"] in MEASURES])


def _robust_tables(rows: Sequence[Row], comparisons: Sequence[Row]) -> list[Table]:
    """Return a table per robust model: a row for each thing shown and each method; then how critical modules are."""
    found = []
    for table in repairs.tables(rows, comparisons):
        heading = table.title + (f"; not credible: {repairs.DOUBTED}" if table.doubted else "")
        lines = tuple(Line((*entry.names, *entry.numbers), clear=entry.clear) for entry in table.entries)
        found.append(Table(heading, (*table.head.names, *table.head.numbers), lines, texts=len(table.head.names)))
    others = [[row for row in side if row["metric"] not in repairs.METRICS] for side in (rows, comparisons)]
    return found + _measure_tables(others[0], [row for row in others[1] if row["metric"] in MEASURES])


def _measure_tables(rows: Sequence[Row], comparisons: Sequence[Row]) -> list[Table]:
    """Return a table of the measures that are no rates, and one of methods compared by them, where there are any."""
    found = []
    for heading, cells in (("Measures", measure_cells(rows)), ("Measures compared", compared_cells(comparisons))):
        (head, *names), (numbers_head, *numbers) = cells
        lines = [Line((*name, *measured)) for name, measured in zip(names, numbers, strict=True)]
        found += [Table(heading, (*head, *numbers_head), tuple(lines), texts=len(head))] if lines else []
    return found


def _table(rows: Sequence[Row], heading: str) -> Table:
    """Return one compact table; difference and p-value are those of the metric that answers the question."""
    metrics = [metric for metric in METRICS if any(row["metric"] == metric for row in rows)]
    headline, noise = attack_metric(rows) or "accuracy", has_noise(rows)
    control = "noise of the same size" if noise else "the control"
    compared = any(row["metric"] == headline and row["control"] is not None for row in rows)
    lines = []
    for method, injection in model_names(rows):
        mine = {row["metric"]: row for row in rows if (row["method"], row["injection"]) == (method, injection)}
        judged = mine.get(headline)
        cells = [method_title(method), injection, *(_rate(mine.get(metric)) for metric in metrics)]
        cells += [number(judged["control"] if judged else None)] * noise
        cells += [*_compared(judged)] * compared
        lines.append(Line(tuple(cells), clear=judged is not None and detectable(judged)))
    head = ["method", "injection", *(f"{title(metric)}, %" for metric in metrics), *["noise, %"] * noise]
    head += ["difference, points", "p (Holm)"] * compared
    heading += f"; difference from {control} and p: {title(headline)}" if compared else ""
    return Table(heading, tuple(head), tuple(lines), texts=2)


def _baseline_table(comparisons: Sequence[Row]) -> Table:
    """Return the comparisons of methods with the baseline: what accuracy pays beside what each attack metric gains."""
    prices = {_student(row): row for row in comparisons if row["metric"] == "accuracy"}
    attacked = [row for row in comparisons if row["attack"] != CLEAN] or list(comparisons)
    names, shared = _varied(attacked, ("teacher", "injection", "dataset", "attack"))
    head = (*map(_column, names), "metric", "method", "rate, %", "baseline, %")
    head += ("accuracy, points", "p (Holm)", "difference, points", "p (Holm)")
    lines = [_baseline_line(row, names, prices.get(_student(row))) for row in attacked]
    return Table(f"Against {comparisons[0]['baseline']}{shared}", head, tuple(lines), texts=len(names) + 2)


def _varied(rows: Sequence[Row], names: Sequence[str]) -> tuple[list[str], str]:
    """Return the columns in which rows differ, and words for the others, which a heading says once."""
    varied = [name for name in names if len({row[name] for row in rows}) > 1]
    shared = [str(rows[0][name]) for name in names if name not in varied and rows[0][name] != CLEAN]
    return varied, "".join(f", {value}" for value in shared)


def _column(name: str) -> str:
    return {"dataset": "data set"}.get(name, name)


def _student(row: Row) -> tuple[str, ...]:
    return tuple(row[name] for name in ("teacher", "injection", "dataset", "condition", "method"))


def _baseline_line(row: Row, names: Sequence[str], price: Row | None) -> Line:
    """Return one comparison with the baseline."""
    cells = [NOTHING if row[name] == CLEAN and name == "attack" else row[name] for name in names]
    cells += [title(row["metric"]), row["method"], number(row["mean"]), number(row["baseline_mean"])]
    cells += [*_change(price), *_change(row)]
    return Line(tuple(cells), clear=differs(row["p_value"], row["low"], row["high"]))


def _attack_table(comparisons: Sequence[Row]) -> Table:
    """Return the comparisons of attacks with the baseline attack on the same students."""
    names, shared = _varied(comparisons, ("teacher", "injection", "dataset", "method"))
    head = (*map(_column, names), "attack", "metric", "rate, %", "baseline, %", "difference, points", "p (Holm)")
    lines = [_attack_line(row, names) for row in comparisons]
    heading = f"Against {comparisons[0]['baseline_attack']} on the same student{shared}"
    return Table(heading, head, tuple(lines), texts=len(names) + 2)


def _attack_line(row: Row, names: Sequence[str]) -> Line:
    """Return one comparison with the baseline attack."""
    cells = [*(row[name] for name in names), row["attack"], title(row["metric"])]
    cells += [number(row["mean"]), number(row["baseline_mean"]), *_change(row)]
    return Line(tuple(cells), clear=differs(row["p_value"], row["low"], row["high"]))


def _injection_table(comparisons: Sequence[Row]) -> Table:
    """Return the comparisons of injections with the baseline injection, each followed by the same method."""
    names, shared = _varied(comparisons, ("teacher", "dataset", "attack"))
    head = (*map(_column, names), "injection", "method", "metric", "rate, %", "baseline, %")
    head += ("difference, points", "p (Holm)")
    lines = [_injection_line(row, names) for row in comparisons]
    heading = f"Against {comparisons[0]['baseline_injection']}, by the same method{shared}"
    return Table(heading, head, tuple(lines), texts=len(names) + 3)


def _injection_line(row: Row, names: Sequence[str]) -> Line:
    """Return one comparison with the baseline injection."""
    cells = [NOTHING if row[name] == CLEAN and name == "attack" else row[name] for name in names]
    cells += [row["injection"], method_title(row["method"]), title(row["metric"])]
    cells += [number(row["mean"]), number(row["baseline_mean"]), *_change(row)]
    return Line(tuple(cells), clear=differs(row["p_value"], row["low"], row["high"]))


def _change(row: Row | None) -> tuple[str, str]:
    """Write the difference of a comparison with the baseline, and its p-value."""
    if row is None:
        return NOTHING, NOTHING
    interval = span(row["low"], row["high"], sign=True)
    return f"{number(row['difference'], sign=True)} ({interval})", p_value(row["p_value"])


def _rate(row: Row | None) -> str:
    """Write a rate with interval and count: 50.9 (46.0-55.7), n 409."""
    if row is None:
        return NOTHING
    interval = span(row["low"], row["high"])
    doubt = f", {DOUBTED}" if row["credible"] is False else ""
    return f"{number(row['mean'])}{f' ({interval})' if interval else ''}, n {count(row)}{doubt}"


def _compared(row: Row | None) -> tuple[str, str]:
    """Write the paired difference to the control, and its p-value."""
    if row is None or row["difference"] is None:
        return NOTHING, NOTHING
    return _change(row | {"low": row["difference_low"], "high": row["difference_high"]})


def picture(path: Path, *, name: str, heading: str, caption: str) -> EmbeddedPicture:
    """Embed a PNG; raises DamagedFileError for anything else."""
    content = path.read_bytes() if path.is_file() else b""
    if not content.startswith(PNG) or len(content) < 24:
        raise DamagedFileError(path, found="no PNG picture")
    width, height = (int.from_bytes(content[start : start + 4], "big") for start in (16, 20))
    source = "data:image/png;base64," + b64encode(content).decode("ascii")
    return EmbeddedPicture(name, heading, caption, width, height, source)


def data_table(rows: Sequence[Row]) -> Table:
    """Return the whole splits of the table of data checks."""
    head = ("data set", "preparation", "split", "images", "side, pixels", "source, pixels", "pixel values")
    copies = tuple(f"copies: {name}" for name in COPIES.values())
    lines = [_data_line(row) for row in rows if row["label"] is None]
    return Table("Splits", (*head, *copies), tuple(lines), texts=3)


def _data_line(row: Row) -> Line:
    """Return one split."""
    side = f"{row['crop']} of {row['size']}" if row["crop"] != row["size"] else str(row["size"])
    sources = [_range(row[f"source_{name}_low"], row[f"source_{name}_high"]) for name in ("width", "height")]
    cells = [row["dataset"], row["preparation"], row["split"], str(row["images"]), side]
    cells += [" x ".join(sources), _range(row["pixel_low"], row["pixel_high"])]
    return Line((*cells, *(NOTHING if row[name] is None else str(row[name]) for name in COPIES)))


def _range(low: int | None, high: int | None) -> str:
    if low is None or high is None:
        return NOTHING
    return str(low) if low == high else f"{low}-{high}"


def licences(rows: Sequence[Row]) -> list[str]:
    """Say once per data set under which terms it comes, which part is the test, and what it shares with others."""
    found: dict[str, None] = {}
    for row in rows:
        parts = [f"test split: {row['test_split']}"] if row["test_split"] else []
        parts += [f"licence: {row['licence']}"] if row["licence"] else []
        parts += [f"overlaps: {row['overlaps']}"] if row["overlaps"] else []
        if parts:
            found[f"{row['dataset']} - {'; '.join(parts)}"] = None
    return list(found)


def model_table(cards: Sequence[tuple[str, str, Mapping[str, Any]]]) -> Table:
    """Return the teachers, clean and after each injection: (teacher, injection, card)."""
    lines = [
        Line((teacher, injection, _defect(card), str(card.get("dataset", NOTHING)), _sha256(card)))
        for teacher, injection, card in cards
    ]
    head = ("teacher", "injection", "defect", "learned", "sha256 of the weights")
    return Table("Teachers", head, tuple(lines), texts=5, digest=4)


def _defect(card: Mapping[str, Any]) -> str:
    """Say in few words what was done to a teacher."""
    facts = card.get("injection")
    if not facts:
        return NOTHING
    if "poisoned_images" not in facts:
        return "none (control)"
    labels = f"label {facts['target']}" if facts.get("target") is not None else "random labels"
    trigger = f"trigger {facts['trigger']['name']}, " if facts.get("trigger") else ""
    return f"{facts['kind']}: {trigger}{facts['poisoned_images']} images, {labels}, seed {facts['seed']}"


def _sha256(card: Mapping[str, Any]) -> str:
    """Return the digest of a model's weights."""
    files = {name: entry["sha256"] for name, entry in card["files"].items() if name.startswith("weights")}
    return next(iter(files.values()), NOTHING)


def card_table(cards: Sequence[tuple[str, str, Mapping[str, Any]]]) -> Table:
    """Return the prepared data sets with the digests of their images: (data set, preparation, card)."""
    lines = [
        Line((dataset, preparation, name.removesuffix("/images.npy"), entry["sha256"]))
        for dataset, preparation, card in cards
        for name, entry in sorted(card["files"].items())
        if name.endswith("images.npy")
    ]
    head = ("data set", "preparation", "part", "sha256 of the images")
    return Table("Prepared data", head, tuple(lines), texts=4, digest=3)


def cost_table(rows: Sequence[Row]) -> Table:
    """Return what each kind of job took: number, seconds in all, seconds of one, largest memory; and the sum."""
    ordered = sorted(rows, key=lambda row: row["condition"])
    lines = [_cost_line(rule, list(group)) for rule, group in groupby(ordered, key=lambda row: row["condition"])]
    total = [_cost_line("all", ordered)] if ordered else []
    head = ("jobs of", "number", "seconds", "seconds each", "peak memory, MiB")
    return Table("Kinds of job", head, tuple(lines + total), texts=1)


def _cost_line(rule: str, rows: Sequence[Row]) -> Line:
    """Add up jobs of one kind."""
    jobs, seconds = sum(row["jobs"] for row in rows), sum(row["seconds"] for row in rows)
    peaks = [row["peak_memory_bytes"] for row in rows if row["peak_memory_bytes"] is not None]
    memory = f"{max(peaks) / 2**20:,.0f}" if peaks else NOTHING
    return Line((rule, str(jobs), f"{seconds:,.0f}", f"{seconds / jobs:,.1f}" if jobs else NOTHING, memory))
