"""Drawn birds of species that do not exist, written in the layout of CUB-200-2011 (Wah et al. 2011).

Folders, lists and their columns are those of the published set; every pixel, and every name, is made up here. A species
is a set of proportions, colours and marks; some differ in one of them only. Its birds vary in age, stance, size, side,
place and light, and leaves may hide a part of them. Bounding boxes are those of the drawn birds.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from math import cos, radians, sin
from pathlib import Path
from typing import TypeAlias

import numpy as np
from PIL import Image

from heirloom.data.synthetic.files import check_classes, draw_size, save_jpeg, write_lines
from heirloom.data.synthetic.scene import (
    Box,
    Colour,
    Limits,
    Mark,
    Point,
    Range,
    any_colour,
    bent,
    check_counts,
    curve,
    draw_setting,
    framed,
    moved,
    oval,
    polygon,
    portray,
    stream,
    stroke,
    turf,
    worn,
)

Marks: TypeAlias = tuple[Mark, ...]

_TRAINING, _TEST = range(2)
_LIMITS = Limits(gain=(0.6, 1.35), share=(1, 1), turn=0, slant=0, shift=0, blur=(0.002, 0.01), grain=(1, 6))

_BLACK, _WHITE, _CREAM, _ASH = (34, 34, 40), (240, 240, 234), (226, 208, 168), (150, 156, 164)
_RED, _ORANGE, _YELLOW, _BROWN = (198, 40, 38), (232, 130, 36), (236, 200, 52), (124, 88, 56)
_BLUE, _GREEN, _OLIVE, _RUST = (52, 92, 176), (38, 122, 84), (124, 128, 60), (168, 84, 48)


# ---------------------------------------------------------------------------------------------------------- species


@dataclass(frozen=True)
class Species:
    """What birds of one species share. Lengths are in half lengths of a body.

    `bill` is its length, depth and bend (above 0 a hook, below 0 bent up). The colours' names are the inks of the
    drawing.
    """

    name: str
    plump: float = 0.62
    head: float = 0.42
    neck: float = 0.1
    bill: tuple[float, float, float] = (0.34, 0.2, 0.0)
    crest: str = "none"
    tail: str = "square"
    tail_length: float = 0.9
    legs: float = 0.45
    wing_length: float = 1.0
    bars: int = 0
    breast: str = "none"
    face: str = "none"
    back: Colour = _BROWN
    belly: Colour = _CREAM
    crown: Colour = _BROWN
    cheek: Colour = _BROWN
    wing: Colour = _BROWN
    rump: Colour = _BROWN
    beak: Colour = (60, 56, 56)
    leg: Colour = (96, 74, 60)
    bar: Colour = _WHITE
    mark: Colour = _BLACK


_INKS = ("back", "belly", "crown", "cheek", "wing", "rump", "beak", "leg", "bar", "mark")

_FINCH = Species("", bill=(0.34, 0.36, 0.0), plump=0.68)
_WARBLER = Species(
    "",
    plump=0.56,
    head=0.38,
    bill=(0.34, 0.11, 0.0),
    back=_OLIVE,
    belly=_YELLOW,
    crown=_YELLOW,
    cheek=_YELLOW,
    wing=(86, 92, 84),
    rump=(86, 92, 84),
)
_THRUSH = Species("", plump=0.66, bill=(0.4, 0.14, 0.0), legs=0.6, belly=_WHITE)
_GULL = Species(
    "",
    plump=0.54,
    head=0.36,
    neck=0.14,
    bill=(0.5, 0.18, 0.5),
    wing_length=1.45,
    tail_length=0.6,
    back=_WHITE,
    belly=_WHITE,
    crown=_WHITE,
    cheek=_WHITE,
    wing=_ASH,
    rump=_WHITE,
    beak=_YELLOW,
    leg=_ORANGE,
)
_WADER = Species(
    "", plump=0.5, head=0.27, neck=0.95, bill=(0.85, 0.13, 0.0), legs=1.3, tail="point", tail_length=0.4, leg=_ASH
)
_SWALLOW = Species(
    "",
    plump=0.46,
    head=0.36,
    bill=(0.16, 0.12, 0.0),
    wing_length=1.6,
    tail="fork",
    tail_length=1.3,
    legs=0.2,
    back=_BLUE,
    crown=_BLUE,
    cheek=_RUST,
    wing=(40, 58, 118),
    rump=(40, 58, 118),
)
_CROW = Species(
    "",
    plump=0.58,
    head=0.4,
    neck=0.16,
    bill=(0.58, 0.24, 0.3),
    back=_BLACK,
    belly=_BLACK,
    crown=_BLACK,
    cheek=_BLACK,
    wing=_BLACK,
    rump=_BLACK,
)
_DUCK = Species(
    "",
    plump=0.6,
    head=0.36,
    neck=0.3,
    bill=(0.5, 0.2, -0.25),
    tail="point",
    tail_length=0.5,
    legs=0.24,
    belly=_ASH,
    crown=_GREEN,
    cheek=_GREEN,
    breast="band",
    mark=_RUST,
    beak=_YELLOW,
    leg=_ORANGE,
)
_WHITE_WADER = replace(_WADER, back=_WHITE, belly=_WHITE, crown=_WHITE, cheek=_WHITE, wing=_WHITE, rump=_WHITE)
_RED_FINCH = replace(_FINCH, back=_RED, belly=_RED, crown=_RED, cheek=_RED, wing=(120, 40, 44), rump=(120, 40, 44))

SPECIES: tuple[Species, ...] = (
    replace(_RED_FINCH, name="Drawn_Red_Crest", crest="spike", face="mask", beak=_ORANGE),
    replace(_WARBLER, name="Drawn_Plain_Yellowwing"),
    replace(_WARBLER, name="Drawn_Twobar_Yellowwing", bars=2),
    replace(_THRUSH, name="Drawn_Spotted_Breast", breast="spots", mark=(92, 62, 44)),
    replace(_GULL, name="Drawn_Yellow_Hookbill"),
    replace(_GULL, name="Drawn_Black_Hookbill", beak=_BLACK, crown=_BLACK, cheek=_BLACK),
    replace(_SWALLOW, name="Drawn_Blue_Forktail"),
    replace(_SWALLOW, name="Drawn_Blue_Squaretail", tail="square", tail_length=0.8),
    replace(_WADER, name="Drawn_Blue_Longneck", back=_BLUE, belly=(120, 140, 180), crown=_WHITE, cheek=_WHITE),
    replace(_FINCH, name="Drawn_Brown_Thickbill", beak=(212, 160, 120), bars=1),
    replace(_FINCH, name="Drawn_Brown_Thinbill", bill=(0.34, 0.1, 0.0), beak=(60, 50, 50), bars=1),
    replace(_CROW, name="Drawn_Black_Greatbill"),
    replace(_DUCK, name="Drawn_Green_Flatbill"),
    replace(_RED_FINCH, name="Drawn_Red_Roundhead", face="mask", beak=_ORANGE),
    replace(_THRUSH, name="Drawn_Banded_Breast", breast="band", belly=_ORANGE, back=_ASH, crown=_BLACK, wing=_ASH),
    replace(_WHITE_WADER, name="Drawn_White_Longneck", beak=_ORANGE, leg=_BLACK),
    replace(_CROW, name="Drawn_Black_Whitebar", bars=2),
    replace(_FINCH, name="Drawn_Green_Fancrest", crest="fan", back=_GREEN, belly=_YELLOW, crown=_RUST, wing=_GREEN),
    replace(_WARBLER, name="Drawn_Masked_Yellowwing", face="mask"),
    replace(_THRUSH, name="Drawn_Streaked_Breast", breast="streaks", tail_length=1.2, face="ring"),
)
"""All species, in the order of their numbers; any first few are of many sorts, and some hard to tell apart."""


# ------------------------------------------------------------------------------------------------------------ parts


@dataclass(frozen=True)
class Stance:
    """How a bird holds itself: its wings, how far its body is turned (degrees, head down), and its feet's support."""

    wings: str
    tilt: Range
    support: str


