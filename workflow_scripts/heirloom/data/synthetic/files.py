"""How drawn data sets put pictures and lists on disk."""

import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from heirloom.data.synthetic.scene import Box, Range

JPEG_QUALITY = 95
MATLAB_TITLE = b"MATLAB 5.0 MAT-file".ljust(116)  # scipy's holds the time of writing


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


def save_matlab(path: Path, variables: Mapping[str, NDArray[np.generic]]) -> None:
    """Write variables as a MATLAB file of version 5, compressed; equal variables give equal bytes."""
    from scipy.io import savemat

    content = io.BytesIO()
    savemat(content, dict(variables), do_compression=True)
    path.write_bytes(MATLAB_TITLE + content.getvalue()[len(MATLAB_TITLE) :])


def cells(texts: Sequence[str]) -> NDArray[np.object_]:
    """Return texts as a column that `save_matlab` writes as a cell array."""
    column = np.empty((len(texts), 1), dtype=object)
    column[:, 0] = list(texts)
    return column


def save_annotation(path: Path, *, name: str, size: tuple[int, int], area: Box, kind: str) -> None:
    """Write the box of one thing as PASCAL VOC does, XML, its numbers as edges.

    `name`: what the picture is called. `size`: its width and height. `area`: the last pixels included. `kind`: the
    thing's name.
    """
    left, top, right, bottom = area
    edges = (("xmin", left), ("ymin", top), ("xmax", right + 1), ("ymax", bottom + 1))
    write_lines(
        path,
        (
            "<annotation>",
            f"  <filename>{name}</filename>",
            f"  <size><width>{size[0]}</width><height>{size[1]}</height><depth>3</depth></size>",
            "  <object>",
            f"    <name>{kind}</name>",
            f"    <bndbox>{''.join(f'<{edge}>{value}</{edge}>' for edge, value in edges)}</bndbox>",
            "  </object>",
            "</annotation>",
        ),
    )
