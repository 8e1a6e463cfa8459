"""Files that are whole or absent: atomic writing, checksums, cards and parquet tables with reproducible bytes."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, Any

from heirloom.runtime.errors import DamagedFileError, DataError, HeirloomError, StorageError

if TYPE_CHECKING:
    import pyarrow as pa  # 0.3 s at run time, which planning a study need not pay
    from numpy.typing import NDArray

METADATA_KEY = b"heirloom"
CARD = "card.json"
_FORBIDDEN = "give yourself the right to read this, or to write it if it is a result, then run again"
_ENTRY = frozenset({"file", "sha256", "bytes"})
_ROOM = 1 << 16  # bytes: a disk with less free than this is full
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe (FIFO)",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
_ADVICE = {
    errno.ENOSPC: "free some space on this disk, then run again",
    errno.EDQUOT: "free some of your quota on this disk, then run again",
    errno.EFBIG: "raise the file-size limit (ulimit -f) or choose a disk without one, then run again",
    errno.EACCES: "make the folder writable for you, or choose another folder for the results, then run again",
    errno.EPERM: "make the folder writable for you, or choose another folder for the results, then run again",
    errno.EROFS: "this disk is mounted read-only: choose another folder for the results, then run again",
    errno.EIO: "the disk reports a failure: check it, then run again",
}


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary name in the folder of `path`; on success sync it and rename it to `path`, on error remove it.

    Makes the parent folder. The temporary name is `.NAME.partial`: give writers that go by the suffix their format (or
    an open file). Raises StorageError when the disk is full or the folder is not writable.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.unlink(missing_ok=True)
        yield partial
        sync(partial)
        partial.replace(path)
        sync(path.parent)
    except BaseException as error:
        refusal = _storage_error(error, path)  # before the file goes: while it is there, a full disk shows
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        if refusal is not None:
            raise refusal from error
        raise


def regular_file(path: Path, *, error: type[HeirloomError] = DataError) -> BufferedReader:
    """Open a regular file, or a link to one, to read its bytes; the caller closes it.

    A pipe or a socket under a file's name would keep the reader waiting for ever, and a device may never end: these
    and folders are refused by an `error` that names the path and its kind, and never opened. OSError as `open` raises.
    """
    _only_regular(path, path.stat().st_mode, error)
    # the name may have changed hands since: opened without waiting, and looked at again
    file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
    try:
        _only_regular(path, os.fstat(file.fileno()).st_mode, error)
    except HeirloomError:
        file.close()
        raise
    return file


def _only_regular(path: Path, mode: int, error: type[HeirloomError]) -> None:
    """Raise an `error` for whatever is no regular file."""
    if not stat.S_ISREG(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), "a thing of another kind")
        what = f"{path.name} is {kind}, not a file"
        raise error(what, where=str(path), mend="put the file itself in its place, or take it away")


def sync(path: Path) -> None:
    """Bring a file or a folder's entries to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _storage_error(error: BaseException, path: Path) -> StorageError | None:
    """Translate a refusal of the disk to write a file into words; None for any other error."""
    if isinstance(error, HeirloomError) or not isinstance(error, Exception):
        return None
    refused = next((each for each in _behind(error) if _number_of(each) is not None), error)
    number = _number_of(refused)
    if number is None and isinstance(error, RuntimeError | OSError) and _is_full(path.parent):
        number = errno.ENOSPC  # PyTorch's writer names neither the words nor the number
    if number is None or not _concerns(refused, path):
        return None
    return StorageError(f"cannot write {path}: {os.strerror(number)}", where=str(path.parent), mend=_ADVICE[number])


def _behind(error: BaseException) -> Iterator[Exception]:
    """Yield an error and those it stands for: a writer that fails to close what it could not write raises another."""
    each: BaseException | None = error
    while isinstance(each, Exception):
        yield each
        each = each.__cause__ or each.__context__


