"""The reader of MATLAB files agrees with scipy's, and says what is wrong with a file that is none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from heirloom.data import matlab
from heirloom.runtime.errors import DataError

TEXTS = ["n01-beagle/a.jpg", "b", "café/ü.jpg", "it's a long name, longer than a tag can hold"]


def cells(*texts: object) -> np.ndarray:
    column = np.empty((len(texts), 1), dtype=object)
    column[:, 0] = texts
    return column


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("kind", ["u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"])
def test_numbers_are_those_that_scipy_wrote(tmp_path: Path, kind: str, compressed: bool) -> None:
    path = tmp_path / "x.mat"
    rows = {"row": np.array([[3, 1, 120]], dtype=kind), "column": np.arange(9, dtype=kind)[:, None], "one": 7}
    savemat(path, rows, do_compression=compressed)
    found = matlab.load(path, *rows, title="x")
    expected = loadmat(path)
    assert {name: found.numbers(name) for name in rows} == {n: expected[n].ravel().tolist() for n in rows}


@pytest.mark.parametrize("compressed", [False, True])
def test_texts_are_those_that_scipy_wrote(tmp_path: Path, compressed: bool) -> None:
    path = tmp_path / "x.mat"
    savemat(path, {"other": np.eye(3), "names": cells(*TEXTS)}, do_compression=compressed)
    assert matlab.load(path, "names", title="x").texts("names") == TEXTS


def test_files_of_the_other_byte_order_are_read(tmp_path: Path) -> None:
    """Built by hand: scipy writes the machine's own order alone."""

    def element(kind: int, data: bytes) -> bytes:
        return np.array([kind, len(data)], ">u4").tobytes() + data + bytes(-len(data) % 8)

    shape = element(5, np.array([1, 3], ">i4").tobytes())
    small = np.array([2 << 16 | 1], ">u4").tobytes() + b"ab\0\0"  # the name, within its tag
    flags = element(6, np.array([6, 0], ">u4").tobytes())
    matrix = element(14, flags + shape + small + element(4, np.array([1, 258, 3], ">u2").tobytes()))
    path = tmp_path / "x.mat"
    path.write_bytes(b"MATLAB 5.0 MAT-file".ljust(124) + b"\x01\x00MI" + matrix)
    assert matlab.load(path, "ab", title="x").numbers("ab") == [1, 258, 3]
    assert loadmat(path)["ab"].tolist() == [[1, 258, 3]]


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        (np.ones((2, 3)), "x is 2 x 3, not one row or one column"),
        (np.zeros((1, 0)), "x is 1 x 0, not one row"),
        (np.array([[1, 2.5]]), "x holds something that is no whole number"),
        (np.array([[1, np.nan]]), "x holds something that is no whole number"),
        (np.array([[1, 2j]]), "x holds no real numbers"),
        ("text", "x holds no real numbers"),
        (cells("a", "b"), "x holds no real numbers"),
    ],
)
def test_what_is_no_line_of_numbers_is_refused(tmp_path: Path, values: object, complaint: str) -> None:
    savemat(tmp_path / "list.mat", {"x": values})
    with pytest.raises(DataError, match=complaint) as refused:
        matlab.load(tmp_path / "list.mat", "x", title="Flowers").numbers("x")
    assert refused.value.where.endswith("list.mat")


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        (np.ones((1, 2)), "x is no cell array"),
        (cells("a", 2.0), "x has a cell that is no text"),
        (cells("a", np.array(["ab", "cd"])), "x has a cell that is no text of one line"),
        (np.array([["a", "b"], ["c", "d"]], dtype=object), "x is 2 x 2, not one row or one column"),
    ],
)
def test_what_is_no_line_of_texts_is_refused(tmp_path: Path, values: object, complaint: str) -> None:
    savemat(tmp_path / "list.mat", {"x": values})
    with pytest.raises(DataError, match=complaint):
        matlab.load(tmp_path / "list.mat", "x", title="Dogs").texts("x")


