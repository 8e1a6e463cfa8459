"""How drawn people are built: a posture in which hands and feet reach for points, and clothes of any kind on it."""

from dataclasses import dataclass
from math import acos, atan2, cos, hypot, radians, sin
from typing import TypeAlias

import numpy as np

from heirloom.data.synthetic.scene import Colour, Mark, Point, any_colour, curve, oval, polygon, stroke, worn

Marks: TypeAlias = tuple[Mark, ...]

TORSO, UPPER_ARM, FOREARM, THIGH, SHIN = 0.62, 0.31, 0.33, 0.43, 0.45
GROUND = 0.88  # of one who stands straight, below the hip
HEAD = 0.155
_SKINS = ((240, 206, 178), (214, 168, 130), (168, 118, 84), (112, 76, 54), (76, 52, 42))


@dataclass(frozen=True)
class Posture:
    """How somebody who looks to the right holds a body; the hip is the origin.

    `lean`: of the trunk, forward, in degrees. `hands` and `feet`: what the near and the far one reach for, as far as
    they can. `nod`: of the head, forward, in degrees.
    """

    hands: tuple[Point, Point]
    feet: tuple[Point, Point]
    lean: float = 0.0
    nod: float = 0.0


@dataclass(frozen=True)
class Body:
    """A drawn body: what lies behind the trunk, the trunk with head and near leg, and the near arm."""

    behind: Marks
    trunk: Marks
    arm: Marks


@dataclass(frozen=True)
class Looks:
    """What tells people apart, and nothing of what they do."""

    hair: str
    legs: str
    sleeves: str
    build: float


def any_looks(rng: np.random.Generator) -> Looks:
    """Draw how somebody looks."""
    return Looks(
        hair=str(rng.choice(("short", "long", "cap", "bun", "none"))),
        legs=str(rng.choice(("trousers", "trousers", "shorts", "skirt"))),
        sleeves=str(rng.choice(("long", "short"))),
        build=rng.uniform(0.85, 1.25),
    )


def bend(start: Point, target: Point, lengths: tuple[float, float], side: int) -> tuple[Point, Point]:
    """Reach for a point with a limb of two parts: where its joint and its end come to lie.

    The joint bends to the left (-1) or right (1) of the way there. A point too far away is reached for in vain.
    """
    upper, lower = lengths
    x, y = target[0] - start[0], target[1] - start[1]
    way = min(max(hypot(x, y), abs(upper - lower) + 0.02), (upper + lower) * 0.995)
    aim = atan2(y, x)
    turn = acos(max(-1.0, min(1.0, (upper**2 + way**2 - lower**2) / (2 * upper * way))))
    joint = start[0] + upper * cos(aim + side * turn), start[1] + upper * sin(aim + side * turn)
    return joint, (start[0] + way * cos(aim), start[1] + way * sin(aim))


def draw_body(posture: Posture, looks: Looks) -> Body:
    """Draw somebody in a posture."""
    lean, wide = radians(posture.lean), looks.build
    shoulder = TORSO * 0.95 * sin(lean), -TORSO * 0.95 * cos(lean)
    tilt = radians(posture.lean * 0.6 + posture.nod)
    head = shoulder[0] + 0.27 * sin(tilt), shoulder[1] - 0.27 * cos(tilt)
    near, far = (_arm(shoulder, hand, looks, ink) for hand, ink in zip(posture.hands, ("", "far-"), strict=True))
    near_leg, far_leg = (
        _leg((x, 0.0), foot, looks, ink) for foot, x, ink in zip(posture.feet, (0.02, -0.02), ("", "far-"), strict=True)
    )
    chest = polygon("top", *_hull(shoulder, (0.17 * wide, 0.13 * wide)))
    trunk = (
        *near_leg,
        stroke("top", 0.24 * wide, 0, -0.06, shoulder[0] * 0.9, shoulder[1] * 0.9),
        chest,
        *_skirt(looks, posture),
        stroke("skin", 0.11, *shoulder, *head),
        *_head(head, tilt, looks),
    )
    return Body((*far_leg, *far), trunk, near)


