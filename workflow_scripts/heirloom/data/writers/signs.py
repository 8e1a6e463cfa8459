"""Drawn German traffic signs, written in the layout of the German Traffic Sign Recognition Benchmark (GTSRB).

Class ids, meanings, folder and file names, annotation columns and line ends are those of the published set (Stallkamp
et al. 2012); every pixel is drawn here. A track is one physical sign at one place, seen from ever nearer, and test
images show signs of their own, so that a group is a group as in the published set.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from heirloom.data.graphics.scene import (
    Box,
    Colour,
    Mark,
    Palette,
    SceneLimits,
    SceneSetting,
    arc,
    arrow,
    box,
    check_counts,
    curve,
    draw_setting,
    moved,
    oval,
    photograph,
    polygon,
    rasterise,
    stream,
    stroke,
    text,
    varied,
)

PLATE_SIDE = 160
HEADER = "Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassId"
_TRAINING, _TEST, _ORDER = range(3)
_LIMITS = SceneLimits(
    gain=(0.4, 1.35), share=(0.74, 0.82), turn=6, slant=0.06, shift=0.012, blur=(0.002, 0.016), grain=(1, 6)
)

_PALETTE: Palette = {
    "white": (240, 240, 236),
    "red": (196, 26, 34),
    "black": (24, 24, 26),
    "blue": (18, 82, 168),
    "yellow": (246, 190, 28),
    "green": (22, 140, 74),
    "grey": (120, 122, 124),
}


# ------------------------------------------------------------------------------------------------- plates and marks


def _triangle(ink: str, reach: float) -> tuple[Mark, ...]:
    """Fill a triangle that stands on its base, corners rounded, `reach` from the centre to a corner."""
    corners = (0.0, 0.16 - reach, 0.866 * reach, 0.16 + 0.5 * reach, -0.866 * reach, 0.16 + 0.5 * reach)
    return polygon(ink, *corners), stroke(ink, 0.14, *corners, *corners[:4])


def _octagon(ink: str, reach: float) -> Mark:
    near, far = 0.414 * reach, reach
    return polygon(ink, -near, -far, near, -far, far, -near, far, near, near, far, -near, far, -far, near, -far, -near)


def _diamond(ink: str, reach: float) -> tuple[Mark, ...]:
    corners = (0, -reach, reach, 0, 0, reach, -reach, 0)
    return polygon(ink, *corners), stroke(ink, 0.12, *corners, *corners[:4])


_WARNING = (*_triangle("white", 1.05), *_triangle("red", 1.01), *_triangle("white", 0.68))

_PLATES: Mapping[str, tuple[Mark, ...]] = {
    "prohibition": (oval("white", 0, 0, 0.99), oval("red", 0, 0, 0.95), oval("white", 0, 0, 0.7)),
    "no_entry": (oval("white", 0, 0, 0.99), oval("red", 0, 0, 0.95)),
    "command": (oval("white", 0, 0, 0.99), oval("blue", 0, 0, 0.94)),
    "end": (oval("black", 0, 0, 0.99), oval("white", 0, 0, 0.95)),
    "warning": _WARNING,
    "yield": moved(_WARNING, turn=180),
    "priority": (*_diamond("black", 0.92), *_diamond("white", 0.88), *_diamond("yellow", 0.55)),
    "stop": (_octagon("white", 0.99), _octagon("red", 0.93)),
}


def _speed(limit: str, ink: str = "black") -> tuple[Mark, ...]:
    three = len(limit) == 3
    return text(ink, limit, 1.24 if three else 1.1, 0.66, 0.13 if three else 0.15)


def _car(ink: str) -> tuple[Mark, ...]:
    """Draw a car from behind, its wheels' lower edge at y = 0.3."""
    return (
        polygon(ink, -0.2, -0.02, -0.15, -0.22, 0.15, -0.22, 0.2, -0.02),
        box(ink, -0.28, -0.04, 0.28, 0.2),
        box(ink, -0.26, 0.18, -0.13, 0.3),
        box(ink, 0.13, 0.18, 0.26, 0.3),
        box("white", -0.12, -0.15, 0.12, -0.05),
    )


def _lorry(ink: str) -> tuple[Mark, ...]:
    """Draw a lorry from its left side, driving to the left."""
    return (
        box(ink, -0.22, -0.34, 0.5, 0.16),
        polygon(ink, -0.28, -0.2, -0.46, -0.2, -0.56, 0, -0.56, 0.2, -0.28, 0.2),
        box(ink, -0.5, 0.12, 0.5, 0.22),
        *(mark for x in (-0.38, 0.1, 0.37) for mark in (oval("white", x, 0.26, 0.15), oval(ink, x, 0.26, 0.12))),
    )


