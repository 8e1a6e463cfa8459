"""Between a robust model and its fine-tuned twin: the weights in between, and which of them to keep.

Source: Zhu et al., ICCV 2023, equation 9. As published where batch-norm statistics moved: these and their counters are
mixed too.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

from safetensors.torch import load_file, save_file
from torch import Tensor

from heirloom.evaluation.judge import JudgedRates
from heirloom.runtime.errors import DamagedFileError
from heirloom.runtime.files import atomic_path

State = Mapping[str, Tensor]


class Point(NamedTuple):
    """One candidate's weights at one alpha, the share of the fine-tuned ones, as validation images judge them."""

    candidate: int
    alpha: float
    rates: JudgedRates


def changed(start: State, tuned: State) -> dict[str, Tensor]:
    """Return what a fine-tuning changed, by name: the tensors of which a bit differs."""
    return {name: value for name, value in tuned.items() if _bits(value) != _bits(start[name])}


def _bits(value: Tensor) -> bytes:
    return value.detach().cpu().contiguous().numpy().tobytes()


def mixed(start: State, tuned: State, alpha: float) -> dict[str, Tensor]:
    """Return alpha * tuned + (1 - alpha) * start of every tensor in `tuned`; both ends are their sources bit for bit.

    Computed in float64 and rounded to the tensor's own type, counters of batches to the nearest whole number.
    """
    if alpha in (0, 1):
        source = tuned if alpha else start
        return {name: source[name].clone() for name in tuned}
    return {name: _between(start[name], value, alpha) for name, value in tuned.items()}


def _between(start: Tensor, tuned: Tensor, alpha: float) -> Tensor:
    found = alpha * tuned.double() + (1 - alpha) * start.double()
    return (found if start.is_floating_point() else found.round()).to(start.dtype)


def choose(points: Sequence[Point], *, tolerance: float, images: int, attacked: int) -> Point:
    """Choose the point of the largest accuracy that loses no more robust accuracy against alpha 0 than tolerated.

    `points` holds alpha 0. Rates are compared as counts, accuracy of `images`, robust accuracy of `attacked` ones, so
    that rounding decides nothing. Of equals: larger robust accuracy, then smaller alpha, then the first candidate.
    """
    robust = {point: round(point.rates.robust_accuracy * attacked) for point in points}
    start = next(robust[point] for point in points if point.alpha == 0)
    lost = math.floor(Fraction(str(tolerance)) * attacked)  # str: 0.001 is meant as a thousandth
    held = [point for point in points if start - robust[point] <= lost]
    return max(
        held,
        key=lambda point: (
            round(point.rates.accuracy * images),
            robust[point],
            -point.alpha,
            -point.candidate,
        ),
    )


def write_changes(path: Path, changes: Mapping[int, State]) -> None:
    """Write what each candidate changed, names as NUMBER/NAME; one metadata key, so that bytes are reproducible."""
    tensors = {
        f"{number}/{name}": value.detach().cpu().contiguous()
        for number, state in changes.items()
        for name, value in state.items()
    }
    with atomic_path(path) as partial:
        save_file(tensors, partial, metadata={"heirloom": json.dumps({"kind": "changes"})})


def read_changes(path: Path, numbers: Iterable[int]) -> dict[int, dict[str, Tensor]]:
    """Read what `write_changes` wrote, for the candidates of these numbers; raises DamagedFileError for another's."""
    found: dict[int, dict[str, Tensor]] = {number: {} for number in numbers}
    for key, value in load_file(path).items():
        number, _, name = key.partition("/")
        if not number.isdecimal() or int(number) not in found:
            raise DamagedFileError(path, found=f"it holds {key}, which belongs to no candidate of its card")
        found[int(number)][name] = value
    return found
