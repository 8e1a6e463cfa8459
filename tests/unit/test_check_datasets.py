"""The table of what prepared data sets hold."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from heirloom.data.inventory import DATA_CHECK
from heirloom.runtime.errors import DamagedFileError
from heirloom.runtime.files import read_table, table_metadata
from heirloom.stages import check_datasets
from tests.unit.data_samples import make_raw, prepare, save_picture, write_cub200, write_mit67
from tests.unit.toy import write_data

Rows = list[dict[str, Any]]


def _check(path: Path, *folders: Path) -> Rows:
    files = {
        f"{part}_{name}": [folder / part / file for folder in folders]
        for part in ("development", "test")
        for name, file in (("images", "images.npy"), ("indices", "index.parquet"))
    }
    inputs = check_datasets.Inputs([folder / "card.json" for folder in folders], **files)
    outputs = check_datasets.Outputs(path)
    origins = [check_datasets.CatalogueFacts(folder.name, licence="none") for folder in folders]
    check_datasets.run(inputs=inputs, outputs=outputs, origins=origins)
    rows: Rows = read_table(path).to_pylist()
    return rows


def _row(rows: Rows, split: str, label: int | None = None, dataset: str = "noise") -> dict[str, Any]:
    (row,) = (row for row in rows if (row["dataset"], row["split"], row["label"]) == (dataset, split, label))
    return row


def _plain(path: Path, value: int, size: tuple[int, int] = (24, 20)) -> None:
    """A picture without any pattern, all of its pixels `value`."""
    Image.fromarray(np.full((size[1], size[0], 3), value, dtype=np.uint8)).save(path, quality=100)


@pytest.fixture
def birds(tmp_path: Path) -> Path:
    """Raw birds of two classes, four training pictures and two test pictures each; returns their folder."""
    return write_cub200(tmp_path / "raw" / "files") / "images"


def _prepared(images: Path, name: str = "px16") -> Path:
    raw = next(parent for parent in images.parents if parent.name == "raw")
    folder = raw.parent / name
    prepare(make_raw(raw), folder, layout="cub200", validation=0.25)
    return folder


def test_each_split_and_class_has_a_row(birds: Path, tmp_path: Path) -> None:
    save_picture(birds / "002.Bunting" / "Bird_0005_12.jpg", size=(40, 22), seed=3)
    rows = _check(tmp_path / "t.parquet", _prepared(birds))
    assert list(rows[0]) == list(DATA_CHECK)
    assert [(row["split"], row["label"], row["class_name"], row["images"]) for row in rows] == [
        (split, *named, images * (1 if named[1] else 2))
        for split, images in (("train", 3), ("validation", 1), ("test", 2))
        for named in ((None, None), (0, "Auklet"), (1, "Bunting"))
    ]
    facts = {(row["dataset"], row["preparation"], row["size"], row["crop"], row["licence"]) for row in rows}
    assert facts == {("noise", "px16", 16, 12, "none")}
    assert {row["test_split"] for row in rows} == {"official"}
    sizes = [[row[f"source_{side}_{end}"] for side in ("width", "height") for end in ("low", "high")] for row in rows]
    assert sizes[-2:] == [[24, 24, 20, 20], [24, 40, 20, 22]]
    assert table_metadata(tmp_path / "t.parquet") == {"schema": "data_check", "version": 1}


def test_the_pixel_range_is_that_of_each_row(birds: Path, tmp_path: Path) -> None:
    for path in birds.rglob("*.jpg"):
        _plain(path, 100 + int(path.stem.split("_")[-1]))
    _plain(birds / "001.Auklet" / "Bird_0004_5.jpg", 7)
    _plain(birds / "002.Bunting" / "Bird_0004_11.jpg", 250)
    rows = _check(tmp_path / "t.parquet", _prepared(birds))
    for label, expected in ((0, (7, 106, 56.5)), (1, (112, 250, 181.0)), (None, (7, 250, 118.75))):
        row = _row(rows, "test", label)
        assert (row["pixel_low"], row["pixel_high"], row["pixel_mean"]) == expected
    assert _row(rows, "train")["pixel_low"] >= 101
    assert _row(rows, "train")["pixel_high"] <= 110


def test_copies_are_counted_where_they_are(birds: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clean = _check(tmp_path / "clean.parquet", _prepared(birds, "clean"))
    counts = ("repeated", "shared_with_train", "shared_with_validation", "shared_with_test", "contradicted")
    assert {row[name] for row in clean for name in (*counts, "shared_with_others")} == {0, None}
    assert caplog.messages == []
    source = read_table(tmp_path / "clean" / "development" / "index.parquet").to_pylist()
    train = {row["label"]: row["sample"] for row in source if row["split"] == "train"}
    validation = next(row["sample"] for row in source if row["split"] == "validation" and row["label"] == 1)
    for copied, name in (
        (train[0], "001.Auklet/Bird_0004_5.jpg"),  # trains and tests
        (train[0], "001.Auklet/Bird_0005_6.jpg"),  # and twice so
        (validation, "002.Bunting/Bird_0004_11.jpg"),  # validates and tests
        (train[1], "002.Bunting/Bird_0005_12.jpg"),
        (train[1], validation),
    ):
        shutil.copyfile(birds / copied, birds / name)
    shutil.copyfile(birds / train[0], birds / "002.Bunting/Bird_0005_12.jpg")  # under another label
    with caplog.at_level(logging.WARNING):
        rows = _check(tmp_path / "t.parquet", _prepared(birds))

    def counted(split: str, label: int | None) -> tuple[object, ...]:
        return tuple(_row(rows, split, label)[name] for name in counts)

    assert counted("test", 0) == (2, 2, 0, None, 2)
    assert counted("test", 1) == (1, 1, 0, None, 1)
    assert counted("test", None) == (3, 3, 0, None, 3)
    assert counted("train", 0) == (0, None, 0, 1, 1)
    assert counted("train", 1) == (0, None, 1, 0, 0)
    assert counted("validation", 1) == (0, 1, None, 0, 0)
    assert counted("validation", 0) == (0, 0, None, 0, 0)
    assert caplog.messages == [
        "noise/px16, train images: shared_with_validation 1, shared_with_test 1, contradicted 1",
        "noise/px16, validation images: shared_with_train 1",
        "noise/px16, test images: shared_with_train 3, contradicted 3",
    ]


def test_copies_in_other_data_sets_are_counted(tmp_path: Path) -> None:
    folders = [write_data(tmp_path / name) for name in ("a", "b", "c")]
    rows = _check(tmp_path / "t.parquet", *folders)
    assert {row["shared_with_others"] for row in rows} == {0}  # preparations of one data set share all of it
    card = folders[1] / "card.json"
    card.write_text(card.read_text().replace('"dataset": "toy"', '"dataset": "play"'))
    rows = _check(tmp_path / "t.parquet", *reversed(folders))
    assert [(row["dataset"], row["preparation"]) for row in rows if row["label"] is None] == [
        *[("play", "b")] * 3,
        *[("toy", "a")] * 3,
        *[("toy", "c")] * 3,
    ]
    assert all(row["shared_with_others"] == row["images"] for row in rows)
    assert {row["source_width_low"] for row in rows} == {None}  # not recorded in this one's index


def test_ranges_of_two_data_sets_can_be_compared(tmp_path: Path) -> None:
    write_mit67(tmp_path / "rooms" / "raw" / "files")
    write_cub200(tmp_path / "birds" / "raw" / "files")
    halves = Image.new("RGB", (24, 20))
    halves.paste((255, 255, 255), (12, 0, 24, 20))
    folders = []
    for name, layout in (("rooms", "mit67"), ("birds", "cub200")):
        for path in (tmp_path / name).rglob("*.jpg"):
            halves.save(path, quality=100)
        prepare(make_raw(tmp_path / name / "raw"), tmp_path / name / "px16", layout=layout, dataset=name)
        folders.append(tmp_path / name / "px16")
    rows = _check(tmp_path / "t.parquet", *folders)
    for split in ("train", "validation", "test"):
        whole = [_row(rows, split, None, name) for name in ("rooms", "birds")]
        assert [(row["pixel_low"], row["pixel_high"]) for row in whole] == [(0, 255), (0, 255)]


def test_the_same_images_give_the_same_bytes(tmp_path: Path) -> None:
    folder = write_data(tmp_path / "a")
    for name in ("1", "2"):
        _check(tmp_path / name, folder)
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()


def test_damaged_images_are_named(tmp_path: Path) -> None:
    folder = write_data(tmp_path / "a")
    path = folder / "test" / "images.npy"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DamagedFileError, match=r"images\.npy is damaged"):
        _check(tmp_path / "t.parquet", folder)
    assert not (tmp_path / "t.parquet").exists()
