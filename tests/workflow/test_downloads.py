"""What a login node fetches, so that compute nodes without a network find all they need."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import yaml

from heirloom.config.models import Body, Normalisation
from heirloom.models.classifier import Classifier
from heirloom.runtime.locks import exclusive
from tests.server import Place, Server, running
from tests.unit.data_samples import write_gtsrb
from tests.workflow.project import Job, Project

NETWORK_RULES = {"download_dataset", "fetch_teacher", "fetch_robust"}
BODY = {"name": "resnet8-small", "options": {"width": 4}}
RAW_CARD = "results/shared/data/signs/raw/card.json"
CARDS = ("results/shared/data/signs/tiny/card.json", "results/shared/teachers/tiny-objects/none/card.json")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """Serves a small GTSRB as /signs.tar and a teacher's weights as /teacher.pth."""
    write_gtsrb(tmp_path / "drawn", classes=(0, 1, 2, 3), tracks=4)
    with tarfile.open(tmp_path / "signs.tar", "w") as archive:
        archive.add(tmp_path / "drawn", arcname=".")
    torch.save(Classifier(Body(**BODY), Normalisation(), classes=4).body.state_dict(), tmp_path / "teacher.pth")
    with running() as started:
        for name in ("signs.tar", "teacher.pth"):
            started.places[f"/{name}"] = Place((tmp_path / name).read_bytes())
        yield started


@pytest.fixture
def remote(fresh: Project, server: Server) -> Project:
    """A study whose data set and teacher have to be downloaded."""
    files = {name: {"name": name, "urls": [server.url(f"/{name}")]} for name in ("signs.tar", "teacher.pth")}
    change(fresh, "datasets", "signs", {"kind": "files", "files": [files["signs.tar"]]})
    source = {"kind": "fetched", "classes": 4, "file": files["teacher.pth"]}
    change(fresh, "teachers", "tiny-objects", source)
    return fresh


def change(project: Project, section: str, name: str, source: dict[str, object]) -> None:
    """Give a catalogue's entry another source."""
    path = project.folder / "study" / f"{section}.yaml"
    catalogue = yaml.safe_load(path.read_text())
    catalogue[name]["source"] = source
    path.write_text(yaml.safe_dump(catalogue))


def over_network(plan: list[Job]) -> list[tuple[str, ...]]:
    """Planned jobs that may use the network: rule and wildcards."""
    return sorted((job.rule, *job.wildcards.values()) for job in plan if job.rule in NETWORK_RULES)


@pytest.mark.slow  # jobs of the real Python, in an empty network
def test_after_the_downloads_no_job_uses_the_network(remote: Project, server: Server) -> None:
    assert {rule for rule, *_ in over_network(remote.plan())} == {"download_dataset", "fetch_teacher"}
    done = remote.heirloom("downloads")
    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(path for path, _ in server.requests) == ["/signs.tar", "/teacher.pth"]
    assert over_network(remote.plan()) == []
    assert remote.plan("downloads") == []
    offline = without_network(remote, *CARDS)
    assert offline.returncode == 0, offline.stdout + offline.stderr
    assert (remote.folder / CARDS[0]).exists()
    assert len(server.requests) == 2


def test_the_downloads_go_on_after_a_killed_run_and_not_beside_a_living_one(remote: Project, server: Server) -> None:
    stale = remote.folder / ".snakemake/locks/0.output.lock"
    stale.parent.mkdir(parents=True)
    stale.write_text(f"{RAW_CARD}\n")
    assert "--unlock" in remote.snakemake("downloads").stderr
    locks = remote.folder / "results/.locks"
    with exclusive(locks / "run.lock", wait=False):
        (locks / "run.started").touch()
        refused = remote.heirloom("downloads")
    assert refused.returncode == 1
    assert "another run holds" in refused.stderr
    assert server.requests == []
    done = remote.heirloom("downloads")
    assert done.returncode == 0, done.stdout + done.stderr
    assert not (locks / "run.started").exists()
    assert (remote.folder / RAW_CARD).exists()


def without_network(project: Project, *targets: str) -> subprocess.CompletedProcess[str]:
    """Run Snakemake where no address can be reached, this machine's own included."""
    probe = ["unshare", "--net", "true"]
    if not shutil.which("unshare") or subprocess.run(probe, capture_output=True, check=False).returncode:
        pytest.skip("the network cannot be taken away here (needs unshare and root)")
    command = ["-m", "snakemake", *targets, "--cores", "2", "--configfile", project.study_file]
    return subprocess.run(
        ["unshare", "--net", sys.executable, *command],
        cwd=project.folder,
        env=project.environment(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.parametrize("study", ["faces", "rift"])
def test_the_downloads_of_a_published_study_are_all_that_it_fetches(fresh: Project, study: str) -> None:
    published = Project(fresh.folder, f"config/studies/{study}.yaml")
    every = over_network(published.plan())
    assert every
    assert over_network(published.plan("downloads")) == every


def test_a_fetched_robust_model_is_among_the_downloads(fresh: Project) -> None:
    rift = Project(fresh.folder, "study/rift.yaml")
    assert over_network(rift.plan()) == []
    change(rift, "robust", "signs-robust", {"kind": "fetched", "file": {"name": "robust.pth"}})
    expected = [("fetch_robust", "signs-robust", "0")]
    assert over_network(rift.plan("downloads")) == over_network(rift.plan()) == expected
