"""Lists, arrays and pictures of data sets that are damaged or meant to harm: read, or refused in one message."""

from __future__ import annotations

import gzip
import io
import math
import os
import pickle
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from heirloom.config.kinds import LAYOUTS
from heirloom.data import matlab, voc
from heirloom.data.corrupted_layouts import cifar_c
from heirloom.data.layouts import gtsrb, mnist, tiny_imagenet, vggface2
from heirloom.data.listing import Listing, Sample, is_plain_name, listing, whole_number
from heirloom.data.pictures import FORMATS, PictureDecoder
from heirloom.data.store import Part
from heirloom.defects.triggers.patch import Patch, load
from heirloom.runtime.errors import DataError
from tests.unit.data_samples import (
    save_picture,
    write_cifar,
    write_cub200,
    write_flowers102,
    write_gtsrb,
    write_mat,
    write_mit67,
    write_mnist,
    write_people,
    write_stanford40,
    write_stanford_dogs,
    write_svhn,
    write_tiny_imagenet,
)
from tests.unit.hostile import bounded, check_words, damaged, misworded


@dataclass(frozen=True)
class Target:
    """A file of a drawn data set that is replaced: the first that `pattern` finds."""

    layout: str
    write: Callable[[Path], object]
    pattern: str
    harm: Callable[[bytes], st.SearchStrategy[bytes]]


TARGETS = [
    Target("gtsrb", write_gtsrb, "GT-00003.csv", misworded),
    Target("gtsrb", write_gtsrb, "GT-final_test.csv", misworded),
    Target("tiny-imagenet", write_tiny_imagenet, "wnids.txt", misworded),
    Target("tiny-imagenet", write_tiny_imagenet, "words.txt", misworded),
    Target("tiny-imagenet", write_tiny_imagenet, "val_annotations.txt", misworded),
    *(
        Target("cub200", write_cub200, f"{name}.txt", misworded)
        for name in ("images", "classes", "image_class_labels", "train_test_split", "bounding_boxes")
    ),
    Target("mit67", write_mit67, "TrainImages.txt", misworded),
    Target("mit67", write_mit67, "TestImages.txt", misworded),
    Target("stanford40", write_stanford40, "actions.txt", misworded),
    Target("stanford40", write_stanford40, "*_train.txt", misworded),
    Target("stanford40", write_stanford40, "*.xml", misworded),
    Target("stanford-dogs", write_stanford_dogs, "train_list.mat", damaged),
    Target("stanford-dogs", write_stanford_dogs, "Annotation/*/*", misworded),
    Target("flowers102", write_flowers102, "imagelabels.mat", damaged),
    Target("flowers102", write_flowers102, "setid.mat", damaged),
    Target("svhn", write_svhn, "train_32x32.mat", damaged),
    Target("svhn", lambda root: write_svhn(root, compressed=True), "test_32x32.mat", damaged),
    Target("cifar10", write_cifar, "data_batch_1", damaged),
    Target("cifar10", write_cifar, "batches.meta", damaged),
    Target("cifar10", lambda root: write_cifar(root, binary=True), "data_batch_1.bin", damaged),
    Target("cifar100", lambda root: write_cifar(root, fine=True, binary=True), "fine_label_names.txt", misworded),
    Target("mnist", write_mnist, "train-images-idx3-ubyte", damaged),
    Target("mnist", lambda root: write_mnist(root, packed=True), "t10k-images-idx3-ubyte.gz", damaged),
    Target("mnist", write_mnist, "train-labels-idx1-ubyte", damaged),
    Target("vggface2", write_people, "identity_meta.csv", misworded),
]


@contextmanager
def _holding(path: Path, content: bytes) -> Iterator[None]:
    """Let a file hold something else for a while."""
    before = path.read_bytes()
    path.write_bytes(content)
    try:
        yield
    finally:
        path.write_bytes(before)


