"""Arrays of numbers out of a pickle, without running anything that is in it.

A pickle is a program for a small machine with a stack, and may ask for any function of any module by its name. First
its instructions are checked, so that none costs more than the file is large. Then Python's own machine follows them,
but each name yields a note of what the file would call, and with what. Last, arrays are made of the notes.
"""

from __future__ import annotations

import io
import math
import os
import pickle
import pickletools
import re
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heirloom.runtime.errors import DataError, HeirloomError, WeightsError, plain
from heirloom.runtime.files import regular_file

LARGEST = 4 << 30  # bytes of a file that is looked at; the largest networks here have a tenth of that
STEPS = 1_000_000  # instructions; an array takes about 30
NUMBERS = re.compile(r"[<>=|]?(b1|[iu][1248]|f[248])")  # booleans, whole numbers, floats
_INSTRUCTIONS = MappingProxyType({op.code.encode("latin-1"): op for op in pickletools.opcodes})
_ADMITTED = frozenset(
    re.findall(
        r"\w+",
        """PROTO FRAME STOP MARK PUT BINPUT LONG_BINPUT MEMOIZE GET BINGET LONG_BINGET GLOBAL STACK_GLOBAL REDUCE BUILD
        NONE NEWTRUE NEWFALSE INT LONG LONG1 BININT BININT1 BININT2 BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8 STRING
        BINSTRING SHORT_BINSTRING UNICODE BINUNICODE SHORT_BINUNICODE EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 EMPTY_LIST
        LIST APPEND APPENDS EMPTY_DICT DICT SETITEM SETITEMS""",
    )
)
_NAMES = frozenset({"numpy.ndarray", "numpy.dtype", "_codecs.encode", "heirloom.dictionary"}) | {
    f"numpy.{core}.{name}"
    for core in ("core", "_core")  # of NumPy 1 and 2
    for name in ("multiarray._reconstruct", "multiarray.scalar", "numeric._frombuffer")
}

Array = NDArray[np.generic]
Value = Array | int | str | list[int] | list[str]


def read_arrays(path: Path, *, mend: str = "") -> dict[str, Array]:
    """Read a pickled dictionary of arrays alone; otherwise as `read_values`, but for the error, a WeightsError."""
    values = read_values(path, mend=mend, error=WeightsError)
    arrays = {name: value for name, value in values.items() if isinstance(value, np.ndarray)}
    for name in values.keys() - arrays.keys():
        what = f"this pickle holds something under {plain(name[:80])} that is no array"
        raise WeightsError(what, where=str(path), mend=mend)
    return arrays


def read_values(path: Path, *, mend: str = "", error: type[HeirloomError] = DataError) -> dict[str, Value]:
    """Read a pickled dictionary of arrays, whole numbers, texts, and lists of either, by name.

    Arrays hold booleans, whole numbers or floats, of any byte order, read-only; texts of Python 2 are latin-1. Raises
    `error`, with `mend` as the advice, for a file that asks for anything else (it says for what), claims more numbers
    than it holds, is damaged, or is no such pickle.
    """
    try:
        with regular_file(path, error=error) as file:
            if os.fstat(file.fileno()).st_size > LARGEST:
                raise DataError(f"this file has more than {LARGEST >> 30} GiB, more than any pickle that is read here")
            return _values(_checked(file.read()))
    except HeirloomError as refused:
        raise error(plain(refused.what), where=str(path), mend=refused.mend or mend) from None
    except Exception as fault:  # which ones a damaged pickle raises, Python does not say
        what = f"this file cannot be read, perhaps cut, damaged or no pickle: {type(fault).__name__}, {fault!s:.80}"
        raise error(plain(what), where=str(path), mend=mend) from fault


def _checked(data: bytes) -> io.BytesIO:
    """Return a copy of a pickle's instructions, each of them admitted, and none longer than the file.

    Frames are left out: where one ends within an instruction, Python's machine goes on elsewhere than pickletools, of
    whose reading this is the copy. Dictionaries become notes, since keys are hashed: tuples of tuples can take for
    ever, or end the process.
    """
    file, copy, last = io.BytesIO(data), io.BytesIO(), ""
    note = b"cheirloom\ndictionary\n"
    replaced = {"FRAME": b"", "EMPTY_DICT": note, "DICT": b"t0" + note}  # t0 takes the mark away
    for _ in range(STEPS):
        start = file.tell()
        name = _instruction(file)
        if name == "DICT" and last != "MARK":
            raise DataError("this pickle holds the instruction DICT as no pickler writes it")
        copy.write(replaced.get(name, memoryview(data)[start : file.tell()]))
        if name == "STOP":
            copy.seek(0)
            return copy
        last = name
    raise DataError(f"this pickle has more than {STEPS:,} instructions, more than arrays need")