def _overtaking(left: Iterable[Mark], right: Iterable[Mark]) -> tuple[Mark, ...]:
    return (*moved(left, -0.32, 0, 0.95), *moved(right, 0.34, 0, 0.95))


def _walker(ink: str) -> tuple[Mark, ...]:
    """Draw a person walking to the left, from y = -0.5 to 0.5."""
    return (
        oval(ink, 0.0, -0.42, 0.11),
        stroke(ink, 0.2, 0.02, -0.2, 0.03, 0.05),
        stroke(ink, 0.1, 0.02, 0.05, -0.12, 0.26, -0.2, 0.5),
        stroke(ink, 0.1, 0.03, 0.05, 0.14, 0.26, 0.24, 0.48),
        stroke(ink, 0.08, 0, -0.24, -0.2, 0.0),
        stroke(ink, 0.08, 0.03, -0.24, 0.22, -0.04),
    )


def _bicycle(ink: str) -> tuple[Mark, ...]:
    return (
        *(arc(ink, 0.07, x, 0.14, 0.21) for x in (-0.32, 0.32)),
        stroke(ink, 0.06, -0.32, 0.14, -0.16, -0.14, 0.18, -0.14, 0.0, 0.14, -0.32, 0.14),
        stroke(ink, 0.06, 0.0, 0.14, -0.2, -0.24),
        stroke(ink, 0.06, 0.32, 0.14, 0.16, -0.26, 0.28, -0.3),
        stroke(ink, 0.07, -0.28, -0.25, -0.12, -0.25),
    )


def _deer(ink: str) -> tuple[Mark, ...]:
    """Draw a deer leaping to the left."""
    return (
        polygon(ink, -0.26, -0.14, -0.1, -0.12, 0.3, 0.06, 0.38, 0.22, 0.24, 0.24, -0.14, 0.14, -0.28, 0.04),
        stroke(ink, 0.13, -0.2, -0.04, -0.32, -0.3),
        polygon(ink, -0.26, -0.42, -0.5, -0.28, -0.46, -0.22, -0.26, -0.26),
        stroke(ink, 0.05, -0.28, -0.38, -0.14, -0.52, -0.16, -0.66),
        stroke(ink, 0.05, -0.28, -0.38, -0.32, -0.62),
        stroke(ink, 0.08, -0.18, 0.08, -0.44, 0.12, -0.5, 0.3),
        stroke(ink, 0.08, -0.1, 0.1, -0.28, 0.26, -0.24, 0.42),
        stroke(ink, 0.08, 0.3, 0.2, 0.42, 0.34, 0.56, 0.42),
        stroke(ink, 0.08, 0.22, 0.2, 0.26, 0.38, 0.42, 0.48),
    )


def _snowflake(ink: str) -> tuple[Mark, ...]:
    arm = (stroke(ink, 0.08, 0, 0, 0, -0.46), stroke(ink, 0.07, -0.15, -0.42, 0, -0.26, 0.15, -0.42))
    return tuple(mark for turn in range(0, 360, 60) for mark in moved(arm, turn=turn))


def _digger(ink: str) -> tuple[Mark, ...]:
    """Draw a person bending to the right over a shovel and a heap."""
    return (
        oval(ink, -0.04, -0.42, 0.11),
        stroke(ink, 0.18, -0.1, -0.22, -0.22, 0.02),
        stroke(ink, 0.1, -0.22, 0.04, -0.1, 0.26, -0.14, 0.46),
        stroke(ink, 0.1, -0.24, 0.04, -0.36, 0.26, -0.46, 0.46),
        stroke(ink, 0.08, -0.08, -0.22, 0.12, -0.04),
        stroke(ink, 0.05, -0.2, -0.12, 0.28, 0.26),
        polygon(ink, 0.06, 0.5, 0.2, 0.3, 0.34, 0.18, 0.46, 0.3, 0.58, 0.5),
    )


def _lights() -> tuple[Mark, ...]:
    lamps = (("red", -0.3), ("yellow", 0.0), ("green", 0.3))
    return (box("black", -0.2, -0.5, 0.2, 0.5), *(oval(ink, 0, y, 0.135) for ink, y in lamps))


