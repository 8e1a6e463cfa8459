"""Progress of a long loop: a bar on a terminal, else a log line now and then."""

from __future__ import annotations

import logging
import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Never

if TYPE_CHECKING:
    from tqdm import tqdm

logger = logging.getLogger(__name__)


class Progress:
    """Count towards `total` steps (at least 0) of a `unit` ("iterations") and show how far a loop is.

    Without a terminal the root log gets one line at most every `interval` seconds, and one at the end.
    """

    def __init__(self, total: int, description: str, unit: str, *, interval: float = 10.0) -> None:
        self.total = total
        self.description = description
        self.unit = unit
        self.interval = interval
        self.done = 0
        self._figures: dict[str, float] = {}
        self._bar: tqdm[Never] | None = None
        self._begun = self._told = time.monotonic()
        self._told_done = -1

    def __enter__(self) -> Progress:
        self._begun = self._told = time.monotonic()
        if sys.stderr is not None and sys.stderr.isatty():
            from tqdm import tqdm

            self._bar = tqdm(total=self.total, desc=self.description, unit=f" {self.unit}", leave=False)
        return self

    def advance(self, n: int = 1, **figures: float) -> None:
        """Count n more steps and show figures beside them, as in loss=0.123."""
        self.done += n
        self._figures.update(figures)
        if self._bar is not None:
            self._bar.set_postfix_str(self._shown_figures(), refresh=False)
            self._bar.update(n)
        elif time.monotonic() - self._told >= self.interval:
            self._tell()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()
        if kind is None and self._told_done != self.done:
            self._tell()  # also behind a bar: the bar vanishes, the log keeps the last figures

    def _tell(self) -> None:
        """Log one line: steps, speed, time left, figures."""
        self._told = time.monotonic()
        self._told_done = self.done
        parts = [f"{self.description}: {self.done}/{self.total} {self.unit}", self._pace(), self._shown_figures()]
        logger.info("%s", ", ".join(part for part in parts if part))

    def _pace(self) -> str:
        """Say how fast the loop is, and how long it will take if it is not done."""
        seconds = self._told - self._begun
        if self.done <= 0 or seconds <= 0:
            return ""
        left = (self.total - self.done) * seconds / self.done
        pace = f"{self.done / seconds:.3g}/s"
        return f"{pace}, {left:.0f} s left" if left > 0 else pace

    def _shown_figures(self) -> str:
        return ", ".join(f"{name}={value:.3g}" for name, value in self._figures.items())
