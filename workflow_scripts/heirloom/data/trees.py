"""Folders of many files: replaced as a whole, and described in few words for a card."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from heirloom.runtime.errors import DataError
from heirloom.runtime.files import sha256_of


@contextmanager
def replaced(folder: Path) -> Iterator[Path]:
    """Give an empty folder beside `folder`; on success it takes the place of `folder`, on error it is removed.

    What an earlier, killed run left behind is removed first.
    """
    partial = folder.with_name(f".{folder.name}.partial")
    remove(partial)
    partial.mkdir(parents=True)
    try:
        yield partial
    except BaseException:
        remove(partial)
        raise
    remove(folder)
    partial.rename(folder)


def remove(path: Path) -> None:
    """Remove a file, a link (never what it points to) or a folder with all it holds, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def describe(folder: Path) -> dict[str, object]:
    """Say how many files lie at or below a folder, their bytes, and a digest of their sorted relative names and sizes.

    Links to folders are followed, but no folder is looked at twice; hidden files and folders (which file managers
    leave) are not counted. Raises DataError for a link that leads to nothing, and for what cannot be looked at.
    """
    sizes = {name: _size(path) for name, path in _files(folder)}
    return {"files": len(sizes), "bytes": sum(sizes.values()), "digest": _digest(sizes)}


def _size(path: Path) -> int:
    """Return a file's bytes."""
    try:
        return path.stat().st_size
    except OSError as error:
        if not path.is_symlink():
            mend = "see that it can be read, then run again"
            raise DataError(f"a file of a folder cannot be looked at: {error}", where=str(path), mend=mend) from error
        mend = "correct the link or remove it, then run again"
        raise DataError("a link in a folder leads to no file", where=str(path), mend=mend) from error


def content_digest(folder: Path) -> str:
    """Return one sha256 over the names and contents of the files that `describe` counts."""
    return _digest({name: sha256_of(path) for name, path in _files(folder)})


def _digest(facts: Mapping[str, object]) -> str:
    """Return the sha256 of facts by file name, in sorted order."""
    text = "".join(f"{name}\0{facts[name]}\n" for name in sorted(facts))
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield each file below a folder that is not hidden, with its relative name.

    A folder that several links lead to is taken once, by the first name: links in a circle have no end.
    """
    seen: set[str] = set()
    for where, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(where)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        paths = (Path(where, name) for name in names if not name.startswith("."))
        yield from ((path.relative_to(folder).as_posix(), path) for path in paths)
