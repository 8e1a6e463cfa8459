"""Checksums: what was published, what the first download held, and how a user accepts another version."""

from __future__ import annotations

import hashlib
import io
import logging
import random
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from heirloom.config.models import RemoteFile
from heirloom.data import checksums
from heirloom.data.fetch import obtain
from heirloom.runtime.errors import ConfigError, DataError, StorageError
from tests.server import CONTENT, Place, Server, running

PROJECT = Path(__file__).parents[2]
OTHER = CONTENT[::-1]
SHA256 = hashlib.sha256(CONTENT).hexdigest()
OTHER_SHA256 = hashlib.sha256(OTHER).hexdigest()
MD5 = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()


@pytest.fixture
def server() -> Iterator[Server]:
    with running() as started:
        started.places["/a"] = Place()
        yield started


@pytest.fixture
def record(tmp_path: Path) -> Path:
    path = tmp_path / "config" / "checksums.lock"
    path.parent.mkdir()
    path.write_text(checksums.HEADER)
    return path


def bring(file: RemoteFile, record: Path, *, data_root: Path | None = None) -> Path:
    cache = record.parents[1] / "results" / "cache"
    return obtain(file, data_root=data_root, cache=cache, record=record, pause=0.001)


def unknown(*urls: str, **keys: str) -> RemoteFile:
    return RemoteFile.model_validate({"name": "set.bin", "urls": urls, **keys})


def forget_cache(record: Path) -> None:
    (record.parents[1] / "results" / "cache" / "set.bin").unlink()


def test_the_record_that_ships_is_empty_and_says_what_it_is() -> None:
    shipped = (PROJECT / "config" / "checksums.lock").read_text()
    assert shipped.startswith(checksums.HEADER)