def _judge(listed: Listing, root: Path) -> None:
    """Hold a listing to what the stage does with it: every sample decodes or is a problem, and lies in the data set."""
    for sample in listed.samples:
        assert os.path.normpath(sample.path).startswith(f"{root}{os.sep}"), sample.path
    decoder = PictureDecoder(8, "crop")
    chosen = listed.samples[:4] + listed.samples[-4:]
    assert len(list(decoder.decode(chosen))) == len(chosen)
    told = "\n".join([*listed.problems, *decoder.problems])
    if not told:
        pa.array([*listed.classes, *(sample.identifier for sample in listed.samples)], pa.string())
    str(DataError(told)).encode("utf-8")


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: f"{target.layout}-{target.pattern}")
def test_a_harmful_file_of_a_data_set_is_read_or_refused_in_one_message(
    tmp_path_factory: pytest.TempPathFactory, target: Target
) -> None:
    root = tmp_path_factory.mktemp("raw") / "files"
    target.write(root)
    path = sorted(root.rglob(target.pattern))[0]
    read = LAYOUTS.load(target.layout).read
    _judge(read(root), root)  # as long as the file is whole

    @bounded(12)
    @given(target.harm(path.read_bytes()))
    def try_out(content: bytes) -> None:
        with _holding(path, content):
            try:
                listed = read(root)
            except DataError as error:
                check_words(error)
                return
            _judge(listed, root)

    try_out()


OUTSIDE = ["../../../../../secret.ppm", "/secret.ppm", "..", "", "n" * 300, "a\0b"]


@pytest.mark.parametrize("name", OUTSIDE)
def test_names_that_lead_out_of_a_data_set_are_reported_and_not_followed(tmp_path: Path, name: str) -> None:
    folder = write_gtsrb(tmp_path)
    table = folder / "GT-final_test.csv"
    table.write_bytes(table.read_bytes() + f"{name};24;20;4;5;20;15;3\r\n".encode())
    listed = gtsrb.read(tmp_path)
    assert len(listed.samples) == 28
    assert len(listed.problems) == 1
    assert "is no picture's name" in listed.problems[0]


@pytest.mark.parametrize("name", OUTSIDE[:3] + OUTSIDE[4:5])
def test_names_of_tiny_imagenet_that_lead_out_are_reported(tmp_path: Path, name: str) -> None:
    folder = write_tiny_imagenet(tmp_path)
    for table, line in (("wnids.txt", name), ("val/val_annotations.txt", f"{name}\tn01\t0\t0\t9\t9")):
        (folder / table).write_text((folder / table).read_text() + line + "\n")
    listed = tiny_imagenet.read(tmp_path)
    assert listed.classes == ("goldfish, Carassius auratus", "crane (n02)", "crane (n03)")
    assert len(listed.samples) == 12
    assert sorted(problem.split(":")[0].rpartition("/")[2] for problem in listed.problems) == [
        "val_annotations.txt",
        "wnids.txt",
    ]


def test_what_can_be_a_name_or_a_number_of_a_list() -> None:
    assert all(map(is_plain_name, ("a.jpg", "a b'c", "ä" * 127, "...", "-")))
    assert not any(map(is_plain_name, ("", ".", "..", "a/b", "a\\b", "/a", "a\0", "ä" * 128)))
    assert [whole_number(text) for text in ("0", "007", "999999999")] == [0, 7, 999_999_999]
    assert [whole_number(text) for text in ("", "-1", "1.0", "٣", "1" * 10, "9" * 5000)] == [None] * 6


def test_an_endless_field_of_the_list_of_people_is_refused(tmp_path: Path) -> None:
    folder = write_people(tmp_path)
    table = next(tmp_path.rglob("identity_meta.csv"))
    table.write_text(table.read_text() + 'n000009, "' + "w" * 140_000 + '", 3, 1, m\n')
    with pytest.raises(DataError, match="field larger than field limit"):
        vggface2.read(folder.parent if isinstance(folder, Path) else tmp_path)


def test_a_label_of_more_digits_than_numpy_has_is_refused(tmp_path: Path) -> None:
    folder = write_cifar(tmp_path)
    content = {"data": np.zeros((1, 3072), np.uint8), "labels": [1 << 70]}
    (folder / "data_batch_1").write_bytes(pickle.dumps(content, protocol=2))
    with pytest.raises(DataError, match="a label of too many digits"):
        LAYOUTS.load("cifar10").read(tmp_path)


