"""Attacks on a model itself: which images each is given, and which of its runs counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from heirloom.config.attacks import OnModel
from heirloom.config.kinds import ATTACKS
from heirloom.data.store import Part
from heirloom.models.conditions import Condition
from heirloom.runtime.seeds import derive_seed


@dataclass(frozen=True, eq=False)
class Subject:
    """An attack by name with the images it is given and its runs, of which the worst counts; most have one run."""

    name: str
    part: Part
    runs: tuple[Condition, ...]

    def __len__(self) -> int:
        """How many images are attacked, each run anew."""
        return len(self.part) * len(self.runs)


def subjects(part: Part, attacks: Mapping[str, OnModel]) -> list[Subject]:
    """Set up attacks on whichever model looks at a part's images, in the order of their names."""
    return [_subject(name, attack, part.take(attacked_rows(len(part), attack))) for name, attack in _sorted(attacks)]


def _sorted(attacks: Mapping[str, OnModel]) -> list[tuple[str, OnModel]]:
    return sorted(attacks.items(), key=lambda item: item[0])


def _subject(name: str, attack: OnModel, part: Part) -> Subject:
    make = ATTACKS.load(attack.kind).attack
    budget = make(name, attack, part).budget
    return Subject(name, part, tuple(replace(make(name, run, part), budget=budget) for run in attack.runs()))


def worst(runs: Sequence[pa.Table]) -> pa.Table:
    """Return the predictions (`conditions.judged`) of the run that leaves the fewest images right, the first such."""
    return min(runs, key=lambda run: int(np.sum(run["label"].to_numpy() == run["prediction"].to_numpy())))


def attacked_rows(count: int, attack: OnModel) -> NDArray[np.int64]:
    """Choose which of `count` images an attack is given, by its seed; sorted. A smaller choice is part of a larger."""
    return chosen_rows(count, attack.images, attack.seed)


def chosen_rows(count: int, images: int | None, seed: int) -> NDArray[np.int64]:
    """Choose some of `count` images, all for None; sorted. Of one seed a smaller choice is part of a larger."""
    wanted = count if images is None else min(count, images)
    order = np.random.default_rng(derive_seed(seed, "attacked images")).permutation(count)
    return np.sort(order[:wanted]).astype(np.int64)
