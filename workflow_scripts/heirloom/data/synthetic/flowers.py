"""Drawn flowers of kinds that do not exist, written in the layout of Oxford Flowers 102 (Nilsback and Zisserman 2008).

Folder and lists are those of the published set; every pixel is made up here. A kind is a habit (open, cup, bell, spike,
globe), its petals' number, shape and marks, its centre and its leaves. Many kinds bloom in several colours, and kinds
share colours, so that a colour alone tells little. Flowers vary in number, size, place, view, age and light; blossoms
of no kind stand behind them, and grass may hide a part.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import cos, pi, sin
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
from PIL import Image

from heirloom.data.synthetic.files import check_classes, draw_size, save_jpeg, save_matlab
from heirloom.data.synthetic.scene import (
    Box,
    Colour,
    Limits,
    Mark,
    Range,
    any_colour,
    bent,
    check_counts,
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

_TRAINING, _VALIDATION, _TEST, _ORDER = range(4)
_LIMITS = Limits(gain=(0.6, 1.35), share=(1, 1), turn=0, slant=0, shift=0, blur=(0.002, 0.01), grain=(1, 6))

_RED, _PINK, _ORANGE, _YELLOW = (204, 44, 48), (232, 130, 168), (234, 132, 40), (240, 204, 52)
_WHITE, _BLUE, _VIOLET, _PURPLE = (240, 238, 230), (76, 104, 204), (134, 90, 196), (170, 52, 140)
_BROWN, _DARK, _LIME, _CREAM = (110, 70, 40), (52, 34, 44), (170, 190, 80), (240, 222, 170)


# ------------------------------------------------------------------------------------------------------------ kinds


@dataclass(frozen=True)
class Kind:
    """What flowers of one kind share. Lengths are in those of a petal.

    `petals`: how many in the outer ring. `rings`: from the outer to the inner one, these shorter. `width`: half
    a petal's width. `mark`: what a petal shows in the ink "mark". `colours`: those it may bloom in.
    """

    colours: tuple[Colour, ...]
    habit: str = "open"
    petals: int = 5
    shape: str = "round"
    width: float = 0.4
    rings: int = 1
    mark: str = "none"
    centre: str = "disc"
    core: float = 0.3
    leaves: str = "oval"
    ink: Colour = _DARK
    core_colour: Colour = _YELLOW


KINDS: tuple[Kind, ...] = (
    Kind((_WHITE, _PINK, _YELLOW), petals=15, shape="strap", width=0.13, core=0.34),
    Kind((_RED, _ORANGE, _PINK), petals=4, width=0.72, mark="eye", centre="stamens", core=0.2, core_colour=_DARK),
    Kind((_RED, _YELLOW, _PURPLE, _WHITE), habit="cup", petals=3, shape="pointed", width=0.42, leaves="strap"),
    Kind((_BLUE, _VIOLET, _WHITE), habit="bell", petals=4, leaves="strap"),
    Kind((_VIOLET, _PINK, _BLUE), habit="spike", petals=4, width=0.45, core=0.3, leaves="strap"),
    Kind((_WHITE, _BLUE, _PINK), petals=5, shape="notched", width=0.5, core=0.22),
    Kind((_WHITE, _YELLOW, _ORANGE), petals=6, shape="pointed", width=0.3, mark="spots", centre="stamens", core=0.3),
    Kind((_PURPLE, _WHITE, _PINK), habit="globe", petals=5, width=0.45, core=0.3, leaves="strap"),
    Kind((_ORANGE, _YELLOW, _RED), petals=14, shape="notched", width=0.24, rings=3, core=0.0),
    Kind((_YELLOW, _ORANGE), petals=13, shape="pointed", width=0.2, core=0.55, core_colour=_BROWN),
    Kind((_BLUE, _VIOLET, _WHITE), petals=5, shape="pointed", width=0.42, mark="veins", core=0.16, core_colour=_WHITE),
    Kind((_WHITE, _YELLOW), petals=6, width=0.36, shape="pointed", centre="trumpet", core=0.42, leaves="strap"),
    Kind((_PINK, _RED, _WHITE), petals=9, shape="round", width=0.42, rings=3, core=0.0),
    Kind((_YELLOW, _WHITE, _VIOLET), petals=5, width=0.52, mark="face", core=0.14),
    Kind((_PINK, _PURPLE, _WHITE), petals=8, shape="strap", width=0.2, mark="edge", core=0.3, core_colour=_BROWN),
    Kind((_YELLOW, _RED, _ORANGE), habit="bell", petals=2, leaves="oval"),
    Kind((_BLUE, _PURPLE, _PINK), petals=16, shape="fringed", width=0.15, rings=1, core=0.3, core_colour=_PURPLE),
    Kind((_RED, _ORANGE, _YELLOW), habit="spike", petals=3, shape="pointed", width=0.35, core=0.2, leaves="oval"),
    Kind((_WHITE, _PINK, _YELLOW), petals=10, shape="pointed", width=0.28, rings=2, centre="stamens", core=0.3),
    Kind((_WHITE, _YELLOW, _PURPLE), habit="globe", petals=4, shape="strap", width=0.2, core=0.2, leaves="oval"),
)
"""All kinds, in the order of their numbers; any first few are of many sorts, and some hard to tell apart."""


# ------------------------------------------------------------------------------------------------------------ parts


_PROFILES: Mapping[str, Callable[[float], float]] = MappingProxyType(
    {
        "round": lambda x: sin(pi * x**1.5) ** 0.7 if x < 1 else 0.0,
        "notched": lambda x: sin(pi * x**1.9) ** 0.6 if x < 1 else 0.0,
        "pointed": lambda x: sin(pi * x**0.9) ** 1.1 if x < 1 else 0.0,
        "strap": lambda x: min(1.0, 3.5 * x, (max(0.0, 1 - x) * 6) ** 0.5),
        "fringed": lambda x: min(1.0, 1.3 * x + 0.15),
    }
)
"""Half a petal's width, as a share of the widest, at a share of the way from its foot to its tip."""


