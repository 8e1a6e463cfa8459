"""Drawn people who do things, written in the layout of Stanford 40 Actions (Yao et al. 2011).

Folders, lists, names of actions and annotations are those of the published set; every pixel is made up here, and nobody
has a face. An action is a posture and a thing that is held, ridden or pushed. People vary in build, hair, clothes,
size, side, place and light; things of no action, and other people, stand about. Boxes are those of the drawn people.
"""

from collections.abc import Iterable
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import TypeAlias

import numpy as np
from PIL import Image

from heirloom.data.synthetic.acts import ACTIONS, PET, near, walk
from heirloom.data.synthetic.dogs import palette as dog_palette
from heirloom.data.synthetic.files import check_classes, draw_size, save_annotation, save_jpeg, write_lines
from heirloom.data.synthetic.human_bodies import GROUND, Posture, any_clothes, any_looks, draw_body
from heirloom.data.synthetic.scene import (
    Box,
    Colour,
    Limits,
    Mark,
    any_colour,
    arc,
    box,
    check_counts,
    draw_setting,
    framed,
    moved,
    oval,
    portray,
    stream,
    stroke,
    turf,
)

Marks: TypeAlias = tuple[Mark, ...]

_LIMITS = Limits(gain=(0.6, 1.35), share=(1, 1), turn=0, slant=0, shift=0, blur=(0.002, 0.01), grain=(1, 6))


# --------------------------------------------------------------------------------------------------------- pictures


def _framed(layers: Iterable[Marks], rng: np.random.Generator, low: float) -> tuple[list[Marks], float]:
    """Bring layers into the picture's square together; the height that `low` comes to comes with them."""
    parts = [*layers, (Mark("", ((0.0, low),)),)]
    flip = bool(rng.random() < 0.5)
    marks = framed(
        moved((mark for part in parts for mark in part), flip=flip, turn=rng.uniform(-4, 4)), rng, (1.3, 1.84)
    )
    ends = list(accumulate(len(part) for part in parts))
    *found, level = (marks[end - len(part) : end] for end, part in zip(ends, parts, strict=True))
    return found, level[0].points[0][1]


def _passer_by(rng: np.random.Generator, level: float) -> Marks:
    """Let somebody who does nothing stand behind, now and then."""
    if rng.random() > 0.3:
        return ()
    posture = Posture((near(rng, 0.1, 0.02), near(rng, -0.1, 0.02)), walk(rng, most=0.2))
    size, body = rng.uniform(0.25, 0.45), draw_body(posture, any_looks(rng))
    marks = (replace(mark, ink=f"other-{mark.ink}") for mark in (*body.behind, *body.trunk, *body.arm))
    return moved(marks, rng.uniform(-0.85, 0.85), level - size * GROUND, size, flip=bool(rng.random() < 0.5))


_THINGS: tuple[Marks, ...] = (
    (stroke("furniture", 0.12, 0, 0, 0, -0.7), oval("leaf", 0, -0.95, 0.36, 0.42)),
    (stroke("metal", 0.05, 0, 0, 0, -1.3), oval("paper", 0, -1.34, 0.09)),
    (box("other-top", -0.14, -0.24, 0.14, 0), arc("other-top", 0.03, 0, -0.24, 0.08, 180, 360)),
    tuple(
        box("other-legs", *edges)
        for edges in ((-0.4, -0.26, 0.4, -0.2), (-0.34, -0.2, -0.28, 0), (0.28, -0.2, 0.34, 0))
    ),
    (oval("other-top", 0, -0.1, 0.1),),
)
"""A tree, a lamp post, a bag, a bench and a ball: things of no action, which stand on the origin."""


def _things(rng: np.random.Generator, level: float) -> Marks:
    """Let things stand about that belong to no action."""
    places = rng.uniform((0, -0.95, 0.5), (len(_THINGS), 0.95, 1.2), (int(rng.integers(0, 3)), 3)).tolist()
    return tuple(mark for kind, x, size in places for mark in moved(_THINGS[int(kind)], x, level, size))


