"""Locks that the kernel holds for a process, and frees when the process ends however it ends."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from heirloom.runtime.errors import HeirloomError, StorageError
from heirloom.runtime.files import storage_error

logger = logging.getLogger(__name__)

_WITHOUT_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}


@contextmanager
def exclusive(path: Path, *, wait: bool) -> Iterator[int]:
    """Hold the lock of a lock file; makes the file and its folder, and leaves them, since removing them would race.

    Gives the lock's descriptor: a process that inherits it holds the lock too, even after this one ends.

    When another process holds it: waits and logs that it waits, or raises HeirloomError if `wait` is false. Where the
    file system knows no locks, says so in the log and goes on.
    """
    descriptor = _open(path)
    try:
        if not _try_to_lock(descriptor, path):
            if not wait:
                raise HeirloomError(
                    f"another run holds {path}{_holder(descriptor)}", mend="wait until it ends, then run again"
                )
            logger.info("waiting for %s%s", path, _holder(descriptor))
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            logger.info("the lock is free, going on")
        _sign(descriptor)
        yield descriptor
    finally:
        os.close(descriptor)  # frees the lock


@contextmanager
def any_exclusive(paths: Sequence[Path], *, interval: float = 1.0) -> Iterator[int]:
    """Hold the lock of the first free lock file and give its place in `paths`.

    While none is free, logs it once and tries again every `interval` seconds.
    """
    told = False
    with ExitStack() as stack:
        descriptors = []
        for path in paths:
            descriptors.append(_open(path))
            stack.callback(os.close, descriptors[-1])
        while (place := _first_free(descriptors, paths)) is None:
            if not told:
                logger.info("all of %s are taken, waiting for one", ", ".join(path.name for path in paths))
                told = True
            time.sleep(interval)
        _sign(descriptors[place])
        yield place


def _first_free(descriptors: Sequence[int], paths: Sequence[Path]) -> int | None:
    """Lock the first free file and return its place."""
    for place, (descriptor, path) in enumerate(zip(descriptors, paths, strict=True)):
        if _try_to_lock(descriptor, path):
            return place
    return None


def _open(path: Path) -> int:
    """Open a lock file for reading and writing; it is not passed on to programs that this one starts.

    A link is refused: in a folder that others may write to, it may lead to a file that signing would empty.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
    except OSError as error:
        told = storage_error(error)
        mend = told.mend if told else "make the folder writable for you, then run again"
        what = f"cannot open the lock file {path}: {error.strerror}"
        raise StorageError(what, where=str(path.parent), mend=mend) from error


def _try_to_lock(descriptor: int, path: Path) -> bool:
    """Take a lock if it is free."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _WITHOUT_LOCKS:
            raise
        logger.warning("the file system of %s knows no locks: start only one run at a time", path)
    return True


def _sign(descriptor: int) -> None:
    """Leave the process id in the lock file, for the message of whoever waits."""
    with suppress(OSError):  # a full disk: the lock is held all the same
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)


def _holder(descriptor: int) -> str:
    """Say which process signed a lock file, if one did."""
    signature = os.pread(descriptor, 20, 0).decode(errors="replace").strip()
    return f" (process {signature})" if signature.isdigit() else ""
