"""What each body costs, measured on torch's meta device and kept: the facts an estimate needs before anything is built.

Planning imports no torch, so a child process measures whatever is not yet known, all of it at once.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from heirloom.config import paths
from heirloom.config.kinds import BODIES
from heirloom.config.models import Body
from heirloom.runtime.digest import SCRIPTS, code_digest
from heirloom.runtime.errors import ConfigError, HeirloomError
from heirloom.runtime.files import read_json, write_json

SIDE = 224  # pixels of the images that costs are about
FILE = Path(paths.DOWNLOADS) / "bodies.json"
FOOTPRINT = "heirloom.models.footprint"
Request = tuple[str, tuple[tuple[str, int], ...], int]  # a body's name and options, and the side of the images
Facts = dict[str, Any]  # as footprint.measure returns them


@dataclass(frozen=True)
class Cost:
    """A forward pass of one image, and the weights behind it, all without the head.

    `macs`: multiply-adds. `activations`: numbers that convolutions put out, which stand for the memory traffic.
    `features`: width of the head's input. `convolutions`: how many layers there are before it.
    """

    macs: float
    activations: float
    parameters: int
    features: int
    convolutions: int

    def at(self, side: int) -> Cost:
        """Scale from images of 224 pixels to another side: everything spatial goes with the area."""
        share = (side / SIDE) ** 2
        return replace(self, macs=self.macs * share, activations=self.activations * share)

    def weights(self, classes: int) -> int:
        """Return the number of parameters with a head for `classes`."""
        return self.parameters + (self.features + 1) * classes


def cost_of(body: Body) -> Cost:
    """Return a body's cost at 224 pixels; raises ConfigError for a body that is unknown or cannot be built."""
    facts = _facts(_request(body, SIDE))
    return Cost(**{name: value for name, value in facts.items() if name != "positions"})


def stage_positions(body: Body, side: int) -> tuple[int, ...]:
    """Return how many positions along a side each stage has for images of `side` pixels; raises as `cost_of`."""
    return tuple(_facts(_request(body, side))["positions"])


def measure_all(bodies: Iterable[Body]) -> None:
    """Measure at once what `cost_of` does not know yet of bodies: a child process for each would take seconds each."""
    if "torch" not in sys.modules:
        _measured({_request(body, SIDE) for body in bodies})


def _request(body: Body, side: int) -> Request:
    return body.name, tuple(sorted(body.options.items())), side


@cache  # thousands of jobs ask for the same few
def _facts(request: Request) -> Facts:
    return _measured({request})[request]


def _measured(requests: set[Request]) -> dict[Request, Facts]:
    """Look requests up in FILE, and measure and keep those that it lacks. Where torch is there, nothing is kept."""
    if "torch" in sys.modules:
        measure = importlib.import_module(FOOTPRINT).measure
        return {(name, options, side): measure(name, dict(options), side) for name, options, side in requests}
    keys, known = {request: _key(request) for request in requests}, _kept()
    unknown = [request for request in requests if keys[request] not in known]
    if unknown:
        known |= zip((keys[request] for request in unknown), _by_child(unknown), strict=True)
        with suppress(HeirloomError, OSError):  # they are measured anew
            write_json(FILE, known)
    return {request: known[key] for request, key in keys.items()}


def _key(request: Request) -> str:
    """Name what the facts follow from: the request, and the code of the body and of the measurement."""
    code = code_digest("fetch_teacher", BODIES.member(request[0]).builder, FOOTPRINT)
    return json.dumps([*request, code])


def _kept() -> dict[str, Facts]:
    """Read what was measured; nothing where the file is absent or damaged."""
    names = {"macs", "activations", "parameters", "features", "convolutions", "positions"}
    try:
        content = read_json(FILE)
        return {key: facts for key, facts in content.items() if facts.keys() == names}
    except (HeirloomError, OSError, ValueError, AttributeError):
        return {}


def _by_child(requests: list[Request]) -> list[Facts]:
    """Measure in a process of its own; raises ConfigError with its reason where it fails."""
    wanted = json.dumps([(name, dict(options), side) for name, options, side in requests])
    environment = {**os.environ, "PYTHONPATH": str(SCRIPTS)}
    command = [sys.executable, "-m", FOOTPRINT]
    done = subprocess.run(  # noqa: S603 - this module's own command
        command, input=wanted, capture_output=True, text=True, check=False, env=environment
    )
    if done.returncode:
        why, names = done.stderr.rpartition("Error: ")[2].strip(), sorted({name for name, *_ in requests})
        raise ConfigError(f"bodies could not be measured: {why}", where=", ".join(names))
    found: list[Facts] = json.loads(done.stdout)
    return found
