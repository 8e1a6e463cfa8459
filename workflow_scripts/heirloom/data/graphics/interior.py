"""Rooms in three dimensions: solids of flat faces, a camera that stands in the room, and the marks that it sees.

Places are in metres: x to the right, y up from the floor, z away from where the camera stands. A solid is convex, so
its visible faces hide nothing of each other; solids of a piece of furniture, and pieces among themselves, are drawn
from the farthest to the nearest.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import cos, hypot, radians, sin
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from heirloom.data.graphics.scene import Colour, Mark, Palette, Point, Tint, curve

Place: TypeAlias = tuple[float, float, float]
Places: TypeAlias = NDArray[np.float64]

NEAREST = 0.12  # metres before the camera, where whatever comes nearer is cut
LEVELS = 32  # steps of brightness that an ink is drawn in
_RISE = 3.0  # a solid that stands on another one of the same piece is drawn after it


@dataclass(frozen=True)
class Face:
    """A flat polygon in an ink; one with a normal is the side of a solid and cannot be seen from behind."""

    ink: str
    points: tuple[Place, ...]
    normal: Place | None = None


Solid: TypeAlias = tuple[Face, ...]
Piece: TypeAlias = tuple[Solid, ...]


@dataclass(frozen=True)
class Camera:
    """Where the camera stands, how it is turned (degrees to the right and down) and how long its lens is."""

    x: float
    y: float
    z: float
    yaw: float
    pitch: float
    focal: float


@dataclass(frozen=True)
class Lamp:
    """Direction that light comes from (about of length 1), brightness without it, and the share lost in 10 metres."""

    direction: Place
    ambient: float
    loss: float


# --------------------------------------------------------------------------------------------------------- solids


def prism(ink: str, outline: Sequence[Point], bottom: float, top: float, lid: str | None = None) -> Solid:
    """Raise an outline, points (x, z), from one height to another; its top may have an ink of its own."""
    middle_x, middle_z = (sum(values) / len(outline) for values in zip(*outline, strict=True))
    faces = [
        Face(lid or ink, tuple((x, top, z) for x, z in outline), (0, 1, 0)),
        Face(ink, tuple((x, bottom, z) for x, z in outline), (0, -1, 0)),
    ]
    for (x, z), (u, v) in zip(outline, (*outline[1:], outline[0]), strict=True):
        across, along, length = v - z, x - u, hypot(v - z, x - u) or 1.0
        side = 1 if across * (x - middle_x) + along * (z - middle_z) > 0 else -1
        normal = (side * across / length, 0.0, side * along / length)
        faces.append(Face(ink, ((x, bottom, z), (u, bottom, v), (u, top, v), (x, top, z)), normal))
    return tuple(faces)


def block(
    ink: str, x: float, y: float, z: float, width: float, height: float, depth: float, lid: str | None = None
) -> Solid:
    """Put up a box: the middle of its base, then its size along x, y and z."""
    left, right, near, far = x - width / 2, x + width / 2, z - depth / 2, z + depth / 2
    return prism(ink, ((left, near), (right, near), (right, far), (left, far)), y, y + height, lid)


def drum(ink: str, x: float, y: float, z: float, radius: float, height: float, lid: str | None = None) -> Solid:
    """Put up a cylinder of eight sides on the middle of its base."""
    angles = np.arange(8) * np.pi / 4 + 0.3
    return prism(ink, [(x + radius * cos(a), z + radius * sin(a)) for a in angles], y, y + height, lid)


def pole(ink: str, x: float, y: float, z: float, height: float, thickness: float = 0.06) -> Solid:
    """Put up a thin post on the middle of its base."""
    return block(ink, x, y, z, thickness, height, thickness)


def upright(ink: str, x: float, y: float, z: float, width: float, height: float) -> Solid:
    """Hang a sheet that looks along z, given the middle of its lower edge."""
    left, right = x - width / 2, x + width / 2
    return (Face(ink, ((left, y, z), (right, y, z), (right, y + height, z), (left, y + height, z))),)


def level(ink: str, x: float, y: float, z: float, width: float, depth: float) -> Solid:
    """Lay a sheet flat, given its middle."""
    left, right, near, far = x - width / 2, x + width / 2, z - depth / 2, z + depth / 2
    return (Face(ink, ((left, y, near), (right, y, near), (right, y, far), (left, y, far))),)


def disc(ink: str, x: float, y: float, z: float, radius: float, height: float | None = None) -> Solid:
    """Hang a round sheet that looks along z, given its middle; an oval where a half height is given."""
    return (Face(ink, tuple((a, b, z) for a, b in curve(x, y, radius, height or radius))[::3]),)


def sheet(ink: str, *points: Place) -> Solid:
    """Hang a sheet anywhere."""
    return (Face(ink, points),)


def placed(solids: Iterable[Solid], x: float, z: float, turn: float = 0.0, y: float = 0.0) -> Piece:
    """Turn a piece about its own upright axis (degrees: at 90 its front, towards -z, looks to +x) and set it down."""
    c, s = cos(radians(turn)), sin(radians(turn))

    def put(point: Place) -> Place:
        return x + c * point[0] - s * point[2], y + point[1], z + s * point[0] + c * point[2]

    def along(normal: Place | None) -> Place | None:
        return normal and (c * normal[0] - s * normal[2], normal[1], s * normal[0] + c * normal[2])

    return tuple(
        tuple(Face(face.ink, tuple(map(put, face.points)), along(face.normal)) for face in solid) for solid in solids
    )


# ---------------------------------------------------------------------------------------------------- what is seen


def view(shell: Sequence[Solid], pieces: Iterable[Piece], camera: Camera, lamp: Lamp) -> tuple[Mark, ...]:
    """Draw the shell in its own order, then all pieces from the farthest to the nearest.

    The inks of the marks are those of the faces with a brightness added, for which `lit` makes the palette.
    """
    standpoint = (camera.x, camera.y, camera.z)
    ordered = sorted(pieces, key=lambda piece: -_distance(piece, standpoint))
    solids = [*shell]
    for piece in ordered:
        solids += sorted(piece, key=lambda solid: _height(solid) * _RISE - _distance((solid,), standpoint))
    faces = [face for solid in solids for face in solid if _is_seen(face, standpoint)]
    shapes = _shapes(faces, standpoint, camera)
    return tuple(
        Mark(f"{face.ink}@{_brightness(face, standpoint, lamp, depth)}", points)
        for face, (points, depth) in zip(faces, shapes, strict=True)
        if len(points) >= 3
    )


def _shapes(faces: Sequence[Face], standpoint: Place, camera: Camera) -> Iterator[tuple[tuple[Point, ...], float]]:
    """Project faces onto the picture; with each come its first corner's depth and no points if it is out of sight."""
    corners = _turned(np.array([point for face in faces for point in face.points]) - standpoint, camera)
    plane, depths = _projected(corners, camera.focal), corners[:, 2].tolist()
    start = 0
    for face in faces:
        stop = start + len(face.points)
        if min(depths[start:stop]) >= NEAREST:
            yield plane[start:stop], depths[start]
        else:
            cut = _cut(corners[start:stop])
            yield (_projected(cut, camera.focal) if len(cut) else ()), max(NEAREST, depths[start])
        start = stop


