"""Corrupted test images on disk: computed or read from published files, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from heirloom.config.robust import CorruptionSuite
from heirloom.data.augment import centre
from heirloom.data.distortion.corrupt import corrupt_pixels
from heirloom.data.distortion.files import CorruptedImages, open_corrupted
from heirloom.data.store import PreparedData, index_table, write_part
from heirloom.runtime.errors import ConfigError, DamagedFileError, DataError
from heirloom.runtime.files import read_card, sha256_of, write_card
from heirloom.stages import corrupt_dataset
from heirloom.stages.corrupt_dataset import Inputs, Outputs

CLASSES = ("n01", "n02", "n03")
KINDS = ("fog", "pixelate")


def prepared(folder: Path, *, count: int = 8, size: int = 32, crop: int = 32) -> PreparedData:
    """Write a prepared data set that has a test part alone, as prepare_dataset does."""
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (count, size, size, 3), dtype=np.uint8)
    labels = [(5 * number) % 3 for number in range(count)]
    columns = {
        "sample": [f"test/{number:05d}" for number in range(count)],
        "label": labels,
        "class_name": [CLASSES[label] for label in labels],
        "split": ["test"] * count,
        "group": [f"test/{number:05d}" for number in range(count)],
        "source": [f"val/images/val_{number}.JPEG" for number in range(count)],
    }
    write_part(folder / "test", images, index_table(columns, {"sign": [(0.0, 0.0, 4.0, 4.0)] * count}))
    files = {f"test/{name}": folder / "test" / name for name in ("images.npy", "index.parquet")}
    facts = {"dataset": "noise", "classes": list(CLASSES), "size": size, "crop": crop}
    write_card(folder / "card.json", kind="data", files=files, **facts)
    return PreparedData.open(folder)


def suite(source: str = "", **settings: object) -> CorruptionSuite:
    content = {"title": "c", "dataset": "noise", "preparation": "p", "kinds": KINDS, "severities": (1, 5), **settings}
    content["source"] = {"kind": "files", "dataset": source} if source else {"kind": "computed"}
    return CorruptionSuite.model_validate(content)


def corrupted(
    data: PreparedData, out: Path, settings: CorruptionSuite, *, raw: Path | None = None, layout: str = ""
) -> CorruptedImages:
    inputs = Inputs(
        data.folder / "card.json", *(data.folder / "test" / n for n in ("images.npy", "index.parquet")), raw
    )
    outputs = Outputs(out / "card.json", out / "images.npy", out / "index.parquet")
    corrupt_dataset.run(inputs=inputs, outputs=outputs, suite=settings, layout=layout)
    return open_corrupted(outputs.images, outputs.index, outputs.card)


def test_every_condition_holds_the_centre_crops_under_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corrupt_dataset, "PIXELS", 3 * 32 * 32)  # several batches, the last one smaller
    data = prepared(tmp_path / "data", size=36)
    found = corrupted(data, tmp_path / "out", suite(seed=4))
    assert found.conditions == ("fog-1", "fog-5", "pixelate-1", "pixelate-5")
    assert found.stored.shape == (4, 8, 32, 32, 3)
    assert (found.source, found.classes) == ("computed", CLASSES)
    clean = centre(torch.from_numpy(np.array(data.test.images)), 32)
    for name in found.conditions:
        kind, _, severity = name.rpartition("-")
        part = found.part(name)
        expected = corrupt_pixels(clean, kind, int(severity), seed=4, samples=data.test.samples)
        assert np.array_equal(part.images, expected)
        assert (part.samples, part.crop) == (data.test.samples, 32)
        assert part.labels.tolist() == data.test.labels.tolist()
        assert part.regions == {}  # they were of the whole image
    card = read_card(tmp_path / "out" / "card.json")
    assert (card["kind"], card["dataset"], card["crop"]) == ("corrupted", "noise", 32)


def test_some_images_are_the_same_as_among_all_and_fewer_are_a_part_of_more(tmp_path: Path) -> None:
    data = prepared(tmp_path / "data")
    whole, more, few = (corrupted(data, tmp_path / str(n), suite(images=n)) for n in (None, 5, 2))
    assert (len(more.part("fog-1")), len(few.part("fog-1"))) == (5, 2)
    assert set(few.part("fog-1").samples) < set(more.part("fog-1").samples)
    assert more.part("fog-1").samples == sorted(more.part("fog-1").samples)
    rows = [data.test.samples.index(sample) for sample in more.part("fog-1").samples]
    for condition in whole.conditions:
        assert np.array_equal(whole.part(condition).images[rows], more.part(condition).images)
        assert more.part(condition).labels.tolist() == data.test.labels[rows].tolist()
    other = corrupted(data, tmp_path / "seed", suite(images=5, seed=9))
    assert other.part("fog-1").samples != more.part("fog-1").samples
    assert len(corrupted(data, tmp_path / "many", suite(images=99)).part("fog-1")) == 8


def test_the_same_settings_give_the_same_bytes(tmp_path: Path) -> None:
    data = prepared(tmp_path / "data")
    for out in ("a", "b"):
        corrupted(data, tmp_path / out, suite())
    for name in ("card.json", "images.npy", "index.parquet"):
        assert sha256_of(tmp_path / "a" / name) == sha256_of(tmp_path / "b" / name)


def test_a_changed_file_is_damaged(tmp_path: Path) -> None:
    corrupted(prepared(tmp_path / "data"), tmp_path / "out", suite())
    path = tmp_path / "out" / "images.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(DamagedFileError, match=r"images\.npy is damaged"):
        open_corrupted(path, path.with_name("index.parquet"), path.with_name("card.json"))


def test_an_unknown_condition_is_an_error(tmp_path: Path) -> None:
    found = corrupted(prepared(tmp_path / "data"), tmp_path / "out", suite())
    with pytest.raises(ValueError, match="glass-blur-1"):
        found.part("glass-blur-1")


# -- published arrays --------------------------------------------------------------------------------------------------


def write_cifar_c(root: Path, labels: list[int], *, side: int = 32) -> Path:
    """Write corrupted images whose first value is the severity and whose second the image's number."""
    folder = root / "files" / "CIFAR-10-C"
    folder.mkdir(parents=True)
    count = len(labels)
    for kind in KINDS:
        images = np.full((5 * count, side, side, 3), len(kind), dtype=np.uint8)
        images[:, 0, 0, 0], images[:, 0, 0, 1] = np.repeat(np.arange(1, 6), count), np.tile(np.arange(count), 5)
        np.save(folder / f"{kind}.npy", images)
    np.save(folder / "labels.npy", np.tile(np.array(labels, dtype=np.uint8), 5))
    return folder


