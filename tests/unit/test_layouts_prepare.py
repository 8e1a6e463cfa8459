"""Every layout goes the whole way from files to arrays, also with few shots."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from heirloom.config.kinds import LAYOUTS
from heirloom.stages import render_dataset
from tests.unit.data_samples import (
    make_raw,
    prepare,
    write_caltech,
    write_cifar,
    write_classes,
    write_cub200,
    write_flowers102,
    write_gtsrb,
    write_mit67,
    write_mnist,
    write_people,
    write_stanford40,
    write_stanford_dogs,
    write_svhn,
    write_tiny_imagenet,
)

WRITERS: dict[str, Callable[[Path], Path]] = {
    "caltech101": lambda root: write_caltech(root, 101),
    "caltech256": lambda root: write_caltech(root, 256),
    "cifar10": write_cifar,
    "cifar100": lambda root: write_cifar(root, fine=True),
    "cub200": lambda root: write_cub200(root, training=8),
    "flowers102": lambda root: write_flowers102(root, each=(4, 4, 2)),
    "folder": lambda root: write_classes(root / "own", images=10),
    "gtsrb": lambda root: write_gtsrb(root, tracks=4, frames=2),
    "mit67": lambda root: write_mit67(root, training=8),
    "mnist": lambda root: write_mnist(root, training=8, test=2),
    "pubfig83": lambda root: write_classes(root / "PubFig83", images=10),
    "stanford-dogs": lambda root: write_stanford_dogs(root, training=8),
    "stanford40": lambda root: write_stanford40(root, training=8),
    "svhn": lambda root: write_svhn(root, training=8),
    "tiny-imagenet": lambda root: write_tiny_imagenet(root, images=8),
    "vggface2": lambda root: write_people(root, images=10),
}
REGIONS = {"cub200": ["bird"], "gtsrb": ["sign"], "stanford-dogs": ["dog"], "stanford40": ["person"]}
SIZES = {"tiny-imagenet": [16, 16], "cifar10": [32, 32], "cifar100": [32, 32], "svhn": [32, 32]}
MADE = {
    "caltech101": "the last 10% of each class",
    "caltech256": "the last 5% of each class",
    "folder": "20% of each class",
    "pubfig83": "20% of each class",
    "vggface2": "2 training pictures",
}
SHOTS = 3


def test_every_layout_has_a_sample_here() -> None:
    assert tuple(sorted(WRITERS)) == LAYOUTS.names()


@pytest.mark.parametrize("layout", sorted(WRITERS))
def test_shots_are_kept_for_every_layout(tmp_path: Path, layout: str) -> None:
    WRITERS[layout](tmp_path / "raw" / "files")
    card = make_raw(tmp_path / "raw")
    whole, few = (prepare(card, tmp_path / str(shots), layout=layout, shots=shots) for shots in (None, SHOTS))
    labels = range(len(whole.classes))
    assert Counter(few.split("train").labels.tolist()) == dict.fromkeys(labels, SHOTS)
    assert min(Counter(whole.split("train").labels.tolist()).values()) > SHOTS
    assert set(few.split("train").samples) < set(whole.split("train").samples)
    for name in ("validation", "test"):
        assert few.split(name).samples == whole.split(name).samples
        assert set(few.split(name).labels.tolist()) == set(labels)
    assert not set(whole.split("train").groups) & set(whole.split("test").groups)
    assert few.classes == whole.classes


@pytest.mark.parametrize("layout", sorted(WRITERS))
def test_the_index_keeps_what_the_reader_chose(tmp_path: Path, layout: str) -> None:
    WRITERS[layout](tmp_path / "raw" / "files")
    data = prepare(make_raw(tmp_path / "raw"), tmp_path / "prepared", layout=layout)
    sizes = data.test.source_sizes
    assert sizes is not None
    assert sizes.tolist() == [SIZES.get(layout, [24, 20])] * len(data.test)
    assert list(data.test.regions) == REGIONS.get(layout, [])
    assert data.card["test_split"].startswith(MADE.get(layout, "official"))
    if layout in REGIONS and layout != "gtsrb":
        box = np.array(data.test.regions[REGIONS[layout][0]][0])
        assert np.allclose(box, (np.array([4, 5, 20, 15]) - [2, 0, 2, 0]) * 16 / 20)


@pytest.mark.parametrize(
    ("writer", "layout", "images", "counts"),
    [
        ("rooms", "mit67", {"train_images": 5, "test_images": 2}, (9, 3, 6)),
        ("faces", "pubfig83", {"images": 10}, (9, 6, 6)),
    ],
)
def test_drawn_sets_are_read_as_the_published_ones(
    tmp_path: Path, writer: str, layout: str, images: dict[str, int], counts: tuple[int, int, int]
) -> None:
    card = tmp_path / "raw" / "card.json"
    options = {"classes": 3, "side": 32, **images}
    render_dataset.run(outputs=render_dataset.Outputs(card), writer=writer, seed=0, options=options)
    data = prepare(card, tmp_path / "prepared", layout=layout, size=32, crop=32, shots=SHOTS)
    assert data.card["counts"] == dict(zip(("train", "validation", "test"), counts, strict=True))
    for boxes in data.test.regions.values():
        assert None not in boxes