def _petal(ink: str, shape: str, width: float, length: float = 1.0) -> Mark:
    """Draw one petal from the origin to the right."""
    places = np.linspace(0, 1, 8).tolist()
    edge = [(x * length, width * length * _PROFILES[shape](x)) for x in places]
    tips = {
        "notched": [(0.8 * length, 0.0)],
        "fringed": [(share * length, y * width * length) for share, y in ((0.8, 0.5), (1, 0), (0.8, -0.5))],
    }
    body = edge[:-1] if shape == "notched" else edge
    return Mark(ink, (*body, *tips.get(shape, []), *((x, -y) for x, y in reversed(body))))


def _decoration(kind: Kind, length: float) -> Marks:
    """Draw what a petal shows: along it, from the origin to the right."""
    wide = kind.width * length
    return {
        "none": (),
        "eye": (oval("mark", 0.3 * length, 0, 0.2 * length, wide * 0.5),),
        "spots": tuple(
            oval("mark", x * length, y * wide, 0.045) for x, y in ((0.4, 0.2), (0.5, -0.3), (0.62, 0.15), (0.3, -0.1))
        ),
        "veins": tuple(stroke("mark", 0.03, 0.15, 0, 0.8 * length, wide * y) for y in (-0.45, 0, 0.45)),
        "edge": (oval("mark", 0.9 * length, 0, 0.12 * length, wide * 0.7),),
        "face": (stroke("mark", 0.07, 0.1, 0, 0.55 * length, 0),),
    }[kind.mark]


def _centre(kind: Kind, rng: np.random.Generator) -> Marks:
    """Draw what stands in the middle of the petals."""
    r = kind.core
    if kind.centre == "trumpet":
        frill = (
            oval("core", r * 0.85 * cos(a), r * 0.85 * sin(a), r * 0.3) for a in np.linspace(0, 2 * pi, 9).tolist()
        )
        return (*frill, oval("core", 0, 0, r), oval("deep", 0, 0, r * 0.6))
    if kind.centre == "stamens":
        angles = np.linspace(0, 2 * pi, 9)[:-1] + rng.uniform(0, 1)
        ends = [(2.0 * r * cos(a), 2.0 * r * sin(a)) for a in angles.tolist()]
        threads = (stroke("deep", 0.035, 0, 0, x, y) for x, y in ends)
        return (*threads, *(oval("core", x, y, 0.07) for x, y in ends), oval("core", 0, 0, r * 0.6))
    if not r:
        return (oval("deep", 0, 0, 0.08),)
    specks = rng.uniform(-0.55, 0.55, (5, 2)).tolist()
    return (oval("core", 0, 0, r), *(oval("deep", x * r, y * r, r * 0.14) for x, y in specks))


