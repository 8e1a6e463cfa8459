"""Arrays of numbers out of a pickle, without running anything that is in it (DESIGN 8).

A pickle is a program for a small machine with a stack, and may ask for any function of any module by its name. The
machine here knows the few instructions that dictionaries of NumPy arrays are written with, and those of lists where
these are asked for, in protocols 0 to 5, by Python 2 or 3. It imports nothing and calls nothing: the six names that
such pickles ask for stand for checks of its own, and arrays are made of bytes that the file really holds.
"""

from __future__ import annotations

import math
import os
import pickle
import re
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from heirloom.runtime.errors import DataError, HeirloomError, WeightsError
from heirloom.runtime.files import regular_file

LARGEST = 4 << 30  # bytes of a file that is looked at; the largest networks here have a tenth of that
STEPS = 1_000_000  # instructions; an array takes about 30
DIMENSIONS = 32
NUMBERS = re.compile(r"[<>=|]?(b1|[iu][1248]|f[248])")  # booleans, whole numbers, floats

Array = NDArray[np.generic]
Value = Array | int | str | list[int] | list[str]
_Content = TypeVar("_Content", Array, Value)

_ADMITTED: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        (module, name): name
        for modules, name in (
            (("numpy",), "ndarray"),
            (("numpy",), "dtype"),
            (("numpy.core.multiarray", "numpy._core.multiarray"), "_reconstruct"),
            (("numpy.core.multiarray", "numpy._core.multiarray"), "scalar"),
            (("numpy.core.numeric", "numpy._core.numeric"), "_frombuffer"),  # protocol 5
            (("_codecs",), "encode"),  # bytes, written by Python 3 in protocols that know none
        )
        for module in modules
    }
)


class _RefusedError(Exception):
    """What is wrong with a pickle, as a sentence."""


@dataclass(frozen=True)
class _Named:
    """A name that the file asked for; nothing stands behind it."""

    name: str


@dataclass
class _Kind:
    """A type of numbers that the file describes: its code, such as f4, and the order of its bytes."""

    code: str
    order: str = "="

    def dtype(self) -> np.dtype[np.generic]:
        """Return NumPy's type of the same numbers."""
        return np.dtype(self.code).newbyteorder(self.order)  # type: ignore[arg-type]


@dataclass
class _Array:
    """An array that the file describes; None until its content came."""

    value: Array | None = None


def read_arrays(path: Path, *, mend: str = "") -> dict[str, Array]:
    """Read a pickled dictionary of arrays by name: booleans, whole numbers or floats, read-only, of any byte order.

    Texts of Python 2 are read as latin-1. Raises WeightsError, with `mend` as the advice, for a file that asks for
    anything but arrays (it says for what), claims more numbers than it holds, is damaged, or is no such pickle.
    """
    return _read(path, _arrays, _INSTRUCTIONS, error=WeightsError, mend=mend)


def read_values(path: Path, *, mend: str = "") -> dict[str, Value]:
    """Read a pickled dictionary of arrays, whole numbers, texts, and lists of either, by name.

    Otherwise as `read_arrays`, but for the error, a DataError.
    """
    return _read(path, _values, {**_INSTRUCTIONS, **_LISTS}, error=DataError, mend=mend)


def _read(
    path: Path,
    finished: Callable[[object], dict[str, _Content]],
    instructions: Instructions,
    *,
    error: type[HeirloomError],
    mend: str,
) -> dict[str, _Content]:
    """Run a pickle on the machine that follows `instructions`, and take what is left if `finished` does."""
    try:
        with regular_file(path, error=error) as file:
            if os.fstat(file.fileno()).st_size > LARGEST:
                what = f"this file has more than {LARGEST >> 30} GiB, more than any pickle that is read here"
                raise _RefusedError(what)
            return finished(_Machine(file.read(), instructions).run())
    except _RefusedError as refused:
        raise error(str(refused), where=str(path), mend=mend) from None
    except OSError as unreadable:
        raise error(f"this file cannot be read: {unreadable}", where=str(path), mend=mend) from unreadable


