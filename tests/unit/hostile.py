"""What hostile files are made of: valid ones, damaged by strategies that hypothesis draws from.

HEIRLOOM_EXAMPLES multiplies the examples of every test, for a long search (HEIRLOOM_EXAMPLES=100); then they are drawn
anew each time. Without it they are the same in every run.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from torch import Tensor

from heirloom.models import torch_files
from heirloom.runtime.errors import HeirloomError, WeightsError

TIMES = int(os.environ.get("HEIRLOOM_EXAMPLES", "1"))
WORDS = [
    struct.pack(f"{order}{form}", number)
    for order in "<>"
    for form, numbers in {
        "I": (0, 1, 14, 15, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF),
        "Q": (0x7FFFFFFFFFFFFFFF, 1 << 40, 0xFFFFFFFFFFFFFFFF),
        "H": (0, 0x7FFF, 0xFFFF),
    }.items()
    for number in numbers
]
TOKENS = [
    b"../../../../secret",
    b"/secret",
    b"..",
    b".",
    b"",
    b"n" * 300,
    b"d/" * 300 + b"n",
    b"a\0b",
    b"9" * 5000,
    b"-1",
    b"4294967296",
    b"nan",
    b"inf",
    b"1e999",
    b'"',
    b"\xff\xfe",
    "\N{ARABIC-INDIC DIGIT THREE}".encode(),
    b"\x1b[2J",
    b"C:\\secret",
    b"w" * 140_000,
    b"<!ENTITY a 'b'>",
    b"<a>" * 20_000,
    b'<?xml version="1.0" encoding="foo"?>',
]


def bounded(examples: int) -> Callable[[Any], Any]:
    """Run a test on so many examples, the same ones in every run."""
    return settings(
        max_examples=examples * TIMES,
        derandomize=TIMES == 1,
        deadline=None,
        database=None,
        phases=(Phase.explicit, Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )


def check_words(error: HeirloomError) -> None:
    """Hold a refusal to its promise: it says where, and how to mend it, in signs that any log holds."""
    assert error.where
    assert error.mend
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]", str(error))


@st.composite
def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """Flip, cut, overwrite and repeat bytes of a valid file, mostly in its head."""
    data = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        reach = max(min(len(data), 1024) if draw(st.booleans()) else len(data), 1) - 1
        place = draw(st.integers(0, reach))
        kind = draw(st.sampled_from(["flip", "end", "cut", "word", "repeat"]))
        if kind == "flip" and data:
            data[place] ^= draw(st.integers(1, 255))
        elif kind == "end":
            del data[place:]
        elif kind == "cut":
            del data[place : place + draw(st.integers(1, 64))]
        elif kind == "word":
            word = draw(st.sampled_from(WORDS))
            data[place : place + len(word)] = word
        else:
            data[place:place] = data[: draw(st.integers(1, 512))] * draw(st.integers(1, 3))
    return bytes(data)


@st.composite
def misworded(draw: st.DrawFn, content: bytes) -> bytes:
    """Put hostile words in the place of words, numbers and paths of a valid list, or damage it as any file."""
    for _ in range(draw(st.integers(1, 3))):
        pattern = draw(st.sampled_from([rb"[^\s;,/<>]+", rb"[^\s;,]+", rb"[^\r\n]+"]))
        found = list(re.finditer(pattern, content))
        if found:
            chosen = draw(st.sampled_from(found))
            content = content[: chosen.start()] + draw(st.sampled_from(TOKENS)) + content[chosen.end() :]
    return content if draw(st.integers(0, 3)) else draw(damaged(content))


def read_here(path: Path, *, mend: str = "") -> dict[str, Tensor]:
    """Read a file of torch's as the child of `torch_files.read_state` does, but within this process."""
    try:
        with path.open("rb") as file:
            torch_files.unpacked(file)
            return torch_files.state_in(file)
    except WeightsError as error:
        raise WeightsError(error.what, where=str(path), mend=mend or error.mend) from error
