"""Archives that are damaged or meant to harm: unpacked inside their folder, or refused and nothing is left."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heirloom.data import archives
from heirloom.data.archives import DEEPEST, DEEPEST_NOTE, GLOBAL_NOTES, is_as_named, unpack
from heirloom.data.trees import describe
from heirloom.runtime.errors import DataError, HeirloomError
from tests.unit.hostile import bounded, check_words, damaged

Member = tuple[tarfile.TarInfo, bytes]


def _member(name: str, content: bytes = b"", **facts: object) -> Member:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for key, value in facts.items():
        setattr(info, key, value)
    return info, content


def _soft(name: str, target: str) -> Member:
    return _member(name, type=tarfile.SYMTYPE, linkname=target)


def _hard(name: str, target: str) -> Member:
    return _member(name, type=tarfile.LNKTYPE, linkname=target)


def _tar(members: list[Member], form: int = tarfile.PAX_FORMAT) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=form) as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


def _zip(members: list[tuple[str, bytes]]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return file.getvalue()


def _try(folder: Path, name: str, content: bytes) -> HeirloomError | None:
    """Unpack an archive in a new place beside a secret; returns why it was refused. Holds both outcomes to account."""
    place = folder / "place"
    place.mkdir()
    (place / "secret").write_text("secret")
    archive, into = place / name, place / "into"
    archive.write_bytes(content)
    refusal = None
    try:
        unpack(archive, into)
    except HeirloomError as error:
        check_words(error)
        refusal = error
    assert sorted(path.name for path in place.iterdir()) == sorted([name, "secret", *([] if refusal else ["into"])])
    assert (place / "secret").read_text() == "secret"
    if refusal is None:
        for path in into.rglob("*"):
            assert path.resolve(strict=True).is_relative_to(into.resolve())
            assert stat.S_IFMT(path.lstat().st_mode) in (stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK)
            assert not (path.is_symlink() and path.is_dir())
        describe(into)
        archives.remove(into)
    for path in place.iterdir():
        path.unlink()
    place.rmdir()
    return refusal


WHOLE = _tar(
    [_member("a/b.txt", b"one" * 100), _member("n" * 150, b"two"), _soft("a/c", "b.txt"), _hard("d", "a/b.txt")]
)
KINDS: dict[str, Callable[[bytes], bytes]] = {
    "x.tar": bytes,
    "x.tar.gz": lambda content: gzip.compress(content, mtime=0),
    "x.tar.bz2": bz2.compress,
    "x.tar.xz": lzma.compress,
}


@pytest.mark.parametrize("name", [*KINDS, "x.zip"])
def test_a_damaged_archive_is_unpacked_or_refused(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    folder = tmp_path_factory.mktemp("archives")
    whole = KINDS[name](WHOLE) if name in KINDS else _zip([("a/b.txt", b"one" * 100), ("a/", b""), ("c" * 150, b"two")])
    assert _try(folder, name, whole) is None

    @bounded(60)
    @given(damaged(whole))
    def try_out(content: bytes) -> None:
        _try(folder, name, content)

    try_out()


NAMES = st.sampled_from(
    [
        *("a", "A", "a/b", "a/b/c", "a/./b", "./a", ".", "..", "a/..", "/a", "../secret", "a/../../secret", "b", "b/"),
        *("c/d/e", "\udcff\udcfe", "a\nb", "\x1b[2J", "C:a", "a\\b", "\u00e9", "e\u0301", ""),
        *("x" * 300, "d/" * 70 + "x", "d/" * 1500 + "x"),
    ]
)
TYPES = st.sampled_from(
    [
        *(tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE),
        *(tarfile.CONTTYPE, tarfile.GNUTYPE_SPARSE, b"\0", b"Z"),
    ]
)
NOTES = st.dictionaries(
    st.sampled_from(["size", "mtime", "path", "linkpath", "GNU.sparse.major", "GNU.sparse.realsize", "GNU.sparse.map"]),
    st.sampled_from(["-1024", "inf", "nan", "1e400", "99999999999999", "1", "0", "../secret", "a\0b", "1,2,x", "ü"]),
    max_size=2,
)


@st.composite
def _members(draw: st.DrawFn) -> list[Member]:
    members = []
    for _ in range(draw(st.integers(1, 5))):
        kind = draw(TYPES)
        content = b"content" if kind in (tarfile.REGTYPE, tarfile.CONTTYPE, b"\0") else b""
        info, _ = _member(draw(NAMES), content, type=kind, linkname=draw(NAMES), mode=draw(st.integers(0, 0o7777)))
        info.pax_headers = draw(NOTES)
        members.append((info, content))
    return members


@pytest.mark.parametrize("python", ["3.11.4", "3.11.2"])
def test_whatever_members_an_archive_has_it_stays_in_its_folder(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, python: str
) -> None:
    if python == "3.11.2":
        for name in ("data_filter", "FilterError"):
            monkeypatch.delattr(tarfile, name, raising=False)
    folder = tmp_path_factory.mktemp("archives")

    @bounded(150)
    @given(_members(), st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT]))
    def try_out(members: list[Member], form: int) -> None:
        _try(folder, "x.tar", _tar(members, form))

    try_out()


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_whatever_members_a_zip_has_it_stays_in_its_folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("archives")
    kinds = st.sampled_from(
        [0, stat.S_IFREG | 0o644, stat.S_IFLNK | 0o777, stat.S_IFDIR, stat.S_IFIFO, stat.S_IFREG | 0o7777]
    )

    @bounded(100)
    @given(st.lists(st.tuples(NAMES.filter(lambda name: name.isprintable()), kinds), min_size=1, max_size=4))
    def try_out(members: list[tuple[str, int]]) -> None:
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            for name, mode in members:
                info = zipfile.ZipInfo(name or "a")
                info.external_attr = mode << 16
                archive.writestr(info, b"../secret")
        _try(folder, "x.zip", file.getvalue())

    try_out()


def test_a_hard_link_to_a_link_is_refused_since_it_points_elsewhere_from_its_new_place(tmp_path: Path) -> None:
    members = [_member("ok", b"1"), _soft("a/b/link", "../../ok"), _hard("top", "a/b/link")]  # top -> ../../ok
    refusal = _try(tmp_path, "x.tar", _tar(members))
    assert refusal is not None
    assert "links to no file" in str(refusal)
    assert "'top'" in refusal.where


def test_links_to_folders_are_refused_since_a_few_make_any_number_of_paths(tmp_path: Path) -> None:
    refusal = _try(tmp_path, "x.tar", _tar([_member("x"), *(_soft(name, ".") for name in "abcdefgh")]))
    assert "a link to a folder" in str(refusal)


def test_a_users_folder_with_links_in_a_circle_is_described(tmp_path: Path) -> None:
    (tmp_path / "files" / "a").mkdir(parents=True)
    (tmp_path / "files" / "a" / "x").write_text("12345")
    for name in "bcdefghij":
        (tmp_path / "files" / name).symlink_to(".", target_is_directory=True)
        (tmp_path / "files" / "a" / name).symlink_to("..", target_is_directory=True)
    assert (describe(tmp_path / "files")["files"], describe(tmp_path / "files")["bytes"]) == (1, 5)


@pytest.mark.parametrize("target", ["nowhere", "/nowhere/at/all", "b", "x" * 300])
def test_a_users_link_that_leads_to_nothing_is_named(tmp_path: Path, target: str) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "a").write_text("12345")
    (tmp_path / "files" / "b").symlink_to(target)
    with pytest.raises(DataError, match="a link in a folder leads to no file") as refused:
        describe(tmp_path / "files")
    check_words(refused.value)
    assert refused.value.where == str(tmp_path / "files" / "b")


@pytest.mark.parametrize("name", ["x.tar", "x.zip"])
def test_folders_nested_without_end_are_refused(tmp_path: Path, name: str) -> None:
    for depth in (DEEPEST - 1, DEEPEST, 1500):
        path = "d/" * depth + "x"
        refusal = _try(tmp_path, name, _tar([_member(path, b"1")]) if name == "x.tar" else _zip([(path, b"1")]))
        assert (refusal is None) == (depth < DEEPEST)
    assert f"more than {DEEPEST} folders deep" in str(refusal)


def _header(kind: bytes, size: int) -> bytes:
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT)


END = tarfile.TarInfo("x").tobuf() + bytes(1024)
HEADERS = {
    "names behind names": (_header(tarfile.GNUTYPE_LONGNAME, 512) + b"n".ljust(512, b"\0")) * 1500 + END,
    "a long name of gigabytes": _header(tarfile.GNUTYPE_LONGNAME, 4 << 30) + END,
    "notes of gigabytes": _header(tarfile.XHDTYPE, 4 << 30) + END,
    "a size below zero": _header(tarfile.REGTYPE, -1024) + END,
    "a name of a size below zero": _header(tarfile.GNUTYPE_LONGNAME, -1024) + END,
}


@pytest.mark.parametrize("attack", HEADERS)
@pytest.mark.parametrize("name", ["x.tar", "x.tar.gz"])
def test_headers_that_make_the_reader_fail_are_refused(tmp_path: Path, name: str, attack: str) -> None:
    content = KINDS[name](HEADERS[attack])
    assert "cannot be unpacked" in str(_try(tmp_path, name, content))
    (tmp_path / name).write_bytes(content)
    assert not is_as_named(tmp_path / name, name)


@pytest.mark.parametrize("when", ["inf", "nan", "1e300", "-1e300"])
def test_a_time_that_no_file_can_have_is_refused(tmp_path: Path, when: str) -> None:
    members = [_member("x", b"1", pax_headers={"mtime": when})]
    assert "cannot be unpacked" in str(_try(tmp_path, "x.tar", _tar(members)))


def test_names_that_a_disk_takes_for_one_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    present = os.path.lexists
    monkeypatch.setattr(archives.os.path, "lexists", lambda path: present(str(path).replace("/PHOTO", "/photo")))
    for name, content in (
        ("x.tar", _tar([_member("photo", b"1"), _member("PHOTO", b"2")])),
        ("x.zip", _zip([("photo", b"1"), ("PHOTO", b"2")])),
    ):
        assert "does not tell its name from another member's" in str(_try(tmp_path, name, content))


def test_a_refusal_shows_no_signs_that_a_terminal_obeys(tmp_path: Path) -> None:
    error = DataError("a \x1b[2J b\udcff", where=str(tmp_path / "c\x9b\r"), mend="two\nlines\tof it: ü")
    assert str(error).splitlines() == [
        "a \\x1b[2J b\\udcff",
        f"  where: {tmp_path}/c\\x9b\\r",
        "  to mend: two\\nlines\\tof it: ü",
    ]


def _note(text: bytes) -> bytes:
    """Write one note of a header as POSIX has it: its own length in front."""
    length = next(length for length in range(len(text), len(text) + 9) if length == len(b"%d %s\n" % (length, text)))
    return b"%d %s\n" % (length, text)


def _notes(kind: bytes, *texts: bytes) -> bytes:
    """Write a header with notes on the next member, or on all that follow."""
    content = b"".join(map(_note, texts))
    return _header(kind, len(content)) + content + bytes(-len(content) % 512)


def _old_sparse(size: int, pieces: list[tuple[int, int]], *, extended: bool) -> bytes:
    """Write GNU tar's own header of a sparse file: its size at last, and up to four pieces of it."""
    block = bytearray(_header(tarfile.GNUTYPE_SPARSE, sum(length for _, length in pieces)))
    for number, piece in enumerate(pieces):
        block[386 + 24 * number : 410 + 24 * number] = b"%011o\0%011o\0" % piece
    block[482] = extended
    block[483:495] = b"%011o\0" % size
    block[148:156] = b"%06o\0 " % (sum(block[:148]) + 8 * ord(" ") + sum(block[156:]))
    return bytes(block)


