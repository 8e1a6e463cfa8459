"""How drawn data sets put pictures and lists on disk."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from heirloom.data.graphics.scene import Range

JPEG_QUALITY = 95


def write_lines(path: Path, lines: Iterable[str], *, last: str = "\n") -> None:
    """Write lines of ASCII with line feeds between them and `last` at the end, wherever this runs."""
    path.write_bytes(("\n".join(lines) + last).encode("ascii"))


def save_jpeg(image: Image.Image, path: Path) -> None:
    """Write a picture as JPEG with its colours at full resolution."""
    image.save(path, format="JPEG", quality=JPEG_QUALITY, subsampling=0)


def check_classes(classes: int, most: int, what: str) -> None:
    """Hold a number of classes to what can be drawn. Raises ValueError if it is not from 1 to `most`."""
    if not 1 <= classes <= most:
        raise ValueError(f"classes is {classes}, but {what} have from 1 to {most} classes")


def draw_size(rng: np.random.Generator, side: int, width: Range, height: Range) -> tuple[int, int]:
    """Draw a picture's width and height, each as a share of `side` within a range."""
    return round(side * rng.uniform(*width)), round(side * rng.uniform(*height))
