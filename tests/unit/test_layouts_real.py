"""The readers of listed layouts on the real lists and pictures (see test_data_real); skipped where these are absent."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pytest
from scipy.io import loadmat

from heirloom.data import matlab
from heirloom.data.layouts import cub200, flowers102, folder, mit67
from heirloom.data.pictures import PictureDecoder
from heirloom.data.splits import split
from tests.unit.data_samples import brought, make_raw, prepare


@pytest.fixture(scope="module")
def birds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return brought(tmp_path_factory.mktemp("cub200"), "cub200_subset.tar.xz").parent / "files"


@pytest.fixture(scope="module")
def rooms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real lists of MIT67 beside a folder without pictures."""
    folder = brought(tmp_path_factory.mktemp("mit67"), "lists.tar.xz").parent / "files" / "mit67"
    (folder / "Images").mkdir()
    return folder


@pytest.fixture(scope="module")
def flowers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real lists of Flowers 102 beside a folder without pictures."""
    folder = brought(tmp_path_factory.mktemp("flowers"), "lists.tar.xz").parent / "files" / "flowers102"
    (folder / "jpg").mkdir()
    return folder


def test_the_real_lists_of_flowers_are_read(flowers: Path) -> None:
    listed = flowers102.read(flowers.parent)
    assert listed.problems == ()
    assert (len(listed.classes), listed.classes[0], listed.classes[101]) == (102, "class 001", "class 102")
    counts = Counter((sample.part, sample.label) for sample in listed.samples)
    assert [counts["development", label] for label in range(102)] == [20] * 102
    tests = [counts["test", label] for label in range(102)]
    assert (sum(tests), min(tests), max(tests)) == (6149, 20, 238)
    labels = {sample.identifier: sample.label for sample in listed.samples}
    assert len(labels) == 8189
    assert (labels["image_00001.jpg"], labels["image_06765.jpg"]) == (76, 0)


@pytest.mark.parametrize("name", ["setid.mat", "imagelabels.mat"])
def test_the_real_matlab_files_hold_what_scipy_reads(flowers: Path, name: str) -> None:
    expected = {key: value.ravel().tolist() for key, value in loadmat(flowers / name).items() if key[0] != "_"}
    found = matlab.load(flowers / name, *expected, title="Flowers")
    assert {key: found.numbers(key) for key in expected} == expected


def test_the_real_lists_of_mit67_are_read(rooms: Path) -> None:
    listed = mit67.read(rooms.parent)
    assert listed.problems == ()
    assert len(listed.classes) == 67
    assert (listed.classes[0], listed.classes[19], listed.classes[66]) == ("airport_inside", "corridor", "winecellar")
    assert list(listed.classes) == sorted(listed.classes)
    counts = Counter((sample.part, sample.label) for sample in listed.samples)
    for part, total, low, high in (("development", 5360, 77, 83), ("test", 1340, 17, 23)):
        sizes = [counts[part, label] for label in range(67)]
        assert (sum(sizes), min(sizes), max(sizes)) == (total, low, high)
    names = {sample.identifier for sample in listed.samples}
    assert {"nursery/baby's_room.jpg.jpg", "mall/shopping mall.jpg", "bookstore/Librairie_49_01_altavista.jpg"} <= names


def test_few_shots_of_the_real_lists(rooms: Path) -> None:
    samples = [sample for sample in mit67.read(rooms.parent).samples if sample.part == "development"]
    chosen = split(samples, validation=0.1, shots=5, seed=0)
    assert Counter(sample.label for sample in chosen.train) == dict.fromkeys(range(67), 5)
    assert set(Counter(sample.label for sample in chosen.validation).values()) == {8}


def test_real_birds_are_listed(birds: Path) -> None:
    listed = cub200.read(birds)
    assert listed.problems == ()
    assert (len(listed.classes), listed.classes[0], listed.classes[49]) == (50, "Black_footed_Albatross", "Eared_Grebe")
    assert Counter(sample.part for sample in listed.samples) == {"development": 750, "test": 745}
    for sample in listed.samples:
        assert int(sample.identifier[:3]) == sample.label + 1
    assert min(Counter(sample.label for sample in listed.samples if sample.part == "test").values()) >= 11


def test_real_birds_lie_in_their_boxes(birds: Path) -> None:
    """Boxes that overhang by a few pixels are cut: the picture of the widest one is among these."""
    samples = [s for s in cub200.read(birds).samples if s.label % 10 == 8]
    overhanging = "019.Gray_Catbird/Gray_Catbird_0032_21551.jpg"
    assert overhanging in {sample.identifier for sample in samples}
    decoder = PictureDecoder(48, "crop")
    assert sum(1 for _ in decoder.decode(samples)) == len(samples)
    assert decoder.problems == []
    boxes = [regions["bird"] for regions in decoder.regions]
    areas = [(box[2] - box[0]) * (box[3] - box[1]) / 48**2 for box in boxes if box is not None]
    assert len(areas) == len(samples)
    assert 0.3 < sum(areas) / len(areas) < 0.6


def test_real_birds_prepare_with_few_shots(birds: Path, tmp_path: Path) -> None:
    official = birds / "cub200_subset" / "CUB_200_2011"
    folder = tmp_path / "raw" / "files" / "CUB_200_2011"
    folder.mkdir(parents=True)
    classes = [line for line in (official / "classes.txt").read_text().splitlines() if int(line.split()[0]) <= 3]
    (folder / "classes.txt").write_text("\n".join(classes))
    rows = [line for line in (official / "images.txt").read_text().splitlines() if line.split()[1][:3] <= "003"]
    (folder / "images.txt").write_text("\n".join(rows))
    chosen = {row.split()[0] for row in rows}
    for name in ("image_class_labels.txt", "train_test_split.txt", "bounding_boxes.txt"):
        lines = (official / name).read_text().splitlines()
        (folder / name).write_text("\n".join(line for line in lines if line.split()[0] in chosen))
    for line in classes:
        shutil.copytree(official / "images" / line.split()[1], folder / "images" / line.split()[1])
    data = prepare(make_raw(tmp_path / "raw"), tmp_path / "prepared", layout="cub200", shots=5)
    assert data.classes == ("Black_footed_Albatross", "Laysan_Albatross", "Sooty_Albatross")
    assert Counter(data.split("train").labels.tolist()) == dict.fromkeys(range(3), 5)
    assert data.card["counts"]["test"] == len(data.test)
    assert data.card["pixel_range"]["test"][1] == 255


@pytest.mark.slow
def test_cifar_10_as_jpeg_is_listed(tmp_path: Path) -> None:
    listed = folder.read(brought(tmp_path, "cifar10_jpeg.tar.xz").parent / "files")
    assert listed.problems == ()
    assert (len(listed.classes), listed.classes[0], listed.classes[9]) == (10, "airplane", "truck")
    counts = Counter((sample.part, sample.label) for sample in listed.samples)
    assert counts == {(part, n): size for n in range(10) for part, size in (("development", 5000), ("test", 1000))}
    assert len({sample.group for sample in listed.samples}) == 60000  # no file is there twice
