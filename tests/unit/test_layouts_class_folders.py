"""Readers of layouts of one folder per class: PubFig83, and a user's own pictures."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from heirloom.data import class_folders
from heirloom.data.layouts import folder, pubfig83
from heirloom.data.listing import Listing
from heirloom.runtime.errors import DataError
from tests.unit.data_samples import make_raw, prepare, save_picture, shuffle_listings, write_classes

Reader = Callable[[Path], Listing]
READERS = [pubfig83.read, folder.read]


def _part(listed: Listing, part: str) -> list[str]:
    return [sample.identifier for sample in listed.samples if sample.part == part]


@pytest.mark.parametrize("reader", READERS)
def test_a_fifth_of_each_class_becomes_the_test_part(tmp_path: Path, reader: Reader) -> None:
    write_classes(tmp_path / "raw" / "set", classes=("zoe", "Ada", "al fa"), images=11)
    listed = reader(tmp_path)
    assert (listed.classes, listed.problems) == (("Ada", "al fa", "zoe"), ())
    assert Counter((s.label, s.part) for s in listed.samples if s.part == "test") == dict.fromkeys(
        [(0, "test"), (1, "test"), (2, "test")], 2
    )
    assert len(listed.samples) == 33
    assert all(sample.identifier.startswith(f"{listed.classes[sample.label]}/") for sample in listed.samples)
    assert listed.test_split == f"20% of each class, by seed {83 if reader is pubfig83.read else 0}"


@pytest.mark.parametrize("reader", READERS)
def test_the_test_part_depends_on_names_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reader: Reader) -> None:
    write_classes(tmp_path / "here" / "set", images=10)
    before = reader(tmp_path / "here")
    chosen = _part(before, "test")
    assert {name.split("/")[1] for name in chosen[:2]} != {name.split("/")[1] for name in chosen[2:]}
    shuffle_listings(monkeypatch)
    assert reader(tmp_path / "here") == before
    monkeypatch.undo()
    shutil.copytree(tmp_path / "here" / "set", tmp_path / "there" / "a" / "b")
    write_classes(tmp_path / "there" / "a" / "b", classes=("new",), images=3, seed=500)
    after = _part(reader(tmp_path / "there"), "test")
    assert [name for name in after if not name.startswith("new/")] == chosen


def test_the_two_seeds_choose_differently(tmp_path: Path) -> None:
    write_classes(tmp_path / "set", images=40)
    assert _part(pubfig83.read(tmp_path), "test") != _part(folder.read(tmp_path), "test")


@pytest.mark.parametrize("reader", READERS)
def test_copies_of_a_file_stay_on_one_side(tmp_path: Path, reader: Reader) -> None:
    base = write_classes(tmp_path / "set", images=8)
    for number in range(4):
        shutil.copyfile(base / "a" / f"{number}.png", base / "a" / f"copy-{number}.png")
    listed = reader(tmp_path)
    assert listed.problems == ()
    sides: dict[str, set[str]] = {}
    for sample in listed.samples:
        sides.setdefault(sample.group, set()).add(sample.part)
    assert set(map(len, sides.values())) == {1}
    groups = Counter(sample.group for sample in listed.samples)
    assert sorted(groups.values()) == [1] * 12 + [2] * 4


@pytest.mark.parametrize("reader", READERS)
def test_what_would_be_left_out_is_reported(tmp_path: Path, reader: Reader) -> None:
    base = write_classes(tmp_path / "raw" / "files" / "set", classes=("a", "b", "c"), images=4)
    shutil.copyfile(base / "a" / "0.png", base / "b" / "same.png")
    save_picture(base / "loose.jpg")
    save_picture(base / "c" / "deeper" / "x.jpg")
    (base / "c" / "x.heic").write_bytes(b"x")
    (base / "c" / "notes.txt").write_text("x")
    (base / "c" / ".hidden").write_text("x")
    (base / "empty").mkdir()
    save_picture(base / "single" / "x.png", seed=77)
    (base / "c" / "0.png").write_bytes(b"")
    (base / "b" / "1.png").write_bytes(b"")  # as empty as the other, and yet no copy of it
    layout = "pubfig83" if reader is pubfig83.read else "folder"
    with pytest.raises(DataError, match="8 pictures of the data set cannot be used") as refused:
        prepare(make_raw(tmp_path / "raw"), tmp_path / "prepared", layout=layout)
    for finding in (
        "b/same.png: the same file as a/0.png, which is of another class",
        "loose.jpg: lies in no class folder",
        "c/deeper: a folder inside a class folder",
        "c/x.heic: no picture of a known kind",
        "empty: no picture in this class folder",
        "single: one picture only, which cannot both train and test",
        "c/0.png: empty",
        "b/1.png: empty",
    ):
        assert finding in str(refused.value)


@pytest.mark.parametrize("reader", READERS)
def test_no_class_folders_several_sets_and_one_class_are_refused(tmp_path: Path, reader: Reader) -> None:
    save_picture(tmp_path / "x" / "y" / "z" / "deep" / "too deep" / "x.png")
    with pytest.raises(DataError, match="no folder holds two class folders with pictures"):
        reader(tmp_path)
    write_classes(tmp_path / "one", classes=("alone",))
    with pytest.raises(DataError, match="no folder holds two class folders with pictures"):
        reader(tmp_path)
    write_classes(tmp_path / "one", classes=("other",))
    write_classes(tmp_path / "two")
    with pytest.raises(DataError, match=r"several folders could be .*: one, two"):
        reader(tmp_path)


def test_labels_follow_sorted_names(tmp_path: Path) -> None:
    assert class_folders.number(("b", "C", "a"), folder=tmp_path) == {"C": 0, "a": 1, "b": 2}


def test_hidden_and_archive_folders_are_no_classes(tmp_path: Path) -> None:
    write_classes(tmp_path)
    for name in (".cache", "__MACOSX"):
        save_picture(tmp_path / name / "x.png")
    assert folder.read(tmp_path).classes == ("a", "b")


def _write_parts(root: Path, *parts: str) -> Path:
    for place, part in enumerate(parts):
        write_classes(root / "own" / part, seed=1000 * place, images=5)
    return root / "own"


@pytest.mark.parametrize(
    ("parts", "development", "test"),
    [
        (["train", "test"], {"train"}, {"test"}),
        (["Train", "VAL"], {"Train"}, {"VAL"}),
        (["train", "val", "test"], {"train", "val"}, {"test"}),
        (["train"], {"train"}, {"train"}),
    ],
)
def test_a_user_s_parts_are_kept(tmp_path: Path, parts: list[str], development: set[str], test: set[str]) -> None:
    _write_parts(tmp_path, *parts)
    listed = folder.read(tmp_path)
    assert (listed.classes, listed.problems) == (("a", "b"), ())
    assert {name.split("/")[0] for name in _part(listed, "development")} == development
    assert {name.split("/")[0] for name in _part(listed, "test")} == test
    assert len(listed.samples) == 10 * len(parts)
    assert len(_part(listed, "test")) == (2 if parts == ["train"] else 10)
    rule = "20% of each class, by seed 0" if parts == ["train"] else f"the user's folder {min(test)}"
    assert listed.test_split == rule


def test_what_lies_beside_the_parts_is_reported(tmp_path: Path) -> None:
    own = _write_parts(tmp_path, "train", "val")
    write_classes(own / "val", classes=("c",), seed=5000)
    shutil.copyfile(own / "train" / "a" / "0.png", own / "val" / "b" / "9.png")
    for name in ("test/1.jpg", "cat/1.jpg", "1.jpg"):
        save_picture(own / name)
    problems = "\n".join(folder.read(tmp_path).problems)
    for finding in (
        "own/test: lies beside train, in no part with class folders",
        "own/cat: lies beside train, in no part with class folders",
        "own/1.jpg: lies beside train, in no part with class folders",
        "val/c: a class that the training folder does not have",
        "val/b/9.png: the same file as train/a/0.png, which is of another class",
    ):
        assert finding in problems
    assert len(problems.splitlines()) == 5


def test_a_test_folder_without_training_is_refused(tmp_path: Path) -> None:
    own = _write_parts(tmp_path, "test")
    with pytest.raises(DataError, match="a folder test, but none named train"):
        folder.read(tmp_path)
    write_classes(own / "train", classes=("alone",))
    with pytest.raises(DataError, match="one class only: alone"):
        folder.read(tmp_path)


def test_a_class_may_be_named_as_a_part(tmp_path: Path) -> None:
    write_classes(tmp_path / "vehicles", classes=("train", "bus"))
    assert folder.read(tmp_path).classes == ("bus", "train")


def test_a_name_that_no_table_can_hold_is_a_problem(tmp_path: Path) -> None:
    base = write_classes(tmp_path / "set")
    (base / "a" / "0.png").rename(base / "a" / os.fsdecode(b"\xff.png"))
    (problem,) = folder.read(tmp_path).problems
    assert "its name is no UTF-8" in problem
    assert problem.encode()
