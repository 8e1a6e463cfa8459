"""Find result files that a crash, a full disk or a stray hand has damaged, so that they are made again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from heirloom.runtime.errors import DamagedFileError
from heirloom.runtime.files import read_card, verify_card

EDGES: dict[str, tuple[bytes, bytes]] = {
    ".parquet": (b"PAR1", b"PAR1"),
    ".png": (b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"),
    ".pdf": (b"%PDF-", b"%%EOF\n"),
}


def damaged_files(results: Path) -> list[Path]:
    """Return the files under `results` that are not what they were written as, sorted.

    Files named by a card are compared with their sha256; tables and figures by how such a file begins and ends; no
    file may be empty. Unpacked archives are left to the stage that decodes them.
    """
    return sorted({found for check in (_by_card, _by_edges) for found in check(results)})


def remove_damaged(results: Path, *, tell: Callable[[str], None]) -> list[Path]:
    """Remove damaged files and return them; `tell` receives one line for each."""
    found = damaged_files(results)
    for path in found:
        tell(f"{path} is damaged; it will be made again")
        path.unlink(missing_ok=True)
    return found


def _by_card(results: Path) -> Iterator[Path]:
    for card in _own_files(results, "card.json"):
        try:
            names = [entry["file"] for entry in read_card(card)["files"].values()]
        except (DamagedFileError, KeyError, TypeError):
            yield card
            continue
        yield from (card.parent / name for name in names if (card.parent / name).exists() and not _intact(card, name))


def _intact(card: Path, name: str) -> bool:
    try:
        verify_card(card, name)
    except DamagedFileError:
        return False
    return True


def _by_edges(results: Path) -> Iterator[Path]:
    for suffix, (head, tail) in EDGES.items():
        for path in _own_files(results, f"*{suffix}"):
            if not _has_edges(path, head, tail):
                yield path
    for suffix in (".csv", ".html", ".tex"):
        yield from (path for path in _own_files(results, f"*{suffix}") if path.stat().st_size == 0)


def _has_edges(path: Path, head: bytes, tail: bytes) -> bool:
    if path.stat().st_size < len(head) + len(tail):
        return False
    with path.open("rb") as file:
        start = file.read(len(head))
        file.seek(-len(tail), 2)
        return start == head and file.read() == tail


def _own_files(results: Path, pattern: str) -> Iterator[Path]:
    for path in results.rglob(pattern):
        inside_raw = "files" in path.parts and "raw" in path.parts
        if path.is_file() and not inside_raw and not path.name.startswith("."):
            yield path
