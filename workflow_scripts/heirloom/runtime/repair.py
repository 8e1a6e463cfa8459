"""Find result files that a crash, a full disk or a stray hand has damaged, so that they are made again."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from heirloom.runtime.errors import DamagedFileError
from heirloom.runtime.files import read_card, read_json, verify_card, write_json

EDGES: dict[str, tuple[bytes, tuple[bytes, ...]]] = {
    ".parquet": (b"PAR1", (b"PAR1",)),
    ".png": (b"\x89PNG\r\n\x1a\n", (b"IEND\xaeB`\x82",)),
    ".pdf": (b"%PDF-", (b"%%EOF\n",)),
    ".csv": (b"", (b"\n",)),
    ".html": (b"<", (b"</html>\n", b"</html>")),
    ".tex": (b"", (b"\n",)),
    ".txt": (b"", (b"\n",)),
}


def damaged_files(folders: Iterable[Path], *, made: Callable[[Path], bool]) -> list[Path]:
    """Return the files in or below `folders` that are not what they were written as, sorted.

    Files named by a card are compared with their sha256; tables, figures and texts that are `made` here by how such a
    file begins and ends. Whatever else lies there is its owner's.
    Missing files are missing, not damaged. Unpacked pictures (folders named files) are left to the stage that decodes
    them, and hidden files and folders to the job that is writing them.
    """
    return sorted({found for path in _own_files(folders) for found in _damage(path, made)})


def remove_damaged(
    folders: Iterable[Path], *, made: Callable[[Path], bool], tell: Callable[[str], None], record: Path
) -> list[Path]:
    """Remove damaged files and return them, with those that were removed earlier and are still owed.

    `tell` receives one line for each. `record` keeps what is owed until `settle`, since Snakemake makes no file again
    from which everything else has been made already. Raises StorageError when the record cannot be written; then
    nothing is removed.
    """
    places = list(folders)
    found, owed = damaged_files(places, made=made), _owed(record)
    if found:
        write_json(record, sorted(map(str, {*found, *owed})))
    for path in found:
        tell(f"{path} is damaged; it will be made again")
        path.unlink(missing_ok=True)
    return sorted({*found, *(path for path in owed if any(path.is_relative_to(place) for place in places))})


def settle(record: Path, paths: Iterable[Path]) -> None:
    """Note that files have been made again."""
    owed = _owed(record)
    left = owed - set(paths)
    if left:
        write_json(record, sorted(map(str, left)))
    elif owed:
        record.unlink()


def _owed(record: Path) -> set[Path]:
    """Read a record; a damaged one is as good as none, since it names what is not there any more."""
    try:
        return set(map(Path, read_json(record)))
    except (DamagedFileError, TypeError):
        return set()


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


def _damage(path: Path, made: Callable[[Path], bool]) -> Iterator[Path]:
    if path.name == "card.json":
        yield from _unlike_card(path)
    elif path.suffix in EDGES and made(path) and not _has_edges(path, *EDGES[path.suffix]):
        yield path


def _unlike_card(card: Path) -> Iterator[Path]:
    try:
        names = [entry["file"] for entry in read_card(card)["files"].values()]
    except (DamagedFileError, KeyError, TypeError):
        yield card
        return
    yield from (card.parent / name for name in names if (card.parent / name).exists() and not _intact(card, name))


def _intact(card: Path, name: str) -> bool:
    try:
        verify_card(card, name)
    except DamagedFileError:
        return False
    return True


def _has_edges(path: Path, head: bytes, tails: tuple[bytes, ...]) -> bool:
    """Tell whether a file begins with `head` and ends with one of `tails`."""
    size, longest = path.stat().st_size, max(map(len, tails))
    if size < max(1, len(head) + min(map(len, tails))):
        return False
    with path.open("rb") as file:
        start = file.read(len(head))
        file.seek(-min(size, longest), os.SEEK_END)
        return start == head and file.read().endswith(tails)