@pytest.fixture
def data(tmp_path: Path) -> PreparedData:
    return prepared(tmp_path / "data")


def from_files(data: PreparedData, root: Path, layout: str = "cifar-c", **settings: object) -> CorruptedImages:
    return corrupted(data, root / "out", suite("cifar10-c", **settings), raw=root / "card.json", layout=layout)


@pytest.mark.parametrize("once", [False, True])
def test_published_arrays_are_read_severity_by_severity(tmp_path: Path, data: PreparedData, once: bool) -> None:
    folder = write_cifar_c(tmp_path, data.test.labels.tolist())
    if once:
        np.save(folder / "labels.npy", np.load(folder / "labels.npy")[:8])
    found = from_files(data, tmp_path, images=3)
    assert (found.source, found.conditions[1], found.stored.shape) == ("cifar10-c", "fog-5", (4, 3, 32, 32, 3))
    numbers = [data.test.samples.index(sample) for sample in found.part("fog-1").samples]
    for condition in found.conditions:
        kind, _, severity = condition.rpartition("-")
        images = found.part(condition).images
        assert images[:, 0, 0].tolist() == [[int(severity), number, len(kind)] for number in numbers]


def damage_order(folder: Path) -> None:
    np.save(folder / "labels.npy", np.roll(np.load(folder / "labels.npy"), 1))


def damage_one_severity(folder: Path) -> None:
    labels = np.load(folder / "labels.npy")
    labels[-1] = (labels[-1] + 1) % 3
    np.save(folder / "labels.npy", labels)


