"""Corrupt a data set's test images once, for all models that are judged by them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from heirloom.config.kinds import CORRUPTED_LAYOUTS
from heirloom.config.robust import CorruptedFiles, CorruptionSuite
from heirloom.data.augment import centre
from heirloom.data.distortion.corrupt import corrupt_pixels
from heirloom.data.distortion.files import COMPUTED, condition
from heirloom.data.store import REGION, Part, open_part, write_images
from heirloom.runtime.devices import cpu_threads
from heirloom.runtime.errors import DataError
from heirloom.runtime.files import atomic_path, read_card, write_card, write_table
from heirloom.runtime.progress import Progress
from heirloom.runtime.seeds import derive_seed

PIXELS = 1 << 19  # of a batch: memory stays the same for small and large images

Opener = Callable[[str, int], Iterator[NDArray[np.uint8]]]


@dataclass(frozen=True)
class Inputs:
    """The test part and, for published files, the card of the raw corrupted set, which lies in `files` beside it."""

    card: Path
    images: Path
    index: Path
    raw: Path | None = None


@dataclass(frozen=True)
class Outputs:
    """The corrupted images, the index of the test images they were made of, and the card."""

    card: Path
    images: Path
    index: Path


def run(*, inputs: Inputs, outputs: Outputs, suite: CorruptionSuite, layout: str = "", threads: int = 1) -> None:
    """Write uint8 images (C, N, crop, crop, 3): the test images' centre crops under each condition, kind by kind.

    `layout`: how the published files lie that the suite names as its source, an entry of CORRUPTED_LAYOUTS. Memory
    holds one batch. Raises DataError when the files are not those of the test part. Method:
    docs/datasets.md#corrupted-test-images.
    """
    test = open_part(inputs.images, inputs.index, inputs.card)
    rows = _chosen(test, suite)
    part = test.take(rows)
    published = suite.source.dataset if isinstance(suite.source, CorruptedFiles) else None
    opened = _published(inputs.raw, layout, suite, test, rows) if published else _computed(part, suite.seed)
    conditions = [(kind, severity) for kind in suite.kinds for severity in suite.severities]
    with cpu_threads(threads), atomic_path(outputs.images) as partial:
        write_images(partial, _told(opened, conditions), count=(len(conditions), len(part)))
    regions = [name for name in part.table.column_names if name.startswith(REGION)]  # of whole images, not of crops
    write_table(outputs.index, part.table.drop_columns(regions), metadata={"kind": "data"})
    write_card(
        outputs.card,
        kind="corrupted",
        files={"images.npy": outputs.images, "index.parquet": outputs.index},
        dataset=read_card(inputs.card)["dataset"],
        source=published or COMPUTED,
        conditions=[condition(*each) for each in conditions],
        classes=list(part.classes),
        crop=part.crop,
        suite=suite.model_dump(mode="json"),
    )


def _chosen(test: Part, suite: CorruptionSuite) -> NDArray[np.int64]:
    """Choose test images by seed and name, in the part's order; fewer are a part of more."""
    samples = test.samples
    drawn = sorted(range(len(samples)), key=lambda row: derive_seed(suite.seed, "corrupted images", samples[row]))
    return np.array(sorted(drawn[: suite.images]), dtype=np.int64)


def _published(raw: Path | None, layout: str, suite: CorruptionSuite, test: Part, rows: NDArray[np.int64]) -> Opener:
    """Open the files of a published set."""
    read = CORRUPTED_LAYOUTS.load(layout).read
    if raw is None:
        raise DataError(f"no files of the layout {layout} are given", mend="name the raw card of the corrupted set")
    opener: Opener = read(raw.parent / "files", kinds=suite.kinds, test=test, rows=rows)
    return opener


def _computed(part: Part, seed: int) -> Opener:
    """Corrupt the images batch by batch."""
    samples = part.samples
    batch = max(1, PIXELS // part.crop**2)

    def opened(kind: str, severity: int) -> Iterator[NDArray[np.uint8]]:
        for first in range(0, len(part), batch):
            rows = np.arange(first, min(first + batch, len(part)))
            clean = centre(torch.from_numpy(part.batch(rows)), part.crop)
            names = samples[first : first + batch]
            yield from corrupt_pixels(clean, kind, severity, seed=seed, samples=names)

    return opened


def _told(opened: Opener, conditions: list[tuple[str, int]]) -> Iterator[NDArray[np.uint8]]:
    """Yield the images of every condition, and tell how far it is."""
    with Progress(len(conditions), "corrupting", "conditions") as progress:
        for kind, severity in conditions:
            yield from opened(kind, severity)
            progress.advance()