def _skid(ink: str) -> tuple[Mark, ...]:
    tracks = (
        stroke(ink, 0.06, 0, 0, -0.1, 0.1, 0.06, 0.2, -0.06, 0.32),
        stroke(ink, 0.06, 0.3, 0.06, 0.2, 0.16, 0.34, 0.26, 0.22, 0.36),
    )
    return (*moved(_car(ink), 0.02, -0.16, 0.95, turn=18), *moved(tracks, -0.16, 0.18))


def _narrowing(ink: str) -> tuple[Mark, ...]:
    return (
        stroke(ink, 0.12, -0.22, 0.46, -0.22, -0.44),
        stroke(ink, 0.12, 0.3, 0.46, 0.3, 0.22, 0.08, -0.04, 0.08, -0.44),
    )


def _bumps(ink: str) -> tuple[Mark, ...]:
    humps = (Mark(ink, curve(x, 0.26, 0.26, 0.34, 180, 360)) for x in (-0.28, 0.28))
    return (*humps, box(ink, -0.62, 0.24, 0.62, 0.38))


def _crossing(ink: str) -> tuple[Mark, ...]:
    return (
        polygon(ink, -0.1, 0.5, -0.1, -0.16, -0.22, -0.16, 0, -0.52, 0.22, -0.16, 0.1, -0.16, 0.1, 0.5),
        stroke(ink, 0.11, -0.36, 0.16, 0.36, 0.16),
    )


def _exclamation(ink: str) -> tuple[Mark, ...]:
    return polygon(ink, -0.13, -0.52, 0.13, -0.52, 0.07, 0.18, -0.07, 0.18), oval(ink, 0, 0.38, 0.12)


def _roundabout(ink: str) -> tuple[Mark, ...]:
    return tuple(
        mark
        for turn in (0, 120, 240)
        for mark in (arc(ink, 0.17, 0, 0, 0.52, turn - 20, turn + 55), *moved(_tip(ink), turn=turn - 52))
    )


def _tip(ink: str) -> tuple[Mark, ...]:
    """Fill an arrow's head on a circle of radius 0.52, pointing anticlockwise at the angle 0."""
    return (polygon(ink, 0.28, 0.06, 0.78, 0.06, 0.52, -0.28),)


def _stripes() -> tuple[Mark, ...]:
    """Draw the strokes that cancel a restriction, from lower left to upper right."""
    return tuple(stroke("black", 0.055, -0.6 + s, 0.6 + s, 0.6 + s, -0.6 + s) for s in np.linspace(-0.15, 0.15, 4))


_BEND = arrow("black", 0.16, 0.16, 0.48, 0.16, 0.04, -0.06, -0.18, -0.4, -0.3)
_DOUBLE_BEND = arrow("black", 0.14, 0.14, 0.5, 0.14, 0.24, -0.14, 0.06, 0.12, -0.16, -0.06, -0.54)
_TURN = arrow("white", 0.2, -0.34, 0.6, -0.34, 0.02, -0.22, -0.16, -0.04, -0.22, 0.62, -0.22)
_AHEAD = arrow("white", 0.22, 0, 0.66, 0, -0.7)
_FORK = (*arrow("white", 0.2, -0.16, 0.66, -0.16, -0.7), *arrow("white", 0.2, -0.16, 0.16, 0.62, 0.16))
_KEEP = arrow("white", 0.24, -0.46, -0.46, 0.54, 0.54)
_CHILDREN = (*moved(_walker("black"), -0.24, 0.1, 0.8), *moved(_walker("black"), 0.24, -0.02, 1.0))


@dataclass(frozen=True)
class Sign:
    """What a class means, the plate it is painted on, and what is painted."""

    meaning: str
    plate: str
    glyph: tuple[Mark, ...] = ()


def _warning(meaning: str, glyph: Iterable[Mark], flip: bool = False) -> Sign:
    return Sign(meaning, "warning", moved(moved(glyph, flip=flip), 0, 0.2, 0.82))


def _limit(limit: str) -> Sign:
    return Sign(f"speed limit {limit} km/h", "prohibition", _speed(limit))


