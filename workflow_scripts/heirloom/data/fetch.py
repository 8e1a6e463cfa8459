"""Files that a user already has, or that are downloaded once: found, resumed, checked (docs/datasets.md#downloads)."""

from __future__ import annotations

import http.client
import json
import logging
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from email.message import Message
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from heirloom.config.models import RemoteFile
from heirloom.data import checksums
from heirloom.data.archives import is_as_named
from heirloom.runtime.errors import DataError, StorageError
from heirloom.runtime.files import regular_file, sync, write_json
from heirloom.runtime.locks import exclusive
from heirloom.runtime.progress import Progress

logger = logging.getLogger(__name__)

ATTEMPTS = 4  # for each address
PAUSE = 2.0  # seconds before the second attempt, doubled for each further one
TIMEOUT = 60.0  # seconds without a byte
CHUNK = 1 << 20
DIGITS = 18  # of a file's bytes
COMMON = frozenset({".txt"})  # suffixes of files whose names do not tell a data set
PERMANENT = frozenset({400, 401, 403, 404, 405, 410, 451})


class _RefusedError(Exception):
    """An answer that another attempt at the same address would not better."""


class _BrokenError(Exception):
    """An answer that broke off or made no sense: worth another attempt."""


@dataclass(frozen=True)
class _Origin:
    """Whence a partial download comes: its rest may only be fetched from the same file.

    `mixed`: its beginning came from another address, which only a checksum can show to be of one file.
    """

    url: str = ""
    validator: str = ""
    total: int = -1
    mixed: bool = False


def obtain(
    file: RemoteFile,
    *,
    data_root: Path | None,
    cache: Path,
    record: Path | None = None,
    advice: str = "",
    pause: float = PAUSE,
) -> Path:
    """Return where a file lies: in `data_root` (or a folder in it), else in `cache`, else downloaded into `cache`.

    A file with a `local_path` lies there, and is neither searched nor downloaded.

    Checked on every call: the checksum when it is known, and a hash that is part of the name (as in
    resnet18-f37072fd.pth). What is downloaded without either is written into `record` and compared with it ever after.
    Addresses are tried in order, each several times with growing pauses (`pause` seconds at first); a partial download
    is resumed, also by a later run. Only http and https are followed. Raises DataError that says what was tried, and
    where to put the file instead with `advice` how to get it, and StorageError.
    """
    if Path(file.name).name != file.name or file.name.startswith("."):
        raise DataError(f"{file.name!r} is no plain file name", mend="name the file without folders")
    local = find_own(file, data_root)
    if local is not None:
        logger.info("%s: found in a folder of yours", file.name)
        return _checked(local, file, record=None)
    with exclusive(_locks(cache) / f"fetch-{file.name}.lock", wait=True):
        return _cached(file, cache, data_root=data_root, record=record, advice=advice, pause=pause)


def with_places(
    files: Iterable[RemoteFile], paths: Mapping[str, str], addresses: Mapping[str, Sequence[str]]
) -> list[RemoteFile]:
    """Give files their `local_path` and `urls`, by name; those that are not named keep what they have.

    Both travel beside a job's parameters, since no output depends on where a file comes from.
    """
    return [
        file.model_copy(
            update={
                "local_path": paths.get(file.name, file.local_path),
                "urls": tuple(addresses.get(file.name, file.urls)),
            }
        )
        for file in files
    ]


def find_own(file: RemoteFile, data_root: Path | None) -> Path | None:
    """Return where the user has a file: at its local path, else in `data_root`. Raises DataError as these do.

    Lists, whose names many data sets use, are not looked for in folders of `data_root`: whose they are is not told.
    """
    deep = Path(file.name).suffix not in COMMON
    return _placed(file, data_root) or find_local(file.name, data_root, deep=deep)


