"""What drawn people do: for each action a posture, and the thing that is held, ridden or pushed."""

from collections.abc import Callable
from dataclasses import dataclass
from math import cos, pi, sin
from typing import TypeAlias

import numpy as np

from heirloom.data.synthetic.dog_bodies import Breed, standing
from heirloom.data.synthetic.human_bodies import GROUND, Posture
from heirloom.data.synthetic.scene import Mark, Point, arc, box, curve, moved, oval, polygon, stroke

Marks: TypeAlias = tuple[Mark, ...]

PET = Breed("", ((190, 140, 90), (60, 52, 50), (225, 215, 200), (120, 84, 60)))


@dataclass(frozen=True)
class Act:
    """A posture and the things that belong to it: behind the person, before the trunk, and before all.

    `ground`: the height of the ground below the hip; None: there is none. `water`: it is of water.
    """

    posture: Posture
    behind: Marks = ()
    held: Marks = ()
    before: Marks = ()
    ground: float | None = GROUND
    water: bool = False


# ---------------------------------------------------------------------------------------------------------- actions


def walk(rng: np.random.Generator, least: float = 0.02, most: float = 0.3) -> tuple[Point, Point]:
    """Let feet stand apart."""
    stride = rng.uniform(least, most) * (1 if rng.random() < 0.5 else -1)
    return (stride, GROUND), (-stride, GROUND)


def near(rng: np.random.Generator, x: float, y: float, spread: float = 0.06) -> Point:
    """Draw a point about another."""
    return x + rng.normal(0, spread), y + rng.normal(0, spread)


def _umbrella(rng: np.random.Generator) -> Act:
    hand = near(rng, 0.24, -0.55)
    x, y = hand[0] + rng.normal(-0.05, 0.06), hand[1] - rng.uniform(0.6, 0.85)
    half, high = rng.uniform(0.55, 0.75), rng.uniform(0.3, 0.45)
    canopy = (
        Mark("thing", curve(x, y, half, high, 180, 360)),
        *(stroke("trim", 0.025, x, y - high, x + half * t, y) for t in (-0.5, 0, 0.5)),
        stroke("dark", 0.035, x, y - high - 0.1, *hand),
    )
    return Act(Posture((hand, near(rng, 0.05, 0.05)), walk(rng)), behind=canopy)


def _bicycle(rng: np.random.Generator) -> Act:
    r, pedal = 0.37, rng.uniform(0, 2 * pi)
    rear, front, seat, bar = (-0.5, 0.66), (0.62, 0.66), (-0.14, 0.1), (0.46, -0.06)
    crank = (0.05, 0.66)
    feet = [(crank[0] + s * 0.15 * cos(pedal), crank[1] + s * 0.15 * sin(pedal)) for s in (1, -1)]
    wheels = tuple(mark for x, y in (rear, front) for mark in (arc("dark", 0.06, x, y, r), oval("metal", x, y, 0.05)))
    frame = (
        stroke("thing", 0.055, *rear, *crank, 0.4, 0.14, *seat, *rear),
        stroke("thing", 0.055, *seat, *crank),
        stroke("thing", 0.055, *front, *bar),
        stroke("dark", 0.06, bar[0] - 0.08, bar[1] - 0.02, bar[0] + 0.1, bar[1] - 0.02),
        stroke("dark", 0.08, seat[0] - 0.12, seat[1], seat[0] + 0.12, seat[1]),
    )
    posture = Posture((bar, bar), (feet[0], feet[1]), lean=rng.uniform(18, 42), nod=-15)
    return Act(posture, behind=(*wheels, *frame), ground=rear[1] + r)