SIGNS: tuple[Sign, ...] = (
    _limit("20"),
    _limit("30"),
    _limit("50"),
    _limit("60"),
    _limit("70"),
    _limit("80"),
    Sign("end of speed limit 80 km/h", "end", (*_speed("80", "grey"), *_stripes())),
    _limit("100"),
    _limit("120"),
    Sign("no passing", "prohibition", _overtaking(_car("red"), _car("black"))),
    Sign("no passing for lorries", "prohibition", _overtaking(moved(_lorry("red"), scale=0.75), _car("black"))),
    _warning("right of way at the next crossing", _crossing("black")),
    Sign("priority road", "priority"),
    Sign("yield", "yield"),
    Sign("stop", "stop", text("white", "STOP", 1.66, 0.6, 0.11)),
    Sign("no vehicles", "prohibition"),
    Sign("no lorries", "prohibition", _lorry("black")),
    Sign("no entry", "no_entry", (box("white", -0.72, -0.19, 0.72, 0.19),)),
    _warning("danger", _exclamation("black")),
    _warning("bend to the left", _BEND),
    _warning("bend to the right", _BEND, flip=True),
    _warning("double bend", _DOUBLE_BEND),
    _warning("bumpy road", _bumps("black")),
    _warning("slippery road", _skid("black")),
    _warning("road narrows on the right", _narrowing("black")),
    _warning("road works", _digger("black")),
    _warning("traffic lights", _lights()),
    _warning("pedestrians", _walker("black")),
    _warning("children", _CHILDREN),
    _warning("bicycles", _bicycle("black")),
    _warning("ice and snow", _snowflake("black")),
    _warning("wild animals", _deer("black")),
    Sign("end of all restrictions", "end", _stripes()),
    Sign("turn right ahead", "command", _TURN),
    Sign("turn left ahead", "command", moved(_TURN, flip=True)),
    Sign("ahead only", "command", _AHEAD),
    Sign("ahead or right", "command", _FORK),
    Sign("ahead or left", "command", moved(_FORK, flip=True)),
    Sign("keep right", "command", _KEEP),
    Sign("keep left", "command", moved(_KEEP, flip=True)),
    Sign("roundabout", "command", _roundabout("white")),
    Sign("end of no passing", "end", (*_overtaking(_car("grey"), _car("grey")), *_stripes())),
    Sign(
        "end of no passing for lorries",
        "end",
        (*_overtaking(moved(_lorry("grey"), scale=0.75), _car("grey")), *_stripes()),
    ),
)
"""The published set's 43 classes in its own order."""

_SPREAD = (
    *(0, 14, 1, 13, 38, 12, 2, 17, 11, 33, 5, 25, 40, 4, 18, 9, 35, 7, 41, 3, 22),
    *(8, 34, 15, 39, 27, 10, 30, 36, 26, 16, 19, 6, 20, 32, 23, 37, 24, 28, 29, 31, 21, 42),
)


# -------------------------------------------------------------------------------------------------------- pictures


def select_classes(classes: int) -> tuple[int, ...]:
    """Choose classes that are few and yet spread: ascending ids, class 0 always among them.

    Shapes and speed limits, which are hard to tell apart, come in by turns: of 12 classes four are speed limits, two
    warnings, two commands, and one each yield, stop, no entry and priority road. Each selection holds all smaller ones.
    Raises ValueError if `classes` is not from 1 to 43.
    """
    if not 1 <= classes <= len(SIGNS):
        raise ValueError(f"classes is {classes}, but traffic signs have from 1 to {len(SIGNS)} classes")
    return tuple(sorted(_SPREAD[:classes]))


@dataclass(frozen=True)
class Track:
    """One physical sign at one place: its weathered plate (RGBA), its setting, the colour of its pole if that shows."""

    plate: Image.Image
    setting: SceneSetting
    pole: Colour | None


def draw_plate(class_id: int) -> Image.Image:
    """Draw a new sign of a class: RGBA, PLATE_SIDE a side. Raises IndexError for an id above 42."""
    sign = SIGNS[class_id]
    return rasterise((*_PLATES[sign.plate], *sign.glyph), _PALETTE, PLATE_SIDE)


def start_track(plate: Image.Image, rng: np.random.Generator) -> Track:
    """Put up one sign: weather its plate, choose its place, light and pole."""
    tone = int(rng.integers(60, 170))
    pole = (tone, tone, tone + 4) if rng.random() < 0.6 else None
    return Track(_weathered(plate, rng), draw_setting(rng, _LIMITS), pole)


