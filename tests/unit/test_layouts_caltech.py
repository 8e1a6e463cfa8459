"""Caltech-101, Caltech-256 and SVHN: what is listed and drawn, which pictures are tested, and what is refused."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from heirloom.data.layouts import caltech101, caltech256, svhn
from heirloom.data.listing import Listing
from heirloom.runtime.errors import DataError
from tests.unit.data_samples import make_raw, prepare, save_picture, shuffle_listings, write_caltech, write_svhn

PARTS = ("development", "test")
READERS = {101: caltech101.read, 256: caltech256.read}


def part(listed: Listing, name: str, label: int) -> list[str]:
    return [s.path.stem for s in listed.samples if (s.part, s.label) == (name, label)]


@pytest.mark.parametrize("edition", [101, 256])
def test_categories_are_listed_in_name_order_without_the_clutter(tmp_path: Path, edition: int, monkeypatch) -> None:
    write_caltech(tmp_path / "unpacked", edition)
    listed = READERS[edition](tmp_path)
    assert (listed.classes, listed.problems) == (("Faces", "ant", "car-side"), ())
    assert Counter(sample.label for sample in listed.samples) == {0: 23, 1: 12, 2: 21}
    names = {101: "Faces/image_0001.jpg", 256: "001.Faces/001_0001.jpg"}
    assert next(s.identifier for s in listed.samples) == names[edition]
    shuffle_listings(monkeypatch)
    assert READERS[edition](tmp_path) == listed


@pytest.mark.parametrize(("edition", "share"), [(101, 10), (256, 5)])
def test_the_end_of_each_category_is_the_test_part(tmp_path: Path, edition: int, share: int) -> None:
    """The development part is FPD's training part: the first int(0.9 N), or int(0.95 N), of a sorted folder."""
    counts = {"a": 2, "b": 10, "c": 19, "d": 20, "e": 21, "f": 40, "g": 101}
    write_caltech(tmp_path, edition, counts=counts)
    listed = READERS[edition](tmp_path)
    assert listed.test_split == f"the last {share}% of each class in name order"
    for label, count in enumerate(counts.values()):
        development, test = (part(listed, name, label) for name in ("development", "test"))
        assert len(development) == count * (100 - share) // 100
        assert len(development) + len(test) == count
        assert max(development) < min(test)
    assert len({sample.identifier for sample in listed.samples}) == sum(counts.values())


def test_validation_is_held_out_of_the_development_part(tmp_path: Path) -> None:
    """FPD's script validates on its test pictures (docs/definitions.md#f5)."""
    write_caltech(tmp_path / "raw" / "files", 101)
    data = prepare(make_raw(tmp_path / "raw"), tmp_path / "prepared", layout="caltech101", validation=0.2)
    assert data.card["counts"] == {"train": 38, "validation": 10, "test": 8}
    parts = [set(data.split(name).samples) for name in ("train", "validation", "test")]
    assert len(set.union(*parts)) == sum(map(len, parts))
    assert parts[2] == {s.identifier for s in caltech101.read(tmp_path / "raw").samples if s.part == "test"}


def test_what_the_owners_left_behind_is_left_alone(tmp_path: Path) -> None:
    folder = write_caltech(tmp_path, 256)
    before = caltech256.read(tmp_path)
    (folder / "002.ant" / "RENAME2").write_text("#!/bin/sh\n")
    (folder / "001.Faces" / "greg" / "vison309").mkdir(parents=True)
    (folder / "257.clutter" / "tmp").write_bytes(b"")
    assert caltech256.read(tmp_path) == before


def test_a_copy_of_a_development_picture_is_not_tested(tmp_path: Path) -> None:
    folder = write_caltech(tmp_path, 101, counts={"a": 20, "b": 20})
    shutil.copyfile(folder / "a" / "image_0001.jpg", folder / "a" / "image_0020.jpg")
    shutil.copyfile(folder / "a" / "image_0002.jpg", folder / "b" / "image_0003.jpg")  # the owners' own contradiction
    listed = caltech101.read(tmp_path)
    assert listed.problems == ()
    assert (part(listed, "test", 0), part(listed, "test", 1)) == (["image_0019"], ["image_0019", "image_0020"])
    sides: dict[str, set[str]] = {}
    for sample in listed.samples:
        sides.setdefault(sample.group, set()).add(sample.part)
    assert set(map(len, sides.values())) == {1}


def test_categories_that_cannot_be_used_and_missing_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no Caltech-256 found: no folder holds 256_ObjectCategories"):
        caltech256.read(tmp_path)
    folder = write_caltech(tmp_path, 101, counts={"a": 4, "b": 1})
    (folder / "empty").mkdir()
    problems = caltech101.read(tmp_path).problems
    assert problems == (
        f"{folder / 'empty'}: no picture of this category",
        f"{folder / 'b'}: one picture only, which cannot both train and test",
    )
    for name in ("b", "empty"):
        shutil.rmtree(folder / name)
    with pytest.raises(DataError, match="one class only: a"):
        caltech101.read(tmp_path)


