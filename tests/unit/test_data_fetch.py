"""Files from a user's folder or from a server on this machine, and the stage that brings a whole data set."""

from __future__ import annotations

import hashlib
import io
import json
import random
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from heirloom.config.models import RemoteFile
from heirloom.data import fetch
from heirloom.data.fetch import cache_for, obtain
from heirloom.data.trees import describe
from heirloom.runtime.errors import DataError, StorageError
from heirloom.runtime.files import read_card
from heirloom.stages import download_dataset
from tests.server import CONTENT, Place, Server, running
from tests.unit.data_samples import outputs_in, prepare, write_gtsrb

SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def server() -> Iterator[Server]:
    with running() as started:
        yield started


def _file(*urls: str, name: str = "set.bin", sha256: str | None = SHA256) -> RemoteFile:
    return RemoteFile(name=name, urls=urls, sha256=sha256, sha256_source="the owner's page")


def _obtain(file: RemoteFile, tmp_path: Path, data_root: Path | None = None) -> Path:
    return obtain(file, data_root=data_root, cache=tmp_path / "results" / "cache", pause=0.001)


def _left(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "results" / "cache").iterdir())


def test_a_file_is_downloaded_once(server: Server, tmp_path: Path) -> None:
    server.places["/a"] = Place()
    path = _obtain(_file(server.url("/a")), tmp_path)
    assert path == tmp_path / "results" / "cache" / "set.bin"
    assert path.read_bytes() == CONTENT
    assert _left(tmp_path) == ["set.bin"]
    assert _obtain(_file(server.url("/a")), tmp_path) == path
    assert server.requests == [("/a", None)]


@pytest.mark.parametrize("below", [".", "downloads"])
def test_a_users_file_comes_first(server: Server, tmp_path: Path, below: str) -> None:
    own = tmp_path / "own" / below / "set.bin"
    own.parent.mkdir(parents=True)
    own.write_bytes(CONTENT)
    assert _obtain(_file(server.url("/a")), tmp_path, tmp_path / "own").samefile(own)
    assert server.requests == []
    own.write_bytes(CONTENT[:-1])
    with pytest.raises(DataError, match="is not the file it should be") as refused:
        _obtain(_file(server.url("/a")), tmp_path, tmp_path / "own")
    assert SHA256 in refused.value.what
    assert "the owner's page" in refused.value.what
    assert own.exists()


def test_a_missing_data_root_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="data_root is no folder"):
        _obtain(_file(), tmp_path, tmp_path / "nowhere")


def test_a_broken_transfer_goes_on_where_it_stopped(server: Server, tmp_path: Path) -> None:
    server.places["/a"] = Place(breaks=[1000, 5000])
    assert _obtain(_file(server.url("/a")), tmp_path).read_bytes() == CONTENT
    assert server.requests == [("/a", None), ("/a", "bytes=1000-"), ("/a", "bytes=6000-")]


def test_progress_renews_the_attempts(server: Server, tmp_path: Path) -> None:
    server.places["/a"] = Place(breaks=[1000] * (3 * fetch.ATTEMPTS))
    assert _obtain(_file(server.url("/a")), tmp_path).read_bytes() == CONTENT


def test_a_later_run_goes_on_where_a_killed_one_stopped(server: Server, tmp_path: Path) -> None:
    server.places["/a"] = Place(breaks=[1000, 0, 0, 0])
    with pytest.raises(DataError, match="it broke off after 1000 of 256000 bytes"):
        _obtain(_file(server.url("/a")), tmp_path)
    assert _left(tmp_path) == ["set.bin.part", "set.bin.part.json"]
    server.requests.clear()
    assert _obtain(_file(server.url("/a")), tmp_path).read_bytes() == CONTENT
    assert server.requests == [("/a", "bytes=1000-")]
    assert _left(tmp_path) == ["set.bin"]


def test_a_complete_partial_is_not_asked_for_again(server: Server, tmp_path: Path) -> None:
    cache = tmp_path / "results" / "cache"
    cache.mkdir(parents=True)
    (cache / "set.bin.part").write_bytes(CONTENT)
    note = {"url": server.url("/a"), "validator": '"one"', "total": len(CONTENT)}
    (cache / "set.bin.part.json").write_text(json.dumps(note))
    assert _obtain(_file(server.url("/a")), tmp_path).read_bytes() == CONTENT
    assert server.requests == []


def test_a_server_that_ignores_ranges_restarts(server: Server, tmp_path: Path) -> None:
    server.places["/a"] = Place(breaks=[1000], ranges=False)
    assert _obtain(_file(server.url("/a")), tmp_path).read_bytes() == CONTENT
    assert server.requests[1] == ("/a", "bytes=1000-")