def lit(marks: Iterable[Mark], palette: Palette) -> dict[str, Colour | Tint]:
    """Make the palette of marks that `view` gave from that of their faces: inks named glow... and tints stay as is."""
    inks = {}
    for ink in {mark.ink for mark in marks}:
        name, brightness = ink.split("@")
        colour, factor = palette[name], int(brightness) / LEVELS
        unlit = name.startswith("glow") or len(colour) == 4
        inks[ink] = colour if unlit else _dimmed(colour, factor)
    return inks


def _dimmed(colour: Sequence[int], factor: float) -> Colour:
    red, green, blue = (round(channel * factor) for channel in colour)
    return red, green, blue


def _distance(piece: Piece, standpoint: Place) -> float:
    """Level distance from the camera to the middle of the piece's corners."""
    points = [point for solid in piece for face in solid for point in face.points]
    xs, _, zs = zip(*points, strict=True)
    return hypot(sum(xs) / len(xs) - standpoint[0], sum(zs) / len(zs) - standpoint[2])


def _height(solid: Solid) -> float:
    return min(point[1] for face in solid for point in face.points)


def _facing(normal: Place, point: Place, standpoint: Place) -> float:
    (a, b, c), (x, y, z), (u, v, w) = normal, point, standpoint
    return a * (u - x) + b * (v - y) + c * (w - z)


def _is_seen(face: Face, standpoint: Place) -> bool:
    return face.normal is None or _facing(face.normal, face.points[0], standpoint) > 0


def _brightness(face: Face, standpoint: Place, lamp: Lamp, depth: float) -> int:
    normal = face.normal or _normal(face, standpoint)
    share = max(-0.5, -_facing(normal, lamp.direction, (0.0, 0.0, 0.0)))
    value = (lamp.ambient + (1 - lamp.ambient) * share) * max(0.3, 1 - lamp.loss * depth / 10)
    return round(LEVELS * min(1.0, max(0.15, value)))


def _normal(face: Face, standpoint: Place) -> Place:
    """Find a sheet's normal on the camera's side."""
    (a, b, c), (d, e, f), (g, h, i) = face.points[0], face.points[1], face.points[len(face.points) // 2]
    u, v = (d - a, e - b, f - c), (g - a, h - b, i - c)
    across = (u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0])
    length = sum(value * value for value in across) ** 0.5 or 1.0
    length = length if _facing(across, face.points[0], standpoint) > 0 else -length
    return across[0] / length, across[1] / length, across[2] / length


def _turned(points: Places, camera: Camera) -> Places:
    """Bring places about the camera into its own axes: right, up, ahead."""
    c, s = cos(radians(camera.yaw)), sin(radians(camera.yaw))
    p, q = cos(radians(camera.pitch)), sin(radians(camera.pitch))
    right, ahead = (c, 0.0, -s), (s * p, -q, c * p)
    up = (s * q, p, c * q)
    return np.asarray(points @ np.array((right, up, ahead)).T, dtype=np.float64)


def _cut(area: Places) -> Places:
    """Cut a polygon at the plane NEAREST before the camera; fewer than three corners are left if none of it is."""
    kept = []
    for here, there in zip(area, np.roll(area, -1, axis=0), strict=True):
        if here[2] >= NEAREST:
            kept.append(here)
        if (here[2] >= NEAREST) != (there[2] >= NEAREST):
            share = (NEAREST - here[2]) / (there[2] - here[2])
            kept.append(here + share * (there - here))
    return np.array(kept)


def _projected(area: Places, focal: float) -> tuple[Point, ...]:
    plane = area[:, :2] * (focal, -focal) / np.maximum(area[:, 2:], NEAREST)
    return tuple((x, y) for x, y in plane.tolist())