def test_a_number_of_thousands_of_digits_is_a_problem(tmp_path: Path) -> None:
    folder = write_cub200(tmp_path)
    for name in ("images.txt", "image_class_labels.txt"):
        (folder / name).write_text((folder / name).read_text() + "9" * 5000 + " x\n1 " + "9" * 5000 + "\n")
    problems = LAYOUTS.load("cub200").read(tmp_path).problems
    assert sum("is no number and its value" in problem for problem in problems) == 2
    assert all(len(problem) < 5000 for problem in problems)


def test_a_folder_in_the_place_of_a_list_is_refused(tmp_path: Path) -> None:
    table = write_gtsrb(tmp_path) / "Final_Training/Images/00003/GT-00003.csv"
    table.unlink()
    table.mkdir()
    with pytest.raises(DataError, match="missing or unreadable"):
        gtsrb.read(tmp_path)


def test_class_names_that_no_table_can_hold_are_a_problem() -> None:
    listed = listing(["fine", "half a \ud800 sign"], [], [])
    assert listed.problems == ("half a \\ud800 sign: the class's name is no UTF-8: rename it",)


def test_entities_are_refused_in_every_encoding(tmp_path: Path) -> None:
    laughs = "".join(f'<!ENTITY {two} "{10 * ("&" + one + ";")}">' for one, two in pairwise("abcdefghi"))
    text = f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "ha">{laughs}]><x><object><bndbox>&i;</bndbox></object></x>'
    for encoding in ("utf-8", "utf-16", "utf-16-le", "utf-32"):
        path = tmp_path / f"{encoding}.xml"
        path.write_bytes(text.encode(encoding))
        with pytest.raises(ValueError, match="no annotation"):
            voc.region(path, "person")
    large = tmp_path / "large.xml"
    large.write_bytes(b"<x>" + b"<a/>" * 300_000 + b"</x>")
    with pytest.raises(ValueError, match="has more than 1048576 bytes"):
        voc.region(large, "person")


