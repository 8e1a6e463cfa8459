"""Locks exclude other processes and die with their holder; jobs die with their snakemake."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from heirloom.runtime import guardian
from heirloom.runtime.errors import HeirloomError, StorageError
from heirloom.runtime.guardian import is_snakemake
from heirloom.runtime.locks import any_exclusive, exclusive


def until(condition: Callable[[], bool], *, seconds: float = 10.0) -> bool:
    """Wait for a condition and say whether it came."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


def runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


HOLD = """
import sys, time
from pathlib import Path
from heirloom.runtime.locks import exclusive
with exclusive(Path(sys.argv[1]), wait=False):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a process that holds the lock `a` until it is killed."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / "locks" / "a")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_held_lock_refuses_others_and_dies_with_its_holder(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    path = tmp_path / "locks" / "a"
    with pytest.raises(HeirloomError, match=f"another run holds .*process {holder.pid}"), exclusive(path, wait=False):
        pytest.fail("the lock was given twice")
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with exclusive(path, wait=False):
        assert path.read_text() == f"{os.getpid()}\n"


def test_waiting_is_logged_and_ends_with_the_holder(
    tmp_path: Path, holder: subprocess.Popen[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    subprocess.Popen(["sh", "-c", f"sleep 0.4; kill -9 {holder.pid}"])
    begun = time.monotonic()
    with exclusive(tmp_path / "locks" / "a", wait=True):
        assert time.monotonic() - begun > 0.2
    assert "waiting for" in caplog.messages[0]
    assert f"process {holder.pid}" in caplog.messages[0]


def test_a_lock_is_free_again_after_its_body(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(ValueError, match="no"), exclusive(tmp_path / "a", wait=False):
            raise ValueError("no")


def test_a_program_started_under_a_lock_does_not_keep_it(tmp_path: Path) -> None:
    with exclusive(tmp_path / "a", wait=False):
        started = subprocess.Popen(["sleep", "60"])
    try:
        with exclusive(tmp_path / "a", wait=False):
            pass
    finally:
        started.kill()
        started.wait()


def test_a_lock_that_cannot_be_made_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="lock file"), exclusive(tmp_path / "file" / "a", wait=False):
        pass


def test_a_link_is_no_lock_file_and_what_it_leads_to_stays(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")
    (tmp_path / "a").symlink_to(tmp_path / "mine")
    before = psutil.Process().num_fds()
    with (
        pytest.raises(StorageError, match="cannot open the lock file"),
        any_exclusive([tmp_path / "b", tmp_path / "a"]),
    ):
        pass
    assert (tmp_path / "mine").read_text() == "precious"
    assert psutil.Process().num_fds() == before, "the first one is closed again"


def test_the_first_free_of_several_is_held(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    paths = [tmp_path / "locks" / name for name in "abc"]
    with any_exclusive(paths) as first:
        assert first == 1, "a is held by another process"
        with any_exclusive(paths) as second:
            assert second == 2
    holder.kill()
    holder.wait()
    with any_exclusive(paths) as again:
        assert again == 0


def test_with_none_free_one_waits_and_says_so(
    tmp_path: Path, holder: subprocess.Popen[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    subprocess.Popen(["sh", "-c", f"sleep 0.4; kill -9 {holder.pid}"])
    with any_exclusive([tmp_path / "locks" / "a"], interval=0.05) as place:
        assert place == 0
    assert [message for message in caplog.messages if "waiting" in message] == ["all of a are taken, waiting for one"]


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("snakemake --cores 2", True),
        ("/srv/.venv/bin/python /srv/.venv/bin/snakemake --cores 2", True),
        ("python3.11 -Im snakemake all", True),
        ("/usr/bin/python -X dev -W error -B -m snakemake.cli", True),
        ("python .snakemake/scripts/tmp1.train.py", False),
        ("python -m pytest tests/test_snakemake.py snakemake", False),
        ("python -c snakemake", False),
        ("make snakemake-report", False),
        ("bash -c snakemake\\ --cores\\ 2", False),
        ("vim snakemake", False),
        ("", False),
    ],
)
def test_a_snakemake_is_known_by_its_command_line(command: str, *, expected: bool) -> None:
    assert is_snakemake([part.replace("\\", " ") for part in command.split()]) is expected


# A program that starts the next one of the chain, as snakemake starts a shell that starts the job.
STARTER = """
import subprocess, sys, time
subprocess.run(sys.argv[1:])
time.sleep(60)
"""
JOB = """
import os, signal, sys, time
from pathlib import Path
from heirloom.runtime import guardian
from heirloom.runtime.ending import Ending
if sys.argv[2] == "asking":
    def refuse(processes): raise OSError("no process descriptors")
    guardian._wait_for_kernel = refuse