def _guitar(rng: np.random.Generator) -> Act:
    x, y = near(rng, 0.1, -0.16, 0.04)
    turn = rng.uniform(-38, -15)
    body = (
        oval("thing", -0.1, 0, 0.24, 0.22),
        oval("thing", 0.16, 0, 0.17, 0.17),
        oval("dark", 0.1, 0, 0.07),
        stroke("trim", 0.06, 0.2, 0, 0.78, 0),
        stroke("dark", 0.09, 0.78, 0, 0.88, 0),
    )
    neck = moved((Mark("", ((0.62, 0.0),)),), x, y, turn=turn)[0].points[0]
    seated = rng.random() < 0.4
    feet, seat = _seated(rng) if seated else (walk(rng), ())
    held = moved(body, x, y, turn=turn)
    return Act(Posture(((x, y), neck), feet, nod=12), behind=seat, held=held, ground=0.5 if seated else GROUND)


def _jump(rng: np.random.Generator) -> Act:
    hands = near(rng, 0.3, -1.1, 0.1), near(rng, -0.28, -1.05, 0.1)
    feet = near(rng, 0.3, 0.42, 0.1), near(rng, -0.35, 0.5, 0.1)
    low = rng.uniform(0.95, 1.3)
    shadow = oval("dark", 0, low + 0.04, 0.4, 0.05)
    return Act(Posture(hands, feet, lean=rng.uniform(-12, 15), nod=-10), behind=(shadow,), ground=low)


def _seated(rng: np.random.Generator, high: float = 0.45) -> tuple[tuple[Point, Point], Marks]:
    """Let somebody sit: where the feet stand, and what is sat on."""
    feet = near(rng, 0.42, high + 0.02, 0.03), near(rng, 0.36, high + 0.02, 0.03)
    seat = (
        box("furniture", -0.3, 0.09, 0.3, 0.17),
        stroke("furniture", 0.06, -0.24, 0.12, -0.26, high + 0.05),
        stroke("furniture", 0.06, 0.24, 0.12, 0.24, high + 0.05),
    )
    chair = (stroke("furniture", 0.06, -0.27, 0.12, -0.32, -0.5),) if rng.random() < 0.5 else ()
    return feet, (*seat, *chair)


def _fishing(rng: np.random.Generator) -> Act:
    sits = rng.random() < 0.5
    feet, seat = _seated(rng) if sits else (walk(rng, most=0.15), ())
    hand, low = near(rng, 0.36, -0.3), 0.5 if sits else GROUND
    tip = rng.uniform(0.95, 1.25), rng.uniform(-1.0, -0.6)
    rod = (
        stroke("dark", 0.035, hand[0] - 0.12, hand[1] + 0.08, *hand, *tip),
        stroke("trim", 0.015, *tip, tip[0] + 0.03, low + 0.05),
        oval("thing", tip[0] + 0.03, low + 0.05, 0.045),
    )
    shore = rng.uniform(0.5, 0.65)
    pond = polygon("water", shore, low, tip[0] + 0.35, low, tip[0] + 0.35, low + 0.3, shore - 0.2, low + 0.3)
    return Act(Posture((hand, hand), feet), behind=(*seat, pond), held=rod, ground=low)


def _cart(rng: np.random.Generator) -> Act:
    left, right, top, low = 0.55, rng.uniform(1.05, 1.3), rng.uniform(-0.15, 0.05), 0.5
    handle = 0.42, rng.uniform(-0.3, -0.18)
    basket = (
        stroke(
            "metal", 0.04, left - 0.02, top, right, top + 0.05, right - 0.08, low, left + 0.08, low, left - 0.02, top
        ),
        *(
            stroke("metal", 0.022, left + t * (right - left), top, left + 0.06 + t * (right - left - 0.12), low)
            for t in (0.25, 0.5, 0.75)
        ),
        stroke("metal", 0.022, left, (top + low) / 2, right - 0.03, (top + low) / 2),
        stroke("dark", 0.05, left, top, *handle),
        stroke("metal", 0.04, left + 0.08, low, left + 0.1, 0.78, right - 0.1, 0.78),
        *(oval("dark", x, GROUND - 0.07, 0.07) for x in (left + 0.1, right - 0.1)),
    )
    load = tuple(
        oval("thing", x, top + 0.02, 0.13) for x in rng.uniform(left + 0.1, right - 0.1, int(rng.integers(0, 4)))
    )
    return Act(Posture((handle, handle), walk(rng, 0.12, 0.36), lean=rng.uniform(6, 20)), behind=(*load, *basket))


