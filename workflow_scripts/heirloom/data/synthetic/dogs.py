"""Drawn dogs of breeds that do not exist, written in the layout of Stanford Dogs (Khosla et al. 2011).

Folders, lists and annotations are those of the published set; every pixel, and every name, is made up here. A breed is
its proportions, ears, tail, coat and pattern; most come in several colours, which breeds share. Its dogs vary in age,
stance, size, side, place and light, and grass or a fence may hide a part. Bounding boxes are those of the drawn dogs.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
from PIL import Image

from heirloom.data.synthetic.dog_bodies import STANCES, Breed
from heirloom.data.synthetic.files import (
    cells,
    check_classes,
    draw_size,
    save_annotation,
    save_jpeg,
    save_matlab,
)
from heirloom.data.synthetic.scene import (
    Box,
    Colour,
    Limits,
    Mark,
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

_TRAINING, _TEST = range(2)
_LIMITS = Limits(gain=(0.75, 1.3), share=(1, 1), turn=0, slant=0, shift=0, blur=(0.002, 0.007), grain=(1, 5))

_BLACK, _WHITE, _CREAM, _GREY = (44, 40, 42), (236, 232, 222), (222, 196, 150), (140, 142, 148)
_TAN, _RED, _BROWN, _GOLD = (188, 136, 84), (160, 84, 46), (98, 64, 44), (212, 164, 88)


# ----------------------------------------------------------------------------------------------------------- breeds


_HOUND = Breed("", (_TAN, _GREY), depth=0.44, waist=0.2, legs=1.0, limb=0.12, neck=0.62, head=0.27, muzzle=(0.5, 0.1))
_LOW = Breed(
    "",
    (_RED, _BLACK),
    depth=0.3,
    waist=0.26,
    legs=0.26,
    limb=0.17,
    neck=0.34,
    head=0.27,
    muzzle=(0.42, 0.1),
    ear=0.46,
)
_SPITZ = Breed(
    "",
    (_CREAM, _RED),
    legs=0.66,
    ears="prick",
    ear=0.3,
    tail="curl",
    hair=0.16,
    muzzle=(0.28, 0.12),
    under=_WHITE,
)
_BULL = Breed(
    "",
    (_TAN, _WHITE),
    depth=0.5,
    waist=0.4,
    legs=0.45,
    limb=0.24,
    neck=0.24,
    head=0.46,
    muzzle=(0.16, 0.26),
    ears="rose",
    ear=0.2,
    tail="bob",
)
_SHEEP = Breed(
    "",
    (_GREY, _WHITE),
    depth=0.5,
    waist=0.44,
    legs=0.62,
    limb=0.24,
    neck=0.32,
    head=0.4,
    muzzle=(0.26, 0.2),
    ear=0.36,
    tail="bob",
    hair=0.3,
)
_GUN = Breed("", (_GOLD, _BROWN), legs=0.78, ear=0.42, tail="plume", hair=0.1)
_WOLF = Breed("", (_TAN, _GREY), legs=0.85, neck=0.5, ears="prick", ear=0.36, tail="plume", pattern="saddle")
_TOY = Breed(
    "",
    (_TAN, _BLACK),
    depth=0.36,
    waist=0.28,
    legs=0.55,
    limb=0.1,
    neck=0.36,
    head=0.42,
    muzzle=(0.2, 0.1),
    ears="bat",
    ear=0.5,
    tail="straight",
)
_TERRIER = Breed(
    "",
    (_WHITE, _TAN),
    depth=0.38,
    waist=0.32,
    legs=0.6,
    head=0.33,
    muzzle=(0.4, 0.19),
    ears="rose",
    ear=0.26,
    tail="up",
)

BREEDS: tuple[Breed, ...] = (
    replace(_HOUND, name="drawn_runner", ears="rose", ear=0.24, tail="whip"),
    replace(_LOW, name="drawn_lowlegs", tail="straight"),
    replace(_SPITZ, name="drawn_curltail"),
    replace(_BULL, name="drawn_brindle_flatface", pattern="brindle", coats=(_TAN, _GOLD), legs=0.6),
    replace(_SHEEP, name="drawn_shagcoat"),
    replace(_GUN, name="drawn_plumetail"),
    replace(_WOLF, name="drawn_saddleback"),
    replace(_TOY, name="drawn_batear"),
    replace(_GUN, name="drawn_spotcoat", coats=(_WHITE,), pattern="spots", tail="whip", hair=0.0),
    replace(_WOLF, name="drawn_mask", pattern="mask", coats=(_CREAM, _GREY), tail="curl"),
    replace(_SHEEP, name="drawn_patchcoat", coats=(_WHITE,), pattern="patches", tail="plume", hair=0.16),
    replace(_BULL, name="drawn_flatface"),
    replace(_HOUND, name="drawn_plumed_runner", ears="drop", tail="plume", hair=0.22),
    replace(_TERRIER, name="drawn_wirebeard", hair=0.1, pattern="plain"),
    replace(_LOW, name="drawn_patched_lowlegs", coats=(_WHITE,), pattern="patches", tail="up", depth=0.36, mark=_BROWN),
    replace(_TERRIER, name="drawn_saddle_terrier", pattern="saddle", coats=(_TAN, _RED), tail="up", hair=0.08),
    replace(_SPITZ, name="drawn_great_spitz", legs=0.8, hair=0.08, pattern="mask", mark=_WHITE, coats=(_GREY, _BLACK)),
    replace(_TOY, name="drawn_fringed_toy", ears="drop", ear=0.5, hair=0.24, tail="plume"),
)
"""All breeds, in the order of their numbers; any first few are of many sorts, and some hard to tell apart."""


# --------------------------------------------------------------------------------------------------------- pictures


def palette(breed: Breed, rng: np.random.Generator) -> dict[str, Colour]:
    """Colour a breed's inks for one dog."""
    fade, tone, plain = rng.uniform(0.84, 1.12), rng.normal(0, 9, 3), np.zeros(3)
    coat = worn(breed.coats[rng.integers(len(breed.coats))], rng.uniform(0, 0.25), fade, tone)
    mark = worn(breed.mark, 0.0, fade, tone)
    return {
        "coat": coat,
        "shade": worn(coat, 0.05, 0.8, plain),
        "ear": worn(mark if breed.pattern in ("patches", "spots") else coat, 0.05, 0.72, plain),
        "face": mark if breed.pattern == "mask" else worn(coat, 0.0, 1.07, plain),
        "deep": worn(coat, 0.0, 0.45, plain),
        "mark": mark,
        "paw": mark,
        "under": worn(breed.under if breed.pattern in ("saddle", "mask") else coat, 0.0, 1.05, tone),
        "nose": (26, 22, 24),
        "glint": (225, 225, 225),
        "tongue": (214, 110, 120),
        "earth": any_colour(rng, (20, 200), (0.1, 0.5), (0.3, 0.8)),
        "grass": any_colour(rng, (45, 130), (0.3, 0.7), (0.3, 0.8)),
        "thing": any_colour(rng, saturation=(0.1, 0.9), value=(0.3, 1)),
    }


