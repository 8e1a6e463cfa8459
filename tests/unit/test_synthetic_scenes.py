"""Drawn scenes, animals and people: laid out as the published sets, following from the seed, distinct, not trivial."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from itertools import combinations
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy.io import loadmat

from heirloom.data.synthetic import (
    WRITERS,
    actions,
    acts,
    birds,
    dogs,
    faces,
    flowers,
    furniture,
    human_bodies,
    interior,
    rooms,
)
from heirloom.data.synthetic.files import write_lines
from heirloom.data.synthetic.scene import Box, Mark, stream
from heirloom.data.voc import region

Drawer: TypeAlias = Callable[[int, np.random.Generator, int], Image.Image]
BoxedDrawer: TypeAlias = Callable[[int, np.random.Generator, int], tuple[Image.Image, Box]]


@dataclass(frozen=True)
class Case:
    """One writer: its folder, few and more pictures of few and more classes, its drawer of one picture, all classes.

    `named`: a picture's name follows from its place, however many others there are.
    """

    folder: str
    few: Mapping[str, int]
    more: Mapping[str, int]
    draw: Drawer
    classes: int
    named: bool = True

    def write(self, name: str, root: Path, *, seed: int, **counts: int) -> None:
        module, function = WRITERS[name].split(":")
        getattr(import_module(module), function)(root, seed=seed, **counts)


def without_box(draw: BoxedDrawer) -> Drawer:
    return lambda index, rng, side: draw(index, rng, side)[0]


SPLIT = {"classes": 3, "train_images": 3, "test_images": 2, "side": 32}
MORE = {**SPLIT, "classes": 5, "train_images": 4, "test_images": 3}
CASES = {
    "rooms": Case("MIT_67", SPLIT, MORE, rooms.draw_room, len(rooms.KINDS)),
    "birds": Case(
        "CUB_200_2011",
        SPLIT,
        MORE,
        without_box(birds.draw_bird),
        len(birds.SPECIES),
    ),
    "faces": Case(
        "PubFig83",
        {"classes": 3, "images": 4, "side": 32},
        {"classes": 4, "images": 6, "side": 32},
        faces.draw_face,
        len(faces.PEOPLE),
    ),
    "flowers": Case("Flower_102", SPLIT, MORE, without_box(flowers.draw_flower), len(flowers.KINDS), named=False),
    "dogs": Case("stanford_dog", SPLIT, MORE, without_box(dogs.draw_dog), len(dogs.BREEDS)),
    "actions": Case("stanford_40", SPLIT, MORE, without_box(actions.draw_action), len(acts.ACTIONS)),
}
MIT67_NAMES = """
airport_inside artstudio auditorium bakery bar bathroom bedroom bookstore bowling buffet casino children_room
church_inside classroom cloister closet clothingstore computerroom concert_hall corridor deli dentaloffice dining_room
elevator fastfood_restaurant florist gameroom garage greenhouse grocerystore gym hairsalon hospitalroom inside_bus
inside_subway jewelleryshop kindergarden kitchen laboratorywet laundromat library livingroom lobby locker_room mall
meeting_room movietheater museum nursery office operating_room pantry poolinside prisoncell restaurant
restaurant_kitchen shoeshop stairscase studiomusic subway toystore trainstation tv_studio videostore waitingroom
warehouse winecellar
"""
STANFORD40_NAMES = """
applauding blowing_bubbles brushing_teeth cleaning_the_floor climbing cooking cutting_trees cutting_vegetables drinking
feeding_a_horse fishing fixing_a_bike fixing_a_car gardening holding_an_umbrella jumping looking_through_a_microscope
looking_through_a_telescope phoning playing_guitar playing_violin pouring_liquid pushing_a_cart reading riding_a_bike
riding_a_horse rowing_a_boat running shooting_an_arrow smoking taking_photos texting_message throwing_frisby
using_a_computer walking_the_dog washing_dishes watching_TV waving_hands writing_on_a_board writing_on_a_book
"""
BOXED = [("stanford_dog", "Images", "Annotation"), ("stanford_40", "JPEGImages", "XMLAnnotations")]
every = pytest.mark.parametrize("name", CASES)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("drawn")
    for name, case in CASES.items():
        case.write(name, root, seed=1, **case.few)
    return root


def pictures(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*.jpg"))}


def numbered(path: Path) -> dict[int, str]:
    """Read a list of CUB: an id and its value a line."""
    rows = [line.split(" ", 1) for line in path.read_text().splitlines()]
    return {int(number): value for number, value in rows}


# ---------------------------------------------------------------------------------------------------- what all share


@every
def test_bytes_follow_from_the_seed(name: str, drawn: Path, tmp_path: Path) -> None:
    case = CASES[name]
    case.write(name, tmp_path / "again", seed=1, **case.few)
    case.write(name, tmp_path / "other", seed=2, **case.few)
    for path in (drawn / case.folder).rglob("*"):
        if path.is_file():
            assert path.read_bytes() == (tmp_path / "again" / path.relative_to(drawn)).read_bytes()
    first, other = pictures(drawn / case.folder), pictures(tmp_path / "other" / case.folder)
    assert first.keys() == other.keys()
    assert not set(first.values()) & set(other.values())


@every
def test_a_picture_does_not_depend_on_how_many_others_there_are(name: str, drawn: Path, tmp_path: Path) -> None:
    case = CASES[name]
    case.write(name, tmp_path, seed=1, **case.more)
    small, large = pictures(drawn / case.folder), pictures(tmp_path / case.folder)
    assert len(large) > len(small)
    if case.named:
        assert small.items() <= large.items()
    assert set(small.values()) <= set(large.values())


@every
def test_all_pictures_differ_and_are_rgb_jpeg_of_about_the_side(name: str, drawn: Path) -> None:
    found = pictures(drawn / CASES[name].folder)
    assert len(set(found.values())) == len(found)
    for path in found:
        with Image.open(drawn / CASES[name].folder / path) as image:
            assert (image.format, image.mode) == ("JPEG", "RGB")
            assert all(0.8 * 32 <= length <= 1.45 * 32 for length in image.size)


@every
def test_a_second_writing_over_the_first_is_refused(name: str, drawn: Path) -> None:
    with pytest.raises(FileExistsError):
        CASES[name].write(name, drawn, seed=1, **CASES[name].few)


@every
def test_counts_out_of_range_are_refused_before_writing(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    wrong = [(count, 0) for count in case.few] + [("classes", case.classes + 1), ("side", 15)]
    for count, value in wrong:
        with pytest.raises(ValueError, match=count):
            case.write(name, tmp_path, seed=1, **{**case.few, count: value})
    assert not list(tmp_path.iterdir())


@every
def test_every_class_is_drawn_and_differs_from_every_other(name: str) -> None:
    case, means = CASES[name], []
    for label in range(case.classes):
        images = [case.draw(label, stream(7, 0, label, number), 20).resize((20, 20)) for number in range(12)]
        means.append(np.mean([np.asarray(image, dtype=np.float32) for image in images], axis=0))
    assert case.classes >= 12
    assert min(np.abs(one - two).mean() for one, two in combinations(means, 2)) > 4


@pytest.mark.parametrize("name", ["rooms", "birds", "faces"])
def test_a_class_is_more_than_one_picture_and_less_than_noise(name: str) -> None:
    """A picture's nearest neighbour is of its own class more often than by chance, and far from always."""
    case, classes, each = CASES[name], 8, 14
    features, labels = [], np.repeat(np.arange(classes), each)
    for label in range(classes):
        for number in range(each):
            image = case.draw(label, stream(3, 0, label, number), 24).resize((12, 12), Image.Resampling.BOX)
            features.append(np.asarray(image, dtype=np.float32).ravel())
    share = nearest_neighbour(np.array(features), labels)
    assert 1.3 / classes < share < 0.9