def _hull(shoulder: Point, half: tuple[float, float]) -> tuple[float, ...]:
    x, y = shoulder
    top, waist = half
    return (
        x - top,
        y + 0.05,
        x - top * 0.6,
        y - 0.04,
        x + top * 0.6,
        y - 0.04,
        x + top,
        y + 0.05,
        waist,
        0.06,
        -waist,
        0.06,
    )


def _arm(shoulder: Point, hand: Point, looks: Looks, ink: str) -> Marks:
    """Draw an arm that reaches for a point; the inks of the far one have a prefix."""
    side = -1 if hand[1] < shoulder[1] - 0.25 and hand[0] < shoulder[0] else 1
    elbow, end = bend(shoulder, hand, (UPPER_ARM, FOREARM), side)
    sleeve = f"{ink}top" if looks.sleeves == "long" else f"{ink}skin"
    return (
        stroke(f"{ink}top", 0.12 * looks.build, *shoulder, *elbow),
        stroke(sleeve, 0.1, *elbow, *end),
        oval(f"{ink}skin", *end, 0.065),
    )


def _leg(hip: Point, foot: Point, looks: Looks, ink: str) -> Marks:
    """Draw a leg whose knee bends forward."""
    knee, end = bend(hip, foot, (THIGH, SHIN), -1)
    shin = f"{ink}legs" if looks.legs == "trousers" else f"{ink}skin"
    return (
        stroke(f"{ink}legs", 0.16 * looks.build, *hip, *knee),
        stroke(shin, 0.115, *knee, *end),
        stroke(f"{ink}shoe", 0.1, end[0], end[1], end[0] + 0.12, end[1] + 0.01),
    )


def _skirt(looks: Looks, posture: Posture) -> Marks:
    if looks.legs != "skirt":
        return ()
    knees = [bend((0, 0), foot, (THIGH, SHIN), -1)[0] for foot in posture.feet]
    left, right = min(x for x, _ in knees) - 0.1, max(x for x, _ in knees) + 0.1
    low = max(y for _, y in knees)
    return (polygon("legs", -0.13, -0.04, 0.13, -0.04, right, low, left, low),)


def _head(head: Point, tilt: float, looks: Looks) -> Marks:
    """Draw a head without a face: its hair, and a nose that shows where it looks."""
    x, y = head
    front, up = (cos(tilt), sin(tilt)), (sin(tilt), -cos(tilt))

    def at(a: float, b: float) -> Point:
        return x + HEAD * (a * front[0] + b * up[0]), y + HEAD * (a * front[1] + b * up[1])

    start = 165 + np.degrees(tilt)
    hair = Mark("hair", curve(x, y, HEAD * 1.08, HEAD * 1.08, start - 20, start + 150))
    back = (stroke("hair", HEAD * 0.9, *at(-0.7, 0.2), *at(-0.75, -1.6)),) if looks.hair == "long" else ()
    extra = {
        "bun": (oval("hair", *at(-1.0, 0.6), HEAD * 0.45),),
        "cap": (stroke("hair", HEAD * 0.35, *at(0, 0.75), *at(1.5, 0.55)),),
    }.get(looks.hair, ())
    skull = (oval("skin", x, y, HEAD, HEAD * 1.08), oval("skin", *at(0.98, -0.1), HEAD * 0.22))
    return (*back, *skull, *((hair,) if looks.hair != "none" else ()), *extra)


def any_clothes(rng: np.random.Generator, prefix: str = "") -> dict[str, Colour]:
    """Draw the colours of somebody: skin, hair and clothes of any colour; far limbs are a little darker."""
    plain = np.zeros(3)
    near = {
        "skin": worn(_SKINS[rng.integers(len(_SKINS))], 0.0, rng.uniform(0.92, 1.06), plain),
        "hair": any_colour(rng, (10, 50), (0.1, 0.7), (0.1, 0.75)),
        "top": any_colour(rng, saturation=(0.05, 0.95), value=(0.2, 1)),
        "legs": any_colour(rng, saturation=(0.05, 0.8), value=(0.12, 0.9)),
        "shoe": any_colour(rng, saturation=(0, 0.6), value=(0.1, 0.9)),
    }
    far = {f"far-{ink}": worn(colour, 0.0, 0.78, plain) for ink, colour in near.items()}
    return {f"{prefix}{ink}": colour for ink, colour in (near | far).items()}
