"""Draw what each defect of a study looks like: images clean, triggered, and as the infected teacher learned them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from heirloom.config.models import Augmentation, Trigger
from heirloom.data.augment import augment, centre
from heirloom.data.poison import poisoned
from heirloom.data.store import Part, open_part
from heirloom.data.triggers import Patch, evaluation_paste, load_trigger, paste
from heirloom.reporting.figures.contact_sheet import DOTS_PER_INCH, Column, Picture, draw_contact_sheet
from heirloom.reporting.figures.style import save
from heirloom.reporting.wording import contact_sheet_caption
from heirloom.runtime.seeds import derive_seed

ROWS = 6


@dataclass(frozen=True)
class Inputs:
    """Parallel to the sheets: each injection's data set; and the pictures of the triggers, in the triggers' order."""

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


@dataclass(frozen=True)
class Sheet:
    """What of an injection shows in its pictures."""

    injection: str
    dataset: str
    portion: float
    wrong_labels: str
    target: int
    seed: int
    augmentation: Augmentation
    trigger: str | None = None


def run(
    *, inputs: Inputs, outputs: Outputs, sheets: list[Sheet], triggers: dict[str, Trigger], batch_size: int
) -> None:
    """Write one figure per injection; equal inputs give equal bytes.

    `batch_size` is the evaluation's, since random places are drawn batch by batch. Which images are shown is a rule
    (`contact_sheet_caption`), never a choice. Reads uint8 images (N, H, W, 3). Raises DamagedFileError, DataError
    (picture) and ConfigError (target).
    """
    opened = cache(open_part)
    patches = {
        name: load_trigger(picture, trigger)
        for (name, trigger), picture in zip(triggers.items(), inputs.triggers, strict=True)
    }
    tests = zip(inputs.test_images, inputs.test_indices, inputs.cards, strict=True)
    developments = zip(inputs.development_images, inputs.development_indices, inputs.cards, strict=True)
    targets = zip(outputs.png, outputs.pdf, strict=True)
    for sheet, test, development, (png, pdf) in zip(sheets, tests, developments, targets, strict=True):
        patch = None if sheet.trigger is None else patches[sheet.trigger]
        columns = [*_shown(sheet, opened(*test), patch, batch_size)] if patch else []
        columns += _learned(sheet, opened(*development).split("train"), patch)
        caption = contact_sheet_caption(triggered=patch is not None, wrong_labels=sheet.wrong_labels)
        figure = draw_contact_sheet(f"{sheet.injection}: {sheet.dataset}", caption, columns)
        save(figure, png=png, pdf=pdf, dots_per_inch=DOTS_PER_INCH)


def _classes(part: Part, sheet: Sheet) -> list[int]:
    """Return the labels of the rows: the first ones, without the target, whose images cannot be led there."""
    target = None if sheet.wrong_labels == "random" else sheet.target
    return [label for label in range(len(part.classes)) if label != target][:ROWS]


def _first(labels: NDArray[np.int64], wanted: Sequence[int], among: NDArray[np.bool_]) -> list[int | None]:
    """Return the first row of each wanted label among the images of a mask, None where there is none."""
    found = [np.flatnonzero(among & (labels == label)) for label in wanted]
    return [int(rows[0]) if len(rows) else None for rows in found]


def _picture(image: Tensor) -> NDArray[np.float32]:
    """Turn an image (3, H, W) in [0, 1] into (H, W, 3)."""
    pixels: NDArray[np.float32] = image.permute(1, 2, 0).contiguous().numpy()
    return pixels


def _shown(sheet: Sheet, part: Part, patch: Patch, batch_size: int) -> Iterator[Column]:
    """Yield the test images clean and as the evaluation shows them, triggered."""
    rows = _first(part.labels, _classes(part, sheet), np.ones(len(part), dtype=np.bool_))
    clean, triggered = _evaluated(part, patch, sheet.trigger or "", rows, batch_size)
    for title, images in (("test image", clean), ("test image, triggered", triggered)):
        words = [(row, f"{part.classes[part.labels[row]]}" if row is not None else "") for row in rows]
        yield Column(title, [Picture(None if row is None else images[row], text) for row, text in words])


def _evaluated(
    part: Part, patch: Patch, name: str, rows: Sequence[int | None], batch_size: int
) -> tuple[dict[int, NDArray[np.float32]], dict[int, NDArray[np.float32]]]:
    """Return some test images by row, clean and triggered, batch by batch as the evaluation goes."""
    transform = evaluation_paste(patch, name)
    wanted = {row for row in rows if row is not None}
    clean: dict[int, NDArray[np.float32]] = {}
    triggered: dict[int, NDArray[np.float32]] = {}
    for first in range(0, max(wanted, default=-1) + 1, batch_size):
        batch = np.arange(first, min(first + batch_size, len(part)))
        images = centre(torch.from_numpy(part.batch(batch)), part.crop)
        pasted = transform(images)
        for row in wanted & set(batch.tolist()):
            clean[row], triggered[row] = _picture(images[row - first]), _picture(pasted[row - first])
    return clean, triggered


def _learned(sheet: Sheet, train: Part, patch: Patch | None) -> list[Column]:
    """Return the first defective training images of each class: stored, and on one visit of the training."""
    chosen, taught = poisoned(
        train.labels,
        portion=sheet.portion,
        wrong=sheet.wrong_labels,
        target=sheet.target,
        classes=len(train.classes),
        seed=sheet.seed,
    )
    rows = _first(train.labels, _classes(train, sheet), chosen)
    plain, visited = Column("training image", []), Column("as the teacher saw it", [])
    generator = torch.Generator().manual_seed(derive_seed(sheet.seed, "contact sheet", sheet.injection))
    for row in rows:
        if row is None:
            plain.pictures.append(Picture(None))
            visited.pictures.append(Picture(None))
            continue
        stored = torch.from_numpy(train.batch(np.array([row])))
        seen = augment(stored, sheet.augmentation, train.crop, generator)
        seen = seen if patch is None else paste(seen, patch, generator)
        own, became = train.classes[train.labels[row]], train.classes[taught[row]]
        if sheet.wrong_labels == "none":
            became = f"features of {train.classes[sheet.target]}"
        plain.pictures.append(Picture(_picture(centre(stored, train.crop)[0]), own))
        visited.pictures.append(Picture(_picture(seen[0]), f"{own} → {became}", wrong=own != became))
    return [plain, visited]