def _things(rng: np.random.Generator, ground: float) -> Marks:
    """Let a ball, a bowl or a fence stand about."""
    x, chance = rng.uniform(-0.9, 0.9), rng.random()
    if chance < 0.2:
        r = rng.uniform(0.06, 0.14)
        return (oval("thing", x, ground - r, r),)
    if chance < 0.3:
        return (polygon("thing", x - 0.2, ground - 0.14, x + 0.2, ground - 0.14, x + 0.14, ground, x - 0.14, ground),)
    if chance < 0.5:
        posts = np.linspace(-1.1, 1.1, int(rng.integers(4, 9))).tolist()
        top = ground - rng.uniform(0.4, 1.0)
        return (
            stroke("thing", 0.05, -1.2, top + 0.1, 1.2, top + 0.1),
            *(stroke("thing", 0.06, p, top, p, ground) for p in posts),
        )
    return ()


def _cover(rng: np.random.Generator) -> Marks:
    """Let grass come before the dog, now and then."""
    if rng.random() > 0.25:
        return ()
    blades = rng.uniform((-1, 0.2, -0.3), (1, 1.0, 0.3), (int(rng.integers(3, 9)), 3)).tolist()
    return tuple(stroke("grass", 0.035, x, 1.2, x + lean, top) for x, top, lean in blades)


