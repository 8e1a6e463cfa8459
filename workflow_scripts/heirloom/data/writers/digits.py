"""Handwritten digits that scikit-learn brings along, written in the layout of MNIST (LeCun et al. 1998).

They are real: 1,797 digits of 13 people, 8 x 8 pixels with values from 0 to 16, the test part of the set of Alpaydin
and Kaynak (UCI, 1998). Here they are enlarged to 20 x 20 pixels and put in the middle of 28 x 28, as MNIST's are.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from heirloom.data.graphics.scene import check_counts, stream

SIDE, BOX = 28, 20
BRIGHTEST = 16  # of the bundled values
CLASSES = 10


def write(root: Path, *, seed: int, test_images: int = 36) -> None:
    """Write MNIST's four files, not packed, under root/MNIST/raw.

    `test_images` of each digit, drawn by the seed, are the test part, all others the training part; both keep the
    bundle's order. Pillow enlarges, bicubically. The same arguments give the same bytes. Raises ValueError for a count
    out of range, FileExistsError if root/MNIST exists.
    """
    from sklearn.datasets import load_digits

    check_counts(test_images=(test_images, 1))
    bundle = load_digits()
    images, labels = np.asarray(bundle.images), np.asarray(bundle.target)
    fewest = int(np.bincount(labels).min())
    if test_images >= fewest:
        raise ValueError(f"test_images is {test_images}, but one of the digits has {fewest} images in all")
    held = _held_out(labels, test_images, seed)
    folder = root / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for part, chosen in (("train", ~held), ("t10k", held)):
        pictures = np.stack([_enlarged(image) for image in images[chosen]])
        _save(folder / f"{part}-images-idx3-ubyte", pictures)
        _save(folder / f"{part}-labels-idx1-ubyte", labels[chosen].astype(np.uint8))


def _held_out(labels: NDArray[np.integer], count: int, seed: int) -> NDArray[np.bool_]:
    """Choose the test part: `count` of each label."""
    held = np.zeros(len(labels), dtype=bool)
    for label in range(CLASSES):
        held[stream(seed, label).permutation(np.flatnonzero(labels == label))[:count]] = True
    return held


def _enlarged(image: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Return a digit of 8 x 8 values as a picture."""
    small = Image.fromarray((image * 255 / BRIGHTEST).round().astype(np.uint8))
    margin = (SIDE - BOX) // 2
    return np.pad(np.asarray(small.resize((BOX, BOX), Image.Resampling.BICUBIC)), margin)


def _save(path: Path, values: NDArray[np.uint8]) -> None:
    """Write unsigned bytes as an idx file."""
    head = bytes([0, 0, 8, values.ndim]) + np.array(values.shape, dtype=">u4").tobytes()
    path.write_bytes(head + values.tobytes())