@pytest.mark.parametrize("sha256", [SHA256, None])
def test_a_file_that_changed_meanwhile_restarts(server: Server, tmp_path: Path, sha256: str | None) -> None:
    server.places["/a"] = Place(content=bytes(len(CONTENT)), tag='"old"', breaks=[1000, 0, 0, 0])
    with pytest.raises(DataError):
        _obtain(_file(server.url("/a"), sha256=sha256), tmp_path)
    server.places["/a"] = Place()
    assert _obtain(_file(server.url("/a"), sha256=sha256), tmp_path).read_bytes() == CONTENT


def test_halves_of_unknown_files_are_never_joined(server: Server, tmp_path: Path) -> None:
    server.places["/a"] = Place(tag="", breaks=[1000])
    assert _obtain(_file(server.url("/a"), sha256=None), tmp_path).read_bytes() == CONTENT
    assert server.requests == [("/a", None), ("/a", None)]


def test_a_mirror_takes_over_and_continues_a_known_file(server: Server, tmp_path: Path) -> None:
    server.places["/a"] = Place(breaks=[1000] + [0] * 20)
    server.places["/b"] = Place(tag='"other"')
    file = _file(server.url("/missing"), server.url("/a"), server.url("/b"))
    assert _obtain(file, tmp_path).read_bytes() == CONTENT
    assert [path for path, _ in server.requests] == ["/missing", *["/a"] * fetch.ATTEMPTS, "/b"]
    assert server.requests[-1] == ("/b", "bytes=1000-")


def test_a_mirror_is_not_blamed_for_the_beginning_of_another(server: Server, tmp_path: Path) -> None:
    server.places["/a"] = Place(content=CONTENT[::-1], breaks=[1000] + [0] * 20)
    server.places["/b"] = Place(breaks=[2000])
    assert _obtain(_file(server.url("/a"), server.url("/b")), tmp_path).read_bytes() == CONTENT
    asked = [("/b", "bytes=1000-"), ("/b", "bytes=3000-"), ("/b", None)]
    assert server.requests[fetch.ATTEMPTS :] == asked


def test_a_wrong_file_is_forgotten_and_the_mirror_asked(server: Server, tmp_path: Path) -> None:
    server.places["/a"] = Place(content=b"something else")
    server.places["/b"] = Place()
    assert _obtain(_file(server.url("/a"), server.url("/b")), tmp_path).read_bytes() == CONTENT
    assert server.requests == [("/a", None), ("/b", None)]