def test_what_is_missing_or_no_matlab_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "list.mat"
    with pytest.raises(DataError, match="a file of Dogs is missing or unreadable"):
        matlab.load(path, "x", title="Dogs")
    savemat(path, {"y": 1})
    with pytest.raises(DataError, match="a file of Dogs has no x, z"):
        matlab.load(path, "x", "y", "z", title="Dogs")
    for content in (
        b"",
        b"<html>not found</html>",
        path.read_bytes()[:-9],
        b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM",
    ):
        path.write_bytes(content)
        with pytest.raises(DataError, match="a file of Dogs is no MATLAB file"):
            matlab.load(path, "x", title="Dogs")


def test_a_damaged_file_is_read_or_refused_and_nothing_else(tmp_path: Path) -> None:
    """scipy's own reader ends the process on some of these."""
    path, rng = tmp_path / "x.mat", np.random.default_rng(0)
    outcomes = {"read": 0, "refused": 0}
    for compressed in (False, True):
        savemat(path, {"names": cells(*TEXTS), "labels": np.arange(40.0)[:, None]}, do_compression=compressed)
        whole = path.read_bytes()
        for _ in range(400):
            damaged = bytearray(whole if rng.random() < 0.8 else whole[: rng.integers(len(whole))])
            for place in rng.integers(0, len(damaged) or 1, rng.integers(1, 5)):
                damaged[place : place + 1] = bytes([rng.integers(256)])
            path.write_bytes(damaged)
            try:
                found = matlab.load(path, "names", "labels", title="x")
                assert (len(found.texts("names")), len(found.numbers("labels"))) == (4, 40)
                outcomes["read"] += 1
            except DataError:
                outcomes["refused"] += 1
    assert min(outcomes.values()) > 20


def test_a_compressed_variable_cannot_fill_the_memory(tmp_path: Path) -> None:
    savemat(tmp_path / "x.mat", {"x": np.zeros((1, 5000))}, do_compression=True)
    with pytest.raises(DataError, match="unpacks to more than 20000 bytes"):
        matlab.load(tmp_path / "x.mat", "x", title="x", most_bytes=20000)
    assert len(matlab.load(tmp_path / "x.mat", "x", title="x", most_bytes=50000).numbers("x")) == 5000


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("shape", [(4, 5, 3, 7), (2, 3), (1, 1), (3, 0)])
def test_unsigned_bytes_are_those_that_scipy_reads_in_any_shape(
    tmp_path: Path, shape: tuple[int, ...], compressed: bool
) -> None:
    values = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    savemat(tmp_path / "x.mat", {"x": values}, do_compression=compressed)
    found = matlab.load(tmp_path / "x.mat", "x", title="x").unsigned_bytes("x")
    expected = loadmat(tmp_path / "x.mat")["x"]
    assert (found.dtype, found.shape) == (np.uint8, expected.shape)
    assert np.array_equal(found, expected)


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        (np.ones((2, 3), dtype=np.int16), "x holds int16, no unsigned bytes"),
        (np.ones((2, 3)) * 2j, "x holds no real numbers"),
        (cells("a"), "x holds no real numbers"),
    ],
)
def test_what_is_no_array_of_unsigned_bytes_is_refused(tmp_path: Path, values: object, complaint: str) -> None:
    savemat(tmp_path / "x.mat", {"x": values})
    with pytest.raises(DataError, match=complaint):
        matlab.load(tmp_path / "x.mat", "x", title="x").unsigned_bytes("x")


@pytest.mark.parametrize(("shape", "complaint"), [((-2, -3), "is -2 x -3, no shape"), ((2, 4), "its shape says .8.")])
def test_a_shape_that_its_values_do_not_have_is_refused(tmp_path: Path, shape: tuple[int, int], complaint: str) -> None:
    path = tmp_path / "x.mat"
    savemat(path, {"x": np.ones((2, 3), dtype=np.uint8)})
    true, false = (np.array(sizes, dtype="<i4").tobytes() for sizes in ((2, 3), shape))
    path.write_bytes(path.read_bytes().replace(true, false, 1))
    with pytest.raises(DataError, match=complaint):
        matlab.load(path, "x", title="x").unsigned_bytes("x")
