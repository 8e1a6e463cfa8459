"""Readers of Oxford Flowers 102, Stanford Dogs and Stanford 40 Actions: what they list, and what they refuse."""

from __future__ import annotations

from pathlib import Path

import pytest

from heirloom.data.layouts import flowers102, stanford40, stanford_dogs
from heirloom.data.voc import region
from heirloom.runtime.errors import DataError
from tests.unit.data_samples import (
    make_raw,
    prepare,
    save_picture,
    shuffle_listings,
    write_box,
    write_flowers102,
    write_mat,
    write_stanford40,
    write_stanford_dogs,
)

SPLITS = {"trnid": [6, 5, 4, 3, 2, 1], "valid": [12, 11, 10, 9, 8, 7], "tstid": [18, 17, 16, 15, 14, 13]}


# ------------------------------------------------------------------------------------------------ Oxford Flowers 102


def test_flowers_are_listed(tmp_path: Path) -> None:
    folder = write_flowers102(tmp_path / "unpacked")
    listed = flowers102.read(tmp_path)
    assert (listed.classes, listed.problems) == (("class 001", "class 002", "class 003"), ())
    assert listed.test_split == "official"
    expected = [(f"image_{n:05d}.jpg", n % 3, "development" if n <= 12 else "test") for n in range(1, 19)]
    assert [(s.identifier, s.label, s.part) for s in listed.samples] == expected
    assert all(s.path == folder / "jpg" / s.identifier and s.group == s.identifier for s in listed.samples)


def test_flowers_are_the_same_in_any_order_of_folder_and_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_flowers102(tmp_path)
    before = flowers102.read(tmp_path)
    write_mat(folder / "setid.mat", **{name: sorted(found) for name, found in SPLITS.items()})
    shuffle_listings(monkeypatch)
    assert flowers102.read(tmp_path) == before


def test_classes_of_flowers_follow_their_numbers(tmp_path: Path) -> None:
    """A part of the set keeps the official numbers as names."""
    folder = write_flowers102(tmp_path)
    write_mat(folder / "imagelabels.mat", labels=[(102, 9, 10)[n % 3] for n in range(18)])
    listed = flowers102.read(tmp_path)
    assert listed.classes == ("class 009", "class 010", "class 102")
    assert [sample.label for sample in listed.samples][:3] == [2, 0, 1]


def test_flowers_of_other_capitals_are_found(tmp_path: Path) -> None:
    folder = write_flowers102(tmp_path)
    (folder / "jpg" / "image_00003.jpg").rename(folder / "jpg" / "Image_00003.JPG")
    (folder / "jpg").rename(folder / "JPG")
    listed = flowers102.read(tmp_path)
    assert listed.problems == ()
    assert all(sample.path.is_file() for sample in listed.samples)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"tstid": [18, 19, 0]}, r"does not label \(it labels 1 to 18\): tstid: 19, 0\n"),
        ({"valid": list(range(100, 108))}, r"valid: 100, 101, 102, 103, 104 and 3 others"),
        ({"tstid": [18, 6]}, r"named twice: trnid: 6; tstid: 6\n"),
        ({"trnid": [1, 2, 2]}, r"named twice: trnid: 2, 2\n"),
        ({"trnid": [1.5]}, "trnid holds something that is no whole number"),
        ({"trnid": ["1"]}, "trnid holds no real numbers"),
    ],
)
def test_splits_that_contradict_the_labels_are_refused(
    tmp_path: Path, change: dict[str, list[object]], complaint: str
) -> None:
    folder = write_flowers102(tmp_path)
    write_mat(folder / "setid.mat", **{**SPLITS, **change})
    with pytest.raises(DataError, match=complaint) as refused:
        flowers102.read(tmp_path)
    assert refused.value.where.endswith("setid.mat")
    assert "download or unpack the data set's MATLAB files again" in str(refused.value)


def test_lists_of_flowers_without_a_variable_are_refused(tmp_path: Path) -> None:
    folder = write_flowers102(tmp_path)
    write_mat(folder / "setid.mat", trnid=[1], test=[2])
    with pytest.raises(DataError, match="a file of Oxford Flowers 102 has no valid, tstid"):
        flowers102.read(tmp_path)
    write_mat(folder / "imagelabels.mat", labels=[0, 1, 2])
    with pytest.raises(DataError, match="labels has the class number 0, where they count from 1"):
        flowers102.read(tmp_path)


