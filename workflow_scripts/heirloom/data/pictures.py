"""Pictures in files to square uint8 arrays of one size; what cannot be read is reported, never guessed."""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from heirloom.data.listing import Box, Sample

# What PIL's readers raise on bytes that are no whole picture; a bomb's warning is turned into an error below.
UNREADABLE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    TypeError,
    KeyError,
    AttributeError,
    AssertionError,
    ArithmeticError,
    RuntimeError,
    MemoryError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)
# Other kinds are not looked at, whatever a file's name says: PIL runs a program of its own for some (EPS).
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "PPM", "TIFF")
MODES = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr"})


@dataclass
class PictureDecoder:
    """Decode samples to arrays of side `size`, collecting what goes wrong.

    `fit`: "crop" brings the short side to `size` and keeps the centre square, "stretch" both sides to `size`. Filled
    while decoding: `problems`, one line a picture; `regions`, per sample its boxes in pixels of the result; `sizes`,
    per sample the width and height of its picture (0, 0 for one that cannot be read); `low` and `high`, the smallest
    and largest value met.
    """

    size: int
    fit: str
    problems: list[str] = field(default_factory=list)
    regions: list[dict[str, Box | None]] = field(default_factory=list)
    sizes: list[tuple[int, int]] = field(default_factory=list)
    low: int = 255
    high: int = 0

    def decode(self, samples: Sequence[Sample]) -> Iterator[NDArray[np.uint8]]:
        """Yield uint8 (size, size, 3), R, G, B, for each sample; black for one that cannot be read (see `problems`)."""
        with bombs_are_errors():
            for sample in samples:
                try:
                    image, regions, picture = _prepared(sample, self.size, self.fit)
                except UNREADABLE as error:
                    self.problems.append(f"{sample.path}: {_reason(error, sample.path)}")
                    image, regions, picture = np.zeros((self.size, self.size, 3), dtype=np.uint8), {}, (0, 0)
                else:
                    self.low, self.high = min(self.low, int(image.min())), max(self.high, int(image.max()))
                self.regions.append(regions)
                self.sizes.append(picture)
                yield image


def prepare(sample: Sample, *, size: int, fit: str) -> tuple[NDArray[np.uint8], dict[str, Box | None]]:
    """Read one picture: uint8 (size, size, 3) and its regions in pixels of that array (None: wholly cut away).

    Bilinear with a low-pass filter where it shrinks (PIL's). Raises one of UNREADABLE when the picture is missing, cut
    short, of no 8-bit kind, of several frames, no file, or does not contain its regions.
    """
    image, regions, _ = _prepared(sample, size, fit)
    return image, regions


def _prepared(sample: Sample, size: int, fit: str) -> tuple[NDArray[np.uint8], dict[str, Box | None], tuple[int, int]]:
    """Read one picture as `prepare` does, and its own width and height."""
    with _opened(sample) as opened:
        picture = _displayed(opened, stored=bool(sample.regions))
        window = _WINDOWS[fit](picture.size)
        boxes = {name: _inside(box, picture.size, cut=sample.cut_regions) for name, box in sample.regions.items()}
        regions = {name: _transformed(box, window, size) for name, box in boxes.items()}
        resized = picture.resize((size, size), Image.Resampling.BILINEAR, box=window)
        return np.asarray(resized), regions, picture.size


def _displayed(opened: Image.Image, *, stored: bool) -> Image.Image:
    """Return a picture as RGB, as a viewer shows it on a white page; with `stored` its pixels keep their places.

    Regions are in pixels as they are stored, so a picture that has some is not turned.
    """
    upright = opened if stored else _upright(opened)
    if not upright.has_transparency_data:
        return upright.convert("RGB")
    over = upright.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", over.size, "white"), over).convert("RGB")


def _upright(opened: Image.Image) -> Image.Image:
    """Turn a picture as its EXIF orientation says; notes that cannot be read say nothing."""
    opened.load()  # so that only the notes can fail below
    try:
        return ImageOps.exif_transpose(opened)
    except UNREADABLE:
        return opened


def _opened(sample: Sample) -> Image.Image:
    """Open a picture: the file, or the pixels of one among many in a file."""
    return open_picture(sample.path) if sample.pixels is None else Image.fromarray(sample.pixels)


def open_picture(path: Path) -> Image.Image:
    """Open a picture of one of FORMATS; its pixels are read when they are asked for.

    Raises one of UNREADABLE, also for what has no 8-bit colours or several frames (a preview beside a camera's picture
    is none).
    """
    if path.exists() and not path.is_file():
        raise ValueError("a folder, pipe, socket or device, not a file")  # a pipe would be waited for without end
    opened = Image.open(path, formats=FORMATS)
    try:
        _refuse_lossy(opened)
    except UNREADABLE:
        opened.close()
        raise
    return opened


def _refuse_lossy(opened: Image.Image) -> None:
    """Raise ValueError for a picture that 8-bit RGB would cut short: deep colours, or frames after the first."""
    if opened.mode not in MODES:
        raise ValueError(f"a picture of mode {opened.mode}, which has no 8-bit colours")
    frames = 1 if opened.format == "MPO" else getattr(opened, "n_frames", 1)
    if frames > 1:
        raise ValueError(f"it has {frames} frames: keep the one you mean as a picture of its own")


def _inside(box: Box, picture: tuple[int, int], *, cut: bool) -> Box:
    """Return a box that lies in its picture (width, height), cut to it on demand; raises ValueError otherwise."""
    width, height = picture
    x1, y1, x2, y2 = (max(box[0], 0), max(box[1], 0), min(box[2], width), min(box[3], height)) if cut else box
    if not (0 <= x1 < x2 <= width and 0 <= y1 < y2 <= height):
        raise ValueError(f"its region {box} does not lie in its {width} x {height} pixels")
    return x1, y1, x2, y2


def _transformed(box: Box, window: Box, size: int) -> Box | None:
    """Move a box from a picture's pixels into those of its window, scaled to `size`, and cut it there."""
    x1, y1, x2, y2 = box
    scale_x, scale_y = size / (window[2] - window[0]), size / (window[3] - window[1])
    xs = [min(max((x - window[0]) * scale_x, 0.0), float(size)) for x in (x1, x2)]
    ys = [min(max((y - window[1]) * scale_y, 0.0), float(size)) for y in (y1, y2)]
    return (xs[0], ys[0], xs[1], ys[1]) if xs[0] < xs[1] and ys[0] < ys[1] else None


def _central_square(size: tuple[int, int]) -> Box:
    """Return the largest central square of a picture (width, height), as edges in pixels."""
    side = min(size)
    left, top = (size[0] - side) / 2, (size[1] - side) / 2
    return left, top, left + side, top + side


def _whole(size: tuple[int, int]) -> Box:
    """Return the whole picture."""
    return 0.0, 0.0, float(size[0]), float(size[1])


_WINDOWS: Mapping[str, Callable[[tuple[int, int]], Box]] = MappingProxyType(
    {"crop": _central_square, "stretch": _whole}
)


@contextmanager
def bombs_are_errors() -> Iterator[None]:
    """Refuse pictures with so many pixels that PIL suspects an attack, where PIL would only warn."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def _reason(error: BaseException, path: Path) -> str:
    """Say in few words why a picture cannot be used."""
    if isinstance(error, FileNotFoundError):
        return "missing"
    with suppress(OSError, ValueError):  # of a name that no disk takes
        if path.is_file() and not path.stat().st_size:
            return "empty"
    if isinstance(error, UnidentifiedImageError):
        return "no picture that can be recognised"
    return str(error) or type(error).__name__
