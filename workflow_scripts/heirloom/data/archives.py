"""Archives from the internet, unpacked without trusting them."""

from __future__ import annotations

import gzip
import lzma
import os
import re
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from tarfile import HeaderError, ReadError, TarFile, TarInfo
from typing import IO, NoReturn, Self

from heirloom.data.trees import remove
from heirloom.runtime.errors import DataError, StorageError
from heirloom.runtime.files import storage_error

TAR = re.compile(r"\.(tar|tgz|tbz2|txz|tar\.(gz|bz2|xz))$", re.IGNORECASE)
ZIP = re.compile(r"\.zip$", re.IGNORECASE)
DAMAGED = (
    gzip.BadGzipFile,
    tarfile.TarError,
    zipfile.BadZipFile,
    lzma.LZMAError,
    zlib.error,
    EOFError,
    ValueError,  # numbers that are none, texts that cannot be decoded, times that no file can have
    OverflowError,
    RuntimeError,  # headers behind headers without end; versions and kinds of compression that are not known
    MemoryError,  # a decompressor's dictionary
    IndexError,  # blocks of headers that are not there
    struct.error,
)
DEEPEST = 64  # folders within folders; published sets have five
LONGEST_NOTE = 1 << 20  # bytes of a header that carries a long name or other notes; names have 4 KiB at most
NOTES = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)
DEEPEST_NOTE = 8  # headers of notes in front of one member, which are all read before it is; four have a use
LONGEST_GLOBAL_NOTE = 1 << 16  # bytes of notes on all members that follow, kept to the end; git writes 52
GLOBAL_NOTES = 100  # how many are kept
LONGEST_TARGET = 4095  # characters of a link's target; no usual disk takes more
SPARSE_NOTE = "GNU.sparse."
RATIO_FLOOR = 1 << 26  # bytes: what unpacks to less than 64 MiB is no bomb, however well it was compressed


class _StrictHeader(TarInfo):
    """A member's header; one that is damaged is an error, where tarfile would take it for the archive's end.

    tarfile goes backwards for a size below zero, and round in a circle (CVE-2025-8194, in Python up to 3.11.13); it
    reads a header's notes into memory, whatever their size, and keeps those on all members. Of a sparse file it reads
    a map as long as the archive says, and writes what the map says, whatever the member's size: no data set needs one,
    so these are refused in all forms that GNU tar has for them.
    """

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """Read one header block; raises ReadError for a sparse file, and for notes that are too long."""
        header = super().frombuf(buf, encoding, errors)
        longest = LONGEST_GLOBAL_NOTE if header.type == tarfile.XGLTYPE else LONGEST_NOTE
        if header.type in NOTES and not 0 <= header.size <= longest:
            raise ReadError(f"a header has notes of {header.size} bytes")
        if header.type == tarfile.GNUTYPE_SPARSE:
            _refuse_sparse()
        return header

    @classmethod
    def fromtarfile(cls, tarfile: TarFile) -> Self:
        """Read the next header; raises ReadError when there is none before the end of the archive was marked."""
        if len(tarfile.pax_headers) > GLOBAL_NOTES:
            raise ReadError(f"it has more than {GLOBAL_NOTES} notes on all its members")
        try:
            with _one_deeper(tarfile):
                header = super().fromtarfile(tarfile)
        except HeaderError as error:
            if type(error).__name__ == "EOFHeaderError":  # the mark of a proper end; tarfile does not publish the name
                raise
            raise ReadError(f"no whole header where one must be ({error})") from error
        if header.size < 0:
            raise ReadError("a member has fewer than 0 bytes")
        if header.sparse is not None or any(key.startswith(SPARSE_NOTE) for key in header.pax_headers):
            _refuse_sparse()
        return header

    def _proc_gnusparse_10(self, *_: object) -> NoReturn:
        """Refuse the map that lies among a member's bytes before tarfile reads it; the other forms lie in notes."""
        _refuse_sparse()


def _refuse_sparse() -> NoReturn:
    raise ReadError("it holds a sparse file (GNU tar's --sparse)")


class _StrictTar(TarFile):
    """A tar archive with strict headers. `depth`: headers that are being read, each but the first behind notes."""

    tarinfo = _StrictHeader
    depth = 0


