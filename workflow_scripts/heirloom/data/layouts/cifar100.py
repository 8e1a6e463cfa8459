"""CIFAR-100 as its owner publishes it, with its 100 fine classes (Krizhevsky, 2009); see _cifar."""

from __future__ import annotations

from pathlib import Path

from heirloom.data.layouts import _cifar
from heirloom.data.listing import Listing

EDITION = _cifar.CifarEdition(
    title="CIFAR-100",
    training=("train",),
    test="test",
    names="meta",
    names_key="fine_label_names",
    names_list="fine_label_names.txt",
    labels_key="fine_labels",
    label_bytes=2,
)


def read(root: Path) -> Listing:
    """List the data set as _cifar.read does."""
    return _cifar.read(root, EDITION)
