"""Which rows of a summary are shown together: one teacher, data set and attack, with the accuracies beside it."""

from __future__ import annotations

from collections.abc import Sequence

from heirloom.evaluation.metrics import CLEAN, TEACHER
from heirloom.reporting.tables import Row

GROUP = ("teacher", "dataset", "attack", "budget", "condition")
ATTACK_METRICS = ("targeted_success", "untargeted_success")


def attack_groups(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    """Return the (teacher, dataset, attack, budget, condition) to show.

    The clean ones only where nothing attacks, or where an infected model is never attacked: poison shows in accuracy.
    """
    found = {tuple(row[name] for name in GROUP) for row in rows}
    attacked = {(*_place(row), row["injection"]) for row in rows if row["attack"] != CLEAN}
    places = {_place(row) for row in rows} - {name[:2] for name in attacked}
    infected = [row for row in rows if row["control"] is not None]
    places |= {_place(row) for row in infected if (*_place(row), row["injection"]) not in attacked}
    return sorted(group for group in found if group[2] != CLEAN or (group[0], group[1]) in places)


def _place(row: Row) -> tuple[str, str]:
    return row["teacher"], row["dataset"]


def group_rows(rows: Sequence[Row], group: Sequence[str]) -> list[Row]:
    """Return a group's rows and the accuracies that belong to it: those of the models that its attack was shown to."""
    _, _, attack, budget, condition = group
    mine = [row for row in rows if _place(row) == (group[0], group[1]) and row["condition"] == condition]
    if attack == CLEAN:
        infected = {row["injection"] for row in mine if row["control"] is not None}
        elsewhere = infected & {row["injection"] for row in mine if row["attack"] != CLEAN}
        left = [row for row in mine if row["attack"] == CLEAN and row["injection"] not in elsewhere]
        methods = {row["method"] for row in left if row["injection"] in infected}
        return [row for row in left if row["method"] in methods] if elsewhere else left
    shown = {row["injection"] for row in mine if (row["attack"], row["budget"]) == (attack, budget)}
    return [
        row
        for row in mine
        if row["injection"] in shown and (row["attack"] == CLEAN or (row["attack"], row["budget"]) == (attack, budget))
    ]


def group_title(group: Sequence[str], *, teacher: bool = True) -> str:
    """Name a group: teacher net, signs, trigger pinwheel; without the teacher where a study has but one."""
    name, dataset, attack, _, condition = group
    parts = [f"teacher {name}" if teacher else "", dataset, "" if attack == CLEAN else f"trigger {attack}", condition]
    return ", ".join(part for part in parts if part)


def attack_metric(rows: Sequence[Row]) -> str:
    """Return the metric by which a group's attack is judged: sent to the target, else changed; "" without attack."""
    present = {row["metric"] for row in rows if row["attack"] != CLEAN}
    return next((name for name in ATTACK_METRICS if name in present), "")


def model_names(rows: Sequence[Row]) -> list[tuple[str, str]]:
    """Return (method, injection): the teacher first, and each infected model before its controls."""
    infected = {row["injection"] for row in rows if row["control"] is not None}
    found = {(row["method"], row["injection"]) for row in rows}
    return sorted(found, key=lambda name: (name[0] != TEACHER, name[0], name[1] not in infected, name[1]))