_STANCES = (
    Stance("folded", (-45, -12), "branch"),
    Stance("folded", (-45, -12), "branch"),
    Stance("folded", (-14, 8), "ground"),
    Stance("folded", (12, 40), "ground"),
    Stance("raised", (-18, 18), "air"),
    Stance("spread", (-25, 10), "air"),
    Stance("front", (-8, 8), "branch"),
)


def _tail(species: Species, broad: float) -> Marks:
    """Draw a tail that leaves the body at its rear end, to the right."""
    x, tip, half = 0.75, 0.75 + species.tail_length, 0.14 * broad
    notch = {"fork": -0.5, "point": 0.25, "square": 0.0, "fan": 0.08}[species.tail] * species.tail_length
    end = half * {"fork": 2.4, "point": 0.3, "square": 1.3, "fan": 2.0}[species.tail]
    return (polygon("rump", x - 0.35, -half, tip, -end, tip + notch, 0, tip, end, x - 0.35, half),)


def _body(species: Species, rng: np.random.Generator) -> Marks:
    plump = species.plump
    belly = Mark("belly", curve(-0.06, 0.03, 0.93, plump * 0.97, 8, 172))
    chest = Mark("belly", curve(-0.1, 0.02, 0.88, plump * 0.9, 90, 195))
    return (oval("back", 0, 0, 1, plump), belly, chest, *_breast(species, rng))