def test_a_first_download_is_recorded_once(server: Server, record: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    address = server.url("/a")
    bring(unknown(address), record)
    assert record.read_text().startswith(checksums.HEADER)
    entry = {"sha256": SHA256, "bytes": len(CONTENT), "address": address}
    assert yaml.safe_load(record.read_text()) == {"set.bin": entry}
    assert "set.bin: nobody published a checksum" in caplog.text
    before = record.read_bytes()
    bring(unknown(address), record)
    forget_cache(record)
    bring(unknown(address), record)
    assert record.read_bytes() == before


def test_a_cached_file_whose_line_is_gone_is_recorded_again(server: Server, record: Path) -> None:
    bring(unknown(server.url("/a")), record)
    before = record.read_bytes()
    record.write_text(checksums.HEADER)
    server.requests.clear()
    bring(unknown(server.url("/a")), record)
    assert record.read_bytes() == before
    assert server.requests == []


def test_a_list_of_another_set_in_the_users_folder_is_not_taken(server: Server, record: Path, tmp_path: Path) -> None:
    (tmp_path / "mine" / "other").mkdir(parents=True)
    for name in ("TrainImages.txt", "set.bin"):
        (tmp_path / "mine" / "other" / name).write_bytes(OTHER)
    found = bring(unknown(server.url("/a"), name="TrainImages.txt"), record, data_root=tmp_path / "mine")
    assert found.read_bytes() == CONTENT
    assert bring(unknown(), record, data_root=tmp_path / "mine").read_bytes() == OTHER
    (tmp_path / "mine" / "TrainImages.txt").write_bytes(OTHER)
    placed = bring(unknown(name="TrainImages.txt"), record, data_root=tmp_path / "mine")
    assert placed.parent == tmp_path / "mine"


def packed(suffix: str) -> bytes:
    """An archive of noise, which does not compress."""
    buffer = io.BytesIO()
    noise = random.Random(0).randbytes(50_000)
    if suffix == ".zip":
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("noise", noise)
        return buffer.getvalue()
    with tarfile.open(fileobj=buffer, mode="w:gz" if suffix == ".tar.gz" else "w") as tar:
        member = tarfile.TarInfo("noise")
        member.size = len(noise)
        tar.addfile(member, io.BytesIO(noise))
    return buffer.getvalue()


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".zip"])
def test_an_archive_that_was_cut_is_not_recorded(server: Server, record: Path, suffix: str) -> None:
    """The server states the cut length, so that only the archive itself can tell."""
    whole = packed(suffix)
    server.places["/a"].content = whole[: len(whole) // 2]
    with pytest.raises(DataError, match="no whole archive"):
        bring(unknown(server.url("/a"), name=f"set{suffix}"), record)
    assert record.read_text() == checksums.HEADER
    server.places["/a"] = Place(content=whole, tag='"two"')
    assert bring(unknown(server.url("/a"), name=f"set{suffix}"), record).read_bytes() == whole
    assert f"set{suffix}" in record.read_text()


def test_an_address_is_recorded_without_secrets(tmp_path: Path, record: Path) -> None:
    (tmp_path / "x").write_bytes(b"x")
    address = "https://me:word@host.example:8443/set.bin?token=t#part"
    checksums.write_down(tmp_path / "x", "set.bin", address, record=record, guard=tmp_path / "guard")
    first = checksums.recorded("set.bin", record)
    assert first is not None
    assert first.address == "https://host.example:8443/set.bin"


def test_another_file_is_refused_until_its_line_is_deleted(server: Server, record: Path) -> None:
    bring(unknown(server.url("/a")), record)
    forget_cache(record)
    server.places["/a"].content = OTHER
    with pytest.raises(DataError) as refused:
        bring(unknown(server.url("/a")), record)
    line = len(record.read_text().splitlines())
    for part in ("set.bin", SHA256, OTHER_SHA256, f"checksums.lock, line {line}"):
        assert part in str(refused.value)
    assert f"delete line {line} of {record}" in refused.value.mend
    assert "put set.bin in a folder" in refused.value.mend
    assert list((record.parents[1] / "results" / "cache").iterdir()) == []
    record.write_text("".join(text for text in record.read_text().splitlines(keepends=True) if "set.bin" not in text))
    assert bring(unknown(server.url("/a")), record).read_bytes() == OTHER
    assert yaml.safe_load(record.read_text())["set.bin"]["sha256"] == OTHER_SHA256


def test_a_mirror_with_the_recorded_file_takes_over(server: Server, record: Path) -> None:
    bring(unknown(server.url("/a")), record)
    forget_cache(record)
    server.places["/b"] = Place(content=OTHER)
    assert bring(unknown(server.url("/b"), server.url("/a")), record).read_bytes() == CONTENT


def test_a_recorded_file_that_is_damaged_in_the_cache_comes_anew(server: Server, record: Path) -> None:
    path = bring(unknown(server.url("/a")), record)
    path.write_bytes(CONTENT[:-1] + b"x")
    assert bring(unknown(server.url("/a")), record).read_bytes() == CONTENT
    assert len(server.requests) == 2


def test_a_recorded_file_resumes_from_any_mirror(server: Server, record: Path) -> None:
    bring(unknown(server.url("/a")), record)
    forget_cache(record)
    server.places["/b"] = Place(breaks=[1000] + [0] * 10, tag="")
    bring(unknown(server.url("/b"), server.url("/a")), record)
    assert server.requests[-1] == ("/a", "bytes=1000-")


@pytest.mark.parametrize(
    "keys",
    [
        {"sha256": SHA256, "sha256_source": "the owner"},
        {"md5": MD5, "md5_source": "the owner"},
        {"name": f"net-{SHA256[:8]}.pth"},
    ],
)
def test_what_is_published_counts_and_is_not_recorded(server: Server, record: Path, keys: dict[str, str]) -> None:
    name = keys.get("name", "set.bin")
    record.write_text(f"{checksums.HEADER}{name}: {{sha256: {OTHER_SHA256}, bytes: 1, address: a}}\n")
    before = record.read_bytes()
    assert bring(unknown(server.url("/a"), **keys), record).read_bytes() == CONTENT
    assert record.read_bytes() == before


def test_a_wrong_md5_is_told_with_its_source(server: Server, record: Path) -> None:
    server.places["/a"].content = OTHER
    with pytest.raises(DataError, match=f"instead of {MD5} .source: the owner") as refused:
        bring(unknown(server.url("/a"), md5=MD5, md5_source="the owner"), record)
    assert "delete line" not in refused.value.mend
    with pytest.raises(ValueError, match="md5 needs its md5_source"):
        unknown(md5=MD5)


def test_what_cannot_be_an_archive_is_not_recorded(server: Server, record: Path) -> None:
    with pytest.raises(DataError, match="no whole archive of the kind that the name says"):
        bring(unknown(server.url("/a"), name="set.zip"), record)
    assert record.read_text() == checksums.HEADER
    assert list((record.parents[1] / "results" / "cache").iterdir()) == []


def test_a_users_own_file_is_neither_recorded_nor_compared(server: Server, record: Path, tmp_path: Path) -> None:
    bring(unknown(server.url("/a")), record)
    before = record.read_bytes()
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "set.bin").write_bytes(OTHER)
    assert bring(unknown(server.url("/a")), record, data_root=tmp_path / "own").read_bytes() == OTHER
    assert record.read_bytes() == before


def test_jobs_record_at_the_same_time(tmp_path: Path, record: Path) -> None:
    (tmp_path / "x").write_bytes(b"x")

    def write(number: int) -> None:
        guard = tmp_path / "locks" / "guard"
        checksums.write_down(tmp_path / "x", f"{number}.bin", "http://host/x", record=record, guard=guard)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(yaml.safe_load(record.read_text())) == {f"{number}.bin" for number in range(20)}


def test_a_record_that_cannot_be_written_is_told_and_costs_no_second_download(server: Server, record: Path) -> None:
    kept = record.rename(record.parents[1] / "kept")
    record.parent.rmdir()
    record.parent.write_text("no folder")
    with pytest.raises(StorageError) as refused:
        bring(unknown(server.url("/a")), record)
    assert "a checksum cannot be recorded" in str(refused.value)
    assert f"make {record.parent} writable" in str(refused.value)
    record.parent.unlink()
    record.parent.mkdir()
    kept.rename(record)
    assert bring(unknown(server.url("/a")), record).read_bytes() == CONTENT
    assert len(server.requests) == 1


@pytest.mark.parametrize("text", ["set.bin: {sha256: 12, bytes: 1, address: a}\n", "set.bin: [\n", "set.bin: 3\n"])
def test_a_damaged_record_is_told(server: Server, record: Path, text: str) -> None:
    record.write_text(text)
    with pytest.raises(ConfigError) as refused:
        bring(unknown(server.url("/a")), record)
    assert str(record) in refused.value.where
