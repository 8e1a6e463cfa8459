from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from heirloom.runtime.locks import exclusive
from tests.workflow.project import STUDY, WARM, Project, new_project

REAL = ("slow", "faults", "cluster")  # marks of tests that run the real Python: they time, kill and measure it


@pytest.fixture(scope="session", autouse=True)
def warm(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let all projects of a run without such marks call a Python that has imported the libraries already."""
    if any(item.get_closest_marker(mark) for item in request.session.items for mark in REAL):
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(WARM, str(request.getfixturevalue("warm_program")))
        yield


@pytest.fixture
def real_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """Call Python itself, for what a process imports or whose child it is."""
    monkeypatch.delenv(WARM, raising=False)


@pytest.fixture(scope="session")
def finish(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Project]:
    """Return a tiny study that has been run, once for all workers; tests that change anything take a copy."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def finished_study(study: str) -> Project:
        name = Path(study).stem
        project = Project(shared / f"finished-{name}", study)
        done = shared / f"finished-{name}.done"
        with exclusive(shared / f"finished-{name}.lock", wait=True):
            if not done.exists():
                run = new_project(project.folder, study).snakemake()
                assert run.returncode == 0, run.stdout + run.stderr
                done.touch()
        return project

    return finished_study


@pytest.fixture(scope="session")
def finished(finish: Callable[[str], Project]) -> Project:
    """The study of students that most tests start from."""
    return finish(STUDY)


@pytest.fixture
def project(finished: Project, tmp_path: Path) -> Project:
    """A copy of the finished study."""
    return finished.copy(tmp_path / "project")


@pytest.fixture
def fresh(tmp_path: Path) -> Project:
    """A study of which nothing has been computed."""
    return new_project(tmp_path / "project")