def _breast(species: Species, rng: np.random.Generator) -> Marks:
    """Draw the spots, streaks or band on a breast."""
    plump = species.plump
    if species.breast == "band":
        return (Mark("mark", curve(-0.56, 0.1, 0.16, plump * 0.72)),)
    places = [(-0.62 + 0.24 * a + rng.normal(0, 0.04), plump * (0.22 + 0.24 * b)) for a in range(5) for b in range(3)]
    if species.breast == "spots":
        return tuple(oval("mark", x, y, 0.065) for x, y in places if abs(x) < 0.7 and y < 0.6 * plump)
    if species.breast == "streaks":
        return tuple(stroke("mark", 0.06, x, y, x + 0.16, y + 0.06) for x, y in places[::2])
    return ()


def _folded_wing(species: Species) -> Marks:
    """Draw a wing that lies on the body, its tip to the right, with its bars."""
    tip, deep = 0.15 + 0.85 * species.wing_length, species.plump * 0.62
    shape = (-0.5, -0.12, -0.2, -deep * 0.75, 0.35, -deep * 0.5, tip, 0.08, 0.3, deep * 0.75, -0.25, deep * 0.6)
    feathers = stroke("tip", 0.09, 0.1, deep * 0.42, tip - 0.12, 0.08)
    bars = (stroke("bar", 0.1, -0.22 + 0.3 * n, -deep * 0.45, -0.12 + 0.3 * n, deep * 0.5) for n in range(species.bars))
    return (polygon("wing", *shape), feathers, *bars)


def _open_wing(species: Species, rise: float, near: bool) -> Marks:
    """Draw a wing held up from the shoulder, `rise` degrees from level; the far one shows less of its marks."""
    length = 1.25 * species.wing_length
    shape = (-0.1, -0.42, length * 0.6, -0.42, length, -0.12, length * 0.75, 0.2, 0.1, 0.36)
    bars = (
        stroke("bar", 0.1, 0.4 + 0.24 * n, -0.34, 0.36 + 0.24 * n, 0.24) for n in range(species.bars if near else 0)
    )
    marks = (polygon("wing", *shape), stroke("tip", 0.1, 0.2, 0.26, length * 0.78, 0.12, length, -0.1), *bars)
    return moved(marks, -0.1, -species.plump * 0.3, turn=-rise)


def _head(species: Species, rng: np.random.Generator) -> Marks:
    """Draw a head about the origin that looks to the left."""
    r = species.head
    cap = Mark("crown", curve(0, 0, r * 1.01, r * 1.01, 165, 375))
    faces = {
        "mask": (stroke("mark", r * 0.5, -r * 0.75, r * 0.1, r * 0.35, -r * 0.1),),
        "ring": (oval("bar", -r * 0.3, -r * 0.12, r * 0.36),),
    }
    eye = (oval("eye", -r * 0.3, -r * 0.12, r * 0.2), oval("glint", -r * 0.36, -r * 0.2, r * 0.07))
    crest, bill = _crest(species.crest, r, rng), _bill(species)
    return (*crest, *bill, oval("cheek", 0, 0, r), cap, *faces.get(species.face, ()), *eye)


def _crest(kind: str, r: float, rng: np.random.Generator) -> Marks:
    lift = rng.uniform(0.75, 1.15)
    if kind == "spike":
        return (polygon("crown", -r * 0.6, -r * 0.7, r * 1.0, -r * (1.1 + 0.9 * lift), r * 0.9, -r * 0.1),)
    if kind == "fan":
        tips = np.linspace(-70, 10, 5) - 20
        return tuple(
            stroke(
                "crown",
                r * 0.28,
                0,
                -r * 0.5,
                1.75 * lift * r * sin(radians(t + 60)),
                -1.8 * lift * r * cos(radians(t + 60)),
            )
            for t in tips.tolist()
        )
    return ()


