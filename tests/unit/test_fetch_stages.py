"""download_dataset and fetch_teacher bring files by one mechanism: the same faults, the same words, both to the end."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from heirloom.config.models import Normalisation, RemoteFile
from heirloom.config.records import canonical
from heirloom.data import fetch
from heirloom.models.classifier import Classifier
from heirloom.runtime.errors import DataError
from heirloom.runtime.files import read_card, sha256_of
from heirloom.stages import download_dataset, fetch_teacher
from tests.server import Place, Server, running
from tests.unit import toy
from tests.unit.hostile import read_here

Run = Callable[..., None]
NAMES = {"dataset": "list.txt", "teacher": "weights.pth"}
KEYS = {"dataset": "datasets.noise", "teacher": "teachers.noise"}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A foreign weight file."""
    path = tmp_path_factory.mktemp("weights") / "weights.pth"
    torch.manual_seed(0)
    torch.save(Classifier(toy.BODY, Normalisation(), classes=5).body.state_dict(), path)
    return path.read_bytes()


@pytest.fixture
def server(weights: bytes) -> Iterator[Server]:
    with running() as started:
        started.places["/a"] = Place(weights)
        yield started


@dataclass(frozen=True)
class Stage:
    """One of the two stages, told to bring one file."""

    kind: str
    folder: Path

    @property
    def card(self) -> Path:
        return self.folder / "results" / "shared" / self.kind / "card.json"

    @property
    def record(self) -> Path:
        return self.folder / "checksums.lock"

    @property
    def cached(self) -> Path:
        return self.folder / "results" / "cache" / NAMES[self.kind]

    def file(self, *urls: str, **keys: str) -> RemoteFile:
        return RemoteFile.model_validate({"name": NAMES[self.kind], "urls": urls, **keys})

    def run(self, file: RemoteFile, **options: object) -> None:
        common = {"checksums": self.record, **options}
        if self.kind == "dataset":
            outputs = download_dataset.Outputs(self.card)
            download_dataset.run(outputs=outputs, files=[file], folders=[], dataset="noise", **common)  # type: ignore[arg-type]
            return
        fetch_teacher.run(
            outputs=fetch_teacher.Outputs(self.card, self.card.with_name("weights.safetensors")),
            body=toy.BODY,
            normalisation=Normalisation(),
            file=file,
            classes=5,
            teacher="noise",
            **common,  # type: ignore[arg-type]
        )

    def told(self) -> str:
        """The sha256 that the card gives the brought file."""
        card = read_card(self.card)
        brought = card["archives"][0] if self.kind == "dataset" else card["file"]
        return str(brought["sha256"])