def _arrays(content: object) -> dict[str, Array]:
    """Return what the pickle holds; only a dictionary of arrays will do."""
    if type(content) is not dict or not content:
        raise _RefusedError("this pickle holds no dictionary of arrays by name")
    arrays: dict[str, Array] = {}
    for name, value in content.items():
        if not isinstance(value, _Array) or value.value is None:
            raise _RefusedError(f"this pickle holds something under {_shown(name)} that is no array")
        arrays[name] = value.value
    return arrays


def _values(content: object) -> dict[str, Value]:
    """Return what the pickle holds; only a dictionary of arrays, numbers, texts and lists of these two will do."""
    if type(content) is not dict or not content:
        raise _RefusedError("this pickle holds no dictionary of values by name")
    return {name: _value(name, value) for name, value in content.items()}


def _value(name: str, value: object) -> Value:
    """Return one entry as a plain value."""
    if isinstance(value, _Array) and value.value is not None:
        return value.value
    if type(value) is int or type(value) is str:
        return value
    if type(value) is list and len({type(each) for each in value} | {int}) == 1:
        return value
    if type(value) is list and {type(each) for each in value} == {str}:
        return value
    raise _RefusedError(f"this pickle holds something under {_shown(name)} that is no array, number, text or list")


def _shown(text: object) -> str:
    """Show a text of the file in a message: short, without signs that a terminal obeys."""
    return ascii(str(text)[:80])[1:-1]


class _Machine:
    """Reads the instructions of a pickle and keeps what they put on the stack."""

    def __init__(self, data: bytes, instructions: Instructions) -> None:
        self._data = data
        self._instructions = instructions
        self._place = 0
        self._marks: list[int] = []
        self._left = 2 * len(data)  # bytes that arrays may claim: no trick may show the same ones again and again
        self.stack: list[object] = []
        self.memo: dict[int, object] = {}

    def run(self) -> object:
        """Follow the instructions to the end and return what is left; raises _RefusedError."""
        for _ in range(STEPS):
            code = self.take(1)
            if code == pickle.STOP:
                return self.pop()
            step = self._instructions.get(code)
            if step is None:
                raise _RefusedError(f"this pickle holds {_instruction(code)}, which no array needs: it could run code")
            try:
                step(self)
            except (ValueError, struct.error) as error:  # a number that is none, a text that cannot be decoded
                raise _RefusedError("this file is damaged, or no pickle of arrays") from error
        raise _RefusedError(f"this pickle has more than {STEPS:,} instructions, more than arrays need")

    def take(self, count: int) -> bytes:
        """Return the next bytes of the file."""
        found = self._data[self._place : self._place + count]
        if len(found) < count:
            raise _RefusedError("this file ends too early: it is cut, or no pickle of arrays")
        self._place += count
        return found

    def number(self, form: str) -> int:
        """Return the next number, written as `struct` names it."""
        found: int = struct.unpack(form, self.take(struct.calcsize(form)))[0]
        return found

    def line(self) -> bytes:
        """Return the next line without its end."""
        end = self._data.find(b"\n", self._place)
        if end < 0:
            raise _RefusedError("this file ends too early: it is cut, or no pickle of arrays")
        found = self._data[self._place : end]
        self._place = end + 1
        return found

    def mark(self) -> None:
        """Remember this height of the stack."""
        self._marks.append(len(self.stack))

    def above_mark(self) -> list[object]:
        """Take what lies above the last mark."""
        if not self._marks:
            raise _RefusedError("this file is damaged, or no pickle of arrays")
        start = self._marks.pop()
        found = self.stack[start:]
        del self.stack[start:]
        return found

    def pop(self) -> object:
        """Take the topmost."""
        return self.popped(1)[0]

    def popped(self, count: int) -> list[object]:
        """Take the topmost few, never from below a mark."""
        floor = self._marks[-1] if self._marks else 0
        if len(self.stack) - floor < count:
            raise _RefusedError("this file is damaged, or no pickle of arrays")
        found = self.stack[len(self.stack) - count :]
        del self.stack[len(self.stack) - count :]
        return found

    def spend(self, count: int) -> None:
        """Count bytes that the file claims to hold."""
        self._left -= count
        if self._left < 0:
            raise _RefusedError("this pickle claims more numbers than the file holds")


