"""What tests do to a running study: start it, hold it at a moment, kill it, fill or lock its disk, take its rights."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil
import pytest

from tests.workflow.project import Project, parse_plan

STUDENT = "results/tiny/students/tiny-objects/signs-backdoor/signs/fine-tuning/seed1"
STUDENT_LOG = "results/tiny/logs/train_student/students.tiny-objects.signs-backdoor.signs.fine-tuning.seed1.log"
CHECKPOINT = ".checkpoint.pt"

# Python runs this file first in every process of a project. `atomic_path` removes an older partial file before it has a
# new one written, whoever writes it, and logs are opened anew: both are moments that an audit hook sees.
HOOK = """
import os, sys, time
name, action = {name!r}, {action!r}
def reached(event, arguments):
    place = os.fspath(arguments[0]) if arguments and isinstance(arguments[0], str | os.PathLike) else ""
    if event == "os.remove":
        return place.endswith(f"/.{{name}}.partial")
    return event == "open" and name.endswith(".log") and place.endswith(name) and arguments[1] == "w"
def fill():
    file = os.open("results/filler", os.O_WRONLY | os.O_CREAT)
    try:
        while True:
            os.write(file, bytes(1 << 16))
    except OSError:
        os.close(file)
def hold():
    if not os.path.exists("held"):
        open("held", "x").close()
        while not os.path.exists("go"):
            time.sleep(0.02)
def hook(event, arguments):
    if event in ("os.remove", "open") and reached(event, arguments):
        fill() if action == "fill" else hold()
sys.addaudithook(hook)
"""


def told(done: subprocess.CompletedProcess[str]) -> str:
    """Everything that a run said."""
    return done.stdout + done.stderr


def ran(done: subprocess.CompletedProcess[str]) -> set[str]:
    """Names of the rules that a run ran."""
    return set(re.findall(r"^(?:local)?rule (\w+):$", told(done), re.MULTILINE)) - {"all"}


def ran_jobs(done: subprocess.CompletedProcess[str]) -> set[tuple[str, str]]:
    """What a run ran: rules, each with the wildcards of its job in one line."""
    jobs = [job for job in parse_plan(told(done)) if job.rule != "all"]
    return {(job.rule, " ".join(f"{name}={value}" for name, value in job.wildcards.items())) for job in jobs}


def finishes(done: subprocess.CompletedProcess[str]) -> subprocess.CompletedProcess[str]:
    """Return a run that must have ended well."""
    assert done.returncode == 0, told(done)
    return done


def wait_for(condition: Callable[[], bool], *, seconds: float = 90.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def started(project: Project, *arguments: str, session: bool = False) -> subprocess.Popen[bytes]:
    """Start Python in a project, with `session` as the leader of a process group of its own."""
    return subprocess.Popen(
        project.python(*arguments),
        cwd=project.folder,
        env=project.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=session,
    )


def jobs_in(project: Project) -> list[psutil.Process]:
    """Living processes that run a stage in this project."""
    return [
        process
        for process in psutil.process_iter(["cmdline", "status", "cwd"])
        if process.info["cwd"] == str(project.folder)
        and process.info["status"] != psutil.STATUS_ZOMBIE
        and any(".snakemake/scripts/" in part for part in process.info["cmdline"] or [])
    ]


def set_trap(project: Project, name: str, action: Literal["fill", "hold"]) -> None:
    """Let the job that begins to write a file of this name fill the results' disk first, or hold until let go."""
    project.at_start(HOOK.format(name=name, action=action))


def remove_trap(project: Project) -> None:
    """Let jobs run undisturbed again, and make the room on the disk free."""
    project.at_start()
    (project.folder / "results/filler").unlink(missing_ok=True)


@dataclass(frozen=True)
class Held:
    """A run whose training waits in the middle of writing a checkpoint."""

    project: Project
    run: subprocess.Popen[bytes]

    def go_on(self) -> int:
        """Let the training go on and return the run's exit status."""
        (self.project.folder / "go").touch()
        remove_trap(self.project)
        return self.run.wait(300)


@contextmanager
def held(project: Project, *arguments: str) -> Iterator[Held]:
    """Start a run (`-m snakemake ...`) that trains the one student of STUDENT anew, and hold it at a checkpoint."""
    project.change_study(checkpoint_seconds=1e-3)
    for path in (project.folder / STUDENT).iterdir():
        path.unlink()
    set_trap(project, CHECKPOINT, "hold")
    run = started(project, *arguments, session=True)
    try:
        wait_for(lambda: (project.folder / "held").exists() or run.poll() is not None, seconds=300)
        assert run.poll() is None, "the run ended without a checkpoint"
        yield Held(project, run)
    finally:
        if run.poll() is None:
            os.killpg(run.pid, signal.SIGKILL)
            run.wait()


@contextmanager
def mounted(folder: Path, *, megabytes: int) -> Iterator[None]:
    """Put a small disk of its own at a folder; skips the test where that is not permitted."""
    folder.mkdir(exist_ok=True)
    options = ["-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs"]
    try:
        done = subprocess.run(["mount", *options, str(folder)], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount command")
    if done.returncode:
        pytest.skip(f"no small disk can be mounted here (needs root): {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=False)


@contextmanager
def disk_of_its_own(folder: Path, *, megabytes: int = 16) -> Iterator[None]:
    """Move a folder, with what it holds, to a small disk; skips the test where that is not permitted."""
    kept = folder.rename(folder.with_name(f"{folder.name}.kept"))
    with mounted(folder, megabytes=megabytes):
        shutil.copytree(kept, folder, dirs_exist_ok=True)
        yield


def remount(folder: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True)


def fill(folder: Path, *, leave: int) -> Path:
    """Take up the room of a disk but for some bytes."""
    free = os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize
    filler = folder / "filler"
    with filler.open("wb") as file:
        file.write(bytes(max(0, free - leave)))
    return filler


def final_files(folder: Path) -> list[str]:
    """Results under their final names, without locks, receipts, logs and the cache."""
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file() and path.suffix != ".log")
    seen = (path for path in found if not any(part.startswith(".") for part in path.parts))
    return sorted(str(path) for path in seen if path.parts[0] in ("shared", "tiny"))


class WithoutPrivilege(Project):
    """A project whose runs obey the permissions of files, also where root runs the tests."""

    def python(self, *arguments: str) -> list[str]:
        command = super().python(*arguments)
        if os.geteuid() != 0:
            return command
        if shutil.which("setpriv") is None:
            pytest.skip("root obeys no permissions, and there is no setpriv to make it")
        return ["setpriv", "--inh-caps=-all", "--bounding-set=-all", *command]
