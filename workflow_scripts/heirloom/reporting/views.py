"""Which rows of a summary are shown together: one teacher, data set and attack, with the accuracies beside it."""

from __future__ import annotations

from collections.abc import Sequence

from heirloom.evaluation.metrics import CLEAN, TEACHER
from heirloom.reporting.tables import Row

GROUP = ("teacher", "dataset", "attack", "budget", "condition")


def attack_groups(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    """Return the (teacher, dataset, attack, budget, condition) to show, the clean ones only where nothing attacks."""
    found = {tuple(row[name] for name in GROUP) for row in rows}
    attacked = {(group[0], group[1]) for group in found if group[2] != CLEAN}
    return sorted(group for group in found if group[2] != CLEAN or (group[0], group[1]) not in attacked)


def group_rows(rows: Sequence[Row], group: Sequence[str]) -> list[Row]:
    """Return a group's rows and the accuracies that belong to it."""
    teacher, dataset, attack, budget, condition = group
    mine = [row for row in rows if (row["teacher"], row["dataset"]) == (teacher, dataset)]
    shown = {(CLEAN, condition), (attack, condition)}
    return [
        row
        for row in mine
        if (row["attack"], row["condition"]) in shown and (row["attack"] == CLEAN or row["budget"] == budget)
    ]


def model_names(rows: Sequence[Row]) -> list[tuple[str, str]]:
    """Return (method, injection): the teacher first, and each infected model before its controls."""
    infected = {row["injection"] for row in rows if row["control"] is not None}
    found = {(row["method"], row["injection"]) for row in rows}
    return sorted(found, key=lambda name: (name[0] != TEACHER, name[0], name[1] not in infected, name[1]))
