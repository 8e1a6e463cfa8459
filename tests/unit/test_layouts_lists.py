"""Readers of layouts whose owners publish lists: MIT67 and CUB-200-2011."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from heirloom.data.layouts import cub200, mit67
from heirloom.data.pictures import prepare as prepare_picture
from heirloom.runtime.errors import DataError
from tests.unit.data_samples import make_raw, prepare, save_picture, shuffle_listings, write_cub200, write_mit67


def _append(table: Path, *lines: str) -> None:
    with table.open("a") as file:
        file.write("".join(f"{line}\n" for line in lines))


def _change(table: Path, old: str, new: str) -> None:
    text = table.read_text()
    assert text.count(old) == 1
    table.write_text(text.replace(old, new))


# --------------------------------------------------------------------------------------------------------- MIT67


def test_mit67_is_listed(tmp_path: Path) -> None:
    folder = write_mit67(tmp_path / "unpacked")
    listed = mit67.read(tmp_path)
    assert (listed.classes, listed.problems, listed.test_split) == (("bar", "pantry"), (), "official")
    assert [(s.identifier, s.label, s.part) for s in listed.samples] == [
        *((f"bar/bar's view {n}.jpg", 0, "development") for n in range(4)),
        *((f"pantry/pantry's view {n}.jpg", 1, "development") for n in range(4)),
        *((f"bar/bar's view {n}.jpg", 0, "test") for n in (4, 5)),
        *((f"pantry/pantry's view {n}.jpg", 1, "test") for n in (4, 5)),
    ]
    assert all(sample.path == folder / "Images" / sample.identifier for sample in listed.samples)
    assert all(sample.group == sample.identifier for sample in listed.samples)


def test_mit67_is_the_same_in_any_order_of_folders_and_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_mit67(tmp_path)
    before = mit67.read(tmp_path)
    for name in mit67.LISTS.values():
        lines = (folder / name).read_text().splitlines()
        (folder / name).write_bytes("\r\n".join(["", *reversed(lines), " "]).encode())
    shuffle_listings(monkeypatch)
    assert mit67.read(tmp_path) == before


def test_mit67_of_other_capitals_is_found(tmp_path: Path) -> None:
    folder = write_mit67(tmp_path)
    before = mit67.read(tmp_path)
    (folder / "Images" / "bar" / "bar's view 0.jpg").rename(folder / "Images" / "bar" / "Bar's View 0.JPG")
    (folder / "Images" / "pantry").rename(folder / "Images" / "Pantry")
    (folder / "Images").rename(folder / "images")
    (folder / "TrainImages.txt").rename(folder / "trainimages.txt")
    listed = mit67.read(tmp_path)
    assert (listed.classes, listed.problems) == (before.classes, ())
    assert all(sample.path.is_file() for sample in listed.samples)
    expected = {s.identifier.replace("bar/bar's view 0.jpg", "bar/Bar's View 0.JPG") for s in before.samples}
    assert {sample.identifier for sample in listed.samples} == expected


def test_a_picture_with_two_spellings_is_not_guessed(tmp_path: Path) -> None:
    images = write_mit67(tmp_path) / "Images" / "bar"
    (images / "bar's view 0.jpg").rename(images / "BAR's view 0.jpg")
    save_picture(images / "Bar's view 0.jpg", seed=7)
    path = next(sample.path for sample in mit67.read(tmp_path).samples)
    assert path == images / "bar's view 0.jpg"
    assert not path.exists()


def test_wrong_entries_of_mit67_are_all_reported(tmp_path: Path) -> None:
    folder = write_mit67(tmp_path / "raw" / "files")
    save_picture(folder / "Images" / "cellar" / "x.jpg")
    (folder / "Images" / "bar" / "bar's view 1.jpg").unlink()
    _append(folder / "TrainImages.txt", "", "bar/bar's view 0.jpg", "bar", "../bar/x.jpg", "bar/..")
    _append(folder / "TestImages.txt", "", "bar/bar's view 2.jpg", "attic/x.jpg", "bar/gone.jpg")
    with pytest.raises(DataError, match="9 pictures of the data set cannot be used") as refused:
        prepare(make_raw(tmp_path / "raw"), tmp_path / "prepared", layout="mit67")
    for finding in (
        "cellar: a folder of pictures that TrainImages.txt does not name",
        "'bar' is no class/picture",
        "'../bar/x.jpg' is no class/picture",
        "'bar/..' is no class/picture",
        "bar's view 0.jpg: listed twice",
        "bar's view 2.jpg: listed twice",
        "attic/x.jpg: TestImages.txt says class 'attic', which TrainImages.txt does not have",
        "bar's view 1.jpg: missing",
        "gone.jpg: missing",
    ):
        assert finding in str(refused.value)


@pytest.mark.parametrize("name", ["Images", "TrainImages.txt", "TestImages.txt"])
def test_mit67_without_a_list_or_pictures_is_named(tmp_path: Path, name: str) -> None:
    folder = write_mit67(tmp_path)
    (folder / name).rename(folder / "other")
    with pytest.raises(DataError, match=r"no MIT67 found: no folder holds Images, TrainImages\.txt, TestImages\.txt"):
        mit67.read(tmp_path)


def test_an_empty_or_unreadable_list_is_named(tmp_path: Path) -> None:
    folder = write_mit67(tmp_path)
    for content, what in ((b"\n \n", "is empty"), (b"bar/\xff.jpg\n", "is missing or unreadable")):
        (folder / "TestImages.txt").write_bytes(content)
        with pytest.raises(DataError, match=what) as refused:
            mit67.read(tmp_path)
        assert refused.value.where.endswith("TestImages.txt")


# -------------------------------------------------------------------------------------------------- CUB-200-2011


def test_cub200_is_listed(tmp_path: Path) -> None:
    folder = write_cub200(tmp_path / "unpacked")
    listed = cub200.read(tmp_path)
    assert (listed.classes, listed.problems, listed.test_split) == (("Auklet", "Bunting"), (), "official")
    assert [(s.identifier, s.label, s.part) for s in listed.samples] == [
        *((f"001.Auklet/Bird_000{n}_{n + 1}.jpg", 0, "development") for n in range(4)),
        *((f"002.Bunting/Bird_000{n}_{n + 7}.jpg", 1, "development") for n in range(4)),
        *((f"001.Auklet/Bird_000{n}_{n + 1}.jpg", 0, "test") for n in (4, 5)),
        *((f"002.Bunting/Bird_000{n}_{n + 7}.jpg", 1, "test") for n in (4, 5)),
    ]
    for sample in listed.samples:
        assert sample.regions == {"bird": (4.0, 5.0, 20.0, 15.0)}
        assert sample.path == folder / "images" / sample.identifier


def test_cub200_follows_the_official_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    classes = tuple(f"{number:03d}.{name}" for number, name in enumerate("zyxwvutsrqp", start=1))
    folder = write_cub200(tmp_path, classes=classes, training=1, test=1)
    before = cub200.read(tmp_path)
    assert before.classes == tuple("zyxwvutsrqp")  # by number: not by name, and 10 behind 9
    for table in folder.glob("*.txt"):
        table.write_text("".join(f"{line}\n" for line in reversed(table.read_text().splitlines())))
    shuffle_listings(monkeypatch)
    assert cub200.read(tmp_path) == before


def test_a_box_beyond_its_picture_is_cut(tmp_path: Path) -> None:
    folder = write_cub200(tmp_path)
    _change(folder / "bounding_boxes.txt", "5 4.0 5.0 16.0 10.0", "5 4.0 5.0 30.5 10.0")
    _change(folder / "bounding_boxes.txt", "6 4.0 5.0 16.0 10.0", "6 25.0 5.0 4.0 10.0")
    cut, outside = (s for s in cub200.read(tmp_path).samples if s.part == "test" and s.label == 0)
    assert Image.open(cut.path).size == (24, 20)
    assert prepare_picture(cut, size=20, fit="crop")[1] == {"bird": (2.0, 5.0, 20.0, 15.0)}
    with pytest.raises(ValueError, match="does not lie in its 24 x 20 pixels"):
        prepare_picture(outside, size=20, fit="crop")


def _spoil(folder: Path) -> list[str]:
    """Make every mistake there is; returns what a message must say."""
    lists = {name: folder / f"{name}.txt" for name in ("images", "classes", "image_class_labels", "train_test_split")}
    boxes = folder / "bounding_boxes.txt"
    _append(lists["classes"], "3 003.Crane")
    _append(lists["images"], "13 001.Auklet/Bird_0000_1.jpg", "no number", "2 001.Auklet/again.jpg", "14 lost.jpg")
    for table, value in ((lists["image_class_labels"], 1), (lists["train_test_split"], 0)):
        _append(table, f"13 {value}")
    _append(boxes, "13 4 5 16 10", "15 4 5 16 10")
    _change(lists["image_class_labels"], "\n3 1\n", "\n3 2\n")
    _change(lists["image_class_labels"], "\n4 1\n", "\n4 7\n")
    _change(lists["image_class_labels"], "\n5 1\n", "\n")
    _change(lists["train_test_split"], "\n8 1\n", "\n8 yes\n")
    _change(boxes, "\n9 4.0 5.0 16.0 10.0\n", "\n9 4.0 5.0 16.0\n")
    save_picture(folder / "images" / "002.Bunting" / "new.jpg")
    (folder / "images" / "002.Bunting" / "Bird_0003_10.jpg").unlink()
    return [
        "003.Crane: no usable picture of this class",
        "Bird_0000_1.jpg: listed twice",
        "'no number' is no number and its value",
        "images.txt: 2 is listed twice",
        "lost.jpg: images.txt gives no class/picture",
        "bounding_boxes.txt: images.txt has no picture 15",
        "Bird_0002_3.jpg: image_class_labels.txt says class 002.Bunting, its folder 001.Auklet",
        "Bird_0003_4.jpg: image_class_labels.txt says class '7', which classes.txt does not name",
        "Bird_0004_5.jpg: image_class_labels.txt has no line for it (picture 5)",
        "Bird_0001_8.jpg: train_test_split.txt says 'yes', which is neither 1 nor 0",
        "Bird_0002_9.jpg: bounding_boxes.txt gives '4.0 5.0 16.0', which is no x, y, width and height",
        "new.jpg: not in images.txt",
        "Bird_0003_10.jpg: missing",
    ]


def test_wrong_entries_of_cub200_are_all_reported(tmp_path: Path) -> None:
    findings = _spoil(write_cub200(tmp_path / "raw" / "files"))
    with pytest.raises(DataError, match=f"{len(findings)} pictures of the data set cannot be used") as refused:
        prepare(make_raw(tmp_path / "raw"), tmp_path / "prepared", layout="cub200")
    for finding in findings:
        assert finding in str(refused.value)


def test_a_missing_list_of_cub200_is_named(tmp_path: Path) -> None:
    folder = write_cub200(tmp_path)
    (folder / "train_test_split.txt").unlink()
    with pytest.raises(DataError, match="a list of CUB-200-2011 is missing") as refused:
        cub200.read(tmp_path)
    assert refused.value.where.endswith("train_test_split.txt")
    (folder / "images.txt").unlink()
    with pytest.raises(DataError, match=r"no CUB-200-2011 found: no folder holds images, images\.txt"):
        cub200.read(tmp_path)


def test_problems_are_told_where_a_part_is_empty(tmp_path: Path) -> None:
    folder = write_cub200(tmp_path / "raw" / "files", training=1, test=1)
    (folder / "train_test_split.txt").write_text("".join(f"{number} x\n" for number in range(1, 5)))
    with pytest.raises(DataError, match=r"(?s)6 pictures .*says 'x', which is neither 1 nor 0"):
        prepare(make_raw(tmp_path / "raw"), tmp_path / "prepared", layout="cub200")