@pytest.fixture(params=["dataset", "teacher"])
def stage(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    monkeypatch.setattr(fetch, "ATTEMPTS", 2)
    monkeypatch.setattr("heirloom.models.weights.read_state", read_here)
    monkeypatch.setattr(fetch.time, "sleep", lambda _: None)
    return Stage(request.param, tmp_path)


@pytest.mark.timeout(60)
def test_a_pipe_in_the_users_folder_is_refused_and_not_waited_for(stage: Stage, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    os.mkfifo(root / NAMES[stage.kind])
    with pytest.raises(DataError, match="is a pipe") as told:
        stage.run(stage.file(), data_root=root)
    assert told.value.where == str(root / NAMES[stage.kind])
    assert not stage.card.exists()


def test_a_rerun_asks_nobody(server: Server, stage: Stage) -> None:
    stage.run(stage.file(server.url("/a")))
    before = stage.card.read_bytes()
    stage.card.unlink()
    server.places.clear()
    server.requests.clear()
    stage.run(stage.file(server.url("/a")))
    assert stage.card.read_bytes() == before
    assert server.requests == []


def broken(place: Place) -> Sequence[str]:
    place.breaks += [100, 200]
    return ("bytes=100-", "bytes=300-")


def busy(place: Place) -> Sequence[str]:
    place.failures = 1
    return ()


def unresumable(place: Place) -> Sequence[str]:
    place.breaks += [100]
    place.ranges = False
    return ("bytes=100-",)


@pytest.mark.parametrize("fault", [broken, busy, unresumable])
def test_passing_faults_are_overcome(
    server: Server, stage: Stage, weights: bytes, fault: Callable[[Place], Sequence[str]]
) -> None:
    ranges = fault(server.places["/a"])
    stage.run(stage.file(server.url("/a")))
    assert stage.cached.read_bytes() == weights
    assert stage.told() == sha256_of(stage.cached)
    assert [asked for _, asked in server.requests if asked] == list(ranges)


@pytest.mark.parametrize(
    ("place", "words"),
    [
        (Place(b"<p>log in</p>", kind="text/html"), "it answered with a web page instead of the file"),
        (Place(b" <!DOCTYPE html>"), "it answered with a web page instead of the file"),
        (Place(b"short", length=500), "it broke off after 5 of 500 bytes, 2 times"),
        (Place(b""), "the answer is empty, 2 times"),
        (Place(status=404), "the server answers 404"),
        (Place(b"another file"), "is not the file it should be: sha256"),
    ],
)
def test_lasting_faults_leave_nothing_and_a_mirror_or_a_later_run_mends_them(
    server: Server, stage: Stage, weights: bytes, tmp_path: Path, place: Place, words: str
) -> None:
    server.places["/b"] = place
    (tmp_path / "good").write_bytes(weights)
    known = {"sha256": sha256_of(tmp_path / "good"), "sha256_source": "the owner"}
    with pytest.raises(DataError) as refused:
        stage.run(stage.file(server.url("/b"), **known))
    assert f"{server.url('/b')}: " in str(refused.value)
    assert words in str(refused.value)
    assert not stage.card.exists()
    assert not stage.cached.exists()
    stage.run(stage.file(server.url("/b"), server.url("/a"), **known))
    assert stage.cached.read_bytes() == weights
    assert not stage.record.exists()


def test_what_nobody_published_is_recorded_and_compared(server: Server, stage: Stage) -> None:
    stage.run(stage.file(server.url("/a")))
    assert sha256_of(stage.cached) in stage.record.read_text()
    stage.cached.unlink()
    server.places["/a"] = Place(b"another file")
    with pytest.raises(DataError, match="is not the file that was downloaded first"):
        stage.run(stage.file(server.url("/a")))


@pytest.mark.parametrize("way", ["absolute", "below data_root", "below the project"])
def test_a_local_path_comes_before_all_else(
    server: Server, stage: Stage, weights: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    own = tmp_path / "disk" / "mine" / "other-name.pth"
    own.parent.mkdir(parents=True)
    own.write_bytes(weights)
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / NAMES[stage.kind]).write_bytes(b"not this one")
    (tmp_path / "root" / "mine").symlink_to(own.parent)
    root = tmp_path / "root" if way == "below data_root" else None
    monkeypatch.chdir(own.parents[1] if way == "below the project" else tmp_path / "root")
    path = str(own) if way == "absolute" else "mine/other-name.pth"
    stage.run(stage.file(server.url("/a")), data_root=root, local_paths={KEYS[stage.kind]: {NAMES[stage.kind]: path}})
    assert stage.told() == sha256_of(own)
    assert server.requests == []
    assert str(tmp_path) not in stage.card.read_text()
    if stage.kind == "dataset":
        assert [path.name for path in (stage.card.parent / "files").iterdir()] == [NAMES[stage.kind]]


def test_a_missing_local_path_is_an_error_and_no_download(server: Server, stage: Stage, tmp_path: Path) -> None:
    places = {KEYS[stage.kind]: {NAMES[stage.kind]: "nowhere/x.pth"}}
    with pytest.raises(DataError) as refused:
        stage.run(stage.file(server.url("/a")), data_root=tmp_path, local_paths=places)
    assert f"local_path of {NAMES[stage.kind]} is no file: nowhere/x.pth" in refused.value.what
    assert str(tmp_path / "nowhere" / "x.pth") in refused.value.where
    assert f"correct local_path of {NAMES[stage.kind]}" in refused.value.mend
    assert server.requests == []


def test_a_local_path_of_another_entry_is_none_of_ours(server: Server, stage: Stage) -> None:
    stage.run(stage.file(server.url("/a")), local_paths={"datasets.other": {NAMES[stage.kind]: "nowhere"}})
    assert len(server.requests) == 1


def test_where_a_file_lies_is_no_parameter() -> None:
    assert canonical(RemoteFile(name="x", local_path="/home/me/x")) == canonical(RemoteFile(name="x"))
