"""Drawn data sets: they lie on disk as the published ones do, follow from the seed alone, and can be told apart."""

import csv
from collections.abc import Callable
from itertools import combinations, pairwise
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from heirloom.config.kinds import WRITERS
from heirloom.data.graphics.scene import Box, stream
from heirloom.data.graphics.trigger import draw_trigger
from heirloom.data.writers import objects, signs

Writer: TypeAlias = Callable[..., None]
Drawer: TypeAlias = Callable[[int, np.random.Generator, int], tuple[Image.Image, Box]]

REPOSITORY = Path(__file__).resolve().parents[2]
SIGNS = {"classes": 6, "tracks": 2, "frames": 3, "test_images": 3, "side": 32}
OBJECTS = {"classes": 5, "train_images": 4, "val_images": 2, "side": 32}
COLUMNS = ["Filename", "Width", "Height", "Roi.X1", "Roi.Y1", "Roi.X2", "Roi.Y2", "ClassId"]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("drawn")
    signs.write(root, seed=1, **SIGNS)
    objects.write(root, seed=1, **OBJECTS)
    return root


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def annotations(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as lines:
        return list(csv.DictReader(lines, delimiter=";"))


def picture(path: Path, side: int = 32) -> NDArray[np.float32]:
    with Image.open(path) as image:
        assert image.mode == "RGB"
        return np.asarray(image.resize((side, side)), dtype=np.float32)


def correlation(one: NDArray[np.float32], two: NDArray[np.float32]) -> float:
    return float(np.corrcoef(one.ravel(), two.ravel())[0, 1])


def test_every_writer_is_found() -> None:
    assert {"digits", "faces", "objects", "rooms", "signs"} <= set(WRITERS.names())
    assert all(callable(WRITERS.load(name).write) for name in WRITERS.names())


@pytest.mark.parametrize(("write", "counts"), [(signs.write, SIGNS), (objects.write, OBJECTS)])
def test_bytes_follow_from_the_seed(write: Writer, counts: dict[str, int], drawn: Path, tmp_path: Path) -> None:
    write(tmp_path / "again", seed=1, **counts)
    write(tmp_path / "other", seed=2, **counts)
    again, other, first = contents(tmp_path / "again"), contents(tmp_path / "other"), contents(drawn)
    assert again.items() <= first.items()
    pictures = [name for name in other if name.endswith((".ppm", ".JPEG"))]
    assert all(first.get(name) != other[name] for name in pictures)


def test_a_picture_does_not_depend_on_how_many_others_there_are(drawn: Path, tmp_path: Path) -> None:
    signs.write(tmp_path, seed=1, classes=8, tracks=3, frames=3, test_images=1, side=32)
    objects.write(tmp_path, seed=1, classes=6, train_images=5, val_images=1, side=32)
    small, large = contents(drawn), contents(tmp_path)
    training = [name for name in small if "Final_Training" in name or "/train/" in name]
    assert all(small[name] == large[name] for name in training if name.endswith((".ppm", ".JPEG")))


def test_a_second_writing_over_the_first_is_refused(drawn: Path) -> None:
    with pytest.raises(FileExistsError):
        signs.write(drawn, seed=1, **SIGNS)


@pytest.mark.parametrize("change", [{"classes": 0}, {"classes": 44}, {"tracks": 0}, {"frames": 0}, {"side": 8}])
def test_counts_out_of_range_are_refused_before_writing(change: dict[str, int], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=next(iter(change))):
        signs.write(tmp_path, seed=1, **{**SIGNS, **change})
    assert not list(tmp_path.iterdir())


def test_signs_lie_as_gtsrb_does(drawn: Path) -> None:
    chosen = signs.select_classes(SIGNS["classes"])
    folders = sorted(path.name for path in (drawn / "GTSRB/Final_Training/Images").iterdir())
    assert folders == [f"{class_id:05d}" for class_id in chosen]
    for class_id, folder in zip(chosen, folders, strict=True):
        rows = annotations(drawn / "GTSRB/Final_Training/Images" / folder / f"GT-{folder}.csv")
        assert [row["Filename"] for row in rows] == [f"{t:05d}_{f:05d}.ppm" for t in range(2) for f in range(3)]
        assert {row["ClassId"] for row in rows} == {str(class_id)}
    test = annotations(drawn / "GTSRB/GT-final_test.csv")
    labels = [int(row["ClassId"]) for row in test]
    assert [row["Filename"] for row in test] == [f"{number:05d}.ppm" for number in range(18)]
    assert sorted(labels) == sorted(chosen * 3)
    assert labels != sorted(labels)


def test_annotations_of_signs_are_written_as_the_published_ones(drawn: Path) -> None:
    for path in (drawn / "GTSRB").rglob("*.csv"):
        head = path.read_bytes().splitlines(keepends=True)
        assert head[0] == (";".join(COLUMNS) + "\r\n").encode()
        assert all(line.endswith(b"\r\n") for line in head)


def test_regions_of_signs_lie_inside_with_a_border(drawn: Path) -> None:
    for table in (drawn / "GTSRB").rglob("*.csv"):
        folder = table.parent if table.parent.name.isdigit() else table.parent / "Final_Test/Images"
        for row in annotations(table):
            width, height, left, top, right, bottom = (int(row[name]) for name in COLUMNS[1:7])
            with Image.open(folder / row["Filename"]) as image:
                assert (image.format, image.size) == ("PPM", (width, height))
            assert 0 < left < right < width - 1
            assert 0 < top < bottom < height - 1
            assert 0.45 < (right - left + 1) * (bottom - top + 1) / (width * height) < 0.85


def test_frames_of_a_track_are_alike_and_tracks_are_not(drawn: Path) -> None:
    within: list[float] = []
    between: list[float] = []
    for folder in (drawn / "GTSRB/Final_Training/Images").iterdir():
        frames = {path.stem: picture(path) for path in folder.glob("*.ppm")}
        for one, two in combinations(sorted(frames), 2):
            assert not np.array_equal(frames[one], frames[two])
            (within if one[:5] == two[:5] else between).append(correlation(frames[one], frames[two]))
    assert np.median(within) > 0.75
    assert np.median(within) > np.median(between) + 0.1


def test_test_images_show_other_signs_than_training(drawn: Path) -> None:
    training = [picture(path) for path in (drawn / "GTSRB/Final_Training").rglob("*.ppm")]
    for path in (drawn / "GTSRB/Final_Test/Images").glob("*.ppm"):
        assert max(correlation(picture(path), image) for image in training) < 0.97


def test_streams_of_different_places_differ() -> None:
    paths = [(), (0,), (0, 0), (0, 0, 0), (1,), (0, 1), (1, 0), (0, 0, 1)]
    draws = {float(stream(5, *path).random()) for path in paths}
    assert len(draws) == len(paths)


def test_selections_are_nested_and_spread() -> None:
    selections = [set(signs.select_classes(count)) for count in range(1, 44)]
    assert all(small < large for small, large in pairwise(selections))
    assert selections[-1] == set(range(43))
    assert len(selections[11] & {0, 1, 2, 3, 4, 5, 7, 8}) >= 3
    assert len({signs.SIGNS[class_id].plate for class_id in selections[11]}) >= 6


def test_every_plate_differs_from_every_other() -> None:
    plates = [np.asarray(signs.draw_plate(class_id).reduce(5), dtype=np.float32) for class_id in range(43)]
    distances = {(a, b): np.abs(plates[a] - plates[b]).mean() for a, b in combinations(range(43), 2)}
    assert min(distances.values()) > 2, min(distances, key=lambda pair: distances[pair])


@pytest.mark.parametrize(("draw", "classes"), [(signs.draw_sign, 43), (objects.draw_object, len(objects.KINDS))])
def test_every_class_is_drawn_and_differs_from_every_other(draw: Drawer, classes: int) -> None:
    means = []
    for label in range(classes):
        images = [np.asarray(draw(label, stream(7, label, number), 24)[0], dtype=np.float32) for number in range(12)]
        means.append(np.mean(images, axis=0))
    assert min(np.abs(one - two).mean() for one, two in combinations(means, 2)) > 4


def test_objects_lie_as_tiny_imagenet_does(drawn: Path) -> None:
    folder = drawn / "tiny-imagenet-200"
    names = (folder / "wnids.txt").read_text().split()
    words = dict(line.split("\t") for line in (folder / "words.txt").read_text().splitlines())
    assert names == [objects.wnid(index) for index in range(5)]
    assert [words[name] for name in names] == [kind.word for kind in objects.KINDS[:5]]
    for name in names:
        rows = [line.split("\t") for line in (folder / "train" / name / f"{name}_boxes.txt").read_text().splitlines()]
        assert [row[0] for row in rows] == [f"{name}_{number}.JPEG" for number in range(4)]
        assert_boxes(folder / "train" / name / "images", rows)
    rows = [line.split("\t") for line in (folder / "val/val_annotations.txt").read_text().splitlines()]
    assert [row[0] for row in rows] == [f"val_{number}.JPEG" for number in range(10)]
    assert sorted(row[1] for row in rows) == sorted(names * 2)
    assert_boxes(folder / "val/images", rows)


def assert_boxes(folder: Path, rows: list[list[str]]) -> None:
    assert {path.name for path in folder.iterdir()} == {row[0] for row in rows}
    for row in rows:
        left, top, right, bottom = map(int, row[-4:])
        assert 0 <= left < right < 32
        assert 0 <= top < bottom < 32
        with Image.open(folder / row[0]) as image:
            assert (image.format, image.size, image.mode) == ("JPEG", (32, 32), "RGB")


def test_words_of_objects_are_all_different() -> None:
    assert len({kind.word for kind in objects.KINDS}) == len(objects.KINDS) >= 24


def test_the_trigger_file_holds_the_drawn_trigger() -> None:
    with Image.open(REPOSITORY / "config/triggers/pinwheel.png") as stored:
        assert (stored.mode, stored.size) == ("RGBA", (64, 64))
        np.testing.assert_array_equal(np.asarray(stored), np.asarray(draw_trigger()))


def test_the_trigger_is_opaque_inside_and_clear_outside() -> None:
    alpha = np.asarray(draw_trigger())[..., 3]
    y, x = np.indices(alpha.shape) - 31.5
    radius = np.hypot(x, y)
    assert (alpha[radius < 31] == 255).all()
    assert (alpha[radius > 33] == 0).all()