@contextmanager
def _one_deeper(archive: TarFile) -> Iterator[None]:
    """Count a header as being read: tarfile keeps a header's notes until those behind it are read."""
    if not isinstance(archive, _StrictTar):
        raise TypeError("strict headers are those of a strict archive")
    if archive.depth > DEEPEST_NOTE:
        raise ReadError(f"a member has more than {DEEPEST_NOTE} headers of notes")
    archive.depth += 1
    try:
        yield
    finally:
        archive.depth -= 1


@dataclass(frozen=True)
class Caps:
    """What an archive may unpack to: files and folders, bytes, and bytes per byte of the archive.

    The defaults hold every published data set: ImageNet has 1.3 million files in 150 GB, drawn pictures compress 200:1.
    """

    members: int = 5_000_000
    size: int = 400 << 30
    ratio: float = 1000.0


@dataclass
class _Gate:
    """Judge each member of an archive before any of it is written; raises DataError that names the member."""

    archive: Path
    caps: Caps
    members: int = 0
    size: int = 0
    files: set[PurePosixPath] = field(default_factory=set)  # links among them
    folders: set[PurePosixPath] = field(default_factory=set)
    links: set[PurePosixPath] = field(default_factory=set)

    def admit(self, name: str, *, size: int, is_folder: bool, is_link: bool = False) -> PurePosixPath:
        """Return the member's path below the target folder."""
        path = self._inside(name)
        self._count(name, size)
        if path in self.files or (path in self.folders and not is_folder):
            raise self.refusal(name, "it occurs twice")
        if path.parent not in self.folders:
            self._open_folder(name, path)
        (self.folders if is_folder else self.files).add(path)
        if is_link:
            self.links.add(path)
        return path

    def _open_folder(self, name: str, path: PurePosixPath) -> None:
        """Judge the folders above a member, once for all members in them."""
        if any(parent in self.files for parent in path.parents):
            raise self.refusal(name, "it lies behind a link or below a file")
        self.folders.update(path.parents)

    def _inside(self, name: str) -> PurePosixPath:
        """Refuse names that lead out of the target folder, on this system or another."""
        if not name or "\0" in name or "\\" in name or name.startswith("/") or re.match("[A-Za-z]:", name):
            raise self.refusal(name, "it has an absolute path or one of another system")
        if ".." in PurePosixPath(name).parts:
            raise self.refusal(name, "its path leads out of the archive")
        path = PurePosixPath(name)
        if len(path.parts) > DEEPEST:
            raise self.refusal(name, f"it lies more than {DEEPEST} folders deep")
        return path

    def _count(self, name: str, size: int) -> None:
        """Add a member up and compare with the caps."""
        self.members += 1
        self.size += size
        if self.members > self.caps.members:
            raise self.refusal(name, f"the archive has more than {self.caps.members} members")
        if self.size > self.caps.size:
            raise self.refusal(name, f"the archive unpacks to more than {self.caps.size} bytes")
        if self.size > RATIO_FLOOR and self.size > self.caps.ratio * self.archive.stat().st_size:
            raise self.refusal(name, f"the archive unpacks to more than {self.caps.ratio:g} times its size")

    def refusal(self, name: str, why: str) -> DataError:
        """Say why a member is refused."""
        mend = "get the archive from its owner's page again; unpack it yourself only if you trust it"
        return DataError(f"{self.archive.name} is not unpacked: {why}", where=f"member {name!r}", mend=mend)


def is_archive(name: str) -> bool:
    """Tell by its name whether `unpack` takes a file; a single compressed file such as t10k-labels.gz is none."""
    return bool(TAR.search(name) or ZIP.search(name))


def is_as_named(path: Path, name: str) -> bool:
    """Tell whether a file is a whole archive as its name promises; True where the name promises no archive.

    A tar is read to its end, since one that was cut begins like a whole one; a zip has its table there.
    """
    if not TAR.search(name):
        return not ZIP.search(name) or zipfile.is_zipfile(path)
    try:
        with _StrictTar.open(path) as archive:
            for _ in _members(archive):
                pass
            _read_on(archive)
            return True
    except (*DAMAGED, OSError) as error:
        if _is_of_disk(error):
            raise
        return False


