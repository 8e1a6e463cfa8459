"""What stands and hangs in drawn rooms: pieces about their own middle, fronts towards -z, in metres.

Inks are names of colours that the rooms choose; those of SPINES may be any colour.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from heirloom.data.graphics.interior import (
    Piece,
    Solid,
    block,
    disc,
    drum,
    level,
    placed,
    pole,
    prism,
    sheet,
    upright,
)

Solids: TypeAlias = tuple[Solid, ...]

SPINES = tuple(f"spine{number}" for number in range(6))
BEHIND = -1.0  # how far the room goes on behind the camera


@dataclass(frozen=True)
class Space:
    """An empty room: its size in metres; x from -width/2 to width/2, z up to depth."""

    width: float
    height: float
    depth: float

    def against(self, solids: Iterable[Solid], side: str, along: float, off: float = 0.02) -> Piece:
        """Put a piece `off` metres before the "back", "left" or "right" wall, its front towards the room."""
        if side == "back":
            return placed(solids, along, self.depth - off)
        if side == "left":
            return placed(solids, -self.width / 2 + off, along, 90)
        return placed(solids, self.width / 2 - off, along, -90)


# ---------------------------------------------------------------------------------------------------------- shells


def shell(space: Space, rng: np.random.Generator, floor: str, walls: str) -> Solids:
    """Build floor ("planks", "tiles", "carpet" or "plain"), ceiling and walls ("tiles", "panels" or "plain")."""
    w, h, d, near = space.width / 2, space.height, space.depth, BEHIND
    surfaces = (
        sheet("floor", (-w, 0, near), (w, 0, near), (w, 0, d), (-w, 0, d)),
        sheet("ceiling", (-w, h, near), (w, h, near), (w, h, d), (-w, h, d)),
        sheet("wall", (-w, 0, near), (-w, h, near), (-w, h, d), (-w, 0, d)),
        sheet("wall", (w, 0, near), (w, h, near), (w, h, d), (w, 0, d)),
        sheet("wall", (-w, 0, d), (w, 0, d), (w, h, d), (-w, h, d)),
    )
    return (*surfaces, *_floor(space, rng, floor), *_walls(space, rng, walls))


def _floor(space: Space, rng: np.random.Generator, kind: str) -> Solids:
    w, d = space.width, space.depth
    if kind == "carpet":
        return (level("cloth", 0, 0, d / 2, w * rng.uniform(0.3, 0.7), d * rng.uniform(0.4, 0.9)),)
    pitch = rng.uniform(0.5, 0.9) if kind == "tiles" else rng.uniform(0.3, 0.5)
    middle, length = (d + BEHIND) / 2, d - BEHIND
    along = tuple(level("seam", x, 0, middle, 0.04, length) for x in np.arange(-w / 2, w / 2, pitch).tolist())
    if kind != "tiles":
        return along if kind == "planks" else ()
    return (*along, *(level("seam", 0, 0, z, w, 0.05) for z in np.arange(0.6, d, pitch).tolist()))


def _walls(space: Space, rng: np.random.Generator, kind: str) -> Solids:
    w, d = space.width / 2, space.depth
    if kind == "plain":
        return _bands(space, "seam", (0.0,), 0.1)
    if kind == "panels":
        return _bands(space, "walnut", (0.0,), rng.uniform(0.7, 1.2))
    pitch = rng.uniform(0.3, 0.5)
    joints = tuple(upright("seam", x, 0, d - 0.01, 0.025, 2.0) for x in np.arange(-w, w, pitch).tolist())
    return (*_bands(space, "seam", np.arange(0, 2.1, pitch).tolist(), 0.025), *joints)


def _bands(space: Space, ink: str, heights: Iterable[float], broad: float) -> Solids:
    """Run level bands round the three walls."""
    w, d = space.width / 2 - 0.01, space.depth - 0.01
    return tuple(
        sheet(ink, (x, y, z), (u, y, v), (u, y + broad, v), (x, y + broad, z))
        for y in heights
        for x, z, u, v in ((-w, BEHIND, -w, d), (w, BEHIND, w, d), (-w, d, w, d))
    )


# ------------------------------------------------------------------------------------------------------ on the wall


def window(width: float, height: float, sill: float, rng: np.random.Generator, curtains: float = 0.4) -> Solids:
    """Hang a window with bars and, at the given chance, curtains; the backdrop shows through its pane."""
    solids = [
        upright("white", 0, sill - 0.06, 0, width + 0.14, height + 0.12),
        upright("pane", 0, sill, -0.01, width, height),
        upright("white", 0, sill, -0.02, 0.05, height),
    ]
    if rng.random() < 0.6:
        solids.append(upright("white", 0, sill + height * rng.uniform(0.4, 0.7), -0.02, width, 0.05))
    if rng.random() < curtains:
        drape = width * rng.uniform(0.2, 0.35)
        solids += [upright("cloth", x, sill - 0.3, -0.05, drape, height + 0.45) for x in (-width / 2, width / 2)]
    return tuple(solids)


def door(ink: str = "walnut", height: float = 2.05, width: float = 0.9) -> Solids:
    """Hang a door in its frame, with a handle."""
    return (
        upright("white", 0, 0, 0, width + 0.16, height + 0.08),
        upright(ink, 0, 0, -0.01, width, height),
        upright("metal", -width * 0.36, 0.95, -0.03, 0.1, 0.08),
    )


def picture(rng: np.random.Generator, bottom: float = 1.4) -> Solids:
    """Hang a framed picture, clock or poster."""
    width, height = rng.uniform(0.4, 1.0), rng.uniform(0.35, 0.8)
    if rng.random() < 0.15:
        return (disc("dark", 0, bottom + 0.4, 0, 0.24), disc("white", 0, bottom + 0.4, -0.02, 0.2))
    inner = str(rng.choice(SPINES)), str(rng.choice(SPINES))
    return (
        upright(str(rng.choice(("dark", "walnut", "white"))), 0, bottom, 0, width, height),
        upright(inner[0], 0, bottom + 0.06, -0.01, width - 0.12, height - 0.12),
        upright(inner[1], 0, bottom + 0.06, -0.02, width - 0.12, (height - 0.12) * rng.uniform(0.2, 0.6)),
    )


def board(ink: str, width: float, height: float, bottom: float, frame: str = "walnut") -> Solids:
    """Hang a wide board in a frame: blackboard, screen, mirror."""
    return (
        upright(frame, 0, bottom - 0.07, 0, width + 0.14, height + 0.14),
        upright(ink, 0, bottom, -0.01, width, height),
    )


def cupboards(width: float, bottom: float, height: float, doors: int, ink: str, deep: float = 0.36) -> Solids:
    """Put up a row of cupboards with gaps between their doors and a handle on each."""
    pitch = width / doors
    places = [(number + 0.5) * pitch - width / 2 for number in range(doors)]
    fronts = (upright("seam", x + pitch / 2, bottom, -deep - 0.01, 0.03, height) for x in places[:-1])
    knobs = (upright("dark", x + pitch * 0.3, bottom + height * 0.45, -deep - 0.01, 0.06, 0.12) for x in places)
    return (block(ink, 0, bottom, -deep / 2, width, height, deep), *fronts, *knobs)


# ---------------------------------------------------------------------------------------------------- seats, tables


def chair(ink: str = "wood", seat: str = "cloth") -> Solids:
    """Set a chair with four legs; who sits on it looks to -z."""
    legs = tuple(pole(ink, x, 0, z, 0.45) for x in (-0.19, 0.19) for z in (-0.19, 0.19))
    return (*legs, block(seat, 0, 0.43, 0, 0.44, 0.07, 0.44), block(ink, 0, 0.5, 0.2, 0.44, 0.45, 0.05))


def swivel_chair() -> Solids:
    """Set an office chair on one leg."""
    return (
        drum("dark", 0, 0, 0, 0.28, 0.06),
        pole("metal", 0, 0.06, 0, 0.36),
        block("cloth", 0, 0.42, 0, 0.5, 0.1, 0.5),
        block("cloth", 0, 0.6, 0.22, 0.46, 0.55, 0.08),
    )


def table(width: float, depth: float, ink: str = "wood", height: float = 0.74) -> Solids:
    """Set a table with four legs."""
    x, z = width / 2 - 0.06, depth / 2 - 0.06
    legs = tuple(pole(ink, a, 0, b, height) for a in (-x, x) for b in (-z, z))
    return (*legs, block(ink, 0, height, 0, width, 0.05, depth))


def round_table(radius: float, top: str = "linen") -> Solids:
    """Set a round table on one leg, with plates."""
    plates = tuple(level("white", x, 0.81, z, 0.2, 0.2) for x, z in ((-radius / 2, 0), (radius / 2, 0)))
    return (pole("dark", 0, 0, 0, 0.74, 0.1), drum(top, 0, 0.6, 0, radius, 0.2), *plates)


def sofa(width: float, ink: str = "cloth") -> Solids:
    """Set a sofa with arms, back and cushions."""
    arms = tuple(block(ink, x, 0.1, 0, 0.2, 0.5, 0.85) for x in (-width / 2, width / 2))
    cushions = tuple(block("linen", x, 0.48, 0.1, 0.4, 0.35, 0.14) for x in (-width * 0.28, width * 0.28))
    return (block(ink, 0, 0.08, 0, width, 0.35, 0.85), block(ink, 0, 0.3, 0.36, width, 0.55, 0.2), *arms, *cushions)


def bed(width: float, rng: np.random.Generator) -> Solids:
    """Set a bed, its head towards +z."""
    pillows = (0.0,) if width < 1.2 else (-width / 4, width / 4)
    return (
        block("walnut", 0, 0, 0, width + 0.08, 0.28, 2.1),
        block("linen", 0, 0.28, 0, width, 0.22, 2.0),
        block("cloth", 0, 0.3, -0.3, width + 0.06, 0.24, rng.uniform(1.2, 1.5)),
        *(block("white", x, 0.5, 0.75, 0.55, 0.13, 0.36) for x in pillows),
        block("walnut", 0, 0, 1.05, width + 0.12, rng.uniform(0.8, 1.3), 0.08),
    )


def bench(width: float, ink: str = "walnut") -> Solids:
    """Set a bench or pew with a back."""
    ends = tuple(block(ink, x, 0, 0, 0.07, 0.95, 0.5) for x in (-width / 2, width / 2))
    return (*ends, block(ink, 0, 0.4, 0, width, 0.07, 0.45), block(ink, 0, 0.45, 0.22, width, 0.5, 0.06))


def lounger(ink: str) -> Solids:
    """Set a reclining chair."""
    return (block("white", 0, 0.1, -0.2, 0.6, 0.2, 1.3, ink), sheet(ink, *_slope(0.6, 0.3, 0.4, 0.95, 0.9)))


def _slope(width: float, y: float, z: float, up: float, back: float) -> tuple[tuple[float, float, float], ...]:
    left, right = -width / 2, width / 2
    return (left, y, z), (right, y, z), (right, up, back), (left, up, back)


# ---------------------------------------------------------------------------------------------------------- storage


def shelf(width: float, height: float, rows: int, rng: np.random.Generator, full: float = 0.85) -> Solids:
    """Set a case of shelves with rows of books, each at the given chance there; back towards +z."""
    pitch = (height - 0.15) / rows
    solids = [block("walnut", 0, 0, 0.15, width, height, 0.3)]
    for row in range(rows):
        bottom = 0.1 + row * pitch
        solids.append(upright("dark", 0, bottom, -0.01, width - 0.1, pitch - 0.06))
        solids += _books(width - 0.14, bottom, pitch - 0.06, rng, full)
    return tuple(solids)


def _books(width: float, bottom: float, height: float, rng: np.random.Generator, full: float) -> list[Solid]:
    edges = np.linspace(-width / 2, width / 2, 1 + max(3, round(width / rng.uniform(0.16, 0.26))))
    return [
        upright(
            str(rng.choice(SPINES)), (left + right) / 2, bottom, -0.02, right - left, height * rng.uniform(0.6, 0.95)
        )
        for left, right in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)
        if rng.random() < full
    ]


def rack(width: float, height: float, rng: np.random.Generator) -> Solids:
    """Set a tall steel rack loaded with boxes."""
    posts = tuple(pole("accent", x, 0, z, height, 0.1) for x in (-width / 2, width / 2) for z in (-0.4, 0.4))
    solids = [*posts]
    for bottom in np.arange(0.1, height - 0.6, 1.1).tolist():
        solids.append(block("accent", 0, bottom, 0, width, 0.1, 0.85))
        places = [x for x in np.arange(-width / 2 + 0.4, width / 2 - 0.2, 0.75).tolist() if rng.random() < 0.8]
        solids += [block("carton", x, bottom + 0.1, 0, 0.62, rng.uniform(0.35, 0.8), 0.7) for x in places]
    return tuple(solids)


def washer(rng: np.random.Generator, bottom: float = 0.0, ink: str = "white") -> Solids:
    """Set a washing machine or dryer with its round door and a row of knobs."""
    middle = bottom + 0.4
    return (
        block(ink, 0, bottom, 0, 0.68, 0.95, 0.66),
        upright("metal" if ink == "white" else "white", 0, bottom + 0.78, -0.34, 0.66, 0.14),
        disc("metal", 0, middle, -0.35, 0.27),
        disc(str(rng.choice(("dark", "cloth", "water"))), 0, middle, -0.36, 0.2),
    )


# ------------------------------------------------------------------------------------------------------- fittings


def screen() -> Solids:
    """Set a computer's screen and keyboard on a desk of the usual height."""
    return (
        pole("dark", 0, 0.79, 0.1, 0.15),
        block("dark", 0, 0.92, 0.1, 0.55, 0.36, 0.05),
        upright("glow2", 0, 0.96, 0.06, 0.48, 0.28),
        block("white", 0, 0.79, -0.2, 0.42, 0.03, 0.16),
    )