def _bill(species: Species) -> Marks:
    (length, depth, bend), r = species.bill, species.head
    half, tip = depth / 2, -r * 0.8 - length
    upper = (-r * 0.7, -half * 1.4, tip + length * 0.25, -half * 0.8, tip, bend * depth, tip + length * 0.2, half * 0.4)
    return (polygon("beak", *upper, -r * 0.7, half * 1.4),)


def _front(species: Species, rng: np.random.Generator) -> Marks:
    """Draw a bird that faces the camera, as far as its marks are seen from there."""
    plump, top = species.plump * 1.02, -0.95 - species.neck
    wing = polygon("wing", plump * 0.8, -0.6, plump * 1.08, 0.1, plump * 0.5, 0.95, plump * 0.62, -0.2)
    bars = (stroke("bar", 0.09, plump * 0.72, y, plump, y + 0.06) for y in (-0.25, 0.05)[: species.bars])
    sides = (wing, *bars)
    return (
        *moved(_tail(species, 1.2), 0, 0.1, turn=90),
        stroke("cheek", species.head * 1.3, 0, top, 0, -0.6),
        oval("back", 0, 0, plump * 1.05, 0.98),
        oval("belly", 0, 0.06, plump * 0.96, 0.92),
        *moved(_breast(species, rng), 0.25, 0.0, turn=-60),
        *sides,
        *moved(sides, flip=True),
        *moved(_face(species, rng), 0, top),
    )


def _face(species: Species, rng: np.random.Generator) -> Marks:
    """Draw a head about the origin that looks at the camera."""
    r, (length, depth, _) = species.head, species.bill
    half, tip = depth * 0.6, r * 0.3 + length * 0.5
    mask = (stroke("mark", r * 0.45, -r * 0.5, 0, r * 0.5, 0),) if species.face == "mask" else ()
    return (
        *_crest(species.crest, r, rng),
        oval("cheek", 0, 0, r),
        Mark("crown", curve(0, 0, r * 1.01, r * 1.01, 195, 345)),
        *mask,
        *(oval("eye", side * r * 0.5, -r * 0.1, r * 0.18) for side in (-1, 1)),
        polygon("beak", -half, r * 0.2, 0, -depth * 0.3, half, r * 0.2, 0, tip),
    )


def _side(species: Species, stance: Stance, tilt: float, rng: np.random.Generator) -> Marks:
    """Draw a bird seen from its side that looks to the left, its body turned by `tilt`, without legs."""
    rise = rng.uniform(35, 95) if stance.wings == "raised" else rng.uniform(-65, -20)
    flies = stance.support == "air"
    far = moved(_open_wing(species, rise + rng.uniform(15, 40), near=False), -0.25) if flies else ()
    wing = _open_wing(species, rise, near=True) if flies else _folded_wing(species)
    tail = moved(_tail(species, 2.0 if flies else 1.0), turn=rng.uniform(-12, 14))
    trunk = moved((*far, *tail, *_body(species, rng)), turn=-tilt)
    return (*trunk, *_neck_and_head(species, tilt, flies, rng), *moved(wing, turn=-tilt))


def _neck_and_head(species: Species, tilt: float, flies: bool, rng: np.random.Generator) -> Marks:
    """Draw neck and head before the body: held up, or stretched forward in flight; the head may look back."""
    shoulder = moved((Mark("", ((-0.72, -species.plump * 0.3),)),), turn=-tilt)[0].points[0]
    aim = radians(rng.uniform(175, 205) if flies else rng.uniform(205, 255))
    reach = species.neck + species.head * 0.55
    x, y = shoulder[0] + reach * cos(aim), shoulder[1] + reach * sin(aim)
    back = not flies and rng.random() < 0.15
    head = moved(_head(species, rng), x, y, turn=rng.uniform(-14, 14), flip=back)
    return (stroke("cheek", species.head * 1.25, x, y, *shoulder), *head)


def _legs(species: Species, tilt: float) -> tuple[Marks, Point]:
    """Draw two legs below a body turned by `tilt`; where they stand comes with them."""
    x = 0.1 * sin(radians(tilt))
    foot = species.plump * 0.75 + species.legs
    legs = tuple(
        stroke("leg", 0.08, a, species.plump * 0.4, a + 0.06, foot - species.legs * 0.45, a - 0.03, foot)
        for a in (x - 0.12, x + 0.16)
    )
    return legs, (x, foot)