def storage_error(error: Exception, path: Path | None = None) -> StorageError | None:
    """Translate a refusal of the disk, wherever it came from, into words that need no traceback; None for others.

    `path` is told where the error names no file, as when a disk fails in the middle of one.
    """
    number = None if isinstance(error, HeirloomError) else _number_of(error)
    if number is None:
        return None
    named = getattr(error, "filename", None) or path
    where = os.fspath(named) if isinstance(named, str | os.PathLike) else ""
    about = f"{where}: " if where else ""
    mend = _FORBIDDEN if number in (errno.EACCES, errno.EPERM) else _ADVICE[number]
    return StorageError(f"{about}{os.strerror(number)}", where=str(Path(where).parent) if where else "", mend=mend)


def _unreadable(path: Path, error: Exception) -> HeirloomError:
    """Say why a file that Heirloom wrote cannot be read: the disk refuses it, or else it is damaged."""
    return storage_error(error, path) or DamagedFileError(path, found=str(error))


def _number_of(error: Exception) -> int | None:
    """Return the number of a refusal of the disk; None for other errors."""
    number = error.errno if isinstance(error, OSError) else None
    if number in _ADVICE:
        return number
    # libraries written in C++ or Rust pass the words on, not the number
    return next((code for code in (errno.ENOSPC, errno.EDQUOT) if os.strerror(code) in str(error)), None)


def _is_full(folder: Path) -> bool:
    """Tell whether a disk has no room for anything more."""
    try:
        return shutil.disk_usage(folder).free < _ROOM
    except OSError:
        return False


def _concerns(error: Exception, path: Path) -> bool:
    """Tell whether an error is about the written file: one that names another file is the writer's own affair."""
    named = getattr(error, "filename", None)
    if not isinstance(named, str | os.PathLike):
        return True
    return Path(named) in {path, path.with_name(f".{path.name}.partial"), *path.parents}