def _is_of_disk(error: Exception) -> bool:
    """Tell a disk's error from a decompressor's: bz2 and gzip raise an OSError too, without a number."""
    return isinstance(error, OSError) and error.errno is not None


def unpack(archive: Path, into: Path, *, caps: Caps | None = None) -> None:
    """Unpack a tar (plain, gzip, bzip2, xz) or zip archive into a folder, whole or not at all.

    The folder may exist and hold other archives' files; a file that is already there is refused. Also refused: absolute
    paths, "..", links that point out or to a folder, what lies behind a link or more than DEEPEST folders deep, members
    that occur twice, devices, sparse files, encrypted members, and more than `caps` allow. Raises DataError that names
    the member (the archive alone where a header is wrong); then `into` is as it was.
    """
    extract = _unzip if ZIP.search(archive.name) else _untar if TAR.search(archive.name) else None
    if extract is None:
        mend = "give a .tar, .tar.gz, .tgz, .tar.bz2, .tar.xz or .zip file"
        raise DataError(f"{archive.name} is no archive of a known kind", where=str(archive), mend=mend)
    gate = _Gate(archive, caps or Caps())
    with _beside(into) as partial:
        with _damage_is_told(archive):
            extract(archive, partial, gate)
        _refuse_clashes(gate, into)
        _merge(partial, into)


@contextmanager
def _beside(into: Path) -> Iterator[Path]:
    """Give an empty folder on the same disk as `into`, removed at the end."""
    partial = into.with_name(f".{into.name}.unpacking")
    remove(partial)
    partial.mkdir(parents=True)
    try:
        yield partial
    finally:
        remove(partial)


@contextmanager
def _damage_is_told(archive: Path) -> Iterator[None]:
    """Turn a reader's complaint about an archive's bytes into a DataError."""
    try:
        yield
    except (*DAMAGED, OSError) as error:
        if isinstance(error, OSError) and _is_of_disk(error):
            told = storage_error(error)
            mend = told.mend if told else "see that the disk's file system takes such names and links, then run again"
            raise StorageError(f"{archive.name} cannot be unpacked: {error}", where=str(archive), mend=mend) from error
        mend = "delete it and get it again: it is cut short, damaged or no archive"
        why = str(error) or type(error).__name__
        raise DataError(f"{archive.name} cannot be unpacked: {why}", where=str(archive), mend=mend) from error


def _untar(archive: Path, into: Path, gate: _Gate) -> None:
    """Unpack a tar archive, member by member."""
    with _StrictTar.open(archive) as packed:
        for member in _members(packed):
            if not (member.isreg() or member.isdir() or member.issym() or member.islnk()):
                raise gate.refusal(member.name, "it is a device or another special file")
            target = PurePosixPath(member.linkname)
            if member.islnk() and (target not in gate.files or target in gate.links):  # a link moved points elsewhere
                raise gate.refusal(member.name, "it links to no file that the archive holds before it")
            if member.issym() and len(member.linkname) > LONGEST_TARGET:
                raise gate.refusal(member.name, f"it links to a path of more than {LONGEST_TARGET} characters")
            path = gate.admit(member.name, size=member.size, is_folder=member.isdir(), is_link=member.issym())
            _refuse_alike(into, path, member.name, gate, is_folder=member.isdir())
            _ask_python(member, into, gate)
            _write(packed, member, into, path)
        _read_on(packed)
    _refuse_links_out(gate, into)


def _ask_python(member: TarInfo, into: Path, gate: _Gate) -> None:
    """Have Python's "data" filter judge a member after the gate: a second guard, which Python has from 3.11.4 on.

    It has nothing to say that the gate does not, here or at the end (`_refuse_links_out`); its own writing is not used.
    """
    judge = getattr(tarfile, "data_filter", None)
    try:
        if judge is not None:
            judge(member, str(into))
    except tarfile.TarError as error:
        raise gate.refusal(member.name, f"it is unsafe ({error})") from error


def _write(packed: TarFile, member: TarInfo, into: Path, path: PurePosixPath) -> None:
    """Write a member that was admitted, with its time, and with permissions that harm nobody.

    Not by `TarFile.extract`: where a link cannot be made, that writes another member in its place, judged by nobody.
    """
    target = into / path
    target.parent.mkdir(parents=True, exist_ok=True)
    if member.isdir():
        target.mkdir(exist_ok=True)
    elif member.issym():
        target.symlink_to(member.linkname)
    elif member.islnk():
        target.hardlink_to(into / member.linkname)
    else:
        packed.makefile(member, target)
        executable = 0o111 if member.mode & 0o100 else 0
        target.chmod(0o600 | member.mode & (0o644 | executable))
        with suppress(OSError):  # a time that this disk cannot hold
            os.utime(target, (member.mtime, member.mtime))


