"""A training in a process of its own, killed in the middle, where it waits: no machine is too slow or too fast."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]

CHILD = """
import time
from pathlib import Path
from heirloom.training import loop
step = loop._Run.step
def waiting(run, stages):
    if run.iteration == {iteration}:
        print("waiting", flush=True)
        time.sleep(3600)
    step(run, stages)
loop._Run.step = waiting
{code}
"""


def killed(code: str, *, iteration: int) -> None:
    """Run code that trains, and kill it by SIGKILL after so many steps."""
    command = [sys.executable, "-c", CHILD.format(iteration=iteration, code=code)]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        waits = "waiting\n" in child.stdout  # else it ended, and its error stands above
        child.kill()
    assert waits
    assert child.returncode == -signal.SIGKILL