def _rosette(kind: Kind, rng: np.random.Generator) -> Marks:
    """Draw a blossom from above about the origin: rings of petals, the outer first, and the centre."""
    marks: list[Mark] = []
    start = rng.uniform(0, 360)
    for ring in range(kind.rings):
        length, ink = 1 - 0.28 * ring, "petal" if ring % 2 == 0 else "shade"
        turns = start + 180 / kind.petals * ring + np.arange(kind.petals) * 360 / kind.petals
        for turn in turns + rng.normal(0, 25 / kind.petals, kind.petals):
            size = length * rng.uniform(0.92, 1.08)
            petal = (_petal(ink, kind.shape, kind.width, size), *_rib(kind, size), *_decoration(kind, size))
            marks += moved(petal, turn=float(turn))
    return (*marks, *_centre(kind, rng))


def _rib(kind: Kind, length: float) -> Marks:
    """Draw the fold that tells one petal from the next."""
    return (stroke("rib", 0.035, 0.2 * length, 0, 0.75 * length, 0),) if kind.width > 0.1 else ()


def _tilted(marks: Marks, rng: np.random.Generator) -> Marks:
    """Look at a flat blossom from a slant, of which the far half is up."""
    squash = rng.uniform(0.45, 1)
    flat = (replace(mark, points=tuple((x, y * squash) for x, y in mark.points)) for mark in marks)
    return moved(flat, turn=rng.uniform(-35, 35))


# ----------------------------------------------------------------------------------------------------------- habits


def _open(kind: Kind, rng: np.random.Generator) -> Marks:
    return _tilted(_rosette(kind, rng), rng)


def _cup(kind: Kind, rng: np.random.Generator) -> Marks:
    """Draw a cup from its side: petals that stand up from the origin."""
    spread = rng.uniform(14, 34)
    back = [
        moved((_petal("shade", kind.shape, kind.width * 1.1),), turn=-90 + turn)
        for turn in (-spread * 0.5, spread * 0.5)
    ]
    front = [
        moved((_petal("petal", kind.shape, kind.width * 1.15), *_rib(kind, 1)), turn=-90 + turn)
        for turn in (-spread, spread, 0)
    ]
    cups = tuple(mark for petal in (*back, *front) for mark in petal)
    return moved(cups, turn=rng.uniform(-25, 25))


def _bell(kind: Kind, rng: np.random.Generator) -> Marks:
    """Draw bells that hang from an arched stalk, which ends at the origin."""
    reach, rise = rng.uniform(1.6, 2.4), rng.uniform(0.3, 1.1)
    stalk = [(reach * t, -rise * sin(pi * (0.35 + 0.65 * t)) + rise * 0.9) for t in np.linspace(0, 1, 9).tolist()]
    bell = (
        stroke("stem", 0.07, 0, 0, 0, 0.25),
        polygon(
            "petal", -0.16, 0.2, 0.16, 0.2, 0.34, 0.6, 0.48, 1.0, 0.24, 0.9, 0, 1.05, -0.24, 0.9, -0.48, 1.0, -0.34, 0.6
        ),
        stroke("rib", 0.05, 0, 0.35, 0, 0.85),
        stroke("shade", 0.07, -0.4, 0.97, 0.4, 0.97),
    )
    places = np.linspace(0.3, 1, kind.petals).tolist()
    size = 1.0 if kind.petals > 2 else 1.5
    hung = [
        moved(
            bell,
            reach * t,
            -rise * sin(pi * (0.35 + 0.65 * t)) + rise * 0.9,
            size * rng.uniform(0.8, 1.1),
            rng.uniform(-18, 18),
        )
        for t in places
    ]
    return (Mark("stem", tuple(stalk), 0.1), *(mark for bells in hung for mark in bells))


def _florets(kind: Kind, rng: np.random.Generator) -> Callable[[float, float, float], Marks]:
    """Return what puts a small blossom at a place, in a size, seen as one of a few."""
    seen = [_tilted(_rosette(replace(kind, rings=1), rng), rng) for _ in range(3)]
    plain = [tuple(mark for mark in blossom if mark.ink not in ("rib", "deep")) for blossom in seen]
    return lambda x, y, size: moved(plain[rng.integers(3)], x, y, size, rng.uniform(0, 360))


