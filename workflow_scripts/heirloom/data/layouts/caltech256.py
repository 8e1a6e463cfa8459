"""Caltech-256 as its owners publish it (Griffin, Holub and Perona, 2007); see _caltech."""

from __future__ import annotations

from pathlib import Path

from heirloom.data.layouts import _caltech
from heirloom.data.listing import Listing

TEST_SHARE = 0.05  # the last ones in name order, as published
EDITION = _caltech.CaltechEdition(
    title="Caltech-256",
    folder="256_ObjectCategories",
    left_out="257.clutter",
    numbered=True,
    test_share=TEST_SHARE,
)


def read(root: Path) -> Listing:
    """List the data set as _caltech.read does; with all categories present, a label is the official number less one."""
    return _caltech.read(root, EDITION)
