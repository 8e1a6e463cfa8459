"""Preparing and drawing data sets: what is written, how it is split, and what stops it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from heirloom.data.layouts import gtsrb
from heirloom.data.listing import Sample
from heirloom.data.pictures import prepare as prepare_picture
from heirloom.data.splits import split
from heirloom.data.store import PreparedData, open_part, write_images, write_part
from heirloom.data.trees import describe
from heirloom.runtime.errors import ConfigError, DamagedFileError, DataError
from heirloom.runtime.files import read_card, read_table
from heirloom.stages import render_dataset
from tests.unit.data_samples import (
    make_raw,
    prepare,
    save_picture,
    write_gtsrb,
    write_list,
    write_tiny_imagenet,
)


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """A raw folder with a small GTSRB; returns its card."""
    write_gtsrb(tmp_path / "raw" / "files")
    return make_raw(tmp_path / "raw")


def _samples(groups: dict[int, list[int]]) -> list[Sample]:
    """Samples by label: one group per number, with that many samples."""
    return [
        Sample(f"{label}/{group}/{frame}", Path("x"), label, "development", f"{label}/{group}")
        for label, sizes in groups.items()
        for group, size in enumerate(sizes)
        for frame in range(size)
    ]


def test_a_prepared_data_set_is_complete(raw: Path, tmp_path: Path) -> None:
    data = prepare(raw, tmp_path / "prepared")
    card = data.card
    assert (card["kind"], card["dataset"], card["layout"]) == ("data", "noise", "gtsrb")
    assert card["classes"] == ["60 km/h", "stop"]
    assert (card["size"], card["crop"], card["counts"]) == (16, 12, {"train": 18, "validation": 6, "test": 4})
    assert card["pixel_range"]["development"] == [
        int(data.development.images.min()),
        int(data.development.images.max()),
    ]
    assert card["departures"] == []
    assert card["test_split"] == "official"
    assert str(tmp_path) not in (tmp_path / "prepared" / "card.json").read_text()
    table = read_table(tmp_path / "prepared" / "development" / "index.parquet")
    names = ["sample", "label", "class_name", "split", "group", "source", "width", "height", "region_sign"]
    assert table.column_names == names
    assert table.schema.field("label").type == pa.int32()
    assert table.schema.field("region_sign").type == pa.list_(pa.float32(), 4)
    row = table.slice(0, 1).to_pylist()[0]
    assert row["source"] == f"GTSRB/Final_Training/Images/{row['sample']}.ppm"
    assert (row["class_name"], row["label"], row["split"]) == ("60 km/h", 0, "train")
    assert (row["width"], row["height"]) == (24, 20)


def test_images_and_index_tell_of_the_same_pictures(raw: Path, tmp_path: Path) -> None:
    data = prepare(raw, tmp_path / "prepared")
    for part in (data.development, data.test):
        assert part.images.dtype == np.uint8
        assert part.images.shape == (len(part), 16, 16, 3)
        for image, source in zip(part.images, part.sources, strict=True):
            with Image.open(raw.parent / "files" / source) as picture:
                square = picture.resize((16, 16), Image.Resampling.BILINEAR, box=(2, 0, 22, 20))
            assert np.array_equal(image, np.asarray(square))


def test_a_split_view_reads_its_own_rows(raw: Path, tmp_path: Path) -> None:
    data = prepare(raw, tmp_path / "prepared")
    train, validation = data.split("train"), data.split("validation")
    assert (len(train), len(validation)) == (18, 6)
    assert np.shares_memory(validation.images, data.development.images)
    assert not validation.images.flags.writeable
    assert validation.samples == data.development.samples[18:]
    assert np.array_equal(validation.batch(np.array([5, 0])), data.development.images[[23, 18]])
    assert validation.batch(np.array([5, 0])).flags.c_contiguous
    assert validation.labels.dtype == np.int64
    assert validation.labels.tolist() == data.development.labels[18:].tolist()
    assert (validation.classes, validation.crop) == (("60 km/h", "stop"), 12)
    assert validation.split("validation").samples == validation.samples
    assert np.array_equal(validation.split("validation").images, validation.images)
    backwards = replace(validation, rows=validation.rows[::-1])
    assert np.array_equal(backwards.images, validation.images[::-1])
    with pytest.raises(IndexError):
        validation.batch(np.array([6]))
    with pytest.raises(ValueError, match="no sample of the split 'test'"):
        data.development.split("test")


def test_groups_stay_together_and_every_class_validates(raw: Path, tmp_path: Path) -> None:
    data = prepare(raw, tmp_path / "prepared")
    train, validation = data.split("train"), data.split("validation")
    assert not set(train.groups) & set(validation.groups)
    assert Counter(validation.labels.tolist()) == {0: 3, 1: 3}
    other = prepare(raw, tmp_path / "other", split_seed=1)
    assert set(other.split("validation").groups) != set(validation.groups)


def test_the_same_preparation_gives_the_same_bytes(raw: Path, tmp_path: Path) -> None:
    for name in ("first", "second"):
        prepare(raw, tmp_path / name)
    first, second = (
        sorted(path for path in (tmp_path / name).rglob("*") if path.is_file()) for name in ("first", "second")
    )
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    assert len(first) == 5


def test_a_class_of_one_group_trains_and_the_card_says_so(tmp_path: Path) -> None:
    write_gtsrb(tmp_path / "raw" / "files", tracks=1)
    data = prepare(make_raw(tmp_path / "raw"), tmp_path / "prepared", validation=0.5)
    assert data.card["counts"]["validation"] == 0
    assert [note for note in data.card["departures"] if "'stop' is one group only" in note]


def test_shares_are_met_as_nearly_as_groups_allow() -> None:
    samples = _samples({0: [30] * 10, 1: [1] * 40, 2: [5, 50], 3: [3]})
    splits = split(samples, validation=0.2, shots=None, seed=0)
    held = Counter(sample.label for sample in splits.validation)
    assert held[0] == 60
    assert held[1] == 8
    assert held[2] in (5, 50)
    assert held[3] == 0
    assert splits.undivided == (3,)
    assert len(splits.train) + len(splits.validation) == len(samples)
    assert not split(samples, validation=0, shots=None, seed=0).validation
    whole = split(samples, validation=1, shots=None, seed=0)
    assert {sample.label for sample in whole.train} == {0, 1, 2, 3}


def test_a_tiny_share_still_holds_out_the_smallest_group() -> None:
    splits = split(_samples({0: [9, 2, 9]}), validation=0.01, shots=None, seed=0)
    assert {sample.group for sample in splits.validation} == {"0/1"}


def test_a_class_is_split_alike_whatever_the_others_are() -> None:
    alone = split(_samples({1: [3] * 9}), validation=0.3, shots=4, seed=5)
    among = split(_samples({0: [2] * 7, 1: [3] * 9}), validation=0.3, shots=4, seed=5)
    assert alone.validation == tuple(sample for sample in among.validation if sample.label == 1)
    assert alone.train == tuple(sample for sample in among.train if sample.label == 1)


def test_shots_are_chosen_by_seed_from_training_alone() -> None:
    samples = _samples({0: [3] * 9, 1: [1] * 3})
    whole = split(samples, validation=0.3, shots=None, seed=0)
    few, more = (split(samples, validation=0.3, shots=shots, seed=0) for shots in (2, 5))
    assert few.validation == more.validation == whole.validation
    assert Counter(sample.label for sample in more.train) == {0: 5, 1: 2}
    assert set(map(id, few.train)) < set(map(id, more.train)) < set(map(id, whole.train))
    other = split(samples, validation=0, shots=2, seed=1).train
    assert other != split(samples, validation=0, shots=2, seed=0).train


def test_a_group_of_two_classes_is_refused() -> None:
    samples = _samples({0: [2], 1: [2]})
    samples[3] = replace(samples[3], group="0/0")
    with pytest.raises(DataError, match="spans labels 0 and 1"):
        split(samples, validation=0.5, shots=None, seed=0)


def _picture(path: Path, box: tuple[float, float, float, float], size: tuple[int, int]) -> Sample:
    """A black picture with a white box, and that box as its region."""
    pixels = np.zeros((size[1], size[0], 3), dtype=np.uint8)
    x1, y1, x2, y2 = (int(edge) for edge in box)
    pixels[y1:y2, x1:x2] = 255
    Image.fromarray(pixels).save(path)
    return Sample("x", path, 0, "test", "x", {"box": box})


@pytest.mark.parametrize("fit", ["crop", "stretch"])
def test_regions_move_with_the_pixels(tmp_path: Path, fit: str) -> None:
    sample = _picture(tmp_path / "x.png", (40, 10, 70, 50), (120, 60))
    image, regions = prepare_picture(sample, size=30, fit=fit)
    expected = {"crop": (5.0, 5.0, 20.0, 25.0), "stretch": (10.0, 5.0, 17.5, 25.0)}[fit]
    assert regions == {"box": expected}
    columns, rows = (np.flatnonzero(image[..., 0].max(axis=axis) > 127) for axis in (0, 1))
    assert abs(columns[0] - expected[0]) <= 0.5
    assert abs(columns[-1] + 1 - expected[2]) <= 0.5
    assert (rows[0], rows[-1] + 1) == (5, 25)


@pytest.mark.parametrize("size", [32, 48, 64, 128, 224])
@pytest.mark.parametrize("fit", ["crop", "stretch"])
def test_a_signs_region_lies_on_the_sign_at_every_size(tmp_path: Path, fit: str, size: int) -> None:
    """The list says (4, 5, 20, 15) of 24 x 20 pixels, which are made white; cropped, 2 columns go on either side."""
    folder = write_gtsrb(tmp_path / "raw" / "files", tracks=2, frames=1, test=2)
    pixels = np.zeros((20, 24, 3), dtype=np.uint8)
    pixels[5:15, 4:20] = 255
    for path in folder.rglob("*.ppm"):
        Image.fromarray(pixels).save(path)
    data = prepare(make_raw(tmp_path / "raw"), tmp_path / "prepared", size=size, crop=size, fit=fit, validation=0.5)
    left, width = (2, 20) if fit == "crop" else (0, 24)
    expected = [size * edge for edge in ((4 - left) / width, 5 / 20, (20 - left) / width, 15 / 20)]
    for part in (data.development, data.test):
        for image, box in zip(part.images, part.regions["sign"], strict=True):
            assert box == pytest.approx(expected, abs=1e-3)
            seen = [np.flatnonzero(image[..., 0].max(axis=axis) > 127) for axis in (0, 1)]
            edges = [seen[0][0], seen[1][0], seen[0][-1] + 1, seen[1][-1] + 1]
            assert np.abs(np.array(edges) - box).max() <= 1


def test_a_region_is_cut_at_the_border_and_none_when_nothing_is_left(tmp_path: Path) -> None:
    partly = _picture(tmp_path / "a.png", (20, 0, 40, 30), (120, 60))
    assert prepare_picture(partly, size=60, fit="crop")[1] == {"box": (0.0, 0.0, 10.0, 30.0)}
    outside = _picture(tmp_path / "b.png", (0, 0, 30, 30), (120, 60))
    assert prepare_picture(outside, size=60, fit="crop")[1] == {"box": None}


def test_large_pictures_are_filtered_before_they_shrink(tmp_path: Path) -> None:
    stripes = np.zeros((64, 64, 3), dtype=np.uint8)
    stripes[:, ::2] = 255
    Image.fromarray(stripes).save(tmp_path / "x.png")
    image, _ = prepare_picture(Sample("x", tmp_path / "x.png", 0, "test", "x"), size=8, fit="crop")
    assert abs(image.astype(int) - 127).max() <= 8


def _break(folder: Path) -> list[str]:
    """Damage one picture in every way there is; returns what a message must say."""
    training, test = folder / "Final_Training" / "Images" / "00003", folder / "Final_Test" / "Images"
    (training / "00000_00000.ppm").unlink()
    (training / "00000_00001.ppm").write_bytes(b"")
    whole = (training / "00000_00002.ppm").read_bytes()
    (training / "00000_00002.ppm").write_bytes(whole[: len(whole) // 2])
    (training / "00001_00000.ppm").write_bytes(b"<html>not found</html>")
    save_picture(folder / "jpeg" / "x.jpg", size=(24, 20))
    jpeg = (folder / "jpeg" / "x.jpg").read_bytes()
    (test / "00001.ppm").write_bytes(jpeg[: len(jpeg) // 2])
    Image.fromarray(np.zeros((20, 24), dtype=np.uint16)).save(test / "00002.png")
    (test / "00002.png").rename(test / "00002.ppm")
    rows = [f"{number:05d}.ppm;24;20;4;5;20;15;3" for number in range(3)]
    write_list(folder / "GT-final_test.csv", [*rows, "00003.ppm;24;20;4;5;20;15;42"])
    return [
        "00003/00000_00000.ppm: missing",
        "00003/00000_00001.ppm: empty",
        "00003/00000_00002.ppm: ",
        "00003/00001_00000.ppm: no picture that can be recognised",
        "Images/00001.ppm: ",
        "Images/00002.ppm: a picture of mode I;16",
        "Images/00003.ppm: its list says class '42'",
    ]


def test_all_broken_pictures_are_named_at_once_and_nothing_is_written(raw: Path, tmp_path: Path) -> None:
    prepare(raw, tmp_path / "good")
    findings = _break(raw.parent / "files" / "GTSRB")
    with pytest.raises(DataError, match="7 pictures of the data set cannot be used") as refused:
        prepare(raw, tmp_path / "prepared")
    message = str(refused.value)
    for finding in findings:
        assert finding in message
    assert "to mend" in message
    assert not [path for path in (tmp_path / "prepared").rglob("*") if path.is_file()]
    assert len(PreparedData.open(tmp_path / "good").test) == 4


def test_more_than_twenty_broken_pictures_are_counted(tmp_path: Path) -> None:
    folder = write_gtsrb(tmp_path / "raw" / "files", frames=8)
    card = make_raw(tmp_path / "raw")
    for path in (folder / "Final_Training" / "Images" / "00014").glob("*.ppm"):
        path.write_bytes(b"")
    with pytest.raises(DataError, match="and 12 more") as refused:
        prepare(card, tmp_path / "prepared")
    assert str(refused.value).count(": empty") == 20


@pytest.mark.parametrize("size", [(12, 20), (24, 12)])
def test_a_region_outside_its_picture_is_a_broken_picture(raw: Path, tmp_path: Path, size: tuple[int, int]) -> None:
    save_picture(raw.parent / "files" / "GTSRB" / "Final_Test" / "Images" / "00002.ppm", size=size)
    with pytest.raises(DataError, match=rf"00002\.ppm: its region .* does not lie in its {size[0]} x {size[1]} pixels"):
        prepare(raw, tmp_path / "prepared")


def test_a_picture_with_too_many_pixels_is_a_broken_picture(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_picture(raw.parent / "files" / "GTSRB" / "Final_Test" / "Images" / "00002.ppm", size=(40, 30))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)  # PIL warns above it, refuses above twice of it
    with pytest.raises(DataError, match=r"1 picture .*\n.*00002\.ppm: .*exceeds limit"):
        prepare(raw, tmp_path / "prepared")


def test_a_lost_picture_is_noticed_where_no_list_names_it(tmp_path: Path) -> None:
    folder = write_tiny_imagenet(tmp_path / "raw" / "files")
    card = make_raw(tmp_path / "raw")
    (folder / "train" / "n02" / "images" / "n02_1.JPEG").unlink()
    with pytest.raises(DataError, match="not those that were unpacked"):
        prepare(card, tmp_path / "prepared", layout="tiny-imagenet")
    assert not [path for path in (tmp_path / "prepared").rglob("*") if path.is_file()]


def test_an_unknown_layout_is_refused(raw: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no layout 'gtrsb'") as refused:
        prepare(raw, tmp_path / "prepared", layout="gtrsb")
    assert "gtsrb" in refused.value.mend


def test_a_changed_file_is_damaged(raw: Path, tmp_path: Path) -> None:
    folder = tmp_path / "prepared"
    prepare(raw, folder)
    paths = (folder / "development" / "images.npy", folder / "development" / "index.parquet", folder / "card.json")
    assert len(open_part(*paths)) == 24
    with paths[0].open("r+b") as file:
        file.seek(-1, 2)
        last = file.read(1)
        file.seek(-1, 2)
        file.write(bytes([last[0] ^ 1]))
    with pytest.raises(DamagedFileError, match=r"images\.npy is damaged"):
        open_part(*paths)
    assert len(PreparedData.open(folder).test) == 4


def test_a_part_has_as_many_images_as_rows(tmp_path: Path) -> None:
    images = [np.full((4, 4, 3), value, dtype=np.uint8) for value in range(3)]
    write_part(tmp_path / "part", iter(images), pa.table({"sample": ["a", "b", "c"]}))
    assert np.load(tmp_path / "part" / "images.npy").shape == (3, 4, 4, 3)
    for wrong in (images[:2], [*images, images[0]], [*images[:2], np.zeros((5, 4, 3), dtype=np.uint8)]):
        with pytest.raises(ValueError, match="image"):
            write_images(tmp_path / "images.npy", wrong, count=3)


def test_images_are_arranged_as_their_count_says(tmp_path: Path) -> None:
    images = [np.full((4, 4, 3), value, dtype=np.uint8) for value in range(6)]
    write_images(tmp_path / "images.npy", images, count=(2, 3))
    assert np.load(tmp_path / "images.npy")[:, :, 0, 0, 0].tolist() == [[0, 1, 2], [3, 4, 5]]
    with pytest.raises(ValueError, match="5 images for 6"):
        write_images(tmp_path / "images.npy", images[:5], count=(2, 3))


def test_drawn_files_are_replaced_as_a_whole(tmp_path: Path) -> None:
    card, files = tmp_path / "raw" / "card.json", tmp_path / "raw" / "files"
    options = {"classes": 2, "tracks": 2, "frames": 2, "test_images": 1, "side": 32}

    def render(seed: int) -> dict[str, object]:
        render_dataset.run(outputs=render_dataset.Outputs(card), writer="signs", seed=seed, options=options)
        return read_card(card)

    first = render(0)
    (files / "GTSRB" / "left-over.txt").write_text("x")
    assert render(0) == first
    assert not (files / "GTSRB" / "left-over.txt").exists()
    assert first["tree"] == describe(files)
    assert len(gtsrb.read(files).samples) == 10
    assert render(1)["content"] != first["content"]
    with pytest.raises(ConfigError, match="no writer"):
        render_dataset.run(outputs=render_dataset.Outputs(card), writer="sings", seed=0, options={})


def test_what_a_failed_writer_leaves_is_removed(tmp_path: Path) -> None:
    outputs = render_dataset.Outputs(tmp_path / "raw" / "card.json")
    with pytest.raises(ConfigError, match="side is 1, but must be at least"):
        render_dataset.run(outputs=outputs, writer="signs", seed=0, options={"side": 1})
    with pytest.raises(ConfigError, match="did you mean classes"):
        render_dataset.run(outputs=outputs, writer="signs", seed=0, options={"clases": 12})
    assert list((tmp_path / "raw").iterdir()) == []


def test_a_drawn_data_set_prepares(tmp_path: Path) -> None:
    card = tmp_path / "raw" / "card.json"
    options = {"classes": 3, "tracks": 4, "frames": 2, "test_images": 2, "side": 32}
    render_dataset.run(outputs=render_dataset.Outputs(card), writer="signs", seed=0, options=options)
    data = prepare(card, tmp_path / "prepared", size=32, crop=32)
    assert data.card["counts"] == {"train": 18, "validation": 6, "test": 6}
    for box in data.test.regions["sign"]:
        assert box is not None
        assert (box[2] - box[0]) * (box[3] - box[1]) > 0.3 * 32 * 32