@pytest.mark.parametrize(
    ("draw", "wide"), [(flowers.draw_flower, 0.0), (dogs.draw_dog, 0.0), (actions.draw_action, 0.6)]
)
def test_a_class_is_told_by_the_outlines_of_its_subject(draw: BoxedDrawer, wide: float) -> None:
    """Nearest neighbours of the cut-out subject, or its mirror image, by the directions of edges, whatever its colours.

    Measured: 0.57 for flowers, 0.38 for dogs and 0.28 for actions; by chance 0.125, with a standard deviation of 0.03.
    """
    classes, each = 8, 14
    features, labels = [], np.repeat(np.arange(classes), each)
    for label in range(classes):
        for number in range(each):
            image, (left, top, right, bottom) = draw(label, stream(3, 0, label, number), 48)
            reach = wide * (bottom - top)
            subject = image.crop((int(left - reach), top, int(right + reach), bottom))
            features.append([outlines(subject), outlines(subject.transpose(Image.Transpose.FLIP_LEFT_RIGHT))])
    plain, mirrored = np.moveaxis(np.array(features) - np.mean(features, axis=(0, 1)), 1, 0)
    likeness = np.maximum(plain @ plain.T, plain @ mirrored.T)
    np.fill_diagonal(likeness, -np.inf)
    share = float((labels[likeness.argmax(axis=1)] == labels).mean())
    assert 1.6 / classes < share < 0.9


