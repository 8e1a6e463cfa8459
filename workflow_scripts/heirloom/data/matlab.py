"""What owners publish as MATLAB files (version 5): lists of numbers, cell arrays of texts, and pictures.

Read here and not by scipy.io, whose compiled reader ends the process (segmentation fault) on some damaged files, where
a message is due. The format is MathWorks' "MAT-File Format": a header of 128 bytes, then elements, each a tag (type,
bytes) and its data; a variable is an element of elements (flags, shape, name, content).
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from heirloom.data.limits import LIST, read_whole
from heirloom.runtime.errors import DataError

MEND = "download or unpack the data set's MATLAB files again"
HEADER_BYTES = 128
ORDERS: Mapping[bytes, str] = MappingProxyType({b"\x00\x01IM": "<", b"\x01\x00MI": ">"})  # version and byte order
MOST_BYTES = LIST  # of a file or an unpacked list: the largest published one takes about 3 MiB
MOST_ELEMENTS = 100_000  # side by side; the largest published list has 12,000 cells
MOST_NUMBERS = 1 << 21  # of a list; SVHN's training labels are 73,257
DIMENSIONS = 32
MATRIX, COMPRESSED = 14, 15
NUMBERS: Mapping[int, str] = MappingProxyType(
    {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
)
ENCODINGS: Mapping[int, str] = MappingProxyType({1: "ascii", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16"})
CELLS, TEXT = 1, 4  # classes of variables; those of real numbers are REALS
REALS = range(6, 16)
COMPLEX = 0x800


class _WrongError(Exception):
    """Why bytes are no MATLAB file, or a variable is not what was asked for."""


@dataclass(frozen=True)
class _Variable:
    """A variable's name, class and shape, the elements of its content, and their byte order."""

    name: str
    kind: int
    complex: bool
    shape: tuple[int, ...]
    content: tuple[tuple[int, memoryview], ...]
    order: str


@dataclass(frozen=True)
class MatFile:
    """The variables of a MATLAB file that were asked for."""

    path: Path
    variables: Mapping[str, _Variable]

    def numbers(self, name: str) -> list[int]:
        """Return a row or column of whole numbers; raises DataError for anything else."""
        try:
            values = _numbers(self.variables[name])
        except _WrongError as error:
            raise DataError(f"{name} {error}", where=str(self.path), mend=MEND) from error
        return [int(value) for value in values]

    def unsigned_bytes(self, name: str) -> NDArray[np.uint8]:
        """Return an array of unsigned bytes in its shape, of which the first index runs fastest; raises DataError."""
        try:
            return _unsigned_bytes(self.variables[name])
        except _WrongError as error:
            raise DataError(f"{name} {error}", where=str(self.path), mend=MEND) from error

    def texts(self, name: str) -> list[str]:
        """Return a row or column of texts, a cell each; raises DataError for anything else."""
        try:
            return list(_texts(self.variables[name]))
        except _WrongError as error:
            raise DataError(f"{name} {error}", where=str(self.path), mend=MEND) from error


def load(path: Path, *names: str, title: str, most_bytes: int = MOST_BYTES) -> MatFile:
    """Open a MATLAB file of at most `most_bytes`, whose compressed variables may unpack to as many each.

    Raises DataError when it is missing, unreadable or larger, or lacks a variable of `names`.
    """
    content = read_whole(path, what=f"a file of {title}", most=most_bytes, mend=MEND)
    try:
        # what was not asked for is let go at once, however large it is
        found = {each.name: each for each in _variables(content, most_bytes) if each.name in names}
    except _WrongError as error:
        raise DataError(f"a file of {title} is no MATLAB file: {error}", where=str(path), mend=MEND) from error
    absent = [name for name in names if name not in found]
    if absent:
        raise DataError(f"a file of {title} has no {', '.join(absent)}", where=str(path), mend=MEND)
    return MatFile(path, found)


def _variables(content: bytes, most_bytes: int) -> Iterator[_Variable]:
    """Yield all variables of a file."""
    order = ORDERS.get(content[HEADER_BYTES - 4 : HEADER_BYTES])
    if order is None:
        raise _WrongError("its header is not that of version 5 (save it with -v7)")
    for kind, data in _elements(memoryview(content)[HEADER_BYTES:], order):
        inner = _elements(_unpacked(data, most_bytes), order) if kind == COMPRESSED else iter([(kind, data)])
        yield from (_variable(matrix, order) for kind, matrix in inner if kind == MATRIX)


