"""Drawn everyday objects, written in the layout of Tiny-ImageNet-200, for teachers that see other things than signs.

Each class is a shape that varies from picture to picture in proportions, hand, colour, pose, place and light. Edges,
rings, triangles, arrows and strokes of letters are among them, so that features learnt here are of use for signs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import cos, sin
from pathlib import Path
from typing import TypeAlias

import numpy as np
from PIL import Image

from heirloom.data.graphics.files import check_classes, save_jpeg, write_lines
from heirloom.data.graphics.scene import (
    Box,
    Colour,
    Mark,
    Palette,
    Range,
    SceneLimits,
    any_colour,
    arc,
    arrow,
    bent,
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
)

Marks: TypeAlias = tuple[Mark, ...]
Maker: TypeAlias = Callable[[np.random.Generator], Marks]

SUBJECT_SIDE = 120
_TRAINING, _VALIDATION, _ORDER = range(3)
_LIMITS = SceneLimits(
    gain=(0.45, 1.3), share=(0.75, 0.95), turn=18, slant=0.12, shift=0.06, blur=(0.002, 0.018), grain=(1, 7)
)


# Each function draws one object of its class in the inks a, b, c, light and dark.


def _house(rng: np.random.Generator) -> Marks:
    eaves, width, door = rng.uniform(-0.3, 0.1), rng.uniform(0.5, 0.8), rng.uniform(-0.35, 0.1)
    return (
        box("dark", 0.25, -0.85, 0.42, eaves),
        box("a", -width, eaves, width, 0.9),
        polygon("b", -width - 0.18, eaves, 0, -0.9, width + 0.18, eaves),
        box("c", door, 0.35, door + 0.28, 0.9),
        box("light", 0.22, 0.3, 0.45, 0.55),
    )


def _tree(rng: np.random.Generator) -> Marks:
    places = [
        (x + rng.normal(0, 0.06), y + rng.normal(0, 0.06)) for x, y in ((-0.4, -0.15), (0.4, -0.1), (0, -0.5), (0, 0))
    ]
    crown = (oval("a", x, y, rng.uniform(0.35, 0.48)) for x, y in places)
    return (box("dark", -0.1, 0, 0.1, 0.95), *crown)


def _fir(rng: np.random.Generator) -> Marks:
    tiers = int(rng.integers(2, 5))
    tops = np.linspace(-0.95, 0.1, tiers)
    layers = (
        polygon("a", 0, top, 0.3 + 0.35 * (top + 1), top + 0.7, -0.3 - 0.35 * (top + 1), top + 0.7) for top in tops
    )
    return (box("dark", -0.09, 0.5, 0.09, 0.97), *layers)


def _car(rng: np.random.Generator) -> Marks:
    roof, nose = rng.uniform(-0.5, -0.35), rng.uniform(0.35, 0.6)
    wheels = (mark for x in (-0.52, 0.5) for mark in (oval("dark", x, 0.32, 0.22), oval("light", x, 0.32, 0.09)))
    return (
        polygon("a", -0.62, -0.05, -0.42, roof, 0.2, roof, nose, -0.05, 0.95, 0.05, 0.95, 0.32, -0.95, 0.32, -0.95, 0),
        polygon("light", -0.48, -0.05, -0.34, roof + 0.09, -0.1, roof + 0.09, -0.1, -0.05),
        polygon("light", -0.02, -0.05, -0.02, roof + 0.09, 0.16, roof + 0.09, nose - 0.12, -0.05),
        *wheels,
    )


def _fish(rng: np.random.Generator) -> Marks:
    height, tail = rng.uniform(0.3, 0.5), rng.uniform(0.3, 0.5)
    return (
        polygon("b", 0.4, 0, 0.95, -tail, 0.8, 0, 0.95, tail),
        polygon("b", -0.2, -height, 0.1, -height - 0.3, 0.3, -height * 0.6),
        oval("a", -0.15, 0, 0.72, height),
        arc("b", 0.05, -0.75, 0, 0.4, -45, 45),
        oval("light", -0.6, -0.1, 0.1),
        oval("dark", -0.62, -0.1, 0.05),
    )


def _cup(rng: np.random.Generator) -> Marks:
    foot, top, band = rng.uniform(0.3, 0.55), rng.uniform(-0.75, -0.4), rng.uniform(-0.1, 0.3)
    return (
        arc("a", 0.14, 0.55, 0.05, 0.32),
        polygon("a", -0.65, top, 0.55, top, foot, 0.8, -foot - 0.1, 0.8),
        box("b", -0.58, band, 0.48, band + 0.2),
        oval("dark", -0.05, top, 0.6, 0.13),
    )


def _star(rng: np.random.Generator) -> Marks:
    tips, waist = int(rng.integers(5, 7)), rng.uniform(0.35, 0.5)
    angles = np.arange(2 * tips) * np.pi / tips - np.pi / 2
    corners = [(r * cos(t), r * sin(t)) for t, r in zip(angles, [0.95, waist] * tips, strict=True)]
    return (Mark("a", tuple(corners)),)


def _key(rng: np.random.Generator) -> Marks:
    bow, teeth = rng.uniform(0.26, 0.36), int(rng.integers(2, 4))
    bits = (stroke("a", 0.12, x, 0, x, rng.uniform(0.22, 0.4)) for x in np.linspace(0.82, 0.45, teeth))
    return (arc("a", 0.17, -0.55, 0, bow), stroke("a", 0.15, -0.25, 0, 0.88, 0), *bits)


def _boat(rng: np.random.Generator) -> Marks:
    mast, width = rng.uniform(-0.15, 0.15), rng.uniform(0.7, 0.95)
    return (
        polygon("a", -width, 0.35, width, 0.35, 0.6 * width, 0.8, -0.6 * width, 0.8),
        stroke("dark", 0.06, mast, 0.35, mast, -0.92),
        polygon("light", mast + 0.06, -0.88, mast + 0.06, 0.25, 0.8, 0.25),
        polygon("b", mast - 0.06, -0.6, mast - 0.06, 0.25, -0.65, 0.25),
    )


def _mushroom(rng: np.random.Generator) -> Marks:
    brim, stalk = rng.uniform(-0.05, 0.2), rng.uniform(0.16, 0.28)
    spots = (
        oval("light", x + rng.normal(0, 0.04), brim - y, rng.uniform(0.07, 0.13))
        for x, y in ((-0.45, 0.25), (0, 0.5), (0.42, 0.2))
    )
    cap = Mark("a", curve(0, brim, 0.88, 0.85, 180, 360))
    return (polygon("light", -stalk, brim, stalk, brim, stalk + 0.1, 0.92, -stalk - 0.1, 0.92), cap, *spots)


def _flower(rng: np.random.Generator) -> Marks:
    petals, reach = int(rng.integers(5, 9)), rng.uniform(0.34, 0.42)
    angles = np.arange(petals) * 2 * np.pi / petals
    ring = (oval("a", reach * cos(t), reach * sin(t) - 0.3, 0.24) for t in angles)
    leaf = oval("b", 0.2, 0.7, 0.22, 0.1)
    return (stroke("b", 0.1, 0, -0.2, 0, 0.95), leaf, *ring, oval("c", 0, -0.3, 0.22))


def _umbrella(rng: np.random.Generator) -> Marks:
    rim = rng.uniform(-0.1, 0.1)
    handle = (stroke("dark", 0.07, 0, rim, 0, 0.75), arc("dark", 0.07, 0.14, 0.75, 0.14, 0, 180))
    return (*handle, Mark("a", curve(0, rim, 0.92, 0.85, 180, 360)), Mark("b", curve(0, rim, 0.24, 0.85, 180, 360)))


def _clock(rng: np.random.Generator) -> Marks:
    ticks = tuple(m for t in range(0, 360, 30) for m in moved((stroke("dark", 0.06, 0, -0.66, 0, -0.56),), turn=t))
    hands = ((0.1, 0.36), (0.07, 0.54))
    turned = (moved((stroke("dark", w, 0, 0, 0, -r),), turn=rng.uniform(0, 360)) for w, r in hands)
    return (oval("a", 0, 0, 0.92), oval("light", 0, 0, 0.74), *ticks, *(mark for hand in turned for mark in hand))


def _bottle(rng: np.random.Generator) -> Marks:
    width, neck = rng.uniform(0.28, 0.42), rng.uniform(-0.4, -0.1)
    return (
        polygon(
            "a",
            -0.13,
            -0.8,
            0.13,
            -0.8,
            0.13,
            neck,
            width,
            neck + 0.25,
            width,
            0.93,
            -width,
            0.93,
            -width,
            neck + 0.25,
            -0.13,
            neck,
        ),
        box("dark", -0.16, -0.95, 0.16, -0.78),
        box("light", -width, neck + 0.45, width, neck + 0.9),
    )


def _apple(rng: np.random.Generator) -> Marks:
    lobe = rng.uniform(0.2, 0.3)
    leaf = moved((oval("b", 0, 0, 0.26, 0.11),), 0.26, -0.72, turn=rng.uniform(-40, -10))
    body = (oval("a", -lobe, 0.15, 0.55, 0.66), oval("a", lobe, 0.15, 0.55, 0.66))
    return (*body, stroke("dark", 0.08, 0, -0.4, 0.06, -0.85), *leaf, oval("light", -0.42, -0.1, 0.1, 0.15))


def _butterfly(rng: np.random.Generator) -> Marks:
    upper, lower = rng.uniform(0.38, 0.5), rng.uniform(0.26, 0.36)
    wing = (oval("a", 0.46, -0.32, 0.46, upper), oval("b", 0.36, 0.42, 0.34, lower), oval("c", 0.5, -0.34, 0.17))
    feeler = (stroke("dark", 0.04, 0, -0.5, 0.2, -0.9),)
    body = oval("dark", 0, 0, 0.09, 0.6)
    return (*wing, *moved(wing, flip=True), *feeler, *moved(feeler, flip=True), body)


def _cat(rng: np.random.Generator) -> Marks:
    tip = rng.uniform(0.55, 0.75)
    half = (
        polygon("a", 0.05, -0.45, tip, -0.95, 0.72, 0),
        oval("light", 0.3, -0.02, 0.17),
        oval("dark", 0.3, -0.02, 0.07, 0.14),
    )
    whiskers = (stroke("light", 0.04, 0.2, 0.35, 0.85, 0.28), stroke("light", 0.04, 0.2, 0.42, 0.82, 0.52))
    side = (*half, *whiskers)
    return (
        oval("a", 0, 0.1, 0.75, 0.68),
        *side,
        *moved(side, flip=True),
        polygon("b", -0.12, 0.22, 0.12, 0.22, 0, 0.36),
    )


def _pointer(rng: np.random.Generator) -> Marks:
    marks = arrow("a", rng.uniform(0.18, 0.28), -0.85, 0, 0.9, 0, head=rng.uniform(2.7, 3.6))
    return moved(marks, turn=float(rng.uniform(0, 360)))


def _target(rng: np.random.Generator) -> Marks:
    rings = int(rng.integers(3, 6))
    return tuple(oval("ab"[n % 2], 0, 0, 0.92 * (rings - n) / rings) for n in range(rings))


def _hoop(rng: np.random.Generator) -> Marks:
    return (arc("a", rng.uniform(0.12, 0.3), 0, 0, 0.78),)


def _pennant(rng: np.random.Generator) -> Marks:
    corners = (0.0, -0.85, 0.85, 0.7, -0.85, 0.7)
    frame = stroke("a", rng.uniform(0.14, 0.28), *corners, *corners[:4])
    return moved((polygon("b", *corners), frame), turn=float(rng.choice([0, 90, 180, 270])))


def _kite(rng: np.random.Generator) -> Marks:
    waist = rng.uniform(-0.4, -0.05)
    tail = stroke("dark", 0.05, 0, 0.5, 0.15, 0.65, -0.1, 0.8, 0.1, 0.97)
    upper, lower = polygon("a", 0, -0.95, 0.65, waist, -0.65, waist), polygon("b", -0.65, waist, 0.65, waist, 0, 0.55)
    return (tail, upper, lower, stroke("dark", 0.05, 0, -0.95, 0, 0.55))


def _heart(rng: np.random.Generator) -> Marks:
    top = rng.uniform(-0.35, -0.2)
    lobes = (oval("a", x, top, 0.46) for x in (-0.42, 0.42))
    return (*lobes, polygon("a", -0.82, top + 0.22, 0, top - 0.1, 0.82, top + 0.22, 0, 0.9))


def _moon(rng: np.random.Generator) -> Marks:
    depth = rng.uniform(0.35, 0.6)
    edge = curve(0, 0, 0.9, 0.9, 90, 270)
    return moved((Mark("a", (*edge, *curve(0, 0, depth, 0.9, 270, 90))),), 0.3)


def _cloud(rng: np.random.Generator) -> Marks:
    puffs = (
        oval("light", x, rng.uniform(-0.15, 0.05) - y, rng.uniform(0.32, 0.42))
        for x, y in ((-0.45, 0), (0, 0.25), (0.45, 0))
    )
    drops = (stroke("a", 0.08, x, 0.5, x - 0.12, 0.85) for x in np.linspace(-0.5, 0.6, int(rng.integers(3, 6))))
    return (*puffs, stroke("light", 0.4, -0.55, 0.12, 0.55, 0.12), *drops)


def _hammer(rng: np.random.Generator) -> Marks:
    head = rng.uniform(0.4, 0.62)
    claw = polygon("b", -head, -0.75, head, -0.75, head + 0.2, -0.4, head, -0.45, -head, -0.4)
    return (stroke("a", 0.18, 0, -0.5, 0, 0.88), claw)


def _sun(rng: np.random.Generator) -> Marks:
    count, reach = int(rng.integers(7, 13)), rng.uniform(0.36, 0.5)
    ray = (stroke("a", 0.09, 0, -reach - 0.14, 0, -0.93),)
    return (oval("a", 0, 0, reach), *(m for t in np.arange(count) * 360 / count for m in moved(ray, turn=float(t))))


def _person(rng: np.random.Generator) -> Marks:
    arm, leg = rng.uniform(-0.35, 0.25, 2), rng.uniform(0.15, 0.4, 2)
    return (
        stroke("b", 0.16, 0, 0.2, -leg[0], 0.9),
        stroke("b", 0.16, 0, 0.2, leg[1], 0.9),
        stroke("a", 0.34, 0, -0.28, 0, 0.15),
        stroke("a", 0.13, 0, -0.35, -0.55, arm[0]),
        stroke("a", 0.13, 0, -0.35, 0.55, arm[1]),
        oval("c", 0, -0.7, 0.21),
    )


def _envelope(rng: np.random.Generator) -> Marks:
    height, fold = rng.uniform(0.45, 0.65), rng.uniform(-0.05, 0.2)
    return (
        box("a", -0.92, -height, 0.92, height),
        stroke("dark", 0.07, -0.9, -height, 0, fold, 0.9, -height),
        oval("b", 0, fold, 0.12),
    )


def _ladder(rng: np.random.Generator) -> Marks:
    top, rungs = rng.uniform(0.22, 0.4), int(rng.integers(4, 7))
    rails = (stroke("a", 0.11, -0.45, 0.92, -top, -0.92), stroke("a", 0.11, 0.45, 0.92, top, -0.92))
    steps = (stroke("a", 0.09, -0.4, y, 0.4, y) for y in np.linspace(-0.7, 0.72, rungs))
    return (*rails, *steps)


def _wheel(rng: np.random.Generator) -> Marks:
    spokes = int(rng.integers(3, 7))
    spoke = (stroke("b", 0.07, 0, -0.7, 0, 0.7),)
    turned = (mark for n in range(spokes) for mark in moved(spoke, turn=180 * n / spokes))
    return (arc("dark", 0.2, 0, 0, 0.8), *turned, oval("a", 0, 0, 0.2))


def _glyph(character: str) -> Maker:
    """Make a drawer of one character, on a board or bare."""

    def draw(rng: np.random.Generator) -> Marks:
        weight, width = rng.uniform(0.16, 0.3), rng.uniform(1.0, 1.4)
        marks = text("a", character, width, 1.35, weight)
        return (box("light", -0.9, -0.95, 0.9, 0.95), *marks) if rng.random() < 0.5 else marks

    return draw


@dataclass(frozen=True)
class ObjectKind:
    """A class: its word, its drawer, and the hues (degrees) that its first ink takes."""

    word: str
    draw: Maker
    hues: Range = (0, 360)


KINDS: tuple[ObjectKind, ...] = (
    ObjectKind("house", _house),
    ObjectKind("hoop", _hoop),
    ObjectKind("numeral four", _glyph("4")),
    ObjectKind("car", _car),
    ObjectKind("pennant", _pennant),
    ObjectKind("tree", _tree, (60, 150)),
    ObjectKind("pointer", _pointer),
    ObjectKind("letter A", _glyph("A")),
    ObjectKind("fish", _fish),
    ObjectKind("cup", _cup),
    ObjectKind("star", _star, (35, 70)),
    ObjectKind("key", _key, (30, 60)),
    ObjectKind("boat", _boat),
    ObjectKind("mushroom", _mushroom, (340, 390)),
    ObjectKind("target", _target),
    ObjectKind("numeral nine", _glyph("9")),
    ObjectKind("person", _person),
    ObjectKind("clock", _clock),
    ObjectKind("letter E", _glyph("E")),
    ObjectKind("flower", _flower, (260, 400)),
    ObjectKind("ladder", _ladder),
    ObjectKind("butterfly", _butterfly),
    ObjectKind("kite", _kite),
    ObjectKind("wheel", _wheel),
    ObjectKind("umbrella", _umbrella),
    ObjectKind("bottle", _bottle, (90, 240)),
    ObjectKind("apple", _apple, (330, 470)),
    ObjectKind("cat", _cat, (15, 45)),
    ObjectKind("heart", _heart, (320, 370)),
    ObjectKind("moon", _moon, (40, 65)),
    ObjectKind("letter H", _glyph("H")),
    ObjectKind("envelope", _envelope),
    ObjectKind("hammer", _hammer, (15, 40)),
    ObjectKind("fir", _fir, (90, 165)),
    ObjectKind("sun", _sun, (30, 60)),
    ObjectKind("rain cloud", _cloud, (190, 240)),
    ObjectKind("letter K", _glyph("K")),
)
"""All classes, in an order in which any first few are of many sorts."""


def wnid(class_index: int) -> str:
    """Name a class in WordNet's style, with a letter that WordNet has no part of speech for."""
    return f"d{class_index + 1:08d}"