PIECE = 1 << 16
WRITTEN = _header(tarfile.REGTYPE, PIECE) + bytes(PIECE) + END
MAP = b"1\n0\n%d\n" % PIECE
SPARSE = {
    "a map that is longer than the file": _old_sparse(1, [(0, PIECE)], extended=False) + bytes(PIECE) + END,
    "a map that goes on behind the end": _old_sparse(1, [(0, 1)], extended=True),
    "a map behind another member": END[:512] + _old_sparse(1, [(0, 1)], extended=True),
    "notes of version 0.0": _notes(
        tarfile.XHDTYPE, b"GNU.sparse.size=1", b"GNU.sparse.offset=0", b"GNU.sparse.numbytes=%d" % PIECE
    )
    + WRITTEN,
    "notes of version 0.1": _notes(tarfile.XHDTYPE, b"GNU.sparse.map=0,%d" % PIECE, b"GNU.sparse.size=1") + WRITTEN,
    "notes of version 1.0": _notes(
        tarfile.XHDTYPE, b"GNU.sparse.major=1", b"GNU.sparse.minor=0", b"GNU.sparse.realsize=1"
    )
    + _header(tarfile.REGTYPE, 512 + PIECE)
    + MAP.ljust(512, b"\0")
    + bytes(PIECE)
    + END,
    "notes on all members": _notes(tarfile.XGLTYPE, b"GNU.sparse.realsize=1") + WRITTEN,
}


