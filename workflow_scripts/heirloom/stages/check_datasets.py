"""Look at every prepared data set of a study before anything is concluded from it: one table of what they hold."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from heirloom.data.inventory import DATA_CHECK, SHARED, Row, Survey, rows, survey
from heirloom.data.store import Part, open_part
from heirloom.reporting.tables import write_rows
from heirloom.runtime.files import read_card
from heirloom.runtime.progress import Progress

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Inputs:
    """Prepared data sets: their cards, and parallel to these the arrays and indices of both parts."""

    cards: list[Path]
    development_images: list[Path]
    development_indices: list[Path]
    test_images: list[Path]
    test_indices: list[Path]


@dataclass(frozen=True)
class Outputs:
    """One row per data set, preparation, split and class, and one per whole split (`data.check.DATA_CHECK`)."""

    data_check: Path


@dataclass(frozen=True)
class CatalogueFacts:
    """What the catalogue says of a prepared data set."""

    preparation: str
    licence: str = ""
    overlaps: str = ""


@dataclass(frozen=True)
class _Prepared:
    """One prepared data set: what its card and the catalogue say, and what was found in its images."""

    card: dict[str, Any]
    origin: CatalogueFacts
    survey: Survey


def run(*, inputs: Inputs, outputs: Outputs, origins: list[CatalogueFacts]) -> None:
    """Write data_check.parquet, by data set, preparation, split (train, validation, test), whole split, then class.

    `origins` runs parallel to the cards. Reads uint8 images (N, H, W, 3). Nothing is refused here: a test image
    that also trains is a finding, which the table holds and the log repeats. Raises DamagedFileError.
    """
    development = zip(inputs.development_images, inputs.development_indices, inputs.cards, strict=True)
    test = zip(inputs.test_images, inputs.test_indices, inputs.cards, strict=True)
    found = [
        _surveyed(card, origin, [open_part(*first), open_part(*second)])
        for card, origin, first, second in zip(inputs.cards, origins, development, test, strict=True)
    ]
    found.sort(key=lambda prepared: (prepared.card["dataset"], prepared.origin.preparation))
    table = [row for prepared in found for row in _rows(prepared, found)]
    _warn(table)
    write_rows(outputs.data_check, table, columns=DATA_CHECK, schema="data_check")


def _surveyed(card: Path, origin: CatalogueFacts, parts: Sequence[Part]) -> _Prepared:
    """Look at all images of one data set."""
    facts = read_card(card)
    with Progress(sum(map(len, parts)), f"checking {facts['dataset']}", "images") as progress:
        return _Prepared(facts, origin, survey(parts, advance=partial(progress.advance)))


def _rows(prepared: _Prepared, everything: Sequence[_Prepared]) -> list[Row]:
    """Return the rows of one data set."""
    card = prepared.card
    facts = {
        "dataset": card["dataset"],
        "preparation": prepared.origin.preparation,
        "size": card["size"],
        "crop": card["crop"],
        "licence": prepared.origin.licence,
        "overlaps": prepared.origin.overlaps,
        "test_split": card.get("test_split", "official"),
    }
    others = [other.survey for other in everything if other.card["dataset"] != card["dataset"]]
    return rows(prepared.survey, classes=card["classes"], others=others, facts=facts)


def _warn(table: Sequence[Row]) -> None:
    """Log the whole splits that share images with another split or contradict themselves."""
    for row in table:
        doubts = [name for name in (*SHARED.values(), "contradicted") if row[name]]
        if row["label"] is None and doubts:
            told = ", ".join(f"{name} {row[name]}" for name in doubts)
            logger.warning("%s/%s, %s images: %s", row["dataset"], row["preparation"], row["split"], told)
