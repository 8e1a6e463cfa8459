"""What a prepared data set holds, in numbers: counts, sizes, pixel range and copies, by split and class.

A copy is an image whose stored pixels, uint8 (H, W, 3), have the sha256 of another's. Copies between splits make a
test too easy; copies between two data sets show only where both are prepared at the same size (B8 and B21 in
docs/definitions.md).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heirloom.data.store import Part

SPLITS = ("train", "validation", "test")
SHARED = MappingProxyType({split: f"shared_with_{split}" for split in SPLITS})

DATA_CHECK: Mapping[str, str] = MappingProxyType(
    {
        "dataset": "string",
        "preparation": "string",
        "split": "string",
        "label": "int32",  # null in the row of the whole split
        "class_name": "string",  # null in the row of the whole split
        "images": "int64",
        "size": "int32",  # side of the stored images, pixels
        "crop": "int32",  # side a model sees, pixels
        "source_width_low": "int32",  # of the files the images were decoded from, pixels; null if not recorded
        "source_width_high": "int32",
        "source_height_low": "int32",
        "source_height_high": "int32",
        "pixel_low": "int32",  # smallest stored value, 0 to 255
        "pixel_high": "int32",  # largest stored value
        "pixel_mean": "float64",
        "repeated": "int64",  # images that have a copy in the same split
        SHARED["train"]: "int64",  # images that have a copy there; null in the rows of that split
        SHARED["validation"]: "int64",
        SHARED["test"]: "int64",
        "contradicted": "int64",  # images that have a copy with another label, in any split
        "shared_with_others": "int64",  # images that have a copy in another data set of the table
        "licence": "string",
        "overlaps": "string",  # what the catalogue says of pictures shared with other data sets
        "test_split": "string",  # official, or the rule by which the reader made the test part
    }
)

Row = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Survey:
    """What is known of each of a prepared data set's N images; every array has N rows.

    `splits` names (object), `labels` int64, `low` and `high` int64 (0 to 255), `mean` float64, `digests` 64 hexadecimal
    digits of the pixels' sha256, `sizes` int64 (N, 2) width and height of the source, None if not recorded.
    """

    splits: NDArray[np.object_]
    labels: NDArray[np.int64]
    low: NDArray[np.int64]
    high: NDArray[np.int64]
    mean: NDArray[np.float64]
    digests: NDArray[np.str_]
    sizes: NDArray[np.int64] | None


def survey(parts: Sequence[Part], *, advance: Callable[[], None] = lambda: None) -> Survey:
    """Look once at every image of the parts of a data set; `advance` is called after each."""
    low, high, mean, digests = [], [], [], []
    for part in parts:
        for image in part.images:
            low.append(int(image.min()))
            high.append(int(image.max()))
            mean.append(float(image.mean()))
            digests.append(hashlib.sha256(image.tobytes()).hexdigest())
            advance()
    sizes = [found for part in parts if (found := part.source_sizes) is not None]
    return Survey(
        splits=np.array([name for part in parts for name in part.table.column("split").to_pylist()], dtype=object),
        labels=np.concatenate([part.labels for part in parts]),
        low=np.array(low, dtype=np.int64),
        high=np.array(high, dtype=np.int64),
        mean=np.array(mean, dtype=np.float64),
        digests=np.array(digests, dtype="U64"),
        sizes=np.concatenate(sizes) if len(sizes) == len(parts) else None,
    )


def rows(found: Survey, *, classes: Sequence[str], others: Sequence[Survey], facts: Mapping[str, object]) -> list[Row]:
    """Return the rows of a data set, as DATA_CHECK names them: each split as a whole, then its classes.

    `others`: surveys of other data sets, to look for copies there. `facts`: dataset, preparation, size, crop, licence,
    overlaps, test_split, which every row repeats. Splits and classes without images have no row.
    """
    copies = {**_copies(found), "shared_with_others": _among(found, others)}
    table: list[Row] = []
    for split in SPLITS:
        inside = found.splits == split
        for label, mask in _groups(inside, found.labels):
            name = None if label is None else classes[label]
            counts: Row = {key: int(flags[mask].sum()) for key, flags in copies.items()} | {SHARED[split]: None}
            table.append(
                {**facts, "split": split, "label": label, "class_name": name, **_ranges(found, mask), **counts}
            )
    return table


def _groups(inside: NDArray[np.bool_], labels: NDArray[np.int64]) -> Iterator[tuple[int | None, NDArray[np.bool_]]]:
    """Yield the images of a split (label None), then those of each of its classes; nothing for an empty split."""
    if inside.any():
        yield None, inside
    for label in np.unique(labels[inside]).tolist():
        yield label, inside & (labels == label)


def _ranges(found: Survey, mask: NDArray[np.bool_]) -> Row:
    """Return count, source sizes and pixel range of some images."""
    row: Row = {
        "images": int(mask.sum()),
        "pixel_low": int(found.low[mask].min()),
        "pixel_high": int(found.high[mask].max()),
        "pixel_mean": float(found.mean[mask].mean()),
    }
    for column, side in enumerate(("width", "height")):
        sizes = None if found.sizes is None else found.sizes[mask, column]
        row[f"source_{side}_low"] = None if sizes is None else int(sizes.min())
        row[f"source_{side}_high"] = None if sizes is None else int(sizes.max())
    return row


def _copies(found: Survey) -> dict[str, NDArray[np.bool_]]:
    """Tell for each image whether it has a copy in its own split, in each split, and under another label."""
    _, picture = np.unique(found.digests, return_inverse=True)
    counts = {split: np.bincount(picture[found.splits == split], minlength=len(picture)) for split in SPLITS}
    lowest = np.full(len(picture), np.iinfo(np.int64).max)
    highest = np.full(len(picture), -1)
    np.minimum.at(lowest, picture, found.labels)
    np.maximum.at(highest, picture, found.labels)
    flags = {SHARED[split]: count[picture] > 0 for split, count in counts.items()}
    own = [counts[split][code] for split, code in zip(found.splits, picture, strict=True)]
    return flags | {"repeated": np.array(own) > 1, "contradicted": (lowest != highest)[picture]}


def _among(found: Survey, others: Sequence[Survey]) -> NDArray[np.bool_]:
    """Tell for each image whether one of the other data sets has a copy of it."""
    digests = [other.digests for other in others]
    return np.isin(found.digests, np.concatenate(digests)) if digests else np.zeros(len(found.digests), dtype=bool)
