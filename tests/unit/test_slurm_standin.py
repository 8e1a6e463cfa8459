"""The tests' own SLURM leaves nothing behind; a `sleep` stands in for its daemons."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import psutil

PROJECT = Path(__file__).resolve().parents[2]
SUITE = """\
import subprocess, time
import pytest
from tests.cluster import slurm

def start(started):
    daemon = subprocess.Popen(["sleep", "600"], stdout=subprocess.DEVNULL, start_new_session=True)
    (started.folder / "munge.pid").write_text(str(daemon.pid))
    print("daemon", daemon.pid, started.folder, flush=True)

@pytest.fixture(scope="session")
def running():
    slurm._configure = lambda folder: None
    slurm._start = start
    with slurm.running() as started:
        yield started

def test_waits(running):
    print("waiting", flush=True)
    time.sleep(600)
"""


def test_a_suite_that_is_asked_to_end_ends_its_daemons(tmp_path: Path) -> None:
    file = tmp_path / "test_suite.py"
    file.write_text(SUITE)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-s",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(tmp_path),
        str(file),
    ]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True) as suite:
        assert suite.stdout is not None
        words = next(line for line in suite.stdout if "daemon " in line).split()
        daemon, folder = psutil.Process(int(words[-2])), Path(words[-1])
        next(line for line in suite.stdout if "waiting" in line)
        suite.send_signal(signal.SIGTERM)
        suite.stdout.read()
    try:
        assert not daemon.is_running() or daemon.status() == psutil.STATUS_ZOMBIE
        assert not folder.exists()
    finally:
        if daemon.is_running():
            daemon.kill()