def stove() -> Solids:
    """Set a cooker with an oven window and rings on it."""
    rings = tuple(level("metal", x, 0.93, z, 0.2, 0.2) for x in (-0.15, 0.15) for z in (-0.14, 0.16))
    return (
        block("white", 0, 0, 0, 0.62, 0.92, 0.62, "dark"),
        upright("dark", 0, 0.2, -0.32, 0.46, 0.4),
        upright("metal", 0, 0.72, -0.32, 0.6, 0.1),
        *rings,
    )


def toilet() -> Solids:
    """Set a toilet with its tank and lid."""
    return (
        drum("white", 0, 0, -0.15, 0.17, 0.38),
        drum("white", 0, 0.38, -0.18, 0.25, 0.06, "linen"),
        block("white", 0, 0.35, 0.2, 0.42, 0.45, 0.2),
        block("white", 0, 0.45, 0.08, 0.4, 0.42, 0.05),
    )


def tub(width: float) -> Solids:
    """Set a bath filled with water, its long side to the front."""
    return (block("white", 0, 0, 0, width, 0.58, 0.78), level("water", 0, 0.585, 0, width - 0.2, 0.56))


def basin() -> Solids:
    """Hang a basin on its pillar below a mirror."""
    return (
        drum("white", 0, 0, 0, 0.12, 0.7),
        block("white", 0, 0.7, 0, 0.62, 0.17, 0.44, "linen"),
        pole("metal", 0, 0.87, 0.15, 0.14),
        upright("metal", 0, 1.2, 0.22, 0.7, 0.85),
        upright("mirror", 0, 1.24, 0.21, 0.62, 0.77),
    )


