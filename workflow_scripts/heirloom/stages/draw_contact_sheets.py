"""Draw what each defect of a study looks like: images clean, triggered, and as the infected teacher learned them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from heirloom.config.kinds import INJECTIONS
from heirloom.config.study import Trigger
from heirloom.data.augment import augment, centre
from heirloom.data.store import Part, open_part
from heirloom.defects.plant import Choice
from heirloom.defects.show import LoadedTrigger, evaluation_trigger, load_triggers
from heirloom.reporting.drawing.style import save
from heirloom.reporting.figures.contact_sheet import (
    DOTS_PER_INCH,
    Column,
    ContactSheet,
    Picture,
    draw_contact_sheet,
)
from heirloom.reporting.wording import contact_sheet_caption
from heirloom.runtime.seeds import derive_seed

ROWS = 6


@dataclass(frozen=True)
class Inputs:
    """Parallel to the sheets: each injection's data set; and the files of the triggers, in the triggers' order."""

    cards: list[Path]
    development_images: list[Path]
    development_indices: list[Path]
    test_images: list[Path]
    test_indices: list[Path]
    triggers: list[Path] = field(default_factory=list)


@dataclass(frozen=True)
class Outputs:
    """Parallel to the sheets."""

    png: list[Path]
    pdf: list[Path]


def run(
    *, inputs: Inputs, outputs: Outputs, sheets: list[ContactSheet], triggers: dict[str, Trigger], batch_size: int
) -> None:
    """Write one figure per injection; equal inputs give equal bytes.

    `batch_size` is the evaluation's, since triggers draw batch by batch. Which images are shown is a rule
    (`contact_sheet_caption`), never a choice. Reads uint8 images (N, H, W, 3). Raises DamagedFileError, DataError
    (picture) and ConfigError (target).
    """
    opened = cache(open_part)
    loaded = load_triggers(triggers, inputs.triggers)
    tests = zip(inputs.test_images, inputs.test_indices, inputs.cards, strict=True)
    developments = zip(inputs.development_images, inputs.development_indices, inputs.cards, strict=True)
    targets = zip(outputs.png, outputs.pdf, strict=True)
    for sheet, test, development, (png, pdf) in zip(sheets, tests, developments, targets, strict=True):
        own = {name: loaded[name] for name in sheet.injection.triggers}
        columns = _shown(sheet, opened(*test), own, batch_size)
        columns += _learned(sheet, opened(*development).split("train"), own)
        title = f"{sheet.name}: {sheet.injection.dataset}"
        figure = draw_contact_sheet(title, contact_sheet_caption(sheet.injection), columns)
        save(figure, png=png, pdf=pdf, dots_per_inch=DOTS_PER_INCH)


def _classes(part: Part, sheet: ContactSheet) -> list[int]:
    """Return the labels of the rows: the first ones, without the target, whose images cannot be led there."""
    return [label for label in range(len(part.classes)) if label != sheet.injection.aim][:ROWS]


def _first(labels: NDArray[np.int64], wanted: Sequence[int], among: NDArray[np.bool_]) -> list[int | None]:
    """Return the first row of each wanted label among the images of a mask, None where there is none."""
    found = [np.flatnonzero(among & (labels == label)) for label in wanted]
    return [int(rows[0]) if len(rows) else None for rows in found]


def _picture(image: Tensor) -> NDArray[np.float32]:
    """Turn an image (3, H, W) in [0, 1] into (H, W, 3)."""
    pixels: NDArray[np.float32] = image.permute(1, 2, 0).contiguous().numpy()
    return pixels


def _shown(sheet: ContactSheet, part: Part, triggers: Mapping[str, LoadedTrigger], batch_size: int) -> list[Column]:
    """Return the test images clean and as the evaluation shows them, triggered; nothing without a trigger."""
    rows = _first(part.labels, _classes(part, sheet), np.ones(len(part), dtype=np.bool_))
    found: dict[str, dict[int, NDArray[np.float32]]] = {}
    for name, trigger in triggers.items():
        title = "test image, triggered" + (f" ({name})" if len(triggers) > 1 else "")
        found["test image"], found[title] = _evaluated(part, trigger, name, rows, batch_size)
    return [Column(title, [_plain(part, images, row) for row in rows]) for title, images in found.items()]


def _plain(part: Part, images: Mapping[int, NDArray[np.float32]], row: int | None) -> Picture:
    """Show one of some images, by row, with its own label."""
    return Picture(None) if row is None else Picture(images[row], str(part.classes[part.labels[row]]))


def _evaluated(
    part: Part, trigger: LoadedTrigger, name: str, rows: Sequence[int | None], batch_size: int
) -> tuple[dict[int, NDArray[np.float32]], dict[int, NDArray[np.float32]]]:
    """Return some test images by row, clean and triggered, batch by batch as the evaluation goes."""
    transform = evaluation_trigger(trigger, name)
    wanted = {row for row in rows if row is not None}
    clean: dict[int, NDArray[np.float32]] = {}
    triggered: dict[int, NDArray[np.float32]] = {}
    for first in range(0, max(wanted, default=-1) + 1, batch_size):
        batch = np.arange(first, min(first + batch_size, len(part)))
        images = centre(torch.from_numpy(part.batch(batch)), part.crop)
        shown = transform(images)
        for row in wanted & set(batch.tolist()):
            clean[row], triggered[row] = _picture(images[row - first]), _picture(shown[row - first])
    return clean, triggered


def _learned(sheet: ContactSheet, train: Part, triggers: Mapping[str, LoadedTrigger]) -> list[Column]:
    """Return the first defective training images of each class: stored, and on one visit of the training."""
    injection = sheet.injection
    choice: Choice = INJECTIONS.load(injection.kind).choose(injection, train.labels, len(train.classes))
    rows = _first(train.labels, _classes(train, sheet), choice.chosen)
    plain, visited = Column("training image", []), Column("as the teacher saw it", [])
    generator = torch.Generator().manual_seed(derive_seed(injection.seed, "contact sheet", sheet.name))
    for row in rows:
        if row is None:
            plain.pictures.append(Picture(None))
            visited.pictures.append(Picture(None))
            continue
        stored = torch.from_numpy(train.batch(np.array([row])))
        seen = augment(stored, sheet.augmentation, train.crop, generator)
        for trigger in triggers.values():
            seen = trigger(seen, generator)
        own, became = train.classes[train.labels[row]], injection.lesson(choice.labels[row], train.classes)
        plain.pictures.append(Picture(_picture(centre(stored, train.crop)[0]), own))
        visited.pictures.append(Picture(_picture(seen[0]), f"{own} → {became}", wrong=own != became))
    return [plain, visited]
