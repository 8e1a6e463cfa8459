"""Files and folders that a user may not read or write: told in words, and mended by the right alone."""

from __future__ import annotations

import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.workflow.faults import STUDENT, WithoutPrivilege, disk_of_its_own, finishes, ran, remount, told
from tests.workflow.project import Project

pytestmark = pytest.mark.faults

TABLES = "results/tiny/tables"


@pytest.fixture
def bound(project: Project) -> Project:
    """A finished study whose runs obey permissions."""
    return WithoutPrivilege(project.folder, project.study_file)


@contextmanager
def without(path: Path, rights: int) -> Iterator[None]:
    """Take rights of a file's owner away."""
    usual = stat.S_IMODE(path.stat().st_mode)
    path.chmod(usual & ~rights)
    try:
        yield
    finally:
        path.chmod(usual)


@pytest.mark.parametrize(
    ("path", "rights", "command", "words"),
    [
        (f"{TABLES}/measurements.parquet", stat.S_IRUSR, "heirloom", "give yourself the right to read this"),
        (f"{TABLES}/measurements.parquet", stat.S_IRUSR, "snakemake", "give yourself the right to read this"),
        (TABLES, stat.S_IWUSR, "snakemake", f"PermissionError: [Errno 13] Permission denied: '{TABLES}/summary"),
        ("study/methods.yaml", stat.S_IRUSR, "heirloom", "give yourself the right to read this"),
    ],
    ids=["verifying a result", "reading a result", "writing into a folder", "reading a setting"],
)
def test_a_file_without_the_right_is_told_and_the_same_command_finishes(
    bound: Project, project: Project, path: str, rights: int, command: str, words: str
) -> None:
    def run() -> subprocess.CompletedProcess[str]:
        return bound.heirloom("run", target) if command == "heirloom" else bound.snakemake(target)

    before = project.digests()
    target = f"{TABLES}/summary.csv"
    (project.folder / target).unlink()
    with without(bound.folder / path, rights):
        stopped = run()
        assert stopped.returncode != 0
        assert Path(path).name in told(stopped)
        assert "Permission denied" in told(stopped)
        assert words in told(stopped)
    assert ran(finishes(run())) == {"summarise"}
    assert project.digests() == before
    assert project.plan() == []


def test_results_that_became_read_only_lose_nothing(project: Project) -> None:
    before = project.digests()
    results = project.folder / "results"
    card = f"{STUDENT}/card.json"
    (project.folder / card).unlink()
    with disk_of_its_own(results):
        remount(results, "ro")
        told_by_us, told_by_snakemake = project.heirloom("run"), project.snakemake(card)
        assert "Read-only file system" in told(told_by_us)
        assert "choose another folder for the results" in told(told_by_us)
        assert "Write-protected output files" in told(told_by_snakemake)
        for stopped in (told_by_us, told_by_snakemake):
            assert stopped.returncode != 0
            assert "Traceback" not in told(stopped)
        remount(results, "rw")
        assert ran(finishes(project.snakemake(card))) == {"train_student"}
        assert project.digests() == before
        assert project.plan() == []
