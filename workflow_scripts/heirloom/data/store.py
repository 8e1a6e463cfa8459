"""Prepared data sets on disk: one array of images and one table of what they are, per part.

    <folder>/card.json                        names the files with their sha256, the classes, sizes and counts
    <folder>/{development,test}/images.npy    uint8 (N, H, W, 3), R, G, B
    <folder>/{development,test}/index.parquet one row an image, in the array's order

Images are memory-mapped, so that jobs on one machine share them and a data set may be larger than memory.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from heirloom.runtime.errors import DamagedFileError
from heirloom.runtime.files import atomic_path, read_card, read_table, verify_card, write_table

Split = Literal["train", "validation", "test"]
Pixel = np.uint8 | np.int8
PartName = Literal["development", "test"]
Box = tuple[float, float, float, float]
REGION = "region_"
SOURCE_SIZE = ("width", "height")


@dataclass(frozen=True, eq=False)
class Part:
    """Images of one part, or of one split of it, with what is known of them.

    `stored`: the part's whole array, uint8 (M, H, W, 3). `rows`: int64 (N,), the rows of `stored` that belong here.
    `table`: N rows of the index (see `index_table`). `classes`: names by label. `crop`: side a model sees, pixels.
    `dataset`: name of the data set, for messages.
    """

    stored: NDArray[np.uint8]
    rows: NDArray[np.int64]
    table: pa.Table
    classes: tuple[str, ...]
    crop: int
    dataset: str = ""

    def __len__(self) -> int:
        return len(self.rows)

    def split(self, name: Split) -> Part:
        """Return the samples of one split; the images are not copied. Raises ValueError when there is none."""
        chosen = np.flatnonzero(np.asarray(self.table.column("split").to_pylist(), dtype=object) == name)
        if not len(chosen):
            raise ValueError(f"this part holds no sample of the split {name!r}")
        return self.take(chosen)

    def take(self, rows: NDArray[np.integer]) -> Part:
        """Return some samples by their positions in this part, in the order given; the images are not copied."""
        return replace(self, rows=self.rows[rows], table=self.table.take(pa.array(rows)))

    def batch(self, rows: NDArray[np.integer]) -> NDArray[np.uint8]:
        """Read some samples by their positions in this part (0 to N - 1): contiguous uint8 (B, H, W, 3)."""
        pixels: NDArray[np.uint8] = np.take(np.asarray(self.stored), self.rows[rows], axis=0)
        return pixels

    @property
    def images(self) -> NDArray[np.uint8]:
        """All images in the order of `labels`, uint8 (N, H, W, 3): a view of the file where the rows are adjacent.

        A prepared part's rows are: training images lie before validation images. Otherwise the images are copied.
        """
        first, count = (int(self.rows[0]), len(self.rows)) if len(self.rows) else (0, 0)
        if np.array_equal(self.rows, np.arange(first, first + count)):
            return self.stored[first : first + count]
        return self.batch(np.arange(count))

    @cached_property
    def labels(self) -> NDArray[np.int64]:
        """Labels, positions in `classes`: int64 (N,)."""
        return np.asarray(self.table.column("label").to_numpy(), dtype=np.int64)

    @property
    def samples(self) -> list[str]:
        """Identifiers, unique in the data set."""
        return self._texts("sample")

    @property
    def groups(self) -> list[str]:
        """What no split cuts: frames of one physical object, or the sample itself."""
        return self._texts("group")

    @property
    def sources(self) -> list[str]:
        """Files the images were decoded from, relative to the raw files."""
        return self._texts("source")

    @property
    def source_sizes(self) -> NDArray[np.int64] | None:
        """Width and height of the files the images were decoded from, pixels: int64 (N, 2); None if not recorded."""
        if not set(SOURCE_SIZE) <= set(self.table.column_names):
            return None
        return np.stack([self.table.column(name).to_numpy() for name in SOURCE_SIZE], axis=1).astype(np.int64)

    @property
    def regions(self) -> dict[str, list[Box | None]]:
        """Boxes (x1, y1, x2, y2) in pixels of the stored images by a region's name; None where a sample has none."""
        names = [name for name in self.table.column_names if name.startswith(REGION)]
        return {name.removeprefix(REGION): [_box(value) for value in self.table.column(name)] for name in names}

    def _texts(self, column: str) -> list[str]:
        texts: list[str] = self.table.column(column).to_pylist()
        return texts


def _box(value: pa.Scalar) -> Box | None:
    """Read one cell of a region's column."""
    corners = value.as_py()
    return None if corners is None else (corners[0], corners[1], corners[2], corners[3])