Instructions = Mapping[bytes, Callable[[_Machine], None]]


def _instruction(code: bytes) -> str:
    """Name an instruction that is not admitted."""
    import pickletools

    names = {each.code: each.name for each in pickletools.opcodes}
    name = names.get(code.decode("latin-1"))
    return f"the instruction {name}" if name else f"the byte {code[0]}, which is no instruction"


# -- texts, numbers, collections ---------------------------------------------------------------------------------------


def _bytes(form: str) -> Callable[[_Machine], None]:
    """Make an instruction that puts bytes on the stack, their number before them."""
    return lambda machine: machine.stack.append(machine.take(machine.number(form)))


def _text(form: str, encoding: str) -> Callable[[_Machine], None]:
    """Make an instruction that puts a text on the stack, the number of its bytes before it."""
    errors = "strict" if encoding == "latin-1" else "surrogatepass"
    return lambda machine: machine.stack.append(machine.take(machine.number(form)).decode(encoding, errors))


def _number(form: str) -> Callable[[_Machine], None]:
    """Make an instruction that puts a number on the stack."""
    return lambda machine: machine.stack.append(machine.number(form))


def _constant(value: object) -> Callable[[_Machine], None]:
    """Make an instruction that puts a value on the stack."""
    return lambda machine: machine.stack.append(value)


def _tuple(count: int) -> Callable[[_Machine], None]:
    """Make an instruction that joins the topmost few."""
    return lambda machine: machine.stack.append(tuple(machine.popped(count)))


def _written_number(machine: _Machine) -> None:
    """Put a number on the stack that is written in digits; 00 and 01 are false and true."""
    line = machine.line()
    machine.stack.append(line == b"01" if line in (b"00", b"01") else int(line.removesuffix(b"L")))


def _long(machine: _Machine) -> None:
    machine.stack.append(int.from_bytes(machine.take(machine.number("<B")), "little", signed=True))


def _quoted(machine: _Machine) -> None:
    """Put a text of Python 2 on the stack, which stands in quotes with escapes."""
    line = machine.line()
    if len(line) < 2 or line[0] != line[-1] or line[:1] not in (b"'", b'"'):
        raise _RefusedError("this file is damaged, or no pickle of arrays")
    machine.stack.append(line[1:-1].decode("unicode_escape"))


def _put(index: Callable[[_Machine], int]) -> Callable[[_Machine], None]:
    """Make an instruction that remembers the topmost."""

    def step(machine: _Machine) -> None:
        (top,) = machine.popped(1)
        machine.stack.append(top)
        machine.memo[index(machine)] = top

    return step


def _get(index: Callable[[_Machine], int]) -> Callable[[_Machine], None]:
    """Make an instruction that puts what was remembered on the stack."""

    def step(machine: _Machine) -> None:
        place = index(machine)
        if place not in machine.memo:
            raise _RefusedError("this file is damaged, or no pickle of arrays")
        machine.stack.append(machine.memo[place])

    return step


def _set_items(machine: _Machine, items: list[object]) -> None:
    """Put names and values into the topmost dictionary; only texts are names, so that nothing hostile is hashed."""
    (content,) = machine.popped(1)
    names, values = items[::2], items[1::2]
    if type(content) is not dict or len(names) != len(values) or not all(type(name) is str for name in names):
        raise _RefusedError("this pickle holds no dictionary of arrays by name")
    content.update(zip(names, values, strict=True))
    machine.stack.append(content)


def _dictionary(machine: _Machine) -> None:
    items = machine.above_mark()
    machine.stack.append({})
    _set_items(machine, items)