def _instruction(file: io.BytesIO) -> str:
    """Read an instruction with its argument and return its name.

    Values are remembered under small numbers alone: Python's table of them is as long as the largest.
    """
    code = file.read(1)
    if not code:
        raise EOFError("it ends too early")
    op = _INSTRUCTIONS.get(code)
    if op is None or op.name not in _ADMITTED:
        told = f"the instruction {op.name}" if op else f"the byte {code[0]}, which is no instruction"
        raise DataError(f"this pickle holds {told}, which no array needs: it could run code")
    if op.name == "STRING":  # of any bytes, while pickletools takes ASCII alone
        file.readline()
    elif op.arg:
        argument = op.arg.reader(file)
        if "PUT" in op.name and not 0 <= argument < STEPS:
            raise DataError(f"this pickle remembers more than {STEPS:,} values, more than arrays need")
    return op.name


@dataclass(slots=True, eq=False)
class _Note:
    """A name that a file asks for, what it is called with, and what it is given as state and items: nothing is done."""

    name: str
    arguments: tuple[object, ...] = ()
    state: object = None
    items: list[tuple[str, object]] = field(default_factory=list)

    def __call__(self, *arguments: object) -> _Note:
        if self.arguments or len(arguments) > 4:  # each call copies them
            raise DataError("this pickle calls something that makes no array")
        return _Note(self.name, arguments)

    def __setstate__(self, state: object) -> None:
        self.state = state

    def __setitem__(self, key: object, value: object) -> None:
        if type(key) is not str:
            raise DataError("this pickle holds a dictionary whose keys are no texts")
        self.items.append((key, value))


class _Reader(pickle.Unpickler):
    """Python's machine, with notes in the place of functions."""

    def find_class(self, module: str, name: str) -> _Note:
        asked = f"{module}.{name}"
        if asked not in _NAMES:
            raise DataError(
                f"this pickle asks for {asked:.80}, which no array needs: it could run code, and was not run"
            )
        return _Note(asked.rpartition(".")[2])


def _values(file: io.BytesIO) -> dict[str, Value]:
    """Return what checked instructions make; arrays and lists have twice as many bytes and items as these, at most."""
    content, left = _Reader(file, encoding="latin-1").load(), 2 * len(file.getbuffer())
    if not isinstance(content, _Note) or content.name != "dictionary" or not content.items:
        raise DataError("this pickle holds no dictionary of arrays or values by name")
    values: dict[str, Value] = {}
    for name, noted in content.items:
        values[name] = value = _value(name, noted)
        left -= len(value) if isinstance(value, list) else getattr(value, "nbytes", 0)
        if left < 0:  # one content may be shown again and again
            raise DataError("this pickle claims more numbers than the file holds")
    return values


def _value(name: str, noted: object) -> Value:
    """Return what was noted under a name as a plain value."""
    match noted:
        case _Note("_reconstruct", (_Note("ndarray"), *_), (int(), tuple(shape), kind, int(fortran), raw)):
            return _array(raw, kind, shape, "F" if fortran else "C")
        case _Note("_frombuffer", (raw, kind, tuple(shape), "C" | "F" as order)):
            return _array(raw, kind, shape, order)
        case _Note("scalar", (kind, raw)):
            return _array(raw, kind, (), "C")
        case int() | str() if type(noted) is not bool:
            return noted
        case list() if {type(each) for each in noted} in ({int}, {str}, set()):
            return noted
    raise DataError(f"this pickle holds something under {name:.80} that is no array, number, text or list")


def _array(raw: object, kind: object, shape: tuple[Any, ...], order: Any) -> Array:
    """Make an array (shape) of the numbers whose bytes lie in `raw`: as many as the shape says, or none is made."""
    dtype = _dtype(kind)
    match raw:
        case bytes() | bytearray():
            content = memoryview(raw).toreadonly()
        case str(text) | _Note("encode", (str(text), "latin1" | "latin-1")):
            content = memoryview(text.encode("latin-1"))
        case _:
            raise DataError("an array of this pickle has no bytes")
    plain = len(shape) <= 32 and all(type(side) is int and side >= 0 for side in shape)
    if not plain or math.prod(shape) * dtype.itemsize != len(content):
        raise DataError("an array of this pickle claims another size than its content has")
    return np.frombuffer(content, dtype).reshape(shape, order=order)


def _dtype(noted: object) -> np.dtype[Any]:
    """Return NumPy's type of the numbers that a note describes; its state, if it has one, tells their bytes' order."""
    match noted:
        case _Note("dtype", (str(code), *_)) if not NUMBERS.fullmatch(code):
            raise DataError(f"this pickle holds values of the type {code:.80}, not numbers")
        case _Note("dtype", (str(code), *_), None):
            return np.dtype(code)
        case _Note("dtype", (str(code), *_), (int(), "<" | ">" | "|" | "=" as order, None, None, None, *_)):
            return np.dtype(code).newbyteorder(order)
    raise DataError("this pickle holds records, not numbers")
