"""Pickles of arrays: every protocol is read, nothing in a file is ever run, and no file crashes the reader."""

from __future__ import annotations

import io
import os
import pickle
import pickletools
import random
import struct
from pathlib import Path

import numpy as np
import pytest

from heirloom.runtime import pickles
from heirloom.runtime.errors import DataError, WeightsError
from heirloom.runtime.pickles import read_arrays, read_values
from tests.unit.face_network import of_python2
from tests.unit.hostile import TIMES, check_words

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
        (b"(dS'a'\n(lp0\ng0\nas.", "under a that is no array, number, text or list"),  # a list that holds itself
        (pickle.dumps({"a": [1, "b"]}, 2), "under a that is no array"),
        (pickle.dumps({"a": [True]}, 2), "under a that is no array"),
        (pickle.dumps({"a": None}, 2), "under a that is no array"),
        (pickle.dumps([1, 2], 2), "no dictionary of arrays or values"),
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


ARRAY = (
    b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR"
    b"(I1\n(I3\ntcnumpy\ndtype\n(S'u1'\nI0\nI1\ntR(I3\nS'|'\nNNNI-1\nI-1\nI0\ntbI00\nS'xyz'\ntb"
)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"cposix\nsystem\n(S'true'\ntR.", "asks for posix.system"),
        (b"(iposix\nsystem\n.", "the instruction INST"),
        (b"(cposix\nsystem\no.", "the instruction OBJ"),
        (b"(cnumpy\nndarray\no.", "the instruction OBJ"),
        (b"\x80\x02\x8c\x05posix\x8c\x06system\x93.", "asks for posix.system"),
        (b"cnumpy\ndtype.__class__\n.", "asks for numpy.dtype.__class__"),
        (b"cnumpy\n\x1b[2J\n.", "asks for numpy.\\x1b[2J"),
        (b"\x82\x01.", "the instruction EXT1"),
        (b"cnumpy\nndarray\n(t\x81.", "the instruction NEWOBJ"),
        (b"Psomewhere\n.", "the instruction PERSID"),
        (b"\xff.", "the byte 255, which is no instruction"),
        (b"cnumpy\nndarray\n(I4\ntR.", "no dictionary of arrays"),
        (b"(dS'a'\ncnumpy\nndarray\n(I4\ntRs.", "something under a that is no array"),
        (b"cnumpy\ndtype\n(" + b"I1\n" * 5 + b"tR.", "calls something that makes no array"),
        (b"(I4\ntR.", "damaged"),
        (b"S'numpy'\n(tR.", "not callable"),
        (b"(dS'a'\n" + ARRAY.replace(b"ndarray", b"dtype") + b"s.", "something under a that is no array"),
        (b"(dS'a'\n" + ARRAY.replace(b"S'xyz'\n", b"c_codecs\nencode\n(S'xyz'\nS'rot13'\ntR") + b"s.", "has no bytes"),
        (b"(dS'a'\n" + ARRAY.replace(b"S'xyz'\n", b"N") + b"s.", "has no bytes"),
        (b"(dS'a'\n" + ARRAY.replace(b"NNN", b"NN(t") + b"s.", "records, not numbers"),
        (b"(dS'a'\n" + ARRAY.replace(b"S'u1'", b"I1") + b"s.", "records, not numbers"),
        (b"]q\x00.", "no dictionary of arrays"),
        (b"}S'a'\n]s.", "something under a that is no array"),
        (b"cnumpy\ndtype\nS'a'\n" + ARRAY + b"s.", "no dictionary of arrays"),
        (b"}.", "no dictionary of arrays"),
        (b"I3\n.", "no dictionary of arrays"),
        (b"(dS'a'\nI3\ns.", "something under a that is no array"),
        (b"(S'a'\nI3\nd.", "the instruction DICT as no pickler writes it"),
        (b"(dI3\nI3\ns.", "keys are no texts"),
        (b"}(I3\nI3\nu.", "keys are no texts"),
        (b"}(S'a'\nu.", "damaged"),
        (b"(dS'a'\ncnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntRs.", "is no array"),
        (b"g7\n.", "damaged"),
        (b"(0.", "the instruction POP"),
        (b".", "damaged"),
        (b"u.", "damaged"),
        (b"Ix\n.", "damaged"),
        (b"S'open\n.", "damaged"),
        (b"X\x02\x00\x00\x00\xff\xff.", "damaged"),
        (b"", "ends too early"),
        (b"I3", "no newline found"),
        (b"S'open", "ends too early"),
        (b"T\xff\xff\xff\xffabc", "count < 0"),
        (b"T\xff\xff\xff\x7fabc", "only 3 remain"),
        (b"X\xff\xff\xff\xffabc", "only 3 remain"),
        (b"B\xff\xff\xff\xffabc", "only 3 remain"),
        (b"\x8e" + b"\xff" * 8 + b"abc", "count > sys.maxsize"),
        (b"\x8e" + b"\xff" * 5 + b"\x00\x00\x00abc", "only 3 remain"),
        (b"\x96" + b"\xff" * 7 + b"\x00abc", "only 3 remain"),
        (b"\x8b\xff\xff\xff\x7fabc", "the instruction LONG4"),
        (b"I1\nr\xff\xff\xff\xff.", "remembers more than 1,000,000"),  # a table of 64 GiB
        (b"I1\np99999999999999999999\n.", "remembers more than 1,000,000"),
        (b"I1\np-1\n.", "remembers more than 1,000,000"),
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
    return b"}(" + b"".join(parts) + b"u."


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
    assert "keys are no texts" in refusal(tmp_path, b"})" + b"\x85" * 500_000 + b"I1\ns.")
    monkeypatch.setattr(pickles, "LARGEST", 10)
    assert "GiB" in refusal(tmp_path, b"(" * 11)


