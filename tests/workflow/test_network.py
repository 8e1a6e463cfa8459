"""Only a download asks for a network: a study is planned and run without one, and a download says that it lacks it.

Every project of these tests runs with the network shut (tests/workflow/offline.py): all show that a study needs none.
Where the kernel lets a user have a network of his own, an empty one shuts out what is no Python as well.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.workflow.project import Project, attempts, new_project, started

EMPTY_NETWORK = ("unshare", "--map-root-user", "--net")
DATA = "results/shared/data/distant/tiny/card.json"


def _has_empty_networks() -> bool:
    if shutil.which(EMPTY_NETWORK[0]) is None:
        return False
    return subprocess.run([*EMPTY_NETWORK, "true"], capture_output=True, check=False).returncode == 0


@dataclass(frozen=True)
class Alone(Project):
    """A project whose processes have an empty network."""

    def python(self, *arguments: str) -> list[str]:
        return [*EMPTY_NETWORK, sys.executable, *arguments]


def _distant(project: Project, *, hosts: tuple[str, ...]) -> None:
    """Let the study take a data set that has to be downloaded."""
    path = project.folder / "study/datasets.yaml"
    catalogue = yaml.safe_load(path.read_text())
    files = [{"name": "signs.tar.gz", "urls": [f"https://{host}.invalid/signs.tar.gz" for host in hosts]}]
    source = {"kind": "files", "files": files, "instructions": "ask the owner"}
    entry = catalogue["signs"] | {"source": source, "title": "distant signs"}
    path.write_text(yaml.safe_dump(catalogue | {"distant": entry}))
    experiment = project.study()["experiments"]["same-data-set"] | {"datasets": ["distant"]}
    project.change_study(experiments={"distant": experiment}, preparations={"distant": "tiny"})


def test_a_whole_study_is_run_without_a_network(finished: Project) -> None:
    assert started(finished) >= 10, "snakemake and its jobs were not watched"
    assert attempts(finished) == []
    assert (finished.folder / "results/tiny/report.html").exists()


def test_who_tries_is_stopped_and_written_down(tmp_path: Path) -> None:
    project = new_project(tmp_path / "project")
    tried = "import urllib.request; urllib.request.urlopen('http://example.invalid/')"
    assert "no network" in project.call("-c", tried).stderr
    assert "unreachable" in project.call("-c", "import socket; socket.socket().connect(('192.0.2.1', 80))").stderr
    assert [line.split()[1] for line in attempts(project)] == ["getaddrinfo", "connect"]


@pytest.mark.slow  # the real Python, four times
@pytest.mark.skipif(not _has_empty_networks(), reason="this system gives a user no network of his own")
def test_a_study_is_planned_and_begun_in_an_empty_network(fresh: Project) -> None:
    alone = Alone(fresh.folder, fresh.study_file)
    assert len(alone.plan()) > 10
    done = alone.snakemake("results/shared/data/signs/tiny/card.json")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_download_without_a_network_says_so_and_what_to_do(fresh: Project) -> None:
    _distant(fresh, hosts=("one", "two"))
    assert {job.rule for job in fresh.plan(DATA)} == {"download_dataset", "prepare_dataset"}  # planning asks nobody
    assert attempts(fresh) == []
    stopped = fresh.snakemake(DATA)
    output = stopped.stdout + stopped.stderr
    assert stopped.returncode != 0
    assert "\nsigns.tar.gz cannot be had:\n" in output
    for host in ("one", "two"):
        assert f"https://{host}.invalid/signs.tar.gz: no answer" in output
    assert "put signs.tar.gz in a folder, and name that folder as data_root in the study" in output
    assert {line.split()[2] for line in attempts(fresh)} == {"one.invalid", "two.invalid"}
    assert list(fresh.folder.glob("results/shared/data/distant/**/card.json")) == []
