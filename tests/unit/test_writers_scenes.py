"""Drawn rooms and faces: laid out as the published sets, following from the seed, distinct, not trivial."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from heirloom.config.kinds import WRITERS
from heirloom.data.graphics import furniture, interior
from heirloom.data.graphics.files import write_lines
from heirloom.data.graphics.scene import Mark, stream
from heirloom.data.writers import faces, rooms

Drawer: TypeAlias = Callable[[int, np.random.Generator, int], Image.Image]


@dataclass(frozen=True)
class Case:
    """One writer: its folder, few and more pictures of few and more classes, its drawer of one picture, all classes."""

    folder: str
    few: Mapping[str, int]
    more: Mapping[str, int]
    draw: Drawer
    classes: int

    def write(self, name: str, root: Path, *, seed: int, **counts: int) -> None:
        WRITERS.load(name).write(root, seed=seed, **counts)


SPLIT = {"classes": 3, "train_images": 3, "test_images": 2, "side": 32}
MORE = {**SPLIT, "classes": 5, "train_images": 4, "test_images": 3}
CASES = {
    "rooms": Case("MIT_67", SPLIT, MORE, rooms.draw_room, len(rooms.KINDS)),
    "faces": Case(
        "PubFig83",
        {"classes": 3, "images": 4, "side": 32},
        {"classes": 4, "images": 6, "side": 32},
        faces.draw_face,
        len(faces.PEOPLE),
    ),
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
every = pytest.mark.parametrize("name", CASES)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("drawn")
    for name, case in CASES.items():
        case.write(name, root, seed=1, **case.few)
    return root


def pictures(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*.jpg"))}


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
    assert small.items() <= large.items()


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


@every
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


def test_a_list_ends_as_asked(tmp_path: Path) -> None:
    write_lines(tmp_path / "list", ("a", "b"))
    assert (tmp_path / "list").read_bytes() == b"a\nb\n"
    write_lines(tmp_path / "list", ("a", "b"), last="")
    assert (tmp_path / "list").read_bytes() == b"a\nb"