@pytest.mark.parametrize("form", SPARSE)
@pytest.mark.parametrize("name", ["x.tar", "x.tar.gz"])
def test_sparse_files_are_refused_in_every_form_since_what_they_write_is_not_what_they_say(
    tmp_path: Path, name: str, form: str
) -> None:
    content = KINDS[name](SPARSE[form])
    assert "sparse file" in str(_try(tmp_path, name, content))
    (tmp_path / name).write_bytes(content)
    assert not is_as_named(tmp_path / name, name)


def test_a_map_of_a_sparse_file_is_refused_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A map of ten million numbers packs to some KiB."""
    monkeypatch.setattr(archives, "_refuse_sparse", pytest.fail)
    with pytest.raises(pytest.fail.Exception):
        _try(tmp_path, "x.tar", SPARSE["notes of version 1.0"].replace(MAP, b"9999999\n0\n"))


def _with_notes(notes: list[bytes]) -> bytes:
    """Write members with notes on all that follow in front of each."""
    members = (
        _notes(tarfile.XGLTYPE, note) + tarfile.TarInfo(f"m{number}").tobuf() for number, note in enumerate(notes)
    )
    return b"".join(members) + bytes(1024)


def test_notes_on_all_members_are_kept_up_to_a_bound(tmp_path: Path) -> None:
    notes = [b"k%d=x" % number for number in range(GLOBAL_NOTES + 1)]
    assert _try(tmp_path, "x.tar", _with_notes(notes[:-1])) is None
    assert f"more than {GLOBAL_NOTES} notes" in str(_try(tmp_path, "x.tar", _with_notes(notes)))
    assert _try(tmp_path, "x.tar", _with_notes([b"k=" + b"x" * 60_000])) is None
    assert "has notes of" in str(_try(tmp_path, "x.tar", _with_notes([b"k=" + b"x" * 70_000])))


def test_headers_of_notes_in_front_of_a_member_are_read_up_to_a_bound(tmp_path: Path) -> None:
    """All of them, a MiB each, are in memory when the member's own header comes."""
    note = _notes(tarfile.XHDTYPE, b"k=x")
    assert _try(tmp_path, "x.tar", note * DEEPEST_NOTE + END) is None
    assert f"more than {DEEPEST_NOTE} headers" in str(_try(tmp_path, "x.tar", note * (DEEPEST_NOTE + 1) + END))


def test_a_link_that_no_disk_takes_is_refused_and_not_replaced_by_what_it_leads_to(tmp_path: Path) -> None:
    """tarfile would write that member once more, which nobody judged or counted."""
    members = [_soft("link", "./" * 3000 + "large"), _member("large", b"content")]
    assert "links to a path of more than" in str(_try(tmp_path, "x.tar", _tar(members)))


def test_nothing_is_written_behind_a_link_that_the_disk_takes_for_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_link = Path.is_symlink
    monkeypatch.setattr(Path, "is_symlink", lambda path: is_link(Path(str(path).replace("/link", "/LINK"))))
    members = [_member("folder/x"), _soft("LINK", "folder"), _member("link/y", b"1")]
    refusal = _try(tmp_path, "x.tar", _tar(members))
    assert "does not tell its name from another member's" in str(refusal)
