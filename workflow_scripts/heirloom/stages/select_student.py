"""Choose among students of several recipes the one that does best on validation images; no test image has a say."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from heirloom.models.weights import WEIGHTS
from heirloom.runtime.errors import DataError
from heirloom.runtime.files import atomic_path, read_card, verify_card, write_card
from heirloom.training.session import ModelFiles


@dataclass(frozen=True)
class Inputs:
    """Cards of every candidate and seed, candidate by candidate; weights and histories of each candidate's one seed."""

    cards: list[Path]
    weights: list[Path]
    histories: list[Path]


def run(*, inputs: Inputs, outputs: ModelFiles, candidates: list[str], seeds: list[int], seed: int) -> None:
    """Write the student of `seed` by the candidate with the highest validation accuracy, averaged over all seeds.

    The choice is one for all seeds, and it is a recipe's: seeds are not chosen among. Of equals the first in the
    study's order wins. The card repeats the chosen student's and lists every candidate's accuracy. Raises DataError
    where a candidate was never validated, DamagedFileError.
    """
    accuracies = _accuracies(inputs.cards, candidates, seeds=len(seeds))
    chosen = max(candidates, key=lambda name: accuracies[name])  # the first of equals
    place = candidates.index(chosen)
    card = inputs.cards[place * len(seeds) + seeds.index(seed)]
    verify_card(card, WEIGHTS, inputs.histories[place].name)
    for source, target in ((inputs.weights[place], outputs.weights), (inputs.histories[place], outputs.history)):
        _same_file(source, target)
    facts = {key: value for key, value in read_card(card).items() if key not in {"files", "kind"}}
    write_card(
        outputs.card,
        kind="student",
        files={path.name: path for path in (outputs.weights, outputs.history)},
        **facts,
        selection={"chosen": chosen, "validation_accuracy": accuracies, "seeds": len(seeds)},
    )


def _accuracies(cards: Sequence[Path], candidates: Sequence[str], *, seeds: int) -> dict[str, float]:
    """Average each candidate's validation accuracy over seeds."""
    found: dict[str, float] = {}
    for place, name in enumerate(candidates):
        found[name] = fmean(_accuracy(card, name) for card in cards[place * seeds : (place + 1) * seeds])
    return found


def _accuracy(card: Path, name: str) -> float:
    """Return a student's validation accuracy."""
    value = read_card(card).get("validation_accuracy")
    if value is None:
        raise DataError(
            f"the candidate {name} was never validated",
            where=str(card),
            mend="give the preparation of its data set a validation share above 0",
        )
    return float(value)


def _same_file(source: Path, target: Path) -> None:
    """Give a file a second name, or a copy where the disk knows no second names."""
    with atomic_path(target) as partial:
        partial.unlink(missing_ok=True)
        try:
            os.link(source, partial)
        except OSError:
            shutil.copyfile(source, partial)
