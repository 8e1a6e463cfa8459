"""How drawn dogs are built: a breed's measures, the parts of a body, and the stances that it is seen in."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import cos, radians, sin
from typing import TypeAlias

import numpy as np

from heirloom.data.synthetic.scene import Colour, Mark, Point, curve, moved, oval, polygon, stroke

Marks: TypeAlias = tuple[Mark, ...]

_BLACK, _CREAM = (44, 40, 42), (222, 196, 150)


@dataclass(frozen=True)
class Breed:
    """What dogs of one breed share. Lengths are in half lengths of a trunk.

    `muzzle`: its length and half depth. `hair`: the length of what hangs from the coat. `coats`: the colours a dog may
    have; the others' names are inks of the drawing.
    """

    name: str
    coats: tuple[Colour, ...]
    depth: float = 0.42
    waist: float = 0.3
    legs: float = 0.75
    limb: float = 0.17
    neck: float = 0.45
    head: float = 0.34
    muzzle: tuple[float, float] = (0.36, 0.15)
    ears: str = "drop"
    ear: float = 0.4
    tail: str = "straight"
    hair: float = 0.0
    pattern: str = "plain"
    mark: Colour = _BLACK
    under: Colour = _CREAM


# ------------------------------------------------------------------------------------------------------------ parts


def _fringe(ink: str, points: Iterable[Point], length: float, rng: np.random.Generator, lean: float = 0.1) -> Marks:
    """Let hair hang from points; none where it has no length."""
    if not length:
        return ()
    return tuple(
        stroke(ink, 0.07, x, y, x + rng.normal(lean, 0.04), y + length * rng.uniform(0.7, 1.25)) for x, y in points
    )


def _trunk(breed: Breed, rng: np.random.Generator) -> Marks:
    """Draw a trunk about the origin, the chest to the left, with its pattern."""
    deep, waist = breed.depth, breed.waist
    back = (-0.95, -deep * 0.5, -0.6, -deep * 0.95, 0, -waist * 1.05, 0.6, -waist * 1.25, 0.98, -waist * 0.6)
    belly = (0.95, waist * 0.6, 0.5, waist * 0.8, 0, waist * 1.05, -0.5, deep * 1.1, -0.95, deep * 0.5)
    shape = (
        oval("coat", -0.52, 0.02, 0.5, deep * 1.05),
        oval("coat", 0.58, -0.02, 0.46, waist * 1.25),
        polygon("coat", *back, *belly),
    )
    under = stroke("under", 0.1, -0.6, deep * 0.85, 0.1, waist * 0.85) if breed.pattern in ("saddle", "mask") else None
    hanging = _fringe("shade", [(x, deep * 0.75) for x in np.linspace(-0.8, 0.8, 12).tolist()], breed.hair * 1.5, rng)
    tufts = _fringe("coat", [(x, -deep * 0.3) for x in np.linspace(-0.9, 0.9, 9).tolist()], breed.hair * 2, rng)
    return (
        *hanging,
        *shape,
        *((under,) if under else ()),
        *_pattern(breed, rng),
        *tufts[:: 2 if breed.pattern != "plain" else 1],
    )


def _pattern(breed: Breed, rng: np.random.Generator) -> Marks:
    deep, waist = breed.depth, breed.waist
    if breed.pattern == "saddle":
        return (
            polygon(
                "mark", -0.75, -deep * 0.9, 0, -waist * 1.15, 0.75, -waist * 1.25, 0.6, 0, 0, waist * 0.35, -0.6, 0
            ),
        )
    if breed.pattern == "spots":
        places = rng.uniform((-0.85, -0.75, 0.04), (0.85, 0.8, 0.09), (16, 3)).tolist()
        return tuple(oval("mark", x, y * waist, r, r * 0.8) for x, y, r in places)
    if breed.pattern == "patches":
        places = [(-0.45, -0.3, 0.34), (0.5, -0.2, 0.36), (0.05, 0.1, 0.16)]
        return tuple(
            oval("mark", x + rng.normal(0, 0.1), y * waist, r * rng.uniform(0.7, 1.1), r * 0.75) for x, y, r in places
        )
    if breed.pattern == "brindle":
        places = np.linspace(-0.8, 0.8, 9) + rng.normal(0, 0.03, 9)
        return tuple(stroke("mark", 0.05, x, -waist * 0.9, x + 0.08, waist * 0.7) for x in places.tolist())
    return ()


def _tail(breed: Breed, rng: np.random.Generator) -> Marks:
    """Draw a tail that leaves the trunk at its rear end, to the right."""
    x, y, lift = 0.92, -breed.waist * 0.75, rng.uniform(-0.25, 0.25)
    if breed.tail == "curl":
        ring = curve(x - 0.12, y - 0.3, 0.3, 0.3, 70, -150)
        return (Mark("coat", ring, 0.2), *_fringe("shade", ring[2:-2], breed.hair * 0.7, rng))
    ends = {
        "bob": ((0.14, -0.08),),
        "straight": ((0.4, 0.05 - lift), (0.75, 0.1 - 2 * lift)),
        "up": ((0.16, -0.32), (0.12 + lift * 0.4, -0.68)),
        "whip": ((0.3, 0.3), (0.5, 0.62), (0.8, 0.66 - lift)),
        "plume": ((0.4, -0.05 - lift), (0.85, -0.3 - lift)),
    }[breed.tail]
    points = [(x, y), *((x + a, y + b) for a, b in ends)]
    width = {"whip": 0.07, "bob": 0.2, "plume": 0.15}.get(breed.tail, 0.12)
    between = [tuple(np.add(np.multiply(points[-2], 1 - t), np.multiply(points[-1], t))) for t in np.linspace(0, 1, 7)]
    plume = _fringe("shade", [(float(a), float(b)) for a, b in between], 0.34, rng) if breed.tail == "plume" else ()
    return (*plume, Mark("coat", tuple(points), width))


def _ear(breed: Breed, x: float, y: float, turn: float = 0.0) -> Marks:
    """Draw the near ear of a head that looks to the left, at a point on it."""
    e = breed.ear
    shapes = {
        "prick": (-0.32 * e, 0.1, 0.05 * e, -1.1 * e, 0.42 * e, 0.12),
        "bat": (-0.4 * e, 0.1, -0.1 * e, -1.1 * e, 0.45 * e, -0.75 * e, 0.4 * e, 0.15),
        "rose": (-0.3 * e, 0.05, 0.1 * e, -0.5 * e, 0.8 * e, -0.1 * e, 0.5 * e, 0.3 * e),
        "drop": (-0.25 * e, -0.12, 0.35 * e, -0.14, 0.6 * e, 0.55 * e, 0.2 * e, 1.15 * e, -0.2 * e, 0.7 * e),
    }
    return moved((polygon("ear", *shapes[breed.ears]),), x, y, turn=turn)


def _head(breed: Breed, rng: np.random.Generator) -> Marks:
    """Draw a head about the origin that looks to the left."""
    r, (length, half) = breed.head, breed.muzzle
    tip, low = -r * 0.75 - length, r * 0.25
    muzzle = (
        stroke("face", half * 2, -r * 0.4, low, tip + half, low),
        stroke("deep", 0.035, tip + half * 0.4, low + half * 0.5, -r * 0.5, low + half * 0.6),
        oval("nose", tip + 0.03, low - half * 0.45, 0.085),
    )
    tongue = (oval("tongue", tip + half + 0.08, low + half * 1.1, 0.07, 0.14),) if rng.random() < 0.3 else ()
    beard = _fringe(
        "face", [(x, low + half * 0.5) for x in np.linspace(tip + 0.1, -r * 0.3, 5).tolist()], breed.hair * 1.4, rng
    )
    skull = (oval("coat", 0, 0, r), Mark("face", curve(-r * 0.35, 0.05, r * 0.5, r * 0.7)))
    patch = (oval("mark", 0.02, -r * 0.15, r * 0.6),) if breed.pattern in ("patches", "spots") else ()
    eye = (oval("nose", -r * 0.42, -r * 0.22, 0.075), oval("glint", -r * 0.46, -r * 0.28, 0.03))
    far = _ear(breed, -r * 0.2, -r * 0.7) if breed.ears in ("prick", "bat") else ()
    return (*far, *tongue, *beard, *skull[:1], *patch, *skull[1:], *muzzle, *eye, *_ear(breed, r * 0.25, -r * 0.55))


def _facing(breed: Breed, rng: np.random.Generator) -> Marks:
    """Draw a head about the origin that looks at the camera."""
    r, (length, half) = breed.head * 1.1, breed.muzzle
    drop = r * 0.35 + length * 0.25
    ears = _ear(breed, r * 0.65, -r * 0.55, turn=8)
    behind, before = (
        ((*ears, *moved(ears, flip=True)), ())
        if breed.ears in ("prick", "bat")
        else ((), (*ears, *moved(ears, flip=True)))
    )
    patch = (oval("mark", r * 0.45, -r * 0.15, r * 0.45),) if breed.pattern in ("patches", "spots") else ()
    beard = _fringe("face", [(x, drop) for x in np.linspace(-half, half, 5).tolist()], breed.hair * 1.6, rng, lean=0.0)
    return (
        *behind,
        oval("coat", 0, 0, r * 1.02, r),
        *patch,
        oval("face", 0, drop * 0.85, half * 1.25 + 0.05, drop * 0.62),
        *beard,
        *(oval("nose", side * r * 0.42, -r * 0.15, 0.08) for side in (-1, 1)),
        oval("nose", 0, drop * 0.75, 0.11, 0.08),
        stroke("deep", 0.035, -half * 0.7, drop * 1.15, 0, drop * 1.02, half * 0.7, drop * 1.15),
        *before,
    )


def _leg(breed: Breed, ink: str, x: float, y: float, length: float, swing: float, *, hind: bool) -> Marks:
    """Draw a leg from a joint down to its paw; `swing` in degrees, forward above 0; `length` without the joint."""
    knee = (x - length * 0.5 * sin(radians(swing)) + (0.14 if hind else 0), y + length * 0.5)
    foot = (x - length * sin(radians(swing)), y + length * cos(radians(swing)))
    thigh = (stroke(ink, breed.limb * 1.7, x, y - 0.05, x + 0.02, y + length * 0.3),)
    paw = stroke("paw" if breed.pattern == "mask" else ink, breed.limb * 0.95, foot[0], foot[1], foot[0] - 0.1, foot[1])
    return (*thigh, stroke(ink, breed.limb, x, y, *knee, *foot), paw)


def _neck_and_head(breed: Breed, x: float, y: float, rng: np.random.Generator) -> Marks:
    """Draw a neck that rises to the left from a point, and the head on it, which may look back."""
    aim = radians(rng.uniform(205, 262))
    reach = breed.neck + breed.head * 0.5
    a, b = x + reach * cos(aim), y + reach * sin(aim)
    neck = stroke("coat", breed.head * 1.35, x + 0.1, y + 0.1, a, b)
    ruff = _fringe("coat", [(x - 0.1 + 0.07 * n, y - 0.15) for n in range(-3, 4)], breed.hair * 2, rng)
    back = rng.random() < 0.12
    head = moved(_head(breed, rng), a, b, turn=rng.uniform(-16, 16), flip=back)
    return (neck, *ruff, *head)


# ---------------------------------------------------------------------------------------------------------- stances


def standing(breed: Breed, rng: np.random.Generator) -> tuple[Marks, float]:
    """Draw a dog that stands or walks, and the height of the ground below it."""
    low = breed.depth * 0.45
    reach = breed.legs + breed.depth * 0.55
    stride = rng.uniform(0, 34) * (1 if rng.random() < 0.7 else 0.2)
    swings = np.array((stride, -stride, -stride, stride)) * rng.uniform(0.5, 1, 4)
    far, near = (
        (*_leg(breed, ink, -0.58 + s, low, reach, f, hind=False), *_leg(breed, ink, 0.62 + s, low, reach, h, hind=True))
        for ink, s, f, h in (("shade", 0.06, *swings[:2]), ("coat", -0.04, *swings[2:]))
    )
    head = _neck_and_head(breed, -0.72, -breed.depth * 0.4, rng)
    return (*_tail(breed, rng), *far, *_trunk(breed, rng), *near, *head), low + reach + breed.limb * 0.4


def _sitting(breed: Breed, rng: np.random.Generator) -> tuple[Marks, float]:
    """Draw a dog that sits."""
    turn = rng.uniform(42, 58)
    shoulder = (-0.62 * cos(radians(turn)), -0.62 * sin(radians(turn)))
    rump = (0.6 * cos(radians(turn)), 0.6 * sin(radians(turn)))
    ground = rump[1] + breed.waist * 1.2 + breed.legs * 0.12
    reach = ground - shoulder[1] - breed.limb * 0.4
    legs = [
        _leg(breed, ink, shoulder[0] + s - 0.05, shoulder[1], reach, rng.uniform(-3, 5), hind=False)
        for ink, s in (("shade", 0.12), ("coat", 0.0))
    ]
    haunch = (
        oval("coat", rump[0] - 0.08, rump[1] + 0.02, 0.4, breed.waist * 1.25),
        stroke("coat", breed.limb, rump[0] - 0.1, ground - breed.limb * 0.4, rump[0] - 0.5, ground - breed.limb * 0.4),
    )
    trunk = moved((*_tail(breed, rng), *_trunk(breed, rng)), turn=turn)
    head = _neck_and_head(breed, shoulder[0], shoulder[1] - breed.depth * 0.35, rng)
    return (*legs[0], *trunk, *haunch, *legs[1], *head), ground


def _lying(breed: Breed, rng: np.random.Generator) -> tuple[Marks, float]:
    """Draw a dog that lies on its belly."""
    ground = breed.depth * 1.05
    limb = breed.limb
    fore = stroke("coat", limb, -0.5, ground - limb, -0.9 - breed.legs * 0.55, ground - limb * 0.5)
    hind = (
        oval("coat", 0.55, 0.1, 0.4, breed.waist * 1.05),
        stroke("coat", limb, 0.55, ground - limb * 0.5, 0.55 - breed.legs * 0.55, ground - limb * 0.5),
    )
    far = stroke("shade", limb, -0.4, ground - limb, -0.7 - breed.legs * 0.6, ground - limb * 0.7)
    head = _neck_and_head(breed, -0.75, -breed.depth * 0.3, rng)
    return (*_tail(breed, rng), far, *_trunk(breed, rng), *hind, fore, *head), ground


def _front(breed: Breed, rng: np.random.Generator) -> tuple[Marks, float]:
    """Draw a dog that faces the camera."""
    wide, low = breed.depth * 1.05, breed.depth * 0.4
    ground = low + breed.legs + breed.depth * 0.4
    legs = [stroke("coat", breed.limb * 1.2, s * wide * 0.55, low * 0.2, s * wide * 0.5, ground) for s in (-1, 1)]
    hind = [stroke("shade", breed.limb * 1.3, s * wide * 0.8, low, s * wide * 0.75, ground - 0.12) for s in (-1, 1)]
    chest = (oval("coat", 0, 0, wide, breed.depth * 1.15), oval("under", 0, 0.1, wide * 0.5, breed.depth * 0.7))
    hair = _fringe(
        "coat", [(x, breed.depth * 0.5) for x in np.linspace(-wide, wide, 9).tolist()], breed.hair * 1.8, rng, lean=0
    )
    lift = -breed.depth * 0.75 - breed.neck * 0.7
    spots = moved(_pattern(breed, rng), 0, 0, wide) if breed.pattern in ("spots", "brindle", "patches") else ()
    neck = stroke("coat", breed.head * 1.5, 0, lift, 0, -0.1)
    head = moved(_facing(breed, rng), rng.uniform(-0.12, 0.12), lift, turn=rng.uniform(-14, 14))
    tail = moved(_tail(breed, rng), -0.5, 0.1) if breed.tail in ("curl", "plume", "up") else ()
    return (*tail, *hind, neck, *chest, *spots, *hair, *legs, *head), ground


STANCES: tuple[Callable[[Breed, np.random.Generator], tuple[Marks, float]], ...] = (
    standing,
    standing,
    standing,
    standing,
    _sitting,
    _lying,
    _front,
)
"""Drawers of a dog that looks to the left, more or less, and of the height of the ground below it."""