def _horse(rng: np.random.Generator) -> Act:
    swing = rng.uniform(-0.22, 0.22, 4).tolist()
    foot = 1.35
    legs = tuple(
        stroke(ink, 0.12, x, 0.6, x + s * 0.5, 1.0, x + s, foot)
        for ink, x, s in zip(("far-hide", "hide", "far-hide", "hide"), (-0.5, -0.42, 0.42, 0.5), swing, strict=True)
    )
    high = rng.uniform(-0.4, -0.15)
    animal = (
        stroke("mane", 0.13, -0.72, 0.3, -0.9, 0.5, -0.92, 0.95),
        *legs[::2],
        oval("hide", 0, 0.42, 0.72, 0.32),
        stroke("hide", 0.28, 0.5, 0.3, 0.85, high),
        stroke("mane", 0.07, 0.38, 0.12, 0.72, high - 0.06),
        stroke("hide", 0.2, 0.86, high, 1.12, high + 0.24),
        polygon("hide", 0.78, high - 0.06, 0.82, high - 0.26, 0.9, high - 0.08),
        *legs[1::2],
        stroke("dark", 0.03, 1.05, high + 0.2, 0.36, -0.08),
    )
    posture = Posture((near(rng, 0.36, -0.1, 0.03),) * 2, ((0.16, 0.62), (0.12, 0.6)), lean=rng.uniform(-5, 15))
    return Act(posture, behind=animal, ground=foot)


def _bow(rng: np.random.Generator) -> Act:
    grip, hand = near(rng, 0.64, -0.6, 0.04), near(rng, 0.02, -0.62, 0.04)
    reach = rng.uniform(0.5, 0.62)
    tips = [(grip[0] - 0.16, grip[1] + s * reach) for s in (-1, 1)]
    bow = Mark("thing", curve(grip[0] - 0.16, grip[1], 0.2, reach, -90, 90), 0.05)
    string = stroke("trim", 0.02, *tips[0], *hand, *tips[1])
    arrow = stroke("dark", 0.03, *hand, grip[0] + 0.25, grip[1] - 0.01)
    feet = (rng.uniform(0.15, 0.3), GROUND), (-rng.uniform(0.15, 0.3), GROUND)
    return Act(Posture((hand, grip), feet), held=(bow, string, arrow))


def _dog_walk(rng: np.random.Generator) -> Act:
    size = rng.uniform(0.26, 0.4)
    animal, low = standing(PET, rng)
    hand, x = near(rng, 0.3, -0.05), rng.uniform(0.8, 1.05)
    placed = moved(animal, x, GROUND - size * low, size, flip=True)
    collar = (x + size * 0.85, GROUND - size * (low + 0.35))
    return Act(
        Posture((hand, near(rng, -0.1, 0.05)), walk(rng, 0.1)), behind=(*placed, stroke("trim", 0.03, *hand, *collar))
    )


def _boat(rng: np.random.Generator) -> Act:
    hands = (near(rng, 0.42, -0.25, 0.05),) * 2
    blade = rng.uniform(-0.75, -0.2), 0.62
    hull = (
        polygon("thing", -1.0, 0.12, 1.05, 0.08, 0.8, 0.5, -0.75, 0.5),
        stroke("trim", 0.05, -1.0, 0.12, 1.05, 0.08),
        stroke("furniture", 0.05, *hands[0], *blade),
        oval("furniture", blade[0], blade[1], 0.14, 0.07),
    )
    feet = (0.55, 0.3), (0.5, 0.32)
    return Act(Posture(hands, feet, lean=rng.uniform(-22, 22)), before=hull, ground=0.42, water=True)


