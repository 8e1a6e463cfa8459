"""What all drawn data sets share: vector marks, backdrops, light, pose and the camera.

A subject (a sign, an object) is a list of marks in a square of [-1, 1] x [-1, 1], x to the right and y down. It is
drawn once with transparency, then photographed: placed before a backdrop under a pose, lit, blurred and made noisy. A
setting holds what stays the same while a subject is looked at; photographs of one setting differ as frames of a video.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from colorsys import hsv_to_rgb
from dataclasses import dataclass, replace
from math import cos, log, radians, sin
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

Point: TypeAlias = tuple[float, float]
Colour: TypeAlias = tuple[int, int, int]
Tint: TypeAlias = tuple[int, int, int, int]
Palette: TypeAlias = Mapping[str, Colour | Tint]
Box: TypeAlias = tuple[int, int, int, int]
Pixels: TypeAlias = NDArray[np.float32]
Range: TypeAlias = tuple[float, float]

OVERSAMPLE = 3
BACKDROP_SIDE = 72
REACH = 0.96  # of the way from the middle to the edge: no corner of a subject lies beyond, so that none is cut off


def stream(seed: int, *path: int) -> np.random.Generator:
    """Open the random stream of one place in a data set, e.g. (class, track, frame).

    Streams of different paths are independent, whatever the paths' lengths and in whatever order they are opened.
    Raises ValueError if the seed or a part of the path is negative.
    """
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=path))


def check_counts(**counts: tuple[int, int]) -> None:
    """Hold each named (value, least) to its least value. Raises ValueError that names the first one below."""
    for name, (value, least) in counts.items():
        if value < least:
            raise ValueError(f"{name} is {value}, but must be at least {least}")


# ---------------------------------------------------------------------------------------------------------- marks


@dataclass(frozen=True)
class Mark:
    """One filled polygon (width 0) or one round-ended stroke of the given width, in an ink that a palette names."""

    ink: str
    points: tuple[Point, ...]
    width: float = 0.0


def pairs(numbers: Sequence[float]) -> tuple[Point, ...]:
    """Group x, y, x, y, ... into points. Raises ValueError if a y is missing."""
    return tuple(zip(numbers[::2], numbers[1::2], strict=True))


def curve(x: float, y: float, rx: float, ry: float, start: float = 0, stop: float = 360) -> tuple[Point, ...]:
    """Follow an ellipse round (x, y) from one angle to another: degrees, 0 to the right, 90 down."""
    angles = np.linspace(radians(start), radians(stop), max(6, int(abs(stop - start) / 9)))
    return tuple((x + rx * cos(angle), y + ry * sin(angle)) for angle in angles)


def polygon(ink: str, *numbers: float) -> Mark:
    """Fill the polygon through x, y, x, y, ..."""
    return Mark(ink, pairs(numbers))


def stroke(ink: str, width: float, *numbers: float) -> Mark:
    """Draw the open line through x, y, x, y, ..."""
    return Mark(ink, pairs(numbers), width)


def box(ink: str, left: float, top: float, right: float, bottom: float) -> Mark:
    """Fill an upright rectangle."""
    return polygon(ink, left, top, right, top, right, bottom, left, bottom)


def oval(ink: str, x: float, y: float, rx: float, ry: float | None = None) -> Mark:
    """Fill an ellipse, or a disc where one radius is given."""
    return Mark(ink, curve(x, y, rx, rx if ry is None else ry))


def arc(ink: str, width: float, x: float, y: float, radius: float, start: float = 0, stop: float = 360) -> Mark:
    """Draw a part of a circle as a stroke; angles as in `curve`."""
    return Mark(ink, curve(x, y, radius, radius, start, stop), width)


def arrow(ink: str, width: float, *numbers: float, head: float = 2.6) -> tuple[Mark, ...]:
    """Draw a line that ends in a triangular head, `head` times as wide as the line, at the last point."""
    points = np.array(pairs(numbers))
    along = points[-1] - points[-2]
    along = along / np.hypot(*along)
    across = np.array([-along[1], along[0]])
    reach = width * head / 2
    neck = points[-1] - along * reach * 1.2
    corners = (points[-1], neck + across * reach, neck - across * reach)
    shaft = (*pairs(numbers)[:-1], _point(neck))
    return Mark(ink, shaft, width), Mark(ink, tuple(_point(corner) for corner in corners))


def _point(values: NDArray[np.float64]) -> Point:
    return float(values[0]), float(values[1])


def moved(
    marks: Iterable[Mark], x: float = 0.0, y: float = 0.0, scale: float = 1.0, turn: float = 0.0, flip: bool = False
) -> tuple[Mark, ...]:
    """Mirror left to right, scale, turn clockwise by degrees and shift marks, in this order."""
    c, s, side = scale * cos(radians(turn)), scale * sin(radians(turn)), -1.0 if flip else 1.0
    return tuple(
        replace(
            m,
            points=tuple((x + c * side * a - s * b, y + s * side * a + c * b) for a, b in m.points),
            width=m.width * scale,
        )
        for m in marks
    )


def bent(marks: Iterable[Mark], rng: np.random.Generator, amount: float) -> tuple[Mark, ...]:
    """Displace all points smoothly by up to about `amount`, as another maker's hand would have drawn them."""
    waves = rng.uniform(-2.2, 2.2, (2, 2))
    phases = rng.uniform(0, 6.3, 2)
    stretch = 1 + amount * rng.uniform(-1, 1, 2)

    def bend(points: tuple[Point, ...]) -> tuple[Point, ...]:
        places = np.array(points)
        shift = amount * np.sin(places @ waves.T + phases)
        return pairs((places * stretch + shift).ravel().tolist())

    thickness = 1 + 2 * amount * rng.uniform(-1, 1)
    return tuple(replace(m, points=bend(m.points), width=m.width * thickness) for m in marks)