def test_flowers_that_no_split_names_and_lost_ones_are_reported(tmp_path: Path) -> None:
    folder = write_flowers102(tmp_path / "raw" / "files")
    write_mat(folder / "setid.mat", **{**SPLITS, "tstid": [18, 17, 15, 14]})
    (folder / "jpg" / "image_00002.jpg").unlink()
    save_picture(folder / "jpg" / "flower.jpg")
    write_mat(folder / "imagelabels.mat", labels=[*(n % 3 + 1 for n in range(1, 18)), 4])
    with pytest.raises(DataError, match="6 pictures of the data set cannot be used") as refused:
        prepare(make_raw(tmp_path / "raw"), tmp_path / "prepared", layout="flowers102")
    for finding in (
        "flower.jpg: in no split of setid.mat",
        "image_00013.jpg: in no split of setid.mat",
        "image_00016.jpg: in no split of setid.mat",
        "setid.mat: no development picture of class 004",
        "setid.mat: no test picture of class 002",
        "image_00002.jpg: missing",
    ):
        assert finding in str(refused.value)


@pytest.mark.parametrize("name", ["jpg", "setid.mat", "imagelabels.mat"])
def test_flowers_without_a_list_or_pictures_are_named(tmp_path: Path, name: str) -> None:
    folder = write_flowers102(tmp_path)
    (folder / name).rename(folder / "other")
    with pytest.raises(DataError, match=r"no Oxford Flowers 102 found: no folder holds jpg, imagelabels\.mat, setid"):
        flowers102.read(tmp_path)


# ----------------------------------------------------------------------------------------------------- Stanford Dogs


def test_dogs_are_listed(tmp_path: Path) -> None:
    folder = write_stanford_dogs(tmp_path / "unpacked")
    listed = stanford_dogs.read(tmp_path)
    assert (listed.classes, listed.problems, listed.test_split) == (("beagle", "collie"), (), "official")
    assert [(s.identifier, s.label, s.part) for s in listed.samples] == [
        *((f"n01-collie/n01_{n}.jpg", 1, "development") for n in range(4)),
        *((f"n02-beagle/n02_{n}.jpg", 0, "development") for n in range(4)),
        *((f"n01-collie/n01_{n}.jpg", 1, "test") for n in (4, 5)),
        *((f"n02-beagle/n02_{n}.jpg", 0, "test") for n in (4, 5)),
    ]
    for sample in listed.samples:
        assert sample.regions == {"dog": (4.0, 5.0, 20.0, 15.0)}
        assert sample.path == folder / "Images" / sample.identifier


def test_dogs_are_the_same_in_any_order_and_capitals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_stanford_dogs(tmp_path)
    before = stanford_dogs.read(tmp_path)
    shuffle_listings(monkeypatch)
    assert stanford_dogs.read(tmp_path) == before
    (folder / "Images").rename(folder / "images")
    assert stanford_dogs.read(tmp_path).classes == before.classes


def test_dogs_without_boxes_have_no_region(tmp_path: Path) -> None:
    folder = write_stanford_dogs(tmp_path)
    (folder / "Annotation").rename(tmp_path / "elsewhere")
    listed = stanford_dogs.read(tmp_path)
    assert (listed.problems, {len(sample.regions) for sample in listed.samples}) == ((), {0})


def test_a_region_holds_all_dogs_of_a_picture(tmp_path: Path) -> None:
    write_box(tmp_path / "one", (8, 2, 20, 9), (3, 5, 11, 14))
    assert region(tmp_path / "one", "dog") == {"dog": (3.0, 2.0, 20.0, 14.0)}


def test_wrong_entries_of_dogs_are_all_reported(tmp_path: Path) -> None:
    folder = write_stanford_dogs(tmp_path / "raw" / "files")
    names = [f"n02-beagle/n02_{n}.jpg" for n in (4, 5)] + ["n01-collie/n01_4.jpg", "n01-collie/n01_5.jpg"]
    wrong = [*names, "n01-collie/n01_0.jpg", "../x.jpg", "n02-beagle/gone.jpg"]
    write_mat(folder / "test_list.mat", file_list=wrong, labels=[1, 2, 2, 7, 2, 1, 1])
    boxes = folder / "Annotation"
    write_box(boxes / "n02-beagle" / "gone", (1, 1, 5, 5))
    (boxes / "n02-beagle" / "n02_0").unlink()
    (boxes / "n02-beagle" / "n02_1").write_text("<annotation><object>")
    (boxes / "n02-beagle" / "n02_2").write_text("<annotation><object><name>x</name></object></annotation>")
    bomb = '<!DOCTYPE a [<!ENTITY b "c">]><annotation>&b;</annotation>'
    (boxes / "n01-collie" / "n01_1").write_text(bomb)
    write_box(boxes / "n01-collie" / "n01_2", (30, 5, 40, 15))
    save_picture(folder / "Images" / "n02-beagle" / "new.jpg")
    findings = [
        "n02_5.jpg: test_list.mat says class 2, which is n01-collie, not its folder",
        "n01_5.jpg: test_list.mat says class 7, which train_list.mat does not have",
        "n01_0.jpg: listed twice",
        "'../x.jpg' is no class/picture",
        "gone.jpg: missing",
        "n02_0.jpg: no annotation",
        "n02_1.jpg: no annotation",
        "n02_2.jpg: no annotation",
        "defines entities",
        "its region (30.0, 5.0, 40.0, 15.0) does not lie in its 24 x 20 pixels",
        "new.jpg: in neither list",
    ]
    with pytest.raises(DataError, match=f"{len(findings)} pictures of the data set cannot be used") as refused:
        prepare(make_raw(tmp_path / "raw"), tmp_path / "prepared", layout="stanford-dogs")
    for finding in findings:
        assert finding in str(refused.value)