def _append(machine: _Machine, items: list[object]) -> None:
    """Put values at the end of the topmost list."""
    (content,) = machine.popped(1)
    if type(content) is not list:
        raise _RefusedError("this file is damaged, or no pickle of arrays")
    content.extend(items)
    machine.stack.append(content)


# -- names, calls, states ----------------------------------------------------------------------------------------------


def _named(machine: _Machine, module: object, name: object) -> None:
    """Admit a name that arrays need."""
    if type(module) is not str or type(name) is not str:
        raise _RefusedError("this file is damaged, or no pickle of arrays")
    if (module, name) not in _ADMITTED:
        asked = _shown(f"{module}.{name}")
        raise _RefusedError(f"this pickle asks for {asked}, which no array needs: it could run code, and was not run")
    machine.stack.append(_Named(_ADMITTED[module, name]))


def _named_in_lines(machine: _Machine) -> None:
    module, name = (machine.line().decode("utf-8") for _ in range(2))
    _named(machine, module, name)


def _call(machine: _Machine) -> None:
    """Do for a name and its arguments what the function of that name would."""
    named, arguments = machine.popped(2)
    if not isinstance(named, _Named) or type(arguments) is not tuple or named.name not in _CALLS:
        raise _RefusedError("this pickle calls something that makes no array")
    machine.stack.append(_CALLS[named.name](machine, arguments))


def _encoded(machine: _Machine, arguments: tuple[object, ...]) -> bytes:
    match arguments:
        case (str(text), "latin1" | "latin-1"):
            machine.spend(len(text))
            return text.encode("latin-1")
    raise _RefusedError("this pickle encodes a text in a way that no array needs")


def _kind(_: _Machine, arguments: tuple[object, ...]) -> _Kind:
    match arguments:
        case (str(code), *_):
            found = NUMBERS.fullmatch(code)
            if found:
                return _Kind(found[1])
            raise _RefusedError(f"this pickle holds values of the type {_shown(code)}, not numbers")
    raise _RefusedError("this file is damaged, or no pickle of arrays")


def _empty(_: _Machine, arguments: tuple[object, ...]) -> _Array:
    match arguments:
        case (_Named("ndarray"), *_):
            return _Array()
    raise _RefusedError("this pickle makes an array of a kind of its own")


def _single(machine: _Machine, arguments: tuple[object, ...]) -> _Array:
    match arguments:
        case (_Kind() as kind, str() | bytes() as raw):
            return _Array(_array(machine, raw, kind, (), "C"))
    raise _RefusedError("this file is damaged, or no pickle of arrays")


def _buffered(machine: _Machine, arguments: tuple[object, ...]) -> _Array:
    match arguments:
        case (bytes(raw), _Kind() as kind, tuple(shape), "C" | "F" as order):
            return _Array(_array(machine, raw, kind, shape, order))
    raise _RefusedError("this file is damaged, or no pickle of arrays")


_CALLS: Mapping[str, Callable[[_Machine, tuple[object, ...]], object]] = MappingProxyType(
    {
        "_reconstruct": _empty,
        "scalar": _single,
        "_frombuffer": _buffered,
        "dtype": _kind,
        "encode": _encoded,
    }
)


def _build(machine: _Machine) -> None:
    """Give an array its content, or a type the order of its bytes."""
    subject, state = machine.popped(2)
    match subject, state:
        case _Array(), (int(), tuple(shape), _Kind() as kind, int(fortran), str() | bytes() as raw):
            subject.value = _array(machine, raw, kind, shape, "F" if fortran else "C")
        case _Kind(), (int(), "<" | ">" | "|" | "=" as order, None, None, None, *_):
            subject.order = order
        case _Kind(), _:
            raise _RefusedError("this pickle holds records, not numbers")
        case _:
            raise _RefusedError("this pickle gives something a state that is no array's")
    machine.stack.append(subject)


