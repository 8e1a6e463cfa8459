"""Archives are unpacked whole or not at all, and never beyond their folder."""

from __future__ import annotations

import io
import random
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from heirloom.data.archives import Caps, is_archive, unpack
from heirloom.runtime.errors import DataError, StorageError

MODES = {"x.tar": "w", "x.tar.gz": "w:gz", "x.tgz": "w:gz", "x.tar.bz2": "w:bz2", "x.tar.xz": "w:xz"}


def _member(name: str, **attributes: object) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    for key, value in attributes.items():
        setattr(member, key, value)
    return member


def _tar(path: Path, members: list[tuple[tarfile.TarInfo, bytes]]) -> Path:
    with tarfile.open(path, MODES[path.name]) as archive:
        for member, content in members:
            if member.isreg():
                member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def _zip(path: Path, members: list[tuple[zipfile.ZipInfo | str, bytes]]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in members:
            archive.writestr(member, content)
    return path


def _link(name: str, target: str, *, hard: bool = False) -> tuple[tarfile.TarInfo, bytes]:
    return _member(name, type=tarfile.LNKTYPE if hard else tarfile.SYMTYPE, linkname=target), b""


def _file(name: str, content: bytes = b"content") -> tuple[tarfile.TarInfo, bytes]:
    return _member(name), content


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.usefixtures("python")
@pytest.mark.parametrize("name", [*MODES, "x.zip"])
def test_every_kind_unpacks(tmp_path: Path, name: str) -> None:
    folder = _member("a", type=tarfile.DIRTYPE)
    if name == "x.zip":
        archive = _zip(tmp_path / name, [("a/", b""), ("a/b.txt", b"one"), ("c.txt", b"two")])
    else:
        archive = _tar(tmp_path / name, [(folder, b""), _file("a/b.txt", b"one"), _file("c.txt", b"two")])
    assert is_archive(name)
    unpack(archive, tmp_path / "into")
    assert _contents(tmp_path / "into") == {"a/b.txt": b"one", "c.txt": b"two"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["into", name]


def test_a_single_compressed_file_is_no_archive(tmp_path: Path) -> None:
    assert not is_archive("t10k-labels-idx1-ubyte.gz")
    assert not is_archive("setid.mat")
    with pytest.raises(DataError, match="no archive of a known kind"):
        unpack(tmp_path / "setid.mat", tmp_path / "into")


def test_links_inside_are_kept(tmp_path: Path) -> None:
    members = [_file("a/b.txt"), _link("a/soft.txt", "b.txt"), _link("hard.txt", "a/b.txt", hard=True)]
    unpack(_tar(tmp_path / "x.tar", members), tmp_path / "into")
    assert (tmp_path / "into" / "a" / "soft.txt").readlink() == Path("b.txt")
    assert _contents(tmp_path / "into") == {"a/b.txt": b"content", "a/soft.txt": b"content", "hard.txt": b"content"}


ATTACKS: dict[str, list[tuple[tarfile.TarInfo, bytes]]] = {
    "absolute": [_file("/tmp/evil")],
    "parent": [_file("a/../../evil")],
    "hidden parent": [_file("a/../b/evil")],
    "other system": [_file("..\\evil")],
    "drive": [_file("C:/evil")],
    "link out": [_link("evil", "../secret")],
    "absolute link": [_link("evil", "/etc/hosts")],
    "dangling link": [_link("evil", "nowhere")],
    "circle": [_link("evil", "other"), _link("other", "evil")],
    "hard link out": [_link("evil", "../secret", hard=True)],
    "hard link ahead": [_link("evil", "later", hard=True), _file("later")],
    "behind a link": [_link("evil", "."), _file("evil/x")],
    "over a link": [_link("evil", "."), _file("evil")],
    "two steps": [_file("p/q/x"), _link("p/q/b", "../.."), _link("p/q/evil", "b/../../..")],
    "device": [(_member("evil", type=tarfile.CHRTYPE, devmajor=1, devminor=3), b"")],
    "pipe": [(_member("evil", type=tarfile.FIFOTYPE), b"")],
    "twice": [_file("evil", b"one"), _file("./evil", b"two")],
    "below a file": [_file("evil"), _file("evil/x")],
    "file over folder": [_file("evil/x"), _file("evil")],
}


@pytest.fixture(params=["3.11.4", "3.11.2"])
def python(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Take from tarfile what Python has from 3.11.4 on, in one of two runs of a test."""
    version: str = request.param
    if version == "3.11.2":
        for name in ("data_filter", "FilterError"):
            monkeypatch.delattr(tarfile, name, raising=False)
    return version


@pytest.mark.usefixtures("python")
@pytest.mark.parametrize("attack", ATTACKS)
def test_attacks_are_refused_and_leave_nothing(tmp_path: Path, attack: str) -> None:
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "into").mkdir()
    (tmp_path / "into" / "kept.txt").write_text("kept")
    archive = _tar(tmp_path / "x.tar", [_file("first.txt"), *ATTACKS[attack]])
    with pytest.raises(DataError, match="is not unpacked") as refused:
        unpack(archive, tmp_path / "into")
    assert any(name in refused.value.where for name in ("evil", "other", "p/q/b"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["into", "secret", "x.tar"]
    assert _contents(tmp_path / "into") == {"kept.txt": b"kept"}
    assert (tmp_path / "secret").read_text() == "secret"


@pytest.mark.parametrize("attack", ["hard link out", "hard link ahead"])
def test_hard_links_lead_to_files_unpacked_before(tmp_path: Path, attack: str) -> None:
    with pytest.raises(DataError, match="it links to no file that the archive holds before it"):
        unpack(_tar(tmp_path / "x.tar", ATTACKS[attack]), tmp_path / "into")


@pytest.mark.usefixtures("python")
@pytest.mark.parametrize(
    ("mode", "expected"),
    [(0o6777, 0o755), (0o777, 0o755), (0o664, 0o644), (0o655, 0o644), (0o000, 0o600), (0o500, 0o700), (0o1444, 0o644)],
)
def test_an_archive_sets_no_dangerous_permissions(tmp_path: Path, mode: int, expected: int) -> None:
    """Python's own "data" filter gives the same, where it is."""
    member = _member("tool", mode=mode, uid=12345, gid=12345, uname="nobody", gname="nogroup", mtime=10**9)
    folder = _member("folder", type=tarfile.DIRTYPE, mode=0o7777)
    unpack(_tar(tmp_path / "x.tar", [(member, b""), (folder, b"")]), tmp_path / "into")
    written = (tmp_path / "into" / "tool").stat()
    assert (stat.S_IMODE(written.st_mode), written.st_mtime) == (expected, 10**9)
    assert (written.st_uid, written.st_gid) == (tmp_path.stat().st_uid, tmp_path.stat().st_gid)
    assert not stat.S_IMODE((tmp_path / "into" / "folder").stat().st_mode) & 0o7000
    if judge := getattr(tarfile, "data_filter", None):
        assert judge(member, str(tmp_path)).mode == expected


def _special(name: str, kind: int) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name)
    member.external_attr = (kind | 0o777) << 16
    return member


@pytest.mark.parametrize(
    "members",
    [
        [("../evil", b"x")],
        [("/evil", b"x")],
        [("a\\evil", b"x")],
        [(_special("evil", stat.S_IFLNK), b"/etc/hosts")],
        [(_special("evil", stat.S_IFIFO), b"")],
        [("evil", b"x"), ("evil/x", b"y")],
    ],
)
def test_attacks_by_zip_are_refused(tmp_path: Path, members: list[tuple[zipfile.ZipInfo | str, bytes]]) -> None:
    archive = _zip(tmp_path / "x.zip", members)
    with pytest.raises(DataError, match="is not unpacked") as refused:
        unpack(archive, tmp_path / "into")
    assert "evil" in refused.value.where
    assert [path.name for path in tmp_path.iterdir()] == ["x.zip"]


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_zip_member_that_occurs_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="occurs twice"):
        unpack(_zip(tmp_path / "x.zip", [("a", b"1"), ("a", b"2")]), tmp_path / "into")


@pytest.mark.parametrize("name", ["x.tar.gz", "x.zip"])
def test_caps_are_kept(tmp_path: Path, name: str) -> None:
    contents = [(f"file{number}", b"0" * 1000) for number in range(5)]
    if name == "x.zip":
        archive = _zip(tmp_path / name, list(contents))
    else:
        archive = _tar(tmp_path / name, [_file(*content) for content in contents])
    for caps, why in ((Caps(members=4), "more than 4 members"), (Caps(size=4999), "more than 4999 bytes")):
        with pytest.raises(DataError, match=why) as refused:
            unpack(archive, tmp_path / "into", caps=caps)
        assert refused.value.where == "member 'file4'"
    unpack(archive, tmp_path / "into", caps=Caps(members=5, size=5000))


def test_what_swells_beyond_reason_is_refused_before_it_is_written(tmp_path: Path) -> None:
    bomb = _zip(tmp_path / "x.zip", [("zeros", bytes(1 << 26) + b"0")])
    with pytest.raises(DataError, match="more than 500 times its size"):
        unpack(bomb, tmp_path / "into", caps=Caps(ratio=500))
    assert not (tmp_path / "into").exists()


@pytest.mark.parametrize("name", [*MODES, "x.zip"])
def test_cut_archives_are_told_and_leave_nothing(tmp_path: Path, name: str) -> None:
    noise = bytes((17 * number * number + number // 7) % 251 for number in range(40_000))
    if name == "x.zip":
        archive = _zip(tmp_path / name, [("a", noise), ("b", noise)])
    else:
        archive = _tar(tmp_path / name, [_file("a", noise), _file("b", noise)])
    whole = archive.read_bytes()
    for size in (0, 10, len(whole) // 2, len(whole) * 9 // 10):
        archive.write_bytes(whole[:size])
        if name == "x.tar" and size == len(whole) * 9 // 10 and size > 81_920:
            continue  # only the padding behind the end is missing
        with pytest.raises(DataError, match="cannot be unpacked") as refused:
            unpack(archive, tmp_path / "into")
        assert name in refused.value.what
        assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_damaged_header_is_not_taken_for_the_end(tmp_path: Path) -> None:
    archive = _tar(tmp_path / "x.tar", [_file("a"), _file("b"), _file("c")])
    damaged = bytearray(archive.read_bytes())
    damaged[1024:1034] = b"##########"  # the name in the header of b, which its checksum covers
    archive.write_bytes(damaged)
    with pytest.raises(DataError, match="no whole header"):
        unpack(archive, tmp_path / "into")
    archive.write_bytes(bytes(damaged[:1024]))  # a alone, without the mark of the end
    with pytest.raises(DataError, match="no whole header"):
        unpack(archive, tmp_path / "into")


def test_a_damaged_zip_member_is_told(tmp_path: Path) -> None:
    archive = tmp_path / "x.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as packed:
        packed.writestr("a", b"content-content")
    archive.write_bytes(archive.read_bytes().replace(b"content-content", b"content-CONTENT"))
    with pytest.raises(DataError, match="CRC"):
        unpack(archive, tmp_path / "into")
    assert not (tmp_path / "into").exists()


def test_what_the_disk_refuses_is_no_damage(tmp_path: Path) -> None:
    archive = _tar(tmp_path / "x.tar", [_file("a"), _file("n" * 300)])
    with pytest.raises(StorageError, match="File name too long"):
        unpack(archive, tmp_path / "into")
    assert [path.name for path in tmp_path.iterdir()] == ["x.tar"]


@pytest.mark.parametrize("name", ["x.tar.gz", "x.tar.bz2", "x.tar.xz"])
def test_flipped_bits_are_told(tmp_path: Path, name: str) -> None:
    noise = random.Random(0).randbytes(60_000)
    archive = _tar(tmp_path / name, [_file("a", noise)])
    flipped = bytearray(archive.read_bytes())
    flipped[len(flipped) // 2] ^= 0xFF
    archive.write_bytes(bytes(flipped))
    with pytest.raises(DataError, match="cannot be unpacked"):
        unpack(archive, tmp_path / "into")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_archives_of_one_data_set_share_a_folder_but_no_file(tmp_path: Path) -> None:
    first = _tar(tmp_path / "x.tar", [_file("GTSRB/train/a"), _file("GTSRB/readme", b"first")])
    second = _zip(tmp_path / "x.zip", [("GTSRB/test/b", b"b"), ("list.csv", b"l")])
    third = _tar(tmp_path / "x.tgz", [_file("GTSRB/new"), _file("GTSRB/readme", b"third")])
    fourth = _tar(tmp_path / "x.tar.xz", [_file("list.csv/x")])
    unpack(first, tmp_path / "into")
    unpack(second, tmp_path / "into")
    expected = {"GTSRB/train/a": b"content", "GTSRB/readme": b"first", "GTSRB/test/b": b"b", "list.csv": b"l"}
    for clashing in (third, fourth):
        with pytest.raises(DataError, match="another archive of this data set"):
            unpack(clashing, tmp_path / "into")
    assert _contents(tmp_path / "into") == expected