_BOWL = curve(0.5, 0.68, 0.5, 0.32)

GLYPHS: Mapping[str, tuple[tuple[Point, ...], ...]] = {
    "0": (curve(0.5, 0.5, 0.5, 0.5),),
    "1": (pairs((0.1, 0.28, 0.58, 0, 0.58, 1)),),
    "2": ((*curve(0.5, 0.29, 0.48, 0.29, 190, 395), *pairs((0, 1, 1, 1))),),
    "3": ((*curve(0.45, 0.25, 0.47, 0.25, 195, 450), *curve(0.45, 0.74, 0.53, 0.26, 270, 525)),),
    "4": (pairs((0.75, 1, 0.75, 0, 0, 0.72, 1, 0.72)),),
    "5": ((*pairs((0.92, 0, 0.14, 0, 0.06, 0.47)), *curve(0.48, 0.68, 0.52, 0.32, 235, 505)),),
    "6": (_BOWL, pairs((0.78, 0, 0.3, 0.22, 0.02, 0.66))),
    "7": (pairs((0, 0, 1, 0, 0.38, 1)),),
    "8": (curve(0.5, 0.25, 0.42, 0.25), curve(0.5, 0.75, 0.5, 0.25)),
    "9": (tuple((1 - x, 1 - y) for x, y in _BOWL), pairs((0.22, 1, 0.7, 0.78, 0.98, 0.34))),
    "A": (pairs((0, 1, 0.5, 0, 1, 1)), pairs((0.2, 0.64, 0.8, 0.64))),
    "E": (pairs((0.95, 0, 0.05, 0, 0.05, 1, 0.95, 1)), pairs((0.05, 0.5, 0.8, 0.5))),
    "H": (pairs((0, 0, 0, 1)), pairs((1, 0, 1, 1)), pairs((0, 0.5, 1, 0.5))),
    "K": (pairs((0, 0, 0, 1)), pairs((1, 0, 0, 0.62)), pairs((0.3, 0.45, 1, 1))),
    "O": (curve(0.5, 0.5, 0.5, 0.5),),
    "P": ((*pairs((0.05, 1, 0.05, 0, 0.55, 0)), *curve(0.55, 0.28, 0.43, 0.28, 270, 450), (0.05, 0.56)),),
    "S": ((*curve(0.5, 0.26, 0.47, 0.26, 335, 90), *curve(0.5, 0.74, 0.47, 0.26, 270, 515)),),
    "T": (pairs((0, 0, 1, 0)), pairs((0.5, 0, 0.5, 1))),
}
"""Strokes of each character, in a cell of [0, 1] x [0, 1]."""