def _reading(rng: np.random.Generator) -> Act:
    feet, seat = _seated(rng)
    x, y = near(rng, 0.4, -0.38, 0.05)
    book = (
        polygon("thing", -0.22, -0.14, 0, -0.07, 0.22, -0.14, 0.22, 0.16, 0, 0.23, -0.22, 0.16),
        polygon("paper", -0.19, -0.15, 0, -0.09, 0.19, -0.15, 0.19, 0.12, 0, 0.18, -0.19, 0.12),
        stroke("dark", 0.02, 0, -0.09, 0, 0.18),
        *(stroke("metal", 0.018, s * 0.05, h - 0.02, s * 0.15, h - 0.05) for s in (-1, 1) for h in (0, 0.07, 0.14)),
    )
    return Act(
        Posture(((x - 0.06, y + 0.12), (x + 0.05, y + 0.12)), feet, lean=rng.uniform(-6, 10), nod=22),
        behind=seat,
        held=moved(book, x, y, turn=rng.uniform(-25, 5)),
        ground=0.5,
    )


def _climbing(rng: np.random.Generator) -> Act:
    hands = near(rng, 0.4, -1.05, 0.06), near(rng, 0.38, -0.75, 0.06)
    feet = near(rng, 0.36, 0.3, 0.06), near(rng, 0.34, 0.68, 0.06)
    edge = [(0.44 + rng.normal(0, 0.04), y) for y in np.linspace(-1.7, 1.2, 8).tolist()]
    wall = Mark("stone", (*edge, (1.3, 1.2), (1.3, -1.7)))
    holds = [oval("thing", x + 0.05, y, 0.08, 0.06) for x, y in (*hands, *feet)]
    cracks = rng.uniform((0.55, -1.5, -0.3), (1.2, 1.0, 0.3), (5, 3)).tolist()
    rock = (wall, *(stroke("dark", 0.02, x, y, x + 0.2, y + lean) for x, y, lean in cracks), *holds)
    return Act(Posture(hands, feet, lean=rng.uniform(-2, 12), nod=-25), behind=rock, ground=None)


def _mop(rng: np.random.Generator) -> Act:
    foot = rng.uniform(0.55, 0.9), GROUND - 0.02
    top = rng.uniform(0.1, 0.3), rng.uniform(-0.75, -0.55)
    along = [(top[0] + t * (foot[0] - top[0]), top[1] + t * (foot[1] - top[1])) for t in (0.18, 0.5)]
    mop = (
        stroke("furniture", 0.045, *top, *foot),
        *(stroke("paper", 0.05, foot[0], foot[1] - 0.1, foot[0] + s * 0.18, foot[1]) for s in (-1, -0.5, 0, 0.5, 1)),
    )
    bucket = polygon("thing", -0.75, 0.55, -0.4, 0.55, -0.45, GROUND, -0.7, GROUND)
    return Act(
        Posture((along[1], along[0]), walk(rng, 0.08), lean=rng.uniform(16, 38), nod=15),
        behind=(bucket,) * int(rng.integers(2)),
        held=mop,
    )


def _running(rng: np.random.Generator) -> Act:
    feet = (0.42, 0.72), (-0.5, 0.5)
    if rng.random() < 0.5:
        feet = feet[::-1]
    hands = ((-0.2, -0.3), (0.36, -0.5)) if feet[0][0] > 0 else ((0.38, -0.5), (-0.15, -0.3))
    return Act(Posture(hands, feet, lean=rng.uniform(8, 22), nod=-5), ground=rng.uniform(0.84, 0.96))