def _palette(rng: np.random.Generator, hues: Range, backdrop: Image.Image) -> Palette:
    return {
        "a": _standing_out(rng, hues, backdrop),
        "b": any_colour(rng, value=(0.3, 1)),
        "c": any_colour(rng, value=(0.3, 1)),
        "dark": any_colour(rng, saturation=(0, 0.5), value=(0.05, 0.3)),
        "light": any_colour(rng, saturation=(0, 0.15), value=(0.85, 1)),
    }


def _standing_out(rng: np.random.Generator, hues: Range, backdrop: Image.Image) -> Colour:
    """Draw a few colours and take the one farthest from the backdrop's mean, so that most objects can be seen."""
    behind = np.asarray(backdrop.resize((1, 1), Image.Resampling.BOX))[0, 0].astype(float)
    colours = [any_colour(rng, hues, value=(0.3, 1)) for _ in range(4)]
    return max(colours, key=lambda colour: float(np.abs(behind - colour).sum()))


def draw_object(class_index: int, rng: np.random.Generator, side: int) -> tuple[Image.Image, Box]:
    """Draw one picture of an object.

    Returns an RGB image, side x side, and the object's box (x1, y1, x2, y2, the last pixels included). Raises
    IndexError for a class index that KINDS does not have.
    """
    kind = KINDS[class_index]
    setting = draw_setting(rng, _LIMITS)
    marks = bent(moved(kind.draw(rng), flip=_may_flip(kind, rng)), rng, 0.05)
    subject = rasterise(marks, _palette(rng, kind.hues, setting.backdrop), SUBJECT_SIDE, oversample=2)
    return photograph(subject, setting, rng, (side, side))


