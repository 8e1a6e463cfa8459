"""Files that are read whole: up to a size that no published one has, since a longer one fills the memory."""

from __future__ import annotations

from pathlib import Path

from heirloom.runtime.errors import DataError
from heirloom.runtime.files import regular_file

LIST = 1 << 24  # bytes of a list; the largest published one that is read here has 3 MiB
ARRAY = 1 << 30  # bytes of a file of pictures; the largest published one has 215 MiB


def read_whole(path: Path, *, what: str, most: int = LIST, mend: str) -> bytes:
    """Read a file of at most `most` bytes.

    Raises DataError, which calls it `what`, when it is larger, unreadable, or a pipe or a device.
    """
    try:
        size = path.stat().st_size
        if size <= most:
            with regular_file(path) as file:
                return file.read()
    except (OSError, ValueError, DataError) as error:  # a name that no disk takes, a pipe
        raise DataError(f"{what} is missing or unreadable", where=str(path), mend=mend) from error
    raise DataError(f"{what} has {size} bytes, more than the {most} that are read", where=str(path), mend=mend)
