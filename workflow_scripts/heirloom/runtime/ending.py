"""A request to end (SIGTERM, Ctrl-C) is followed in order, by a job with checkpoints once it has written one."""

from __future__ import annotations

import logging
import signal
from types import FrameType
from typing import Any, Never

logger = logging.getLogger(__name__)

GRACE_SECONDS = 5.0  # what ends jobs (SLURM, Kubernetes, systemd, docker) kills them 10 to 90 s after its request


class Ending:
    """The handler of SIGTERM and SIGINT while a job runs; `current` finds it.

    The process leaves by SystemExit, so that temporary files are removed: at once where no checkpoint has come by, else
    at the next one, at the latest after `grace` seconds. Further requests change nothing: schedulers, snakemake and the
    guardian may all send one.
    """

    def __init__(self, grace: float = GRACE_SECONDS) -> None:
        self.asked = False
        self._grace = grace
        self._has_checkpoints = False
        self._number = int(signal.SIGTERM)
        self._alarm: Any = signal.SIG_DFL

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        """Follow a request, now or at the next checkpoint."""
        if self.asked:
            return
        self.asked, self._number = True, number
        if not self._has_checkpoints:
            logger.warning("asked to end (signal %d)", number)
            self.leave()
        logger.warning("asked to end (signal %d): writing a checkpoint first", number)
        self._alarm = signal.signal(signal.SIGALRM, lambda *_: self.leave())
        signal.setitimer(signal.ITIMER_REAL, self._grace)

    def passes_checkpoint(self) -> bool:
        """Note that the job can be continued from here, and tell whether it is asked to end here."""
        self._has_checkpoints = True
        return self.asked

    def leave(self) -> Never:
        """End the process with the status of one that the signal ended."""
        self.close()
        raise SystemExit(128 + self._number)

    def close(self) -> None:
        """Take back what `__call__` set."""
        if self.asked and self._has_checkpoints:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, self._alarm)


def current() -> Ending | None:
    """Return what will follow a request to end; None outside of a job."""
    handler = signal.getsignal(signal.SIGTERM)
    return handler if isinstance(handler, Ending) else None