def _placed(file: RemoteFile, data_root: Path | None) -> Path | None:
    """Return where the user says a file lies, None when nothing is said; raises DataError when it is not there."""
    if file.local_path is None:
        return None
    path = Path(file.local_path).expanduser()
    places = [folder / path for folder in (data_root, Path.cwd()) if folder is not None]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        looked = ", ".join(dict.fromkeys(map(str, places)))
        mend = f"correct local_path of {file.name} in the catalogue, or leave it out"
        raise DataError(f"local_path of {file.name} is no file: {file.local_path}", where=looked, mend=mend)
    return found


def _locks(cache: Path) -> Path:
    """Name the folder of the locks beside a cache."""
    return cache.parent / ".locks"


def find_local(name: str, data_root: Path | None, *, deep: bool = True) -> Path | None:
    """Return the file or folder of a name in `data_root`, else, if `deep`, in one of its folders, the first by name."""
    if data_root is None:
        return None
    if not data_root.is_dir():
        mend = "correct data_root, or leave it out to download"
        raise DataError("data_root is no folder", where=str(data_root), mend=mend)
    folders = [path for path in sorted(data_root.iterdir()) if path.is_dir() and not path.name.startswith(".")]
    places = (folder / name for folder in (data_root, *(folders if deep else ())))
    return next((place for place in places if place.exists()), None)


def cache_for(output: Path) -> Path:
    """Return the folder of downloads for an output below results/shared: results/cache; else `cache` beside it."""
    shared = next((parent for parent in output.parents if parent.name == "shared"), output)
    return shared.parent / "cache"


def _checked(path: Path, file: RemoteFile, *, record: Path | None) -> Path:
    """Compare a file with what is known of it, and say so where that is nothing; raises DataError."""
    regular_file(path).close()  # whatever reads it next would wait for a pipe
    if not checksums.check(path, file, record):
        logger.warning("%s: nobody published a checksum, so it is used unverified", file.name)
    return path


def _cached(
    file: RemoteFile, cache: Path, *, data_root: Path | None, record: Path | None, advice: str, pause: float
) -> Path:
    """Return the cached file, downloading it when it is missing or damaged."""
    path = cache / file.name
    if path.is_file():
        try:
            if file.urls and not checksums.known(file, record):
                # its line was deleted, or the record is another checkout's: what is used must be written down
                _judge(path, file, url=file.urls[0], record=record, guard=_locks(cache) / "checksums.lock")
            return _checked(path, file, record=record)
        except (DataError, _RefusedError):
            if not file.urls:
                raise
            logger.warning("%s: damaged in the cache, downloading it again", file.name)
            path.unlink()
    cache.mkdir(parents=True, exist_ok=True)
    failures, ways = [], []
    for url in file.urls:
        try:
            return _download(url, file, path, record=record, pause=pause)
        except (_RefusedError, DataError) as error:
            failures.append(f"{url}: {error.what if isinstance(error, DataError) else error}")
            ways += [error.mend] if isinstance(error, checksums.ChangedError) else []
            logger.warning("%s", failures[-1])
    raise _missing(file, data_root, failures, ways, advice)


def _missing(
    file: RemoteFile, data_root: Path | None, failures: Sequence[str], ways: Sequence[str], advice: str
) -> DataError:
    """Say what was tried, and what a user can do: `ways`, or put the file into a folder, got as `advice` says."""
    why = "" if failures else " no address of it is known"
    place = f"in {data_root}" if data_root else "in a folder, and name that folder as data_root in the study"
    where = str(data_root) if data_root else "no data_root is given"
    how = f" ({advice})" if advice else ""
    mend = "; or ".join([*dict.fromkeys(ways), f"put {file.name} {place}{how}"])
    tried = [f"    {failure}" for failure in failures]
    return DataError(f"{file.name} cannot be had:{why}", details=tried, where=where, mend=mend)