def text(
    ink: str, characters: str, width: float, height: float, weight: float, x: float = 0.0, y: float = 0.0
) -> tuple[Mark, ...]:
    """Write characters in a row of the given total size, centred on (x, y). Raises KeyError for an unknown one."""
    pitch = width / len(characters)
    cell = pitch - 1.7 * weight
    left, top = x - width / 2 + (pitch - cell) / 2, y - height / 2
    return tuple(
        Mark(ink, tuple((left + place * pitch + a * cell, top + b * height) for a, b in line), weight)
        for place, character in enumerate(characters)
        for line in GLYPHS[character]
    )


def rasterise(marks: Iterable[Mark], palette: Palette, side: int, oversample: int = OVERSAMPLE) -> Image.Image:
    """Draw marks, first to last, on a transparent square and smooth their edges.

    A tint, whose fourth number is opacity, takes the place of what was drawn before it, so that what lies behind the
    whole drawing shows through. Returns RGBA, side x side. Raises KeyError if a mark's ink is not in the palette.
    """
    image = Image.new("RGBA", (side * oversample, side * oversample), (0, 0, 0, 0))
    pen = ImageDraw.Draw(image)
    for mark in marks:
        _draw(pen, mark, palette[mark.ink], side * oversample / 2)
    return image.reduce(oversample)


def _draw(pen: ImageDraw.ImageDraw, mark: Mark, colour: Colour | Tint, unit: float) -> None:
    points = [((x + 1) * unit, (y + 1) * unit) for x, y in mark.points]
    if not mark.width:
        pen.polygon(points, fill=colour)
        return
    pen.line(points, fill=colour, width=max(1, round(mark.width * unit)), joint="curve")
    radius = mark.width * unit / 2
    for x, y in (points[0], points[-1]):
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)


# ------------------------------------------------------------------------------------------------------ backdrops


def _clouds(rng: np.random.Generator, cells: int) -> Pixels:
    """Smooth noise in [0, 1] with about `cells` bumps a side, shaped (side, side, 1) to be used as a mixing weight."""
    coarse = Image.fromarray(rng.random((cells, cells), dtype=np.float32))
    fine = coarse.resize((BACKDROP_SIDE, BACKDROP_SIDE), Image.Resampling.BICUBIC)
    return np.clip(np.asarray(fine, dtype=np.float32), 0, 1)[..., None]


def _shade(rng: np.random.Generator, low: Colour, high: Colour) -> Pixels:
    """Draw a colour between two, each channel a little on its own."""
    mix = rng.uniform(0, 1) + rng.uniform(-0.12, 0.12, 3)
    return np.clip(np.asarray(low) + mix * np.subtract(high, low), 0, 255).astype(np.float32)


def _ramp() -> Pixels:
    return np.linspace(0, 1, BACKDROP_SIDE, dtype=np.float32)[:, None, None]


def _mixed(one: Pixels, two: Pixels | float, weight: Pixels) -> Pixels:
    return np.asarray(one * (1 - weight) + two * weight, dtype=np.float32)


def _sky(rng: np.random.Generator) -> Pixels:
    top, bottom = _shade(rng, (70, 110, 190), (215, 220, 228)), _shade(rng, (150, 180, 220), (245, 245, 245))
    veil = 0.7 * _clouds(rng, 4) * _clouds(rng, 9)
    return _mixed(_mixed(top, bottom, _ramp()), 245, veil)


def _foliage(rng: np.random.Generator) -> Pixels:
    dark, light = _shade(rng, (12, 22, 10), (45, 50, 25)), _shade(rng, (70, 110, 40), (190, 160, 70))
    leaves = (_clouds(rng, 5) + _clouds(rng, 14) + 1.4 * _clouds(rng, 40)) / 3.4
    gap = np.clip(5 * (_clouds(rng, 16) - 0.8), 0, 1)
    return _mixed(_mixed(dark, light, np.clip(2 * leaves - 0.5, 0, 1)), 225, gap)


def _building(rng: np.random.Generator) -> Pixels:
    wall, glass = _shade(rng, (110, 70, 55), (225, 215, 195)), _shade(rng, (25, 30, 40), (120, 140, 165))
    pitch, offset = rng.integers(14, 34, 2), rng.integers(0, 14, 2)
    y, x = np.indices((BACKDROP_SIDE, BACKDROP_SIDE))
    inside = ((y + offset[0]) % pitch[0] > 0.45 * pitch[0]) & ((x + offset[1]) % pitch[1] > 0.5 * pitch[1])
    surface = _mixed(wall, glass, inside[..., None].astype(np.float32))
    return surface * (0.85 + 0.3 * _clouds(rng, 30))


