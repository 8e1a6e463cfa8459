"""Files that are read whole are refused when they are longer than any published one, before they are in memory."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from heirloom.config.kinds import LAYOUTS
from heirloom.data import limits, matlab
from heirloom.data.layouts import gtsrb
from heirloom.data.limits import read_whole
from heirloom.runtime.errors import DataError
from tests.unit.data_samples import (
    write_cifar,
    write_cub200,
    write_flowers102,
    write_gtsrb,
    write_mit67,
    write_people,
    write_stanford40,
    write_svhn,
    write_tiny_imagenet,
)
from tests.unit.hostile import check_words


def test_a_file_is_read_up_to_a_size_and_not_beyond(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes(b"12345")
    assert read_whole(path, what="a list", most=5, mend="shorten it") == b"12345"
    with pytest.raises(DataError, match="a list has 5 bytes, more than the 4 that are read") as refused:
        read_whole(path, what="a list", most=4, mend="shorten it")
    assert (refused.value.where, refused.value.mend) == (str(path), "shorten it")


@pytest.mark.parametrize("name", ["nothing", "", "n" * 300, "a\0b"])
def test_what_is_no_file_is_missing(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="a list is missing or unreadable"):
        read_whole(tmp_path / name, what="a list", mend="get it")


FILES: list[tuple[str, Callable[[Path], object], str, int]] = [
    ("gtsrb", write_gtsrb, "GT-00003.csv", gtsrb.LONGEST),
    ("gtsrb", write_gtsrb, "GT-final_test.csv", gtsrb.LONGEST),
    ("tiny-imagenet", write_tiny_imagenet, "words.txt", limits.LIST),
    ("cub200", write_cub200, "images.txt", limits.LIST),
    ("mit67", write_mit67, "TrainImages.txt", limits.LIST),
    ("stanford40", write_stanford40, "actions.txt", limits.LIST),
    ("vggface2", write_people, "identity_meta.csv", limits.LIST),
    ("flowers102", write_flowers102, "setid.mat", matlab.MOST_BYTES),
    ("svhn", write_svhn, "train_32x32.mat", limits.ARRAY),
    ("cifar10", lambda root: write_cifar(root, binary=True), "data_batch_1.bin", limits.ARRAY),
]


@pytest.mark.parametrize(("layout", "write", "name", "most"), FILES, ids=[each[2] for each in FILES])
def test_every_file_that_is_read_whole_has_a_bound(
    tmp_path: Path, layout: str, write: Callable[[Path], object], name: str, most: int
) -> None:
    """The long file takes no place on the disk, and would take its length in memory."""
    write(tmp_path)
    path = sorted(tmp_path.rglob(name))[0]
    os.truncate(path, most + 1)
    with pytest.raises(DataError, match=f"has {most + 1} bytes, more than the {most} that are read") as refused:
        LAYOUTS.load(layout).read(tmp_path)
    check_words(refused.value)
    assert refused.value.where == str(path)