def _array(machine: _Machine, raw: str | bytes, kind: _Kind, shape: tuple[object, ...], order: str) -> Array:
    """Make an array (shape) of the numbers whose bytes lie in `raw`: as many as the shape says, or none is made."""
    content = raw.encode("latin-1") if isinstance(raw, str) else raw
    dtype = kind.dtype()
    sides = [side for side in shape if type(side) is int and 0 <= side <= len(content)]
    if len(sides) != len(shape) or len(sides) > DIMENSIONS or math.prod(sides) * dtype.itemsize != len(content):
        raise _RefusedError("an array of this pickle claims another size than its content has")
    machine.spend(len(content))
    return np.frombuffer(content, dtype=dtype).reshape(sides, order="F" if order == "F" else "C")


_INSTRUCTIONS: Instructions = MappingProxyType(
    {
        pickle.PROTO: lambda machine: _ignored(machine.take(1)),
        pickle.FRAME: lambda machine: _ignored(machine.take(8)),
        pickle.MARK: _Machine.mark,
        pickle.NONE: _constant(None),
        pickle.NEWTRUE: _constant(True),
        pickle.NEWFALSE: _constant(False),
        pickle.INT: _written_number,
        pickle.LONG: _written_number,
        pickle.LONG1: _long,
        pickle.BININT: _number("<i"),
        pickle.BININT1: _number("<B"),
        pickle.BININT2: _number("<H"),
        pickle.STRING: _quoted,
        pickle.BINSTRING: _text("<I", "latin-1"),
        pickle.SHORT_BINSTRING: _text("<B", "latin-1"),
        pickle.UNICODE: lambda machine: machine.stack.append(machine.line().decode("raw-unicode-escape")),
        pickle.BINUNICODE: _text("<I", "utf-8"),
        pickle.SHORT_BINUNICODE: _text("<B", "utf-8"),
        pickle.BINBYTES: _bytes("<I"),
        pickle.SHORT_BINBYTES: _bytes("<B"),
        pickle.BINBYTES8: _bytes("<Q"),
        pickle.BYTEARRAY8: _bytes("<Q"),
        pickle.EMPTY_TUPLE: _tuple(0),
        pickle.TUPLE1: _tuple(1),
        pickle.TUPLE2: _tuple(2),
        pickle.TUPLE3: _tuple(3),
        pickle.TUPLE: lambda machine: machine.stack.append(tuple(machine.above_mark())),
        pickle.EMPTY_DICT: lambda machine: machine.stack.append({}),
        pickle.DICT: _dictionary,
        pickle.SETITEM: lambda machine: _set_items(machine, machine.popped(2)),
        pickle.SETITEMS: lambda machine: _set_items(machine, machine.above_mark()),
        pickle.PUT: _put(lambda machine: int(machine.line())),
        pickle.BINPUT: _put(lambda machine: machine.number("<B")),
        pickle.LONG_BINPUT: _put(lambda machine: machine.number("<I")),
        pickle.MEMOIZE: _put(lambda machine: len(machine.memo)),
        pickle.GET: _get(lambda machine: int(machine.line())),
        pickle.BINGET: _get(lambda machine: machine.number("<B")),
        pickle.LONG_BINGET: _get(lambda machine: machine.number("<I")),
        pickle.GLOBAL: _named_in_lines,
        pickle.INST: _named_in_lines,  # refused like any other name that is not admitted
        pickle.STACK_GLOBAL: lambda machine: _named(machine, *machine.popped(2)),
        pickle.REDUCE: _call,
        pickle.BUILD: _build,
    }
)

_LISTS: Instructions = MappingProxyType(
    {
        pickle.EMPTY_LIST: lambda machine: machine.stack.append([]),
        pickle.LIST: lambda machine: machine.stack.append(machine.above_mark()),
        pickle.APPEND: lambda machine: _append(machine, machine.popped(1)),
        pickle.APPENDS: lambda machine: _append(machine, machine.above_mark()),
    }
)


def _ignored(_: bytes) -> None:
    """Which protocol it is and where its frames end makes no difference here."""