if sys.argv[2] == "an-older-Python":
    del os.pidfd_open
if sys.argv[2] == "saving":
    ending = Ending()
    ending.passes_checkpoint()
    signal.signal(signal.SIGTERM, ending)
guardian.die_with_parent()
Path(sys.argv[1]).write_text(str(os.getpid()))
while not (sys.argv[2] == "saving" and ending.asked):
    sum(range(10000))
Path(sys.argv[1]).with_name("saved").touch()
"""


class Chain:
    """make (a starter) -> snakemake -> bash -> job, all real processes."""

    def __init__(self, folder: Path, *, program: str = "snakemake", way: str = "kernel") -> None:
        for name, text in ((program, STARTER), ("starter.py", STARTER), ("job.py", JOB)):
            (folder / name).write_text(textwrap.dedent(text))
        told = folder / "pid"
        job = f"{sys.executable} {folder / 'job.py'} {told} {way}; true"
        inner = [sys.executable, str(folder / program), "bash", "-c", job]
        self.top = subprocess.Popen([sys.executable, str(folder / "starter.py"), *inner])
        assert until(lambda: told.exists() and told.read_text() != "")
        self.job = int(told.read_text())
        self.bash, self.snakemake = (process.pid for process in psutil.Process(self.job).parents()[:2])
        self.all = [self.snakemake, self.bash, self.job]

    def close(self) -> None:
        for pid in self.all:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.top.kill()
        self.top.wait()


@pytest.mark.parametrize("way", ["kernel", "asking", "an-older-Python"])
def test_kill_9_of_snakemake_ends_the_job_behind_a_shell(tmp_path: Path, way: str) -> None:
    chain = Chain(tmp_path, way=way)
    try:
        assert runs(chain.job)
        os.kill(chain.snakemake, signal.SIGKILL)
        assert until(lambda: not runs(chain.job), seconds=10)
    finally:
        chain.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_job_may_write_its_checkpoint_when_the_shell_above_it_goes(tmp_path: Path, number: int) -> None:
    chain = Chain(tmp_path, way="saving")
    try:
        os.kill(chain.bash, number)
        assert until(lambda: not runs(chain.job), seconds=3)
        assert (tmp_path / "saved").exists()
    finally:
        chain.close()


def test_what_stands_above_snakemake_may_go_and_the_shell_below_may_not(tmp_path: Path) -> None:
    chain = Chain(tmp_path)
    try:
        chain.top.kill()
        chain.top.wait()
        assert not until(lambda: not runs(chain.job), seconds=0.8)
        os.kill(chain.bash, signal.SIGKILL)
        assert until(lambda: not runs(chain.job), seconds=3)
    finally:
        chain.close()


def test_without_a_snakemake_nothing_is_watched(tmp_path: Path) -> None:
    chain = Chain(tmp_path, program="snakemake_notes.py")
    try:
        os.kill(chain.snakemake, signal.SIGKILL)
        os.kill(chain.bash, signal.SIGKILL)
        assert not until(lambda: not runs(chain.job), seconds=0.8)
    finally:
        chain.close()


@pytest.mark.parametrize("id_was_passed_on", [False, True])
def test_a_parent_that_has_gone_already_is_noticed(
    monkeypatch: pytest.MonkeyPatch,
    *,
    id_was_passed_on: bool,
) -> None:
    gone = subprocess.Popen(["sleep", "60"])
    process = psutil.Process(gone.pid)
    gone.kill()
    gone.wait()
    statuses: list[int] = []
    requests: list[int] = []
    monkeypatch.setattr(os, "_exit", statuses.append)
    monkeypatch.setattr(os, "kill", lambda _pid, number: requests.append(number))
    monkeypatch.setattr(guardian, "GRACE_SECONDS", -1)
    if id_was_passed_on:
        own = os.pidfd_open(os.getpid())
        monkeypatch.setattr(os, "pidfd_open", lambda _pid: own)
    thread = threading.Thread(target=guardian._end_with, args=([psutil.Process(), process],), daemon=True)
    thread.start()
    thread.join(3)
    assert requests == [signal.SIGTERM]
    assert statuses == [guardian.EXIT_STATUS]
