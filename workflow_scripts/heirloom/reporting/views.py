"""Which rows of a summary are shown together: one teacher, data set and attack, with the accuracies beside it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from heirloom.config.names import UNREPAIRED
from heirloom.evaluation.measures import MEASURES, is_detail
from heirloom.evaluation.metrics import CLEAN, TEACHER
from heirloom.reporting.tables import ASIDE, KIND, MEAN, TITLE, Row, is_measured

GROUP = ("teacher", "dataset", "attack", "budget", "condition")
ATTACK_METRICS = ("targeted_success", "untargeted_success", "attack_success")
TRIGGER = "trigger"


def shown(rows: Sequence[Row]) -> list[Row]:
    """Keep the rates, without what stands beside them: noise as a control, and numbers that were published alone.

    A noise that no attack of the experiment is compared with is an attack of its own.
    """
    return [row for row in rows if is_measured(row) and not row[ASIDE] and row["metric"] not in MEASURES]


def measures(rows: Sequence[Row]) -> list[Row]:
    """Keep what was measured and is no rate."""
    return [row for row in rows if is_measured(row) and row["metric"] in MEASURES and not is_detail_row(row)]


def is_detail_row(row: Row) -> bool:
    """Tell the accuracy under one corruption, which tables for reading leave to the mean over all."""
    return is_detail(row["metric"], row["condition"])


def of_robust_models(rows: Sequence[Row]) -> set[str]:
    """Return the experiments whose models are no students: robust ones with their repairs, and attacked ones."""
    return {row["experiment"] for row in rows if row["method"] == UNREPAIRED or row["teacher"] == CLEAN}


def parted(rows: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """Part the rows of teachers and their students from those of robust models."""
    robust = of_robust_models(rows)
    return (
        [row for row in rows if row["experiment"] not in robust],
        [row for row in rows if row["experiment"] in robust],
    )


def infected(rows: Sequence[Row]) -> set[str]:
    """Return the injections that are compared with a control injection; a feature attack's control is noise instead."""
    return {row["injection"] for row in rows if row["control"] is not None and row[KIND] in ("", TRIGGER)}


def attack_groups(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    """Return the (teacher, dataset, attack, budget, condition) to show, means over data sets after these.

    The clean ones only where nothing attacks, or where an infected model never sees a trigger: poison shows in
    accuracy.
    """
    rows = shown(rows)
    found = {tuple(row[name] for name in GROUP) for row in rows}
    attacked = {_place(row) for row in rows if row["attack"] != CLEAN}
    triggered = {(*_place(row), row["injection"]) for row in rows if row[KIND] == TRIGGER}
    places = {_place(row) for row in rows} - attacked
    places |= {
        _place(row)
        for row in rows
        if row["control"] is not None and not row[KIND] and (*_place(row), row["injection"]) not in triggered
    }
    kept = [group for group in found if group[2] != CLEAN or (group[0], group[1]) in places]
    return sorted(kept, key=lambda group: (group[0], group[1] == MEAN, *group[1:]))


def _place(row: Row) -> tuple[str, str]:
    return row["teacher"], row["dataset"]


def group_rows(rows: Sequence[Row], group: Sequence[str]) -> list[Row]:
    """Return a group's rows and the accuracies that belong to it: those of the models that its attack was shown to."""
    _, _, attack, budget, condition = group
    mine = [row for row in shown(rows) if _place(row) == (group[0], group[1]) and row["condition"] == condition]
    if attack == CLEAN:
        compared = infected(mine)
        elsewhere = compared & {row["injection"] for row in mine if row[KIND] == TRIGGER}
        left = [row for row in mine if row["attack"] == CLEAN and row["injection"] not in elsewhere]
        methods = {row["method"] for row in left if row["injection"] in compared}
        return [row for row in left if row["method"] in methods] if elsewhere else left
    attacked = [row for row in mine if (row["attack"], row["budget"]) == (attack, budget)]
    models = {(row["method"], row["injection"]) for row in attacked}
    clean = [row for row in mine if row["attack"] == CLEAN and (row["method"], row["injection"]) in models]
    return clean + attacked


def group_title(group: Sequence[str], rows: Sequence[Row], *, teacher: bool = True, long: bool = False) -> str:
    """Name a group: teacher net, signs, trigger pinwheel; without the teacher where a study has but one.

    `rows` are those of the group; `long` adds what its attack's entry is called.
    """
    name, dataset, _, _, condition = group
    parts = [
        f"teacher {name}" if teacher else "",
        dataset_title(dataset),
        attack_title(group, rows, long=long),
        condition,
    ]
    return ", ".join(part for part in parts if part)


def dataset_title(dataset: str) -> str:
    """Name a data set."""
    return "mean over the data sets" if dataset == MEAN else dataset


def attack_title(group: Sequence[str], rows: Sequence[Row], *, long: bool = False) -> str:
    """Name a group's attack, "" where nothing attacks: trigger pinwheel, attack feature-pixel."""
    facts = next((row for row in rows if row["attack"] == group[2] and row["attack"] != CLEAN), None)
    if facts is None:
        return ""
    if facts[KIND] == TRIGGER:
        return f"trigger {group[2]}"
    return f"attack {group[2]}" + (f" ({facts[TITLE]})" if long and facts[TITLE] else "")


def attack_metric(rows: Sequence[Row]) -> str:
    """Return the metric by which a group's attack is judged: sent to the target, else changed; "" without attack."""
    present = {row["metric"] for row in rows if row["attack"] != CLEAN}
    return next((name for name in ATTACK_METRICS if name in present), "")


def subject(row: Row) -> tuple[str, ...]:
    """Name what a paragraph is about: teacher, injection, data set, attack, budget and condition."""
    return tuple(row[name] for name in ("teacher", "injection", "dataset", "attack", "budget", "condition"))


def by_subject(rows: Sequence[Row]) -> list[tuple[tuple[str, ...], list[Row]]]:
    """Group rows by paragraph, sorted, means over data sets last."""
    ranked = sorted(rows, key=lambda row: (row["dataset"] == MEAN, subject(row)))
    return [(key, list(group)) for key, group in groupby(ranked, key=subject)]


def by_effect(rows: Sequence[Row]) -> list[Row]:
    """Order students from the most affected to the least: high attack success, or much accuracy lost."""
    sign = {"accuracy": 1}
    return sorted(rows, key=lambda row: (sign.get(row["metric"], -1) * (row["mean"] or 0.0), row["method"]))


def has_noise(rows: Sequence[Row]) -> bool:
    """Tell whether a group's attack stands beside noise of the same size."""
    return any(row[KIND] == "feature" and row["control"] is not None for row in rows)


def model_names(rows: Sequence[Row]) -> list[tuple[str, str]]:
    """Return (method, injection): the teacher first, and each infected model before its controls."""
    ill = infected(rows)
    found = {(row["method"], row["injection"]) for row in rows}
    return sorted(found, key=lambda name: (name[0] != TEACHER, name[0], name[1] not in ill, name[1]))
