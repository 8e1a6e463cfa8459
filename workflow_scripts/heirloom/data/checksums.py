"""What a file must hold: its owner's checksum, its name's, or the first download's (docs/datasets.md#downloads)."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, StringConstraints, ValidationError

from heirloom.config import yaml_files
from heirloom.config.models import RemoteFile, Strict
from heirloom.runtime.errors import ConfigError, DataError, StorageError
from heirloom.runtime.files import atomic_path, regular_file, sha256_of
from heirloom.runtime.locks import exclusive

logger = logging.getLogger(__name__)

HASH_IN_NAME = re.compile(r"-([0-9a-f]{8,64})\.(?:pth|pt|safetensors)$")  # of weight files; elsewhere it may be a date
HEADER = """\
# What downloads held of which nobody published a checksum: recorded by the first one, compared with every later one.
# One line a file: its name, sha256, bytes, and the address it came from. Keep this file under version control.
# To accept a new version of a file, delete its line and run again.
"""


class ChangedError(DataError):
    """A file is not the one that was downloaded first."""


class Recorded(Strict):
    """What the first download of a file held."""

    sha256: Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
    bytes: int = Field(ge=1)
    address: str


def published(file: RemoteFile) -> bool:
    """Tell whether the owner of a file says what it holds: by a checksum, or by the hash in its name."""
    return bool(file.sha256 or file.md5 or HASH_IN_NAME.search(file.name))


def known(file: RemoteFile, record: Path | None) -> bool:
    """Tell whether anything says what a file holds; `record` is the file of recorded downloads."""
    return published(file) or recorded(file.name, record) is not None


def check(path: Path, file: RemoteFile, record: Path | None) -> bool:
    """Compare a file with all that is known of it; returns False when nothing is.

    What the owner published counts, and only where that is nothing the record. Raises DataError, and for a file that
    differs from the record ChangedError.
    """
    first = None if published(file) else recorded(file.name, record)
    if first is None and not published(file):
        return False
    found = sha256_of(path)
    told = _difference(path, file, found)
    if told:
        mend = "it is damaged or another file: remove it, and get it from its owner's page"
        raise DataError(f"{file.name} is not the file it should be: {told}", where=str(path), mend=mend)
    if first is not None and record is not None and found != first.sha256:
        raise _changed(file.name, record, found=found, first=first)
    return True


def _difference(path: Path, file: RemoteFile, found: str) -> str:
    """Say in what a file of sha256 `found` differs from what its owner published; empty when in nothing."""
    in_name = HASH_IN_NAME.search(file.name)
    if file.sha256 is not None and found != file.sha256:
        return f"sha256 {found} instead of {file.sha256} (source: {file.sha256_source})"
    if in_name is not None and not found.startswith(in_name[1]):
        return f"sha256 {found} does not begin with {in_name[1]}, as its name says"
    if file.md5 is not None and (md5 := _md5_of(path)) != file.md5:
        return f"md5 {md5} instead of {file.md5} (source: {file.md5_source})"
    return ""


def _md5_of(path: Path) -> str:
    with regular_file(path) as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def recorded(name: str, record: Path | None) -> Recorded | None:
    """Read what the first download of a file held; None when there was none. Raises ConfigError for a bad record."""
    if record is None or not record.is_file():
        return None
    try:
        entries = yaml_files.read(record) or {}
        return None if name not in entries else Recorded.model_validate(entries[name])
    except (ConfigError, ValidationError, TypeError) as error:
        mend = "correct the line, or delete it to record the file anew"
        why = error.what if isinstance(error, ConfigError) else error
        raise ConfigError(f"the record of {name} cannot be read: {why}", where=str(record), mend=mend) from error


def write_down(path: Path, name: str, address: str, *, record: Path, guard: Path) -> None:
    """Record what a download holds, unless another job has done so; raises ChangedError where that one held other.

    `guard` is the kernel lock that jobs hold while they write the record. The address is written without user and
    query, which may hold a secret. Raises StorageError.
    """
    found = Recorded(sha256=sha256_of(path), bytes=path.stat().st_size, address=_without_secrets(address))
    with exclusive(guard, wait=True):
        first = recorded(name, record)
        if first is None:
            _append(record, f"{json.dumps(name)}: {json.dumps(found.model_dump())}\n")
            logger.info("%s: nobody published a checksum, so sha256 %s is recorded in %s", name, found.sha256, record)
        elif first.sha256 != found.sha256:
            raise _changed(name, record, found=found.sha256, first=first)


def _append(record: Path, line: str) -> None:
    """Add a line to the record as a whole."""
    text = record.read_text(encoding="utf-8") if record.is_file() else HEADER
    try:
        with atomic_path(record) as partial:
            partial.write_text(text.rstrip("\n") + "\n" + line, encoding="utf-8")
    except (StorageError, OSError) as error:
        mend = (
            f"make {record.parent} writable, or give the file's sha256 and its source in the catalogue, and run again"
        )
        told = error.what if isinstance(error, StorageError) else error
        raise StorageError(f"a checksum cannot be recorded: {told}", where=str(record), mend=mend) from error


def _without_secrets(address: str) -> str:
    parts = urlsplit(address)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def _changed(name: str, record: Path, *, found: str, first: Recorded) -> ChangedError:
    """Say which line of the record a file contradicts, and how to accept it."""
    lines = record.read_text(encoding="utf-8").splitlines()
    place = next((number for number, line in enumerate(lines, 1) if line.startswith((json.dumps(name), name))), 0)
    where = f"{record}, line {place}"
    return ChangedError(
        f"{name} is not the file that was downloaded first: sha256 {found} instead of {first.sha256} ({where})",
        where=where,
        mend=f"if its owner published a new version that you want, delete line {place} of {record} and run again",
    )