def _road(rng: np.random.Generator) -> Pixels:
    asphalt = _shade(rng, (60, 60, 64), (150, 148, 145)) * (0.85 + 0.3 * _clouds(rng, 40))
    verge = 0.4 * _clouds(rng, 6) + rng.uniform(0.35, 0.75)
    ground = np.where(_ramp() > verge + 0.12, asphalt, _foliage(rng))
    return np.where(_ramp() > verge - 0.25, ground, _sky(rng)).astype(np.float32)


def _haze(rng: np.random.Generator) -> Pixels:
    one, two = _shade(rng, (40, 40, 45), (200, 195, 190)), _shade(rng, (70, 65, 55), (235, 230, 225))
    return _mixed(one, two, _clouds(rng, 5))


BACKDROPS: Mapping[str, Callable[[np.random.Generator], Pixels]] = MappingProxyType(
    {"sky": _sky, "foliage": _foliage, "building": _building, "road": _road, "haze": _haze}
)
"""Drawers of what may lie behind a subject."""


def _clutter(rng: np.random.Generator) -> tuple[list[Mark], dict[str, Colour]]:
    """Poles, wires and boards that stand about: marks and the palette they need."""
    marks: list[Mark] = []
    palette: dict[str, Colour] = {}
    for number in range(int(rng.integers(0, 5))):
        ink = f"clutter{number}"
        palette[ink] = any_colour(rng, saturation=(0, 0.7))
        x, y, reach = rng.uniform(-1, 1), rng.uniform(-1, 1), rng.uniform(0.1, 0.4)
        if rng.random() < 0.5:
            marks.append(stroke(ink, rng.uniform(0.02, 0.09), x, -1.1, x + rng.uniform(-0.3, 0.3), 1.1))
        else:
            marks.append(box(ink, x - reach, y - reach * rng.uniform(0.3, 1), x + reach, y + reach))
    return marks, palette


def any_colour(
    rng: np.random.Generator, hue: Range = (0, 360), saturation: Range = (0.45, 1), value: Range = (0.2, 1)
) -> Colour:
    """Draw a colour: hue in degrees (it may pass 360), saturation and value in [0, 1]."""
    h, s, v = rng.uniform(*hue) % 360 / 360, rng.uniform(*saturation), rng.uniform(*value)
    red, green, blue = hsv_to_rgb(h, s, v)
    return round(255 * red), round(255 * green), round(255 * blue)


def draw_backdrop(rng: np.random.Generator, kinds: Sequence[str] = tuple(BACKDROPS)) -> Image.Image:
    """Draw one of the kinds of backdrop (keys of BACKDROPS) with clutter before it: RGB, BACKDROP_SIDE a side."""
    pixels = BACKDROPS[kinds[int(rng.integers(len(kinds)))]](rng)
    image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    clutter = rasterise(*_clutter(rng), side=BACKDROP_SIDE, oversample=2)
    image.paste(clutter, mask=clutter)
    return image.filter(ImageFilter.GaussianBlur(rng.uniform(0.2, 1.3)))


# ----------------------------------------------------------------------------------------------- light and camera


@dataclass(frozen=True)
class Light:
    """Gain of each channel, haze added (0 to 1), a shadow edge's angle and offset, and the share of light it leaves."""

    gain: tuple[float, float, float]
    haze: float
    angle: float
    offset: float
    shadow: float


@dataclass(frozen=True)
class Pose:
    """How a subject stands: share of the side it takes, turn (degrees), shear, tilts to the side and back, shift."""

    share: float
    turn: float
    shear: float
    yaw: float
    pitch: float
    x: float
    y: float


@dataclass(frozen=True)
class SceneLimits:
    """How far a data set's settings may go: gain and share as ranges, the others as largest absolute values."""

    gain: Range
    share: Range
    turn: float
    slant: float
    shift: float
    blur: Range
    grain: Range


@dataclass(frozen=True)
class SceneSetting:
    """What photographs of one subject share: backdrop, light, pose, blur (share of the side) and grain (of 255)."""

    backdrop: Image.Image
    light: Light
    pose: Pose
    blur: float
    grain: float


