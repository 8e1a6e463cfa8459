"""The readers on real pictures, where a folder of them lies beside the repository (see docs); skipped elsewhere."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from heirloom.data.layouts import gtsrb, tiny_imagenet
from heirloom.data.listing import Listing
from heirloom.data.splits import split
from tests.unit.data_samples import brought, make_raw, prepare


@pytest.fixture(scope="session")
def signs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return brought(tmp_path_factory.mktemp("gtsrb"), "gtsrb.tar.xz")


@pytest.fixture(scope="session")
def objects(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return brought(tmp_path_factory.mktemp("tiny-imagenet"), "tiny-imagenet-200_subset.tar.xz")


def _per_class(listed: Listing, part: str) -> Counter[int]:
    return Counter(sample.label for sample in listed.samples if sample.part == part)


def test_real_gtsrb_is_listed(signs: Path) -> None:
    listed = gtsrb.read(signs.parent / "files")
    assert listed.problems == ()
    assert listed.classes == tuple(gtsrb.MEANINGS[class_id] for class_id in range(43))
    development = _per_class(listed, "development")
    assert sum(development.values()) == 3869
    assert sorted(Counter(development.values()).items()) == [(89, 1), (90, 42)]
    assert _per_class(listed, "test").total() == 1290
    assert len({sample.group for sample in listed.samples if sample.part == "development"}) == 888


def test_real_tracks_are_not_cut(signs: Path) -> None:
    samples = [sample for sample in gtsrb.read(signs.parent / "files").samples if sample.part == "development"]
    splits = split(samples, validation=0.2, shots=None, seed=0)
    assert not {sample.group for sample in splits.train} & {sample.group for sample in splits.validation}
    assert splits.undivided == ()
    per_class = Counter(sample.label for sample in splits.validation)
    assert len(per_class) == 43
    assert abs(per_class.total() / 3869 - 0.2) < 0.02


def test_a_real_subset_of_gtsrb_prepares(signs: Path, tmp_path: Path) -> None:
    official = signs.parent / "files" / "gtsrb" / "GTSRB"
    folder = tmp_path / "raw" / "files" / "GTSRB"
    (folder / "Final_Training" / "Images").mkdir(parents=True)
    for class_id in (2, 14):
        name = f"Final_Training/Images/{class_id:05d}"
        (folder / name).symlink_to(official / name)
    rows = (official / "GT-final_test.csv").read_text().splitlines()
    rows = [rows[0], *(row for row in rows if row.endswith((";2", ";14")))]
    (folder / "Final_Test" / "Images").mkdir(parents=True)
    for row in rows[1:]:
        name = f"Final_Test/Images/{row.split(';')[0]}"
        (folder / name).symlink_to(official / name)
    (folder / "GT-final_test.csv").write_text("\n".join(rows))
    data = prepare(make_raw(tmp_path / "raw"), tmp_path / "prepared", size=48, crop=48, validation=0.2)
    assert data.classes == ("50 km/h", "stop")
    assert data.card["counts"]["train"] + data.card["counts"]["validation"] == 180
    assert data.card["counts"]["test"] == len(rows) - 1
    stops = data.test.images[data.test.labels == 1].astype(np.float64)
    assert stops[..., 0].mean() > stops[..., 2].mean() + 10  # stop signs are red: R, G, B in this order
    areas = [(box[2] - box[0]) * (box[3] - box[1]) / 48**2 for box in data.test.regions["sign"] if box is not None]
    assert len(areas) == len(data.test)
    assert 0.4 < np.mean(areas) < 0.7


def test_real_tiny_imagenet_is_listed(objects: Path) -> None:
    listed = tiny_imagenet.read(objects.parent / "files")
    assert listed.problems == ()
    assert len(set(listed.classes)) == 200
    assert listed.classes[0] == "goldfish, Carassius auratus"
    assert set(_per_class(listed, "development").values()) == {50}
    assert set(_per_class(listed, "test").values()) == {10}
    assert len(_per_class(listed, "test")) == 200


def test_real_jpegs_decode(objects: Path) -> None:
    from heirloom.data.pictures import PictureDecoder

    samples = [replace(sample) for sample in tiny_imagenet.read(objects.parent / "files").samples[::200]]
    decoder = PictureDecoder(64, "crop")
    images = list(decoder.decode(samples))
    assert decoder.problems == []
    for image, sample in zip(images, samples, strict=True):
        with Image.open(sample.path) as picture:
            assert np.array_equal(image, np.asarray(picture.convert("RGB")))  # 64 x 64 already: nothing is resampled