def _elements(content: memoryview, order: str) -> Iterator[tuple[int, memoryview]]:
    """Yield type and data of the elements that lie one behind the other; small ones hold their data in the tag."""
    place = number = 0
    while place < len(content):
        number += 1
        if number > MOST_ELEMENTS:
            raise _WrongError(f"it has more than {MOST_ELEMENTS} elements side by side")
        tag = content[place : place + 8]
        if len(tag) < 8:
            raise _WrongError("it ends within a tag")
        kind, size = (int(value) for value in np.frombuffer(tag, f"{order}u4"))
        start, small = place + 8, kind >> 16
        if small:
            kind, size, start = kind & 0xFFFF, small, place + 4
        if start + size > len(content) or small > 4:
            raise _WrongError("an element is longer than what is left")
        yield kind, content[start : start + size]
        place += 8 if small else 8 + size + (0 if kind == COMPRESSED else -size % 8)


def _unpacked(data: memoryview, most_bytes: int) -> memoryview:
    """Inflate an element, up to a number of bytes."""
    engine = zlib.decompressobj()
    try:
        content = engine.decompress(data, most_bytes)
    except zlib.error as error:
        raise _WrongError(str(error)) from error
    if not engine.eof:
        raise _WrongError(f"a compressed element is cut short, or unpacks to more than {most_bytes} bytes")
    return memoryview(content)


def _variable(matrix: memoryview, order: str) -> _Variable:
    """Take a variable apart: flags, shape and name come before its content."""
    absent = [(0, memoryview(b""))] * 4  # what is missing reads as empty
    (_, flags), (_, shape), (_, name), *content = [*_elements(matrix, order), *absent]
    if len(flags) < 8 or not shape or len(shape) % 4:
        raise _WrongError("a variable has no class or no shape")
    if len(shape) > 4 * DIMENSIONS:
        raise _WrongError(f"a variable has more than {DIMENSIONS} dimensions")
    word = int(np.frombuffer(flags[:4], f"{order}u4")[0])
    sizes = tuple(int(size) for size in np.frombuffer(shape, f"{order}i4"))
    return _Variable(bytes(name).decode("latin-1"), word & 0xFF, bool(word & COMPLEX), sizes, tuple(content), order)


def _numbers(variable: _Variable) -> NDArray[np.generic]:
    """Return the numbers of a row or column, in the type they are stored in, all of them whole."""
    length = _length(variable)
    if length > MOST_NUMBERS:
        raise _WrongError(f"has more than {MOST_NUMBERS} numbers")
    values = _values(variable, length)
    if not (np.isfinite(values) & (values == np.rint(values))).all():
        raise _WrongError("holds something that is no whole number")
    return values


def _unsigned_bytes(variable: _Variable) -> NDArray[np.uint8]:
    """Return unsigned bytes in their shape."""
    if min(variable.shape) < 0:
        raise _WrongError(f"is {_told(variable.shape)}, no shape")
    values = _values(variable, math.prod(variable.shape))
    if values.dtype != np.uint8:
        raise _WrongError(f"holds {values.dtype}, no unsigned bytes")
    return np.asarray(values, dtype=np.uint8).reshape(variable.shape, order="F")


def _values(variable: _Variable, count: int) -> NDArray[np.generic]:
    """Return so many real numbers, in the type they are stored in."""
    if variable.kind not in REALS or variable.complex:
        raise _WrongError("holds no real numbers")
    kind, data = variable.content[0]
    if kind not in NUMBERS or len(data) != count * np.dtype(NUMBERS[kind]).itemsize:
        raise _WrongError(f"has another number of values than its shape says ({count})")
    return np.frombuffer(data, variable.order + NUMBERS[kind])


def _texts(variable: _Variable) -> Iterator[str]:
    """Yield the texts of a row or column of cells."""
    length = _length(variable)
    if variable.kind != CELLS:
        raise _WrongError("is no cell array")
    cells = [data for kind, data in variable.content[:length] if kind == MATRIX]
    if len(cells) != length:
        raise _WrongError(f"has {len(cells)} cells, where its shape says {length}")
    for data in cells:
        cell = _variable(data, variable.order)
        kind, characters = cell.content[0]
        if cell.kind != TEXT or len(cell.shape) != 2 or cell.shape[0] != 1 or kind not in ENCODINGS:
            raise _WrongError("has a cell that is no text of one line")
        yield _decoded(bytes(characters), ENCODINGS[kind], cell.order)


def _decoded(characters: bytes, encoding: str, order: str) -> str:
    if encoding == "utf-16":
        encoding += "-le" if order == "<" else "-be"
    try:
        return characters.decode(encoding)
    except UnicodeDecodeError as error:
        raise _WrongError(f"has a cell whose characters cannot be read ({error})") from error


def _length(variable: _Variable) -> int:
    """Return how many entries a row or column has."""
    count = math.prod(variable.shape)
    if count < 1 or count != max(variable.shape) or min(variable.shape) < 1:
        raise _WrongError(f"is {_told(variable.shape)}, not one row or one column")
    return count


def _told(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