def draw_dog(breed_index: int, rng: np.random.Generator, side: int) -> tuple[Image.Image, Box]:
    """Draw one picture of a dog.

    Returns an RGB image, its width 0.9 to 1.35 and its height 0.85 to 1.1 times `side`, and the dog's box in it (x1,
    y1, x2, y2, the last pixels included). Raises IndexError for an index that BREEDS does not have.
    """
    breed = _grown(BREEDS[breed_index], rng)
    marks, ground = STANCES[rng.integers(len(STANCES))](breed, rng)
    marks = moved(
        (*bent(marks, rng, 0.03), Mark("", ((0.0, ground),))), flip=bool(rng.random() < 0.5), turn=rng.uniform(-5, 5)
    )
    *dog, foot = framed(marks, rng, (1.5, 1.84))
    level = foot.points[0][1]
    layers = ((*turf(rng, level - 0.05), *_things(rng, level)), tuple(dog), _cover(rng))
    setting = draw_setting(rng, _LIMITS, ("foliage", "haze", "road", "building", "sky"))
    return portray(layers, palette(breed, rng), setting, rng, draw_size(rng, side, (0.9, 1.35), (0.85, 1.1)), 1)


def _grown(breed: Breed, rng: np.random.Generator) -> Breed:
    """Vary the proportions of one dog."""
    names = ("depth", "waist", "legs", "neck", "head", "ear")
    return replace(breed, **{name: getattr(breed, name) * rng.uniform(0.9, 1.1) for name in names})


# ----------------------------------------------------------------------------------------------------------- files


def folder_name(breed_index: int) -> str:
    """Name a breed's folder, a made-up WordNet id and the breed."""
    return f"n{90000000 + 137 * (breed_index + 1):08d}-{BREEDS[breed_index].name}"


def write(
    root: Path, *, seed: int, classes: int = 12, train_images: int = 40, test_images: int = 15, side: int = 48
) -> None:
    """Write Stanford Dogs' own layout under root/stanford_dog: Images and Annotation by breed, and the lists.

    `train_images` and `test_images` count for each class; pictures are JPEG of sizes about `side`. The same arguments
    give the same bytes; what a picture shows depends on the seed and its own class, part and number alone, not on how
    many others there are. Raises ValueError for a count or side out of range, FileExistsError if root/stanford_dog
    exists.
    """
    check_classes(classes, len(BREEDS), "drawn dogs")
    check_counts(train_images=(train_images, 1), test_images=(test_images, 1), side=(side, 16))
    folder = root / "stanford_dog"
    folder.mkdir(parents=True)
    counts = {_TRAINING: train_images, _TEST: test_images}
    for index in range(classes):
        for name in ("Images", "Annotation"):
            (folder / name / folder_name(index)).mkdir(parents=True)
    rows = {
        part: [(_save(folder, seed, part, index, k, side), index + 1) for index in range(classes) for k in range(count)]
        for part, count in counts.items()
    }
    _write_list(folder / "train_list.mat", rows[_TRAINING])
    _write_list(folder / "test_list.mat", rows[_TEST])
    _write_list(folder / "file_list.mat", sorted([*rows[_TRAINING], *rows[_TEST]]))


def _write_list(path: Path, rows: Sequence[tuple[str, int]]) -> None:
    """Write a list of pictures: names without suffix and numbers of breeds."""
    variables = {
        "file_list": cells([f"{name}.jpg" for name, _ in rows]),
        "annotation_list": cells([name for name, _ in rows]),
        "labels": np.array([[number] for _, number in rows], dtype=np.uint8),
    }
    save_matlab(path, variables)


def _save(folder: Path, seed: int, part: int, breed_index: int, number: int, side: int) -> str:
    """Draw and write the dog of a place and its box; return its name below Images, without suffix."""
    breed = folder_name(breed_index)
    name = f"{breed}/{breed.partition('-')[0]}_{2 * number + 1 + part}"
    image, area = draw_dog(breed_index, stream(seed, part, breed_index, number), side)
    save_jpeg(image, folder / "Images" / f"{name}.jpg")
    save_annotation(
        folder / "Annotation" / name, name=Path(name).name, size=image.size, area=area, kind=BREEDS[breed_index].name
    )
    return name
