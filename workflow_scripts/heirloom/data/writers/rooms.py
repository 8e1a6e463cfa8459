"""Drawn rooms, written in the layout of MIT Indoor 67 (Quattoni and Torralba 2009).

Class names, folders, lists and their line ends are those of the published set; every pixel is drawn here. A class is a
kind of room, furnished anew for each picture: its size, plan, colours, light and the camera's place all vary, and
things that belong anywhere stand about.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt
from pathlib import Path
from typing import TypeAlias

import numpy as np
from PIL import Image

from heirloom.data.graphics import furniture as fit
from heirloom.data.graphics.files import check_classes, draw_size, save_jpeg, write_lines
from heirloom.data.graphics.furniture import SPINES, Solids, Space
from heirloom.data.graphics.interior import (
    Camera,
    Lamp,
    Piece,
    Solid,
    block,
    disc,
    drum,
    level,
    lit,
    placed,
    pole,
    prism,
    sheet,
    upright,
    view,
)
from heirloom.data.graphics.scene import (
    Colour,
    Range,
    SceneLimits,
    Tint,
    any_colour,
    check_counts,
    draw_setting,
    portray,
    stream,
)

Maker: TypeAlias = Callable[[Space, np.random.Generator], "Furnishing"]

_TRAINING, _TEST, _ORDER = range(3)
_LIMITS = SceneLimits(gain=(0.8, 1.5), share=(1, 1), turn=0, slant=0, shift=0, blur=(0.001, 0.008), grain=(1, 5))


@dataclass(frozen=True)
class Furnishing:
    """What a room holds: flat things drawn with the shell, in this order, and pieces that hide one another."""

    flat: tuple[Solid, ...]
    pieces: tuple[Piece, ...]


def _hung(*pieces: Piece) -> tuple[Solid, ...]:
    return tuple(solid for piece in pieces for solid in piece)


def _some_windows(
    space: Space, rng: np.random.Generator, side: str, size: tuple[Range, Range], sill: float
) -> tuple[Solid, ...]:
    """Hang one to three equal windows on a wall."""
    width, height = rng.uniform(*size[0]), rng.uniform(*size[1])
    reach = (-space.width / 2, space.width / 2) if side == "back" else (0.8, space.depth)
    places = np.linspace(*reach, int(rng.integers(1, 4)) + 2)[1:-1].tolist()
    return _hung(*(space.against(fit.window(width, height, sill, rng), side, place) for place in places))


def _side(rng: np.random.Generator) -> str:
    return "left" if rng.random() < 0.5 else "right"


def _other(side: str) -> str:
    return "right" if side == "left" else "left"


def _grid(
    columns: int, rows: int, x: Range, z: Range, rng: np.random.Generator, jitter: float
) -> list[tuple[float, float]]:
    """Lay places out in rows, each a little off its own, farthest row first."""
    return [
        (a + rng.normal(0, jitter), b + rng.normal(0, jitter))
        for b in np.linspace(z[1], z[0], rows).tolist()
        for a in np.linspace(*x, columns).tolist()
    ]


def _along(start: float, stop: float, pitch: float) -> list[float]:
    """Lay places out on a line, from the nearest."""
    return [float(place) for place in np.arange(start, stop, pitch)]


# Each function furnishes one kind of room.


def _kitchen(space: Space, rng: np.random.Generator) -> Furnishing:
    side, front = _side(rng), str(rng.choice(("white", "wood", "accent")))
    w, doors = space.width - 0.8, int(rng.integers(4, 7))
    stove_at, gap = rng.uniform(-w / 2 + 0.5, w / 2 - 0.6), rng.uniform(0.9, 1.4)
    counter = (*fit.cupboards(w, 0, 0.86, doors, front, 0.6), block("dark", 0, 0.86, -0.31, w, 0.06, 0.64))
    upper = fit.cupboards(w * rng.uniform(0.35, 0.6), 1.5, 0.75, max(2, doors // 2), front)
    hood = (prism("metal", ((-0.3, -0.5), (0.3, -0.5), (0.2, 0), (-0.2, 0)), 1.6, 1.85),)
    fridge = (block("metal", 0, 0, 0, 0.72, 1.85, 0.68), upright("dark", 0, 1.15, -0.35, 0.7, 0.03))
    run = fit.cupboards(1.8, 0, 0.86, 3, front, 0.6), (block("dark", 0, 0.86, -0.31, 1.8, 0.06, 0.64),)
    pots = (drum(str(rng.choice(SPINES)), 0, 0.92, 0, 0.12, 0.18),)
    pieces = [
        space.against(counter, "back", 0),
        space.against(upper, "back", -w * 0.22 if stove_at > 0 else w * 0.22),
        placed((*fit.stove(), *pots), stove_at, space.depth - 0.36),
        placed(hood, stove_at, space.depth - 0.02),
        space.against(fridge, _other(side), space.depth - gap, 0.4),
        space.against((*run[0], *run[1]), side, space.depth - 1.6),
    ]
    if rng.random() < 0.5:
        pieces.append(placed((*fit.table(1.2, 0.8), *fit.chair()), rng.uniform(-0.6, 0.6), rng.uniform(1.9, 2.4)))
    return Furnishing(_some_windows(space, rng, "back", ((0.8, 1.2), (0.7, 1.0)), 1.15), tuple(pieces))


def _bedroom(space: Space, rng: np.random.Generator) -> Furnishing:
    width, x = rng.uniform(1.0, 1.8), rng.uniform(-0.7, 0.7)
    stand = (
        block("walnut", 0, 0, 0, 0.45, 0.5, 0.4),
        pole("dark", 0, 0.5, 0, 0.2),
        drum("glow", 0, 0.68, 0, 0.16, 0.22),
    )
    wardrobe = fit.cupboards(rng.uniform(1.0, 1.6), 0, 2.0, int(rng.integers(2, 4)), "wood", 0.6)
    beside = x + (width / 2 + 0.4) * (1 if x < 0 else -1)
    bed_side = rng.random() < 0.35
    pieces = [
        space.against(fit.bed(width, rng), _side(rng), space.depth - 1.4, 1.12)
        if bed_side
        else placed(fit.bed(width, rng), x, space.depth - 1.15),
        placed(stand, beside, space.depth - 0.3),
        space.against(wardrobe, _side(rng), space.depth - rng.uniform(1.0, 1.8)),
    ]
    flat = (
        level("accent", x, 0, space.depth - 2.2, 2.4, 1.6),
        *_some_windows(space, rng, "back" if bed_side else _side(rng), ((0.9, 1.5), (1.0, 1.3)), 0.9),
        *space.against(fit.picture(rng, 1.5), "back", x),
    )
    return Furnishing(flat, tuple(pieces))


def _bathroom(space: Space, rng: np.random.Generator) -> Furnishing:
    side = _side(rng)
    sign = 1 if side == "right" else -1
    width = rng.uniform(1.5, 1.8)
    across = rng.random() < 0.5
    bath = fit.tub(width)
    pieces = [
        placed(bath, sign * (space.width - width) / 2, space.depth - 0.4)
        if across
        else space.against(bath, side, space.depth - width / 2, 0.4),
        placed(fit.toilet(), -sign * rng.uniform(0.2, 0.6), space.depth - 0.35),
        space.against(fit.basin(), _other(side), space.depth - rng.uniform(0.9, 1.4), 0.25),
    ]
    if rng.random() < 0.5:
        pieces.append(placed((upright("cloth", 0, 0.3, 0, 0.5, 1.7),), sign * 0.7, space.depth - 0.85))
    towel = (upright("cloth", 0, 0.9, 0, 0.45, 0.6), upright("metal", 0, 1.5, -0.01, 0.55, 0.04))
    flat = (level("linen", 0, 0, space.depth - 1.4, 0.8, 0.5), *space.against(towel, side, 1.4))
    return Furnishing(flat, tuple(pieces))


def _office(space: Space, rng: np.random.Generator) -> Furnishing:
    rows, pieces = int(rng.integers(1, 3)), []
    reach = space.width / 2 - 0.9
    for x, z in _grid(2, rows, (-reach, reach), (2.0, space.depth - 0.8), rng, 0.1):
        turn = float(rng.choice((0, 180, 90, -90))) if rows == 1 else float(rng.choice((0, 180)))
        pieces.append(placed((*fit.table(1.4, 0.75, "wood"), *fit.screen()), x, z, turn))
        pieces.append(placed(fit.swivel_chair(), x + rng.uniform(-0.4, 0.4), z - 0.75, rng.uniform(120, 240)))
    cabinet = fit.shelf(rng.uniform(0.9, 1.4), rng.uniform(1.0, 1.9), 4, rng, 0.8)
    pieces.append(space.against(cabinet, _side(rng), rng.uniform(1.8, space.depth - 0.8), 0.3))
    tubes = (fit.tube(x, z, space.height, 0.6, 1.2) for x, z in _grid(2, 2, (-1, 1), (1.5, 3.5), rng, 0))
    blinds = _some_windows(space, rng, "back", ((1.0, 1.6), (1.0, 1.3)), 1.0)
    return Furnishing((*tubes, *blinds), tuple(pieces))


def _library(space: Space, rng: np.random.Generator) -> Furnishing:
    height, pieces = rng.uniform(1.9, 2.6), []
    for side in ("left", "right"):
        if side == "left" or rng.random() < 0.75:
            pieces += [
                space.against(fit.shelf(1.4, height, int(rng.integers(4, 6)), rng), side, z, 0.32)
                for z in _along(1.2, space.depth - 0.8, 1.5)
            ]
    pieces += [
        space.against(fit.shelf(1.4, height, 5, rng), "back", x, 0.32)
        for x in _along(-space.width / 2 + 0.9, space.width / 2 - 0.5, 1.5)
    ]
    if rng.random() < 0.6:
        seat = placed(fit.chair(), 0, -0.7, 180)
        pieces.append(placed((*fit.table(1.6, 0.9, "walnut"), *seat), rng.uniform(-0.4, 0.4), rng.uniform(2.2, 3.2)))
    return Furnishing(tuple(fit.tube(0, z, space.height, 1.2, 0.3) for z in (1.5, 3.0, 4.5)), tuple(pieces))


def _corridor(space: Space, rng: np.random.Generator) -> Furnishing:
    start, pitch = rng.uniform(0.8, 2.0), rng.uniform(1.8, 2.8)
    ink, flat = str(rng.choice(("walnut", "wood", "white", "accent"))), []
    for side in ("left", "right"):
        for z in _along(start, space.depth - 0.5, pitch):
            flat.append(space.against(fit.door(ink), side, z + (0 if side == "left" else rng.normal(0, 0.3))))
            if rng.random() < 0.4:
                flat.append(space.against(fit.picture(rng), side, z + pitch / 2))
    end = fit.door("pane", 2.1, 1.4) if rng.random() < 0.5 else fit.window(1.2, 1.4, 0.8, rng)
    lamps = tuple(fit.tube(0, z, space.height, rng.uniform(0.3, 0.9), 0.8) for z in _along(0.6, space.depth, 2.0))
    seats = space.against(fit.bench(1.4), _side(rng), rng.uniform(2.0, 4.0), 0.3)
    pieces = (seats,) if rng.random() < 0.3 else ()
    return Furnishing((*lamps, *_hung(*flat, space.against(end, "back", 0))), pieces)


def _stairs(space: Space, rng: np.random.Generator) -> Furnishing:
    steps, rise, run = int(rng.integers(9, 14)), rng.uniform(0.17, 0.22), rng.uniform(0.25, 0.32)
    width, start = rng.uniform(1.3, 2.2), rng.uniform(1.4, 2.2)
    middle = rng.uniform(-0.5, 0.5) * (space.width - width)
    tread, rail = str(rng.choice(("wood", "linen", "metal"))), str(rng.choice(("dark", "metal", "walnut")))
    if rng.random() < 0.4:
        start, run = start + 0.6, run * 0.8
    flight = []
    for step in range(steps):
        z, top = start + step * run, (step + 1) * rise
        flight.append((block("white", middle, 0, z + run / 2, width, top, run, tread),))
        flight += [
            (pole(rail, x, top, z + run / 2, 0.85, 0.05),)
            for x in (middle - width / 2, middle + width / 2)
            if step % 2 == 0 and abs(x) < space.width / 2 - 0.1
        ]
    length, climb = steps * run, steps * rise
    for x in (middle - width / 2, middle + width / 2):
        a, b = (x, 0.9 + rise, start), (x, 0.9 + climb, start + length)
        flight.append((sheet(rail, a, b, (b[0], b[1] + 0.12, b[2]), (a[0], a[1] + 0.12, a[2])),))
    return Furnishing(_some_windows(space, rng, _side(rng), ((0.7, 1.1), (1.0, 1.6)), 1.4), tuple(flight))


def _restaurant(space: Space, rng: np.random.Generator) -> Furnishing:
    columns, rows, pieces = int(rng.integers(2, 4)), int(rng.integers(2, 4)), []
    reach, square = space.width / 2 - 0.9, rng.random() < 0.35
    for x, z in _grid(columns, rows, (-reach, reach), (1.8, space.depth - 0.9), rng, 0.15):
        top = fit.table(0.8, 0.8, "linen") if square else fit.round_table(rng.uniform(0.4, 0.55))
        glasses = (drum("mirror", 0.1, 0.8, 0.1, 0.05, 0.16), drum("accent", -0.1, 0.8, 0, 0.05, 0.24))
        pieces.append(placed((*top, *glasses), x, z))
        turn = rng.uniform(-30, 30)
        for angle, a, b in ((90, 0.7, 0), (-90, -0.7, 0)):
            pieces.append(placed(fit.chair("walnut"), x + a, z + b, angle + turn))
    hang = rng.uniform(0.4, 0.9)
    lamps = [fit.pendant(x, z, space.height, hang) for x, z in _grid(2, 2, (-reach, reach), (2, 4), rng, 0.1)]
    flat = _hung(*(space.against(fit.picture(rng), side, z) for side in ("left", "right") for z in (2.0, 3.6)))
    return Furnishing((*flat, *space.against(fit.board("mirror", 1.8, 0.7, 1.3), "back", 0)), (*pieces, *lamps))


def _laundromat(space: Space, rng: np.random.Generator) -> Furnishing:
    ink, stacked = str(rng.choice(("white", "white", "metal", "accent"))), rng.random() < 0.5
    sides = ("left", "right") if rng.random() < 0.6 else (_side(rng),)
    pieces = []
    for side in sides:
        for z in _along(1.2, space.depth - 0.7, 0.74):
            upper = fit.washer(rng, 0.98, ink) if stacked or side == "right" else ()
            pieces.append(space.against((*fit.washer(rng, 0, ink), *upper), side, z, 0.36))
    pieces += [
        placed(fit.washer(rng, rng.choice((0.0, 0.0, 0.3)), ink), x, space.depth - 0.36)
        for x in _along(-space.width / 2 + 0.5, space.width / 2 - 0.4, 0.74)
    ]
    if rng.random() < 0.6:
        bench = (block("wood", 0, 0.4, 0, 0.5, 0.08, 1.6), block("metal", 0, 0, 0, 0.3, 0.4, 1.3))
        pieces.append(placed((*bench, drum("cloth", 0, 0.48, 0.3, 0.22, 0.3)), rng.uniform(-0.3, 0.3), 2.6))
    lamps = tuple(fit.tube(x, z, space.height, 0.25, 1.4) for x, z in _grid(2, 2, (-0.7, 0.7), (1.4, 3.6), rng, 0))
    sign = (upright("accent", 0, 2.1, 0, 1.6, 0.3), upright("white", 0, 2.18, -0.01, 1.3, 0.12))
    return Furnishing((*lamps, *space.against(sign, "back", 0)), tuple(pieces))


def _bowling(space: Space, rng: np.random.Generator) -> Furnishing:
    lanes = int(rng.integers(3, 6))
    pitch, d = space.width / lanes, space.depth
    flat: list[Solid] = []
    pieces: list[Piece] = []
    for lane in range(lanes):
        x = (lane + 0.5) * pitch - space.width / 2
        flat += [
            level("dark", x, 0.01, d / 2 + 0.9, pitch * 0.9, d - 1.8),
            level("lane", x, 0.02, d / 2, pitch * 0.66, d),
        ]
        spots = [(x + a * pitch * 0.16, d - 0.9 + b * 0.2) for b in range(3) for a in np.linspace(-b, b, b + 1)]
        pieces += [
            placed((drum("white", 0, 0.02, 0, 0.06, 0.45), drum("cloth", 0, 0.3, 0, 0.065, 0.06)), a, b)
            for a, b in spots
        ]
        if lane and rng.random() < 0.8:
            rack = (block("dark", 0, 0, 0, 0.35, 0.45, 0.9), disc(str(rng.choice(SPINES)), 0, 0.58, -0.2, 0.14))
            pieces.append(placed(rack, x - pitch / 2, rng.uniform(1.6, 2.2)))
        if rng.random() < 0.4:
            pieces.append(placed((disc(str(rng.choice(SPINES)), 0, 0.14, 0, 0.14),), x, rng.uniform(2.5, d - 2)))
    mask = (upright("dark", 0, 0, 0, space.width, 0.9), upright("accent", 0, 0.75, -0.3, space.width, 1.3))
    stars = (disc(str(rng.choice(SPINES)), x, 1.4, -0.32, 0.35) for x in np.linspace(-0.4, 0.4, 4) * space.width)
    flat += space.against((*mask, *stars), "back", 0, 0.1)
    return Furnishing(tuple(flat), tuple(pieces))


def _classroom(space: Space, rng: np.random.Generator) -> Furnishing:
    columns, rows, pieces = int(rng.integers(2, 4)), int(rng.integers(2, 4)), []
    reach = space.width / 2 - 0.9
    for x, z in _grid(columns, rows, (-reach, reach), (1.7, space.depth - 2.1), rng, 0.05):
        pieces.append(placed(fit.table(1.1, 0.5), x, z))
        pieces.append(placed(fit.chair("metal", "wood"), x + rng.normal(0, 0.08), z - 0.5, rng.uniform(170, 190)))
    pieces.append(placed((block("wood", 0, 0, 0, 1.5, 0.76, 0.65),), rng.uniform(-1, 1), space.depth - 0.9))
    ink = str(rng.choice(("slate", "slate", "white")))
    front = space.against(fit.board(ink, space.width * rng.uniform(0.45, 0.7), 1.1, 1.0), "back", 0)
    chalk = (upright("white" if ink == "slate" else "dark", x, 1.6, 0, 0.3, 0.05) for x in rng.uniform(-1, 1, 3))
    panes = _some_windows(space, rng, _side(rng), ((1.0, 1.4), (1.2, 1.5)), 0.9)
    tubes = (fit.tube(x, z, space.height, 0.3, 1.3) for x, z in _grid(2, 2, (-1.2, 1.2), (1.5, 3.8), rng, 0))
    return Furnishing((*tubes, *panes, *front, *space.against(chalk, "back", 0, 0.04)), tuple(pieces))


def _pool(space: Space, rng: np.random.Generator) -> Furnishing:
    width, near = space.width * rng.uniform(0.5, 0.75), rng.uniform(1.0, 1.8)
    far = space.depth - rng.uniform(0.8, 1.5)
    x = rng.uniform(-0.5, 0.5) * (space.width - width) * 0.7
    middle, length, lanes = (near + far) / 2, far - near, int(rng.integers(2, 6))
    rim = level("white", x, 0, middle, width + 0.3, length + 0.3)
    ropes = (
        level("accent", a, 0.02, middle, 0.06, length) for a in np.linspace(-0.5, 0.5, lanes + 1)[1:-1] * width + x
    )
    ripples = (
        level("foam", x + rng.uniform(-0.4, 0.4) * width, 0.02, z, rng.uniform(0.2, 0.8), 0.05)
        for z in rng.uniform(near + 0.3, far - 0.2, 8)
    )
    pieces = [
        placed(fit.lounger(str(rng.choice(("cloth", "white")))), x + sign * (width / 2 + 0.6), z, -sign * 90)
        for sign in (-1, 1)
        for z in _along(near + 0.5, far, 1.3)
        if rng.random() < 0.6 and abs(x + sign * (width / 2 + 0.6)) < space.width / 2
    ]
    if rng.random() < 0.6:
        rails = tuple(pole("metal", a, 0, 0, 0.8, 0.05) for a in (-0.2, 0.2))
        pieces.append(placed(rails, x + rng.uniform(-0.3, 0.3) * width, near))
    high = _some_windows(space, rng, "back", ((1.4, 2.4), (1.6, 2.4)), 0.6)
    panes = (*high, *_some_windows(space, rng, _side(rng), ((1.4, 2.0), (1.4, 2.0)), 0.8))
    flat = (*panes, rim, level("water", x, 0.01, middle, width, length), *ropes, *ripples)
    return Furnishing(flat, tuple(pieces))


def _theatre(space: Space, rng: np.random.Generator) -> Furnishing:
    width, pieces = space.width * rng.uniform(0.55, 0.8), []
    slope = rng.uniform(0, 0.12)
    for z in _along(1.3, space.depth - 1.8, 0.85):
        for x in _along(-space.width / 2 + 0.7, space.width / 2 - 0.4, 0.62):
            if abs(x) > 0.35 or slope > 0.06:
                seat = (block("velvet", 0, 0.4, 0.2, 0.5, 0.12, 0.4), block("velvet", 0, 0.4, 0, 0.52, 0.62, 0.1))
                pieces.append(placed(seat, x, z, 0, max(0.0, (3 - z) * slope)))
    picture = (
        upright("glow", 0, 1.0, 0, width, 1.7),
        upright("glow2", rng.uniform(-0.2, 0.2), 1.0, -0.01, width * 0.5, 1.1),
    )
    drapes = tuple(upright("velvet", x, 0.6, -0.05, 0.5, 2.5) for x in (-width / 2 - 0.2, width / 2 + 0.2))
    stage = (block("dark", 0, 0, -0.3, space.width * 0.9, 0.5, 0.6),)
    lamps = (space.against((disc("glow", 0, 2.0, 0, 0.12),), side, z) for side in ("left", "right") for z in (2.0, 3.5))
    return Furnishing(
        _hung(space.against((*stage, *picture[: int(rng.integers(1, 3))], *drapes), "back", 0), *lamps), tuple(pieces)
    )


def _church(space: Space, rng: np.random.Generator) -> Furnishing:
    flat, pieces = [], []
    aisle, pew = rng.uniform(0.9, 1.3), space.width / 2 - rng.uniform(1.2, 1.5)
    pieces += [
        placed(fit.bench(pew), sign * (aisle + pew) / 2, z, 180)
        for z in _along(1.4, space.depth - 2.0, rng.uniform(0.9, 1.1))
        for sign in (-1, 1)
    ]
    for z in _along(1.8, space.depth - 0.5, 2.0):
        for side in ("left", "right"):
            flat.append(space.against(_arch(0.8, rng.uniform(1.8, 2.2), 1.6, rng), side, z))
            pieces.append(space.against((drum("linen", 0, 0, 0, 0.18, space.height),), side, z + 1.0, 0.4))
    altar = (block("linen", 0, 0.2, -0.6, 1.4, 0.85, 0.6), block("white", 0, 0, -0.8, 3.0, 0.2, 1.6))
    cross = (block("walnut", 0, 1.3, -0.1, 0.12, 1.3, 0.06), block("walnut", 0, 2.05, -0.1, 0.7, 0.12, 0.06))
    flat.append(space.against(_arch(1.6, 2.6, 1.8, rng), "back", 0))
    return Furnishing(
        (level("cloth", 0, 0.01, space.depth / 2, aisle * 0.7, space.depth), *_hung(*flat)),
        (*pieces, space.against((*altar, *cross), "back", 0, 0.3)),
    )


def _arch(width: float, height: float, sill: float, rng: np.random.Generator) -> Solids:
    """Hang a round-headed window of coloured glass."""
    inks, radius = rng.choice(SPINES, 4), width / 2
    heights = np.linspace(sill, sill + height - radius, 5).tolist()
    glass = (
        upright(str(ink), 0, low, -0.01, width, heights[1] - sill) for ink, low in zip(inks, heights, strict=False)
    )
    head = (disc("white", 0, heights[-1], 0, radius + 0.06), disc(str(inks[0]), 0, heights[-1], -0.01, radius))
    return (*head, *glass, upright("white", 0, sill, -0.02, 0.05, height))


def _warehouse(space: Space, rng: np.random.Generator) -> Furnishing:
    height, length = rng.uniform(2.8, 4.2), 2.2
    pieces = [
        space.against(fit.rack(length, height, rng), side, z, 0.5)
        for side in ("left", "right")
        for z in _along(1.6, space.depth - 0.8, length + 0.1)
    ]
    if rng.random() < 0.5:
        pieces.append(placed(fit.rack(length, height, rng), rng.uniform(-0.5, 0.5), space.depth - 0.6))
    stacks = [placed(_stack(rng), rng.uniform(-0.8, 0.8), z) for z in rng.uniform(1.8, space.depth - 1, 2)]
    lamps = tuple(fit.tube(0, z, space.height, 0.3, 1.2) for z in _along(1, space.depth, 1.8))
    return Furnishing(lamps, (*pieces, *stacks))


def _stack(rng: np.random.Generator) -> Solids:
    heights = np.cumsum((0.12, *rng.uniform(0.3, 0.5, int(rng.integers(1, 4))))).tolist()
    boxes = (block("carton", 0, low, 0, 0.7, high - low, 0.6) for low, high in pairwise(heights))
    return (block("wood", 0, 0, 0, 0.9, 0.12, 0.8), *boxes)


def _living(space: Space, rng: np.random.Generator) -> Furnishing:
    side, d = _side(rng), space.depth
    facing = rng.random() < 0.6
    settee = fit.sofa(rng.uniform(1.6, 2.2))
    screen = (
        block("wood", 0, 0, 0, 1.5, 0.45, 0.4),
        block("dark", 0, 0.5, 0, 1.2, 0.7, 0.06),
        upright("glow2", 0, 0.56, -0.05, 1.1, 0.58),
    )
    pieces = [
        space.against(settee, "back" if facing else side, 0 if facing else d - 1.8, 0.55),
        placed(fit.table(1.0, 0.6, "walnut", 0.38), rng.uniform(-0.3, 0.3), d - rng.uniform(1.7, 2.1)),
        space.against(screen, _other(side) if facing else "back", d - 1.5 if facing else 0.2, 0.3),
        space.against(fit.sofa(0.75, "accent"), side, d - rng.uniform(2.2, 2.8), 0.7),
        placed(fit.standing_lamp(), rng.choice((-1, 1)) * (space.width / 2 - 0.4), d - 0.4),
    ]
    flat = (
        level("linen", 0, 0, d - 1.9, 2.4, 1.7),
        *_some_windows(space, rng, _side(rng), ((1.0, 1.6), (1.1, 1.5)), 0.8),
        *space.against(fit.picture(rng, 1.5), "back", rng.uniform(-0.8, 0.8)),
    )
    return Furnishing(flat, tuple(pieces))


# ------------------------------------------------------------------------------------------------------------ kinds


@dataclass(frozen=True)
class RoomKind:
    """A class: its name in the published set, its furnisher, its sizes in metres, and the finishes it may have."""

    name: str
    furnish: Maker
    width: Range
    height: Range
    depth: Range
    floors: tuple[str, ...] = ("planks", "tiles", "plain")
    walls: tuple[str, ...] = ("plain",)


KINDS: tuple[RoomKind, ...] = (
    RoomKind("kitchen", _kitchen, (3.4, 4.6), (2.4, 2.8), (3.6, 4.6), walls=("plain", "tiles")),
    RoomKind("bedroom", _bedroom, (3.6, 4.8), (2.4, 2.9), (3.8, 5.0), ("planks", "carpet", "plain")),
    RoomKind("corridor", _corridor, (1.8, 2.8), (2.4, 3.0), (7.0, 14.0), walls=("plain", "panels")),
    RoomKind("library", _library, (3.8, 5.4), (2.7, 3.4), (4.6, 6.5), ("planks", "carpet", "plain")),
    RoomKind(
        "bathroom", _bathroom, (2.2, 3.2), (2.3, 2.7), (2.8, 3.8), ("tiles", "plain"), ("tiles", "tiles", "plain")
    ),
    RoomKind("restaurant", _restaurant, (4.4, 6.4), (2.7, 3.4), (4.6, 6.5), walls=("plain", "panels")),
    RoomKind("laundromat", _laundromat, (3.2, 4.6), (2.5, 2.9), (4.2, 6.0), ("tiles", "plain")),
    RoomKind("bowling", _bowling, (4.2, 6.5), (2.4, 3.0), (8.0, 11.0), ("plain",)),
    RoomKind("office", _office, (4.0, 5.6), (2.5, 2.9), (4.0, 5.4), ("carpet", "plain", "tiles")),
    RoomKind("stairscase", _stairs, (2.2, 4.0), (3.4, 4.4), (4.6, 5.8), walls=("plain", "panels")),
    RoomKind("classroom", _classroom, (4.6, 6.2), (2.7, 3.2), (5.2, 6.8)),
    RoomKind("poolinside", _pool, (5.5, 8.0), (3.0, 4.2), (6.5, 9.5), ("tiles", "plain"), ("plain", "tiles")),
    RoomKind("movietheater", _theatre, (4.8, 6.5), (3.0, 3.8), (5.5, 7.5), ("plain", "carpet")),
    RoomKind("church_inside", _church, (5.0, 6.5), (4.2, 5.6), (8.0, 11.0), ("tiles", "plain")),
    RoomKind("livingroom", _living, (4.0, 5.2), (2.4, 2.9), (4.0, 5.2), ("planks", "plain")),
    RoomKind("warehouse", _warehouse, (4.2, 6.0), (4.0, 5.5), (6.0, 9.0), ("plain",)),
)
"""All kinds of rooms, in an order in which any first few are of many sorts, by their published names."""

_HUES: tuple[tuple[str, Range, Range, Range], ...] = (
    ("wall", (0, 360), (0.02, 0.35), (0.6, 0.98)),
    ("floor", (10, 60), (0.05, 0.5), (0.3, 0.85)),
    ("ceiling", (20, 80), (0, 0.12), (0.8, 1)),
    ("wood", (18, 42), (0.3, 0.65), (0.55, 0.9)),
    ("walnut", (12, 35), (0.35, 0.75), (0.25, 0.55)),
    ("white", (0, 360), (0, 0.05), (0.9, 1)),
    ("metal", (190, 230), (0, 0.15), (0.55, 0.8)),
    ("dark", (0, 360), (0, 0.3), (0.1, 0.28)),
    ("cloth", (0, 360), (0.2, 0.85), (0.3, 0.95)),
    ("linen", (0, 360), (0, 0.3), (0.75, 1)),
    ("accent", (0, 360), (0.3, 0.9), (0.35, 0.95)),
    ("leaf", (80, 150), (0.4, 0.8), (0.25, 0.6)),
    ("water", (175, 210), (0.35, 0.8), (0.6, 0.95)),
    ("foam", (175, 210), (0.05, 0.3), (0.85, 1)),
    ("mirror", (180, 230), (0.05, 0.2), (0.75, 0.95)),
    ("carton", (25, 40), (0.3, 0.55), (0.5, 0.85)),
    ("slate", (100, 220), (0.1, 0.5), (0.15, 0.35)),
    ("lane", (28, 42), (0.35, 0.6), (0.75, 0.98)),
    ("velvet", (330, 390), (0.5, 0.9), (0.3, 0.7)),
    ("glow", (35, 60), (0, 0.25), (0.95, 1)),
    ("glow2", (0, 360), (0.1, 0.6), (0.5, 0.95)),
    *((ink, (0, 360), (0.2, 0.85), (0.25, 0.9)) for ink in SPINES),
)
"""Each ink's hues, saturations and values."""


