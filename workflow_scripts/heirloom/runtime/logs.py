"""The log of a job: one file with everything, and on the screen only what the user must read."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from heirloom.runtime.errors import HeirloomError

logger = logging.getLogger(__name__)

_FORMAT = "%(asctime)s %(levelname)s %(message)s"


@contextmanager
def open_log(path: Path | None) -> Iterator[None]:
    """Send the root log, warnings and the body's exceptions to a file; without a path only the screen is told.

    A HeirloomError is shown on stderr as its message alone and ends the process with status 1 (SystemExit); any other
    exception goes on, so that its traceback is on the screen too. Lines are flushed as they are written.
    """
    with ExitStack() as stack:
        if path is not None:
            stack.enter_context(_root_log_to(path))
        stack.enter_context(_threads_logged())
        try:
            yield
        except HeirloomError as error:
            logger.error("%s", error, exc_info=error)
            sys.stderr.write(f"{error}\n")
            raise SystemExit(1) from error
        except KeyboardInterrupt:
            logger.error("interrupted")
            raise SystemExit(130) from None
        except Exception:
            logger.exception("stopped by an unexpected error")
            raise


@contextmanager
def _root_log_to(path: Path) -> Iterator[None]:
    """Add the file's handler to the root logger, and take it away at the end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path, mode="w", encoding="utf-8")
    handler.setFormatter(logging.Formatter(_FORMAT, datefmt="%H:%M:%S"))
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    logging.captureWarnings(True)
    try:
        yield
    finally:
        logging.captureWarnings(False)
        root.setLevel(level)
        root.removeHandler(handler)
        handler.close()


@contextmanager
def _threads_logged() -> Iterator[None]:
    """Log what ends a thread, besides showing it on the screen."""
    usual = threading.excepthook

    def log_and_show(arguments: threading.ExceptHookArgs, /) -> None:
        name = arguments.thread.name if arguments.thread else "unknown"
        logger.error("thread %s stopped: %r", name, arguments.exc_value, exc_info=arguments.exc_value)
        usual(arguments)

    threading.excepthook = log_and_show
    try:
        yield
    finally:
        threading.excepthook = usual