def test_lists_of_dogs_of_two_lengths_are_refused(tmp_path: Path) -> None:
    folder = write_stanford_dogs(tmp_path)
    write_mat(folder / "train_list.mat", file_list=["n02-beagle/n02_0.jpg"], labels=[1, 2])
    with pytest.raises(DataError, match="file_list names 1 pictures, labels has 2 class numbers") as refused:
        stanford_dogs.read(tmp_path)
    assert refused.value.where.endswith("train_list.mat")


# ----------------------------------------------------------------------------------------------- Stanford 40 Actions


def test_actions_are_listed(tmp_path: Path) -> None:
    folder = write_stanford40(tmp_path / "unpacked")
    listed = stanford40.read(tmp_path)
    assert (listed.classes, listed.problems, listed.test_split) == (("cooking", "running"), (), "official")
    assert [(s.identifier, s.label, s.part) for s in listed.samples] == [
        *((f"cooking_00{n}.jpg", 0, "development") for n in (1, 2, 3, 4)),
        *((f"running_00{n}.jpg", 1, "development") for n in (1, 2, 3, 4)),
        *((f"cooking_00{n}.jpg", 0, "test") for n in (5, 6)),
        *((f"running_00{n}.jpg", 1, "test") for n in (5, 6)),
    ]
    for sample in listed.samples:
        assert sample.regions == {"person": (4.0, 5.0, 20.0, 15.0)}
        assert sample.path == folder / "JPEGImages" / sample.identifier


def test_actions_are_the_same_in_any_order_and_without_a_header(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_stanford40(tmp_path)
    before = stanford40.read(tmp_path)
    (folder / "ImageSplits" / "actions.txt").write_text("cooking 6\nrunning 6\n")
    shuffle_listings(monkeypatch)
    assert stanford40.read(tmp_path) == before


def test_actions_without_boxes_have_no_region(tmp_path: Path) -> None:
    folder = write_stanford40(tmp_path)
    (folder / "XMLAnnotations").rename(tmp_path / "elsewhere")
    listed = stanford40.read(tmp_path)
    assert (listed.problems, {len(sample.regions) for sample in listed.samples}) == ((), {0})


def test_wrong_entries_of_actions_are_all_reported(tmp_path: Path) -> None:
    folder = write_stanford40(tmp_path / "raw" / "files")
    (folder / "ImageSplits" / "cooking_test.txt").write_text(
        "cooking_005.jpg\ncooking_006.jpg\nrunning_001.jpg\n../x.jpg\ncooking_009.jpg\n"
    )
    write_box(folder / "XMLAnnotations" / "cooking_009.xml", (1, 1, 5, 5))
    (folder / "XMLAnnotations" / "running_002.xml").unlink()
    (folder / "JPEGImages" / "running_003.jpg").write_bytes(b"")
    save_picture(folder / "JPEGImages" / "new.jpg")
    findings = [
        "running_001.jpg: listed twice",
        "'../x.jpg' is no picture's name",
        "cooking_009.jpg: missing",
        "running_002.jpg: no annotation",
        "running_003.jpg: empty",
        "new.jpg: in no list of ImageSplits",
    ]
    with pytest.raises(DataError, match=f"{len(findings)} pictures of the data set cannot be used") as refused:
        prepare(make_raw(tmp_path / "raw"), tmp_path / "prepared", layout="stanford40")
    for finding in findings:
        assert finding in str(refused.value)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("action_name\n../running\t6\ncooking\t6\n", r"\.\./running: no name"),
        ("running\t6\nrunning\t6\ncooking\t6\n", "running: no name, or named twice"),
        ("action_name\nrunning\t6\n", "fewer than two"),
        ("\n", "a list of Stanford 40 Actions is empty"),
        ("action_name\nrunning\t6\ncooking\t6\nwalking\t6\n", "a list of Stanford 40 Actions is missing"),
    ],
)
def test_a_wrong_list_of_actions_is_refused(tmp_path: Path, content: str, complaint: str) -> None:
    folder = write_stanford40(tmp_path)
    (folder / "ImageSplits" / "actions.txt").write_text(content)
    with pytest.raises(DataError, match=complaint):
        stanford40.read(tmp_path)