def _spike(kind: Kind, rng: np.random.Generator) -> Marks:
    """Draw small blossoms along an upright stem, smaller towards its top; the foot is the origin."""
    height, lean, floret = rng.uniform(2.6, 3.6), rng.uniform(-0.5, 0.5), _florets(kind, rng)
    marks: list[Mark] = [stroke("stem", 0.1, 0, 0, lean, -height)]
    for t in np.linspace(0.12, 1, 9).tolist():
        for side in (-1, 1):
            marks += floret(lean * t + side * 0.32 * (1.1 - t * 0.7), -height * t, 0.46 * (1.15 - 0.75 * t))
    return tuple(marks)


def _globe(kind: Kind, rng: np.random.Generator) -> Marks:
    """Draw a ball of small blossoms about the origin."""
    marks, floret = [oval("shade", 0, 0, 0.95)], _florets(kind, rng)
    for away, angle in rng.uniform((0, 0), (0.95, 2 * pi), (18, 2)).tolist():
        marks += floret(away**0.6 * cos(angle), away**0.6 * sin(angle), 0.32)
    return tuple(marks)


_HABITS: Mapping[str, Callable[[Kind, np.random.Generator], Marks]] = MappingProxyType(
    {"open": _open, "cup": _cup, "bell": _bell, "spike": _spike, "globe": _globe}
)


# --------------------------------------------------------------------------------------------------------- pictures


def _plant(kind: Kind, rng: np.random.Generator, extent: Range) -> tuple[Marks, Marks]:
    """Draw one flower in the picture's square: the stem that it stands on with its leaves, and its blossom."""
    head = (*bent(_HABITS[kind.habit](kind, rng), rng, 0.04), Mark("", ((0.0, 0.0),)))
    *blossom, foot = framed(moved(head, flip=bool(rng.random() < 0.5)), rng, extent)
    (x, y), bend = foot.points[0], rng.uniform(-0.35, 0.35)
    thick = rng.uniform(0.035, 0.06) * (0.6 + extent[1] / 2)
    stem = stroke("stem", thick, x, y, x + bend * 0.3, (y + 1.2) / 2, x + bend, 1.25)
    return (stem, *_leaves(kind, rng, x + bend * 0.4, y)), tuple(blossom)


def _leaves(kind: Kind, rng: np.random.Generator, x: float, y: float) -> Marks:
    """Draw leaves that leave a stem below a height."""
    shapes = {"strap": _petal("leaf", "strap", 0.07), "oval": _petal("leaf", "pointed", 0.28)}
    leaf = (shapes[kind.leaves], stroke("stem", 0.02, 0, 0, 0.85, 0))
    places = rng.uniform((min(y + 0.3, 0.9), 25, 0.4), (1.15, 70, 0.8), (int(rng.integers(1, 4)), 3)).tolist()
    return tuple(
        mark
        for n, (height, rise, size) in enumerate(places)
        for mark in moved(leaf, x, height, size, -rise if n % 2 else rise - 180)
    )


def _meadow(rng: np.random.Generator) -> Marks:
    """Draw what grows behind the flower: ground or none, grass, and blossoms of no kind."""
    ground = turf(rng, rng.uniform(0.1, 0.8)) if rng.random() < 0.6 else ()
    blades = rng.uniform((-1, -0.6, -0.3), (1, 0.8, 0.3), (int(rng.integers(3, 14)), 3)).tolist()
    grass = (stroke("grass", 0.025, x, 1.2, x + lean, top) for x, top, lean in blades)
    spots = rng.uniform((-1, -0.8, 0.03, 0), (1, 1, 0.14, 3), (int(rng.integers(0, 12)), 4)).tolist()
    return (*ground, *grass, *(oval(f"bloom{int(which)}", x, y, r, r * 0.8) for x, y, r, which in spots))


def _cover(rng: np.random.Generator) -> Marks:
    """Let blades of grass come before the flower, now and then."""
    if rng.random() > 0.35:
        return ()
    blades = rng.uniform((-1, -0.9, -0.5, 0.02), (1, 0.4, 0.5, 0.05), (int(rng.integers(1, 4)), 4)).tolist()
    return tuple(stroke("blade", width, x, 1.2, x + lean, top) for x, top, lean, width in blades)


