"""Find results that a crash, a full disk or a stray hand has damaged or taken away, so that they are made again."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from heirloom.runtime.errors import DamagedFileError
from heirloom.runtime.files import CARD
from heirloom.runtime.receipts import Written, named_by, receipts_in


@dataclass(frozen=True)
class Faults:
    """Result files that are not there any more, and those that are not what they were written as; both sorted."""

    missing: tuple[Path, ...]
    damaged: tuple[Path, ...]

    @property
    def owed(self) -> list[Path]:
        """What has to be made again."""
        return sorted({*self.missing, *self.damaged})


def find_faults(folders: Iterable[Path], *, is_planned: Callable[[Path], bool]) -> Faults:
    """Compare the files of a study's folders with the receipts of their jobs or, where these are absent, with cards.

    `folders`: results/shared and results/<study>. Only files that `is_planned` are judged: people keep files of their
    own there, and studies leave some behind. Where a job has no receipt,
    as where another machine's disk keeps it, its card tells of the files that it names, and nothing tells of the rest.
    Unpacked pictures (folders named files) are left to the stage that decodes them, and hidden files and folders to the
    job that is writing them.
    """
    expected, damaged = _expected(list(folders))
    told = {path: written for path, written in expected.items() if is_planned(path)}
    missing = {path for path in told if not path.is_file()}
    changed = {path for path, written in told.items() if path not in missing and not written.describes(path)}
    return Faults(tuple(sorted(missing)), tuple(sorted({*changed, *filter(is_planned, damaged)})))


def missing_files(folders: Iterable[Path], *, is_planned: Callable[[Path], bool]) -> list[Path]:
    """Return the files that receipts name and that are gone, sorted; reads no file but the receipts."""
    return sorted(
        path for receipt in receipts_in(folders) for path in receipt if is_planned(path) and not path.is_file()
    )


def _expected(folders: Sequence[Path]) -> tuple[dict[Path, Written], list[Path]]:
    """Return what files were written as, by receipts and the cards that none speaks for; and cards that are none.

    A card that has a receipt is a file like others: what an altered one names is nothing that a rule makes.
    """
    expected = {path: written for receipt in receipts_in(folders) for path, written in receipt.items()}
    damaged = []
    for card in (path for path in _own_files(folders) if path.name == CARD and path not in expected):
        try:
            expected |= named_by(card)
        except DamagedFileError:
            damaged.append(card)
    return expected, damaged


def remove_damaged(faults: Faults, *, tell: Callable[[str], None]) -> None:
    """Remove what is damaged, and tell of each file that is owed."""
    for path in faults.missing:
        tell(f"{path} is missing; it will be made again")
    for path in faults.damaged:
        tell(f"{path} is damaged; it will be made again")
        path.unlink(missing_ok=True)


def bring_to_present(folders: Iterable[Path], *, tell: Callable[[str], None]) -> None:
    """Date files now that a clock ahead of time has dated into the future.

    Snakemake stops after a job whose output is older than an input; contents, not times, decide what runs again.
    """
    now = time.time()
    ahead = [path for path in _own_files(folders) if path.stat().st_mtime > now]
    for path in ahead:
        os.utime(path, (now, now))
    if ahead:
        others = f" and {len(ahead) - 1} more" if ahead[1:] else ""
        tell(f"dated now, since the clock was set back and they lay in the future: {ahead[0]}{others}")


def _own_files(folders: Iterable[Path]) -> Iterator[Path]:
    for folder in folders:
        for place, below, names in os.walk(folder):
            below[:] = [name for name in below if name != "files" and not name.startswith(".")]
            found = (Path(place, name) for name in names if not name.startswith("."))
            yield from (path for path in found if path.is_file())  # no links that lead nowhere