def _may_flip(kind: ObjectKind, rng: np.random.Generator) -> bool:
    """Mirror half of the objects, but no character, which would be another one then."""
    return bool(rng.random() < 0.5) and not kind.word.startswith(("letter", "numeral"))


def write(
    root: Path, *, seed: int, classes: int = 24, train_images: int = 60, val_images: int = 15, side: int = 48
) -> None:
    """Write Tiny-ImageNet-200's own layout under root/tiny-imagenet-200: wnids, words, train and val with their boxes.

    `train_images` and `val_images` count for each class; images are JPEG, side x side. The same arguments give the same
    bytes; what is drawn for a class and number depends on the seed alone, not on how many others there are. Raises
    ValueError for a count or side out of range, FileExistsError if root/tiny-imagenet-200 exists.
    """
    check_classes(classes, len(KINDS), "drawn objects")
    check_counts(train_images=(train_images, 1), val_images=(val_images, 1), side=(side, 16))
    folder = root / "tiny-imagenet-200"
    folder.mkdir(parents=True)
    write_lines(folder / "wnids.txt", (wnid(index) for index in range(classes)))
    write_lines(folder / "words.txt", (f"{wnid(index)}\t{KINDS[index].word}" for index in range(classes)))
    for index in range(classes):
        _write_class(folder / "train" / wnid(index), index, seed, train_images, side)
    _write_validation(folder / "val", classes, seed, val_images, side)