# -------------------------------------------------------------------------------------------------------- pictures


def _bird(species: Species, stance: Stance, rng: np.random.Generator) -> tuple[Marks, Point]:
    """Draw one bird about the origin, and the point that it stands on."""
    tilt = -rng.uniform(*stance.tilt)
    legs, foot = _legs(species, tilt)
    if stance.wings == "front":
        return (*moved(legs, 0, 0.25), *moved(_front(species, rng), turn=-tilt)), (foot[0], foot[1] + 0.25)
    shown = () if stance.support == "air" else legs
    return (*shown, *_side(species, stance, tilt, rng)), foot


def _put(marks: Marks, foot: Point, rng: np.random.Generator) -> tuple[Marks, Point]:
    """Bring a bird into the picture's square, wholly inside, at any size, side and place."""
    flip, turn = bool(rng.random() < 0.5), rng.uniform(-6, 6)
    marks = moved((*marks, Mark("", (foot,))), flip=flip, turn=turn)
    *bird, stand = framed(marks, rng, (1.05, 1.8))
    return tuple(bird), stand.points[0]


def _support(kind: str, foot: Point, rng: np.random.Generator) -> Marks:
    """Draw what the bird stands on, and what grows behind it."""
    x, y = foot
    if kind == "ground":
        return turf(rng, y)
    slope, width = rng.uniform(-0.35, 0.35), rng.uniform(0.05, 0.16)
    twigs = [(a, y + slope * (a - x), a + rng.uniform(-0.4, 0.4), rng.uniform(-1, 1)) for a in rng.uniform(-1, 1, 3)]
    branches = (stroke("bark", width * 0.5, *twig) for twig in twigs)
    if kind == "air":
        return () if rng.random() < 0.7 else tuple(branches)
    bough = stroke("bark", width, -1.3, y + slope * (-1.3 - x) + width / 2, 1.3, y + slope * (1.3 - x) + width / 2)
    return (*branches, bough, *_leaves(rng, int(rng.integers(0, 9))))


def _leaves(rng: np.random.Generator, count: int) -> Marks:
    places = rng.uniform((-1, -1, 0.5, 0), (1, 1, 1.1, 360), (count, 4)).tolist()
    leaf = (oval("leaf", 0, 0, 0.2, 0.09), stroke("vein", 0.02, -0.18, 0, 0.2, 0))
    return tuple(mark for x, y, scale, turn in places for mark in moved(leaf, x, y, scale, turn))


def _cover(rng: np.random.Generator) -> Marks:
    """Let leaves or a twig come before the bird, now and then."""
    chance = rng.random()
    if chance < 0.25:
        return _leaves(rng, int(rng.integers(1, 5)))
    if chance < 0.35:
        ends = rng.uniform(-1, 1, 2).tolist()
        return (stroke("bark", rng.uniform(0.03, 0.07), ends[0], -1.2, ends[1], 1.2),)
    return ()


def _palette(species: Species, rng: np.random.Generator) -> dict[str, Colour]:
    """Colour a species' inks for one bird: plumage differs a little, and young birds are duller."""
    dull = rng.uniform(0.25, 0.5) if rng.random() < 0.2 else 0.0
    fade, tone = rng.uniform(0.86, 1.12), rng.uniform(-10, 10, 3)
    inks = {ink: worn(getattr(species, ink), dull, fade, tone + rng.normal(0, 7, 3)) for ink in _INKS}
    return {
        **inks,
        "tip": worn(inks["wing"], 0.0, 0.72, np.zeros(3)),
        "eye": (20, 18, 18),
        "glint": (235, 235, 235),
        "bark": any_colour(rng, (15, 45), (0.1, 0.5), (0.2, 0.6)),
        "leaf": any_colour(rng, (60, 140), (0.4, 0.85), (0.25, 0.75)),
        "vein": any_colour(rng, (60, 140), (0.2, 0.5), (0.3, 0.6)),
        "earth": any_colour(rng, (20, 200), (0.1, 0.5), (0.3, 0.8)),
        "grass": any_colour(rng, (45, 130), (0.3, 0.7), (0.3, 0.8)),
    }


