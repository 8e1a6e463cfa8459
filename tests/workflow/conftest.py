from __future__ import annotations

from pathlib import Path

import pytest

from tests.workflow.project import Project, new_project


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """One finished study per session; tests that change anything take a copy."""
    project = new_project(tmp_path_factory.mktemp("finished") / "project")
    done = project.snakemake()
    assert done.returncode == 0, done.stdout + done.stderr
    return project


@pytest.fixture
def project(finished: Project, tmp_path: Path) -> Project:
    """A copy of the finished study."""
    return finished.copy(tmp_path / "project")


@pytest.fixture
def fresh(tmp_path: Path) -> Project:
    """A study of which nothing has been computed."""
    return new_project(tmp_path / "project")
