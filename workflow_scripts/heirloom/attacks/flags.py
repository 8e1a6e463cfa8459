"""What pyautoattack's own checks warn of while it attacks: signs that its robust accuracy may be too high.

pyautoattack 0.2 looks, for each batch it is given, whether the model answers one image in two ways, gives probabilities
in place of logits, takes gradients itself, whether its loss of logits (DLR) has no gradient at some images, and whether
Square, the one attack that needs none, still fools more than 0.2 % of the batch after the others. It logs what it finds
and goes on.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import NamedTuple

LOGGER = "auto-attack"
OTHER = "other"
# What a flag is called, by words of its warning.
NAMES: Mapping[str, str] = MappingProxyType(
    {
        "randomized defense": "randomised",
        "probability distribution": "softmax-output",
        "zero gradient": "zero-gradient",
        "Square Attack has decreased": "square-decreases",
        "dynamic defense": "dynamic",
        "target classes": "too-few-classes",
        "DLR loss": "too-few-classes",
    }
)
_POINTS = re.compile(r"there are (\d+) points")
_SHARE = re.compile(r"decreased the robust accuracy of ([\d.]+)%")


class Warned(NamedTuple):
    """What was warned of in one batch of `images`."""

    images: int
    messages: Sequence[str]


class _Collector(logging.Handler):
    def __init__(self, found: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._found = found

    def emit(self, record: logging.LogRecord) -> None:
        self._found.append(record.getMessage())


@contextmanager
def warnings() -> Iterator[list[str]]:
    """Give a list to which every warning is added that pyautoattack logs in the body; the log has them as well."""
    found: list[str] = []
    collector = _Collector(found)
    logger = logging.getLogger(LOGGER)
    logger.addHandler(collector)
    try:
        yield found
    finally:
        logger.removeHandler(collector)


def flags(batches: Sequence[Warned]) -> list[dict[str, object]]:
    """Summarise warnings by flag, sorted: in how many batches, of how many images at least, and the first message.

    `images` is null where a warning is of the model and not of images. Of zero gradients it counts each batch's largest
    number, since every start and target class of an attack is looked at anew.
    """
    found: dict[str, dict[str, object]] = {}
    for batch in batches:
        named = {_name(message): message for message in reversed(batch.messages)}
        for name, message in named.items():
            images = [count for each in batch.messages if _name(each) == name for count in _images(each, batch.images)]
            entry = found.setdefault(name, {"flag": name, "batches": 0, "images": None, "message": message})
            entry["batches"] = _sum(entry["batches"], 1)
            entry["images"] = _sum(entry["images"], max(images)) if images else entry["images"]
    return [found[name] for name in sorted(found)]


def _sum(before: object, more: int) -> int:
    return more + (before if isinstance(before, int) else 0)


def _name(message: str) -> str:
    return next((name for words, name in NAMES.items() if words in message), OTHER)


def _images(message: str, batch: int) -> Iterator[int]:
    """Yield how many images a warning is of, where it says so."""
    if points := _POINTS.search(message):
        yield int(points[1])
    if share := _SHARE.search(message):
        yield round(float(share[1]) / 100 * batch)
