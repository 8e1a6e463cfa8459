"""Files are whole or absent, tables have the same bytes, cards notice every change, and errors say how to mend them."""

import errno
import json
import os
import pickle
import resource
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from heirloom.runtime import files
from heirloom.runtime.errors import DamagedFileError, DataError, HeirloomError, StorageError


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_an_error_says_what_where_and_how_to_mend() -> None:
    error = DataError("no such class", where="a.yaml: classes", mend="name one")
    assert str(error) == "no such class\n  where: a.yaml: classes\n  to mend: name one"
    assert str(HeirloomError("only this")) == "only this"


@pytest.mark.parametrize("error", [DataError("a", where="b", mend="c"), DamagedFileError(Path("x"), found="cut")])
def test_an_error_survives_the_way_between_processes(error: HeirloomError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again)) == (type(error), str(error))


def test_a_damaged_file_is_named_with_the_remedy() -> None:
    assert str(DamagedFileError(Path("results/a.npy"))) == "results/a.npy is damaged: delete it and run again"


def test_atomic_path_shows_the_file_only_when_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "new" / "folder" / "a.txt"
    with files.atomic_path(target) as partial:
        partial.write_text("half")
        assert partial.parent == target.parent
        assert not target.exists()
    assert target.read_text() == "half"
    assert left_in(target.parent) == ["a.txt"]


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), SystemExit(1)])
def test_atomic_path_keeps_the_old_file_when_the_writer_fails(tmp_path: Path, error: BaseException) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")

    def fail() -> None:
        with files.atomic_path(target) as partial:
            partial.write_text("half of the new")
            raise error

    with pytest.raises(type(error)):
        fail()
    assert target.read_text() == "old"
    assert left_in(tmp_path) == ["a.txt"]


def test_atomic_path_drops_what_a_killed_writer_left(tmp_path: Path) -> None:
    (tmp_path / ".a.txt.partial").write_text("left by a killed writer")
    with files.atomic_path(tmp_path / "a.txt") as partial, partial.open("a") as file:
        file.write("new")
    assert (tmp_path / "a.txt").read_text() == "new"


def test_atomic_path_syncs_the_file_and_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    monkeypatch.setattr(files, "sync", lambda path: synced.append(path.name))
    files.write_json(tmp_path / "a.json", 1)
    assert synced == [".a.json.partial", tmp_path.name]


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "free some space"),
        (RuntimeError("I/O error: No space left on device (os error 28)"), "free some space"),
        (OSError(errno.EROFS, "Read-only file system"), "choose another folder"),
    ],
)
def test_a_refusing_disk_is_explained(tmp_path: Path, error: Exception, advice: str) -> None:
    def fail() -> None:
        with files.atomic_path(tmp_path / "a.bin") as partial:
            partial.write_bytes(b"half")
            raise error

    with pytest.raises(StorageError, match=advice) as raised:
        fail()
    assert str(tmp_path / "a.bin") in str(raised.value)
    assert left_in(tmp_path) == []


def test_an_unreadable_source_is_not_taken_for_a_refusing_disk(tmp_path: Path) -> None:
    def fail() -> None:
        with files.atomic_path(tmp_path / "a.bin"):
            raise PermissionError(errno.EACCES, "Permission denied", "/elsewhere/source.png")

    with pytest.raises(PermissionError):
        fail()


def limited_writing() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))