def draw_setting(
    rng: np.random.Generator, limits: SceneLimits, backdrops: Sequence[str] = tuple(BACKDROPS)
) -> SceneSetting:
    """Draw the place, light, pose and camera under which a subject is looked at, within a data set's limits."""
    slants = rng.uniform(-limits.slant, limits.slant, 3)
    shift = rng.uniform(-limits.shift, limits.shift, 2)
    pose = Pose(rng.uniform(*limits.share), rng.uniform(-limits.turn, limits.turn), *slants, *shift)
    return SceneSetting(
        draw_backdrop(rng, backdrops),
        _draw_light(rng, limits.gain),
        pose,
        rng.uniform(*limits.blur),
        rng.uniform(*limits.grain),
    )


def _draw_light(rng: np.random.Generator, limits: Range) -> Light:
    gain = np.exp(rng.uniform(log(limits[0]), log(limits[1]))) * (1 + rng.uniform(-0.1, 0.1, 3))
    shadow = rng.uniform(0.45, 0.8) if rng.random() < 0.3 else 1.0
    haze = float(np.square(rng.uniform(0, 0.5)))
    return Light(tuple(gain.tolist()), haze, rng.uniform(0, 360), rng.uniform(-0.35, 0.35), shadow)


def varied(setting: SceneSetting, rng: np.random.Generator) -> SceneSetting:
    """Draw the next frame's setting: the same place and light, the camera a little further on."""
    light, pose = setting.light, setting.pose
    gain = np.array(light.gain) * rng.uniform(0.9, 1.1)
    turn, slants, shift = rng.normal(0, 1.5), rng.normal(0, 0.03, 3), rng.normal(0, 0.012, 2)
    return replace(
        setting,
        light=replace(light, gain=tuple(gain.tolist()), offset=light.offset + rng.normal(0, 0.05)),
        pose=Pose(
            pose.share * rng.uniform(0.97, 1.03),
            pose.turn + turn,
            *(np.array([pose.shear, pose.yaw, pose.pitch]) + slants).tolist(),
            *(np.array([pose.x, pose.y]) + shift).tolist(),
        ),
        blur=setting.blur * rng.uniform(0.6, 1.5),
    )


def photograph(
    subject: Image.Image,
    setting: SceneSetting,
    rng: np.random.Generator,
    size: tuple[int, int],
    pole: Colour | None = None,
) -> tuple[Image.Image, Box]:
    """Take one picture of a subject.

    The subject is RGBA; the picture is RGB of the given (width, height). The box is the subject's in the picture, as
    x1, y1, x2, y2, the last pixels included. A pole of the given colour holds the subject from behind.
    """
    large = (size[0] * OVERSAMPLE, size[1] * OVERSAMPLE)
    canvas = _look(setting.backdrop, rng, large)
    corners = _corners(setting.pose, large)
    if pole is not None:
        _raise_pole(canvas, corners, pole)
    placed = subject.transform(
        large, Image.Transform.PERSPECTIVE, _homography(corners, subject.width), Image.Resampling.BILINEAR
    )
    canvas.paste(placed, mask=placed)
    image = _finished(canvas.reduce(OVERSAMPLE), setting, rng)
    return image, _extent(placed.getchannel("A").reduce(OVERSAMPLE))


def portray(
    marks: Iterable[Mark], palette: Palette, setting: SceneSetting, rng: np.random.Generator, size: tuple[int, int]
) -> Image.Image:
    """Take one picture of a scene that fills it: marks, back to front, in the picture's own square.

    The setting's pose is not used: the marks lie where they shall be seen. The picture is RGB of the given (width,
    height), to which the square is stretched. Raises KeyError if a mark's ink is not in the palette.
    """
    side = OVERSAMPLE * max(size)
    canvas = _look(setting.backdrop, rng, (side, side))
    drawn = rasterise(marks, palette, side, oversample=1)
    canvas.paste(drawn, mask=drawn)
    return _finished(canvas.resize(size, Image.Resampling.BOX), setting, rng)


def _finished(image: Image.Image, setting: SceneSetting, rng: np.random.Generator) -> Image.Image:
    return _developed(_blurred(image, setting.blur * image.width, rng), setting, rng)


