"""envs/heirloom.yaml for `--sdm conda`: the pins of requirements.lock, so that both routes run the same versions."""

from __future__ import annotations

import re
from pathlib import Path

PIN = re.compile(r"^(?P<pin>[A-Za-z0-9._-]+==[^\s;\\]+)\s*(?:;\s*(?P<marker>[^\\]+?))?\s*\\?$")
HEADER = "# Written by `make envs` from requirements.lock; a test holds the two together.\n"


def pins(lock: Path) -> list[str]:
    """Every pin of a lock file, with its environment marker where it has one, in the lock's order."""
    matches = (PIN.match(line) for line in lock.read_text(encoding="utf-8").splitlines())
    return [_requirement(match) for match in matches if match]


def _requirement(match: re.Match[str]) -> str:
    marker = match["marker"]
    return f"{match['pin']} ; {marker}" if marker else match["pin"]


def environment_text(lock: Path) -> str:
    """A conda environment file with Python and the lock's pins, installed by pip."""
    lines = [f"          - '{pin.replace(chr(39), chr(34))}'" for pin in pins(lock)]
    head = "name: heirloom\nchannels: [conda-forge]\ndependencies:\n  - python=3.11\n  - pip\n  - pip:\n"
    return HEADER + head + "\n".join(line[4:] for line in lines) + "\n"
