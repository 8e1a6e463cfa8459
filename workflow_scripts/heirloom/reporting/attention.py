"""Where models look, in words: the rule behind a figure's images, and sentences from the rows of the summary."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from heirloom.evaluation.metrics import CLEAN, TEACHER
from heirloom.reporting.tables import KIND, Row
from heirloom.reporting.views import TRIGGER, measures
from heirloom.reporting.wording import amount, amounts, detectable, listed, method_title, p_told, percent, place

DENSITY = "attention_density"
KINDS = {"activation": "activation", "grad-cam": "Grad-CAM"}


# -- figures -----------------------------------------------------------------------------------------------------------


def kind_title(kind: str) -> str:
    """Name a kind of map."""
    return KINDS.get(kind, kind)


def condition_title(name: str, facts: Mapping[str, Any]) -> str:
    """Name what a column shows: clean, trigger pinwheel, attack feature-pixel."""
    if name == CLEAN:
        return "clean"
    return f"{'trigger' if name in facts['triggers'] else 'attack'} {name}"


def choice_caption(facts: Mapping[str, Any]) -> str:
    """Say by which rule the images of one panel (`panels.Panel.facts`) were chosen, and whether any met it."""
    rows = [str(image["row"]) for image in facts["images"]]
    if not rows:
        return "No image is shown: all that were measured are of a class that the trigger leads to."
    met = [str(image["demands_met"]) for image in facts["images"]]
    found, asked = facts["complete"], facts["demands"]
    what = "image that was" if facts["candidates"] == 1 else "images that were"
    among = f"of the {facts['candidates']} {what} measured{_without_targets(facts)}"
    if found >= len(rows):
        told = f"The rule is met by {found} {among}; the first in the test set's order are shown: {listed(rows)}."
    else:
        told = f"The rule is met by {found or 'none'} {among}. Shown are those that meet most of its {asked} demands"
        told += f" (one of each student on each kind of picture), the first in the test set's order: {listed(rows)}"
        told += f" (meeting {listed(met)})."
    return f"Rule: {_rule(facts)}.{_thresholds(facts)} {told}"


def _without_targets(facts: Mapping[str, Any]) -> str:
    return " (without those of the trigger's target class)" if facts["triggers"] else ""


def _rule(facts: Mapping[str, Any]) -> str:
    """Word the demands of `attention_choice.choose`."""
    methods = [model["method"] for model in facts["models"] if model["method"] != TEACHER]
    holding = [name for name in methods if name in facts["defences"]]
    others = [name for name in methods if name not in facts["defences"]]
    thing = facts["object"]
    clean = "every student is right on the clean image"
    clean += f" and attends to the {thing}" if thing else ""
    clean += " and not to the trigger's place" if facts["triggers"] and not thing else ""
    parts = [clean]
    if facts["triggers"]:
        parts += [f"under the trigger {listed(others)} attend{'s' * (len(others) == 1)} to it"] if others else []
        stays = f"still to the {thing}" if thing else "not to the trigger"
        parts += [f"{listed(holding)} {stays}"] if holding else []
    if set(facts["conditions"]) - {CLEAN, *facts["triggers"]}:
        parts += [f"the attack changes the prediction of {listed(others)}"] if others else []
        parts += [f"not that of {listed(holding)}"] if holding else []
    return "; ".join(parts)


def _thresholds(facts: Mapping[str, Any]) -> str:
    """Say what attending is, by which kind of map."""
    regions = {facts["object"]: facts["object_density"]} if facts["object"] else {}
    regions |= {TRIGGER: facts["trigger_density"]} if facts["triggers"] else {}
    told = [f"to the {name} where it is denser there than {least:g}" for name, least in regions.items()]
    other = " and than on the other" if len(regions) > 1 else ""
    return f" By its {kind_title(facts['kinds'][0])} map a model attends {listed(told)}{other}." if told else ""


def explanation(facts: Mapping[str, Any]) -> str:
    """Say what the numbers below the pictures are."""
    regions = [facts["object"]] * bool(facts["object"]) + ["trigger"] * bool(facts["triggers"])
    told = "Maps from the least (blue) to the most (red) of each image, over the picture in grey."
    if regions:
        told += f" Numbers: how many times as densely as on average the map lies on the {listed(regions)}"
        told += ", outlined on top" + (" (dashed: where it would be)." if facts["triggers"] else ".")
    if len(facts["conditions"]) > 1:
        told += " Overlap: the mass that the map shares with that of the clean image."
    flat = [f"{percent(share)} of the {kind_title(kind)} maps" for kind, share in facts["flat"].items() if share]
    return told + (f" Without contrast, and counted as even: {listed(flat)}." if flat else "")


# -- sentences ---------------------------------------------------------------------------------------------------------


def paragraphs(rows: Sequence[Row]) -> list[str]:
    """Say how densely models look at triggers, beside their controls: one paragraph per kind of map and trigger.

    Only rows of triggered images with a control are told; the others stand in the tables.
    """
    mine = [row for row in measures(rows) if row["metric"] == DENSITY and row[KIND] == TRIGGER and _of_trigger(row)]
    mine = [row for row in mine if row["control"] is not None]
    varied = [name for name in ("teacher", "injection") if len({row[name] for row in mine}) > 1]
    ordered = sorted(mine, key=_subject)
    return [_paragraph(list(group), rows, varied) for _, group in groupby(ordered, key=_subject)]


def _subject(row: Row) -> tuple[str, ...]:
    return tuple(row[name] for name in ("teacher", "injection", "dataset", "attack", "budget", "condition"))


def _of_trigger(row: Row) -> bool:
    """Tell a density on a trigger from one on the object."""
    region = str(row["condition"]).partition(": ")[2]
    return region.partition(", ")[0] == TRIGGER


def _paragraph(group: Sequence[Row], rows: Sequence[Row], varied: Sequence[str]) -> str:
    """Say it of one trigger."""
    first = group[0]
    kind = kind_title(str(first["condition"]).partition(":")[0])
    where = f"{place(first, varied=varied)}, under the {first['attack']} trigger"
    told = "; ".join(
        _model(row, rows) for row in sorted(group, key=lambda row: (row["method"] != TEACHER, -row["mean"]))
    )
    return f"{where}, the attention ({kind}) lies on the trigger so many times as densely as on average: {told}."


def _model(row: Row, rows: Sequence[Row]) -> str:
    """Say it of one model: 3.10 of fine-tuning (clean control 1.02; difference +2.08, +1.90 to +2.26, p < 0.001)."""
    told = [f"the same from the clean teacher {amount(row['control'])}"]
    change = amounts(row["difference_low"], row["difference_high"], sign=True)
    if change:
        told += [f"difference {amount(row['difference'], sign=True)}, {change}, {p_told(row['p_value'])}"]
    told += [] if detectable(row) else ["no detectable difference"]
    told += [f"{name} {amount(value)}" for name, value in _beside(row, rows)]
    return f"{amount(row['mean'])} for {method_title(row['method'])} ({'; '.join(told)})"


def _beside(row: Row, rows: Sequence[Row]) -> Iterator[tuple[str, float]]:
    """Yield the densities beside a row's: the same model on the object, and at the trigger's place when clean."""
    kind, _, region = str(row["condition"]).partition(": ")
    suffix = region.removeprefix(TRIGGER)
    keys = ("teacher", "injection", "dataset", "method")
    mine = [other for other in measures(rows) if other["metric"] == DENSITY and all(other[k] == row[k] for k in keys)]
    for other in mine:
        own, _, what = str(other["condition"]).partition(": ")
        if own != kind or not what.endswith(suffix):
            continue
        if other["attack"] == row["attack"] and what != region:
            yield f"on the {what.removesuffix(suffix)}", other["mean"]
        if other["attack"] == CLEAN and what == region:
            yield "at its place on clean images", other["mean"]