def _look(backdrop: Image.Image, rng: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    """Cut the backdrop about its middle, a little elsewhere each time, and bring it to size."""
    reach = BACKDROP_SIDE * rng.uniform(0.34, 0.4)
    x, y = BACKDROP_SIDE / 2 + rng.uniform(-0.04, 0.04, 2) * BACKDROP_SIDE
    return backdrop.resize(size, Image.Resampling.BILINEAR, box=(x - reach, y - reach, x + reach, y + reach))


def _corners(pose: Pose, size: tuple[int, int]) -> NDArray[np.float64]:
    """Where the subject's corners (top left, top right, bottom right, bottom left) come to lie, in pixels: (4, 2)."""
    square = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)], dtype=np.float64)
    c, s = cos(radians(pose.turn)), sin(radians(pose.turn))
    turned = square @ np.array([[1, 0], [pose.shear, 1]]) @ np.array([[c, s], [-s, c]])
    nearness = 1 + pose.yaw * square[:, :1] + pose.pitch * square[:, 1:]
    narrowing = np.array([cos(3 * pose.yaw), cos(3 * pose.pitch)])
    placed = turned * nearness * narrowing * pose.share + 2 * np.array([pose.x, pose.y])
    inside = placed * min(1.0, REACH / np.abs(placed).max())
    return np.asarray((inside + 1) / 2 * np.array(size), dtype=np.float64)


def _homography(corners: NDArray[np.float64], side: int) -> tuple[float, ...]:
    """Solve for the coefficients that take a picture's pixel to the subject's, in the order of Pillow's PERSPECTIVE."""
    targets = np.array([(0, 0), (side, 0), (side, side), (0, side)], dtype=np.float64)
    rows, values = [], []
    for (x, y), (u, v) in zip(corners, targets, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    return tuple(np.linalg.solve(np.array(rows), np.array(values)).tolist())


def _raise_pole(canvas: Image.Image, corners: NDArray[np.float64], colour: Colour) -> None:
    (x, y), width = corners.mean(axis=0), 0.06 * canvas.width
    foot = x + 0.5 * (corners[2:, 0].mean() - corners[:2, 0].mean())
    ImageDraw.Draw(canvas).line([(x, y), (foot, canvas.height)], fill=colour, width=round(width))


def _extent(alpha: Image.Image) -> Box:
    covered = alpha.point([0] * 96 + [255] * 160).getbbox() or (0, 0, *alpha.size)
    return covered[0], covered[1], covered[2] - 1, covered[3] - 1


def _blurred(image: Image.Image, radius: float, rng: np.random.Generator) -> Image.Image:
    """Blur by a lens out of focus and, now and then, by a moving camera."""
    soft = image.filter(ImageFilter.GaussianBlur(radius))
    if rng.random() > 0.25:
        return soft
    angle, steps = rng.uniform(0, np.pi), np.linspace(-2, 2, 9)
    kernel = np.zeros((5, 5))
    np.add.at(kernel, (np.rint(2 + steps * sin(angle)).astype(int), np.rint(2 + steps * cos(angle)).astype(int)), 1)
    return soft.filter(ImageFilter.Kernel((5, 5), kernel.ravel().tolist()))


def _developed(image: Image.Image, setting: SceneSetting, rng: np.random.Generator) -> Image.Image:
    """Apply light, haze, shadow and the sensor's noise."""
    light = setting.light
    pixels = np.asarray(image, dtype=np.float32) * np.array(light.gain, dtype=np.float32)
    pixels = pixels * (1 - light.haze) + 255 * light.haze * min(1.0, max(light.gain))
    if light.shadow < 1:
        pixels *= _shadow(light, image.size)[..., None]
    pixels += np.float32(setting.grain) * rng.standard_normal(pixels.shape, dtype=np.float32)
    return Image.fromarray(np.clip(pixels + 0.5, 0, 255).astype(np.uint8))


def _shadow(light: Light, size: tuple[int, int]) -> Pixels:
    """Compute the light left at each pixel, (height, width): a straight soft edge between light and shadow."""
    x, y = np.linspace(-0.5, 0.5, size[0], dtype=np.float32), np.linspace(-0.5, 0.5, size[1], dtype=np.float32)
    depth = x * cos(radians(light.angle)) + y[:, None] * sin(radians(light.angle)) - light.offset
    return (light.shadow + (1 - light.shadow) * np.clip(0.5 + 12 * depth, 0, 1)).astype(np.float32)