def test_a_damaged_picture_is_named_when_it_is_prepared(tmp_path: Path) -> None:
    folder = write_caltech(tmp_path / "raw" / "files", 256)
    path = folder / "002.ant" / "002_0003.jpg"
    path.write_bytes(path.read_bytes()[:300])
    save_picture(folder / "003.car-side" / "notes.png")
    with pytest.raises(DataError, match=r"1 picture of the data set cannot be used:\n.*002_0003\.jpg"):
        prepare(make_raw(tmp_path / "raw"), tmp_path / "prepared", layout="caltech256")


# -------------------------------------------------------------------------------------------------------------- SVHN


@pytest.mark.parametrize("compressed", [False, True])
def test_svhn_lists_what_scipy_reads(tmp_path: Path, compressed: bool) -> None:
    folder = write_svhn(tmp_path / "unpacked", compressed=compressed)
    listed = svhn.read(tmp_path)
    assert (listed.classes, listed.problems, listed.test_split) == (tuple("0123456789"), (), "official")
    for name, prefix in (("train_32x32.mat", "train"), ("test_32x32.mat", "test")):
        oracle = loadmat(folder / name)
        samples = [sample for sample in listed.samples if sample.identifier.startswith(prefix)]
        assert [sample.identifier for sample in samples] == [f"{prefix}/{n:05d}" for n in range(len(samples))]
        assert [sample.label for sample in samples] == [label % 10 for label in oracle["y"].ravel().tolist()]
        assert len(samples) == oracle["X"].shape[3]
        for number, sample in enumerate(samples):
            assert np.array_equal(sample.pixels, oracle["X"][..., number])
        assert {sample.part for sample in samples} == {"development" if prefix == "train" else "test"}


def test_the_label_10_of_svhn_is_the_digit_0_as_in_torchvision(tmp_path: Path, monkeypatch) -> None:
    from torchvision.datasets import SVHN

    folder = write_svhn(tmp_path)
    monkeypatch.setattr(SVHN, "_check_integrity", lambda _: True)
    theirs = SVHN(folder, split="test")
    ours = [sample for sample in svhn.read(tmp_path).samples if sample.part == "test"]
    assert [sample.label for sample in ours] == theirs.labels.tolist()
    assert 0 in theirs.labels
    assert all(np.array_equal(s.pixels, theirs.data[n].transpose(1, 2, 0)) for n, s in enumerate(ours))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"X": np.zeros((32, 32, 3, 19), np.uint8)}, "X is 32 x 32 x 3 x 19, where 20 labels ask for 32 x 32 x 3 x 20"),
        ({"X": np.zeros((20, 3, 32, 32), np.uint8)}, "X is 20 x 3 x 32 x 32, where"),
        ({"X": np.zeros((32, 32, 3, 20))}, "X holds float64, no unsigned bytes"),
        ({"y": np.arange(20) % 11}, "y has labels from 0 to 10, where they go from 1 to 10"),
        ({"y": np.arange(20) % 10 + 2}, "y has labels from 2 to 11"),
        ({"y": np.ones((2, 10))}, "y is 2 x 10, not one row or one column"),
        ({"y": np.full(20, 1.5)}, "y holds something that is no whole number"),
    ],
)
def test_a_wrong_file_of_svhn_is_named(tmp_path: Path, change: dict[str, np.ndarray], complaint: str) -> None:
    path = write_svhn(tmp_path) / "test_32x32.mat"
    found = {name: values for name, values in loadmat(path).items() if not name.startswith("__")}
    savemat(path, found | change)
    with pytest.raises(DataError, match=complaint) as refused:
        svhn.read(tmp_path)
    assert refused.value.where == str(path)


def test_cut_and_missing_files_of_svhn_are_named(tmp_path: Path) -> None:
    path = write_svhn(tmp_path, compressed=True) / "train_32x32.mat"
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], whole[:-1], whole[:130], whole[:50], b""):
        path.write_bytes(content)
        with pytest.raises(DataError, match="a file of SVHN is no MATLAB file") as refused:
            svhn.read(tmp_path)
        assert refused.value.where == str(path)
    savemat(path, {"X": np.zeros((32, 32, 3, 2), np.uint8)})
    with pytest.raises(DataError, match="a file of SVHN has no y"):
        svhn.read(tmp_path)
    path.unlink()
    with pytest.raises(DataError, match=r"no SVHN found: no folder holds train_32x32\.mat, test_32x32\.mat"):
        svhn.read(tmp_path)


def test_a_file_of_svhn_that_claims_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_svhn(tmp_path) / "train_32x32.mat"
    savemat(path, {"X": np.zeros((32, 32, 3, 200), np.uint8), "y": np.ones(200)}, do_compression=True)
    monkeypatch.setattr(svhn, "MOST_BYTES", 100_000)
    with pytest.raises(DataError, match="unpacks to more than 100000 bytes"):
        svhn.read(tmp_path)