def plant(rng: np.random.Generator) -> Solids:
    """Set a plant in its pot."""
    tips = rng.uniform((-0.5, 0.8), (0.5, 1.6), (7, 2)).tolist()
    leaves = (sheet("leaf", (-0.05, 0.4, 0), (0.05, 0.4, 0), (x + 0.12, y, 0), (x - 0.1, y - 0.15, 0)) for x, y in tips)
    return (drum("accent", 0, 0, 0, 0.2, 0.4, "dark"), *leaves)


def standing_lamp() -> Solids:
    """Set a lamp on a stand."""
    return (drum("dark", 0, 0, 0, 0.16, 0.04), pole("metal", 0, 0, 0, 1.4, 0.04), drum("glow", 0, 1.35, 0, 0.22, 0.32))


def pendant(x: float, z: float, height: float, hang: float) -> Piece:
    """Hang a lamp from the ceiling."""
    return placed((pole("dark", 0, -hang, 0, hang, 0.03), drum("glow", 0, -hang - 0.2, 0, 0.2, 0.2)), x, z, 0, height)


def tube(x: float, z: float, height: float, width: float, depth: float) -> Solid:
    """Fix a flat lamp to the ceiling."""
    return level("glow", x, height - 0.02, z, width, depth)


def carton(rng: np.random.Generator) -> Solids:
    """Set a box down."""
    width, height, depth = rng.uniform(0.3, 0.6, 3)
    return (block(str(rng.choice(("carton", "accent", "dark"))), 0, 0, 0, width, height, depth),)


def figure(rng: np.random.Generator) -> Solids:
    """Let somebody stand there, seen as a few blocks."""
    coat, skin = str(rng.choice(SPINES)), "wood"
    return (
        block("dark", 0, 0, 0, 0.32, 0.85, 0.2),
        prism(coat, ((-0.25, -0.13), (0.25, -0.13), (0.25, 0.13), (-0.25, 0.13)), 0.85, 1.45),
        drum(skin, 0, 1.47, 0, 0.12, 0.25, "dark"),
    )