def test_a_table_that_the_disk_refuses_leaves_nothing(tmp_path: Path) -> None:
    code = (
        "import sys, random, pyarrow as pa\nfrom pathlib import Path\nfrom heirloom.runtime.files import write_table\n"
        "write_table(Path(sys.argv[1]), pa.table({'a': list(random.Random(0).randbytes(100_000))}), metadata={})"
    )
    target = tmp_path / "a.parquet"
    done = subprocess.run(
        [sys.executable, "-c", code, target], preexec_fn=limited_writing, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "StorageError: cannot write" in done.stderr
    assert left_in(tmp_path) == []


def test_json_is_sorted_and_refuses_what_is_no_json(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    files.write_json(path, {"b": [1], "a": "ü"})
    assert path.read_text(encoding="utf-8") == '{\n "a": "ü",\n "b": [\n  1\n ]\n}\n'
    assert files.read_json(path) == {"a": "ü", "b": [1]}
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json(path, float("nan"))
    assert files.read_json(path) == {"a": "ü", "b": [1]}


@pytest.fixture
def card(tmp_path: Path) -> Path:
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "images.npy").write_bytes(b"images")
    (tmp_path / "index").write_bytes(b"index")
    named = {"test/images.npy": tmp_path / "test" / "images.npy", "index": tmp_path / "index"}
    files.write_card(tmp_path / "card.json", kind="data", files=named, classes=["a", "b"])
    return tmp_path / "card.json"


def test_a_card_tells_files_and_facts_without_absolute_paths(card: Path) -> None:
    told = files.verify_card(card)
    assert (told["kind"], told["classes"]) == ("data", ["a", "b"])
    assert told["files"]["index"] == {"file": "index", "bytes": 5, "sha256": files.sha256_of(card.parent / "index")}
    assert told["files"]["test/images.npy"]["file"] == "test/images.npy"
    assert str(card.parent) not in card.read_text()


def test_sha256_is_the_published_one(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    assert files.sha256_of(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_card_names_only_files_of_its_folder(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a")
    with pytest.raises(ValueError, match="not in the subpath"):
        files.write_card(tmp_path / "below" / "card.json", kind="data", files={"a": tmp_path / "a"})


@pytest.mark.parametrize(
    ("content", "found"),
    [(b"imagez", "sha256"), (b"image", "5 bytes instead of 6"), (None, "missing"), (b"", "0 bytes")],
)
def test_a_card_notices_a_changed_file(card: Path, content: bytes | None, found: str) -> None:
    images = card.parent / "test" / "images.npy"
    images.unlink() if content is None else images.write_bytes(content)
    with pytest.raises(DamagedFileError, match="delete it and run again") as raised:
        files.verify_card(card)
    assert str(images) in str(raised.value)
    assert found in str(raised.value)
    assert files.verify_card(card, "index")["kind"] == "data", "only the named files are checked"
    with pytest.raises(DamagedFileError):
        files.verify_card(card, "index", "test/images.npy")


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"kind": "data"}', '{"kind": "data", "files": {"index": {}}}', "\xff"]
)
def test_a_damaged_card_is_noticed(card: Path, text: str) -> None:
    card.write_bytes(text.encode("latin-1"))
    with pytest.raises(DamagedFileError, match=r"card\.json is damaged"):
        files.verify_card(card)


def test_a_card_that_does_not_name_a_file_is_noticed(card: Path) -> None:
    with pytest.raises(DamagedFileError, match="does not name 'weights'"):
        files.verify_card(card, "weights")


ROWS = pa.table(
    {
        "text": ["a", "b", "a", None],
        "kind": pa.array(["x", "y", "x", "x"]).dictionary_encode(),
        "number": pa.array([0.5, float("nan"), 1.5, 2.5], pa.float32()),
        "box": pa.array([[1, 2], None, [3, 4], [5, 6]], pa.list_(pa.float32(), 2)),
    }
)


def test_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    field = ROWS.schema.field("text").with_metadata({"note": "by pandas"})
    noted = ROWS.set_column(0, field, ROWS["text"]).replace_schema_metadata({"pandas": "{}"})
    chunked = pa.concat_tables([ROWS.slice(0, 1), ROWS.slice(1)])
    for name, table in (("a", ROWS), ("b", ROWS), ("c", noted), ("d", chunked)):
        files.write_table(tmp_path / name, table, metadata={"b": 1, "a": "ü"})
    files.write_table(tmp_path / "e", ROWS, metadata={"a": "ü", "b": 1})
    assert len({files.sha256_of(tmp_path / name) for name in "abcde"}) == 1


def test_how_a_long_table_was_put_together_does_not_show(tmp_path: Path) -> None:
    table = pa.table({"text": [str(row % 9973) for row in range(300_000)], "row": range(300_000)})
    pieces = pa.concat_tables([table.slice(begin, 701) for begin in range(0, 300_000, 701)])
    files.write_table(tmp_path / "a", table, metadata={})
    files.write_table(tmp_path / "b", pieces, metadata={})
    assert files.sha256_of(tmp_path / "a") == files.sha256_of(tmp_path / "b")


def test_a_table_comes_back_with_one_metadata_key(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    files.write_table(path, ROWS, metadata={"version": 1, "name": "ü"})
    again = files.read_table(path)
    assert again.schema.equals(ROWS.schema)
    assert again.drop_columns("number").equals(ROWS.drop_columns("number"))
    assert list(again.schema.metadata) == [b"heirloom"]
    assert json.loads(again.schema.metadata[b"heirloom"]) == files.table_metadata(path) == {"version": 1, "name": "ü"}
    assert pq.ParquetFile(path).metadata.row_group(0).column(0).compression == "ZSTD"


@pytest.mark.parametrize("read", [files.read_table, files.table_metadata])
@pytest.mark.parametrize("damage", [lambda data: data[:-10], lambda _data: b"", lambda data: b"x" * len(data), None])
def test_a_damaged_table_is_noticed(tmp_path: Path, read, damage) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "a.parquet"
    files.write_table(path, ROWS, metadata={})
    path.unlink() if damage is None else path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DamagedFileError, match="delete it and run again"):
        read(path)


@pytest.mark.parametrize("read", [files.read_table, files.table_metadata])
def test_a_table_that_may_not_be_read_is_not_called_damaged(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    read: Callable[[Path], object],
) -> None:
    path = tmp_path / "a.parquet"
    files.write_table(path, ROWS, metadata={})

    def refuse(*_arguments: object, **_options: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(pq, "read_schema", refuse)
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(StorageError, match=r"a\.parquet: Permission denied[^$]*right to read"):
        read(path)


def test_files_do_not_import_slow_libraries() -> None:
    code = "import sys, heirloom.runtime.files, heirloom.runtime.digest; print({'torch', 'pyarrow'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "set()"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/disk/a"), ("/disk/a: No space left", "free some space")),
        (OSError(errno.EROFS, "Read-only file system", "/disk/a"), ("/disk/a: Read-only", "choose another folder")),
        (PermissionError(errno.EACCES, "Permission denied", "/disk/a"), ("/disk/a: Permission", "the right to read")),
        (RuntimeError("I/O error: No space left on device (os error 28)"), ("No space left", "free some space")),
        (RuntimeError("I/O error: Disk quota exceeded (os error 122)"), ("Disk quota exceeded", "of your quota")),
    ],
)
def test_refusals_of_the_disk_become_words_wherever_they_come_from(error: Exception, words: tuple[str, ...]) -> None:
    told = files.storage_error(error)
    assert told is not None
    assert all(word in str(told) for word in words)