@pytest.mark.parametrize("encoding", ["foo", "hex", "utf-7", "idna", "undefined", "x" * 5000])
def test_an_encoding_that_is_none_is_a_problem_of_its_file(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.xml"
    path.write_text(f'<?xml version="1.0" encoding="{encoding}"?><x/>')
    with pytest.raises(ValueError, match=r"no annotation: .* cannot be read"):
        voc.region(path, "person")


def _element(kind: int, data: bytes) -> bytes:
    """Write an element of a MATLAB file."""
    return np.array([kind, len(data)], "<u4").tobytes() + data + bytes(-len(data) % 8)


def _matlab(kind: int, shape: tuple[int, int], content: bytes) -> bytes:
    """Write a MATLAB file with one variable, "x"."""
    flags = _element(6, np.array([kind, 0], "<u4").tobytes())
    matrix = flags + _element(5, np.array(shape, "<i4").tobytes()) + _element(1, b"x") + content
    return b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM" + _element(14, matrix)


def test_cells_of_a_matlab_file_are_read_up_to_a_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty ones take eight bytes in the file and three hundred in memory."""
    monkeypatch.setattr(matlab, "MOST_ELEMENTS", 3 + 5)  # flags, shape and name come before the cells
    text = _matlab(4, (1, 1), _element(16, b"a"))[136:]
    path = tmp_path / "x.mat"
    path.write_bytes(_matlab(matlab.CELLS, (5, 1), _element(14, text) * 5))
    assert matlab.load(path, "x", title="a set").texts("x") == ["a"] * 5
    path.write_bytes(_matlab(matlab.CELLS, (6, 1), _element(14, text) * 6))
    with pytest.raises(DataError, match="more than 8 elements"):
        matlab.load(path, "x", title="a set")


def test_a_million_empty_elements_of_a_matlab_file_take_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "x.mat"
    path.write_bytes(_matlab(matlab.CELLS, (1, 1 << 20), bytes(8) * (1 << 20)))
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="more than 100000 elements"):
            matlab.load(path, "x", title="a set")
        assert tracemalloc.get_traced_memory()[1] < 5 * path.stat().st_size
    finally:
        tracemalloc.stop()


def test_numbers_of_a_matlab_file_are_read_up_to_a_number(tmp_path: Path) -> None:
    count = matlab.MOST_NUMBERS + 1
    (tmp_path / "x.mat").write_bytes(_matlab(9, (count, 1), _element(2, bytes(count))))
    with pytest.raises(DataError, match="x has more than 2097152 numbers"):
        matlab.load(tmp_path / "x.mat", "x", title="a set").numbers("x")


@pytest.mark.parametrize(
    ("shape", "labels"),
    [((mnist.MOST_PICTURES + 1, 1, 1), mnist.MOST_PICTURES + 1), ((4, 0, 3), 4), ((4, 3, 0), 4), ((0, 3, 3), 0)],
)
@pytest.mark.parametrize("packed", [False, True])
def test_files_of_digits_that_are_none_are_refused_before_there_is_an_object_for_each(
    tmp_path: Path, shape: tuple[int, int, int], labels: int, packed: bool
) -> None:
    folder = write_mnist(tmp_path, packed=packed)
    for kind, sides in (("images-idx3", shape), ("labels-idx1", (labels,))):
        content = np.array([0x0800 + len(sides), *sides], ">u4").tobytes() + bytes(math.prod(sides))
        path = folder / f"train-{kind}-ubyte{'.gz' if packed else ''}"
        path.write_bytes(gzip.compress(content, 1) if packed else content)
    with pytest.raises(DataError, match="which no set of digits is"):
        mnist.read(tmp_path)


@pytest.mark.parametrize("sides", [(1,) * 100, (2**31 - 1,) * 600])
def test_a_matlab_variable_of_many_dimensions_is_refused(tmp_path: Path, sides: tuple[int, ...]) -> None:
    path = tmp_path / "x.mat"
    write_mat(path, labels=[1])
    content = path.read_bytes()
    head, matrix = content[:128], content[136:]
    shape = np.array([5, 4 * len(sides), *sides], dtype="<u4").tobytes()
    body = matrix[:16] + shape + b"\0" * (-len(shape) % 8) + matrix[32:]
    path.write_bytes(head + np.array([14, len(body)], dtype="<u4").tobytes() + body)
    with pytest.raises(DataError, match="more than 32 dimensions"):
        matlab.load(path, "labels", title="a set").numbers("labels")


# -- arrays ------------------------------------------------------------------------------------------------------------


def _npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def _test_part() -> Part:
    labels = np.arange(4, dtype=np.int32)
    stored = np.zeros((4, 8, 8, 3), dtype=np.uint8)
    return Part(stored, np.arange(4), pa.table({"label": labels}), tuple("abcd"), 8)


HEADS = [
    b"{'descr': '|u1', 'fortran_order': False, 'shape': (9999999999, 9999999999, 9999999999), }",
    b"{'descr': '|u1', 'fortran_order': False, 'shape': (-1, 8, 8, 3), }",
    b"{'descr': '|V0', 'fortran_order': False, 'shape': (9999999999,), }",
    b"{'descr': '|O', 'fortran_order': False, 'shape': (20,), }",
    b"{'descr': [('a', '<i4')], 'fortran_order': False, 'shape': (20,), }",
    b"{'descr': '<U1', 'fortran_order': False, 'shape': (20,), }",
    b"(" * 3000,
    b"-" * 9000 + b"1",
    b"{'descr': 'u1\n",
    b"__import__('os').system('true')",
    b"'''",
    b"\xff\xfe",
]


def _with_head(head: bytes, version: int = 1) -> bytes:
    size = len(head).to_bytes(2 if version == 1 else 4, "little")
    return b"\x93NUMPY" + bytes([version, 0]) + size + head + bytes(200)


def _open(folder: Path) -> None:
    """Open corrupted images as a study does, and look at one."""
    opened = cifar_c.read(folder, kinds=["fog"], test=_test_part(), rows=np.arange(4))
    assert all(image.shape == (8, 8, 3) and image.dtype == np.uint8 for image in opened("fog", 5))


@pytest.fixture
def corrupted(tmp_path: Path) -> Path:
    (tmp_path / "fog.npy").write_bytes(_npy(np.zeros((20, 8, 8, 3), dtype=np.uint8)))
    (tmp_path / "labels.npy").write_bytes(_npy(np.tile(np.arange(4), 5)))
    _open(tmp_path)
    return tmp_path


@pytest.mark.filterwarnings("ignore:overflow encountered")
@pytest.mark.parametrize("name", ["fog.npy", "labels.npy"])
def test_harmful_arrays_are_read_or_refused(corrupted: Path, name: str) -> None:
    content = (corrupted / name).read_bytes()
    archive = io.BytesIO()
    np.savez(archive, a=np.zeros(3))
    made = [*(_with_head(head, version) for head in HEADS for version in (1, 2, 3)), archive.getvalue(), b"PK\x03\x04"]
    made += [_npy(np.array(["a"] * 20)), _npy(np.array([0.5] * 20)), _npy(np.zeros(20, dtype="M8[s]"))]

    @bounded(40)
    @given(st.one_of(damaged(content), st.sampled_from(made)))
    def try_out(harmful: bytes) -> None:
        (corrupted / name).write_bytes(harmful)
        try:
            _open(corrupted)
        except DataError as error:
            check_words(error)

    try_out()
    for harmful in made:
        (corrupted / name).write_bytes(harmful)
        with pytest.raises(DataError):
            _open(corrupted)


# -- pictures ----------------------------------------------------------------------------------------------------------


def _saved(kind: str, mode: str = "RGB") -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 24, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(file, kind)
    return file.getvalue()


SEEDS = [(kind, mode) for kind in FORMATS for mode in ("RGB", "L")] + [("PNG", "P"), ("TIFF", "CMYK")]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(("kind", "mode"), SEEDS)
def test_a_harmful_picture_is_decoded_or_a_problem(
    tmp_path_factory: pytest.TempPathFactory, kind: str, mode: str
) -> None:
    path = tmp_path_factory.mktemp("pictures") / "a.png"
    sample = Sample("a", path, 0, "test", "a", {"sign": (1, 1, 5, 5)}, cut_regions=True)

    @bounded(25)
    @given(damaged(_saved(kind, mode)))
    def try_out(content: bytes) -> None:
        path.write_bytes(content)
        decoder = PictureDecoder(8, "crop")
        (image,) = decoder.decode([sample])
        assert image.shape == (8, 8, 3)
        assert len(decoder.problems) == (decoder.sizes == [(0, 0)])

    try_out()


@pytest.mark.parametrize("kind", ["EPS", "PCX", "TGA", "ICO", "SGI"])
def test_pictures_of_other_kinds_are_not_opened_whatever_their_names_say(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(_saved(kind))
    with Image.open(path) as opened:
        assert opened.format == kind  # PIL would; for EPS it runs a program on it
    decoder = PictureDecoder(8, "crop")
    list(decoder.decode([Sample("a", path, 0, "test", "a")]))
    assert decoder.problems == [f"{path}: no picture that can be recognised"]
    with pytest.raises(DataError, match="the trigger's picture cannot be read"):
        load(Patch(image="a.jpg", placement="corners", side=0.1), [path])


@pytest.mark.parametrize("path", [Path("n" * 300), Path("a\0b"), Path("d/" * 3000)])
def test_a_picture_whose_name_no_disk_takes_is_a_problem(path: Path) -> None:
    decoder = PictureDecoder(8, "crop")
    list(decoder.decode([Sample("a", path, 0, "test", "a")]))
    assert len(decoder.problems) == 1


def test_a_picture_of_a_trigger_with_too_many_pixels_is_refused(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 300)
    path = save_picture(tmp_path / "trigger.png")  # 480 pixels: PIL would warn, and read it
    with pytest.raises(DataError, match="exceeds limit"):
        load(Patch(image="trigger.png", placement="corners", side=0.1), [path])