@pytest.mark.parametrize("packed", ["gz", "bz2", "xz"])
def test_an_archive_that_came_damaged_is_forgotten_and_the_mirror_asked(
    server: Server, tmp_path: Path, packed: str
) -> None:
    """Where no checksum is known, unpacking tells; bz2 tells it by an OSError that a full disk's must not pass for."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=f"w:{packed}") as archive:  # type: ignore[call-overload]
        member = tarfile.TarInfo("a")
        member.size = 1_200_000  # two blocks of bz2, whose second is damaged
        archive.addfile(member, io.BytesIO(random.Random(0).randbytes(member.size)))
    whole, name = file.getvalue(), f"set.tar.{packed}"
    damaged = bytearray(whole)
    damaged[-len(whole) // 8] ^= 0xFF
    server.places["/a"] = Place(content=bytes(damaged))
    server.places["/b"] = Place(content=whole)
    with pytest.raises(DataError, match="no whole archive"):
        _obtain(_file(server.url("/a"), name=name, sha256=None), tmp_path)
    assert _left(tmp_path) == []
    both = _file(server.url("/a"), server.url("/b"), name=name, sha256=None)
    assert _obtain(both, tmp_path).read_bytes() == whole
    assert [path for path, _ in server.requests] == ["/a", "/a", "/b"]


def test_a_damaged_cached_file_is_downloaded_again(server: Server, tmp_path: Path) -> None:
    server.places["/a"] = Place()
    path = _obtain(_file(server.url("/a")), tmp_path)
    path.write_bytes(CONTENT[:-1] + b"x")
    assert _obtain(_file(server.url("/a")), tmp_path).read_bytes() == CONTENT
    assert len(server.requests) == 2


def test_a_date_in_an_archive_s_name_is_no_hash(tmp_path: Path) -> None:
    (tmp_path / "GTSRB-20110427.zip").write_bytes(CONTENT)
    file = RemoteFile(name="GTSRB-20110427.zip")
    assert obtain(file, data_root=tmp_path, cache=tmp_path / "cache").read_bytes() == CONTENT


def test_the_hash_in_a_name_is_checked(server: Server, tmp_path: Path) -> None:
    server.places["/a"] = Place()
    good = _file(server.url("/a"), name=f"resnet18-{SHA256[:8]}.pth", sha256=None)
    assert _obtain(good, tmp_path).read_bytes() == CONTENT
    bad = _file(server.url("/a"), name="resnet18-f37072fd.pth", sha256=None)
    with pytest.raises(DataError, match=r"does not begin with f37072fd"):
        _obtain(bad, tmp_path)
    assert "resnet18-f37072fd.pth.part" not in _left(tmp_path)


def test_an_unverified_file_is_told(server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    server.places["/a"] = Place()
    assert _obtain(_file(server.url("/a"), sha256=None), tmp_path).read_bytes() == CONTENT
    assert "set.bin: nobody published a checksum, so it is used unverified" in caplog.text


@pytest.mark.parametrize(
    "page",
    [
        Place(content=b"<p>log in</p>", kind="text/html; charset=utf-8"),
        Place(content=b"\n<!DOCTYPE html><p>log in</p>"),
    ],
)
def test_a_web_page_is_refused_at_once(server: Server, tmp_path: Path, page: Place) -> None:
    server.places["/a"] = page
    with pytest.raises(DataError, match="it answered with a web page instead of the file"):
        _obtain(_file(server.url("/a"), sha256=None), tmp_path)
    assert len(server.requests) == 1
    assert "set.bin" not in _left(tmp_path)


def test_a_busy_server_is_asked_again_a_refusing_one_is_not(server: Server, tmp_path: Path) -> None:
    server.places["/busy"] = Place(failures=2)
    server.places["/closed"] = Place(status=403)
    assert _obtain(_file(server.url("/closed"), server.url("/busy")), tmp_path).read_bytes() == CONTENT
    assert [path for path, _ in server.requests] == ["/closed", "/busy", "/busy", "/busy"]


def test_every_failure_is_told_with_what_to_do(server: Server, tmp_path: Path) -> None:
    server.places["/empty"] = Place(content=b"")
    urls = (server.url("/gone"), server.url("/empty"), "http://127.0.0.1:9/refused", "file:///etc/hosts")
    with pytest.raises(DataError, match=r"set\.bin cannot be had") as refused:
        _obtain(_file(*urls), tmp_path)
    for why in ("404", "the answer is empty, 4 times", "no answer", "only http and https"):
        assert why in str(refused.value)
    assert refused.value.mend == "put set.bin in a folder, and name that folder as data_root in the study"


@pytest.mark.parametrize("target", ["file:///etc/hosts", "ftp://127.0.0.1/x"])
def test_redirections_to_other_protocols_are_not_followed(server: Server, tmp_path: Path, target: str) -> None:
    server.places["/a"] = Place(redirect=target)
    server.places["/b"] = Place(redirect=server.url("/c"))
    server.places["/c"] = Place()
    with pytest.raises(DataError, match="cannot be had"):
        _obtain(_file(server.url("/a")), tmp_path)
    assert _obtain(_file(server.url("/b")), tmp_path).read_bytes() == CONTENT


def test_a_full_disk_is_no_reason_to_ask_again(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server.places["/a"] = Place()

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(fetch, "_append", refuse)
    with pytest.raises(StorageError, match="No space left"):
        _obtain(_file(server.url("/a")), tmp_path)
    assert len(server.requests) == 1


@pytest.mark.parametrize("name", ["../set.bin", "a/set.bin", ".hidden"])
def test_names_with_folders_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="no plain file name"):
        _obtain(_file(name=name), tmp_path)


def test_the_cache_lies_beside_what_studies_share(tmp_path: Path) -> None:
    card = tmp_path / "results" / "shared" / "data" / "gtsrb" / "raw" / "card.json"
    assert cache_for(card) == tmp_path / "results" / "cache"
    assert cache_for(tmp_path / "x" / "card.json") == tmp_path / "x" / "cache"


def _archive(folder: Path, name: str, *members: str) -> Path:
    """Pack members of a folder, as a published set comes in several archives."""
    with tarfile.open(folder / name, "w:gz") as archive:
        for member in members:
            archive.add(folder / member, arcname=member)
    return folder / name


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A user's folder with a GTSRB in two archives and the list of test classes as a plain file."""
    folder = tmp_path / "own"
    write_gtsrb(folder)
    _archive(folder, "training.tar.gz", "GTSRB/Final_Training")
    _archive(folder, "test.tar.gz", "GTSRB/Final_Test")
    (folder / "GTSRB" / "GT-final_test.csv").rename(folder / "GT-final_test.csv")
    (folder / "GTSRB").rename(tmp_path / "unpacked")
    return folder


