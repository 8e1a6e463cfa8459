"""Pickles of arrays: every protocol is read, nothing in a file is ever run, and no file crashes the reader."""

from __future__ import annotations

import io
import os
import pickle
import random
import struct
from pathlib import Path

import numpy as np
import pytest

from heirloom.runtime import pickles
from heirloom.runtime.errors import DataError, WeightsError
from heirloom.runtime.pickles import read_arrays, read_values
from tests.unit.face_network import of_python2

ARRAYS = {
    "conv1.weight": np.random.default_rng(0).normal(size=(4, 3, 2, 2)).astype(np.float32),
    "halves": np.linspace(-1, 1, 7, dtype=np.float16),
    "fortran": np.asfortranarray(np.arange(12, dtype=np.float64).reshape(3, 4)),
    "sideways": np.arange(12, dtype=np.int32).reshape(3, 4).T,
    "big end": np.arange(5, dtype=">i8"),
    "flags": np.array([True, False, True]),
    "bytes": np.arange(256, dtype=np.uint8),
    "no dimension": np.array(3.5, dtype=np.float32),
    "scalar": np.int64(-7),
    "again": np.arange(3, dtype=np.float32),
}


def written(folder: Path, content: bytes) -> Path:
    path = folder / "weights.pkl"
    path.write_bytes(content)
    return path


def refusal(folder: Path, content: bytes) -> str:
    with pytest.raises(WeightsError) as refused:
        read_arrays(written(folder, content), mend="ask the owner")
    assert str(folder / "weights.pkl") in str(refused.value)
    assert "ask the owner" in str(refused.value)
    return refused.value.what


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("pickler", [pickle.Pickler, pickle._Pickler])
def test_arrays_of_every_protocol_come_back_as_they_were(tmp_path, protocol, pickler):
    content = io.BytesIO()
    pickler(content, protocol).dump(ARRAYS)
    found = read_arrays(written(tmp_path, content.getvalue()))
    assert list(found) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert found[name].dtype.newbyteorder("=") == array.dtype.newbyteorder("=")
        np.testing.assert_array_equal(found[name], array)
        assert found[name].shape == array.shape


@pytest.mark.parametrize("protocol", [0, 1, 2])
def test_a_pickle_of_python_2_is_read(tmp_path, protocol):
    names = ("conv1.weight", "bytes", "big end", "no dimension")
    arrays = {name: ARRAYS[name] for name in names}
    content = of_python2(arrays, protocol)
    expected = pickle.loads(content, encoding="latin1")  # the hand-made stream is what Python itself reads
    found = read_arrays(written(tmp_path, content))
    for name in names:
        np.testing.assert_array_equal(expected[name], arrays[name])
        np.testing.assert_array_equal(found[name], arrays[name])
        assert found[name].shape == arrays[name].shape


VALUES = {
    "label": "training batch 1 of 5",
    "labels": [6, 9, 0, 255, 70_000],
    "names": ["leptodactylus.png", "a b"],
    "none": [],
    "count": 3072,
    "data": ARRAYS["bytes"],
}


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("pickler", [pickle.Pickler, pickle._Pickler])
def test_values_beside_arrays_come_back_as_they_were(tmp_path, protocol, pickler):
    content = io.BytesIO()
    pickler(content, protocol).dump(VALUES)
    found = read_values(written(tmp_path, content.getvalue()))
    assert {name: value for name, value in found.items() if name != "data"} == {
        name: value for name, value in VALUES.items() if name != "data"
    }
    np.testing.assert_array_equal(found["data"], VALUES["data"])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"(S'a'\n(lp0\ng0\nad.", "under a that is no array, number, text or list"),  # a list that holds itself
        (pickle.dumps({"a": [1, "b"]}, 2), "under a that is no array"),
        (pickle.dumps({"a": [True]}, 2), "under a that is no array"),
        (pickle.dumps({"a": None}, 2), "under a that is no array"),
        (pickle.dumps([1, 2], 2), "no dictionary of values"),
        (b"I1\nI2\na.", "damaged"),
        (b"cposix\nsystem\n(S'true'\ntR.", "asks for posix.system"),
    ],
)
def test_other_values_are_refused(tmp_path, content, words):
    with pytest.raises(DataError, match=words):
        read_values(written(tmp_path, content))


# -- what is refused ---------------------------------------------------------------------------------------------------


