"""The summary for reading: a self-contained HTML page and a LaTeX table, both from the same cells."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape

from heirloom.evaluation.measures import ALL, MEASURES, SHARES
from heirloom.reporting.sentences import answers
from heirloom.reporting.tables import Row
from heirloom.reporting.views import is_detail_row
from heirloom.reporting.wording import (
    DOUBTED,
    NOTHING,
    amount,
    amounts,
    count,
    detectable,
    number,
    p_value,
    span,
    title,
)

TEXTS = ("experiment", "teacher", "dataset", "injection", "method", "attack", "metric")
NUMBERS = ("rate, %", "95 % interval", "n", "seeds", "control, %", "difference", "95 % interval", "p (Holm)")
PUBLISHED = ("published, %", "verdict")
NOTE = (
    "Rates of test images in percent. n: images that count (smallest-largest where seeds differ). Intervals: 95 %, t"
    " over seeds or Wilson for one seed. Control: the same model from the clean injection; of a feature attack, the"
    " same model under random noise of the same size. Difference: paired, in percentage points. p: McNemar's exact test"
    " or a paired t test over seeds, adjusted by Holm over the study's comparisons of the metric. Bold: p below 0.05"
    " and an interval of the difference without 0. Attention densities, detection scores, robust criticality and"
    " reconstruction errors are no rates: they stand in units of their own, with t intervals over samples for one seed."
    " Not credible: another attack"
    " of the same norm and no larger epsilon leaves less."
)
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 90rem; padding: 0 1.5rem; color: #1b2430; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin: 1.6rem 0 .2rem; } p { max-width: 60rem; margin: .3rem 0; }
.note { color: #5b6673; font-size: .87rem; } .question { color: #5b6673; font-style: italic; }
table { border-collapse: collapse; width: 100%; margin-top: 1rem; }
table { font-size: .87rem; font-variant-numeric: tabular-nums; }
th { position: sticky; top: 0; background: #f3f5f7; text-align: left; border-bottom: 2px solid #8a96a3; }
th, td { padding: .3rem .6rem; white-space: nowrap; } td { border-bottom: 1px solid #e3e7eb; }
th.number, td.number { text-align: right; } tbody tr:hover { background: #f8fafb; } .clear { font-weight: 600; }
"""


def texts(row: Row) -> list[str]:
    """Return the cells that name a row."""
    attack = NOTHING if row["attack"] == "none" else row["attack"]
    metric = title(row["metric"])
    metric += f" ({row['condition']})" if row["condition"] not in ("", ALL) else ""
    metric += f" ({DOUBTED})" if row["credible"] is False else ""
    return [*(row[name] for name in TEXTS[:-2]), attack, metric]


def published_head(rows: Sequence[Row]) -> tuple[str, ...]:
    """Return the columns of published numbers where there are any."""
    return PUBLISHED if any(row["published"] is not None for row in rows) else ()


def published(row: Row) -> list[str]:
    """Return the cells of a published number."""
    return [number(row["published"]), NOTHING if row["published"] is None else row["verdict"].replace("_", " ")]


def numbers(row: Row) -> list[str]:
    """Return the cells that measure a row."""
    in_units = row["metric"] in MEASURES and row["metric"] not in SHARES
    one, both = (amount, amounts) if in_units else (number, span)
    return [
        one(row["mean"]),
        both(row["low"], row["high"]) or NOTHING,
        count(row),
        str(row["seeds"]),
        one(row["control"]),
        one(row["difference"], sign=True),
        both(row["difference_low"], row["difference_high"], sign=True) or NOTHING,
        p_value(row["p_value"]),
    ]


def html(rows: Sequence[Row], *, study: str, questions: Mapping[str, str], comparisons: Sequence[Row] = ()) -> str:
    """Return the summary as one page without anything from elsewhere: the answers, then every row.

    But for the accuracies under single corruptions, which the CSV and the parquet hold.
    """
    rows = _for_reading(rows)
    found = answers(rows, comparisons)
    blocks = [
        f'<h2>{escape(name)}</h2>\n<p class="question">{escape(questions.get(name, ""))}</p>\n'
        + "\n".join(f"<p>{escape(line)}</p>" for line in found[name].splitlines())
        for name in sorted(found)
    ]
    head = "".join(f"<th>{escape(name)}</th>" for name in TEXTS)
    last = published_head(rows)
    head += "".join(f'<th class="number">{escape(name)}</th>' for name in (*NUMBERS, *last))
    body = "\n".join(_html_row(row, published(row) if last else []) for row in rows)
    heading = escape(f"Summary of study {study}")
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{heading}</title>\n'
        f'<meta name="viewport" content="width=device-width">\n<style>{STYLE}</style>\n</head>\n<body>\n'
        f"<h1>{heading}</h1>\n" + "\n".join(blocks) + f'\n<p class="note">{escape(NOTE)}</p>\n'
        f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>\n</body>\n</html>\n"
    )


def _for_reading(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if not is_detail_row(row)]


def _html_row(row: Row, last: Sequence[str]) -> str:
    """Return one row of the page, `last` behind its own cells."""
    cells = "".join(f"<td>{escape(text)}</td>" for text in texts(row))
    cells += "".join(f'<td class="number">{escape(text)}</td>' for text in (*numbers(row), *last))
    return f'<tr class="clear">{cells}</tr>' if detectable(row) else f"<tr>{cells}</tr>"


def latex(rows: Sequence[Row], *, study: str) -> str:
    """Return the rows of `html` as a longtable with booktabs' rules (packages: booktabs, longtable)."""
    rows = _for_reading(rows)
    last = published_head(rows)
    head = " & ".join(latex_escape(name) for name in (*TEXTS, *NUMBERS, *last))
    lines = [" & ".join(_latex_cells(row, published(row) if last else [])) + r" \\" for row in rows]
    return "\n".join(
        [
            f"% Summary of study {study}; needs the packages booktabs and longtable",
            rf"\begin{{longtable}}{{{'l' * len(TEXTS)}{'r' * (len(NUMBERS) + len(last))}}}",
            r"\toprule",
            head + r" \\",
            r"\midrule",
            r"\endhead",
            *lines,
            r"\bottomrule",
            rf"\caption{{{latex_escape(NOTE)}}}",
            r"\end{longtable}",
            "",
        ]
    )


def _latex_cells(row: Row, last: Sequence[str]) -> list[str]:
    """Return one row's cells, `last` behind its own; the rate is bold where the row differs from its control."""
    rate, *rest = [_latex_number(text) for text in (*numbers(row), *last)]
    rate = rf"\textbf{{{rate}}}" if detectable(row) else rate
    return [*(latex_escape(text) for text in texts(row)), rate, *rest]


def _latex_number(text: str) -> str:
    """Set minus signs and ranges as LaTeX wants them: -1.0 to a minus, 1.0-2.0 and a lone hyphen to an en dash."""
    signed = re.sub(r"(?<!\d)-(?=\d)", "$-$", latex_escape(text))
    return re.sub(r"(?<=\d)-(?=\d)|^-$", "--", signed)


def latex_escape(text: str) -> str:
    """Escape what LaTeX reads as commands."""
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    special |= {"<": r"\textless{}", ">": r"\textgreater{}"} | {char: f"\\{char}" for char in "&%$#_{}"}
    return "".join(special.get(char, char) for char in text)
