"""Which development samples train and which validate: made once, by seed, cutting no group (docs/definitions.md#b8)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from heirloom.data.listing import Sample
from heirloom.runtime.errors import DataError
from heirloom.runtime.seeds import derive_seed


@dataclass(frozen=True)
class Splits:
    """The development samples of each split, each in the order given, and the labels of classes kept whole."""

    train: tuple[Sample, ...]
    validation: tuple[Sample, ...]
    undivided: tuple[int, ...]


def split(samples: Sequence[Sample], *, validation: float, shots: int | None, seed: int) -> Splits:
    """Hold out a share of each class's samples by whole groups, then keep at most `shots` training samples a class.

    Per class, groups in an order drawn by `seed` are held out while that brings their number of samples nearer to
    round(validation * samples of the class); at least one group is (when validation > 0) and at least one is not. A
    class with a single group stays in training, and its label is among `undivided`. The choice for a class depends on
    its own samples alone, that of shots not on `shots` (fewer are a part of more). Raises DataError when a group spans
    classes.
    """
    classes = _by_class(samples)
    held = {label: _held_out(groups, validation, seed) for label, groups in classes.items()}
    chosen_groups = frozenset[str]().union(*held.values())
    train = [sample for sample in samples if sample.group not in chosen_groups]
    return Splits(
        train=tuple(_shots(train, shots, seed)),
        validation=tuple(sample for sample in samples if sample.group in chosen_groups),
        undivided=tuple(label for label in sorted(held) if validation > 0 and not held[label]),
    )


def _by_class(samples: Sequence[Sample]) -> dict[int, dict[str, int]]:
    """Count samples by label and group."""
    counts: dict[int, dict[str, int]] = {}
    label_of: dict[str, int] = {}
    for sample in samples:
        if label_of.setdefault(sample.group, sample.label) != sample.label:
            labels = f"labels {label_of[sample.group]} and {sample.label}"
            mend = "a group is one physical object: it can have one class only"
            raise DataError(f"the group {sample.group!r} spans {labels}", where=str(sample.path), mend=mend)
        groups = counts.setdefault(sample.label, {})
        groups[sample.group] = groups.get(sample.group, 0) + 1
    return counts


def _held_out(groups: dict[str, int], share: float, seed: int) -> frozenset[str]:
    """Choose the groups of one class that validate."""
    if share <= 0 or len(groups) < 2:
        return frozenset()
    # ordered by a hash of the name: stable across versions of any generator, and for a class across other classes
    order = sorted(groups, key=lambda group: derive_seed(seed, "validation", group))
    wanted = round(share * sum(groups.values()))
    held: list[str] = []
    count = 0
    for group in order:
        if len(held) < len(groups) - 1 and abs(count + groups[group] - wanted) < abs(count - wanted):
            held.append(group)
            count += groups[group]
    return frozenset(held or [min(order, key=lambda group: groups[group])])


def _shots(train: Sequence[Sample], shots: int | None, seed: int) -> list[Sample]:
    """Keep at most `shots` samples of each class, chosen by seed."""
    if shots is None:
        return list(train)
    kept: dict[int, int] = {}
    chosen: set[str] = set()
    for sample in sorted(train, key=lambda sample: derive_seed(seed, "shots", sample.identifier)):
        kept[sample.label] = kept.get(sample.label, 0) + 1
        if kept[sample.label] <= shots:
            chosen.add(sample.identifier)
    return [sample for sample in train if sample.identifier in chosen]
