"""An attack is in the digest of the jobs that run it, and in no other."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from heirloom.config.kinds import ATTACKS
from heirloom.runtime import digest
from heirloom.runtime.digest import SCRIPTS

STAGES = sorted(path.stem for path in SCRIPTS.glob("heirloom/stages/[a-z]*.py") if (SCRIPTS / path.name).exists())
ALGORITHMS = ATTACKS.package.replace(".", "/")


def digests(folder: Path, *modules: str) -> dict[str, str]:
    """Digest every stage as a new process would: files are read once per process."""
    for cached in (digest.code_digest, digest._file_of, digest._source):
        cached.cache_clear()
    return {stage: digest.code_digest(stage, *modules, folder=folder) for stage in STAGES}


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A copy of the scripts and of the package."""
    return Path(shutil.copytree(SCRIPTS, tmp_path / "scripts", ignore=shutil.ignore_patterns("__pycache__")))


def test_a_new_attack_changes_no_digest(copied: Path) -> None:
    before, using = digests(copied), digests(copied, ATTACKS.module("pgd"))
    pgd = copied / ALGORITHMS / "pgd.py"
    pgd.with_name("mine.py").write_text(pgd.read_text().replace('Literal["pgd"]', 'Literal["mine"]'))
    assert digests(copied) == before
    assert digests(copied, ATTACKS.module("pgd")) == using


def test_a_line_of_an_attack_changes_the_digests_of_jobs_that_run_it_alone(copied: Path) -> None:
    before, using = digests(copied), digests(copied, ATTACKS.module("zoo"))
    with (copied / ALGORITHMS / "zoo.py").open("a") as file:
        file.write("\nADDED = 1\n")
    assert digests(copied) == before
    changed = digests(copied, ATTACKS.module("zoo"))
    assert all(changed[stage] != using[stage] for stage in STAGES)


def test_no_stage_depends_on_an_attack_that_it_is_not_asked_for(copied: Path) -> None:
    before = digests(copied)
    shutil.rmtree(copied / ALGORITHMS)
    assert digests(copied) == before