# --------------------------------------------------------------------------------------------------------- pictures


def _palette(rng: np.random.Generator) -> dict[str, Colour | Tint]:
    inks: dict[str, Colour | Tint] = {ink: any_colour(rng, *ranges) for ink, *ranges in _HUES}
    red, green, blue = inks["floor"][:3]
    share = rng.uniform(0.72, 0.9)
    seam = round(red * share), round(green * share), round(blue * share)
    return {**inks, "seam": seam, "pane": (215, 225, 235, int(rng.integers(30, 120)))}


def _stand(space: Space, rng: np.random.Generator) -> Camera:
    """Stand somewhere near the front and look towards the middle of the room, more or less."""
    x, z = rng.uniform(-0.3, 0.3) * space.width, rng.uniform(-0.4, 0.5)
    aim = rng.uniform(-0.2, 0.2) * space.width
    yaw = float(np.degrees(np.arctan2(aim - x, space.depth * 0.75 - z)))
    return Camera(x, rng.uniform(1.25, 1.8), z, yaw, rng.uniform(3, 14), rng.uniform(1.1, 1.55))


def _light(rng: np.random.Generator) -> Lamp:
    side, front = rng.uniform(-0.6, 0.6), rng.uniform(-0.55, -0.2)
    return Lamp((side, sqrt(1 - side**2 - front**2), front), rng.uniform(0.6, 0.8), rng.uniform(0, 0.3))