def _members(packed: TarFile) -> Iterator[TarInfo]:
    """Yield the members, keeping none: tarfile remembers them all, a KiB for a header that packs to a few bytes."""
    while member := packed.next():
        packed.members.clear()  # type: ignore[attr-defined]
        yield member


def _refuse_alike(into: Path, path: PurePosixPath, name: str, gate: _Gate, *, is_folder: bool) -> None:
    """Refuse a member whose name the disk takes for another's: some disks do not tell capitals or accents apart."""
    taken = os.path.lexists(into / path) and not (is_folder and (into / path).is_dir())
    if taken or (gate.links and any((into / parent).is_symlink() for parent in path.parents)):
        raise gate.refusal(name, "this disk does not tell its name from another member's")


def _read_on(packed: TarFile) -> None:
    """Read what lies behind the last member: only there gzip compares its checksum, and tarfile never gets so far."""
    left = RATIO_FLOOR
    while left > 0 and packed.fileobj is not None and (padding := packed.fileobj.read(1 << 20)):
        left -= len(padding)
    if left <= 0:
        raise ReadError("it goes on long after its end")


def _refuse_links_out(gate: _Gate, into: Path) -> None:
    """Follow each link to its end, which the filter judges by name alone, and refuse it unless a file inside is there.

    A few links to folders, each in the other, make as many paths as one likes.
    """
    root = into.resolve()
    for link in sorted(gate.links):
        try:
            end = (into / link).resolve(strict=True)
        except (OSError, RuntimeError, ValueError):  # to nowhere, in a circle, or too long to follow
            end = root.parent
        if not end.is_relative_to(root):
            raise gate.refusal(link.as_posix(), "it is a link that does not end inside the archive")
        if end.is_dir():
            raise gate.refusal(link.as_posix(), "it is a link to a folder")


def _unzip(archive: Path, into: Path, gate: _Gate) -> None:
    """Unpack a zip archive; zipfile compares each member's length and checksum with what the archive says."""
    with zipfile.ZipFile(archive) as packed:
        for member in packed.infolist():
            kind = stat.S_IFMT(member.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise gate.refusal(member.filename, "it is a link, a device or another special file")
            if member.flag_bits & 0x1:
                raise gate.refusal(member.filename, "it is encrypted")
            inside = gate.admit(member.filename, size=member.file_size, is_folder=member.is_dir())
            _refuse_alike(into, inside, member.filename, gate, is_folder=member.is_dir())
            path = into / inside
            if member.is_dir():
                path.mkdir(parents=True, exist_ok=True)
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            with _opened(packed, member, gate) as source, path.open("wb") as target:
                shutil.copyfileobj(source, target, length=1 << 20)


def _opened(packed: zipfile.ZipFile, member: zipfile.ZipInfo, gate: _Gate) -> IO[bytes]:
    """Open a member of a zip archive; raises DataError for a compression that Python cannot undo."""
    try:
        return packed.open(member)
    except (NotImplementedError, RuntimeError) as error:
        raise gate.refusal(member.filename, str(error)) from error


def _refuse_clashes(gate: _Gate, into: Path) -> None:
    """Refuse to overwrite what another archive put into the folder."""
    taken = [path for path in gate.files if os.path.lexists(into / path)]
    taken += [path for path in gate.folders if os.path.lexists(into / path) and not (into / path).is_dir()]
    if taken:
        raise gate.refusal(min(taken).as_posix(), "another archive of this data set holds the same file")


def _merge(partial: Path, into: Path) -> None:
    """Move what was unpacked into the folder: at once when that is new, else file by file into existing folders."""
    if not into.exists():
        partial.rename(into)
        return
    for child in sorted(partial.iterdir()):
        target = into / child.name
        if target.is_dir() and child.is_dir() and not child.is_symlink():
            _merge(child, target)
        else:
            child.rename(target)
