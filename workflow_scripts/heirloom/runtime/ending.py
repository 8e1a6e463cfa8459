"""A request to end (SIGTERM) is followed in order, and by a job with checkpoints not before it has written one."""

from __future__ import annotations

import logging
import signal
from types import FrameType
from typing import Never

logger = logging.getLogger(__name__)

GRACE_SECONDS = 5.0  # what ends jobs (SLURM, Kubernetes, systemd, docker) kills them 10 to 90 s after its request


class Ending:
    """The handler of SIGTERM while a job runs; `current` finds it.

    The process leaves by SystemExit, so that temporary files are removed: at once where no checkpoint has come by, else
    at the next one, at the latest after `grace` seconds. Further requests change nothing: schedulers, snakemake and the
    guardian may all send one.
    """

    def __init__(self, grace: float = GRACE_SECONDS) -> None:
        self.asked = False
        self._grace = grace
        self._has_checkpoints = False

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        """Follow a request, now or at the next checkpoint."""
        if self.asked:
            return
        self.asked = True
        if not self._has_checkpoints:
            logger.warning("asked to end (signal %d)", number)
            self.leave()
        logger.warning("asked to end (signal %d): writing a checkpoint first", number)
        signal.signal(signal.SIGALRM, lambda *_: self.leave())
        signal.setitimer(signal.ITIMER_REAL, self._grace)

    def passes_checkpoint(self) -> bool:
        """Note that the job can be continued from here, and tell whether it is asked to end here."""
        self._has_checkpoints = True
        return self.asked

    def leave(self) -> Never:
        """End the process with the status of one that SIGTERM ended."""
        self.close()
        raise SystemExit(128 + signal.SIGTERM)

    def close(self) -> None:
        """Take back what `__call__` set."""
        if self.asked:
            signal.setitimer(signal.ITIMER_REAL, 0)


def current() -> Ending | None:
    """Return what will follow a request to end; None outside of a job."""
    handler = signal.getsignal(signal.SIGTERM)
    return handler if isinstance(handler, Ending) else None