def _palette(kind: Kind, rng: np.random.Generator) -> dict[str, Colour]:
    """Colour a kind's inks for one picture: one of its colours, which age and light change a little."""
    faded, fade, tone = rng.uniform(0, 0.18), rng.uniform(0.86, 1.1), rng.normal(0, 10, 3)
    petal = worn(kind.colours[rng.integers(len(kind.colours))], faded, fade, tone)
    core = worn(kind.core_colour, faded, fade, tone)
    plain = np.zeros(3)
    return {
        "petal": petal,
        "shade": worn(petal, 0.08, 0.82, plain),
        "rib": worn(petal, 0.1, 0.84, plain),
        "core": core,
        "deep": worn(core, 0.1, 0.66, plain),
        "mark": worn(kind.ink, 0.0, 1.0, tone),
        "stem": any_colour(rng, (70, 130), (0.35, 0.75), (0.25, 0.6)),
        "leaf": any_colour(rng, (75, 140), (0.35, 0.8), (0.25, 0.65)),
        "blade": any_colour(rng, (60, 130), (0.35, 0.8), (0.25, 0.75)),
        "grass": any_colour(rng, (45, 130), (0.3, 0.7), (0.25, 0.75)),
        "earth": any_colour(rng, (20, 140), (0.1, 0.6), (0.25, 0.7)),
        **{f"bloom{n}": any_colour(rng, saturation=(0.1, 0.9), value=(0.4, 1)) for n in range(3)},
    }


def draw_flower(kind_index: int, rng: np.random.Generator, side: int) -> tuple[Image.Image, Box]:
    """Draw one picture of flowers of one kind.

    Returns an RGB image, its width 0.9 to 1.35 and its height 0.85 to 1.1 times `side`, and the box of the nearest
    blossom in it (x1, y1, x2, y2, the last pixels included). Raises IndexError for an index that KINDS does not have.
    """
    kind = KINDS[kind_index]
    others = [_plant(kind, rng, (0.4, 0.75)) for _ in range(int(rng.choice((0, 0, 0, 1, 1, 2))))]
    stem, blossom = _plant(kind, rng, (0.9, 1.7))
    behind = tuple(mark for plant in others for part in plant for mark in part)
    layers = (_meadow(rng), (*behind, *stem), blossom, _cover(rng))
    setting = draw_setting(rng, _LIMITS, ("foliage", "foliage", "haze", "sky"))
    return portray(layers, _palette(kind, rng), setting, rng, draw_size(rng, side, (0.9, 1.35), (0.85, 1.1)), 2)


# ----------------------------------------------------------------------------------------------------------- files


_SPLITS: Mapping[str, int] = MappingProxyType({"trnid": _TRAINING, "valid": _VALIDATION, "tstid": _TEST})


def write(
    root: Path, *, seed: int, classes: int = 12, train_images: int = 40, test_images: int = 15, side: int = 48
) -> None:
    """Write Oxford Flowers 102's own layout under root/Flower_102: jpg, imagelabels.mat and setid.mat.

    `train_images` and `test_images` count for each class; the training pictures are shared between the splits trnid
    and valid, as the published ones are. Pictures are JPEG of sizes about `side`, numbered from 1 in no order. The same
    arguments give the same bytes; what a picture shows, but not its number, depends on the seed and its own class, part
    and place alone. Raises ValueError for a count or side out of range, FileExistsError if root/Flower_102 exists.
    """
    check_classes(classes, len(KINDS), "drawn flowers")
    check_counts(train_images=(train_images, 2), test_images=(test_images, 1), side=(side, 16))
    folder = root / "Flower_102"
    (folder / "jpg").mkdir(parents=True)
    valid = train_images // 2
    counts = {_TRAINING: train_images - valid, _VALIDATION: valid, _TEST: test_images}
    places = [(part, index, k) for part, count in counts.items() for index in range(classes) for k in range(count)]
    order = stream(seed, _ORDER).permutation(len(places)).tolist()
    for number, place in enumerate(order, start=1):
        part, index, k = places[place]
        image, _ = draw_flower(index, stream(seed, part, index, k), side)
        save_jpeg(image, folder / "jpg" / f"image_{number:05d}.jpg")
    parts = np.array([places[place][0] for place in order])
    labels = np.array([[places[place][1] + 1 for place in order]], dtype=np.uint8)
    numbers = {name: np.flatnonzero(parts == part)[None] + 1 for name, part in _SPLITS.items()}
    shuffled = {name: stream(seed, _ORDER, _SPLITS[name]).permutation(found, axis=1) for name, found in numbers.items()}
    save_matlab(folder / "imagelabels.mat", {"labels": labels})
    save_matlab(
        folder / "setid.mat", {name: found.astype(np.min_scalar_type(len(order))) for name, found in shuffled.items()}
    )
