"""CIFAR-10 as its owner publishes it (Krizhevsky, 2009); see _cifar."""

from __future__ import annotations

from pathlib import Path

from heirloom.data.layouts import _cifar
from heirloom.data.listing import Listing

EDITION = _cifar.CifarEdition(
    title="CIFAR-10",
    training=tuple(f"data_batch_{number}" for number in range(1, 6)),
    test="test_batch",
    names="batches.meta",
    names_key="label_names",
    names_list="batches.meta.txt",
    labels_key="labels",
    label_bytes=1,
)


def read(root: Path) -> Listing:
    """List the data set as _cifar.read does."""
    return _cifar.read(root, EDITION)