FILES = tuple(RemoteFile(name=name) for name in ("training.tar.gz", "test.tar.gz", "GT-final_test.csv"))


def _download(tmp_path: Path, data_root: Path | None, **options: object) -> Path:
    card = tmp_path / "results" / "shared" / "data" / "signs" / "raw" / "card.json"
    arguments: dict[str, object] = {"files": list(FILES), "folders": ["GTSRB"], "dataset": "signs", **options}
    download_dataset.run(outputs=download_dataset.Outputs(card), data_root=data_root, **arguments)  # type: ignore[arg-type]
    return card


def test_archives_become_raw_files(own: Path, tmp_path: Path) -> None:
    card = _download(tmp_path, own)
    facts = read_card(card)
    assert facts["kind"] == "raw"
    assert facts["tree"] == describe(card.parent / "files")
    assert [archive["name"] for archive in facts["archives"]] == [file.name for file in FILES]
    expected = hashlib.sha256((own / "training.tar.gz").read_bytes()).hexdigest()
    assert (facts["archives"][0]["sha256"], facts["archives"][0]["verified"]) == (expected, False)
    assert str(tmp_path) not in card.read_text()
    data = prepare(card, tmp_path / "prepared")
    assert data.card["counts"] == {"train": 18, "validation": 6, "test": 4}
    assert sorted(path.name for path in card.parent.iterdir()) == ["card.json", "files"]


def test_a_later_download_replaces_the_raw_files(own: Path, tmp_path: Path) -> None:
    card = _download(tmp_path, own)
    before = card.read_bytes()
    (card.parent / "files" / "GTSRB" / "left-over").write_text("x")
    assert _download(tmp_path, own).read_bytes() == before
    assert not (card.parent / "files" / "GTSRB" / "left-over").exists()


def test_an_unpacked_folder_is_linked_not_copied(own: Path, tmp_path: Path) -> None:
    folder = own / "GTSRB"
    (tmp_path / "unpacked").rename(folder)
    (own / "GT-final_test.csv").rename(folder / "GT-final_test.csv")
    card = _download(tmp_path, own, folders=["absent", "GTSRB"])
    link = card.parent / "files" / "GTSRB"
    assert link.is_symlink()
    assert link.samefile(folder)
    facts = read_card(card)
    assert facts["archives"] == []
    assert facts["tree"]["files"] == 2 * 13 + 4 + 1
    assert str(tmp_path) not in card.read_text()
    assert prepare(card, tmp_path / "prepared").card["counts"]["test"] == 4
    _download(tmp_path, own, folders=[])
    assert not link.is_symlink()
    assert (folder / "GT-final_test.csv").exists()


def test_a_local_path_comes_before_an_unpacked_folder(own: Path, tmp_path: Path) -> None:
    (own / "GTSRB").mkdir()
    archive = (own / "training.tar.gz").rename(tmp_path / "train.tgz")
    card = _download(tmp_path, own, local_paths={"datasets.signs": {"training.tar.gz": str(archive)}})
    assert not (card.parent / "files" / "GTSRB").is_symlink()
    assert prepare(card, tmp_path / "prepared").card["counts"]["test"] == 4


def test_what_is_missing_is_told_before_anything_is_downloaded(server: Server, own: Path, tmp_path: Path) -> None:
    server.places["/test"] = Place()
    (own / "training.tar.gz").unlink()
    (own / "test.tar.gz").unlink()
    files = [FILES[0], FILES[1].model_copy(update={"urls": (server.url("/test"),)}), FILES[2]]
    with pytest.raises(
        DataError, match=r"signs is not at hand.*no address is known for training\.tar\.gz\n"
    ) as refused:
        _download(
            tmp_path, own, files=files, instructions={"datasets.signs": "ask the owner", "teachers.signs": "ask nobody"}
        )
    message = str(refused.value)
    for part in ("the folder GTSRB or the files training.tar.gz, test.tar.gz", str(own), "ask the owner"):
        assert part in message
    assert server.requests == []
    with pytest.raises(DataError, match="not at hand") as refused:
        _download(tmp_path, None)
    assert "name that folder as data_root" in str(refused.value)


def test_a_bad_archive_leaves_the_former_files(own: Path, tmp_path: Path) -> None:
    card = _download(tmp_path, own)
    tree = describe(card.parent / "files")
    (own / "test.tar.gz").write_bytes(b"no archive")
    with pytest.raises(DataError, match=r"test\.tar\.gz cannot be unpacked"):
        _download(tmp_path, own)
    assert describe(card.parent / "files") == tree
    assert [path.name for path in card.parent.iterdir()] == ["files"]
    assert not outputs_in(tmp_path / "prepared").card.exists()
