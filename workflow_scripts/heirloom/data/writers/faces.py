"""Drawn faces of people who do not exist, laid out as PubFig83 (Pinto et al. 2011).

Every pixel is drawn here, plainly as a drawing, and no real person is meant. A person is a set of proportions, colours
and habits; pictures of one differ in expression, pose, light, place, years, the picture's own age, and in what people
put on and off: glasses, hats, scarves.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import cos, radians, sin
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
from PIL import Image

from heirloom.data.graphics.files import check_classes, save_jpeg
from heirloom.data.graphics.scene import (
    Colour,
    Mark,
    Point,
    SceneLimits,
    any_colour,
    arc,
    bent,
    check_counts,
    curve,
    draw_setting,
    moved,
    oval,
    polygon,
    portray,
    stream,
    stroke,
)

Marks: TypeAlias = tuple[Mark, ...]

_LIMITS = SceneLimits(gain=(0.55, 1.3), share=(1, 1), turn=0, slant=0, shift=0, blur=(0.002, 0.012), grain=(1, 7))

_PALE, _FAIR, _TAN, _OCHRE, _UMBER, _DEEP = (
    (246, 214, 196),
    (238, 192, 164),
    (214, 162, 124),
    (186, 128, 88),
    (140, 90, 62),
    (96, 62, 46),
)
_RAVEN, _CHESTNUT, _BLOND, _GINGER, _GREY = (34, 28, 30), (98, 62, 38), (220, 186, 112), (190, 92, 40), (176, 174, 172)


# ----------------------------------------------------------------------------------------------------------- people


@dataclass(frozen=True)
class Person:
    """What pictures of one person share. Lengths are in half sides of a picture that the face about fills.

    `jaw` is 2 for an oval chin, above for a square one, below for a pointed one; `eyes` are half the distance between
    them, their size and slant (degrees); `brows` their thickness and slant; `nose` its length and half width; `mouth`
    its half width and the thickness of its lips; `glasses` and `beard` are worn in most pictures, not in all.
    """

    skin: Colour
    hair: Colour
    style: str
    width: float = 0.46
    chin: float = 0.64
    jaw: float = 2.0
    eyes: tuple[float, float, float] = (0.19, 0.085, 0.0)
    iris: Colour = (92, 62, 40)
    brows: tuple[float, float] = (0.05, 5.0)
    nose: tuple[float, float] = (0.24, 0.075)
    mouth: tuple[float, float] = (0.17, 0.045)
    beard: str = "none"
    glasses: str = "none"
    freckles: bool = False
    mole: Point | None = None
    ears: float = 0.11


_BLUE, _GREEN, _DARK = (66, 112, 168), (84, 122, 76), (52, 36, 28)

PEOPLE: tuple[Person, ...] = (
    Person(_FAIR, _CHESTNUT, "short", beard="full", brows=(0.065, 4), jaw=2.4),
    Person(_DEEP, _RAVEN, "curly", iris=_DARK, mouth=(0.19, 0.075), nose=(0.21, 0.105), width=0.45),
    Person(_PALE, _GINGER, "long", iris=_GREEN, freckles=True, jaw=1.7, brows=(0.032, 8), mouth=(0.15, 0.05)),
    Person(_TAN, _RAVEN, "parted", glasses="square", iris=_DARK, jaw=2.2, eyes=(0.18, 0.075, -6)),
    Person(_FAIR, _GREY, "receding", glasses="round", width=0.49, jaw=2.6, brows=(0.055, -4), nose=(0.3, 0.09)),
    Person(_TAN, _RAVEN, "parted", iris=_DARK, jaw=2.2, eyes=(0.18, 0.075, -6), beard="moustache"),
    Person(_OCHRE, _RAVEN, "bun", iris=_DARK, width=0.42, jaw=1.7, brows=(0.035, 10), mouth=(0.16, 0.06)),
    Person(_UMBER, _RAVEN, "bald", beard="goatee", iris=_DARK, jaw=2.5, ears=0.13, nose=(0.22, 0.1)),
    Person(_PALE, _BLOND, "bob", iris=_BLUE, jaw=1.8, brows=(0.03, 4), eyes=(0.2, 0.1, 3), mouth=(0.14, 0.055)),
    Person(
        _PALE,
        _BLOND,
        "bob",
        iris=_BLUE,
        width=0.5,
        jaw=2.3,
        eyes=(0.21, 0.085, -3),
        mole=(0.2, 0.3),
        mouth=(0.19, 0.05),
    ),
    Person(_FAIR, _CHESTNUT, "spiky", iris=_BLUE, width=0.43, chin=0.7, nose=(0.28, 0.06), brows=(0.045, -6)),
    Person(_UMBER, _RAVEN, "long", iris=_DARK, glasses="round", jaw=1.8, mouth=(0.17, 0.07), brows=(0.04, 8)),
    Person(_PALE, _GINGER, "long", iris=_BLUE, jaw=2.1, brows=(0.04, 2), mouth=(0.18, 0.06), width=0.48),
    Person(_FAIR, _CHESTNUT, "fringe", iris=_GREEN, freckles=True, eyes=(0.19, 0.1, 0), width=0.47, chin=0.58),
    Person(_OCHRE, _RAVEN, "short", iris=_DARK, beard="stubble", brows=(0.08, 0), nose=(0.27, 0.085), jaw=2.5),
    Person(_UMBER, _RAVEN, "bald", iris=_DARK, jaw=2.1, glasses="square", width=0.44, chin=0.69, mouth=(0.19, 0.07)),
    Person(
        _FAIR, _GREY, "curly", iris=_BLUE, jaw=1.9, width=0.48, brows=(0.035, 6), glasses="square", mouth=(0.15, 0.04)
    ),
    Person(_DEEP, _RAVEN, "short", iris=_DARK, jaw=2.3, beard="moustache", mouth=(0.18, 0.065), nose=(0.24, 0.11)),
)
"""All people, in the order of their numbers; any first few are of many sorts, and some much alike."""


def person_name(index: int) -> str:
    """Name a person, whose folder has the same name."""
    return f"Person {index + 1:02d}"


# ------------------------------------------------------------------------------------------------------ expressions


@dataclass(frozen=True)
class FaceLook:
    """How a person looks in one picture: angles in degrees, the others from 0 to 1 unless said otherwise.

    Smile may be negative; gaze is where the eyes turn, x and y from -1 to 1; light comes from the left at -1, from the
    right at 1.
    """

    yaw: float
    pitch: float
    smile: float
    mouth_open: float
    eyes_open: float
    brows_up: float
    gaze: Point
    years: float
    light: float


def _draw_look(rng: np.random.Generator) -> FaceLook:
    blinks, talks = rng.random() < 0.07, rng.random() < 0.35
    return FaceLook(
        yaw=float(np.clip(rng.normal(0, 15), -34, 34)),
        pitch=float(np.clip(rng.normal(0, 8), -18, 18)),
        smile=rng.uniform(-0.5, 1),
        mouth_open=rng.uniform(0.2, 1) if talks else 0.0,
        eyes_open=0.0 if blinks else rng.uniform(0.6, 1),
        brows_up=rng.uniform(-0.3, 1),
        gaze=(rng.uniform(-0.6, 0.6), rng.uniform(-0.4, 0.4)),
        years=float(np.square(rng.uniform(0, 1))),
        light=rng.uniform(-1, 1),
    )


def _turned(marks: Marks, look: FaceLook, depth: float) -> Marks:
    """Turn marks with the head. They lie on a ball that comes `depth` nearer in its middle; behind it if negative."""
    yaw, pitch = radians(look.yaw), radians(look.pitch)

    def turn(point: Point) -> Point:
        x, y = point
        near = depth * max(0.0, 1 - (x / 0.62) ** 2 - (y / 0.85) ** 2) ** 0.5 if depth > 0 else depth
        return x * cos(yaw) + near * sin(yaw), y * cos(pitch) + near * sin(pitch)

    return tuple(replace(mark, points=tuple(map(turn, mark.points))) for mark in marks)


# ------------------------------------------------------------------------------------------------------------ parts


def _outline(width: float, top: float, chin: float, jaw: float) -> tuple[Point, ...]:
    """Follow a head round: an oval above the middle, a chin more or less square below."""
    angles = np.linspace(0, np.pi, 19)
    power = 2 / jaw
    lower = tuple((width * np.sign(c) * abs(c) ** power, chin * abs(s) ** power) for c, s in _turns(angles))
    return (*lower, *curve(0, 0, width, top, 180, 360))


def _turns(angles: np.ndarray) -> list[tuple[float, float]]:
    return list(zip(np.cos(angles).tolist(), np.sin(angles).tolist(), strict=True))


def _head(person: Person, look: FaceLook) -> Marks:
    """Draw the bare head, darker on the side that the light does not come from."""
    full = _outline(person.width, 0.62, person.chin, person.jaw)
    lit = tuple((0.9 * x + 0.06 * look.light, 0.97 * y - 0.01) for x, y in full)
    return Mark("shade", full), Mark("skin", lit)


def _ears(person: Person) -> Marks:
    side = (oval("shade", person.width, 0.02, person.ears * 0.7, person.ears * 1.25),)
    return (*side, *moved(side, flip=True))


def _eyes(person: Person, look: FaceLook) -> Marks:
    gap, size, slant = person.eyes
    lid = size * 0.72 * look.eyes_open
    gaze_x, gaze_y = look.gaze[0] * size * 0.5, look.gaze[1] * size * 0.2
    shut = (stroke("line", 0.025, -size, 0, 0, size * 0.3, size, 0),)
    opened = (
        oval("white", 0, 0, size, lid),
        oval("iris", gaze_x, gaze_y, size * 0.52, min(size * 0.52, lid)),
        oval("pupil", gaze_x, gaze_y, size * 0.25, min(size * 0.25, lid)),
        Mark("line", curve(0, size * 0.15, size * 1.08, lid + size * 0.25, 195, 345), 0.03),
    )
    eye = opened if look.eyes_open > 0.2 else shut
    bags = (stroke("shade", 0.015, -size * 0.7, size, size * 0.7, size * 1.05),) if look.years > 0.6 else ()
    left = moved((*eye, *bags), turn=-slant)
    return (*moved(left, -gap, -0.05), *_mirrored(moved(left, gap, -0.05), gap, slant))


def _mirrored(marks: Marks, x: float, slant: float) -> Marks:
    """Slant the other eye the other way, its gaze kept."""
    return moved(moved(marks, -x, 0.05), x, -0.05, turn=2 * slant)


def _brows(person: Person, look: FaceLook) -> Marks:
    thick, slant = person.brows
    gap, size = person.eyes[:2]
    y = -0.21 - 0.06 * look.brows_up
    turn = slant - 8 * look.smile * (look.smile < 0)
    brow = (stroke("brow", thick, -size * 1.15, 0.02, 0, -0.03, size * 1.05, 0.015),)
    return (*moved(brow, -gap, y, turn=-turn), *moved(brow, gap, y, turn=turn))


def _nose(person: Person, look: FaceLook) -> Marks:
    length, half = person.nose
    tip, side = -0.05 + length, 1 if look.light < 0 else -1
    bridge = stroke("shade", 0.03, side * 0.035, -0.03, side * half * 0.7, tip - 0.06)
    nostrils = (oval("shadow", x, tip, 0.022, 0.016) for x in (-half * 0.45, half * 0.45))
    return (bridge, Mark("shade", curve(0, tip - 0.03, half, 0.05, 0, 180), 0.035), *nostrils)


def _mouth(person: Person, look: FaceLook) -> Marks:
    """Draw the lips: their corners rise with a smile, the lower one falls with an open mouth."""
    (half, thick), y = person.mouth, 0.36
    half *= 1 + 0.25 * max(0.0, look.smile) - 0.2 * look.mouth_open
    corner, drop = y - 0.07 * look.smile, 0.15 * look.mouth_open
    xs = np.linspace(-half, half, 9)
    dip = 1 - (xs / half) ** 2
    middle = corner + (y - corner + 0.02) * dip
    inside = [*zip(xs, middle, strict=True), *zip(xs[::-1], (middle + drop * dip)[::-1], strict=True)]
    outside = [
        *zip(xs, middle - thick * dip, strict=True),
        *zip(xs[::-1], (middle + (drop + thick * 1.25) * dip)[::-1], strict=True),
    ]
    lips = Mark("lips", tuple((float(a), float(b)) for a, b in outside))
    if look.mouth_open < 0.1:
        return lips, Mark("shadow", tuple((float(a), float(b)) for a, b in zip(xs, middle, strict=True)), 0.02)
    teeth = (
        polygon(
            "white", -half * 0.6, y + 0.005, half * 0.6, y + 0.005, half * 0.45, y + 0.045, -half * 0.45, y + 0.045
        ),
    )
    return (
        lips,
        Mark("shadow", tuple((float(a), float(b)) for a, b in inside)),
        *(teeth if look.mouth_open > 0.35 else ()),
    )


def _spots(person: Person, look: FaceLook) -> Marks:
    """Draw freckles, a mole, and the lines that years leave."""
    freckles = [
        (x, 0.1 + 0.05 * ((7 * k) % 3) - 0.02 * k % 0.05) for k, x in enumerate(np.linspace(-0.3, 0.3, 11).tolist())
    ]
    dots = tuple(oval("freckle", x, y, 0.018) for x, y in freckles) if person.freckles else ()
    mole = (oval("shadow", *person.mole, 0.03),) if person.mole else ()
    if look.years < 0.5:
        return (*dots, *mole)
    fold = (stroke("shade", 0.02, 0.12, 0.16, 0.2, 0.3),)
    brow = tuple(stroke("shade", 0.018, -0.2, y, 0.2, y) for y in (-0.36, -0.43))
    return (*dots, *mole, *fold, *moved(fold, flip=True), *brow)


def _beard(person: Person, kind: str) -> tuple[Marks, Marks]:
    """Draw a beard: what lies below the mouth, and what lies over the upper lip."""
    w, chin = person.width, person.chin
    lip = (Mark("beard", curve(0, 0.33, 0.19, 0.06, 180, 360)),)
    if kind in ("full", "stubble"):
        outer = [(x, y + (0.05 if kind == "full" else 0)) for x, y in _outline(w, 0.6, chin, person.jaw)[:19]]
        inner = [(x * 0.72, y * 0.45 + 0.1) for x, y in outer[::-1]]
        ink = "beard" if kind == "full" else "stubble"
        return (Mark(ink, (*outer, *inner)),), tuple(replace(mark, ink=ink) for mark in lip)
    if kind == "goatee":
        return (Mark("beard", curve(0, chin - 0.12, 0.15, 0.17)),), lip
    return (), lip if kind == "moustache" else ()


def _glasses(person: Person, kind: str) -> Marks:
    gap = person.eyes[0]
    ink = "lens" if kind == "dark" else "frame"
    if kind == "none":
        return ()
    temples = tuple(stroke("frame", 0.025, side * (gap + 0.13), -0.06, side * person.width, -0.09) for side in (-1, 1))
    bridge = stroke("frame", 0.03, -gap + 0.13, -0.06, gap - 0.13, -0.06)
    if kind == "square":
        rims = (stroke(ink, 0.035, *(value for a, b in _RIM for value in (x + a, b - 0.04))) for x in (-gap, gap))
    elif kind == "round":
        rims = (arc(ink, 0.032, x, -0.04, 0.145) for x in (-gap, gap))
    else:
        rims = (oval(ink, x, -0.04, 0.16, 0.13) for x in (-gap, gap))
    return (*temples, bridge, *rims)


_RIM = ((-0.15, -0.1), (0.15, -0.1), (0.13, 0.1), (-0.13, 0.1), (-0.15, -0.1))


# ------------------------------------------------------------------------------------------------------------- hair
#
# Each function draws a style: what lies behind the head and what lies before it, for a head of the given half width.


def _crown(width: float, line: float, side: float = 0.05, lift: float = 0.7) -> Mark:
    """Draw hair over the top down to a hairline at height `line`, ending at height `side` before the ears."""
    outer = curve(0, -0.02, width * 1.08, lift, 180, 360)
    inner = [(x, line + (side - line) * abs(x / width) ** 4) for x in np.linspace(width, -width, 13).tolist()]
    return Mark("hair", (*outer, *inner))


def _bald(width: float) -> tuple[Marks, Marks]:
    return (oval("hair", 0, 0.0, width * 1.03, 0.28),), ()


def _short(width: float) -> tuple[Marks, Marks]:
    return (), (_crown(width, -0.4),)


def _receding(width: float) -> tuple[Marks, Marks]:
    sides = (Mark("hair", curve(width, -0.16, 0.09, 0.26)),)
    return (*sides, *moved(sides, flip=True)), (_crown(width * 0.95, -0.55, -0.2, 0.65),)


def _fringe(width: float) -> tuple[Marks, Marks]:
    return (oval("hair", 0, 0.0, width * 1.14, 0.55),), (_crown(width, -0.26, 0.12, 0.72),)


def _parted(width: float) -> tuple[Marks, Marks]:
    lock = polygon(
        "hair", -width * 0.3, -0.66, width * 0.7, -0.6, width * 1.05, -0.1, width * 0.6, -0.34, -width * 0.3, -0.5
    )
    return (), (_crown(width, -0.46), lock)


def _spiky(width: float) -> tuple[Marks, Marks]:
    tips = np.linspace(-width, width, 8).tolist()
    spikes = tuple(polygon("hair", x - 0.09, -0.5, x * 1.15, -0.84 + 0.2 * abs(x), x + 0.09, -0.5) for x in tips)
    return (), (*spikes, _crown(width, -0.4, -0.05))


def _curly(width: float) -> tuple[Marks, Marks]:
    ring = [(width * 1.02 * cos(t), 0.62 * sin(t)) for t in np.linspace(np.pi * 0.93, np.pi * 2.07, 13).tolist()]
    behind = tuple(oval("hair", x * 1.08, y, 0.2) for x, y in ring)
    before = tuple(oval("hair", x * 0.8, y * 0.9 - 0.03, 0.13) for x, y in ring[3:-3])
    return behind, before


def _long(width: float) -> tuple[Marks, Marks]:
    fall = polygon("hair", -width * 1.1, -0.1, width * 1.1, -0.1, width * 1.35, 1.0, -width * 1.35, 1.0)
    lock = (polygon("hair", 0, -0.66, -width * 1.06, -0.3, -width * 1.08, 0.3, -width * 0.92, 0.1, -width * 0.7, -0.3),)
    return (oval("hair", 0, -0.08, width * 1.15, 0.64), fall), (*lock, *moved(lock, flip=True))


def _bob(width: float) -> tuple[Marks, Marks]:
    fall = polygon("hair", -width * 1.15, -0.1, width * 1.15, -0.1, width * 1.25, 0.48, -width * 1.25, 0.48)
    return (oval("hair", 0, -0.08, width * 1.18, 0.66), fall), (_crown(width, -0.34, 0.2),)


def _bun(width: float) -> tuple[Marks, Marks]:
    return (oval("hair", 0, -0.74, 0.22, 0.2),), (_crown(width, -0.46, -0.02, 0.68),)


_STYLES: Mapping[str, Callable[[float], tuple[Marks, Marks]]] = MappingProxyType(
    {
        "bald": _bald,
        "short": _short,
        "receding": _receding,
        "fringe": _fringe,
        "parted": _parted,
        "spiky": _spiky,
        "curly": _curly,
        "long": _long,
        "bob": _bob,
        "bun": _bun,
    }
)


# --------------------------------------------------------------------------------------------------------- pictures


def _worn(person: Person, rng: np.random.Generator) -> tuple[str, str]:
    """Choose this picture's glasses and beard: mostly the person's own."""
    glasses = person.glasses if rng.random() < 0.8 else str(rng.choice(("none", "none", "dark", "round")))
    beard = person.beard if rng.random() < 0.8 else str(rng.choice(("none", "stubble")))
    return glasses, beard if person.beard != "none" else "none"


def _hat(person: Person, rng: np.random.Generator) -> Marks:
    """Draw a cap or a woollen hat, seldom."""
    w, chance = person.width, rng.random()
    if chance > 0.12:
        return ()
    dome = Mark("cloth2", curve(0, -0.3, w * 1.16, 0.52, 180, 360))
    if chance < 0.06:
        return dome, stroke("cloth3", 0.14, -w * 1.08, -0.32, w * 1.08, -0.32)
    return dome, Mark("cloth3", (*curve(0, -0.3, w * 1.2, 0.08, 0, 180), (-w, -0.38), (w, -0.38)))


def _cover(rng: np.random.Generator) -> Marks:
    """Hold something before the face, seldom: a microphone, a cup, a scarf."""
    chance, x = rng.random(), rng.uniform(-0.3, 0.3)
    if chance < 0.05:
        return stroke("cloth3", 0.09, x, 0.6, x * 2, 1.2), oval("pupil", x, 0.55, 0.12, 0.13)
    if chance < 0.09:
        return (Mark("cloth2", (*curve(0, 0.62, 0.62, 0.22, 180, 360), (0.7, 1.1), (-0.7, 1.1))),)
    return ()


def _shoulders(person: Person, rng: np.random.Generator) -> Marks:
    neck, wide = person.width * rng.uniform(0.5, 0.62), rng.uniform(0.85, 1.15)
    coat = polygon(
        "cloth", -neck - 0.05, 0.82, neck + 0.05, 0.82, wide, 1.05, wide + 0.2, 1.8, -wide - 0.2, 1.8, -wide, 1.05
    )
    collar = polygon(
        "cloth3", -neck, 0.82, 0, rng.uniform(0.9, 1.2), neck, 0.82, neck + 0.08, 0.9, 0, 1.3, -neck - 0.08, 0.9
    )
    throat = polygon("shade", -neck, 0.3, neck, 0.3, neck, 0.9, 0, 1.0, -neck, 0.9)
    return (throat, coat, collar) if rng.random() < 0.6 else (coat, throat)


def _portrait(person: Person, look: FaceLook, rng: np.random.Generator) -> Marks:
    """Draw a person's head and shoulders about the origin."""
    glasses, beard = _worn(person, rng)
    behind, before = _STYLES[person.style](person.width * rng.uniform(0.97, 1.05))
    below, lip = _beard(person, beard)
    face = (*below, *_spots(person, look), *_eyes(person, look), *_brows(person, look), *_mouth(person, look), *lip)
    return (
        *_turned(behind, look, -0.22),
        *_shoulders(person, rng),
        *_turned(_ears(person), look, -0.08),
        *_turned(_head(person, look), look, 0.0),
        *_turned(face, look, 0.3),
        *_turned(_nose(person, look), look, 0.42),
        *_turned(before, look, 0.08),
        *_turned(_glasses(person, glasses), look, 0.34),
        *_turned(_hat(person, rng), look, 0.05),
    )


