from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import slurm as standin
from tests.cluster.slurm import NoSlurmError, Slurm
from tests.workflow.project import SOURCE


@pytest.fixture(scope="session")
def slurm() -> Iterator[Slurm]:
    """A SLURM of this machine alone, stopped at the end."""
    try:
        standin.installed()
        with standin.running() as started:
            yield started
    except NoSlurmError as error:
        pytest.skip(f"no SLURM here: {error}")


@pytest.fixture(scope="session")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Snakemake's SLURM executor in a folder of its own: in the environment it would slow every other command."""
    folder = tmp_path_factory.mktemp("plugins")
    lock = SOURCE / "requirements-slurm.lock"
    install = ["uv", "pip", "install", "--quiet", "--require-hashes", "--no-deps", "--requirement", str(lock)]
    done = subprocess.run(
        [sys.executable, "-m", *install, "--target", str(folder)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"the SLURM executor cannot be installed here: {done.stderr.strip()}")
    return folder