def _clutter(space: Space, rng: np.random.Generator) -> list[Piece]:
    """Let things stand about that tell nothing of the kind of room."""
    makers: tuple[Callable[[np.random.Generator], Solids], ...] = (fit.plant, fit.carton, fit.figure)
    return [
        placed(makers[rng.integers(3)](rng), rng.uniform(-0.45, 0.45) * space.width, z, rng.uniform(0, 360))
        for z in rng.uniform(1.7, space.depth - 0.4, int(rng.choice((0, 0, 1, 1, 2))))
    ]


def draw_room(kind_index: int, rng: np.random.Generator, side: int) -> Image.Image:
    """Draw one picture of a room, RGB, its height 0.85 to 1 and its width 1 to 1.4 times `side`.

    Raises IndexError for an index that KINDS does not have.
    """
    kind = KINDS[kind_index]
    space = Space(*(rng.uniform(*extent) for extent in (kind.width, kind.height, kind.depth)))
    shell = fit.shell(space, rng, str(rng.choice(kind.floors)), str(rng.choice(kind.walls)))
    content = kind.furnish(space, rng)
    pieces = (*content.pieces, *_clutter(space, rng))
    marks = view((*shell, *content.flat), pieces, _stand(space, rng), _light(rng))
    setting = draw_setting(rng, _LIMITS, ("sky", "foliage", "building", "haze"))
    size = draw_size(rng, side, (1.0, 1.4), (0.85, 1.0))
    return portray(marks, lit(marks, _palette(rng)), setting, rng, size)