def damage_pickled(folder: Path) -> None:
    np.save(folder / "fog.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)


def damage_cut(folder: Path) -> None:
    content = (folder / "fog.npy").read_bytes()
    (folder / "fog.npy").write_bytes(content[:-100])


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (damage_order, "labels differ from those of the test part"),
        (damage_one_severity, "1 labels differ"),
        (lambda folder: np.save(folder / "labels.npy", np.zeros(7, np.uint8)), r"\(7,\) labels, but .* has 8 images"),
        (lambda folder: (folder / "fog.npy").unlink(), r"CIFAR-10-C lacks fog\.npy"),
        (lambda folder: (folder / "labels.npy").unlink(), "no CIFAR-C found"),
        (
            lambda folder: np.save(folder / "fog.npy", np.zeros((40, 32, 32, 3))),
            r"float64 .*, not uint8 \(40, S, S, 3\)",
        ),
        (lambda folder: np.save(folder / "fog.npy", np.zeros((8, 32, 32, 3), np.uint8)), r"not uint8 \(40, S, S, 3\)"),
        (lambda folder: np.save(folder / "fog.npy", np.zeros((40, 64, 64, 3), np.uint8)), "64 x 64 pixels, .* 32 x 32"),
        (damage_pickled, "cannot be read"),
        (damage_cut, "cannot be read"),
    ],
)
def test_arrays_that_are_not_of_the_test_part_are_refused(tmp_path: Path, data: PreparedData, damage, words) -> None:
    damage(write_cifar_c(tmp_path, data.test.labels.tolist()))
    with pytest.raises(DataError, match=words) as refused:
        from_files(data, tmp_path)
    assert refused.value.mend
    assert not (tmp_path / "out" / "images.npy").exists()


def test_a_test_part_with_a_margin_is_refused(tmp_path: Path) -> None:
    data = prepared(tmp_path / "data", size=36)
    write_cifar_c(tmp_path, data.test.labels.tolist())
    with pytest.raises(DataError, match=r"have 32 x 32 pixels, .* 36 x 36, of which models see 32 x 32"):
        from_files(data, tmp_path)


def test_a_wrong_layout_and_absent_files_are_refused(tmp_path: Path, data: PreparedData) -> None:
    with pytest.raises(ConfigError, match="no layout of corrupted images 'cifarc'"):
        from_files(data, tmp_path, layout="cifarc")
    with pytest.raises(DataError, match="no files of the layout cifar-c"):
        corrupted(data, tmp_path / "out", suite("cifar10-c"), layout="cifar-c")


# -- published pictures ------------------------------------------------------------------------------------------------


def write_tiny_c(root: Path, data: PreparedData, *, side: int = 32) -> Path:
    """Write corrupted pictures of one grey each: ten times the image's number, and the severity."""
    names = [Path(source).name for source in data.test.sources]
    for kind, folder in (("fog", "Tiny-ImageNet-C"), ("pixelate", "Tiny-ImageNet-C-extra")):
        for severity in (1, 5):
            for number, (name, label) in enumerate(zip(names, data.test.labels, strict=True)):
                path = root / "files" / folder / kind / str(severity) / CLASSES[label] / name
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.new("RGB", (side, side), (10 * number + severity,) * 3).save(path, format="JPEG", quality=95)
    return root / "files" / "Tiny-ImageNet-C" / "fog" / "1"


def test_published_pictures_are_matched_by_name(tmp_path: Path, data: PreparedData) -> None:
    write_tiny_c(tmp_path, data)
    found = from_files(data, tmp_path, layout="tiny-imagenet-c", images=4)
    numbers = [data.test.samples.index(sample) for sample in found.part("fog-1").samples]
    for condition in found.conditions:
        greys = found.part(condition).images.mean(axis=(1, 2, 3))
        np.testing.assert_allclose(greys, [10 * number + int(condition[-1]) for number in numbers], atol=1)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda folder: (folder / "n01" / "val_0.JPEG").unlink(), r"no corrupted picture of val_0\.JPEG"),
        (
            lambda folder: (folder / "n01" / "val_0.JPEG").rename(folder / "n02" / "val_0.JPEG"),
            "of the class 1 there, of 0",
        ),
        (lambda folder: (folder / "n01" / "val_0.JPEG").write_bytes(b"no picture"), "cannot be read"),
        (lambda folder: (folder / "n04").mkdir(), "4 folders of classes, but the test part has 3"),
        (lambda folder: Image.new("RGB", (8, 8)).save(folder / "n01" / "val_0.JPEG"), "8 x 8 pixels, .* 32 x 32"),
        (lambda folder: folder.parent.rename(folder.parents[1] / "haze"), "Tiny-ImageNet-C lacks fog"),
    ],
)
def test_pictures_that_are_not_of_the_test_part_are_refused(tmp_path: Path, data: PreparedData, damage, words) -> None:
    damage(write_tiny_c(tmp_path, data))
    with pytest.raises(DataError, match=words) as refused:
        from_files(data, tmp_path, layout="tiny-imagenet-c")
    assert refused.value.mend
    assert not (tmp_path / "out" / "images.npy").exists()
