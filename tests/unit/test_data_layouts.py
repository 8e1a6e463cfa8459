"""Readers of published layouts: what they list, in which order, and what they refuse."""

from __future__ import annotations

from pathlib import Path

import pytest

from heirloom.config.kinds import CORRUPTED_LAYOUTS, LAYOUTS
from heirloom.data.layouts import (
    gtsrb,
    tiny_imagenet,
)
from heirloom.data.listing import find_folder
from heirloom.runtime.errors import DataError
from tests.unit.data_samples import HEADER, save_picture, shuffle_listings, write_gtsrb, write_list, write_tiny_imagenet


def test_every_layout_has_a_reader() -> None:
    assert all(callable(LAYOUTS.load(name).read) for name in LAYOUTS.names())
    assert {"cifar-c", "tiny-imagenet-c"} <= set(CORRUPTED_LAYOUTS.names())
    assert all(callable(CORRUPTED_LAYOUTS.load(name).read) for name in CORRUPTED_LAYOUTS.names())


def test_a_test_part_is_chosen_where_the_owner_made_none() -> None:
    """These shares decide which pictures are test pictures, so they never change."""
    shares = {"caltech101": 0.1, "caltech256": 0.05, "folder": 0.2, "pubfig83": 0.2}
    assert {name: LAYOUTS.load(name).TEST_SHARE for name in shares} == shares


def test_gtsrb_is_listed(tmp_path: Path) -> None:
    write_gtsrb(tmp_path / "download" / "unpacked", classes=(3, 14))
    listed = gtsrb.read(tmp_path)
    assert listed.classes == ("60 km/h", "stop")
    assert listed.problems == ()
    development = [sample for sample in listed.samples if sample.part == "development"]
    test = [sample for sample in listed.samples if sample.part == "test"]
    assert len(development) == 24
    assert [sample.identifier for sample in test] == [f"test/0000{number}" for number in range(4)]
    assert [sample.label for sample in test] == [0, 1, 0, 1]
    first = development[0]
    assert (first.identifier, first.label, first.group) == ("00003/00000_00000", 0, "00003/00000")
    assert first.regions == {"sign": (4.0, 5.0, 20.0, 15.0)}
    assert {sample.label for sample in development if sample.group.startswith("00014/")} == {1}
    assert len({sample.group for sample in development}) == 8
    assert len({sample.identifier for sample in listed.samples}) == 28


def test_the_order_is_not_the_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_gtsrb(tmp_path)
    write_tiny_imagenet(tmp_path)
    before = gtsrb.read(tmp_path), tiny_imagenet.read(tmp_path)
    shuffle_listings(monkeypatch)
    assert (gtsrb.read(tmp_path), tiny_imagenet.read(tmp_path)) == before


def test_the_order_is_not_the_lists(tmp_path: Path) -> None:
    folder = write_gtsrb(tmp_path)
    before = gtsrb.read(tmp_path)
    for table in (folder / "GT-final_test.csv", folder / "Final_Training" / "Images" / "00003" / "GT-00003.csv"):
        header, *rows = table.read_text().splitlines()
        write_list(table, rows[::-1], header)
    assert gtsrb.read(tmp_path) == before


def test_the_meanings_are_the_official_ones() -> None:
    assert len(gtsrb.MEANINGS) == 43
    assert len(set(gtsrb.MEANINGS.values())) == 43
    known = {0: "20 km/h", 8: "120 km/h", 13: "give way", 14: "stop", 17: "no entry", 38: "keep right"}
    assert {class_id: gtsrb.MEANINGS[class_id] for class_id in known} == known


@pytest.mark.parametrize("place", ["Final_Test/Images", ".", ".."])
def test_the_list_of_test_classes_may_lie_in_three_places(tmp_path: Path, place: str) -> None:
    folder = write_gtsrb(tmp_path)
    (folder / "GT-final_test.csv").rename(folder / place / "GT-final_test.csv")
    assert sum(sample.part == "test" for sample in gtsrb.read(tmp_path).samples) == 4