_BACKDROPS: dict[str, tuple[str, ...]] = {
    "branch": ("foliage", "foliage", "sky", "haze"),
    "ground": ("foliage", "haze", "road"),
    "air": ("sky", "sky", "haze", "foliage"),
}


def draw_bird(species_index: int, rng: np.random.Generator, side: int) -> tuple[Image.Image, Box]:
    """Draw one picture of a bird.

    Returns an RGB image, its width 0.9 to 1.35 and its height 0.85 to 1.1 times `side`, and the bird's box in it (x1,
    y1, x2, y2, the last pixels included). Raises IndexError for an index that SPECIES does not have.
    """
    species, stance = SPECIES[species_index], _STANCES[rng.integers(len(_STANCES))]
    marks, foot = _bird(_grown(species, rng), stance, rng)
    bird, stand = _put(bent(marks, rng, 0.035), foot, rng)
    layers = (_support(stance.support, stand, rng), bird, _cover(rng))
    setting = draw_setting(rng, _LIMITS, _BACKDROPS[stance.support])
    return portray(layers, _palette(species, rng), setting, rng, draw_size(rng, side, (0.9, 1.35), (0.85, 1.1)), 1)


def _grown(species: Species, rng: np.random.Generator) -> Species:
    """Vary the proportions of one bird."""
    names = ("plump", "head", "neck", "tail_length", "legs", "wing_length")
    return replace(species, **{name: getattr(species, name) * rng.uniform(0.9, 1.1) for name in names})


# ----------------------------------------------------------------------------------------------------------- files


@dataclass(frozen=True)
class _Row:
    """One picture's facts for the lists: name below images/, class, whether it is for training, width and box."""

    name: str
    label: int
    training: int
    area: Box


_LISTS: dict[str, Callable[[_Row], str]] = {
    "images.txt": lambda row: row.name,
    "image_class_labels.txt": lambda row: str(row.label),
    "train_test_split.txt": lambda row: str(row.training),
    "bounding_boxes.txt": lambda row: _published(row.area),
}


def _published(area: Box) -> str:
    """Write a box as the published list does: left, top, width and height, each with one decimal."""
    left, top, right, bottom = area
    return " ".join(f"{value:.1f}" for value in (left, top, right - left + 1, bottom - top + 1))


def folder_name(species_index: int) -> str:
    """Name a species' folder, NNN.Name, numbered from 1."""
    return f"{species_index + 1:03d}.{SPECIES[species_index].name}"


def write(
    root: Path, *, seed: int, classes: int = 12, train_images: int = 40, test_images: int = 15, side: int = 48
) -> None:
    """Write CUB-200-2011's own layout under root/CUB_200_2011: images by class and the five lists.

    `train_images` and `test_images` count for each class; pictures are JPEG of sizes about `side`. Ids count from 1
    through all pictures, class by class. The same arguments give the same bytes; what a picture shows depends on the
    seed and its own class, part and number alone, not on how many others there are. Raises ValueError for a count or
    side out of range, FileExistsError if root/CUB_200_2011 exists.
    """
    check_classes(classes, len(SPECIES), "drawn birds")
    check_counts(train_images=(train_images, 1), test_images=(test_images, 1), side=(side, 16))
    folder = root / "CUB_200_2011"
    folder.mkdir(parents=True)
    rows = [
        row for index in range(classes) for row in _write_class(folder, index, seed, (train_images, test_images), side)
    ]
    for name, fact in _LISTS.items():
        write_lines(folder / name, (f"{number} {fact(row)}" for number, row in enumerate(rows, start=1)))
    write_lines(folder / "classes.txt", (f"{index + 1} {folder_name(index)}" for index in range(classes)))


def _write_class(folder: Path, index: int, seed: int, counts: tuple[int, int], side: int) -> Iterable[_Row]:
    """Write one species' pictures in an order of their numbers: odd ones are training's, even ones the test's."""
    (folder / "images" / folder_name(index)).mkdir(parents=True)
    places = sorted((2 * k + 1 + part, part, k) for part in (_TRAINING, _TEST) for k in range(counts[part]))
    for number, part, k in places:
        name = f"{folder_name(index)}/{SPECIES[index].name}_{number:04d}_{index + 1}.jpg"
        image, area = draw_bird(index, stream(seed, part, index, k), side)
        save_jpeg(image, folder / "images" / name)
        yield _Row(name, index + 1, int(part == _TRAINING), area)
