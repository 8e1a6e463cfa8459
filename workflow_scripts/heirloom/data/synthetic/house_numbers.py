"""Drawn house numbers, written as SVHN's cropped digits (Netzer et al. 2011): 32 x 32 pixels round one digit.

A number has one to four digits on a plate or a bare wall; the picture shows one of them in its middle, and its
neighbours reach in from the sides, as they do in the published pictures. Digits vary in weight, proportions, slant and
hand, and stand out from what lies behind them, dark on light or light on dark.
"""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from heirloom.data.synthetic.files import save_matlab
from heirloom.data.synthetic.scene import (
    Colour,
    Limits,
    Mark,
    any_colour,
    bent,
    box,
    check_counts,
    draw_setting,
    moved,
    portray,
    stream,
    text,
)

SIDE = 32
DIGITS = 10
LONGEST = 4
_TRAINING, _TEST, _ORDER = range(3)
_FILES: Mapping[str, int] = MappingProxyType({"train_32x32.mat": _TRAINING, "test_32x32.mat": _TEST})
_LIMITS = Limits(gain=(0.5, 1.3), share=(1, 1), turn=0, slant=0, shift=0, blur=(0.01, 0.045), grain=(1, 8))


def write(root: Path, *, seed: int, train_images: int = 60, test_images: int = 20) -> None:
    """Write SVHN's two files of cropped digits under root/SVHN; the digit 0 has the label 10 there.

    `train_images` and `test_images` count for each digit; pictures lie in an order drawn by the seed. The same
    arguments give the same bytes; what is drawn for a digit and number depends on the seed alone, not on how many
    others there are. Raises ValueError for a count out of range, FileExistsError if root/SVHN exists.
    """
    counts = {_TRAINING: train_images, _TEST: test_images}
    check_counts(train_images=(train_images, 1), test_images=(test_images, 1))
    folder = root / "SVHN"
    folder.mkdir(parents=True)
    for name, part in _FILES.items():
        places = [(digit, number) for digit in range(DIGITS) for number in range(counts[part])]
        chosen = stream(seed, _ORDER, part).permutation(places).tolist()
        pictures = [np.asarray(draw_house_number(d, stream(seed, part, d, n), SIDE)) for d, n in chosen]
        labels = np.array([[digit or DIGITS] for digit, _ in chosen], dtype=np.uint8)
        save_matlab(folder / name, {"X": np.stack(pictures, axis=3), "y": labels})


def draw_house_number(digit: int, rng: np.random.Generator, side: int) -> Image.Image:
    """Draw one picture, RGB and side x side, with a digit (0 to 9) in its middle and its neighbours about it."""
    setting = draw_setting(rng, _LIMITS, ("building", "haze", "haze", "foliage"))
    plate, ink = _colours(rng)
    wall = np.asarray(setting.backdrop.resize((1, 1), Image.Resampling.BOX))[0, 0]
    bare = rng.random() < 0.25 and _contrast(wall, ink) > 90
    marks = moved(_number(digit, rng), turn=float(rng.normal(0, 5)))
    layers = (() if bare else _plate(rng), bent(marks, rng, 0.04))
    return portray(layers, {"plate": plate, "ink": ink}, setting, rng, (side, side), 1)[0]


def _number(digit: int, rng: np.random.Generator) -> tuple[Mark, ...]:
    """Draw a number in a row of which one digit stands in the middle."""
    length = int(rng.integers(1, LONGEST + 1))
    place = int(rng.integers(length))
    digits = rng.integers(0, DIGITS, length)
    digits[place] = digit
    height, weight = rng.uniform(1.3, 1.75), rng.uniform(0.14, 0.3)
    pitch = height * rng.uniform(0.5, 0.62) + 1.7 * weight
    middle = (length - 1) / 2 - place
    slant, shift = rng.uniform(-0.12, 0.2), rng.normal(0, 0.05, 2)
    row = text("ink", "".join(map(str, digits)), length * pitch, height, weight, middle * pitch)
    return tuple(
        Mark(mark.ink, tuple((x - slant * y + shift[0], y + shift[1]) for x, y in mark.points), mark.width)
        for mark in row
    )


def _plate(rng: np.random.Generator) -> tuple[Mark, ...]:
    """Draw the plate behind a number, whose edges may show."""
    left, right = -rng.uniform(0.85, 1.8), rng.uniform(0.85, 1.8)
    top, bottom = -rng.uniform(0.85, 1.3), rng.uniform(0.85, 1.3)
    return moved((box("plate", left, top, right, bottom),), turn=float(rng.normal(0, 4)))


def _colours(rng: np.random.Generator) -> tuple[Colour, Colour]:
    """Draw the colours of a plate and its digits, far enough apart to be read."""
    tries = [(any_colour(rng, saturation=(0, 0.8)), any_colour(rng, saturation=(0, 0.8))) for _ in range(6)]
    return max(tries, key=lambda pair: _contrast(np.asarray(pair[0]), pair[1]))


def _contrast(one: NDArray[np.integer], other: Colour) -> float:
    """Return how far two colours are apart in brightness, 0 to 255."""
    return float(abs(np.asarray(one, dtype=float).mean() - np.mean(other)))
