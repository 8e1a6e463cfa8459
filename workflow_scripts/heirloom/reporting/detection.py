"""What detectors say of an infected teacher and of its control, in generated sentences.

A detector gives one number for a model, so no test stands behind these sentences: they tell on which side of the
detector's own threshold both lie.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from heirloom.config.kinds import DETECTORS
from heirloom.reporting.tables import Row
from heirloom.reporting.views import measures
from heirloom.reporting.wording import amount, place

METRIC = "detection_score"
CLASS = ":class "  # in a condition, between a detector's name and the label whose own score the row holds
WORDS = ("the largest score that {detector} gives", "score")  # of detectors without words of their own
FLAGGED = {
    (True, False): "flags the infected teacher alone",
    (True, True): "flags the clean control too",
    (False, True): "flags the clean control instead",
    (False, False): "flags neither",
}


def paragraphs(rows: Sequence[Row]) -> list[str]:
    """Say of each infected teacher and detector what it scores, whom it flags, and whether at the target class.

    `rows`: an experiment's summary. A teacher without a control row is not told of.
    """
    mine = [row for row in measures(rows) if row["metric"] == METRIC and row["control"] is not None]
    varied = [name for name in ("teacher", "injection") if len({row[name] for row in mine}) > 1]
    return [_paragraph(row, _targets(row, mine), varied) for row in mine if CLASS not in row["condition"]]


def _targets(row: Row, rows: Sequence[Row]) -> list[Row]:
    """Return the scores of the target classes that belong to a detector's largest score."""
    same = ("teacher", "injection", "dataset", "budget")
    start = f"{row['condition']}{CLASS}"
    return [each for each in rows if each["condition"].startswith(start) and all(each[n] == row[n] for n in same)]


def _paragraph(row: Row, targets: Sequence[Row], varied: Sequence[str]) -> str:
    settings = json.loads(row["budget"])
    threshold = settings["threshold"]
    largest, of_class = getattr(DETECTORS.load(settings["kind"]), "WORDS", WORDS)
    flagged = FLAGGED[row["mean"] > threshold, row["control"] > threshold]
    told = (
        f"{place(row, varied=varied)}, {largest.format(detector=row['condition'])} is {amount(row['mean'])} in the"
        f" infected teacher, against {amount(row['control'])} in its clean control: at a"
        f" threshold of {threshold:g} it {flagged}."
    )
    return " ".join([told, *(_pointed(row, target, of_class) for target in targets)])


def _pointed(row: Row, target: Row, score: str) -> str:
    """Say whether the class of the largest score is the target; `score`: the word for it."""
    if target["mean"] == row["mean"]:
        return "In the infected teacher that class is the target."
    return f"In the infected teacher that class is not the target, whose {score} is {amount(target['mean'])}."