def _download(url: str, file: RemoteFile, path: Path, *, record: Path | None, pause: float) -> Path:
    """Download from one address with several attempts; raises _RefusedError or, for a wrong checksum, DataError."""
    partial = path.with_name(f"{path.name}.part")
    failures = reached = 0
    while True:
        try:
            _transfer(url, partial, known=checksums.known(file, record))
            mixed = _origin_of(partial).mixed
            return _accepted(partial, file, path, url=url, record=record)
        except DataError:
            if not mixed:
                raise
            logger.warning("%s: its beginning came from another address and does not fit: starting over", url)
            continue
        except _BrokenError as error:
            size = _size(partial)
            failures, reached = (1, size) if size > reached else (failures + 1, reached)
            logger.warning("%s: %s (attempt %d of %d)", url, error, failures, ATTEMPTS)
            if failures == ATTEMPTS:
                raise _RefusedError(f"{error}, {ATTEMPTS} times") from error
        except OSError as error:
            mend = "free some space or make the folder writable, then run again: the download goes on where it stopped"
            raise StorageError(f"cannot write {partial.name}: {error}", where=str(partial.parent), mend=mend) from error
        time.sleep(pause * 2 ** (failures - 1))


def _size(path: Path) -> int:
    """Return a file's bytes; 0 when there is none."""
    return path.stat().st_size if path.is_file() else 0


def _accepted(partial: Path, file: RemoteFile, path: Path, *, url: str, record: Path | None) -> Path:
    """Check a complete download and give it its name; a wrong one is removed, since resuming would keep it wrong."""
    try:
        _judge(partial, file, url=url, record=record, guard=_locks(path.parent) / "checksums.lock")
    except (DataError, _RefusedError):
        _forget(partial)
        raise
    sync(partial)
    partial.replace(path)
    sync(path.parent)
    _forget(partial)
    return path


def _judge(partial: Path, file: RemoteFile, *, url: str, record: Path | None, guard: Path) -> None:
    """Compare a download with what is known of it, else record what it holds, as long as that can be what it is named.

    Before the file has its name, so that a cached file is always one that was judged.
    """
    if checksums.check(partial, file, record):
        return
    if not is_as_named(partial, file.name):
        raise _RefusedError("what it sent is no whole archive of the kind that the name says")
    if record is None:
        logger.warning("%s: nobody published a checksum, so it is used unverified", file.name)
    else:
        checksums.write_down(partial, file.name, url, record=record, guard=guard)


def _transfer(url: str, partial: Path, *, known: bool) -> None:
    """Bring a partial download to its end. `known`: its checksum is, so that any server may give the rest."""
    origin = _origin_of(partial)
    begun = _size(partial)
    if begun and not known and (origin.url != url or not origin.validator):
        begun = 0  # nothing would show that the two halves are of one file
    if begun and begun == origin.total:
        return  # an earlier run ended between the last byte and the rename
    headers = {"User-Agent": "heirloom", "Accept-Encoding": "identity"}
    if begun:
        headers["Range"] = f"bytes={begun}-"
        if origin.url == url and origin.validator:
            headers["If-Range"] = origin.validator
    with _ask(url, headers, partial) as answer:
        begun = _start_of(answer, begun)
        total = _total_of(answer.headers, begun)
        _refuse_page(answer.headers, partial.name.removesuffix(".part"))
        mixed = begun > 0 and (origin.mixed or origin.url != url)
        write_json(_note(partial), asdict(_Origin(url, _validator_of(answer.headers), total, mixed)))
        _append(answer, partial, begun, total)


def _append(answer: Any, partial: Path, begun: int, total: int) -> None:
    """Write an answer's bytes behind the first `begun` of a file, and ask for `total` in the end (-1: not said)."""
    name = partial.name.removesuffix(".part")
    with partial.open("r+b" if begun else "wb") as target, Progress(max(total, 0), name, "bytes") as progress:
        target.seek(begun)
        target.truncate()
        progress.advance(begun)
        while chunk := _read(answer):
            if not target.tell():
                _refuse_html(chunk, name)
            target.write(chunk)
            target.flush()  # so that a killed job loses nothing that came
            progress.advance(len(chunk))
        found = target.tell()
    if total >= 0 and found != total:
        raise _BrokenError(f"it broke off after {found} of {total} bytes")
    if not found:
        raise _BrokenError("the answer is empty")