def write_json(path: Path, obj: object) -> None:
    """Write an object as JSON: sorted keys, indent 1, a final newline. NaN and infinity are refused (ValueError)."""
    text = json.dumps(obj, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)
    with atomic_path(path) as partial:
        partial.write_text(text + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """Read a JSON file that Heirloom wrote; raises DamagedFileError when it is missing or no JSON, or StorageError."""
    try:
        with _told(path):
            return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DamagedFileError(path, found="the file is missing") from error
    except (ValueError, RecursionError) as error:  # no UTF-8, no JSON, or nested without end
        raise DamagedFileError(path, found=f"no JSON: {error}") from error


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file's content as 64 hexadecimal digits.

    Raises DataError for what is no regular file, StorageError where the disk refuses.
    """
    with _told(path), regular_file(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Put what a disk refuses while a file is read into words that name the file."""
    try:
        yield
    except OSError as error:
        told = storage_error(error, path)
        if told is None:
            raise
        raise told from error


def write_card(path: Path, *, kind: str, files: Mapping[str, Path], **facts: object) -> None:
    """Write the card of some files: their kind, each file's name, sha256 and bytes, and facts about them.

    A card carries its files' content through Snakemake's checks, so it must say the same whenever and wherever they are
    the same: put no time, host or absolute path into `facts`. `files` maps the names that `verify_card` takes to the
    files, which lie in or below the card's folder (ValueError otherwise).
    """
    entries = {name: _entry(file, folder=path.parent) for name, file in files.items()}
    write_json(path, {**facts, "kind": kind, "files": entries})


def _entry(file: Path, *, folder: Path) -> dict[str, object]:
    """Describe one file of a card."""
    relative = file.relative_to(folder).as_posix()
    return {"file": relative, "sha256": sha256_of(file), "bytes": file.stat().st_size}


def read_card(path: Path) -> dict[str, Any]:
    """Read a card without checking its files; raises DamagedFileError when it is no card."""
    card = read_json(path)
    if not isinstance(card, dict) or not isinstance(card.get("files"), dict) or "kind" not in card:
        raise DamagedFileError(path, found="no card: it lacks 'kind' or 'files'")
    return card


def verify_card(card_path: Path, *names: str) -> dict[str, Any]:
    """Read a card and check existence, size and sha256 of the named files (of all when none is named).

    A name is a key of the card's `files`, or a file's path relative to the card's folder. Raises DamagedFileError for
    the first file that is not what the card says.
    """
    card = read_card(card_path)
    for entry in [_named(card, name, card_path=card_path) for name in names or card["files"]]:
        _verify(card_path.parent / entry["file"], entry)
    return card


def _named(card: dict[str, Any], name: str, *, card_path: Path) -> dict[str, Any]:
    """Find a file's entry by its name or relative path."""
    for key, entry in card["files"].items():
        if not isinstance(entry, dict) or not isinstance(entry.get("file"), str) or not entry.keys() >= _ENTRY:
            raise DamagedFileError(card_path, found=f"the entry of {key!r} is incomplete")
        if name in (key, entry["file"]):
            return entry
    raise DamagedFileError(card_path, found=f"it does not name {name!r}, only {', '.join(sorted(card['files']))}")


def _verify(path: Path, entry: dict[str, Any]) -> None:
    """Compare one file with its entry: the size first, since it is cheap and finds most cut files."""
    if not path.is_file():
        raise DamagedFileError(path, found="the file is missing")
    size = path.stat().st_size
    if size != entry["bytes"]:
        raise DamagedFileError(path, found=f"{size} bytes instead of {entry['bytes']}")
    if sha256_of(path) != entry["sha256"]:
        raise DamagedFileError(path, found="its sha256 differs from the one in its card")


def write_table(path: Path, table: pa.Table, *, metadata: Mapping[str, object]) -> None:
    """Write a table as parquet such that the same rows give the same bytes.

    `metadata` becomes the one key of the schema's metadata, as JSON; whatever metadata the table carries (pandas',
    notes of fields) is dropped, and chunks are joined, since both would show in the bytes. Raises StorageError.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    note = json.dumps(metadata, sort_keys=True, ensure_ascii=False, allow_nan=False).encode()
    fields = [field.remove_metadata() for field in table.schema]
    table = table.unify_dictionaries().combine_chunks().cast(pa.schema(fields, metadata={METADATA_KEY: note}))
    with atomic_path(path) as partial:
        pq.write_table(table, partial, compression="zstd", compression_level=3, row_group_size=1 << 20)


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write numpy arrays by name as safetensors, atomically; equal arrays give equal bytes whatever the Python."""
    import numpy as np
    from safetensors.numpy import save_file

    with atomic_path(path) as partial:
        save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, partial)


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Read what `write_arrays` wrote; raises DamagedFileError when it is missing, cut or something else."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        found: dict[str, NDArray[Any]] = load_file(path)
    except FileNotFoundError as error:
        raise DamagedFileError(path, found="the file is missing") from error
    except (SafetensorError, OSError) as error:
        raise _unreadable(path, error) from error
    return found


def read_table(path: Path) -> pa.Table:
    """Read a parquet table that Heirloom wrote; raises DamagedFileError when it is missing, cut or no parquet."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # One thread and no read-ahead: Arrow's own threads, when still about at exit, abort the interpreter in some
        # 3 % of processes (apache/arrow issues 34314 and 50482), and Snakemake would take the job for failed.
        with path.open("rb") as file:
            return pq.ParquetFile(file, pre_buffer=False).read(use_threads=False)
    except FileNotFoundError as error:
        raise DamagedFileError(path, found="the file is missing") from error
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, error) from error


def table_metadata(path: Path) -> dict[str, Any]:
    """Read the metadata that `write_table` put into a table, without reading its rows; raises DamagedFileError."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        note = (pq.read_schema(path).metadata or {}).get(METADATA_KEY)
    except FileNotFoundError as error:
        raise DamagedFileError(path, found="the file is missing") from error
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, error) from error
    if note is None:
        raise DamagedFileError(path, found="it carries no metadata of Heirloom")
    metadata: dict[str, Any] = json.loads(note)
    return metadata