def test_the_list_without_classes_is_refused(tmp_path: Path) -> None:
    folder = write_gtsrb(tmp_path)
    (folder / "GT-final_test.csv").unlink()
    with pytest.raises(DataError, match="no list of their classes"):
        gtsrb.read(tmp_path)
    header = HEADER.removesuffix(";ClassId")
    write_list(folder / "Final_Test" / "Images" / "GT-final_test.test.csv", ["00000.ppm;24;20;4;5;20;15"], header)
    with pytest.raises(DataError, match="has no classes") as refused:
        gtsrb.read(tmp_path)
    assert "GTSRB_Final_Test_GT.zip" in refused.value.mend
    (folder / "Final_Test" / "Images" / "GT-final_test.test.csv").rename(folder / "GT-final_test.csv")
    with pytest.raises(DataError, match="lacks ClassId"):
        gtsrb.read(tmp_path)


def test_wrong_entries_of_gtsrb_are_all_reported(tmp_path: Path) -> None:
    folder = write_gtsrb(tmp_path, classes=(3, 14), tracks=1, frames=4)
    training = folder / "Final_Training" / "Images" / "00003"
    rows = ["00000_00000.ppm;24;20;4;5;20;15;14", "00000_00001.ppm;24;20;x;5;20;15;3", "sign.ppm;24;20;4;5;20;15;3"]
    write_list(training / "GT-00003.csv", [*rows, "00000_00002.ppm;24;20;4;5;20;15;3"])
    with (folder / "GT-final_test.csv").open("a") as table:
        table.write("00000.ppm;24;20;4;5;20;15;3\r\n00009.ppm;24;20;4;5;20;15;7\r\n")
    problems = "\n".join(gtsrb.read(tmp_path).problems)
    for finding in (
        "00000_00000.ppm: its list says class 14, its folder class 3",
        "00000_00001.ppm: its list gives a region that is no number",
        "sign.ppm: its name has no track number",
        "00000_00003.ppm: not in GT-00003.csv",
        "00000.ppm: listed twice",
        "00009.ppm: its list says class '7', which the training part does not have",
    ):
        assert finding in problems
    assert len(problems.splitlines()) == 6


def test_tiny_imagenet_is_listed(tmp_path: Path) -> None:
    write_tiny_imagenet(tmp_path)
    listed = tiny_imagenet.read(tmp_path)
    assert listed.classes == ("goldfish, Carassius auratus", "crane (n02)", "crane (n03)")
    assert listed.problems == ()
    development = [sample for sample in listed.samples if sample.part == "development"]
    assert [(sample.identifier, sample.label) for sample in development[2:4]] == [("n01_2", 0), ("n02_0", 1)]
    assert [sample.group for sample in development] == [sample.identifier for sample in development]
    test = [sample for sample in listed.samples if sample.part == "test"]
    assert [(sample.identifier, sample.label) for sample in test] == [("val_0", 2), ("val_1", 0), ("val_2", 1)]


def test_wrong_entries_of_tiny_imagenet_are_all_reported(tmp_path: Path) -> None:
    folder = write_tiny_imagenet(tmp_path)
    save_picture(folder / "train" / "n77" / "images" / "n77_0.JPEG")
    save_picture(folder / "val" / "images" / "val_9.JPEG")
    for path in (folder / "train" / "n02" / "images").iterdir():
        path.unlink()
    with (folder / "val" / "val_annotations.txt").open("a") as annotations:
        annotations.write("val_7.JPEG\tn55\t0\t0\t9\t9\n")
    problems = "\n".join(tiny_imagenet.read(tmp_path).problems)
    for finding in (
        "n77: a training folder that wnids.txt does not name",
        "n02/images: no pictures of this class",
        "val_7.JPEG: its annotation says class 'n55'",
        "val_9.JPEG: not in val_annotations.txt",
    ):
        assert finding in problems
    assert len(problems.splitlines()) == 4


def test_a_folder_is_searched_three_levels_deep_and_named_when_absent(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b" / "c"
    (deep / "mark").mkdir(parents=True)
    assert find_folder(tmp_path, marks=["mark"], title="X") == deep
    with pytest.raises(DataError, match="no X found: no folder holds mark") as refused:
        find_folder(tmp_path.parent / tmp_path.name / "none", marks=["mark"], title="X")
    assert "none" in refused.value.where
    (deep / "mark").rename(deep / "d")
    (deep / "d" / "mark").mkdir()
    with pytest.raises(DataError, match="no X found"):
        find_folder(tmp_path, marks=["mark"], title="X")


def test_the_first_of_several_folders_is_the_same_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("b", "a", "c"):
        (tmp_path / name / "mark").mkdir(parents=True)
    for _ in range(2):
        assert find_folder(tmp_path, marks=["mark"], title="X") == tmp_path / "a"
        shuffle_listings(monkeypatch)