class Calls:
    """Pickles as a call of a function with arguments."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


HARM = "harm-done"
HOSTILE = {
    f"{os.name}.system": Calls(os.system, f"touch {HARM}"),
    "eval": Calls(eval, f"open('{HARM}', 'w')"),
    "getattr": Calls(getattr, Calls(__import__, "os"), "system"),
    "load": Calls(np.load, HARM, None, True),
    "fromfile": Calls(np.fromfile, HARM),
    "frombuffer": Calls(np.frombuffer, b"1234"),
    "open_memmap": Calls(np.lib.format.open_memmap, HARM, "w+", "u1", (3,)),
    "run": Calls(__import__("subprocess").run, ["touch", HARM]),
    "decode": Calls(__import__("_codecs").decode, b"x", "latin1"),
    "bytearray": Calls(bytearray, 10**12),
    "partial": Calls(__import__("functools").partial, os.system),
}


@pytest.mark.parametrize("protocol", [0, 2, 3, 4, 5])
@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("place", [lambda it: it, lambda it: {"a": it}, lambda it: {"a": ARRAYS["again"], "b": (it,)}])
def test_what_asks_for_anything_else_is_named_and_not_run(tmp_path, monkeypatch, protocol, name, place):
    monkeypatch.chdir(tmp_path)
    told = refusal(tmp_path, pickle.dumps(place(HOSTILE[name]), protocol))
    assert "this pickle asks for " in told
    assert name.split(".")[-1] in told
    assert "it could run code, and was not run" in told
    assert not (tmp_path / HARM).exists()


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_arrays_of_objects_and_records_are_refused(tmp_path, protocol):
    objects = np.array([Calls(os.system, "true"), None], dtype=object)
    told = refusal(tmp_path, pickle.dumps({"a": objects}, protocol))
    assert "asks for" in told or "type O" in told  # whichever comes first in the file
    assert "type O8" in refusal(tmp_path, pickle.dumps({"a": np.array([None], dtype=object)}, protocol))
    records = np.zeros(2, dtype=[("x", "f4"), ("y", "i4")])
    assert "not numbers" in refusal(tmp_path, pickle.dumps({"a": records}, protocol))
    for others in (np.array(["text"]), np.array(["2020-01-01"], dtype="M8[D]"), np.zeros(2, np.complex64)):
        assert "not numbers" in refusal(tmp_path, pickle.dumps({"a": others}, protocol))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"cposix\nsystem\n(S'true'\ntR.", "asks for posix.system"),
        (b"(iposix\nsystem\n.", "asks for posix.system"),
        (b"\x80\x02\x8c\x05posix\x8c\x06system\x93.", "asks for posix.system"),
        (b"cnumpy\ndtype.__class__\n.", "asks for numpy.dtype.__class__"),
        (b"cnumpy\n\x1b[2J\n.", "asks for numpy.\\x1b[2J"),
        (b"\x82\x01.", "the instruction EXT1"),
        (b"cnumpy\nndarray\n(t\x81.", "the instruction NEWOBJ"),
        (b"Psomewhere\n.", "the instruction PERSID"),
        (b"\xff.", "the byte 255, which is no instruction"),
        (b"cnumpy\nndarray\n(I4\ntR.", "calls something that makes no array"),
        (b"(I4\ntR.", "damaged"),
        (b"S'numpy'\n(tR.", "calls something"),
        (b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\ndtype\n(I0\ntS'b'\ntR.", "a kind of its own"),
        (b"c_codecs\nencode\n(S'x'\nS'rot13'\ntR.", "encodes a text"),
        (b"]q\x00.", "the instruction EMPTY_LIST"),
        (b"}.", "no dictionary of arrays"),
        (b"I3\n.", "no dictionary of arrays"),
        (b"(S'a'\nI3\nd.", "something under a that is no array"),
        (b"(I3\nI3\nd.", "no dictionary of arrays"),
        (b"(S'a'\nd.", "no dictionary of arrays"),
        (b"(S'a'\ncnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntRd.", "is no array"),
        (b"g7\n.", "damaged"),
        (b"(0.", "the instruction POP"),
        (b".", "damaged"),
        (b"u.", "damaged"),
        (b"Ix\n.", "damaged"),
        (b"S'open\n.", "damaged"),
        (b"X\x02\x00\x00\x00\xff\xff.", "damaged"),
        (b"", "ends too early"),
        (b"I3", "ends too early"),
        (b"T\xff\xff\xff\xffabc", "ends too early"),
        (b"\x8e" + b"\xff" * 8 + b"abc", "ends too early"),
        (b"\x96" + b"\xff" * 7 + b"\x00abc", "ends too early"),
    ],
)
def test_streams_made_by_hand_are_refused_in_words(tmp_path, content, words):
    assert words in refusal(tmp_path, content)


def array_stream(shape: bytes, raw: bytes, *, uses: int = 1) -> bytes:
    """A dictionary of arrays that all have one content, written once."""
    head = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR"
    kind = b"cnumpy\ndtype\n(S'u1'\nI0\nI1\ntR(I3\nS'|'\nNNNI-1\nI-1\nI0\ntb"
    first = b"T" + struct.pack("<I", len(raw)) + raw + b"p9\n"
    parts = [
        b"S'a%d'\n" % use + head + b"(I1\n" + shape + kind + b"I00\n" + (b"g9\n" if use else first) + b"tb"
        for use in range(uses)
    ]
    return b"(" + b"".join(parts) + b"d."


@pytest.mark.parametrize(
    "shape",
    [
        b"(I1000000000000\nt",
        b"(I4\nt",
        b"(I-3\nt",
        b"(I2\nt",
        b"(I0\nL" + b"9" * 100 + b"L\nt",
        b"(I01\nI3\nt",
        b"(S'3'\nt",
        b"(" + b"I1\n" * 33 + b"I3\nt",
        b"(" + b"I100000\n" * 5 + b"t",
    ],
)
def test_shapes_that_the_content_does_not_fill_are_refused(tmp_path, shape):
    assert "claims another size" in refusal(tmp_path, array_stream(shape, b"abc"))
    found = read_arrays(written(tmp_path, array_stream(b"(I3\nt", b"abc")))
    np.testing.assert_array_equal(found["a0"], list(b"abc"))


def test_one_content_shown_again_and_again_is_refused(tmp_path):
    raw = bytes(10_000)
    assert len(read_arrays(written(tmp_path, array_stream(b"(I10000\nt", raw, uses=2)))) == 2
    assert "more numbers than the file holds" in refusal(tmp_path, array_stream(b"(I10000\nt", raw, uses=9))


def test_endless_instructions_deep_nesting_and_huge_files_are_refused(tmp_path, monkeypatch):
    assert "more than 1,000,000 instructions" in refusal(tmp_path, b"(" * 1_000_001)
    # a key that deep is never hashed: that would end the process
    assert "no dictionary" in refusal(tmp_path, b"})" + b"\x85" * 500_000 + b"I1\ns.")
    monkeypatch.setattr(pickles, "LARGEST", 10)
    assert "GiB" in refusal(tmp_path, b"(" * 11)


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(WeightsError, match="cannot be read"):
        read_arrays(tmp_path / "absent.pkl")


@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_a_cut_file_is_refused_wherever_it_is_cut(tmp_path, protocol):
    content = pickle.dumps({"a": ARRAYS["again"], "s": ARRAYS["scalar"]}, protocol)
    for end in range(len(content)):
        refusal(tmp_path, content[:end])


@pytest.mark.filterwarnings("ignore:invalid escape sequence")
def test_mutated_files_are_read_or_refused_and_never_anything_else(tmp_path):
    """Bytes are changed, put in, taken out and moved, by seed; what is still read is a dictionary of arrays."""
    draw = random.Random(0)
    seeds = [pickle.dumps(ARRAYS, protocol) for protocol in range(6)]
    seeds += [of_python2({"a": ARRAYS["again"], "b": ARRAYS["flags"]}, protocol) for protocol in (0, 1, 2)]
    seeds += [pickle.dumps(Calls(os.system, "false"), protocol) for protocol in (0, 2, 4)]
    opcodes = b"().012FGIJKLMNRSTUVX]abcdeghijlopqrstu}\x80\x81\x85\x86\x87\x88\x89\x8a\x8c\x8e\x93\x94\x95\x96"
    read = 0
    for _ in range(1500):
        content = bytearray(draw.choice(seeds))
        for _ in range(draw.choice([1, 1, 2, 4, 16])):
            place = draw.randrange(len(content))
            match draw.randrange(5):
                case 0:
                    content[place] = draw.randrange(256)
                case 1:
                    content[place] = draw.choice(opcodes)
                case 2:
                    content[place:place] = bytes([draw.choice(opcodes)])
                case 3:
                    del content[place : place + draw.randrange(1, 9)]
                case _:
                    content[place:place] = content[draw.randrange(len(content)) :][: draw.randrange(1, 40)]
            content = content or bytearray(b".")
        try:
            found = read_arrays(written(tmp_path, bytes(content)))
        except WeightsError:
            continue
        read += 1
        assert all(type(name) is str and array.dtype.kind in "biuf" for name, array in found.items())
        assert sum(array.nbytes for array in found.values()) <= 2 * len(content)
    assert read > 30  # a changed number is a number still