@pytest.mark.parametrize("error", [OSError(errno.ENOENT, "No such file"), RuntimeError("shape"), DataError("no class")])
def test_other_errors_are_no_refusal_of_the_disk(error: Exception) -> None:
    assert files.storage_error(error) is None


def test_a_writer_that_fails_again_while_it_closes_is_told_by_what_came_first(tmp_path: Path) -> None:
    """As matplotlib's PDF writer does."""
    with pytest.raises(StorageError, match=r"a\.pdf: No space left on device"), files.atomic_path(tmp_path / "a.pdf"):
        try:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        finally:
            raise AttributeError("'Stream' object has no attribute 'pos'")


@pytest.mark.parametrize("read", [files.sha256_of, files.read_json], ids=["checksum", "JSON"])
def test_a_disk_that_fails_in_the_middle_of_a_file_is_told_with_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: Callable[[Path], object]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))  # names no file

    (tmp_path / "weights").touch()
    monkeypatch.setattr(files.hashlib, "file_digest", fail)
    monkeypatch.setattr(Path, "read_text", fail)
    with pytest.raises(StorageError, match=r"weights: Input/output error[^$]*check it"):
        read(tmp_path / "weights")


def test_a_writer_that_does_not_say_why_is_believed_when_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write() -> None:
        with files.atomic_path(tmp_path / "a"):
            raise RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 576 vs 534")

    with pytest.raises(RuntimeError, match="unexpected pos"):
        write()
    monkeypatch.setattr(files.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1 << 30, 1 << 30, 0))
    with pytest.raises(StorageError, match="No space left on device") as refused:
        write()
    assert "free some space" in refused.value.mend
    assert list(tmp_path.iterdir()) == []


def _thing(path: Path, kind: str) -> Path:
    """Put something that is no file under a file's name."""
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "link to a pipe":
            os.mkfifo(path.with_name("elsewhere"))
            path.symlink_to("elsewhere")
        case "socket":
            with socket.socket(socket.AF_UNIX) as waiting:
                waiting.bind(os.path.relpath(path))
        case "device":
            path.symlink_to("/dev/zero")
        case "folder":
            path.mkdir()
    return path


@pytest.mark.timeout(60)
@pytest.mark.parametrize("kind", ["pipe", "link to a pipe", "socket", "device", "folder"])
@pytest.mark.parametrize("read", [files.regular_file, files.sha256_of], ids=["opened", "checksum"])
def test_what_is_no_regular_file_is_refused_and_not_waited_for(
    tmp_path: Path, kind: str, read: Callable[[Path], object]
) -> None:
    path = _thing(tmp_path / "weights.pth", kind)
    with pytest.raises(DataError) as refused:
        read(path)
    assert refused.value.where == str(path)
    assert kind.rpartition(" ")[2] in refused.value.what
    assert refused.value.mend


@pytest.mark.timeout(60)
def test_a_file_that_becomes_a_pipe_while_it_is_opened_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _thing(tmp_path / "a", "pipe")
    usual = tmp_path / "b"
    usual.touch()
    before = usual.stat()
    monkeypatch.setattr(Path, "stat", lambda *_, **__: before)
    with pytest.raises(DataError, match="a is a pipe"):
        files.regular_file(path)


def test_a_regular_file_is_opened_through_links_and_a_missing_one_is_told_by_the_system(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    (tmp_path / "b").symlink_to("a")
    with files.regular_file(tmp_path / "b") as file:
        assert file.read() == b"abc"
    with pytest.raises(FileNotFoundError):
        files.regular_file(tmp_path / "c")