def _write_class(folder: Path, class_index: int, seed: int, count: int, side: int) -> None:
    (folder / "images").mkdir(parents=True)
    names = [f"{folder.name}_{number}.JPEG" for number in range(count)]
    boxes = [_save(folder / "images" / name, (seed, _TRAINING, class_index, k), side) for k, name in enumerate(names)]
    write_lines(
        folder / f"{folder.name}_boxes.txt", (f"{name}\t{area}" for name, area in zip(names, boxes, strict=True))
    )


def _write_validation(folder: Path, classes: int, seed: int, count: int, side: int) -> None:
    (folder / "images").mkdir(parents=True)
    order = stream(seed, _ORDER).permutation(classes * count).tolist()
    rows = []
    for position, (class_index, number) in enumerate(divmod(place, count) for place in order):
        name = f"val_{position}.JPEG"
        area = _save(folder / "images" / name, (seed, _VALIDATION, class_index, number), side)
        rows.append(f"{name}\t{wnid(class_index)}\t{area}")
    write_lines(folder / "val_annotations.txt", rows)


def _save(path: Path, place: tuple[int, int, int, int], side: int) -> str:
    """Draw the object of a place (seed, part, class, number), write it and return its box as annotations have it."""
    image, area = draw_object(place[2], stream(*place), side)
    save_jpeg(image, path)
    return "\t".join(map(str, area))