def _read(answer: Any) -> bytes:
    """Read the next bytes of an answer, as soon as there are some."""
    try:
        chunk: bytes = answer.read1(CHUNK)
    except (OSError, http.client.HTTPException) as error:
        raise _BrokenError(f"it broke off ({error or type(error).__name__})") from error
    return chunk


def _start_of(answer: Any, begun: int) -> int:
    """Return where in the file an answer starts: at `begun`, or at 0 when the server ignores ranges."""
    if answer.status == 206:
        stated = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
        if stated is None or (stated[1].lstrip("0") or "0") != str(begun):
            raise _BrokenError("the server sent another part than asked for")
        return begun
    if begun:
        logger.info("the server does not resume, or the file changed: starting over")
    return 0


def _total_of(headers: Message, begun: int) -> int:
    """Return the whole file's length; -1 when the server does not say."""
    length = headers.get("Content-Length", "")
    return begun + int(length) if length.isdecimal() and len(length) <= DIGITS else -1


def _validator_of(headers: Message) -> str:
    """Return what tells one version of a file from another: a strong ETag, else the time of its last change."""
    tag = headers.get("ETag", "")
    return tag if tag and not tag.startswith("W/") else headers.get("Last-Modified", "")


def _refuse_page(headers: Message, name: str) -> None:
    """Refuse a web page that comes instead of the file, as from a log-in or a moved address."""
    if headers.get_content_type() in ("text/html", "application/xhtml+xml") and not name.endswith((".html", ".htm")):
        raise _RefusedError("it answered with a web page instead of the file")


def _refuse_html(chunk: bytes, name: str) -> None:
    """Refuse a web page that does not call itself one."""
    head = chunk[:256].lstrip().lower()
    if head.startswith((b"<!doctype html", b"<html")) and not name.endswith((".html", ".htm")):
        raise _RefusedError("it answered with a web page instead of the file")


def _ask(url: str, headers: Mapping[str, str], partial: Path) -> Any:
    """Ask for a file and return the answer; sorts the refusals into those that stay and those that pass."""
    if urlsplit(url).scheme not in ("http", "https"):
        raise _RefusedError("only http and https addresses are followed")
    # the opener knows http and https alone, whatever a redirection says
    request = urllib.request.Request(url, headers=dict(headers))  # noqa: S310
    try:
        return _opener().open(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416:
            _forget(partial)  # it has no such bytes: the file changed
        kind = _RefusedError if error.code in PERMANENT else _BrokenError
        raise kind(f"the server answers {error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException, ValueError) as error:  # ValueError: it redirects to no address
        reason = getattr(error, "reason", None) or error
        raise _BrokenError(f"no answer ({reason or type(error).__name__})") from error


def _opener() -> urllib.request.OpenerDirector:
    """Build an opener for http and https (and the proxies of the environment), without file:, ftp: and data:."""
    opener = urllib.request.OpenerDirector()
    handlers = (
        urllib.request.ProxyHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPRedirectHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPErrorProcessor,
        urllib.request.UnknownHandler,
    )
    for handler in handlers:
        opener.add_handler(handler())
    return opener


def _note(partial: Path) -> Path:
    """Name the file that says whence a partial download comes."""
    return partial.with_name(f"{partial.name}.json")


def _origin_of(partial: Path) -> _Origin:
    """Read whence a partial download comes; unknown when the note is missing or damaged."""
    try:
        return _Origin(**json.loads(_note(partial).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return _Origin()


def _forget(partial: Path) -> None:
    """Remove a partial download and its note."""
    partial.unlink(missing_ok=True)
    _note(partial).unlink(missing_ok=True)