DEEP = 100_000


def shown_often(*, raw: bytes, shape: bytes) -> bytes:
    """A dictionary of arrays by the call of protocol 5, whose bytes and shape are written once."""
    call = b"U\x01acnumpy._core.numeric\n_frombuffer\n("
    kind = b"cnumpy\ndtype\nU\x02u1\x85Rq\x02"
    return (
        b"}("
        + call
        + raw
        + b"q\x01"
        + kind
        + shape
        + b"q\x03U\x01CtR"
        + (call + b"h\x01h\x02h\x03U\x01CtR") * 20_000
        + b"u."
    )


SELF = b"cnumpy\ndtype\n)Rq\x01"  # a note, remembered
HEAPS = {
    "a key of tuples that hold one another twice": b"\x80\x02}(K\x00\x85" + b"q\x01h\x01\x86" * 42 + b"K\x01u.",
    "a key of texts of Python 3 and a tuple": b"\x80\x04}(\x8c\x01aK\x01)K\x01u.",
    "lists in lists": b"}U\x01a" + b"]" * DEEP + b"a" * (DEEP - 1) + b"s.",
    "tuples in tuples": b"}U\x01aK\x01" + b"\x85" * DEEP + b"s.",
    "dictionaries in dictionaries": b"}U\x01a" * DEEP + b"K\x01" + b"s" * DEEP + b".",
    "calls in calls": b"}U\x01a" + b"cnumpy\ndtype\n" * DEEP + b")R" + b"\x85R" * (DEEP - 1) + b"s.",
    "states in states": b"}U\x01a" + b"cnumpy\ndtype\n" * DEEP + b"b" * (DEEP - 1) + b"s.",
    "marks": b"}U\x01a" + b"(" * DEEP + b"t" * DEEP + b"s.",
    "a list that holds itself": b"}U\x01a]q\x01h\x01as.",
    "a dictionary that holds itself": b"}q\x01U\x01ah\x01s.",
    "a call that holds itself": b"}U\x01a" + SELF + b"h\x01\x85bs.",
    "a list under many names": b"}(U\x01a](" + b"K\x01" * DEEP + b"eq\x01" + b"U\x01bh\x01" * DEEP + b"u.",
    "a long call again and again": b"((" + b"N" * DEEP + b"tq\x01" + b"cnumpy\ndtype\nh\x01R" * DEEP + b"l.",
    "a long shape under many names": shown_often(raw=b"C\x01x", shape=b"(" + b"K\x01" * DEEP + b"t"),
    "a long text, encoded again and again": shown_often(
        raw=b"c_codecs\nencode\n(X" + struct.pack("<I", DEEP) + b"a" * DEEP + b"U\x06latin1tR",
        shape=b"J" + struct.pack("<i", DEEP) + b"\x85",
    ),
    "whole numbers of many digits": b"}U\x01a](" + (b"I" + b"9" * 5000 + b"\n") * 100 + b"es.",
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("kind", HEAPS)
def test_what_would_take_for_ever_or_end_the_process_is_refused(tmp_path, kind):
    with pytest.raises(DataError) as refused:
        read_values(written(tmp_path, HEAPS[kind]), mend="get it again")
    check_words(refused.value)


def test_frames_hide_nothing(tmp_path):
    """Where a frame ends within an instruction, Python's reader leaves bytes out, and would follow others."""
    honest, hidden = b"U\x01bK\x02", b"U\x01cK\x03"
    frames = b"\x95" + struct.pack("<Q", 2) + b"T" + struct.pack("<I", 1) + b"a" + b"K\x01" + honest
    content = b"\x80\x04}(" + frames + hidden + b"u."
    assert read_values(written(tmp_path, content)) == {"a": 1, "b": 2, "c": 3}
    for length in range(len(frames) + 12):
        changed = content.replace(struct.pack("<Q", 2), struct.pack("<Q", length))
        assert read_values(written(tmp_path, changed)) == {"a": 1, "b": 2, "c": 3}


@pytest.mark.parametrize("name", ["numpy\ndtype", "numpy\nndarray", "_codecs\nencode", "heirloom\ndictionary"])
@pytest.mark.parametrize("attribute", ["__call__", "__setstate__", "__class__", "__code__", "__defaults__", "name"])
def test_a_state_sets_no_attribute_of_the_reader(tmp_path, name, attribute):
    before = read_arrays(written(tmp_path, pickle.dumps(ARRAYS)))
    asked = b"c" + name.encode() + b"\n"
    state = b"}(U" + bytes([len(attribute)]) + attribute.encode() + b"Nu"
    for stream in (asked + state + b"b.", asked + b"N" + state + b"\x86b.", asked + b")R" + state + b"b."):
        refusal(tmp_path, stream)
    after = read_arrays(written(tmp_path, pickle.dumps(ARRAYS)))
    assert all(np.array_equal(after[each], before[each]) for each in ARRAYS)


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(WeightsError, match="cannot be read"):
        read_arrays(tmp_path / "absent.pkl")


@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_a_cut_file_is_refused_wherever_it_is_cut(tmp_path, protocol):
    content = pickle.dumps({"a": ARRAYS["again"], "s": ARRAYS["scalar"]}, protocol)
    for end in range(len(content)):
        refusal(tmp_path, content[:end])


OPCODES = bytes(each.code.encode("latin-1")[0] for each in pickletools.opcodes)


def mutated(draw, seeds):
    """One of some pickles, with bytes changed, put in, taken out and repeated, and perhaps cut; or a soup of bytes."""
    if draw.randrange(8) == 0:
        return b"\x80\x04}(" + bytes(draw.choices(OPCODES + b"\x00\x01\n", k=draw.randrange(40))) + b"u."
    content = bytearray(draw.choice(seeds))
    for _ in range(draw.choice([1, 1, 2, 4, 16])):
        place = draw.randrange(len(content))
        match draw.randrange(7):
            case 0:
                content[place] = draw.randrange(256)
            case 1:
                content[place] = draw.choice(OPCODES)
            case 2:
                content[place:place] = bytes([draw.choice(OPCODES)])
            case 3:
                del content[place : place + draw.randrange(1, 9)]
            case 4:
                content[place] ^= 1 << draw.randrange(8)
            case 5 if draw.randrange(8) == 0:
                del content[place:]
            case _:
                content[place:place] = content[draw.randrange(len(content)) :][: draw.randrange(1, 40)]
        content = content or bytearray(b".")
    return bytes(content)


@pytest.mark.timeout(300)
@pytest.mark.filterwarnings("ignore:invalid escape sequence")
@pytest.mark.parametrize(("read", "error"), [(read_arrays, WeightsError), (read_values, DataError)])
def test_mutated_files_are_read_or_refused_and_never_anything_else(tmp_path, read, error):
    """By seed; what is still read is a dictionary of plain values, no more of them than the file holds."""
    draw = random.Random(0)
    seeds = [pickle.dumps(ARRAYS | VALUES if read is read_values else ARRAYS, protocol) for protocol in range(6)]
    seeds += [of_python2({"a": ARRAYS["again"], "b": ARRAYS["flags"]}, protocol) for protocol in (0, 1, 2)]
    seeds += [pickle.dumps(Calls(os.system, "false"), protocol) for protocol in (0, 2, 4)]
    done = []
    for _ in range(2000 * TIMES):
        content = mutated(draw, seeds)
        try:
            found = read(written(tmp_path, content), mend="get it again")
        except error as refused:
            check_words(refused)
            continue
        done.append(found)
        assert all(type(name) is str for name in found)
        assert all(value.dtype.kind in "biuf" for value in found.values() if isinstance(value, np.ndarray))
        assert {type(value) for value in found.values()} <= {np.ndarray, int, str, list}
        assert sum(getattr(value, "nbytes", 0) for value in found.values()) <= 2 * len(content)
    assert len(done) > 30  # a changed number is a number still
