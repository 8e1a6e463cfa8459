"""A job ends when the snakemake that started it ends, even by kill -9, with shells and launchers in between."""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import PurePath

import psutil

from heirloom.runtime.ending import GRACE_SECONDS

EXIT_STATUS = 137  # what a shell reports for a killed process
_WITH_VALUE = ("-W", "-X", "--check-hash-based-pycs")  # Python's options whose value is the next argument
_POLL_SECONDS = 0.5


def die_with_parent() -> None:
    """Watch every ancestor up to the topmost snakemake in the chain, and end this process when one goes.

    The process asks itself to end (SIGTERM), which a training answers with a checkpoint, and is gone a second after
    `ending.GRACE_SECONDS` whatever it does. Its locks keep it from writing beside a successor meanwhile.

    Does nothing without a snakemake among the ancestors. What started the topmost snakemake (a shell, make, a
    scheduler) may go: a snakemake that outlives it goes on, and so do its jobs.
    """
    watched = _up_to_snakemake(psutil.Process().parents())
    if watched:
        threading.Thread(target=_end_with, args=(watched,), name="guardian", daemon=True).start()


def is_snakemake(arguments: Sequence[str]) -> bool:
    """Tell whether a command line runs snakemake: as a program, as a script of Python, or by `python -m snakemake`.

    A file or an argument that merely has "snakemake" in its name (an editor's, a shell's, a job script below
    .snakemake/) does not count.
    """
    if not arguments:
        return False
    program = PurePath(arguments[0]).name
    if program == "snakemake":
        return True
    return program.lower().startswith(("python", "pypy")) and _python_runs_snakemake(arguments[1:])


def _python_runs_snakemake(arguments: Sequence[str]) -> bool:
    """Read Python's own options up to the script, module or code that it runs."""
    rest = iter(arguments)
    for argument in rest:
        if argument in _WITH_VALUE:
            next(rest, None)
        elif argument.startswith("-") and not argument.startswith("--") and argument[-1] in "mc":
            return argument[-1] == "m" and next(rest, "").partition(".")[0] == "snakemake"
        elif not argument.startswith("-"):
            return PurePath(argument).name in ("snakemake", "snakemake.py")
    return False


def _up_to_snakemake(ancestors: Sequence[psutil.Process]) -> list[psutil.Process]:
    """Keep the ancestors (nearest first) up to the topmost one that is a snakemake; none if there is none."""
    places = [place for place, process in enumerate(ancestors) if is_snakemake(_arguments(process))]
    return list(ancestors[: places[-1] + 1]) if places else []


def _arguments(process: psutil.Process) -> list[str]:
    """Return a process's command line; empty when it has gone or may not be asked."""
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def _end_with(processes: Sequence[psutil.Process]) -> None:
    """Wait until one of the processes ends, then ask this one to end, and end it where it does not."""
    try:
        _wait_for_kernel(processes)
    # an older kernel, a Python built for one, a container that forbids the call, or a process that has gone already
    except (AttributeError, OSError):
        _wait_by_asking(processes)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_SECONDS + 1)
    os._exit(EXIT_STATUS)


def _wait_for_kernel(processes: Sequence[psutil.Process]) -> None:
    """Return when one of the processes ends, told by the kernel; raises OSError where it cannot tell."""
    if sys.platform != "linux":
        raise OSError("no process descriptors on this system")
    poll = select.poll()
    for process in processes:
        poll.register(os.pidfd_open(process.pid), select.POLLIN)
    # A process that ended before its descriptor was opened may have passed its id on to another one.
    if all(_runs(process) for process in processes):
        poll.poll()


def _wait_by_asking(processes: Sequence[psutil.Process]) -> None:
    """Return when one of the processes has ended, looking twice a second."""
    while all(_runs(process) for process in processes):
        time.sleep(_POLL_SECONDS)


def _runs(process: psutil.Process) -> bool:
    """Tell whether a process still runs; one that waits to be reaped does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
