"""Why jobs failed, told once more after all that Snakemake prints: what a user must read stands last."""

from __future__ import annotations

import atexit
import os
import sys
from contextlib import suppress
from pathlib import Path

NOTES = "HEIRLOOM_CAUSES"  # environment: the file in which a run's jobs note why they failed


def tell_causes_at_exit(folder: Path) -> None:
    """Let jobs of this process note causes in a file below `folder`, and print them when the process exits.

    Does nothing where a run further up collects them already. `folder` is on a disk that the jobs share.
    """
    if NOTES not in os.environ:
        notes = folder.absolute() / f"causes-{os.getpid()}.txt"
        notes.unlink(missing_ok=True)  # of a killed process with the same number
        os.environ[NOTES] = str(notes)
        atexit.register(_tell, notes, os.getpid())


def note_cause(told: str, log: Path | None) -> None:
    """Note why this job failed, with the log that holds more; without a run that collects causes, nothing."""
    place = os.environ.get(NOTES)
    if place is None:
        return
    line = f"  log: {log}\n" if log else ""
    with suppress(OSError):  # the failure itself goes on
        Path(place).parent.mkdir(exist_ok=True)  # a refused plan comes before Snakemake makes its folder
        with Path(place).open("a", encoding="utf-8") as notes:
            notes.write(f"heirloom: {told}\n{line}")


def _tell(notes: Path, owner: int) -> None:
    """Print what was noted, in the process that asked for it and in no fork of it."""
    if os.getpid() == owner and notes.exists():
        sys.stderr.write(f"\n{notes.read_text(encoding='utf-8')}")
        sys.stderr.flush()
        notes.unlink(missing_ok=True)