def write(
    root: Path, *, seed: int, classes: int = 12, train_images: int = 40, test_images: int = 10, side: int = 48
) -> None:
    """Write MIT Indoor 67's own layout under root/MIT_67: Images by class, TrainImages.txt and TestImages.txt.

    `train_images` and `test_images` count for each class; pictures are JPEG of sizes about `side`. Lists are in no
    order, and no line feed ends them. The same arguments give the same bytes; what a picture shows depends on the seed
    and its own class, part and number alone, not on how many others there are. Raises ValueError for a count or side
    out of range, FileExistsError if root/MIT_67 exists.
    """
    check_classes(classes, len(KINDS), "drawn rooms")
    check_counts(train_images=(train_images, 1), test_images=(test_images, 1), side=(side, 16))
    folder = root / "MIT_67"
    folder.mkdir(parents=True)
    for kind in KINDS[:classes]:
        (folder / "Images" / kind.name).mkdir(parents=True)
    for part, listing, count in ((_TRAINING, "TrainImages.txt", train_images), (_TEST, "TestImages.txt", test_images)):
        names = [_save(folder / "Images", seed, part, index, k, side) for index in range(classes) for k in range(count)]
        order = stream(seed, _ORDER, part).permutation(len(names)).tolist()
        write_lines(folder / listing, (names[place] for place in order), last="")


def _save(images: Path, seed: int, part: int, kind_index: int, number: int, side: int) -> str:
    """Draw and write the room of a place; return its name as the lists have it. Odd numbers are training's."""
    kind = KINDS[kind_index]
    name = f"{kind.name}/{kind.name}_{2 * number + 1 + part:04d}.jpg"
    save_jpeg(draw_room(kind_index, stream(seed, part, kind_index, number), side), images / name)
    return name