def _weathered(plate: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Fade a plate's colours and, at times, cover a little of it with a sticker, dirt or a twig."""
    alpha = plate.getchannel("A")
    face = plate.convert("RGB")
    face = Image.blend(face, face.convert("L").convert("RGB"), rng.uniform(0, 0.35))
    if rng.random() < 0.3:
        shade = tuple(int(value) for value in rng.integers(20, 200, 3))
        x, y, size = rng.uniform(-0.8, 0.8), rng.uniform(-0.8, 0.8), rng.uniform(0.06, 0.16)
        cover = oval("cover", x, y, size) if rng.random() < 0.5 else stroke("cover", 0.4 * size, x, y, 3 * x, y - 1)
        patch = rasterise([cover], {"cover": (shade[0], shade[1], shade[2])}, plate.width, oversample=1)
        face.paste(patch, mask=patch)
    face.putalpha(alpha)
    return face


def draw_frame(track: Track, rng: np.random.Generator, size: tuple[int, int]) -> tuple[Image.Image, Box]:
    """Photograph a track's sign once: RGB of (width, height) and the sign's box, x1, y1, x2, y2, all inclusive."""
    return photograph(track.plate, varied(track.setting, rng), rng, size, track.pole)


def draw_sign(class_id: int, rng: np.random.Generator, side: int) -> tuple[Image.Image, Box]:
    """Draw one picture of a sign with about 10 % of context on each side, as in GTSRB.

    Returns an RGB image, side x side, and the sign's box in it (x1, y1, x2, y2, the last pixels included, as GTSRB's
    Roi columns). Raises IndexError for an id above 42.
    """
    return draw_frame(start_track(draw_plate(class_id), rng), rng, (side, side))


# ----------------------------------------------------------------------------------------------------------- files


def write(
    root: Path,
    *,
    seed: int,
    classes: int = 43,
    tracks: int = 4,
    frames: int = 15,
    test_images: int = 20,
    side: int = 48,
) -> None:
    """Write GTSRB's own layout under root/GTSRB: training tracks by class, test images in shuffled order, annotations.

    `tracks`, `frames` of each track and `test_images` count for each class; images measure about 0.8 to 1.3 times
    `side` pixels. The same arguments give the same bytes; what is drawn for a class, track and frame depends on the
    seed alone, not on how many others there are. Raises ValueError for a count or side out of range, FileExistsError
    if root/GTSRB exists.
    """
    chosen = select_classes(classes)
    check_counts(tracks=(tracks, 1), frames=(frames, 1), test_images=(test_images, 1), side=(side, 16))
    folder = root / "GTSRB"
    folder.mkdir(parents=True)
    plates = {class_id: draw_plate(class_id) for class_id in chosen}
    for class_id, plate in plates.items():
        _write_class(
            folder / "Final_Training" / "Images" / f"{class_id:05d}", plate, class_id, seed, (tracks, frames), side
        )
    _write_test(folder, plates, seed, test_images, side)


def _write_class(
    folder: Path, plate: Image.Image, class_id: int, seed: int, counts: tuple[int, int], side: int
) -> None:
    """Write one class's tracks, each growing from frame to frame as a sign does that a car drives towards."""
    folder.mkdir(parents=True)
    rows = []
    for number in range(counts[0]):
        track = start_track(plate, stream(seed, _TRAINING, class_id, number))
        for frame, nearness in enumerate(np.linspace(0.84, 1.26, counts[1])):
            rng = stream(seed, _TRAINING, class_id, number, frame)
            rows.append(_save(folder / f"{number:05d}_{frame:05d}.ppm", track, rng, side * nearness, class_id))
    _write_rows(folder / f"GT-{class_id:05d}.csv", rows)


def _write_test(folder: Path, plates: Mapping[int, Image.Image], seed: int, count: int, side: int) -> None:
    images = folder / "Final_Test" / "Images"
    images.mkdir(parents=True)
    places = [(class_id, number) for class_id in plates for number in range(count)]
    rows = []
    for position, place in enumerate(stream(seed, _ORDER).permutation(len(places))):
        class_id, number = places[place]
        rng = stream(seed, _TEST, class_id, number)
        track = start_track(plates[class_id], rng)
        rows.append(_save(images / f"{position:05d}.ppm", track, rng, side * rng.uniform(0.84, 1.26), class_id))
    _write_rows(folder / "GT-final_test.csv", rows)


def _save(path: Path, track: Track, rng: np.random.Generator, side: float, class_id: int) -> str:
    """Photograph a track, write the picture and return its row of annotations."""
    width, height = (round(side * rng.uniform(0.97, 1.03)) for _ in range(2))
    image, roi = draw_frame(track, rng, (width, height))
    image.save(path, format="PPM")
    return ";".join(map(str, (path.name, width, height, *roi, class_id)))


def _write_rows(path: Path, rows: Iterable[str]) -> None:
    """Write annotations with the published files' own line ends."""
    path.write_bytes("".join(f"{row}\r\n" for row in (HEADER, *rows)).encode("ascii"))