def _blend(one: Colour, two: Colour, share: float) -> Colour:
    red, green, blue = (round(a + share * (b - a)) for a, b in zip(one, two, strict=True))
    return red, green, blue


def _palette(person: Person, look: FaceLook, rng: np.random.Generator) -> dict[str, Colour]:
    """Colour one picture: skin more or less tanned, hair going grey with years, clothes of any colour."""
    skin = _blend(person.skin, _UMBER, rng.uniform(0, 0.22))
    hair = _blend(person.hair, _GREY, 0.75 * look.years**2)
    hair = _blend(hair, any_colour(rng, (10, 50)), rng.uniform(0, 0.18))
    lips = _blend(skin, (176, 48, 60), rng.uniform(0.25, 0.65))
    return {
        "skin": skin,
        "shade": _blend(skin, (40, 24, 30), rng.uniform(0.14, 0.32)),
        "shadow": _blend(skin, (30, 12, 16), 0.75),
        "freckle": _blend(skin, (120, 60, 30), 0.5),
        "lips": lips,
        "hair": hair,
        "brow": _blend(hair, (40, 30, 28), 0.3),
        "beard": _blend(hair, (60, 44, 36), 0.2),
        "stubble": _blend(skin, hair, 0.35),
        "white": (244, 242, 238),
        "iris": person.iris,
        "pupil": (18, 16, 18),
        "line": _blend(skin, (20, 14, 16), 0.85),
        "frame": any_colour(rng, saturation=(0, 0.6), value=(0.1, 0.45)),
        "lens": (30, 30, 36),
        **{cloth: any_colour(rng, saturation=(0, 0.85), value=(0.15, 0.95)) for cloth in ("cloth", "cloth2", "cloth3")},
    }