def _palette(rng: np.random.Generator) -> dict[str, Colour]:
    hide = any_colour(rng, (12, 40), (0.1, 0.7), (0.2, 0.85))
    return {
        **dog_palette(PET, rng),
        **any_clothes(rng),
        **any_clothes(rng, "other-"),
        "thing": any_colour(rng, saturation=(0.2, 1), value=(0.3, 1)),
        "trim": any_colour(rng, saturation=(0, 0.4), value=(0.6, 1)),
        "dark": any_colour(rng, saturation=(0, 0.4), value=(0.08, 0.25)),
        "metal": any_colour(rng, saturation=(0, 0.2), value=(0.45, 0.85)),
        "paper": any_colour(rng, (30, 60), (0, 0.12), (0.85, 1)),
        "glow": any_colour(rng, (180, 230), (0.05, 0.4), (0.75, 1)),
        "furniture": any_colour(rng, (15, 45), (0.2, 0.7), (0.25, 0.75)),
        "leaf": any_colour(rng, (60, 150), (0.3, 0.8), (0.2, 0.65)),
        "water": any_colour(rng, (170, 225), (0.2, 0.7), (0.35, 0.85)),
        "stone": any_colour(rng, (0, 60), (0.05, 0.35), (0.4, 0.8)),
        "hide": hide,
        "far-hide": (hide[0] * 3 // 4, hide[1] * 3 // 4, hide[2] * 3 // 4),
        "mane": any_colour(rng, (15, 40), (0.1, 0.5), (0.1, 0.8)),
        "earth": any_colour(rng, (0, 360), (0.03, 0.5), (0.3, 0.85)),
        "grass": any_colour(rng, (45, 130), (0.2, 0.7), (0.3, 0.8)),
    }


def draw_action(action_index: int, rng: np.random.Generator, side: int) -> tuple[Image.Image, Box]:
    """Draw one picture of somebody who does something.

    Returns an RGB image, its width 0.9 to 1.35 and its height 0.85 to 1.1 times `side`, and the person's box in it (x1,
    y1, x2, y2, the last pixels included). Raises IndexError for an index that ACTIONS does not have.
    """
    act = ACTIONS[action_index][1](rng)
    body = draw_body(act.posture, any_looks(rng))
    ground = GROUND if act.ground is None else act.ground
    layers = (act.behind, body.behind, body.trunk, act.held, body.arm, act.before)
    (behind, far, trunk, held, arm, before), level = _framed(layers, rng, ground)
    shore = turf(rng, level) if act.ground is not None else ()
    if act.water:
        shore = tuple(replace(mark, ink="water" if mark.ink == "earth" else "trim") for mark in shore[:7])
    back = (*shore, *_passer_by(rng, level - 0.02), *_things(rng, level - 0.02), *behind)
    size = draw_size(rng, side, (0.9, 1.35), (0.85, 1.1))
    setting = draw_setting(rng, _LIMITS)
    # the arm is drawn with the person, whose box it belongs to, and again before what it holds
    drawn = (back, (*far, *trunk, *arm), (*held, *arm, *before))
    return portray(drawn, _palette(rng), setting, rng, size, 1)


# ----------------------------------------------------------------------------------------------------------- files


def write(
    root: Path, *, seed: int, classes: int = 12, train_images: int = 40, test_images: int = 15, side: int = 48
) -> None:
    """Write Stanford 40 Actions' own layout under root/stanford_40: JPEGImages, ImageSplits and XMLAnnotations.

    `train_images` and `test_images` count for each class; pictures are JPEG of sizes about `side`. The same arguments
    give the same bytes; what a picture shows depends on the seed and its own class, part and number alone, not on how
    many others there are. Raises ValueError for a count or side out of range, FileExistsError if root/stanford_40
    exists.
    """
    check_classes(classes, len(ACTIONS), "drawn actions")
    check_counts(train_images=(train_images, 1), test_images=(test_images, 1), side=(side, 16))
    folder = root / "stanford_40"
    for name in ("JPEGImages", "ImageSplits", "XMLAnnotations"):
        (folder / name).mkdir(parents=True)
    lists = folder / "ImageSplits"
    whole: dict[str, list[str]] = {"train": [], "test": []}
    for index, (action, _) in enumerate(ACTIONS[:classes]):
        for part, (suffix, count) in enumerate((("train", train_images), ("test", test_images))):
            names = [_save(folder, seed, part, index, k, side) for k in range(count)]
            write_lines(lists / f"{action}_{suffix}.txt", names)
            whole[suffix] += names
    for suffix, names in whole.items():
        write_lines(lists / f"{suffix}.txt", names)
    counts = (f"{action}\t{train_images + test_images}" for action, _ in sorted(ACTIONS[:classes]))
    write_lines(lists / "actions.txt", ("action_name\tnumber_of_images", *counts))


def _save(folder: Path, seed: int, part: int, action_index: int, number: int, side: int) -> str:
    """Draw and write the picture of a place and the person's box; return its name. Odd numbers are training's."""
    name = f"{ACTIONS[action_index][0]}_{2 * number + 1 + part:03d}"
    image, area = draw_action(action_index, stream(seed, part, action_index, number), side)
    save_jpeg(image, folder / "JPEGImages" / f"{name}.jpg")
    place = folder / "XMLAnnotations" / f"{name}.xml"
    save_annotation(place, name=f"{name}.jpg", size=image.size, area=area, kind="person")
    return f"{name}.jpg"