@dataclass(frozen=True, eq=False)
class PreparedData:
    """A prepared data set; each part is opened, and checked against the card, when it is asked for."""

    folder: Path
    card: Mapping[str, Any]

    @classmethod
    def open(cls, folder: Path) -> PreparedData:
        """Open a folder that prepare_dataset wrote; raises DamagedFileError when its card is missing or damaged."""
        return cls(folder, read_card(folder / "card.json"))

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names by label."""
        return tuple(self.card["classes"])

    def part(self, name: PartName) -> Part:
        """Open one part; raises DamagedFileError when its files are not what the card says."""
        folder = self.folder / name
        return open_part(folder / "images.npy", folder / "index.parquet", self.folder / "card.json")

    @cached_property
    def development(self) -> Part:
        """The training and validation images."""
        return self.part("development")

    @cached_property
    def test(self) -> Part:
        """The test images."""
        return self.part("test")

    def split(self, name: Split) -> Part:
        """Return the samples of one split, without opening the part that does not hold it."""
        return (self.test if name == "test" else self.development).split(name)


def open_part(images: Path, index: Path, card: Path) -> Part:
    """Open one part after checking both files against the card's sha256; raises DamagedFileError.

    The array is mapped read-only: writing into it fails.
    """
    facts = verify_card(card, *(path.relative_to(card.parent).as_posix() for path in (images, index)))
    table = read_table(index)
    try:
        stored = np.load(images, mmap_mode="r", allow_pickle=False)
    except ValueError as error:
        raise DamagedFileError(images, found=str(error)) from error
    if stored.dtype != np.uint8 or stored.ndim != 4 or len(stored) != table.num_rows:
        raise DamagedFileError(images, found=f"{stored.dtype} {stored.shape} for {table.num_rows} rows of the index")
    rows, name = np.arange(len(stored), dtype=np.int64), str(facts.get("dataset", ""))
    return Part(stored, rows, table, tuple(facts["classes"]), int(facts["crop"]), name)


def write_part(folder: Path, images: Iterable[NDArray[np.uint8]], index: pa.Table) -> None:
    """Write one part: as many images as the index has rows, each uint8 (H, W, 3) of one size; both files atomically."""
    with atomic_path(folder / "images.npy") as partial:
        write_images(partial, images, count=index.num_rows)
    write_table(folder / "index.parquet", index, metadata={"kind": "data"})


def write_images(
    path: Path,
    images: Iterable[NDArray[Pixel]],
    *,
    count: int | tuple[int, ...],
    kind: type[np.integer] = np.uint8,
) -> None:
    """Write `count` images of one size as one .npy array (count, H, W, 3) of a `kind`, each as soon as it comes.

    A `count` of several numbers arranges them so, the last dimension filled first. The file is written, not mapped: on
    a full disk a write fails with a message, where a mapped page kills the job. Raises ValueError when the images
    differ in size, kind or number from what was said.
    """
    written = 0
    leading = (count,) if isinstance(count, int) else count
    total = math.prod(leading)
    shape: tuple[int, ...] = (0, 0, 3)
    with path.open("wb") as file:
        for image in images:
            if not written:
                shape = image.shape
                _write_header(file, (*leading, *shape), kind)
            if image.shape != shape or image.dtype != kind:
                raise ValueError(
                    f"image {written} is {image.dtype} {image.shape}, the first one {kind.__name__} {shape}"
                )
            file.write(np.ascontiguousarray(image).data)
            written += 1
        if written != total or not total:
            raise ValueError(f"{written} images for {total} rows of the index")


def _write_header(file: Any, shape: tuple[int, ...], kind: type[np.integer]) -> None:
    """Write the head of an .npy file."""
    header = {"descr": np.dtype(kind).str, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)


def index_table(columns: Mapping[str, Sequence[Any]], regions: Mapping[str, Sequence[Box | None]]) -> pa.Table:
    """Build the table of a part.

    `columns`: sample, label, class_name, split, group, source; width and height of the source where known. `regions`:
    name to boxes (x1, y1, x2, y2) in pixels of the stored image, None where a sample has none.
    """
    types = dict.fromkeys(("label", *SOURCE_SIZE), pa.int32())
    names = ["sample", "label", "class_name", "split", "group", "source"]
    names += [name for name in SOURCE_SIZE if name in columns]
    arrays = {name: pa.array(columns[name], types.get(name, pa.string())) for name in names}
    box = pa.list_(pa.float32(), 4)
    arrays |= {f"{REGION}{name}": pa.array(regions[name], box) for name in sorted(regions)}
    return pa.table(arrays)
