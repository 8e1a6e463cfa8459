"""Drawn everyday objects (see `objects`), written as Caltech-101 and as Caltech-256: one folder a category.

Pictures are wider than high or higher than wide, as the published ones are, and a folder of pictures that show no
object stands beside the categories. No picture is told to be for testing: the reader's rule divides them.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from heirloom.data.synthetic.files import check_classes, draw_size, save_jpeg
from heirloom.data.synthetic.objects import KINDS, LIMITS, draw_sized_object
from heirloom.data.synthetic.scene import check_counts, draw_setting, portray, stream

_OBJECT, _CLUTTER = range(2)
_WIDTH, _HEIGHT = (1.0, 1.5), (0.8, 1.15)  # of a picture, as shares of the side


def write_101(root: Path, *, seed: int, classes: int = 12, images: int = 40, side: int = 48) -> None:
    """Write Caltech-101's layout under root/101_ObjectCategories; BACKGROUND_Google shows no object.

    `images` count for each category and for the background; pictures are JPEG of sizes about `side`. The same
    arguments give the same bytes; what is drawn for a category and number depends on the seed alone, not on how many
    others there are. Raises ValueError for a count or side out of range, FileExistsError if the folder exists.
    """
    names = [kind.word.replace(" ", "_") for kind in KINDS[:classes]]
    _write(
        root / "101_ObjectCategories",
        [*names, "BACKGROUND_Google"],
        lambda _, number: f"image_{number:04d}.jpg",
        seed=seed,
        counts=(classes, images, side),
    )


def write_256(root: Path, *, seed: int, classes: int = 12, images: int = 60, side: int = 48) -> None:
    """Write Caltech-256's layout under root/256_ObjectCategories; 257.clutter shows no object, else as `write_101`."""
    names = [f"{number:03d}.{kind.word.replace(' ', '-')}" for number, kind in enumerate(KINDS[:classes], start=1)]
    _write(
        root / "256_ObjectCategories",
        [*names, "257.clutter"],
        lambda place, number: f"{place[:3]}_{number:04d}.jpg",
        seed=seed,
        counts=(classes, images, side),
    )


def _write(
    folder: Path, places: list[str], name: Callable[[str, int], str], *, seed: int, counts: tuple[int, int, int]
) -> None:
    """Write the pictures of each place, of which the last is the clutter; `counts`: classes, images, side."""
    classes, images, side = counts
    check_classes(classes, len(KINDS), "drawn objects")
    check_counts(images=(images, 2), side=(side, 16))
    folder.mkdir(parents=True)
    for index, place in enumerate(places):
        (folder / place).mkdir()
        path = (_OBJECT, index) if index < classes else (_CLUTTER,)
        for number in range(images):
            rng = stream(seed, *path, number)
            size = draw_size(rng, side, _WIDTH, _HEIGHT)
            image = draw_sized_object(index, rng, size)[0] if index < classes else _clutter(rng, size)
            save_jpeg(image, folder / place / name(place, number + 1))


def _clutter(rng: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    """Draw a place without an object."""
    return portray(((),), {}, draw_setting(rng, LIMITS), rng, size)[0]
