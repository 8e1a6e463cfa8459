"""Caltech-101 as its owners publish it (Fei-Fei, Fergus and Perona, 2004); see _caltech."""

from __future__ import annotations

from pathlib import Path

from heirloom.data.layouts import _caltech
from heirloom.data.listing import Listing

TEST_SHARE = 0.1  # the last ones in name order, as published
EDITION = _caltech.CaltechEdition(
    title="Caltech-101",
    folder="101_ObjectCategories",
    left_out="BACKGROUND_Google",
    numbered=False,
    test_share=TEST_SHARE,
)


def read(root: Path) -> Listing:
    """List the data set as _caltech.read does."""
    return _caltech.read(root, EDITION)