def outlines(image: Image.Image, cells: int = 4, bins: int = 8) -> NDArray[np.float64]:
    """Histograms of edge directions in a grid of cells, of length 1 together."""
    grey = np.asarray(image.convert("L").resize((32, 32)), dtype=np.float32)
    down, across = np.gradient(grey)
    direction = (np.arctan2(down, across) % np.pi / np.pi * bins).astype(int) % bins
    y, x = np.indices(grey.shape) * cells // 32
    found = np.zeros((cells, cells, bins))
    np.add.at(found, (y, x, direction), np.hypot(across, down))
    return found.ravel() / (np.linalg.norm(found) + 1e-6)


def nearest_neighbour(features: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    scaled = features - features.mean(axis=1, keepdims=True)
    scaled /= scaled.std(axis=1, keepdims=True)
    likeness = scaled @ scaled.T
    np.fill_diagonal(likeness, -np.inf)
    return float((labels[likeness.argmax(axis=1)] == labels).mean())


# ------------------------------------------------------------------------------------------------------------- rooms


def test_rooms_lie_as_mit_indoor_67_does(drawn: Path) -> None:
    folder = drawn / "MIT_67"
    names = [kind.name for kind in rooms.KINDS[:3]]
    assert sorted(path.name for path in folder.iterdir()) == ["Images", "TestImages.txt", "TrainImages.txt"]
    assert sorted(path.name for path in (folder / "Images").iterdir()) == sorted(names)
    listed = {part: (folder / f"{part}Images.txt").read_text().split("\n") for part in ("Train", "Test")}
    for part, count in (("Train", 3), ("Test", 2)):
        assert sorted(line.split("/")[0] for line in listed[part]) == sorted(names * count)
        assert listed[part] != sorted(listed[part])
    assert not set(listed["Train"]) & set(listed["Test"])
    assert {*listed["Train"], *listed["Test"]} == pictures(folder / "Images").keys()


def test_lists_of_rooms_have_the_published_line_ends(drawn: Path) -> None:
    for path in (drawn / "MIT_67").glob("*.txt"):
        content = path.read_bytes()
        assert b"\r" not in content
        assert content.endswith(b".jpg")


def test_kinds_of_rooms_are_published_classes() -> None:
    names, published = [kind.name for kind in rooms.KINDS], set(MIT67_NAMES.split())
    assert len(set(names)) == len(names)
    assert set(names) <= published
    assert len(published) == 67


def test_the_nearer_of_two_solids_hides_the_other() -> None:
    camera = interior.Camera(0, 1, 0, yaw=0, pitch=0, focal=1)
    lamp = interior.Lamp((0, 1, 0), ambient=0.5, loss=0)
    near, far = ((interior.block(ink, 0, 0, z, 1, 2, 1),) for ink, z in (("near", 2), ("far", 4)))
    for pieces in ((near, far), (far, near)):
        marks = interior.view((), pieces, camera, lamp)
        assert [mark.ink.split("@")[0] for mark in marks] == ["far", "near"]
        assert width(marks[1]) == pytest.approx(1 / 1.5)
        assert width(marks[1]) > width(marks[0])


def width(mark: Mark) -> float:
    across = [x for x, _ in mark.points]
    return max(across) - min(across)


def test_what_stands_behind_the_camera_is_not_seen_and_what_passes_it_is_cut() -> None:
    camera = interior.Camera(0, 1, 0, yaw=0, pitch=0, focal=1)
    lamp = interior.Lamp((0, 1, 0), ambient=0.5, loss=0)
    behind, through = interior.level("behind", 0, 0, -3, 1, 1), interior.level("through", 0, 0, 0, 1, 6)
    (mark,) = interior.view((behind, through), (), camera, lamp)
    assert mark.ink.startswith("through")
    assert all(y > 0 for _, y in mark.points)
    assert max(y for _, y in mark.points) == pytest.approx(1 / interior.NEAREST)


def test_pieces_turn_their_fronts_into_the_room() -> None:
    space = furniture.Space(4, 3, 5)
    front = interior.upright("front", 0, 0, -0.3, 1, 1)
    for side, axis, place in (("back", 2, 4.2), ("left", 0, -1.2), ("right", 0, 1.2)):
        ((face,),) = space.against((front,), side, 0.0, 0.5)
        assert {round(point[axis], 6) for point in face.points} == {place}


# ------------------------------------------------------------------------------------------------------------- birds


def test_birds_lie_as_cub_200_2011_does(drawn: Path) -> None:
    folder = drawn / "CUB_200_2011"
    names, labels = numbered(folder / "images.txt"), numbered(folder / "image_class_labels.txt")
    split, classes = numbered(folder / "train_test_split.txt"), numbered(folder / "classes.txt")
    assert list(names) == list(labels) == list(split) == list(range(1, 16))
    assert classes == {index + 1: birds.folder_name(index) for index in range(3)}
    assert set(names.values()) == pictures(folder / "images").keys()
    for number, name in names.items():
        assert name.split("/")[0] == classes[int(labels[number])]
    assert [list(split.values()).count(value) for value in "10"] == [9, 6]
    assert {label: [split[k] for k in labels if labels[k] == label].count("1") for label in "123"} == dict.fromkeys(
        "123", 3
    )


def test_lists_of_birds_are_written_as_the_published_ones(drawn: Path) -> None:
    for path in (drawn / "CUB_200_2011").glob("*.txt"):
        content = path.read_bytes()
        assert content.endswith(b"\n")
        assert b"\r" not in content
    first = (drawn / "CUB_200_2011/bounding_boxes.txt").read_text().splitlines()[0].split(" ")
    assert len(first) == 5
    assert all(value == f"{float(value):.1f}" for value in first[1:])


def test_boxes_of_birds_lie_inside_their_pictures(drawn: Path) -> None:
    folder = drawn / "CUB_200_2011"
    names = numbered(folder / "images.txt")
    for number, value in numbered(folder / "bounding_boxes.txt").items():
        left, top, across, down = map(float, value.split())
        with Image.open(folder / "images" / names[number]) as image:
            assert 0 <= left < left + across <= image.width
            assert 0 <= top < top + down <= image.height
            assert 0.05 < across * down / (image.width * image.height) < 0.95


def test_a_box_holds_its_bird_and_little_else() -> None:
    """Two pictures that differ in the bird's colours alone differ inside its box alone."""
    for number in range(6):
        one, area = recoloured(number, 1.0)
        two, same = recoloured(number, 0.2)
        assert area == same
        rows, columns = np.nonzero(np.abs(one - two).max(axis=2) > 24)
        found = columns.min(), rows.min(), columns.max(), rows.max()
        assert all(abs(int(a) - b) <= 4 for a, b in zip(found, area, strict=True))


def recoloured(number: int, factor: float) -> tuple[NDArray[np.float32], tuple[int, ...]]:
    rng = stream(11, number)
    stance = birds._STANCES[number]
    marks, foot = birds._bird(birds.SPECIES[0], stance, rng)
    bird, _ = birds._put(marks, foot, rng)
    setting = birds.draw_setting(rng, CLEAR)
    ink = tuple(round(channel * factor) for channel in (255, 230, 200))
    image, area = birds.portray([bird], dict.fromkeys((mark.ink for mark in bird), ink), setting, rng, (64, 64))
    return np.asarray(image, dtype=np.float32), area


CLEAR = birds.Limits(gain=(1, 1), share=(1, 1), turn=0, slant=0, shift=0, blur=(0.001, 0.001), grain=(0, 0))


def test_names_of_species_are_made_up_and_all_different() -> None:
    names = [species.name for species in birds.SPECIES]
    assert len(set(names)) == len(names)
    assert all(name.startswith("Drawn_") and name.isascii() for name in names)


# ------------------------------------------------------------------------------------------------------------- faces


def test_faces_lie_as_pubfig83_does(drawn: Path) -> None:
    folder = drawn / "PubFig83"
    assert sorted(path.name for path in folder.iterdir()) == ["Person 01", "Person 02", "Person 03"]
    for person in folder.iterdir():
        assert sorted(path.name for path in person.iterdir()) == ["1.jpg", "2.jpg", "3.jpg", "4.jpg"]
    for path in folder.rglob("*.jpg"):
        with Image.open(path) as image:
            assert image.size == (32, 32)


def test_some_people_are_much_alike_and_no_two_the_same() -> None:
    assert len(set(faces.PEOPLE)) == len(faces.PEOPLE)
    twins = [(one, two) for one, two in combinations(faces.PEOPLE, 2) if (one.style, one.hair) == (two.style, two.hair)]
    assert twins


def test_all_styles_and_extras_are_worn_by_somebody() -> None:
    assert {person.style for person in faces.PEOPLE} == set(faces._STYLES)
    assert {person.beard for person in faces.PEOPLE} >= {"none", "full", "goatee", "moustache", "stubble"}
    assert {person.glasses for person in faces.PEOPLE} >= {"none", "round", "square"}


def test_a_matlab_file_does_not_hold_the_time_of_writing(drawn: Path) -> None:
    heads = {path.read_bytes()[:116] for path in drawn.rglob("*.mat")}
    assert heads == {b"MATLAB 5.0 MAT-file".ljust(116)}


def test_a_list_ends_as_asked(tmp_path: Path) -> None:
    write_lines(tmp_path / "list", ("a", "b"))
    assert (tmp_path / "list").read_bytes() == b"a\nb\n"
    write_lines(tmp_path / "list", ("a", "b"), last="")
    assert (tmp_path / "list").read_bytes() == b"a\nb"


# ----------------------------------------------------------------------------------------------------------- flowers


def test_flowers_lie_as_oxford_flowers_102_does(drawn: Path) -> None:
    folder = drawn / "Flower_102"
    assert sorted(path.name for path in folder.iterdir()) == ["imagelabels.mat", "jpg", "setid.mat"]
    assert sorted(pictures(folder / "jpg")) == [f"image_{number:05d}.jpg" for number in range(1, 16)]
    labels = loadmat(folder / "imagelabels.mat")["labels"]
    splits = {name: loadmat(folder / "setid.mat")[name] for name in ("trnid", "valid", "tstid")}
    assert (labels.shape, {name: found.shape for name, found in splits.items()}) == (
        (1, 15),
        {"trnid": (1, 6), "valid": (1, 3), "tstid": (1, 6)},
    )
    for found, each in zip(splits.values(), (2, 1, 2), strict=True):
        assert np.bincount(labels[0, found[0] - 1]).tolist() == [0, each, each, each]
        assert found[0].tolist() != sorted(found[0].tolist())
    assert sorted(np.concatenate([found[0] for found in splits.values()]).tolist()) == list(range(1, 16))
    assert labels[0].tolist() != sorted(labels[0].tolist())


def test_a_colour_alone_does_not_tell_a_flower() -> None:
    kinds = flowers.KINDS
    assert len(set(kinds)) == len(kinds)
    shared = {colour: sum(colour in kind.colours for kind in kinds) for kind in kinds for colour in kind.colours}
    assert min(shared.values()) > 1
    assert all(len(kind.colours) > 1 for kind in kinds)


def test_all_habits_and_marks_of_flowers_are_drawn() -> None:
    assert {kind.habit for kind in flowers.KINDS} == set(flowers._HABITS)
    assert {kind.shape for kind in flowers.KINDS} == set(flowers._PROFILES)


# -------------------------------------------------------------------------------------------------------------- dogs


def test_dogs_lie_as_stanford_dogs_does(drawn: Path) -> None:
    folder = drawn / "stanford_dog"
    names = [dogs.folder_name(index) for index in range(3)]
    for part in ("Images", "Annotation"):
        assert sorted(path.name for path in (folder / part).iterdir()) == names
    listed = {}
    for part, each in (("train", 3), ("test", 2), ("file", 5)):
        table = loadmat(folder / f"{part}_list.mat")
        listed[part] = [row[0][0] for row in table["file_list"]]
        assert table["file_list"].shape == table["annotation_list"].shape == table["labels"].shape == (3 * each, 1)
        assert [f"{row[0][0]}.jpg" for row in table["annotation_list"]] == listed[part]
        assert [names.index(name.split("/")[0]) + 1 for name in listed[part]] == table["labels"].ravel().tolist()
    assert set(listed["file"]) == pictures(folder / "Images").keys()
    assert sorted(listed["train"] + listed["test"]) == listed["file"]


def test_names_of_breeds_are_made_up_and_all_different() -> None:
    names = [breed.name for breed in dogs.BREEDS]
    assert len(set(names)) == len(names)
    assert all(name.startswith("drawn_") and name.isascii() for name in names)


# ----------------------------------------------------------------------------------------------------------- actions


def test_actions_lie_as_stanford_40_actions_does(drawn: Path) -> None:
    folder, names = drawn / "stanford_40", [name for name, _ in acts.ACTIONS[:3]]
    lists = {path.name: path.read_text().splitlines() for path in (folder / "ImageSplits").iterdir()}
    assert lists.pop("actions.txt") == ["action_name\tnumber_of_images", *(f"{name}\t5" for name in sorted(names))]
    whole = {suffix: lists.pop(f"{suffix}.txt") for suffix in ("train", "test")}
    assert lists.keys() == {f"{name}_{suffix}.txt" for name in names for suffix in whole}
    for suffix, found in whole.items():
        assert sorted(found) == sorted(line for name in names for line in lists[f"{name}_{suffix}.txt"])
    assert sorted(whole["train"] + whole["test"]) == sorted(pictures(folder / "JPEGImages"))
    assert all(line.startswith(f"{table[: table.rindex('_')]}_") for table, found in lists.items() for line in found)


def test_names_of_actions_are_published_ones() -> None:
    names = [name for name, _ in acts.ACTIONS]
    assert len(set(names)) == len(names)
    assert set(names) <= set(STANFORD40_NAMES.split())
    assert len(set(STANFORD40_NAMES.split())) == 40


@pytest.mark.parametrize(("folder", "images", "boxes"), BOXED)
def test_boxes_of_dogs_and_people_lie_inside_their_pictures(drawn: Path, folder: str, images: str, boxes: str) -> None:
    found = pictures(drawn / folder / images)
    for name in found:
        annotation = next((drawn / folder / boxes).glob(f"{name.removesuffix('.jpg')}*"))
        (left, top, right, bottom) = region(annotation, "x")["x"]
        with Image.open(drawn / folder / images / name) as image:
            assert 0 <= left < right <= image.width
            assert 0 <= top < bottom <= image.height
            assert 0.01 < (right - left) * (bottom - top) / (image.width * image.height) < 0.95


def test_a_limb_reaches_for_a_point_with_both_its_parts() -> None:
    for target in ((0.3, 0.2), (-0.5, 0.1), (3.0, 0.0), (0.01, 0.0)):
        joint, end = human_bodies.bend((0.1, 0.1), target, (0.4, 0.3), 1)
        assert np.hypot(joint[0] - 0.1, joint[1] - 0.1) == pytest.approx(0.4)
        assert np.hypot(end[0] - joint[0], end[1] - joint[1]) == pytest.approx(0.3)
    assert human_bodies.bend((0, 0), (0.3, 0.2), (0.4, 0.3), 1)[1] == pytest.approx((0.3, 0.2))