def _frisbee(rng: np.random.Generator) -> Act:
    hand = near(rng, 0.6, -0.72)
    x, y = hand[0] + rng.uniform(0.15, 0.6), hand[1] - rng.uniform(-0.05, 0.25)
    disc = moved((oval("thing", 0, 0, 0.24, 0.07), oval("trim", 0, -0.02, 0.14, 0.03)), x, y, turn=rng.uniform(-20, 15))
    feet = (rng.uniform(0.3, 0.42), GROUND - 0.05), (-rng.uniform(0.25, 0.4), GROUND - 0.05)
    return Act(Posture((hand, near(rng, -0.35, -0.3)), feet, lean=rng.uniform(8, 26)), held=disc, ground=GROUND - 0.05)


def _phone(rng: np.random.Generator) -> Act:
    seated = rng.random() < 0.3
    feet, seat = _seated(rng) if seated else (walk(rng), ())
    hand = (0.13 + rng.normal(0, 0.01), -0.8 + rng.normal(0, 0.015))
    phone = moved(
        (box("dark", -0.05, -0.15, 0.05, 0.13), box("thing", -0.035, -0.11, 0.035, 0.06)),
        0.06,
        -0.87,
        turn=rng.uniform(-15, 20),
    )
    posture = Posture((hand, near(rng, 0.02, 0.02)), feet, nod=rng.uniform(0, 12))
    return Act(posture, behind=seat, before=phone, ground=0.5 if seated else GROUND)


def _computer(rng: np.random.Generator) -> Act:
    feet, seat = _seated(rng, 0.6)
    desk = (box("furniture", 0.28, -0.16, 1.2, -0.09), stroke("furniture", 0.06, 1.12, -0.1, 1.12, 0.64))
    screen = moved(
        (
            polygon("dark", -0.03, 0.0, 0.1, -0.52, 0.16, -0.52, 0.06, 0.0),
            polygon("glow", -0.05, -0.03, 0.07, -0.48, 0.1, -0.5, 0.0, -0.02),
        ),
        0.82,
        -0.16,
    )
    keys = stroke("metal", 0.05, 0.42, -0.19, 0.84, -0.19)
    hands = near(rng, 0.5, -0.24, 0.03), near(rng, 0.56, -0.24, 0.03)
    return Act(Posture(hands, feet, lean=rng.uniform(-4, 14), nod=8), behind=(*seat, *desk, *screen, keys), ground=0.64)


def _drinking(rng: np.random.Generator) -> Act:
    seated = rng.random() < 0.4
    feet, seat = _seated(rng) if seated else (walk(rng), ())
    turn = rng.uniform(-75, -30)
    glass = moved(
        (
            polygon("thing", -0.08, -0.18, 0.08, -0.18, 0.06, 0.12, -0.06, 0.12),
            stroke("paper", 0.03, -0.08, -0.17, 0.08, -0.17),
        ),
        0.3,
        -0.84,
        turn=turn,
    )
    posture = Posture((near(rng, 0.34, -0.78, 0.02), near(rng, 0.02, 0.0)), feet, nod=rng.uniform(-28, -10))
    return Act(posture, behind=seat, held=glass, ground=0.5 if seated else GROUND)


ACTIONS: tuple[tuple[str, Callable[[np.random.Generator], Act]], ...] = (
    ("holding_an_umbrella", _umbrella),
    ("riding_a_bike", _bicycle),
    ("playing_guitar", _guitar),
    ("jumping", _jump),
    ("fishing", _fishing),
    ("pushing_a_cart", _cart),
    ("riding_a_horse", _horse),
    ("shooting_an_arrow", _bow),
    ("walking_the_dog", _dog_walk),
    ("rowing_a_boat", _boat),
    ("reading", _reading),
    ("climbing", _climbing),
    ("cleaning_the_floor", _mop),
    ("running", _running),
    ("throwing_frisby", _frisbee),
    ("phoning", _phone),
    ("using_a_computer", _computer),
    ("drinking", _drinking),
)
"""Names, which are published ones, and drawers of all actions; any first few are of many sorts."""