_SEPIA = (1.06, 0.95, 0.76)


def _aged(image: Image.Image, kind: float, faded: float) -> Image.Image:
    """Let the picture itself age, by two draws from 0 to 1: some are brown or grey, some have faded."""
    pixels = np.asarray(image, dtype=np.float32)
    if kind < 0.2:
        grey = pixels @ np.array((0.3, 0.59, 0.11), dtype=np.float32)
        pixels = grey[..., None] * np.array(_SEPIA if kind < 0.1 else (1, 1, 1), dtype=np.float32)
    if faded > 0.8:
        share = np.float32(faded * 1.6 - 1.15)
        pixels = pixels * (1 - share) + share * np.array((215, 196, 176), dtype=np.float32)
    return Image.fromarray(np.clip(pixels + 0.5, 0, 255).astype(np.uint8))


def draw_face(person_index: int, rng: np.random.Generator, side: int) -> Image.Image:
    """Draw one picture of a person that the face about fills: RGB, side x side.

    Raises IndexError for an index that PEOPLE does not have.
    """
    person, look = PEOPLE[person_index], _draw_look(rng)
    marks = bent(_portrait(person, look, rng), rng, 0.025)
    shift = rng.uniform(-0.08, 0.08, 2).tolist()
    marks = moved(marks, shift[0], shift[1], rng.uniform(0.98, 1.3), rng.normal(0, 7))
    setting, age = draw_setting(rng, _LIMITS), rng.random(2).tolist()
    marks = (*marks, *_cover(rng))
    return _aged(portray(marks, _palette(person, look, rng), setting, rng, (side, side)), *age)


def write(root: Path, *, seed: int, classes: int = 12, images: int = 50, side: int = 48) -> None:
    """Write PubFig83's own layout under root/PubFig83: a folder for each person, pictures numbered from 1.

    `images` count for each person; pictures are JPEG, side x side. The published set has no split, nor has this. The
    same arguments give the same bytes; what a picture shows depends on the seed, the person and its number alone, not
    on how many others there are. Raises ValueError for a count or side out of range, FileExistsError if root/PubFig83
    exists.
    """
    check_classes(classes, len(PEOPLE), "drawn faces")
    check_counts(images=(images, 1), side=(side, 16))
    root.mkdir(parents=True, exist_ok=True)
    (root / "PubFig83").mkdir()
    for index in range(classes):
        _write_person(root / "PubFig83" / person_name(index), index, seed=seed, images=images, side=side)


def _write_person(folder: Path, index: int, *, seed: int, images: int, side: int) -> None:
    """Write pictures of one person; what each shows depends on the seed, the person and its number alone."""
    folder.mkdir()
    for number in range(images):
        save_jpeg(draw_face(index, stream(seed, index, number), side), folder / f"{number + 1}.jpg")
