"""Whether the folder of the results can hold a study, and does what the pipeline relies on: tried, not looked up."""

from __future__ import annotations

import fcntl
import mmap
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from heirloom.config import paths
from heirloom.doctor.announce import free_bytes
from heirloom.doctor.report import Finding
from heirloom.doctor.wording import size


def disk_findings(needed: int) -> Iterator[Finding]:
    """Look at results/ and its cache. `needed`: bytes that the study asked about will write."""
    results = Path(paths.RESULTS)
    yield space_finding(str(results), free_bytes(results), needed)
    cache = Path(paths.DOWNLOADS)
    if cache.exists() and cache.stat().st_dev != results.stat().st_dev:
        yield space_finding(str(cache), free_bytes(cache), 0)
    yield from ability_findings(results)


def space_finding(folder: str, free: int, needed: int) -> Finding:
    """Compare free space with what will be written, both in bytes."""
    if free >= needed:
        return Finding("ok", folder, f"{size(free)} free, about {size(needed)} needed")
    mend = "free some space, or put the folder on a larger disk (a link will do)"
    return Finding("warning", folder, f"{size(free)} free, but about {size(needed)} needed", mend)


def ability_findings(folder: Path) -> Iterator[Finding]:
    """Write, lock, rename and map a file in a temporary folder below `folder`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".doctor-", dir=folder) as place:
            for name, ability, needed in ABILITIES:
                yield _tried(name, ability, Path(place), needed=needed)
    except OSError as error:
        yield Finding("problem", "writing", str(error), f"make {folder} writable for you")


def _tried(name: str, ability: Callable[[Path], None], place: Path, *, needed: bool) -> Finding:
    try:
        ability(place)
    except OSError as error:
        mend = "put results/ on a local disk (a link will do)" + ("" if needed else ", or start one run at a time only")
        return Finding("problem" if needed else "warning", name, f"fails here: {error}", mend)
    return Finding("ok", name, "works")


def _lock(place: Path) -> None:
    """Hold a kernel lock, and see that a second holder is refused."""
    path = place / "lock"
    with path.open("w") as first, path.open("w") as second:
        fcntl.flock(first, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
    raise OSError("two holders got the same lock")


def _rename(place: Path) -> None:
    """Replace a file by another one, synced, as every result is written."""
    old, new = place / "old", place / "new"
    old.write_bytes(b"old")
    with new.open("wb") as file:
        file.write(b"new")
        file.flush()
        os.fsync(file.fileno())
    new.replace(old)
    if old.read_bytes() != b"new" or new.exists():
        raise OSError("a renamed file is not what it was")


def _map(place: Path) -> None:
    """Read a file through a memory map, as image arrays are."""
    path = place / "map"
    path.write_bytes(bytes(range(256)) * 16)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        if mapped[255] != 255:
            raise OSError("a mapped file reads differently")


def _link(place: Path) -> None:
    """Make a symbolic link to a folder, as for unpacked data sets."""
    (place / "link").symlink_to(place, target_is_directory=True)


# name, what is tried, whether nothing works without it
ABILITIES = (
    ("kernel locks", _lock, False),
    ("atomic rename", _rename, True),
    ("memory maps", _map, True),
    ("symbolic links", _link, True),
)
