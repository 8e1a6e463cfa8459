"""Downloads and disks that fail under a run: what is told, what is left, and that the same command finishes."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.server import Place, Server, running
from tests.unit.data_samples import write_gtsrb
from tests.workflow.faults import fill, final_files, jobs_in, mounted, remount, started, told, wait_for
from tests.workflow.project import Project

SIGNS = "results/shared/data/signs"
RAW = f"{SIGNS}/raw/card.json"
CARD = f"{SIGNS}/tiny/card.json"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """Serves a small GTSRB as /signs.tar."""
    write_gtsrb(tmp_path / "drawn", classes=(0, 1, 2, 3), tracks=4)
    with tarfile.open(tmp_path / "signs.tar", "w") as archive:
        archive.add(tmp_path / "drawn", arcname=".")
    with running() as server:
        server.places["/signs.tar"] = Place((tmp_path / "signs.tar").read_bytes())
        yield server


@pytest.fixture
def remote(fresh: Project, server: Server) -> Project:
    """A study of which nothing has been computed, and whose signs have to be downloaded."""
    path = fresh.folder / "study" / "datasets.yaml"
    catalogue = yaml.safe_load(path.read_text())
    file = {"name": "signs.tar", "urls": [server.url("/signs.tar")]}
    catalogue["signs"]["source"] = {"kind": "files", "files": [file]}
    path.write_text(yaml.safe_dump(catalogue))
    return fresh


def test_a_finished_download_asks_nobody_again(remote: Project, server: Server) -> None:
    done = remote.snakemake(CARD)
    assert done.returncode == 0, told(done)
    assert [path for path, _ in server.requests] == ["/signs.tar"]
    record = yaml.safe_load((remote.folder / "config" / "checksums.lock").read_text())
    assert record["signs.tar"]["address"] == server.url("/signs.tar")
    before = remote.digests()
    server.places.clear()
    server.requests.clear()
    assert "Nothing to be done" in told(remote.snakemake(CARD))
    for name in ("raw", "tiny"):
        (remote.folder / SIGNS / name / "card.json").unlink()
    done = remote.snakemake(CARD)
    assert done.returncode == 0, told(done)
    assert remote.digests() == before
    assert server.requests == []


def test_a_local_path_reaches_the_job_and_reruns_nothing(remote: Project, server: Server, tmp_path: Path) -> None:
    remote.edit("study/datasets.yaml", "name: signs.tar", f"local_path: {tmp_path}/signs.tar\n      name: signs.tar")
    done = remote.snakemake(RAW)
    assert done.returncode == 0, told(done)
    assert server.requests == []
    remote.edit("study/datasets.yaml", f"local_path: {tmp_path}/signs.tar", "local_path: nowhere/signs.tar")
    assert "Nothing to be done" in told(remote.snakemake(RAW))
    (remote.folder / RAW).unlink()
    stopped = remote.snakemake(RAW)
    assert stopped.returncode != 0
    assert "local_path of signs.tar is no file: nowhere/signs.tar" in told(stopped)
    assert server.requests == []


@pytest.mark.faults
def test_a_killed_download_resumes(remote: Project, server: Server) -> None:
    content = server.places["/signs.tar"].content
    half = len(content) // 2
    server.places["/signs.tar"].stalls = half
    run = started(remote, "-m", "snakemake", CARD, "--cores", "1", "--configfile", "study/tiny.yaml")
    partial = remote.folder / "results/cache/signs.tar.part"
    wait_for(lambda: partial.exists() and partial.stat().st_size == half)
    for job in jobs_in(remote):
        job.kill()
    assert run.wait(60) != 0
    server.places["/signs.tar"].stalls = None
    server.requests.clear()
    assert not (remote.folder / "results/cache/signs.tar").exists()
    done = remote.snakemake(CARD)
    assert done.returncode == 0, told(done)
    assert server.requests == [("/signs.tar", f"bytes={half}-")]
    assert (remote.folder / "results/cache/signs.tar").read_bytes() == content
    assert not partial.exists()


@pytest.mark.faults
@pytest.mark.parametrize("stage", ["download", "unpacking", "decoding", "training"])
def test_a_full_disk_is_told_and_the_same_command_finishes(
    remote: Project, server: Server, tmp_path: Path, stage: str
) -> None:
    calm = remote.copy(tmp_path / "calm")
    target = "results/shared/teachers/tiny-objects/none/card.json" if stage == "training" else CARD
    before = {
        "download": None,
        "unpacking": None,
        "decoding": RAW,
        "training": "results/shared/data/objects/tiny/card.json",
    }
    size = len(server.places["/signs.tar"].content)
    room = {"download": size // 2, "unpacking": size + size // 2, "decoding": 1 << 14, "training": 1 << 15}
    assert calm.snakemake(target).returncode == 0
    results = remote.folder / "results"
    with mounted(results, megabytes=16):
        if before[stage] is not None:
            assert remote.snakemake(before[stage]).returncode == 0
        made = final_files(results)
        filler = fill(results, leave=room[stage])
        stopped = remote.snakemake(target)
        assert stopped.returncode != 0
        assert "No space left on device" in told(stopped)
        assert "free some space" in told(stopped)
        assert "where: results/" in told(stopped)
        assert final_files(results) == made
        filler.unlink()
        done = remote.snakemake(target)
        assert done.returncode == 0, told(done)
        assert remote.digests() == calm.digests()


@pytest.mark.faults
def test_a_full_disk_stops_make_results_with_words(remote: Project) -> None:
    results = remote.folder / "results"
    with mounted(results, megabytes=8):
        filler = fill(results, leave=0)
        stopped = remote.heirloom("run")
        assert stopped.returncode != 0
        assert "No space left on device" in told(stopped)
        assert "free some space" in told(stopped)
        assert "Traceback" not in told(stopped)
        filler.unlink()


@pytest.mark.faults
def test_results_that_cannot_be_written_are_told(remote: Project) -> None:
    results = remote.folder / "results"
    with mounted(results, megabytes=8):
        remount(results, "ro")
        for stopped in (remote.heirloom("run"), remote.heirloom("verify"), remote.snakemake(CARD)):
            assert stopped.returncode != 0
            assert "Read-only file system" in told(stopped)
            assert "Traceback" not in told(stopped)
            assert "choose another folder for the results" in told(stopped) or "snakemake" in stopped.args
        remount(results, "rw")
        assert remote.snakemake(CARD).returncode == 0
